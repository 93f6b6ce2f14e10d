// The batch jobs as data.
import { decodeOwner } from "./owners.js";

/** @import { Job, JobRow } from "./types.js" */

/**
 * Return the job of a row.
 *
 * @param {JobRow} row
 * @returns {Job}
 */
export function decodeJob([name, label, owned, state, hasEnded, model, counts, created, ended, input, output, error]) {
  const owner = decodeOwner(owned);
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
