// A table with filters, order, pages and selection. Only the rows of one page are in the document, so that it stays fast
// with thousands of items.
import { el, keepFocus } from "./dom.js";
import { saveCsv, saveJson } from "./export.js";
import { count } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { Exported } from "./export.js" */
/** @import { Item } from "./types.js" */

/**
 * @template {Item} T
 * @typedef {object} Column
 * @property {string} key - Also the class of its cells.
 * @property {string} heading
 * @property {(item: T) => string | number} order - What items are sorted by.
 * @property {(item: T, now: number) => Child | Child[]} cell
 */

/**
 * @template {Item} T
 * @typedef {object} Options
 * @property {string} noun - What a row is: "file".
 * @property {Column<T>[]} columns - The cells of the first one are the headings of the rows.
 * @property {string} sort - The key of the column that the table is sorted by at first; a leading "-" is descending.
 * @property {string} searched - What the search looks at: "name and Dag".
 * @property {Node[]} [tools] - What else is beside the search.
 * @property {(state: string) => string} [stateName] - The name of a state in the filter; the state itself by default.
 * @property {{label: string, all: string, names: Record<string, string>}} [kinds] - A filter of the items' kinds.
 * @property {string} empty - When items appear, for a table without any.
 * @property {(items: T[]) => string} [summary] - Of the matching items, beside the pages.
 * @property {(selected: T[]) => Node[]} [actions] - The content of the toolbar's right side; called whenever the
 *   selection changes.
 * @property {(item: T) => boolean} [accepts] - A further filter.
 * @property {(item: T) => boolean} [canSelect] - Whether an item can be selected; all can by default.
 * @property {(item: T) => Exported} [record] - What is exported of an item; there is no export without it.
 * @property {() => void} onChange - Called when filter or order have changed.
 */

const PAGE_SIZES = [25, 50, 100, 250];

/** @template {Item} T */
export class Table {
  /**
   * @param {HTMLElement} section
   * @param {Options<T>} options
   */
  constructor(section, options) {
    this.section = section;
    this.options = options;
    /** @type {T[] | null} */
    this.items = null;
    /** The time of the API server, in seconds since the epoch. */
    this.now = 0;
    /** Whether rows can be selected. */
    this.selects = false;
    /** @type {Set<string>} The names of the items that a link points to; they are shown first. */
    this.linked = new Set();
    /** @type {T[]} The items that match the filter. */
    this.matching = [];
    /** @type {Set<string>} The names of the selected items. */
    this.selected = new Set();
    this.filter = { text: "", state: "", kind: "" };
    this.sort = parseSort(options.sort);
    this.page = 0;
    this.pageSize = 50;
    const { noun, searched, kinds, tools = [] } = options;
    this.states = el("div", { class: "states", role: "group", "aria-label": "State" });
    this.search = el("input", {
      type: "search",
      placeholder: `Search ${noun}s`,
      title: `Searches ${searched}`,
      "aria-label": `Search ${noun}s`,
      oninput: () => this.setFilter({ text: this.search.value }),
    });
    this.kind = el(
      "select",
      { "aria-label": kinds?.label ?? "", hidden: !kinds, onchange: () => this.setFilter({ kind: this.kind.value }) },
      el("option", { value: "" }, kinds?.all),
      Object.entries(kinds?.names ?? {}).map(([kind, name]) => el("option", { value: kind }, name)),
    );
    this.actionBar = el("div", { class: "actions" });
    this.selectAll = el("input", {
      type: "checkbox",
      "aria-label": `Select all matching ${noun}s`,
      onchange: () => this.select(this.matching, this.selectAll.checked),
    });
    this.head = el("tr", { role: "row" });
    this.body = el("tbody", { role: "rowgroup" });
    const caption = el("caption", { class: "visually-hidden" }, `${noun}s`);
    this.scroll = el(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": `Table of ${noun}s` },
      el("table", { role: "table", class: "list" }, caption, el("thead", { role: "rowgroup" }, this.head), this.body),
    );
    this.empty = el("div", { class: "state", hidden: true });
    this.pager = el("nav", { class: "pager", "aria-label": `Pages of ${noun}s` });
    this.more = el("p", { class: "words", hidden: true });
    this.exporter = el("p", { class: "words", hidden: true });
    this.status = el("p", { class: "visually-hidden", role: "status" });
    const find = el("div", { class: "find" }, this.search, this.kind, ...tools);
    const toolbar = el("div", { class: "toolbar" }, this.states, find, this.actionBar);
    section.replaceChildren(toolbar, this.scroll, this.empty, this.pager, this.more, this.exporter, this.status);
  }

