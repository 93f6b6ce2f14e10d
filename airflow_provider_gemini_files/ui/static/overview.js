// All connections, one row each. Each row loads by itself, so that a slow connection does not delay the others.
import { pageLink } from "./address.js";
import { getConnections, getSummary } from "./api.js";
import { agoCell } from "./cells.js";
import { byId, el } from "./dom.js";
import { bytes, count, percent } from "./format.js";
import { errorParts, requestError } from "./notices.js";
import { Table } from "./table.js";

/** @import { Column } from "./table.js" */
/** @import { ConnectionItem, Page, PageError, Summary, View } from "./types.js" */

/** Requests at the same time, so that many connections do not occupy the API server. */
const MAX_REQUESTS = 4;
const REFRESH_SECONDS = 30;
const RETRY_MILLISECONDS = 2000;

const STATES = { fine: "Fine", full: "Nearly full", loading: "Loading", error: "Error" };

/**
 * @param {Page} page
 * @returns {View}
 */
export function overview({ onChange }) {
  const section = byId("overview");
  /** @type {Map<string, ConnectionItem>} */
  let items = new Map();
  /** @type {{id: string, retry: boolean}[]} The requests that have not been sent yet. */
  let queue = [];
  let running = 0;
  /** @type {Set<string>} The connections that are asked for now, or in the queue. */
  const asked = new Set();
  /** @type {Map<string, number>} When connections that are still loading are asked for again. */
  const timers = new Map();
  let isShown = false;
  /** @type {Column<ConnectionItem>[]} */
  const columns = [
    {
      key: "label",
      heading: "Connection",
      order: ({ label }) => label,
      cell: ({ label }) =>
        el(
          "span",
          { class: "name" },
          pageLink(() => filesOf(label), {}, label),
        ),
    },
    { key: "state", heading: "State", order: ({ state }) => state, cell: stateOf },
    { key: "used", heading: "Used", order: (item) => item.summary?.usage?.share ?? -1, cell: used },
    {
      key: "free",
      heading: "Free",
      order: (item) => item.summary?.usage?.free_bytes ?? -1,
      cell: (item) => known(item, ({ usage }) => usage && bytes(usage.free_bytes)),
    },
    {
      key: "number",
      heading: "Files",
      order: (item) => item.summary?.usage?.files ?? -1,
      cell: (item) => known(item, ({ usage }) => usage?.files.toLocaleString("en")),
    },
    {
      key: "expiring",
      heading: "Expire in 24 h",
      order: (item) => item.summary?.expiring?.bytes ?? -1,
      cell: expiring,
    },
    { key: "jobs", heading: "Running jobs", order: (item) => item.summary?.running_jobs ?? -1, cell: jobs },
    {
      key: "read",
      heading: "Last read",
      order: (item) => -(item.summary?.listed_at ?? 0),
      cell: ({ summary }) => agoCell(summary?.listed_at ?? null, summary?.now ?? 0),
    },
  ];
  /** @type {Table<ConnectionItem>} */
  const table = new Table(section, {
    noun: "connection",
    columns,
    sort: "label",
    searched: "the id",
    stateNames: STATES,
    empty: "There is no connection of the type gemini.",
    onChange,
  });
  return {
    tab: "overview",
    noun: "connection",
    whyMissing: "",
    load,
    show: () => {
      isShown = true;
      render();
    },
    hide: () => {
      isShown = false;
      for (const { id } of queue) asked.delete(id);
      queue = [];
      section.hidden = true;
    },
    missing: () => [],
    restore: (parameters) => table.restore(parameters),
    parameters: () => table.parameters(),
  };

  /** @param {boolean} retry */
  async function load(retry) {
    const ids = await getConnections();
    items = new Map(ids.map((id) => [id, items.get(id) ?? itemOf(id, null, null)]));
    isShown = true;
    for (const id of ids) ask(id, retry);
    const now = Date.now() / 1000;
    return { now, listed_at: now, next_listing_at: now + REFRESH_SECONDS, loading: false, error: null };
  }

  /**
   * @param {string} id
   * @param {boolean} retry
   */
  function ask(id, retry = false) {
    if (asked.has(id)) return;
    asked.add(id);
    clearTimeout(timers.get(id));
    queue.push({ id, retry });
    sendNext();
  }

  async function sendNext() {
    const next = running < MAX_REQUESTS ? queue.shift() : undefined;
    if (!next) return;
    running += 1;
    const { id, retry } = next;
    const item = await read(id, retry);
    running -= 1;
    asked.delete(id);
    show(id, item);
    sendNext();
  }

  /**
   * @param {string} id
   * @param {boolean} retry
   */
  async function read(id, retry) {
    try {
      return itemOf(id, await getSummary(id, retry), null);
    } catch (error) {
      return itemOf(id, items.get(id)?.summary ?? null, requestError(error));
    }
  }

  /**
   * @param {string} id
   * @param {ConnectionItem} item
   */
  function show(id, item) {
    // The page knows connections that the user may not read.
    if (item.error?.kind === "forbidden") items.delete(id);
    else if (items.has(id)) items.set(id, item);
    if (!isShown) return;
    render();
    if (item.summary?.loading) {
      timers.set(
        id,
        setTimeout(() => isShown && ask(id), RETRY_MILLISECONDS),
      );
    }
  }

  function render() {
    table.show([...items.values()], 0);
  }

  /** @param {ConnectionItem} item */
  function stateOf({ label, state, error, summary }) {
    const name = STATES[/** @type {keyof typeof STATES} */ (state)];
    if (!error) {
      const isSlow = state === "loading" && summary;
      return [
        el("span", { class: `badge ${state}` }, name),
        isSlow && el("small", { class: "reason" }, "The Gemini API is slow to respond."),
      ];
    }
    const [title, actions] = errorParts(error, "The files could not be loaded", label, () => ask(label, true));
    return [
      el("span", { class: "badge failed" }, title),
      el("small", { class: "reason" }, error.message),
      el("p", { class: "notice-actions" }, actions),
    ];
  }
}

