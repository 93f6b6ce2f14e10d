// The table of files: what can be seen of it at once, so that thousands stay quick.
import { link, taskUrl } from "./airflow.js";
import { el, keepFocus } from "./dom.js";
import { KINDS, select, total } from "./files.js";
import { bytes, count, duration, moment } from "./format.js";

const COLUMNS = [
  ["label", "File"],
  ["owner", "Owner"],
  ["type", "Type"],
  ["size", "Size"],
  ["state", "State"],
  ["created", "Age"],
  ["expires", "Time left"],
  ["source", "Source"],
];
const PAGES = [25, 50, 100, 250];
const SOON_SECONDS = 3600;

export class FileTable {
  /** `actions` is what stands beside the search, made anew whenever the selection changes. */
  constructor(section, actions) {
    this.section = section;
    this.makeActions = actions;
    this.files = [];
    this.linked = new Set();
    this.selected = new Set();
    this.filter = { text: "", state: "", kind: "" };
    this.sort = { key: "created", descending: false };
    this.page = 0;
    this.size = 50;
    this.build();
  }

  build() {
    this.states = el("div", { class: "states", role: "group", "aria-label": "State" });
    this.search = el("input", {
      type: "search",
      placeholder: "Search name, Dag, run, task, type",
      "aria-label": "Search files",
      oninput: () => this.refine({ text: this.search.value }),
    });
    this.kind = el(
      "select",
      { "aria-label": "Owner", onchange: () => this.refine({ kind: this.kind.value }) },
      el("option", { value: "" }, "Any owner"),
      Object.entries(KINDS).map(([kind, name]) => el("option", { value: kind }, name)),
    );
    this.actions = el("div", { class: "actions" });
    this.head = el("tr");
    this.body = el("tbody");
    this.pager = el("nav", { class: "pager", "aria-label": "Pages" });
    this.empty = el("div", { class: "state", hidden: true });
    this.said = el("p", { class: "unseen", role: "status" });
    this.table = el(
      "table",
      {},
      el("caption", { class: "unseen" }, "Files of the connection"),
      el("thead", {}, this.head),
      this.body,
    );
    this.section.replaceChildren(
      el("div", { class: "toolbar" }, this.states, el("div", { class: "find" }, this.search, this.kind), this.actions),
      el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of files" }, this.table),
      this.empty,
      this.pager,
      this.said,
    );
  }

  /** Show files; filter, order, page and selection stay. */
  show({ files, now, usage, policy, may_change }) {
    this.section.hidden = false;
    Object.assign(this, { files, now, usage, policy, mayChange: may_change });
    const there = new Set(files.map((file) => file.name));
    this.selected = new Set([...this.selected].filter((name) => there.has(name)));
    this.render();
  }

  refine(change) {
    Object.assign(this.filter, change);
    this.page = 0;
    this.render();
    this.said.textContent = `${count(this.rows.length, "file")} shown`;
  }

  orderBy(key) {
    this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
    this.page = 0;
    this.render();
  }

  chosen() {
    return this.files.filter((file) => this.selected.has(file.name));
  }

  render() {
    keepFocus(this.section, () => this.renderAll());
  }

  renderAll() {
    this.rows = select(this.files, this.filter, this.sort, this.linked);
    const last = Math.max(0, Math.ceil(this.rows.length / this.size) - 1);
    this.page = Math.min(this.page, last);
    this.seen = this.rows.slice(this.page * this.size, (this.page + 1) * this.size);
    this.renderStates();
    this.renderHead();
    this.body.replaceChildren(...this.seen.map((file) => this.row(file)));
    this.renderEmpty();
    this.renderPager(last);
    this.renderActions();
  }

  renderActions() {
    this.actions.replaceChildren(...this.makeActions(this));
    const box = this.head.querySelector("input");
    if (!box) return;
    const some = this.rows.filter((file) => this.selected.has(file.name)).length;
    box.checked = some > 0 && some === this.rows.length;
    box.indeterminate = some > 0 && some < this.rows.length;
  }

