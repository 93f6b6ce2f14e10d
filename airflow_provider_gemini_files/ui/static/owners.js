// The owners of items as data; see `owners.py` and `stores.py`.

/** @import { FileOwnerRow, Owner, OwnerRow, TaskOwner, TaskOwnerRow } from "./types.js" */

/**
 * @param {OwnerRow | null} row
 * @returns {Owner | null}
 */
export function decodeOwner(row) {
  if (!row) return null;
  const [dag, run, task, map, state] = row;
  return { dag, run, task, map, state };
}

/**
 * @param {FileOwnerRow | undefined} row
 * @param {number} map
 * @returns {Owner | null}
 */
export function decodeFileOwner(row, map) {
  if (!row) return null;
  const [dag, run, task, state] = row;
  return { dag, run, task, map, state };
}

/**
 * @param {TaskOwnerRow | null} row
 * @returns {TaskOwner | null}
 */
export function decodeTask(row) {
  if (!row) return null;
  const [dag, task, map, isHere] = row;
  return { dag, task, map, isHere };
}
