// The batch jobs as data.
import { decodeOwner } from "./owners.js";

/** @import { BatchesPart, Job, JobRow } from "./types.js" */

/**
 * Return the jobs of a part of a listing.
 *
 * @param {BatchesPart} part
 */
export function decodePart({ owners, batches }) {
  return batches.map((row) => decode(row, owners));
}

/**
 * @param {JobRow} row
 * @param {BatchesPart["owners"]} owners
 * @returns {Job}
 */
function decode([position, name, label, state, hasEnded, model, counts, created, ended, input, output, error], owners) {
  const owner = decodeOwner(position === null ? null : (owners[position] ?? null));
  const text = [name, label, owner?.dag, owner?.run, owner?.task, state, model, input, output];
  return {
    name,
    label,
    owner,
    state,
    hasEnded,
    model,
    counts: counts && decodeCounts(counts),
    created,
    ended,
    input,
    output,
    error,
    text: text.filter(Boolean).join("\n").toLowerCase(),
  };
}

/** @param {[number, number, number, number]} counts */
function decodeCounts([total, successful, failed, pending]) {
  return { total, successful, failed, pending };
}
