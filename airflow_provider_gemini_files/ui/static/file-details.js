// What is shown of a file when its row is opened. Some of it is not in the list and is loaded then.
import { pageLink } from "./address.js";
import { link, runUrl, taskUrl } from "./airflow.js";
import { getDetails, getXCom, getXComKeys } from "./api.js";
import { RUN_STATES, copyButton } from "./cells.js";
import { messageOf } from "./dialog.js";
import { el } from "./dom.js";
import { fileUses } from "./file-uses.js";
import { KINDS } from "./files.js";
import { bytes, dateTime, timeZone } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { Details, GeminiFile, Page } from "./types.js" */

/** The XCom keys in which tasks write the metadata of the files that they have uploaded. */
const KEYS = ["file", "files"];
const UNKNOWN = "Not known";

/**
 * @param {GeminiFile} file
 * @param {Pick<Page, "connection" | "addressOf">} page
 */
export function fileDetails(file, { connection, addressOf }) {
  const loaded = el("div", { class: "loaded" }, loading("Airflow's API server"));
  const from = el("dd", {}, loading("the XCom of the task"));
  load();
  loadOrigin();
  return el(
    "div",
    {},
    el(
      "dl",
      { class: "facts" },
      fact("Type", file.type ?? UNKNOWN),
      fact("Size", `${bytes(file.size)} (${file.size.toLocaleString("en")} bytes)`),
      fact("State", file.error ? `${file.state}: ${file.error}` : file.state),
      fact("Source", (file.source ?? UNKNOWN).toLowerCase()),
      fact(`Created (${timeZone()})`, file.created === null ? UNKNOWN : dateTime(file.created)),
      fact(`Expires (${timeZone()})`, file.expires === null ? "Never" : dateTime(file.expires)),
      el("div", {}, el("dt", {}, "Uploaded from"), from),
      fact("Owner", owner(file)),
    ),
    loaded,
    el("dl", { class: "long facts" }, fact("Used by tasks", fileUses(connection, file.name))),
  );

  async function load() {
    loaded.replaceChildren(loading("Airflow's API server"));
    try {
      loaded.replaceChildren(...facts(await getDetails(connection, file.name)));
    } catch (error) {
      const retry = el("button", { type: "button", class: "text", onclick: load }, "Retry");
      loaded.replaceChildren(el("p", { class: "words" }, `${messageOf(error)} `, retry));
    }
  }

  async function loadOrigin() {
    try {
      from.textContent = await originOf(file);
    } catch (error) {
      from.textContent = `${UNKNOWN}: ${messageOf(error)}`;
    }
  }

  /** @param {Details} details */
  function facts({ name, display_name, uri, sha256, deployment, jobs }) {
    const list = el(
      "dl",
      { class: "long facts" },
      fact("Name", copied(name)),
      fact("Display name", display_name ? copied(display_name) : "None"),
      fact("URI", uri ? copied(uri) : UNKNOWN),
      fact("SHA-256", sha256 ? copied(sha256) : UNKNOWN),
      deployment && fact("Airflow deployment", deployment),
      fact("Read by batch jobs", jobs === null ? UNKNOWN : jobs.length ? jobs.map(jobLink) : "None known"),
    );
    return [list];
  }

  /** @param {string} name */
  function jobLink(name) {
    return el(
      "div",
      {},
      pageLink(() => addressOf("batches", new URLSearchParams({ batch: name })), {}, name),
    );
  }
}

/**
 * Return where a file was uploaded from, which only the XCom of its task says.
 *
 * @param {GeminiFile} file
 */
async function originOf({ name, owner: task }) {
  if (!task || task.state === "gone" || task.state === "elsewhere") return UNKNOWN;
  const keys = await getXComKeys(task);
  for (const key of KEYS.filter((one) => keys.includes(one))) {
    const known = [await getXCom(task, key)].flat().find((file) => file?.name === name)?.uploaded_from;
    if (known) return known.complete ? known.uri : `${known.uri} (user and query are not kept)`;
  }
  return UNKNOWN;
}

/** @param {GeminiFile} file */
function owner({ owner: task, kind }) {
  if (!task) return KINDS[kind];
  const { dag, run, task: id, map, state } = task;
  const text = `${dag} › ${id}${map < 0 ? "" : ` [${map}]`}, run ${run} (${RUN_STATES[state].toLowerCase()})`;
  if (state === "elsewhere" || state === "gone") return text;
  return [text, el("div", { class: "links" }, link(taskUrl(task), "Open task"), link(runUrl(task), "Open run"))];
}

/**
 * @param {string} name
 * @param {Child | Child[]} value
 */
function fact(name, value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, value));
}

/** @param {string} text */
function copied(text) {
  return [el("code", {}, text), " ", copyButton(text)];
}

/** @param {string} what */
function loading(what) {
  return el("span", { class: "note" }, `Waiting for ${what}…`);
}
