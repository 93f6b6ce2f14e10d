// Saves what a table shows as a file.
const isFramed = window.parent !== window;

/** @typedef {Record<string, string | number | null>} Exported */

/**
 * Let the browser save records as JSON.
 *
 * @param {string} name - The name of the file, without its extension.
 * @param {Exported[]} records
 */
export function saveJson(name, records) {
  save(`${name}.json`, "application/json", `${JSON.stringify(records, null, 2)}\n`);
}

/**
 * Let the browser save records as CSV, by RFC 4180.
 *
 * @param {string} name - The name of the file, without its extension.
 * @param {Exported[]} records - All of the same fields.
 */
export function saveCsv(name, records) {
  const fields = Object.keys(records[0] ?? {});
  const rows = [fields, ...records.map((record) => fields.map((field) => record[field] ?? ""))];
  save(`${name}.csv`, "text/csv", rows.map((row) => `${row.map(csvValue).join(",")}\r\n`).join(""));
}

/** @param {string | number} value */
function csvValue(value) {
  if (typeof value === "number") return String(value);
  // Spreadsheets take a text that begins like this for a formula, and anyone can choose the name of a file.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * @param {string} name
 * @param {string} type
 * @param {string} content
 */
function save(name, type, content) {
  // The sandbox of Airflow's frame forbids downloads, but a link in the document around it may start one.
  const { document } = isFramed ? window.parent : window;
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([content], { type }));
  anchor.download = name;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}
