// The contents of table cells that several tables share.
import { airflowUrl, link, taskUrl } from "./airflow.js";
import { el } from "./dom.js";
import { dateTime, duration } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { Owner, TaskOwner } from "./types.js" */

export const RUN_STATES = {
  running: "Active",
  finished: "Finished",
  gone: "Not found",
  unknown: "State unknown",
  elsewhere: "Another deployment",
};

/**
 * Return the label and the name of an item.
 *
 * @param {{label: string, name: string}} item
 * @param {{wrap?: (label: string) => Child, short?: string}} options - What is shown of the label, such as a link, and of
 *   the name.
 */
export function nameCell({ label, name }, { wrap = (shown) => shown, short = name } = {}) {
  return [
    el("span", { class: "name", title: label || name }, wrap(label || "No display name")),
    el("code", { title: name }, short),
    copyButton(name),
  ];
}

/**
 * Return a button that copies the text of the code beside it.
 *
 * @param {string} name
 * @param {string} [what] - What it copies, for screen readers.
 */
export function copyButton(name, what = name) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}`, onclick }, "Copy");
  return button;

  async function onclick() {
    try {
      await navigator.clipboard.writeText(name);
      button.textContent = "Copied";
    } catch {
      // Without HTTPS, browsers give pages no clipboard: the name is selected for the user to copy.
      const code = button.parentElement?.querySelector("code");
      if (code) getSelection()?.selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}

/**
 * Return who owns a file or a job: a task instance.
 *
 * @param {{owner: Owner | null, shared?: boolean, kind?: string}} item
 * @returns {Child | Child[]}
 */
export function ownerCell({ owner, shared, kind }) {
  if (!owner) {
    const text = !shared ? "Other tool" : kind === "elsewhere" ? "Another deployment" : "Shared by all runs";
    const color = !shared ? "foreign" : kind === "elsewhere" ? "elsewhere" : "shared";
    return el("span", { class: `no-owner run ${color}` }, text);
  }
  const { run, state } = owner;
  const parts = taskParts(owner);
  return [
    state === "elsewhere"
      ? titled(el("span", { class: "task no-owner" }, parts))
      : titled(link(taskUrl(owner), ...parts)),
    el("small", { class: `run ${state}`, title: `${run}: ${RUN_STATES[state]}` }, `${RUN_STATES[state]} · ${run}`),
  ];
}

/**
 * Return what items are sorted by if they are sorted by their owners.
 *
 * @param {{owner: Owner | null, shared?: boolean}} item
 */
export function ownerOrder({ owner, shared }) {
  return owner ? `${owner.dag}\n${owner.run}\n${owner.task}` : shared ? "\uffff1" : "\uffff2";
}

/**
 * Return a task that keeps documents; null stands for another tool.
 *
 * @param {TaskOwner | null} owner
 */
export function taskOwner(owner) {
  if (!owner) return el("span", { class: "no-owner" }, "Other tool");
  const { dag, task, isHere } = owner;
  const parts = taskParts(owner);
  if (!isHere) return titled(el("span", { class: "task no-owner" }, parts), "Another deployment: ");
  const [d, t] = [dag, task].map(encodeURIComponent);
  return titled(link(airflowUrl(`dags/${d}/tasks/${t}`), ...parts));
}

/**
 * Return the name of a task in two parts: a narrow column cuts the first one, and never the map index.
 *
 * @param {{dag: string, task: string, map: number}} task
 */
function taskParts({ dag, task, map }) {
  const name = el("span", { class: "cut-end" }, `${dag} › ${task}`);
  if (map < 0) return [name];
  name.style.maxWidth = `calc(100% - ${String(map).length + 2.5}ch)`;
  return [name, ` [${map}]`];
}

/**
 * Let an element show its text on hover, because a narrow column cuts it.
 *
 * @template {HTMLElement} E
 * @param {E} element
 * @param {string} [before] - What precedes the text.
 */
function titled(element, before = "") {
  element.title = before + element.textContent;
  return element;
}

/**
 * Return the distance of a time from now.
 *
 * @param {number | null} time
 * @param {(time: number) => number} distance
 * @param {number} [soon] - A shorter distance is highlighted.
 */
export function timeCell(time, distance, soon = -Infinity) {
  if (time === null) return "–";
  const seconds = distance(time);
  return el("span", { class: seconds < soon ? "warning" : null, title: dateTime(time) }, duration(seconds));
}

/**
 * Return how long ago a time is.
 *
 * @param {number | null} time
 * @param {number} now
 */
export function agoCell(time, now) {
  if (time === null) return "–";
  if (now - time < 3) return el("span", { title: dateTime(time) }, "Just now");
  return [timeCell(time, (then) => now - then), " ago"];
}

/**
 * Return a state, and why it is so.
 *
 * @param {string} state
 * @param {string | null} [reason]
 */
export function stateCell(state, reason) {
  return [
    el("span", { class: `badge ${state.toLowerCase()}` }, state),
    reason && el("small", { class: "reason" }, reason),
  ];
}
