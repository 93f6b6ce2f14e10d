// Which tasks have used a file. It loads by itself, as it is read from Airflow's database and not from the Gemini API.
import { link, taskUrl } from "./airflow.js";
import { ApiError, READ_SECONDS, getUses } from "./api.js";
import { messageOf } from "./dialog.js";
import { el } from "./dom.js";
import { count, dateTime } from "./format.js";

/** @import { Use, UseRow, UsesResponse } from "./types.js" */

const HOW = {
  model: "Asked a model",
  batch: "In a batch",
  maybe_batch: "Possibly in a batch, whose job reads files of this run",
  cache: "In a cache",
  store: "In a file search store",
};
const POLL_MILLISECONDS = 1000;
const NOT_KNOWN =
  "Not known: uses by earlier attempts, through other connections, by other tools, and those whose XCom is in object " +
  "storage.";

/**
 * @param {string} connection
 * @param {string} name - Of the file.
 */
export function fileUses(connection, name) {
  const element = el("div", { class: "uses" });
  load(false);
  return element;

  /** @param {boolean} retry */
  async function load(retry) {
    element.replaceChildren(note("Waiting for Airflow's database…"));
    try {
      element.replaceChildren(...shown(await loaded(connection, name, retry)));
    } catch (error) {
      const again = el("button", { type: "button", class: "text", onclick: () => load(true) }, "Retry");
      element.replaceChildren(el("p", {}, `${messageOf(error)} `, again));
    }
  }
}

/**
 * Return the uses once the API server has read them.
 *
 * @param {string} connection
 * @param {string} name
 * @param {boolean} retry
 */
async function loaded(connection, name, retry) {
  const deadline = Date.now() + READ_SECONDS * 1000;
  for (;;) {
    const response = await getUses(connection, name, retry);
    if (response.error) throw new ApiError(0, response.error.message);
    if (response.uses) return response;
    if (Date.now() > deadline) {
      throw new ApiError(0, `Airflow's database did not respond within ${READ_SECONDS} seconds.`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

/** @param {UsesResponse} response */
function shown({ uses, more, missing_before }) {
  const list = (uses ?? []).map(decode).map((use) => el("li", {}, row(use)));
  return [
    list.length > 0 ? el("ul", {}, list) : el("p", {}, "None known"),
    more > 0 && el("p", {}, `And ${count(more, "older use")}.`),
    missing_before !== null &&
      note(`XCom before ${dateTime(missing_before)} was not read: there are too many entries.`),
    note(NOT_KNOWN),
  ].filter((child) => child !== false);
}

/** @param {Use} use */
function row({ dag, run, task, map, state, at, how }) {
  const text = `${dag} › ${task}${map < 0 ? "" : ` [${map}]`}`;
  const told = `${HOW[how]} · ${(state ?? "no state").replaceAll("_", " ")} · ${dateTime(at)} · run ${run}`;
  return [link(taskUrl({ dag, run, task, map }), text), " ", el("small", {}, told)];
}

/**
 * @param {UseRow} values
 * @returns {Use}
 */
function decode([dag, run, task, map, state, at, how]) {
  return { dag, run, task, map, state, at, how };
}

/** @param {string} text */
function note(text) {
  return el("p", { class: "note" }, text);
}
