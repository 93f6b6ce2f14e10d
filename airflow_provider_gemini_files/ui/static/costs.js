// What calls have spent, as data and as words.
import { percent } from "./format.js";

/** @import { CostItem, CostRow, Costs } from "./types.js" */

/** The states in the filter. */
export const STATES = { succeeded: "All succeeded", failed: "Failed, but paid" };

/** What a cost begins with; see `Bound` in `report.py`. */
const BOUNDS = { exact: "", "at least": "At least ", "at most": "At most ", about: "About " };

/**
 * Return the item of a row.
 *
 * @param {CostRow} row
 * @returns {CostItem}
 */
export function itemOf(row) {
  const { dag_id, task_id, model, day, failed_calls } = row;
  const label = [dag_id, task_id, model, day].filter(Boolean).join(" › ");
  return {
    // The name of a Dag could be that of another element of the page.
    name: `costs of ${label}`,
    label,
    state: failed_calls ? "failed" : "succeeded",
    row,
    text: label.toLowerCase(),
  };
}

/**
 * Return a number as people read it.
 *
 * @param {number} number
 */
export function number(number) {
  return number.toLocaleString("en");
}

/**
 * Return which part of the input came from a cache.
 *
 * @param {Costs} costs
 */
export function cachedShare({ cached_tokens, input_tokens }) {
  return input_tokens ? cached_tokens / input_tokens : 0;
}

/**
 * Return which part of all tokens were those of batches.
 *
 * @param {Costs} costs
 */
export function batchShare({ batch_tokens, input_tokens, output_tokens }) {
  return input_tokens + output_tokens ? batch_tokens / (input_tokens + output_tokens) : 0;
}

/**
 * Return a share, and nothing if there is none, so that the others are seen.
 *
 * @param {number} share
 */
export function part(share) {
  return share ? percent(share) : "–";
}

/**
 * Return for how long caches were stored.
 *
 * @param {Costs} costs
 */
export function storage({ cache_token_hours, open_caches }) {
  const told = `${number(Math.round(cache_token_hours))} token-hours`;
  return open_caches ? `At most ${told}` : told;
}

/**
 * Return with how many decimals costs are shown below each other: so many that the least of them is not zero.
 *
 * @param {Costs[]} all
 */
export function decimals(all) {
  const least = Math.min(...all.flatMap(({ cost }) => cost || []));
  return least >= 1 ? 2 : least >= 0.001 ? 4 : 6;
}

/**
 * Return what calls have cost.
 *
 * @param {Costs} costs
 * @param {string} currency
 * @param {number} decimals
 */
export function money({ cost, cost_is, unpriced_calls }, currency, decimals) {
  if (cost === null) return unpriced_calls ? "No price" : "Not known";
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return `${BOUNDS[cost_is]}${cost.toLocaleString("en", digits)} ${currency}`;
}
