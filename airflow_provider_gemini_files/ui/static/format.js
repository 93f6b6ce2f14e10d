// Formats numbers; sizes look as they do in the task logs.

/** @param {number} count */
export function bytes(count) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (count < 1024) return `${unit === "B" ? count : count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return `${count.toFixed(1)} GiB`;
}

/**
 * Return a share of 1 as a percentage with one decimal.
 *
 * @param {number} share
 */
export function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

/**
 * Return a duration in its two largest units.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.max(0, Math.floor(seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 72 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Return the time zone that the user has chosen in Airflow's UI, or else the browser's. */
export function timeZone() {
  return dateFormat().resolvedOptions().timeZone;
}

/**
 * Return a date and time in the user's format and time zone.
 *
 * @param {number} seconds - Since the epoch.
 */
export function dateTime(seconds) {
  return dateFormat().format(seconds * 1000);
}

/**
 * Return parts of a date in the user's format and time zone.
 *
 * @param {number} seconds - Since the epoch.
 * @param {Intl.DateTimeFormatOptions} parts
 */
export function date(seconds, parts) {
  return new Date(seconds * 1000).toLocaleDateString(undefined, { ...parts, timeZone: timeZone() });
}

/** @type {Map<string | null, Intl.DateTimeFormat>} By the setting of the time zone: creating one takes long. */
const dateFormats = new Map();

function dateFormat() {
  // Airflow's UI keeps the setting here, as JSON.
  const setting = localStorage.getItem("timezone");
  const format = dateFormats.get(setting) ?? formatOf(setting);
  dateFormats.set(setting, format);
  return format;
}

/** @param {string | null} setting */
function formatOf(setting) {
  const style = /** @type {const} */ ({ dateStyle: "medium", timeStyle: "medium" });
  try {
    return new Intl.DateTimeFormat(undefined, { ...style, timeZone: setting ? JSON.parse(setting) : undefined });
  } catch {
    return new Intl.DateTimeFormat(undefined, style);
  }
}

/**
 * Return a number with a noun: "1 file", "2 files".
 *
 * @param {number} number
 * @param {string} noun
 */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
