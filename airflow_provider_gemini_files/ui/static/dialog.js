// Dialogs: opened, closed, and the list in them whose files are dealt with one request after the other.
import { el } from "./dom.js";
import { bytes, count } from "./format.js";

/** Files of one request; the API server takes up to 100. */
const AT_ONCE = 50;
/** Files that a list shows beforehand; of the others, what could not be deleted. */
const SHOWN = 200;

/** Open a dialog; whoever closes it gets back to where they were, or to the search where that is not there any more. */
export function open(title, ...content) {
  const opener = document.activeElement;
  const heading = el("h2", { id: "dialog-title" }, title);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose: leave }, heading, ...content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;

  function leave() {
    dialog.remove();
    (opener.isConnected ? opener : document.querySelector("input[type=search]")).focus();
  }
}

/** A list of files, what speaks about each, and what becomes of it. */
export class Worklist {
  constructor(files, about) {
    this.files = files;
    this.about = about;
    this.cells = new Map();
    this.body = el("tbody");
    for (const file of files.slice(0, SHOWN)) this.add(file);
    this.more = el(
      "p",
      { class: "words" },
      files.length > SHOWN ? `and ${count(files.length - SHOWN, "more file")}` : "",
    );
    this.said = el("p", { class: "words", role: "status" });
    this.progress = el("progress", { max: files.length, value: 0, hidden: true, "aria-label": "Files dealt with" });
    const head = ["File", "Size", "", ""].map((name, column) =>
      el(
        "th",
        { scope: "col", class: name.toLowerCase() },
        name || el("span", { class: "unseen" }, column === 2 ? "Why" : "Outcome"),
      ),
    );
    this.element = el(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Files to be deleted" },
      el("table", { class: "worklist" }, el("thead", {}, el("tr", {}, head)), this.body),
    );
  }

  add(file) {
    const outcome = el("td", { class: "outcome" });
    this.cells.set(file.name, outcome);
    this.body.append(
      el(
        "tr",
        {},
        el(
          "th",
          { scope: "row", class: "label" },
          el("span", { class: "name" }, file.label || "(no display name)"),
          el("code", {}, file.name),
        ),
        el("td", { class: "size" }, bytes(file.size)),
        el("td", {}, this.about(file)),
        outcome,
      ),
    );
  }

  /** Send the names, some at a time; tell what became of each. */
  async run(send) {
    this.progress.hidden = false;
    const counts = {};
    for (let from = 0; from < this.files.length; from += AT_ONCE) {
      const some = this.files.slice(from, from + AT_ONCE);
      let results;
      try {
        results = await send(some.map((file) => file.name));
      } catch (error) {
        results = some.map(({ name }) => ({ name, outcome: "failed", error: error.message }));
      }
      for (const result of results) this.tell(result, counts);
      this.progress.value = from + some.length;
      this.said.textContent = words(counts);
    }
  }

  tell({ name, outcome, error }, counts) {
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    const well = outcome === "deleted" || outcome === "gone";
    if (!this.cells.has(name) && well) return;
    if (!this.cells.has(name)) this.add(this.files.find((file) => file.name === name));
    const cell = this.cells.get(name);
    cell.classList.add(well ? "deleted" : "failed");
    cell.textContent =
      { deleted: "deleted", gone: "was gone already", kept: `kept: ${error}` }[outcome] ?? `${outcome}: ${error}`;
  }
}

function words(counts) {
  const names = {
    deleted: "deleted",
    gone: "gone already",
    kept: "kept",
    refused: "refused by the service",
    failed: "failed",
  };
  return (
    Object.entries(names)
      .filter(([outcome]) => counts[outcome])
      .map(([outcome, name]) => `${counts[outcome].toLocaleString("en")} ${name}`)
      .join(", ") + "."
  );
}
