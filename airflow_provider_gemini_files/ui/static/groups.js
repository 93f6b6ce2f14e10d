// Files grouped by the Dag or the run that owns them, to see who fills the storage.
import { KINDS } from "./files.js";

/** @import { GeminiFile, Group } from "./types.js" */
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
 * @returns {Group[]}
 */
export function groupsOf(files, by) {
  const groups = new Map();
  for (const file of files) {
    const name = groupOf(file, by);
    const group = groups.get(name);
    if (group) group.push(file);
    else groups.set(name, [file]);
  }
  return [...groups].map(([name, members]) => summaryOf(name, members));
}

/**
 * @param {string} name
 * @param {GeminiFile[]} files
 * @returns {Group}
 */
function summaryOf(name, files) {
  const [first] = files;
  const expiring = files.flatMap(({ expires }) => (expires === null ? [] : [expires]));
  const created = files.flatMap(({ created: time }) => (time === null ? [] : [time]));
  // A Dag counts as active if one of its runs is, or could be.
  const active = /** @type {const} */ (["running", "unknown"]).find((one) => files.some((file) => file.kind === one));
  const kind = active ?? first?.kind ?? "foreign";
  return {
    name,
    label: first?.owner ? name.replace(" (elsewhere)", " (another deployment)") : KINDS[kind],
    state: kind,
    files: files.length,
    size: files.reduce((sum, { counted }) => sum + counted, 0),
    oldest: created.length ? Math.min(...created) : null,
    expires: expiring.length ? Math.min(...expiring) : null,
    text: name.toLowerCase(),
  };
}
