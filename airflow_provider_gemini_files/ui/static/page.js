// The page: opens what its address names, loads it, and loads it again while the page is visible.
import { onAddress, pageLink, query, replaceAddress } from "./address.js";
import { newTab } from "./airflow.js";
import { batchView } from "./batch-view.js";
import { READ_SECONDS, getConnections } from "./api.js";
import { costView } from "./cost-view.js";
import { byId, el, keepFocus } from "./dom.js";
import { fileView } from "./file-view.js";
import { firstConnection } from "./first-use.js";
import { count, duration } from "./format.js";
import { errorNotice, notice, requestError } from "./notices.js";
import { overview } from "./overview.js";
import { documentView, storeView } from "./store-view.js";

/** @import { ListingResponse, Page, View } from "./types.js" */

const MIN_PAUSE_SECONDS = 2;
/** After a request that failed. */
const FAILED_PAUSE_SECONDS = 30;
/** Errors that no later request mends: the user is logged out, has no permission, or what is asked for is gone. */
const FINAL_ERRORS = ["logged_out", "forbidden", "missing"];
/** A request that takes longer is named. The API server itself waits up to five seconds for the Gemini API. */
const NAMED_SECONDS = 7;
const DEFAULT_CONNECTION = "gemini_default";
/** @type {Record<string, string>} What helps against an error, where its message does not say it. */
const HINTS = {
  api_key: "The API server calls the service itself, so it needs the key as well as the workers.",
  unreachable: "Check the host of the connection, and the network and the proxy of the API server.",
};
const FIRST_TAB = "files";
const TABS = { files: "Files", stores: "Stores", batches: "Batches", costs: "Costs", overview: "All connections" };

const main = byId("main");
let connection = query().get("conn_id") ?? "";
/** @type {Record<string, View>} */
let views = {};
/** @type {View | undefined} */
let view;
/** @type {ListingResponse | undefined} */
let response;
/** When the response arrived, by the clock of this browser, in milliseconds. */
let arrivedAt = 0;
/** @type {Map<View, {response: ListingResponse, arrivedAt: number}>} What was loaded last. */
const kept = new Map();
/** @type {number | undefined} */
let timer;
/** @type {number | undefined} Until the page says what it waits for. */
let slow;
/** How often something was loaded: only the response to the latest request is shown. */
let loads = 0;

async function start() {
  try {
    const ids = await named(getConnections());
    connection ||= ids[0] ?? DEFAULT_CONNECTION;
    showConnections(ids.includes(connection) ? ids : [connection, ...ids], connection);
  } catch (error) {
    showRequestError(error, start);
    return;
  }
  /** @type {Page} */
  const page = { connection, refresh, onChange, addressOf };
  views = {
    files: fileView(page),
    stores: storeView(page),
    documents: documentView(page),
    batches: batchView(page),
    costs: costView(page),
    overview: overview(page),
  };
  onAddress(open);
  await open();
}

/** Show what the address names. */
async function open() {
  const parameters = query();
  if ((parameters.get("conn_id") || connection) !== connection) {
    location.reload();
    return;
  }
  const opened = viewOf(parameters);
  if (opened !== view) {
    view?.hide();
    replaceNotices([]);
    showFirstUse(false);
  }
  view = opened;
  ({ response, arrivedAt } = kept.get(opened) ?? { response: undefined, arrivedAt: 0 });
  opened.restore(parameters);
  if (response) opened.show(response);
  showTabs();
  byId("connection").hidden = opened === views.overview;
  // The link that was followed is hidden with the view that it was in.
  if (document.activeElement?.closest("[hidden]")) focusTab();
  showAge();
  main.setAttribute("aria-busy", "true");
  await refresh();
}

/** @param {URLSearchParams} parameters */
function viewOf(parameters) {
  const given = parameters.get("tab") ?? "";
  const tab = Object.hasOwn(TABS, given) ? given : FIRST_TAB;
  return /** @type {View} */ (views[tab === "stores" && parameters.get("documents") ? "documents" : tab]);
}

/**
 * Return the address of a view.
 *
 * @param {string} name
 * @param {URLSearchParams} [parameters] - What is shown there; by default, what was shown when the user left it.
 */
function addressOf(name, parameters) {
  const { tab, parameters: left } = views[name] ?? {};
  const own = parameters ?? left?.() ?? [];
  return new URLSearchParams([["conn_id", connection], ...(tab && tab !== FIRST_TAB ? [["tab", tab]] : []), ...own]);
}

/** Keep the address up to date with what the user has changed. */
function onChange() {
  const name = Object.keys(views).find((candidate) => views[candidate] === view);
  if (name) replaceAddress(addressOf(name));
}

function showTabs() {
  const links = Object.entries(TABS).map(([tab, name]) =>
    pageLink(() => addressOf(tab), { "aria-current": view?.tab === tab ? "page" : null }, name),
  );
  keepFocus(byId("tabs"), () => byId("tabs").replaceChildren(...links));
}

