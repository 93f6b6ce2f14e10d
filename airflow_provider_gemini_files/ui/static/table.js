// The table of files. Only the rows of one page are in the document, so that it stays fast with thousands of files.
import { link, taskUrl } from "./airflow.js";
import { el, keepFocus } from "./dom.js";
import { KINDS, select, total } from "./files.js";
import { bytes, count, dateTime, duration } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { Column } from "./files.js" */
/** @import { GeminiFile, Shown } from "./types.js" */

/** @type {[key: Column, heading: string][]} */
const COLUMNS = [
  ["label", "File"],
  ["owner", "Owner"],
  ["type", "Type"],
  ["size", "Size"],
  ["state", "State"],
  ["created", "Age"],
  ["expires", "Expires in"],
  ["source", "Source"],
];
const PAGE_SIZES = [25, 50, 100, 250];
/** Files that expire in less than this are highlighted. */
const SOON_SECONDS = 3600;
const RUN_STATES = {
  running: "Active",
  finished: "Finished",
  gone: "Not found",
  unknown: "State unknown",
  elsewhere: "Another deployment",
};

export class FileTable {
  /**
   * @param {HTMLElement} section
   * @param {Set<string>} linked - The names of the files that a link points to; they are shown first.
   * @param {(shown: Shown, selected: GeminiFile[]) => Node[]} actions - Returns the content of the toolbar's right side;
   *   called whenever the selection changes.
   */
  constructor(section, linked, actions) {
    this.section = section;
    this.linked = linked;
    this.actions = actions;
    /** @type {Shown | null} */
    this.shown = null;
    /** @type {GeminiFile[]} The files that match the filter. */
    this.matching = [];
    /** @type {Set<string>} The names of the selected files. */
    this.selected = new Set();
    this.filter = { text: "", state: "", kind: "" };
    /** @type {{key: Column, descending: boolean}} */
    this.sort = { key: "created", descending: false };
    this.page = 0;
    this.pageSize = 50;

    this.states = el("div", { class: "states", role: "group", "aria-label": "State" });
    this.search = el("input", {
      type: "search",
      placeholder: "Search name, Dag, run, task, type",
      "aria-label": "Search files",
      oninput: () => this.setFilter({ text: this.search.value }),
    });
    this.kind = el(
      "select",
      { "aria-label": "Owner", onchange: () => this.setFilter({ kind: this.kind.value }) },
      el("option", { value: "" }, "All owners"),
      Object.entries(KINDS).map(([kind, name]) => el("option", { value: kind }, name)),
    );
    this.actionBar = el("div", { class: "actions" });
    this.selectAll = el("input", {
      type: "checkbox",
      "aria-label": "Select all matching files",
      onchange: () => this.select(this.matching, this.selectAll.checked),
    });
    this.head = el("tr");
    this.body = el("tbody");
    this.scroll = el(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of files" },
      el("table", {}, el("caption", { class: "visually-hidden" }, "Files"), el("thead", {}, this.head), this.body),
    );
    this.empty = el("div", { class: "state", hidden: true });
    this.pager = el("nav", { class: "pager", "aria-label": "Pagination" });
    this.status = el("p", { class: "visually-hidden", role: "status" });
    const find = el("div", { class: "find" }, this.search, this.kind);
    const toolbar = el("div", { class: "toolbar" }, this.states, find, this.actionBar);
    section.replaceChildren(toolbar, this.scroll, this.empty, this.pager, this.status);
  }

  /**
   * Show files; filter, order, page and selection are kept.
   *
   * @param {Shown} shown
   */
  show(shown) {
    this.section.hidden = false;
    this.shown = shown;
    const names = new Set(shown.files.map((file) => file.name));
    this.selected = new Set([...this.selected].filter((name) => names.has(name)));
    this.render();
  }

  /** @param {Partial<typeof this.filter>} change */
  setFilter(change) {
    Object.assign(this.filter, change);
    this.page = 0;
    this.render();
    this.status.textContent = `${count(this.matching.length, "file")} shown`;
  }

  clearFilter() {
    this.search.value = this.kind.value = "";
    this.setFilter({ text: "", state: "", kind: "" });
    this.search.focus();
  }

  /** @param {Column} key */
  sortBy(key) {
    this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
    this.page = 0;
    this.render();
  }

  /**
   * @param {GeminiFile[]} files
   * @param {boolean} isSelected
   */
  select(files, isSelected) {
    for (const file of files) this.selected[isSelected ? "add" : "delete"](file.name);
    for (const box of this.body.querySelectorAll("input")) box.checked = this.selected.has(box.value);
    if (this.shown) this.renderActions(this.shown);
  }

  render() {
    const { shown } = this;
    if (shown) keepFocus(this.section, () => this.renderAll(shown));
  }

  /** @param {Shown} shown */
  renderAll(shown) {
    this.matching = select(shown.files, this.filter, this.sort, this.linked);
    const lastPage = Math.max(0, Math.ceil(this.matching.length / this.pageSize) - 1);
    this.page = Math.min(this.page, lastPage);
    const start = this.page * this.pageSize;
    const visible = this.matching.slice(start, start + this.pageSize);
    this.renderStates(shown);
    this.renderHead(shown);
    this.body.replaceChildren(...visible.map((file) => this.row(file, shown)));
    this.renderEmpty(shown);
    this.renderPager(start, visible.length, lastPage);
    this.renderActions(shown);
  }