/** @param {string} id */
function filesOf(id) {
  return new URLSearchParams({ conn_id: id });
}

/**
 * @param {string} id
 * @param {Summary | null} summary
 * @param {PageError | null} requestFailure
 * @returns {ConnectionItem}
 */
function itemOf(id, summary, requestFailure) {
  const error = requestFailure ?? summary?.error ?? null;
  const { usage, high_watermark: high } = summary ?? { usage: null, high_watermark: 1 };
  const state = error ? "error" : !usage ? "loading" : usage.share >= high ? "full" : "fine";
  return { name: `connection ${id}`, label: id, state, summary, error, text: id.toLowerCase() };
}

/**
 * Return a cell of what is known of a connection.
 *
 * @template T
 * @param {ConnectionItem} item
 * @param {(summary: Summary) => T} of
 */
function known({ summary }, of) {
  return (summary && of(summary)) ?? "–";
}

/** @param {ConnectionItem} item */
function used({ summary }) {
  if (!summary?.usage) return "–";
  const { used_bytes, quota_bytes, share } = summary.usage;
  const isHigh = share >= summary.high_watermark;
  return [
    el("span", { class: isHigh ? "warning" : null }, bytes(used_bytes)),
    el("small", { class: "part" }, `${percent(share)} of ${bytes(quota_bytes)}`),
  ];
}

/** @param {ConnectionItem} item */
function expiring({ summary }) {
  if (!summary?.expiring) return "–";
  const { files, bytes: size } = summary.expiring;
  return files ? [bytes(size), el("small", { class: "part" }, count(files, "file"))] : "None";
}

/** @param {ConnectionItem} item */
function jobs({ summary, error }) {
  const failure = summary?.jobs_error;
  // If nothing can be read at all, the state says why.
  if (failure && !error) return el("small", { class: "reason" }, `Not known: ${failure.message}`);
  return summary?.running_jobs?.toLocaleString("en") ?? "–";
}
