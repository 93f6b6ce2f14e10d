// Files grouped by the Dag or the run that owns them, to see who fills the storage.
import { KINDS, total } from "./files.js";

/** @import { FileGroup, GeminiFile } from "./types.js" */
/** @typedef {"dag" | "run"} By */

/**
 * Return what identifies the group of a file. Ids have no spaces, so no id can be mistaken for another group.
 *
 * @param {GeminiFile} file
 * @param {By} by
 */
export function groupOf({ owner, kind }, by) {
  if (!owner) return `(${kind})`;
  const { dag, run, state } = owner;
  const ids = by === "dag" ? dag : `${dag} ${run}`;
  return state === "elsewhere" ? `${ids} (elsewhere)` : ids;
}

/**
 * Return the groups of files.
 *
 * @param {GeminiFile[]} files
 * @param {By} by
 * @returns {FileGroup[]}
 */
export function groupsOf(files, by) {
  const groups = new Map();
  for (const file of files) {
    const key = groupOf(file, by);
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  return [...groups].map(([key, members]) => summaryOf(key, members));
}

/**
 * @param {string} key
 * @param {GeminiFile[]} files
 * @returns {FileGroup}
 */
function summaryOf(key, files) {
  const [first] = files;
  const expiring = files.flatMap(({ expires }) => (expires === null ? [] : [expires]));
  const created = files.flatMap(({ created: time }) => (time === null ? [] : [time]));
  // A Dag counts as active if one of its runs is, or could be.
  const active = /** @type {const} */ (["running", "unknown"]).find((one) => files.some((file) => file.kind === one));
  const kind = active ?? first?.kind ?? "foreign";
  return {
    // The name of a Dag could be that of another element of the page.
    name: `group ${key}`,
    key,
    label: first?.owner ? key.replace(" (elsewhere)", " (another deployment)") : KINDS[kind],
    kind,
    members: files,
    size: total(files),
    oldest: created.length ? Math.min(...created) : null,
    expires: expiring.length ? Math.min(...expiring) : null,
  };
}
