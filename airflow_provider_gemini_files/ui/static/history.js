// The history of a storage as data: what of it a chart of some days shows.
import { KINDS, total } from "./files.js";
import { date } from "./format.js";

/** @import { Bar, Day, Deletion, HistoryResponse, HistorySample, Period, Shown } from "./types.js" */

const DAY_SECONDS = 86400;
/** How long a sample is shown if no other one follows, as a part of the period. */
const LONGEST = 1 / 56;
/** How long the present is shown, as a part of the period. */
const PRESENT = 1 / 168;

/** The parts of a sample: bytes by owner, or all bytes if the owners were not looked up. */
export const PARTS = { ...KINDS, unrecorded: "Owner not recorded" };

/**
 * Return the period that ends with the present.
 *
 * @param {HistoryResponse} history
 * @param {Shown} shown
 * @param {number} days
 * @returns {Period}
 */
export function periodOf(history, { usage, files, now }, days) {
  const start = now - days * DAY_SECONDS;
  const sizes = Object.keys(PARTS).map((kind) => total(files.filter((file) => file.kind === kind)));
  const bars = barsOf(history.samples.map(decode), { at: now, files: files.length, sizes }, start);
  const [cleanups = [], evictions = []] = [history.cleanups, history.evictions].map((list) =>
    list.filter(([at]) => at >= start && at <= now),
  );
  const peak = Math.max(...bars.map(({ used }) => used));
  return { days, start, end: now, quota: usage.quota_bytes, peak, bars, cleanups, evictions };
}

/**
 * Return the numbers of each day of a period, the latest day first.
 *
 * @param {Period} period
 * @returns {Day[]}
 */
export function daysOf({ bars, cleanups, evictions }) {
  /** @type {Map<string, Day>} */
  const days = new Map();
  const dayOf = (/** @type {number} */ at) => {
    const key = date(at, { dateStyle: "short" });
    const day = days.get(key) ?? { at, peak: null, cleanups: [0, 0], evictions: [0, 0] };
    days.set(key, day);
    return day;
  };
  for (const { from, used } of bars) {
    const day = dayOf(from);
    day.peak = Math.max(day.peak ?? 0, used);
  }
  for (const deletion of cleanups) add(dayOf(deletion[0]).cleanups, deletion);
  for (const deletion of evictions) add(dayOf(deletion[0]).evictions, deletion);
  return [...days.values()].sort((a, b) => b.at - a.at);
}

/**
 * @param {[files: number, bytes: number]} sums
 * @param {Deletion} deletion
 */
function add(sums, [, files, size]) {
  sums[0] += files;
  sums[1] += size;
}

/**
 * @param {number[]} row
 * @returns {HistorySample}
 */
function decode([at = 0, files = 0, ...sizes]) {
  return { at, files, sizes: sizes.length > 1 ? sizes : [0, 0, 0, 0, 0, 0, ...sizes] };
}

/**
 * Return the bars of samples: each lasts until the next sample, but not for too long; the last bar is the present.
 *
 * @param {HistorySample[]} samples
 * @param {HistorySample} present
 * @param {number} start
 * @returns {Bar[]}
 */
function barsOf(samples, present, start) {
  const seconds = present.at - start;
  const last = present.at - PRESENT * seconds;
  const bars = samples.map((sample, index) => {
    const next = samples[index + 1]?.at ?? last;
    return barOf(sample, Math.max(sample.at, start), Math.min(next, sample.at + LONGEST * seconds, last));
  });
  return [...bars.filter(({ from, to }) => to > from), barOf(present, last, present.at)];
}

/**
 * @param {HistorySample} sample
 * @param {number} from
 * @param {number} to
 * @returns {Bar}
 */
function barOf(sample, from, to) {
  return { ...sample, from, to, used: sample.sizes.reduce((sum, size) => sum + size, 0) };
}
