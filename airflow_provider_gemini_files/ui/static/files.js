// The files as data.
import { decodeOwner } from "./owners.js";

/** @import { FileRow, GeminiFile, Kind, RunState } from "./types.js" */

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
  const owner = decodeOwner(owned);
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
 * Return how many bytes of the quota files use.
 *
 * @param {GeminiFile[]} files
 */
export function total(files) {
  return files.reduce((sum, file) => sum + file.counted, 0);
}