  /**
   * Show items; filter, order, page and selection are kept.
   *
   * @param {T[]} items
   * @param {number} now - The time of the API server, in seconds since the epoch.
   * @param {{selects?: boolean, more?: number}} options - Whether rows can be selected, and how many items there are
   *   besides these.
   */
  show(items, now, { selects = false, more = 0 } = {}) {
    this.section.hidden = false;
    this.items = items;
    this.now = now;
    this.selects = selects;
    this.more.hidden = more === 0;
    const [shown, total, hidden] = [items.length, items.length + more, more].map((number) =>
      number.toLocaleString("en"),
    );
    this.more.textContent = `${shown} of ${total} ${this.options.noun}s are listed; ${hidden} more are not.`;
    const names = new Set(items.filter((item) => this.canSelect(item)).map((item) => item.name));
    this.selected = new Set([...this.selected].filter((name) => names.has(name)));
    this.render();
  }

  /**
   * Take filter and order from an address.
   *
   * @param {URLSearchParams} parameters
   */
  restore(parameters) {
    const [text, state, kind] = ["q", "state", "kind"].map((name) => parameters.get(name) ?? "");
    this.filter = { text: text ?? "", state: state ?? "", kind: kind ?? "" };
    this.search.value = this.filter.text;
    this.kind.value = this.filter.kind;
    const sort = parseSort(parameters.get("sort") ?? "");
    const isColumn = this.options.columns.some(({ key }) => key === sort.key);
    this.sort = isColumn ? sort : parseSort(this.options.sort);
    this.page = 0;
    this.render();
  }

  /** Return what `restore` reads, without what is so at first. */
  parameters() {
    const { text, state, kind } = this.filter;
    const { key, descending } = this.sort;
    const sort = `${descending ? "-" : ""}${key}`;
    const all = { q: text, state, kind, sort: sort === this.options.sort ? "" : sort };
    return new URLSearchParams(Object.entries(all).filter(([, value]) => value));
  }

  /** @param {Partial<typeof this.filter>} change */
  setFilter(change) {
    Object.assign(this.filter, change);
    this.page = 0;
    this.render();
    this.status.textContent = `${count(this.matching.length, this.options.noun)} shown`;
    this.options.onChange();
  }

  clearFilter() {
    this.search.value = this.kind.value = "";
    this.setFilter({ text: "", state: "", kind: "" });
    this.search.focus();
  }

  /** @param {string} key */
  sortBy(key) {
    this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
    this.page = 0;
    this.render();
    this.options.onChange();
  }

  /**
   * @param {T[]} items
   * @param {boolean} isSelected
   */
  select(items, isSelected) {
    for (const item of items) if (this.canSelect(item)) this.selected[isSelected ? "add" : "delete"](item.name);
    for (const box of this.body.querySelectorAll("input")) box.checked = this.selected.has(box.value);
    this.renderActions();
  }

  /** @param {T} item */
  canSelect(item) {
    return this.selects && (this.options.canSelect?.(item) ?? true);
  }

  render() {
    const { items } = this;
    if (items) keepFocus(this.section, () => this.renderAll(items));
  }

  /** @param {T[]} items */
  renderAll(items) {
    this.matching = this.match(items);
    const lastPage = Math.max(0, Math.ceil(this.matching.length / this.pageSize) - 1);
    this.page = Math.min(this.page, lastPage);
    const start = this.page * this.pageSize;
    const visible = this.matching.slice(start, start + this.pageSize);
    this.renderStates(items);
    this.renderHead();
    this.body.replaceChildren(...visible.map((item) => this.row(item)));
    this.renderEmpty(items);
    this.renderPager(start, visible.length, lastPage);
    this.renderExport();
    this.renderActions();
  }

  renderExport() {
    const { noun, record } = this.options;
    this.exporter.hidden = !record || this.matching.length === 0;
    if (!record) return;
    const name = `gemini-${noun.replaceAll(" ", "-")}s`;
    const button = (/** @type {string} */ text, /** @type {typeof saveJson} */ save) => {
      const onclick = () => save(name, this.matching.map(record));
      return el("button", { type: "button", class: "text", onclick }, text);
    };
    this.exporter.replaceChildren(
      `Export ${count(this.matching.length, `matching ${noun}`)} as `,
      button("CSV", saveCsv),
      " or ",
      button("JSON", saveJson),
    );
  }

