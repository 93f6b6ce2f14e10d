// The files as data.
import { decodeFileOwner } from "./owners.js";

/** @import { FilesPart, FileRow, GeminiFile, Kind, RunState } from "./types.js" */

/**
 * The kinds of owners, in the order in which they are shown.
 *
 * @type {Record<Kind, string>}
 */
export const KINDS = {
  running: "Active runs",
  finished: "Finished runs",
  shared: "Shared by all runs",
  unknown: "Runs of unknown state",
  elsewhere: "Other deployments",
  foreign: "Other tools",
};

/** @type {Record<RunState, Kind>} */
const KIND_OF_RUN = {
  running: "running",
  unknown: "unknown",
  finished: "finished",
  gone: "finished",
  elsewhere: "elsewhere",
};

/**
 * Return the files of a part of a listing.
 *
 * @param {FilesPart} part
 */
export function decodePart({ owners, files }) {
  return files.map((row) => decode(row, owners));
}

/**
 * @param {FileRow} row
 * @param {FilesPart["owners"]} owners
 * @returns {GeminiFile}
 */
function decode([position, map, id, label, shared, type, size, state, created, expires, source, error], owners) {
  const owner = decodeFileOwner(position === null ? undefined : owners[position], map);
  const kind = owner ? KIND_OF_RUN[owner.state] : (shared ?? "foreign");
  const name = `files/${id}`;
  const text = [name, label, owner?.dag, owner?.run, owner?.task, type, state, source];
  return {
    name,
    label,
    owner,
    shared: shared !== null,
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
