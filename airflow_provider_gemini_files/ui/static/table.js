// A table with filters, order, pages and selection. Only the rows of one page are in the document, so that it stays fast
// with thousands of items.
import { el, keepFocus } from "./dom.js";
import { saveCsv, saveJson } from "./export.js";
import { count } from "./format.js";
import { Pager } from "./pager.js";
import { TableFilters } from "./table-filters.js";

/** @import { Child } from "./dom.js" */
/** @import { Exported } from "./export.js" */
/** @import { FilterOptions } from "./table-filters.js" */
/** @import { Item } from "./types.js" */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} key - Also the class of its cells.
 * @property {string} heading
 * @property {(item: T) => string | number} order - What items are sorted by.
 * @property {(item: T, now: number) => Child | Child[]} cell
 * @property {(items: any[]) => boolean} [isNeeded] - Whether these items need the column; by default, it is always shown.
 */

/**
 * Items that have one row in common.
 *
 * @template {Item} T
 * @typedef {object} Group
 * @property {string} name - Unique, and the name of no item.
 * @property {string} label
 * @property {T[]} members
 */

/**
 * How matching items are grouped.
 *
 * @template {Item} T
 * @typedef {object} Grouping
 * @property {Column<any>[]} columns - Of its groups.
 * @property {string} sort - As that of the table.
 * @property {(items: T[]) => Group<T>[]} groups
 */

/**
 * @template {Item} T
 * @typedef {object} TableOptions
 * @property {Column<T>[]} columns - The cells of the first one are the headings of the rows.
 * @property {string} sort - The key of the column that the table is sorted by at first; a leading "-" is descending.
 * @property {Node[]} [tools] - What else is beside the search.
 * @property {(item: T) => HTMLElement} [details] - What is shown below the row of an item when it is opened.
 * @property {Child | Child[]} empty - When items appear, for a table without any.
 * @property {(items: T[]) => string} [summary] - Of the matching items, beside the pages.
 * @property {() => Node[]} [actions] - The content of the toolbar's right side.
 * @property {(selected: T[]) => Node[]} [selectionActions] - The buttons of the bar that says what is selected.
 * @property {(item: T) => boolean} [canSelect] - Whether an item can be selected; all can by default.
 * @property {(item: T) => Exported} [record] - What is exported of an item; there is no export without it.
 * @property {() => void} onChange - Called when filter or order have changed.
 */

