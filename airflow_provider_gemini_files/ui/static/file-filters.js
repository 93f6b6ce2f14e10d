// The filters of the files, besides the search and the state.
import { KINDS } from "./files.js";

/** @import { Filter } from "./table-filters.js" */
/** @import { GeminiFile } from "./types.js" */

const MIB = 1024 ** 2;
const HOUR = 3600;

/** @typedef {[name: string, accepts: (number: number) => boolean]} Step */

/** @type {Record<string, Step>} */
const SIZES = {
  "-1M": ["Under 1 MiB", (size) => size < MIB],
  "1M": ["Over 1 MiB", (size) => size >= MIB],
  "10M": ["Over 10 MiB", (size) => size >= 10 * MIB],
  "100M": ["Over 100 MiB", (size) => size >= 100 * MIB],
  "1G": ["Over 1 GiB", (size) => size >= 1024 * MIB],
};

/** @type {Record<string, Step>} */
const AGES = {
  "-1h": ["Newer than 1 h", (age) => age < HOUR],
  "1h": ["Older than 1 h", (age) => age >= HOUR],
  "6h": ["Older than 6 h", (age) => age >= 6 * HOUR],
  "24h": ["Older than 24 h", (age) => age >= 24 * HOUR],
  "48h": ["Older than 48 h", (age) => age >= 48 * HOUR],
};

/** @type {Record<string, Step>} */
const EXPIRIES = {
  "1h": ["Expire within 1 h", (left) => left < HOUR],
  "6h": ["Expire within 6 h", (left) => left < 6 * HOUR],
  "24h": ["Expire within 24 h", (left) => left < 24 * HOUR],
  "-24h": ["Expire after 24 h", (left) => left >= 24 * HOUR && left < Infinity],
  never: ["Never expire", (left) => left === Infinity],
};

/** @type {Filter<GeminiFile>[]} */
export const FILTERS = [
  {
    key: "kind",
    label: "Owner",
    all: "All owners",
    choices: () => Object.entries(KINDS),
    accepts: ({ kind }, value) => kind === value,
  },
  {
    key: "dag",
    label: "Dag",
    all: "All Dags",
    choices: (files) => named(files.map(({ owner }) => owner?.dag)),
    accepts: ({ owner }, value) => owner?.dag === value,
  },
  {
    key: "type",
    label: "Type",
    all: "All types",
    choices: (files) => named(files.flatMap(({ type }) => (type ? [familyOf(type), type] : []))),
    accepts: ({ type }, value) => type === value || (type !== null && familyOf(type) === value),
  },
  steps("size", "Size", "Any size", SIZES, ({ size }) => size),
  steps("age", "Age", "Any age", AGES, ({ created }, now) => (created === null ? NaN : now - created)),
  steps("expires", "Expiration", "Any expiration", EXPIRIES, ({ expires }, now) => (expires ?? Infinity) - now),
];

/**
 * Return a filter of a number, which is a select of a few limits.
 *
 * @param {string} key
 * @param {string} label
 * @param {string} all
 * @param {Record<string, Step>} choices
 * @param {(file: GeminiFile, now: number) => number} of
 * @returns {Filter<GeminiFile>}
 */
function steps(key, label, all, choices, of) {
  const known = new Map(Object.entries(choices));
  return {
    key,
    label,
    all,
    choices: () => [...known].map(([value, [name]]) => [value, name]),
    accepts: (file, value, now) => known.get(value)?.[1](of(file, now)) ?? false,
  };
}

/** @param {string} type */
function familyOf(type) {
  return `${type.split("/")[0]}/*`;
}

/**
 * Return choices that are their own names, each once.
 *
 * @param {(string | undefined)[]} values
 * @returns {[string, string][]}
 */
function named(values) {
  return [...new Set(values)]
    .filter((value) => value !== undefined)
    .sort()
    .map((value) => [value, value]);
}