  /** @param {Shown} shown */
  renderActions(shown) {
    this.actionBar.replaceChildren(
      ...this.actions(
        shown,
        shown.files.filter((file) => this.selected.has(file.name)),
      ),
    );
    const selected = this.matching.filter((file) => this.selected.has(file.name)).length;
    this.selectAll.checked = selected > 0 && selected === this.matching.length;
    this.selectAll.indeterminate = selected > 0 && selected < this.matching.length;
  }

  /** @param {Shown} shown */
  renderStates({ usage }) {
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
      chip("", "All", usage.files),
      ...Object.entries(usage.by_state).map(([state, number]) => chip(state, state, number)),
    );
  }

  /** @param {Shown} shown */
  renderHead({ can_edit }) {
    const headings = COLUMNS.map(([key, heading]) => {
      const order = this.sort.key === key ? (this.sort.descending ? "descending" : "ascending") : "none";
      const button = el("button", { type: "button", onclick: () => this.sortBy(key) }, heading);
      return el("th", { scope: "col", class: key, "aria-sort": order }, button);
    });
    const box = can_edit ? [el("th", { scope: "col", class: "select" }, this.selectAll)] : [];
    this.head.replaceChildren(...box, ...headings);
  }

  /**
   * @param {GeminiFile} file
   * @param {Shown} shown
   */
  row(file, { can_edit, now }) {
    const name = file.label || file.name;
    const box = el("input", {
      type: "checkbox",
      value: file.name,
      checked: this.selected.has(file.name),
      "aria-label": `Select ${name}`,
      onchange: () => this.select([file], box.checked),
    });
    const label = el("span", { class: "name", title: name }, file.label || "No display name");
    const state = el("span", { class: `badge ${file.state.toLowerCase()}` }, file.state);
    const reason = file.error && el("small", { class: "reason" }, file.error);
    return el(
      "tr",
      { id: file.name, class: this.linked.has(file.name) ? "linked" : "" },
      can_edit && el("td", { class: "select" }, box),
      el("th", { scope: "row", class: "label" }, label, el("code", {}, file.name)),
      el("td", { class: "owner" }, ownerCell(file)),
      el("td", { class: "type" }, file.type ?? "–"),
      el("td", { class: "size" }, bytes(file.size)),
      el("td", { class: "state" }, state, reason),
      timeCell("created", file.created, (time) => now - time),
      timeCell("expires", file.expires, (time) => time - now),
      el("td", { class: "source" }, (file.source ?? "–").toLowerCase()),
    );
  }

  /** @param {Shown} shown */
  renderEmpty({ files }) {
    this.scroll.hidden = this.matching.length === 0;
    this.empty.hidden = this.matching.length > 0;
    if (this.matching.length) return;
    if (files.length === 0) {
      const words = el("p", {}, "Files appear here within 30 seconds after their upload.");
      this.empty.replaceChildren(el("h2", {}, "No files"), words);
      return;
    }
    this.empty.replaceChildren(
      el("h2", {}, "No matching files"),
      el("p", {}, `The search and the filters exclude ${count(files.length, "file")}.`),
      el("button", { type: "button", onclick: () => this.clearFilter() }, "Clear filters"),
    );
  }

  /**
   * @param {number} start - The index of the first visible file.
   * @param {number} visible - How many files are visible.
   * @param {number} lastPage
   */
  renderPager(start, visible, lastPage) {
    this.pager.hidden = this.matching.length <= Math.min(...PAGE_SIZES);
    const pageSize = el(
      "select",
      { "aria-label": "Files per page", onchange: () => this.setPageSize(Number(pageSize.value)) },
      PAGE_SIZES.map((size) => el("option", { value: size, selected: size === this.pageSize }, `${size} per page`)),
    );
    const range = `${start + 1}–${start + visible} of ${count(this.matching.length, "file")}`;
    const turnButton = (/** @type {string} */ name, /** @type {-1 | 1} */ by, /** @type {boolean} */ disabled) =>
      el("button", { type: "button", disabled, onclick: () => this.turnPage(by) }, name);
    this.pager.replaceChildren(
      el("span", {}, `${range}, ${bytes(total(this.matching))}`),
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

/**
 * Return the content of a cell that shows who owns a file.
 *
 * @param {GeminiFile} file
 * @returns {Child | Child[]}
 */
export function ownerCell({ owner, shared }) {
  if (!owner) return el("span", { class: "no-owner" }, shared ? "Shared by all runs" : "Other tool");
  const { dag, run, task, map, state } = owner;
  return [
    link(taskUrl(owner), `${dag} › ${task}${map < 0 ? "" : ` [${map}]`}`),
    el("small", { class: `run ${state}`, title: `${run}: ${RUN_STATES[state]}` }, `${RUN_STATES[state]} · ${run}`),
  ];
}

/**
 * Return a cell with the distance of a time from now.
 *
 * @param {"created" | "expires"} column
 * @param {number | null} time
 * @param {(time: number) => number} distance
 */
function timeCell(column, time, distance) {
  if (time === null) return el("td", { class: column }, "–");
  const seconds = distance(time);
  const isSoon = column === "expires" && seconds < SOON_SECONDS;
  return el("td", { class: isSoon ? `${column} warning` : column, title: dateTime(time) }, duration(seconds));
}
