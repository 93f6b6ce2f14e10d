// Dialogs, and the list of items in them that are changed in several requests.
import { el } from "./dom.js";
import { count } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { Result } from "./types.js" */

/** Items in one request; the API server accepts up to 100. */
const BATCH_SIZE = 50;
/** Items that a list shows at first. Of the others, it shows those that could not be changed. */
const MAX_ROWS = 200;
/** To change more items than this, the user has to type their number. */
const MAX_UNTYPED = 50;

/**
 * Open a dialog. Closing it returns the focus to the element that had it, or if that is gone, to the search or the tab.
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
    const others = ["section:not([hidden]) input[type=search]", "#tabs [aria-current]"];
    const targets = [opener, ...others.map((css) => document.querySelector(css))];
    const target = targets.find((element) => element?.isConnected && element.checkVisibility());
    if (target instanceof HTMLElement) target.focus();
  }
}

/**
 * Open a dialog that asks before items are changed, changes them, and shows the results.
 *
 * @template {{name: string, label: string}} T
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.words - What follows from it.
 * @param {string | null} question.warning
 * @param {string} question.action - The text of the button that confirms.
 * @param {string} question.dismiss - The text of the button that closes the dialog.
 * @param {ChangeList<T>} question.list
 * @param {(names: string[]) => Promise<Result[]>} question.send
 * @param {() => void} question.done - Called after items have been changed.
 */
export function openQuestion({ title, words, warning, action, dismiss, list, send, done }) {
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, dismiss);
  const confirm = el("button", { type: "button", class: "danger", onclick: onConfirm }, action);
  const typed = typedNumber(list.items.length, confirm);
  const dialog = openDialog(
    title,
    el("p", { class: "words" }, words),
    warning && el("p", { class: "words warning" }, warning),
    list.element,
    list.more,
    list.status,
    typed,
    el("footer", {}, list.progress, cancel, confirm),
  );
  cancel.focus({ preventScroll: true });

  async function onConfirm() {
    confirm.remove();
    typed?.remove();
    await run(list, dialog, cancel, send);
    done();
  }
}

/**
 * Return a field in which the user types the number of many items before a button can be pressed; null for a few items.
 *
 * @param {number} number
 * @param {HTMLButtonElement} button
 */
export function typedNumber(number, button) {
  if (number <= MAX_UNTYPED) return null;
  button.disabled = true;
  const input = el("input", { type: "text", inputMode: "numeric", autocomplete: "off", oninput });
  return el("label", { class: "typed" }, `Type ${number.toLocaleString("en")} to confirm `, input);

  function oninput() {
    // People write 5000 as 5,000, 5.000 or 5 000.
    button.disabled = input.value.replaceAll(/[\s,.]/g, "") !== String(number);
  }
}

/**
 * Change the items of a list. The user can stop after the batch that was sent. The dialog stays open until the
 * user closes it, so that the results can be read.
 *
 * @template {{name: string, label: string}} T
 * @param {ChangeList<T>} list
 * @param {HTMLDialogElement} dialog
 * @param {HTMLButtonElement} closeButton
 * @param {(names: string[]) => Promise<Result[]>} send
 */
export async function run(list, dialog, closeButton, send) {
  // Closing the dialog with Escape would hide a change that is still running.
  const stayOpen = (/** @type {Event} */ event) => event.preventDefault();
  const stop = el("button", { type: "button", onclick: onStop }, "Stop");
  closeButton.hidden = true;
  closeButton.before(stop);
  dialog.addEventListener("cancel", stayOpen);
  await list.run(send);
  dialog.removeEventListener("cancel", stayOpen);
  stop.remove();
  closeButton.hidden = false;
  closeButton.textContent = "Close";
  closeButton.focus();

  function onStop() {
    list.isStopped = true;
    stop.disabled = true;
    stop.textContent = "Stopping…";
  }
}