  /**
   * Return the items that match the filter, sorted; linked items come first.
   *
   * @param {T[]} items
   */
  match(items) {
    const { text, state, kind } = this.filter;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const order = this.options.columns.find((column) => column.key === this.sort.key)?.order ?? (() => 0);
    const sign = this.sort.descending ? -1 : 1;
    const { accepts = () => true } = this.options;
    return items
      .filter(accepts)
      .filter((item) => (!state || item.state === state) && (!kind || item.kind === kind))
      .filter((item) => words.every((word) => item.text.includes(word)))
      .map((item) => ({ item, rank: this.linked.has(item.name) ? 0 : 1, value: order(item) }))
      .sort((a, b) => a.rank - b.rank || (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
      .map(({ item }) => item);
  }

  renderActions() {
    const { items, matching } = this;
    const selected = (items ?? []).filter((item) => this.selected.has(item.name));
    this.actionBar.replaceChildren(...(this.options.actions?.(selected) ?? []));
    const selectable = matching.filter((item) => this.canSelect(item));
    const chosen = selectable.filter((item) => this.selected.has(item.name)).length;
    this.selectAll.disabled = selectable.length === 0;
    this.selectAll.checked = chosen > 0 && chosen === selectable.length;
    this.selectAll.indeterminate = chosen > 0 && chosen < selectable.length;
  }

  /** @param {T[]} items */
  renderStates(items) {
    const { stateName = (/** @type {string} */ state) => state } = this.options;
    /** @type {Map<string, number>} */
    const numbers = new Map();
    for (const { state } of items) numbers.set(state, (numbers.get(state) ?? 0) + 1);
    // The filter of an address can name a state that no item has.
    if (this.filter.state && !numbers.has(this.filter.state)) numbers.set(this.filter.state, 0);
    const chip = (/** @type {string} */ state, /** @type {string} */ name, /** @type {number} */ number) =>
      el(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": this.filter.state === state,
          onclick: () => this.setFilter({ state }),
        },
        name,
        el("b", {}, number.toLocaleString("en")),
      );
    this.states.replaceChildren(
      chip("", "All", items.length),
      ...[...numbers].sort().map(([state, number]) => chip(state, stateName(state), number)),
    );
  }

  renderHead() {
    const headings = this.options.columns.map(({ key, heading }) => {
      const order = this.sort.key === key ? (this.sort.descending ? "descending" : "ascending") : "none";
      const button = el("button", { type: "button", onclick: () => this.sortBy(key) }, heading);
      return el("th", { role: "columnheader", scope: "col", class: key, "aria-sort": order }, button);
    });
    const box = this.selects ? [el("th", { role: "columnheader", scope: "col", class: "select" }, this.selectAll)] : [];
    this.head.replaceChildren(...box, ...headings);
  }

  /** @param {T} item */
  row(item) {
    const box = el("input", {
      type: "checkbox",
      value: item.name,
      checked: this.selected.has(item.name),
      "aria-label": `Select ${item.label || item.name}`,
      onchange: () => this.select([item], box.checked),
    });
    const cells = this.options.columns.map(({ key, heading, cell }, index) =>
      el(
        index ? "td" : "th",
        // On a narrow screen, a row is a card: CSS takes the roles of its elements, and the headings are in its cells.
        { role: index ? "cell" : "rowheader", scope: index ? null : "row", class: key, "data-heading": heading },
        cell(item, this.now),
      ),
    );
    return el(
      "tr",
      { id: item.name, role: "row", class: this.linked.has(item.name) ? "linked" : "" },
      this.selects && el("td", { role: "cell", class: "select" }, this.canSelect(item) && box),
      ...cells,
    );
  }

  /** @param {T[]} items */
  renderEmpty(items) {
    const { noun, empty } = this.options;
    this.scroll.hidden = this.matching.length === 0;
    this.empty.hidden = this.matching.length > 0;
    if (this.matching.length) return;
    if (items.length === 0) {
      this.empty.replaceChildren(el("h2", {}, `No ${noun}s`), el("p", {}, empty));
      return;
    }
    this.empty.replaceChildren(
      el("h2", {}, `No matching ${noun}s`),
      el("p", {}, `The search and the filters exclude ${count(items.length, noun)}.`),
      el("button", { type: "button", onclick: () => this.clearFilter() }, "Clear filters"),
    );
  }

  /**
   * @param {number} start - The index of the first visible item.
   * @param {number} visible - How many items are visible.
   * @param {number} lastPage
   */
  renderPager(start, visible, lastPage) {
    const { noun, summary } = this.options;
    this.pager.hidden = this.matching.length <= Math.min(...PAGE_SIZES);
    const pageSize = el(
      "select",
      {
        "aria-label": `${noun[0]?.toUpperCase()}${noun.slice(1)}s per page`,
        onchange: () => this.setPageSize(Number(pageSize.value)),
      },
      PAGE_SIZES.map((size) => el("option", { value: size, selected: size === this.pageSize }, `${size} per page`)),
    );
    const range = `${start + 1}–${start + visible} of ${count(this.matching.length, noun)}`;
    const turnButton = (/** @type {string} */ name, /** @type {-1 | 1} */ by, /** @type {boolean} */ disabled) =>
      el("button", { type: "button", disabled, onclick: () => this.turnPage(by) }, name);
    this.pager.replaceChildren(
      el("span", {}, summary ? `${range}, ${summary(this.matching)}` : range),
      pageSize,
      turnButton("Previous", -1, this.page === 0),
      turnButton("Next", 1, this.page === lastPage),
    );
  }

  /** @param {number} size */
  setPageSize(size) {
    this.pageSize = size;
    this.page = 0;
    this.render();
  }

  /** @param {-1 | 1} by */
  turnPage(by) {
    this.page += by;
    this.render();
    this.scroll.scrollTop = 0;
    const [previous, next] = this.pager.querySelectorAll("button");
    const [button, other] = by < 0 ? [previous, next] : [next, previous];
    // The button is disabled on the first and the last page; then the other one takes the focus.
    (button?.disabled ? other : button)?.focus();
  }
}

/** @param {string} sort */
function parseSort(sort) {
  return { key: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
}