  renderStates() {
    const chip = (state, name, number) =>
      el(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": this.filter.state === state,
          onclick: () => this.refine({ state }),
        },
        name,
        el("b", {}, number.toLocaleString("en")),
      );
    this.states.replaceChildren(
      chip("", "All", this.usage.files),
      ...Object.entries(this.usage.by_state).map(([state, number]) => chip(state, state, number)),
    );
  }

  renderHead() {
    const cells = COLUMNS.map(([key, name]) => {
      const on = this.sort.key === key;
      const order = on ? (this.sort.descending ? "descending" : "ascending") : "none";
      return el(
        "th",
        { scope: "col", class: key, "aria-sort": order },
        el("button", { type: "button", onclick: () => this.orderBy(key) }, name),
      );
    });
    const all = el("input", {
      type: "checkbox",
      "aria-label": "Select all files that match",
      onchange: () => this.choose(this.rows, all.checked),
    });
    this.head.replaceChildren(...(this.mayChange ? [el("th", { scope: "col", class: "select" }, all)] : []), ...cells);
  }

  choose(files, on) {
    for (const file of files) this.selected[on ? "add" : "delete"](file.name);
    for (const box of this.body.querySelectorAll("input")) box.checked = this.selected.has(box.value);
    this.renderActions();
  }

  row(file) {
    const left = file.expires === null ? null : file.expires - this.now;
    const box =
      this.mayChange &&
      el("input", {
        type: "checkbox",
        value: file.name,
        checked: this.selected.has(file.name),
        "aria-label": `Select ${file.label || file.name}`,
        onchange: () => this.choose([file], box.checked),
      });
    return el(
      "tr",
      { id: file.name, class: this.linked.has(file.name) ? "linked" : "" },
      box && el("td", { class: "select" }, box),
      el(
        "th",
        { scope: "row", class: "label" },
        el("span", { class: "name", title: file.label || file.name }, file.label || "(no display name)"),
        el("code", {}, file.name),
      ),
      el("td", { class: "owner" }, owner(file)),
      el("td", { class: "type" }, file.type ?? "–"),
      el("td", { class: "size" }, bytes(file.size)),
      el(
        "td",
        { class: "state" },
        el("span", { class: `badge ${file.state.toLowerCase()}` }, file.state),
        file.error && el("small", { class: "reason" }, file.error),
      ),
      el(
        "td",
        { class: "created", title: file.created === null ? "" : moment(file.created) },
        file.created === null ? "–" : duration(this.now - file.created),
      ),
      el(
        "td",
        {
          class: left !== null && left < SOON_SECONDS ? "expires soon" : "expires",
          title: left === null ? "" : moment(file.expires),
        },
        left === null ? "–" : duration(left),
      ),
      el("td", { class: "source" }, (file.source ?? "–").toLowerCase()),
    );
  }

  renderEmpty() {
    this.table.parentElement.hidden = this.rows.length === 0;
    this.empty.hidden = this.rows.length > 0;
    if (this.rows.length) return;
    const nothing = this.files.length === 0;
    this.empty.replaceChildren(
      el("h2", {}, nothing ? "The store is empty" : "No file is like that"),
      el(
        "p",
        {},
        nothing
          ? "What a task uploads shows up here within half a minute."
          : `None of ${count(this.files.length, "file")} matches.`,
      ),
      nothing ? "" : el("button", { type: "button", onclick: () => this.reset() }, "Show all files"),
    );
  }

  reset() {
    this.search.value = this.kind.value = "";
    this.refine({ text: "", state: "", kind: "" });
    this.search.focus();
  }

  renderPager(last) {
    this.pager.hidden = this.rows.length <= PAGES[0];
    const turn = (by) => {
      this.page += by;
      this.render();
      this.table.parentElement.scrollTop = 0;
      const button = this.pager.querySelector(by < 0 ? ".back" : ".on");
      (button.disabled ? this.pager.querySelector("button:enabled") : button)?.focus();
    };
    const size = el(
      "select",
      {
        "aria-label": "Files on a page",
        onchange: () => ((this.size = Number(size.value)), (this.page = 0), this.render()),
      },
      PAGES.map((number) => el("option", { value: number, selected: number === this.size }, `${number} on a page`)),
    );
    const from = this.page * this.size;
    this.pager.replaceChildren(
      el(
        "span",
        {},
        `${from + 1}–${from + this.seen.length} of ${count(this.rows.length, "file")}, ${bytes(total(this.rows))}`,
      ),
      size,
      el("button", { type: "button", class: "back", disabled: this.page === 0, onclick: () => turn(-1) }, "Previous"),
      el("button", { type: "button", class: "on", disabled: this.page === last, onclick: () => turn(1) }, "Next"),
    );
  }
}

export function owner(file) {
  if (!file.owner) return el("span", { class: "nobody" }, file.shared ? "shared by all runs" : "another tool");
  const { dag, run, task, map, state } = file.owner;
  const words = { running: "under way", finished: "ended", gone: "no longer known", unknown: "state unknown" }[state];
  return [
    link(taskUrl(file.owner), `${dag} › ${task}${map < 0 ? "" : ` [${map}]`}`),
    el("small", { class: `run ${state}`, title: `${run}: ${words}` }, `${words} · ${run}`),
  ];
}