/**
 * What a list shows of its items, and of what became of them.
 *
 * @template T
 * @typedef {object} ListOptions
 * @property {string} noun - What an item is: "file".
 * @property {string} label - What the list is, for screen readers.
 * @property {{heading: string, key: string, cell: (item: T) => Child | Child[]}[]} columns - Besides the item's name and
 *   the result.
 * @property {Record<string, [text: string, isDone: boolean]>} outcomes - The text of each outcome, and whether nothing is
 *   left to do. All others are failures.
 */

/**
 * A table of items with the result of each.
 *
 * @template {{name: string, label: string}} T
 */
export class ChangeList {
  /**
   * @param {T[]} items
   * @param {ListOptions<T>} options
   */
  constructor(items, options) {
    this.items = items;
    this.options = options;
    const { noun, label, columns } = options;
    /** @type {Map<string, HTMLElement>} */
    this.resultCells = new Map();
    /** Whether the user wants no further batch to be sent. */
    this.isStopped = false;
    this.body = el("tbody");
    for (const item of items.slice(0, MAX_ROWS)) this.addRow(item);
    const hidden = Math.max(0, items.length - MAX_ROWS);
    this.more = el("p", { class: "words" }, hidden ? `and ${count(hidden, `more ${noun}`)}` : "");
    this.status = el("p", { class: "words", role: "status" });
    this.progress = el("progress", { max: items.length, value: 0, hidden: true, "aria-label": `${noun}s processed` });
    const heading = (/** @type {string} */ name, /** @type {string} */ key) =>
      el("th", { scope: "col", class: key }, name);
    const headings = [
      heading(
        noun.replace(/^./, (first) => first.toUpperCase()),
        "label",
      ),
      ...columns.map((column) => heading(column.heading, column.key)),
      heading("Result", "result"),
    ];
    this.element = el(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": label },
      el("table", { class: "file-list without-results" }, el("thead", {}, el("tr", {}, headings)), this.body),
    );
  }

  /** @param {T} item */
  addRow(item) {
    const result = el("td", { class: "result" });
    this.resultCells.set(item.name, result);
    const label = el("span", { class: "name" }, item.label || "No display name");
    this.body.append(
      el(
        "tr",
        {},
        el("th", { scope: "row", class: "label" }, label, el("code", {}, item.name)),
        ...this.options.columns.map(({ key, cell }) => el("td", { class: key }, cell(item))),
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
    this.element.querySelector("table")?.classList.remove("without-results");
    /** @type {Record<string, number>} */
    const counts = {};
    for (let start = 0; start < this.items.length && !this.isStopped; start += BATCH_SIZE) {
      const names = this.items.slice(start, start + BATCH_SIZE).map((item) => item.name);
      for (const result of await sendBatch(send, names)) {
        counts[result.outcome] = (counts[result.outcome] ?? 0) + 1;
        this.show(result);
      }
      this.progress.value = start + names.length;
      const left = this.items.length - this.progress.value;
      const stopped = this.isStopped && left ? ` Stopped: ${count(left, this.options.noun)} not processed.` : "";
      this.status.textContent = `${this.summary(counts)}${stopped}`;
    }
  }

  /** @param {Result} result */
  show({ name, outcome, error }) {
    const [text, isDone] = this.options.outcomes[outcome] ?? ["Failed", false];
    const item = this.items.find((candidate) => candidate.name === name);
    const cell = this.resultCells.get(name) ?? (isDone || !item ? null : this.addRow(item));
    if (!cell) return;
    cell.classList.add(isDone ? "done" : "failed");
    cell.textContent = isDone ? text : `${text}: ${error}`;
  }

  /** @param {Record<string, number>} counts */
  summary(counts) {
    const parts = Object.entries({ ...this.options.outcomes, failed: ["Failed"] })
      .filter(([outcome]) => counts[outcome])
      .map(([outcome, [text]]) => `${counts[outcome]?.toLocaleString("en")} ${text?.toLowerCase()}`);
    return `${parts.join(", ")}.`;
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
