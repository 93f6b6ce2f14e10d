// What a table is filtered by: a search, the states, and lists of values.
import { el } from "./dom.js";

/** @import { Item } from "./types.js" */

/**
 * A filter with a list of values.
 *
 * @template {Item} T
 * @typedef {object} Filter
 * @property {string} key - Its name in the address.
 * @property {string} label - What it filters by.
 * @property {string} all - The choice that excludes nothing.
 * @property {(items: T[]) => [value: string, name: string][]} choices
 * @property {(item: T, value: string, now: number) => boolean} accepts
 */

/**
 * @template {Item} T
 * @typedef {object} FilterOptions
 * @property {string} noun - What a row is: "file".
 * @property {string} searched - What the search looks at: "name and Dag".
 * @property {Record<string, string>} [stateNames] - The names of states in the filter; by default, the states themselves.
 * @property {Filter<T>[]} [filters] - Besides the search and the state.
 * @property {(item: T) => boolean} [accepts] - A further filter.
 * @property {() => void} [onClear] - Called when the user clears the filters, to clear the further one, too.
 */

/** @template {Item} T */
export class TableFilters {
  /**
   * @param {FilterOptions<T>} options
   * @param {() => void} onChange - Called when the user has changed a filter.
   */
  constructor(options, onChange) {
    this.options = options;
    this.onChange = onChange;
    this.state = "";
    /** @type {Record<string, string>} The values of the lists, by key; an empty text is no filter. */
    this.chosen = {};
    const { noun, searched, filters = [] } = options;
    this.states = el("div", { class: "states", role: "group", "aria-label": "State" });
    this.search = el("input", {
      type: "search",
      placeholder: `Search ${noun}s`,
      title: `Searches ${searched}`,
      "aria-label": `Search ${noun}s`,
      oninput: () => this.onChange(),
    });
    this.lists = filters.map((filter) => {
      const select = el("select", {
        "aria-label": filter.label,
        onchange: () => this.choose(filter.key, select.value),
      });
      return { filter, select };
    });
    const clear = { type: "button", class: "text", hidden: true, onclick: () => this.clear() };
    this.clearButton = el("button", clear, "Clear filters");
    this.fold = el("button", { type: "button", class: "fold", "aria-expanded": false, onclick: () => this.unfold() });
    const selects = this.lists.map(({ select }) => select);
    this.bar = el("div", { class: "filters", role: "group", "aria-label": "Filters" }, ...selects, this.clearButton);
  }

  /**
   * Take the filters from an address.
   *
   * @param {URLSearchParams} parameters
   */
  restore(parameters) {
    this.search.value = parameters.get("q") ?? "";
    this.state = parameters.get("state") ?? "";
    this.chosen = Object.fromEntries(this.lists.map(({ filter: { key } }) => [key, parameters.get(key) ?? ""]));
  }

  /** Return what `restore` reads; an empty text is no filter. */
  parameters() {
    return { q: this.search.value, state: this.state, ...this.chosen };
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  choose(key, value) {
    this.chosen[key] = value;
    this.onChange();
  }

  /** @param {string} state */
  chooseState(state) {
    this.state = state;
    this.onChange();
  }

  clear() {
    this.options.onClear?.();
    this.search.value = "";
    this.state = "";
    this.chosen = {};
    this.onChange();
    this.search.focus();
  }

  /** Show or hide the lists on a narrow screen; on others, they are always shown. */
  unfold() {
    const isOpen = this.bar.classList.toggle("unfolded");
    this.fold.setAttribute("aria-expanded", String(isOpen));
  }

  /**
   * Return the items that match.
   *
   * @param {T[]} items
   * @param {number} now - The time of the API server, in seconds since the epoch.
   */
  match(items, now) {
    // File names of a Mac have accents as characters of their own.
    const words = this.search.value.normalize().toLowerCase().split(/\s+/).filter(Boolean);
    const { accepts = () => true } = this.options;
    const chosen = this.lists.flatMap(({ filter }) => {
      const value = this.chosen[filter.key];
      return value ? [{ filter, value }] : [];
    });
    return items
      .filter(accepts)
      .filter((item) => !this.state || item.state === this.state)
      .filter((item) => chosen.every(({ filter, value }) => filter.accepts(item, value, now)))
      .filter((item) => words.every((word) => item.text.normalize().includes(word)));
  }

  /** @param {T[]} items */
  render(items) {
    this.renderStates(items);
    this.renderLists(items);
  }

  /** @param {T[]} items */
  renderStates(items) {
    const names = new Map(Object.entries(this.options.stateNames ?? {}));
    /** @type {Map<string, number>} */
    const numbers = new Map();
    for (const { state } of items) numbers.set(state, (numbers.get(state) ?? 0) + 1);
    // The filter of an address can name a state that no item has.
    if (this.state && !numbers.has(this.state)) numbers.set(this.state, 0);
    const chip = (/** @type {string} */ state, /** @type {string} */ name, /** @type {number} */ number) =>
      el(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": this.state === state,
          onclick: () => this.chooseState(state),
        },
        name,
        el("b", {}, number.toLocaleString("en")),
      );
    // One state alone excludes nothing.
    this.states.hidden = numbers.size < 2 && !this.state;
    this.states.replaceChildren(
      chip("", "All", items.length),
      ...[...numbers].sort().map(([state, number]) => chip(state, names.get(state) ?? state, number)),
    );
  }

  /** @param {T[]} items */
  renderLists(items) {
    this.bar.hidden = this.lists.length === 0 || items.length === 0;
    for (const { filter, select } of this.lists) {
      const value = this.chosen[filter.key] ?? "";
      const choices = filter.choices(items);
      // The filter of an address can name a value that no item has.
      if (value && !choices.some(([known]) => known === value)) choices.push([value, value]);
      const options = [["", filter.all], ...choices].map(([key, name]) => el("option", { value: key }, name));
      // Replacing the options would close the list that the user has opened.
      const textOf = (/** @type {Element[]} */ all) => all.map((option) => option.textContent).join("\n");
      if (textOf(options) !== textOf([...select.children])) select.replaceChildren(...options);
      select.value = value;
      select.classList.toggle("chosen", value !== "");
    }
    const chosen = Object.values(this.chosen).filter(Boolean).length;
    this.clearButton.hidden = !this.search.value && !this.state && !chosen;
    this.fold.hidden = this.bar.hidden;
    this.fold.textContent = chosen ? `Filters (${chosen})` : "Filters";
  }
}
