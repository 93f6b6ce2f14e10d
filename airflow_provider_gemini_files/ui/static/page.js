// The page: loads the files, shows them, and refreshes while the page is visible.
import { actions } from "./actions.js";
import { query } from "./airflow.js";
import { getConnections, getFiles } from "./api.js";
import { byId, el, keepFocus } from "./dom.js";
import { decode } from "./files.js";
import { count, duration } from "./format.js";
import { errorNotice, notice, requestError } from "./notices.js";
import { showReport } from "./report.js";
import { showStorage } from "./storage.js";
import { FileTable } from "./table.js";

/** @import { FilesResponse } from "./types.js" */

const MIN_PAUSE_SECONDS = 2;
const DEFAULT_CONNECTION = "gemini_default";

const main = byId("main");
const parameters = query();
/** @type {string | null} */
let connection = parameters.get("conn_id");
/** @type {FilesResponse | undefined} */
let response;
/** When the response arrived, by the clock of this browser, in milliseconds. */
let arrivedAt = 0;
/** @type {number | undefined} */
let timer;

const table = new FileTable(byId("files"), new Set(parameters.getAll("file")), (shown, selected) =>
  actions(shown, selected, connection ?? DEFAULT_CONNECTION, refresh),
);

async function start() {
  try {
    const ids = await getConnections();
    connection ??= ids[0] ?? DEFAULT_CONNECTION;
    showConnections(ids.includes(connection) ? ids : [connection, ...ids], connection);
  } catch (error) {
    showRequestError(error);
    return;
  }
  if (parameters.has("report")) showReport(byId("report"), parameters);
  await refresh();
}

/**
 * @param {string[]} ids
 * @param {string} current
 */
function showConnections(ids, current) {
  const select = el(
    "select",
    { onchange: () => location.assign(`?${new URLSearchParams({ conn_id: select.value })}`) },
    ids.map((id) => el("option", { value: id, selected: id === current }, id)),
  );
  byId("connection").replaceChildren("Connection ", select);
  byId("connection").hidden = false;
}

/** @param {{retry?: boolean}} options */
async function refresh({ retry = false } = {}) {
  clearTimeout(timer);
  try {
    response = await getFiles(connection ?? DEFAULT_CONNECTION, retry);
  } catch (error) {
    showRequestError(error);
    return;
  }
  arrivedAt = Date.now();
  show(response);
  const { loading, next_listing_at, now } = response;
  const pause = loading ? MIN_PAUSE_SECONDS : Math.max(MIN_PAUSE_SECONDS, next_listing_at - now);
  timer = setTimeout(refreshWhenVisible, 1000 * pause);
}

function refreshWhenVisible() {
  if (document.hidden) addEventListener("visibilitychange", () => refresh(), { once: true });
  else refresh();
}

/** @param {FilesResponse} shown */
function show(shown) {
  const files = shown.files.map(decode);
  const names = new Set(files.map((file) => file.name));
  const isLoaded = shown.listed_at !== null;
  main.setAttribute("aria-busy", String(!isLoaded && shown.loading));
  showNotices(shown, isLoaded ? [...table.linked].filter((name) => !names.has(name)) : []);
  showAge();
  if (!shown.usage) {
    byId("storage").hidden = byId("files").hidden = true;
    return;
  }
  const listing = { ...shown, files, usage: shown.usage };
  showStorage(byId("storage"), listing);
  table.show(listing);
}

/**
 * @param {FilesResponse} shown
 * @param {string[]} missing - The names of linked files that do not exist.
 */
function showNotices({ error, listed_at }, missing) {
  const list = [];
  if (error) {
    const hints = [
      error.kind === "api_key" && "The API server lists the files itself, so it needs the key as well as the workers.",
      listed_at !== null && "The files below are from the last successful refresh.",
    ];
    list.push(errorNotice(error, hints.filter(Boolean).join(" "), connection, () => refresh({ retry: true })));
  } else if (listed_at === null) {
    list.push(notice("", "Loading files", "The Gemini API is slow to respond. The page refreshes automatically."));
  }
  if (missing.length) {
    const which = missing.length === 1 ? missing[0] : count(missing.length, "linked file");
    list.push(
      notice(
        "",
        `${which} not found`,
        "Possible reasons: deleted, expired (48 hours after the upload), in the project of another connection, " +
          "or uploaded after the last refresh. The page refreshes automatically.",
      ),
    );
  }
  replaceNotices(list);
}

/**
 * Replace the notices if their texts have changed, because screen readers announce each replacement.
 *
 * @param {HTMLElement[]} list
 */
function replaceNotices(list) {
  const region = byId("notices");
  const textOf = (/** @type {Iterable<Node>} */ nodes) => [...nodes].map((node) => node.textContent).join("\n");
  if (textOf(list) !== textOf(region.children)) keepFocus(region, () => region.replaceChildren(...list));
}

function showAge() {
  if (!response) return;
  const { listed_at, now, loading } = response;
  const age = listed_at === null ? null : now - listed_at + (Date.now() - arrivedAt) / 1000;
  const words = age === null ? "Not loaded yet" : `Updated ${age < 3 ? "just now" : `${duration(age)} ago`}`;
  byId("age").textContent = loading ? `${words}, refreshing…` : words;
}

/** @param {unknown} error */
function showRequestError(error) {
  main.setAttribute("aria-busy", "false");
  const retry = () => (response ? refresh() : start());
  replaceNotices([errorNotice(requestError(error), "", connection, retry)]);
  if (!response) byId("age").textContent = "";
}

setInterval(showAge, 5000);
start();