function focusTab() {
  const current = document.querySelector("#tabs [aria-current]");
  if (current instanceof HTMLElement) current.focus();
}

/**
 * @param {string[]} ids
 * @param {string} current
 */
function showConnections(ids, current) {
  const select = el(
    "select",
    {
      onchange: () => location.assign(`?${new URLSearchParams({ conn_id: select.value, tab: view?.tab ?? "files" })}`),
    },
    ids.map((id) => el("option", { value: id, selected: id === current }, id)),
  );
  byId("connection").replaceChildren(el("span", {}, "Connection"), select);
}

async function refresh({ retry = false } = {}) {
  clearTimeout(timer);
  if (!view) return;
  loads += 1;
  const load = loads;
  try {
    const loaded = await named(view.load(retry));
    if (load !== loads) return;
    response = loaded;
    arrivedAt = Date.now();
    show(view, loaded);
    timer = setTimeout(refreshWhenVisible, 1000 * pauseAfter(loaded));
  } catch (error) {
    if (load !== loads) return;
    showRequestError(error, refresh);
    if (!FINAL_ERRORS.includes(requestError(error).kind)) {
      timer = setTimeout(refreshWhenVisible, 1000 * FAILED_PAUSE_SECONDS);
    }
  }
}

/**
 * Say what the page waits for while a request takes long.
 *
 * @template T
 * @param {Promise<T>} answer
 */
async function named(answer) {
  clearTimeout(slow);
  const own = setTimeout(() => {
    const words = `The page waits for Airflow's API server at ${location.origin}, for up to ${READ_SECONDS} seconds.`;
    replaceNotices([notice("", "Waiting", words)]);
  }, 1000 * NAMED_SECONDS);
  slow = own;
  try {
    return await answer;
  } finally {
    clearTimeout(own);
  }
}

/** @param {ListingResponse} loaded */
function pauseAfter({ loading, next_listing_at, now }) {
  return loading ? MIN_PAUSE_SECONDS : Math.max(MIN_PAUSE_SECONDS, next_listing_at - now);
}

function refreshWhenVisible() {
  if (document.hidden) addEventListener("visibilitychange", () => refresh(), { once: true });
  else refresh();
}

/**
 * @param {View} shown
 * @param {ListingResponse} loaded
 */
function show(shown, loaded) {
  const isLoaded = loaded.listed_at !== null;
  main.setAttribute("aria-busy", String(!isLoaded && loaded.loading));
  if (isLoaded && shown.keeps) kept.set(shown, { response: loaded, arrivedAt });
  if (isLoaded) shown.show(loaded);
  else shown.hide();
  showNotices(shown, loaded);
  showAge();
}

/**
 * @param {View} shown
 * @param {ListingResponse} loaded
 */
function showNotices({ noun, slow = "The Gemini API", whyMissing, missing }, { error, listed_at }) {
  const list = [];
  if (error) {
    const hints = [HINTS[error.kind], listed_at !== null && `The ${noun}s below are from the last successful refresh.`];
    const retry = () => refresh({ retry: true });
    list.push(
      errorNotice(error, `The ${noun}s could not be loaded`, hints.filter(Boolean).join(" "), connection, retry),
    );
  } else if (listed_at === null) {
    list.push(notice("", `Loading ${noun}s`, `${slow} is slow to respond. The page refreshes automatically.`));
  }
  const names = listed_at === null ? [] : missing();
  if (names.length) {
    const which = names.length === 1 ? names[0] : count(names.length, `linked ${noun}`);
    const why = `Possible reasons: ${whyMissing} after the last refresh. The page refreshes automatically.`;
    list.push(notice("", `${which} not found`, why));
  }
  replaceNotices(list);
  showFirstUse(error?.kind === "missing_connection" && listed_at === null);
}

/** @param {boolean} isNeeded */
function showFirstUse(isNeeded) {
  const section = byId("first-use");
  if (section.hidden !== isNeeded) return;
  section.replaceChildren(...(isNeeded ? [firstConnection(connection)] : []));
  section.hidden = !isNeeded;
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
  if (!response) {
    byId("age").textContent = "Loading…";
    return;
  }
  const { listed_at, now, loading } = response;
  const age = listed_at === null ? null : now - listed_at + (Date.now() - arrivedAt) / 1000;
  const words = age === null ? "Not loaded yet" : `Updated ${age < 3 ? "just now" : `${duration(age)} ago`}`;
  byId("age").textContent = loading ? `${words}, refreshing…` : words;
}

/**
 * @param {unknown} error
 * @param {() => void} retry
 */
function showRequestError(error, retry) {
  main.setAttribute("aria-busy", "false");
  replaceNotices([errorNotice(requestError(error), "The page could not be loaded", "", connection, () => retry())]);
  if (!response) byId("age").textContent = "";
}

byId("help").replaceChildren(newTab("docs", "Documentation"));
byId("refresh").addEventListener("click", () => refresh({ retry: true }));
setInterval(() => response && showAge(), 5000);
start();
