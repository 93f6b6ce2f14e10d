// The files as data: decoded, filtered, sorted.

/** @import { FileRow, GeminiFile, Kind, Owner, RunState } from "./types.js" */
/** @typedef {"label" | "owner" | "type" | "size" | "state" | "created" | "expires" | "source"} Column */

/**
 * The kinds of owners, in the order in which they are shown.
 *
 * @type {Record<Kind, string>}
 */
export const KINDS = {
  running: "Active runs",
  finished: "Finished runs",
  shared: "Shared by all runs",
  foreign: "Other tools",
};

/** @type {Record<RunState, Kind>} */
const KIND_OF_RUN = {
  running: "running",
  unknown: "running",
  finished: "finished",
  gone: "finished",
  elsewhere: "foreign",
};

/**
 * Return the file of a row.
 *
 * @param {FileRow} row
 * @returns {GeminiFile}
 */
export function decode([name, label, owned, shared, type, size, state, created, expires, source, error]) {
  const owner = owned && decodeOwner(owned);
  const kind = owner ? KIND_OF_RUN[owner.state] : shared ? "shared" : "foreign";
  const text = [name, label, owner?.dag, owner?.run, owner?.task, type, state, source];
  return {
    name,
    label,
    owner,
    shared,
    type,
    size,
    state,
    created,
    expires,
    source,
    error,
    kind,
    // Registered files stay in Cloud Storage and do not count towards the quota.
    counted: source === "REGISTERED" ? 0 : size,
    text: text.filter(Boolean).join("\n").toLowerCase(),
  };
}

/**
 * @param {[string, string, string, number, RunState]} owner
 * @returns {Owner}
 */
function decodeOwner([dag, run, task, map, state]) {
  return { dag, run, task, map, state };
}

/** @type {Record<Column, (file: GeminiFile) => string | number>} */
const SORT_KEYS = {
  label: (file) => (file.label || file.name).toLowerCase(),
  owner: ({ owner, shared }) => (owner ? `${owner.dag}\n${owner.run}\n${owner.task}` : shared ? "\uffff1" : "\uffff2"),
  type: (file) => file.type ?? "",
  size: (file) => file.size,
  state: (file) => file.state,
  created: (file) => -(file.created ?? 0),
  expires: (file) => file.expires ?? Infinity,
  source: (file) => file.source ?? "",
};

/**
 * Return the files that match a filter, sorted; linked files come first.
 *
 * @param {GeminiFile[]} files
 * @param {{text: string, state: string, kind: string}} filter - Empty strings match everything.
 * @param {{key: Column, descending: boolean}} sort
 * @param {Set<string>} linked - The names of the linked files.
 */
export function select(files, { text, state, kind }, { key, descending }, linked) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const sortKey = SORT_KEYS[key];
  const sign = descending ? -1 : 1;
  return files
    .filter((file) => (!state || file.state === state) && (!kind || file.kind === kind))
    .filter((file) => words.every((word) => file.text.includes(word)))
    .map((file) => ({ file, rank: linked.has(file.name) ? 0 : 1, value: sortKey(file) }))
    .sort((a, b) => a.rank - b.rank || (a.value < b.value ? -sign : a.value > b.value ? sign : 0))
    .map(({ file }) => file);
}

/**
 * Return how many bytes of the quota files use.
 *
 * @param {GeminiFile[]} files
 */
export function total(files) {
  return files.reduce((sum, file) => sum + file.counted, 0);
}
