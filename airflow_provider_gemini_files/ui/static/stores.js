// The file search stores and their documents as data.
import { decodeTask } from "./owners.js";

/** @import { DocumentRow, StoreRow, Store, StoreDocument } from "./types.js" */

/** The states of a store in the filter: the worst state of its documents. */
export const STORE_STATES = {
  ACTIVE: "All documents active",
  PENDING: "With pending documents",
  FAILED: "With failed documents",
  EMPTY: "Empty",
};

/**
 * Return the store of a row.
 *
 * @param {StoreRow} row
 * @returns {Store}
 */
export function decodeStore([name, label, [active, pending, failed], size, model, created, updated, owned]) {
  const owners = owned.map(decodeTask);
  const tasks = owners.flatMap((owner) => (owner ? [owner.dag, owner.task] : []));
  const total = active + pending + failed;
  return {
    name,
    label,
    state: failed ? "FAILED" : pending ? "PENDING" : total ? "ACTIVE" : "EMPTY",
    active,
    pending,
    failed,
    total,
    size,
    model,
    created,
    updated,
    owners,
    text: [name, label, model, ...tasks].join("\n").toLowerCase(),
  };
}

/**
 * Return the document of a row.
 *
 * @param {DocumentRow} row
 * @returns {StoreDocument}
 */
export function decodeDocument([name, label, state, size, type, source, updated, owned]) {
  const owner = decodeTask(owned);
  const text = [name, label, state, type, source, owner?.dag, owner?.task];
  return {
    name,
    label,
    state,
    size,
    type,
    source,
    updated,
    owner,
    text: text.filter(Boolean).join("\n").toLowerCase(),
  };
}