/**
 * @template {Item} T
 * @typedef {TableOptions<T> & FilterOptions<T>} Options
 */

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
    /** @type {Grouping<T> | null} How these are grouped. */
    this.grouping = null;
    /** @type {(T | Group<T>)[]} Their rows on all pages: the items, or their groups. */
    this.listed = [];
    /** @type {T[]} The items that are on this page. */
    this.visible = [];
    /** @type {Map<HTMLInputElement, T[]>} The boxes of this page with the items that each selects. */
    this.boxes = new Map();
    /** @type {Set<string>} The names of the selected items. */
    this.selected = new Set();
    /** @type {Map<string, HTMLElement>} The details that are open, by the names of their items. */
    this.opened = new Map();
    /** @type {TableFilters<T>} */
    this.filters = new TableFilters(options, () => this.filtersChanged());
    this.sort = parseSort(options.sort);
    this.pager = new Pager(`Pages of ${options.noun}s`, () => this.pageChanged());
    const { noun, tools = [] } = options;
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
    // Only what scrolls sideways needs the keyboard.
    const scrolls = () => this.scroll.scrollWidth > this.scroll.clientWidth;
    new ResizeObserver(() => (this.scroll.tabIndex = scrolls() ? 0 : -1)).observe(this.scroll);
    this.empty = el("div", { class: "state", hidden: true });
    this.more = el("p", { class: "words", hidden: true });
    this.exporter = el("p", { class: "words", hidden: true });
    this.status = el("p", { class: "visually-hidden", role: "status" });
    const { states, search, fold, bar } = this.filters;
    const find = el("div", { class: "find" }, search, ...tools);
    this.toolbar = el("div", { class: "toolbar" }, states, find, fold, this.actionBar);
    this.selectedWords = el("span", { role: "status" });
    this.selectionButtons = el("span", { class: "selection-actions" });
    const attributes = { class: "selection", role: "region", "aria-label": `Selected ${noun}s`, hidden: true };
    this.selection = el("div", attributes, this.selectedWords, this.selectionButtons);
    const below = [this.pager.element, this.more, this.exporter, this.status, this.selection];
    section.replaceChildren(this.toolbar, bar, this.scroll, this.empty, ...below);
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
    const listed = new Set(items.map((item) => item.name));
    for (const name of this.opened.keys()) if (!listed.has(name)) this.opened.delete(name);
    this.render();
  }

  /**
   * Group what matches; the next call of `show` or `restore` renders it.
   *
   * @param {Grouping<T> | null} grouping - Null is one row for each item.
   */
  group(grouping) {
    if (this.grouping === grouping) return;
    this.grouping = grouping;
    this.sort = parseSort(this.layout.sort);
    this.pager.page = 0;
  }

  /**
   * Columns and first order of the rows.
   *
   * @returns {{columns: Column<any>[], sort: string}}
   */
  get layout() {
    return this.grouping ?? this.options;
  }

  /** Return the columns that are shown. */
  columns() {
    return this.layout.columns.filter(({ isNeeded }) => isNeeded?.(this.items ?? []) ?? true);
  }

  /**
   * Take filter and order from an address.
   *
   * @param {URLSearchParams} parameters
   */
  restore(parameters) {
    this.filters.restore(parameters);
    const sort = parseSort(parameters.get("sort") ?? "");
    const isColumn = this.layout.columns.some(({ key }) => key === sort.key);
    this.sort = isColumn ? sort : parseSort(this.layout.sort);
    this.pager.page = 0;
    this.render();
  }

  /** Return what `restore` reads, without what is so at first. */
  parameters() {
    const { key, descending } = this.sort;
    const sort = `${descending ? "-" : ""}${key}`;
    const all = { ...this.filters.parameters(), sort: sort === this.layout.sort ? "" : sort };
    return new URLSearchParams(Object.entries(all).filter(([, value]) => value));
  }

  filtersChanged() {
    this.pager.page = 0;
    this.render();
    this.status.textContent = `${this.numbers()} shown`;
    this.options.onChange();
  }

  pageChanged() {
    this.render();
    this.scroll.scrollTop = 0;
  }

  /** @param {string} key */
  sortBy(key) {
    this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
    this.pager.page = 0;
    this.render();
    this.options.onChange();
  }

  /**
   * @param {T[]} items
   * @param {boolean} isSelected
   */
  select(items, isSelected) {
    for (const item of items) if (this.canSelect(item)) this.selected[isSelected ? "add" : "delete"](item.name);
    this.renderBoxes();
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
    this.matching = this.sorted(this.filters.match(items, this.now), this.options.columns);
    const { grouping } = this;
    this.listed = grouping ? this.sorted(grouping.groups(this.matching), grouping.columns) : this.matching;
    const onPage = this.pager.rows(this.listed);
    this.visible = onPage.flatMap(membersOf);
    this.boxes.clear();
    this.filters.render(items);
    this.renderHead();
    this.body.replaceChildren(...onPage.flatMap((row) => this.rows(row)));
    this.renderBoxes();
    this.renderEmpty(items);
    const { noun, summary } = this.options;
    this.pager.render(this.grouping ? "group" : noun, summary?.(this.matching));
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
   * Return rows in the order that the user has chosen; linked items come first.
   *
   * @template {{name: string}} R
   * @param {R[]} rows
   * @param {Column<R>[]} columns
   */
  sorted(rows, columns) {
    const order = columns.find((column) => column.key === this.sort.key)?.order ?? (() => 0);
    const sign = this.sort.descending ? -1 : 1;
    return rows
      .map((row) => ({ row, rank: this.linked.has(row.name) ? 0 : 1, value: order(row) }))
      .sort((a, b) => a.rank - b.rank || (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
      .map(({ row }) => row);
  }

  /** Return how many items match, in how many groups. */
  numbers() {
    const items = count(this.matching.length, this.options.noun);
    return this.grouping ? `${items} in ${count(this.listed.length, "group")}` : items;
  }

  /** Check the box of each row whose items are all selected. */
  renderBoxes() {
    for (const [box, items] of this.boxes) {
      const chosen = items.filter((item) => this.selected.has(item.name)).length;
      box.checked = chosen === items.length;
      box.indeterminate = chosen > 0 && chosen < items.length;
    }
  }

  renderActions() {
    const { items, matching } = this;
    const chosenItems = (items ?? []).filter((item) => this.selected.has(item.name));
    const selected = this.sorted(chosenItems, this.options.columns);
    this.actionBar.replaceChildren(...(this.options.actions?.() ?? []));
    const selectable = matching.filter((item) => this.canSelect(item));
    const chosen = selectable.filter((item) => this.selected.has(item.name)).length;
    this.selectAll.disabled = selectable.length === 0;
    this.selectAll.checked = chosen > 0 && chosen === selectable.length;
    this.selectAll.indeterminate = chosen > 0 && chosen < selectable.length;
    keepFocus(this.selection, () => this.renderSelection(selected, selectable, chosen));
  }

  /**
   * Say what is selected, above all what is not visible.
   *
   * @param {T[]} selected
   * @param {T[]} selectable - Of the items that match the filter.
   * @param {number} chosen - How many of these are selected.
   */
  renderSelection(selected, selectable, chosen) {
    const { noun, summary, selectionActions } = this.options;
    this.selection.hidden = selected.length === 0;
    const { pages } = this.pager;
    const isAll = pages > 1 && chosen === selectable.length;
    const excluded = selected.length - chosen;
    const words = [
      isAll ? `All ${count(chosen, `matching ${noun}`)} on ${pages} pages are selected` : "",
      !isAll || excluded ? `${count(selected.length, noun)} selected` : "",
      excluded ? `${excluded.toLocaleString("en")} of them do not match the filters` : "",
    ].filter(Boolean);
    const ofPage = this.visible.filter((item) => this.canSelect(item));
    const button = (/** @type {string} */ text, /** @type {T[]} */ items) =>
      el("button", { type: "button", class: "text", onclick: () => this.selectOnly(items) }, text);
    this.selectedWords.textContent = `${words.join(", ")}${summary ? ` (${summary(selected)})` : ""}.`;
    this.selectionButtons.replaceChildren(
      isAll ? button(`Select only the ${ofPage.length} on this page`, ofPage) : "",
      button("Clear selection", []),
      ...(selectionActions?.(selected) ?? []),
    );
  }

  /** @param {T[]} items */
  selectOnly(items) {
    this.selected.clear();
    this.select(items, true);
    this.selectAll.focus({ preventScroll: true });
  }

  renderHead() {
    const headings = this.columns().map(({ key, heading }) => {
      const order = this.sort.key === key ? (this.sort.descending ? "descending" : "ascending") : "none";
      const button = el("button", { type: "button", onclick: () => this.sortBy(key) }, heading);
      return el("th", { role: "columnheader", scope: "col", class: key, "aria-sort": order }, button);
    });
    const box = this.selects ? [el("th", { role: "columnheader", scope: "col", class: "select" }, this.selectAll)] : [];
    this.head.replaceChildren(...box, ...headings);
  }

  /**
   * Return a row, and that of the item's details if they are open.
   *
   * @param {T | Group<T>} row
   */
  rows(row) {
    const details = this.opened.get(row.name);
    if (!details) return [this.row(row)];
    const cell = el("td", { role: "cell", colSpan: this.columns().length }, details);
    const box = this.selects && el("td", { role: "cell", class: "select" });
    return [this.row(row), el("tr", { role: "row", class: "details" }, box, cell)];
  }

  /** @param {T} item */
  toggle(item) {
    const { details } = this.options;
    if (!this.opened.delete(item.name) && details) this.opened.set(item.name, details(item));
    this.render();
  }

  /** @param {T | Group<T>} item */
  detailsButton(item) {
    if (!this.options.details || "members" in item) return null;
    const isOpen = this.opened.has(item.name);
    const label = `Details of ${item.label || item.name}`;
    const onclick = () => this.toggle(item);
    return el("button", { type: "button", class: "toggle", "aria-expanded": isOpen, "aria-label": label, onclick });
  }

  /** @param {T | Group<T>} item */
  row(item) {
    const members = membersOf(item).filter((member) => this.canSelect(member));
    const which = this.grouping ? `the ${count(members.length, this.options.noun)} of ` : "";
    const box = el("input", {
      type: "checkbox",
      value: item.name,
      "aria-label": `Select ${which}${item.label || item.name}`,
      onchange: () => this.select(members, box.checked),
    });
    if (members.length) this.boxes.set(box, members);
    const cells = this.columns().map(({ key, heading, cell }, index) =>
      el(
        index ? "td" : "th",
        // On a narrow screen, a row is a card: CSS takes the roles of its elements, and the headings are in its cells.
        { role: index ? "cell" : "rowheader", scope: index ? null : "row", class: key, "data-heading": heading },
        index ? null : this.detailsButton(item),
        cell(item, this.now),
      ),
    );
    return el(
      "tr",
      { id: item.name, role: "row", class: this.linked.has(item.name) ? "linked" : "" },
      this.selects && el("td", { role: "cell", class: "select" }, members.length > 0 && box),
      ...cells,
    );
  }

  /** @param {T[]} items */
  renderEmpty(items) {
    const { noun, empty } = this.options;
    this.toolbar.hidden = items.length === 0;
    this.scroll.hidden = this.matching.length === 0;
    this.empty.hidden = this.matching.length > 0;
    if (this.matching.length) return;
    if (items.length === 0) {
      const content = typeof empty === "string" ? el("p", {}, empty) : empty;
      this.empty.replaceChildren(el("div", {}, el("h2", {}, `No ${noun}s`), content));
      return;
    }
    this.empty.replaceChildren(
      el("h2", {}, `No matching ${noun}s`),
      el("p", {}, `The search and the filters exclude ${count(items.length, noun)}.`),
      el("button", { type: "button", onclick: () => this.filters.clear() }, "Clear filters"),
    );
  }
}

/** @param {string} sort */
function parseSort(sort) {
  return { key: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
}

/**
 * Return the items of a row.
 *
 * @template {Item} T
 * @param {T | Group<T>} row
 * @returns {T[]}
 */
function membersOf(row) {
  return "members" in row ? row.members : [row];
}
