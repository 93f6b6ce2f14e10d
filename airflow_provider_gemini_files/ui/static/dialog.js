// Dialogs, and the list of files in them that are deleted in several requests.
import { el } from "./dom.js";
import { bytes, count } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { GeminiFile, Result } from "./types.js" */

/** Files in one request; the API server accepts up to 100. */
const BATCH_SIZE = 50;
/** Files that a list shows at first. Of the other files, it shows those that could not be deleted. */
const MAX_ROWS = 200;

/**
 * Open a dialog. Closing it returns the focus to the element that had it, or to the search if that element is gone.
 *
 * @param {string} title
 * @param {...Child} content
 */
export function openDialog(title, ...content) {
  const opener = document.activeElement;
  const heading = el("h2", { id: "dialog-title" }, title);
  const dialog = el("dialog", { "aria-labelledby": heading.id, onclose: onClose }, heading, ...content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;

  function onClose() {
    dialog.remove();
    const target = opener?.isConnected ? opener : document.querySelector("input[type=search]");
    if (target instanceof HTMLElement) target.focus();
  }
}

/**
 * Delete the files of a list. The dialog stays open until the user closes it, so that the results can be read.
 *
 * @param {DeletionList} list
 * @param {HTMLDialogElement} dialog
 * @param {HTMLButtonElement} closeButton
 * @param {(names: string[]) => Promise<Result[]>} send
 */
export async function run(list, dialog, closeButton, send) {
  // Closing the dialog with Escape would hide a deletion that is still running.
  const stayOpen = (/** @type {Event} */ event) => event.preventDefault();
  closeButton.disabled = true;
  dialog.addEventListener("cancel", stayOpen);
  await list.run(send);
  dialog.removeEventListener("cancel", stayOpen);
  closeButton.disabled = false;
  closeButton.textContent = "Close";
  closeButton.focus();
}

/** A table of files with a detail and the result of each. */
export class DeletionList {
  /**
   * @param {GeminiFile[]} files
   * @param {string} heading - The heading of the column with the details.
   * @param {(file: GeminiFile) => Child | Child[]} detail
   */
  constructor(files, heading, detail) {
    this.files = files;
    this.detail = detail;
    /** @type {Map<string, HTMLElement>} */
    this.resultCells = new Map();
    this.body = el("tbody");
    for (const file of files.slice(0, MAX_ROWS)) this.addRow(file);
    const hidden = Math.max(0, files.length - MAX_ROWS);
    this.more = el("p", { class: "words" }, hidden ? `and ${count(hidden, "more file")}` : "");
    this.status = el("p", { class: "words", role: "status" });
    this.progress = el("progress", { max: files.length, value: 0, hidden: true, "aria-label": "Files processed" });
    const headings = ["File", "Size", heading, "Result"].map((name) =>
      el("th", { scope: "col", class: name === "Size" ? "size" : "" }, name),
    );
    this.element = el(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Files to delete" },
      el("table", { class: "file-list" }, el("thead", {}, el("tr", {}, headings)), this.body),
    );
  }

  /** @param {GeminiFile} file */
  addRow(file) {
    const result = el("td", { class: "result" });
    this.resultCells.set(file.name, result);
    const label = el("span", { class: "name" }, file.label || "No display name");
    this.body.append(
      el(
        "tr",
        {},
        el("th", { scope: "row", class: "label" }, label, el("code", {}, file.name)),
        el("td", { class: "size" }, bytes(file.size)),
        el("td", {}, this.detail(file)),
        result,
      ),
    );
    return result;
  }

  /**
   * Send the names in batches and show the results.
   *
   * @param {(names: string[]) => Promise<Result[]>} send
   */
  async run(send) {
    this.progress.hidden = false;
    /** @type {Record<string, number>} */
    const counts = {};
    for (let start = 0; start < this.files.length; start += BATCH_SIZE) {
      const names = this.files.slice(start, start + BATCH_SIZE).map((file) => file.name);
      for (const result of await sendBatch(send, names)) {
        counts[result.outcome] = (counts[result.outcome] ?? 0) + 1;
        this.show(result);
      }
      this.progress.value = start + names.length;
      this.status.textContent = summary(counts);
    }
  }

  /** @param {Result} result */
  show({ name, outcome, error }) {
    const isGone = outcome === "deleted" || outcome === "gone";
    const file = this.files.find((candidate) => candidate.name === name);
    const cell = this.resultCells.get(name) ?? (isGone || !file ? null : this.addRow(file));
    if (!cell) return;
    const text = { deleted: "Deleted", gone: "Already gone", kept: "Kept", refused: "Refused" }[outcome] ?? "Failed";
    cell.classList.add(isGone ? "deleted" : "failed");
    cell.textContent = isGone ? text : `${text}: ${error}`;
  }
}

/**
 * @param {(names: string[]) => Promise<Result[]>} send
 * @param {string[]} names
 * @returns {Promise<Result[]>}
 */
async function sendBatch(send, names) {
  try {
    return await send(names);
  } catch (error) {
    return names.map((name) => ({ name, outcome: "failed", error: messageOf(error) }));
  }
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {Record<string, number>} counts */
function summary(counts) {
  const names = {
    deleted: "deleted",
    gone: "already gone",
    kept: "kept",
    refused: "refused by the service",
    failed: "failed",
  };
  const parts = Object.entries(names)
    .filter(([outcome]) => counts[outcome])
    .map(([outcome, name]) => `${counts[outcome]?.toLocaleString("en")} ${name}`);
  return `${parts.join(", ")}.`;
}
