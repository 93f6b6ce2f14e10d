// What follows from deleting files, in words.
import { count } from "./format.js";

/** @import { GeminiFile } from "./types.js" */

const NO_UNDO =
  "There is no undo. A retry of the task that has uploaded a file uploads it again from its source, and fails if the " +
  "source is gone.";
const OTHERS = "Only the tools that have uploaded the others can do so again.";
const REGISTERED = "The objects of registered files stay in Cloud Storage.";
/** The kinds of files that tasks may be using. */
const MAYBE_ACTIVE = ["running", "unknown"];

/**
 * Say whose files these are, and whether they can come back.
 *
 * @param {GeminiFile[]} files
 */
export function consequences(files) {
  const dags = new Set(files.flatMap(({ owner }) => (owner ? [owner.dag] : [])));
  const others = files.filter(({ owner }) => !owner).length;
  const whose = dags.size ? `These files belong to ${count(dags.size, "Dag")}` : "These files belong to no Dag";
  const reach = dags.size && others ? `${whose}; ${others.toLocaleString("en")} of them belong to none.` : `${whose}.`;
  const isForeign = files.some(({ kind }) => kind === "foreign");
  return [reach, NO_UNDO, isForeign && OTHERS, files.some(isRegistered) && REGISTERED].filter(Boolean).join(" ");
}

/**
 * Return what to think about before these files are deleted; null if there is nothing special.
 *
 * @param {GeminiFile[]} files
 */
export function warningOf(files) {
  const active = files.filter(({ kind }) => MAYBE_ACTIVE.includes(kind)).length;
  const elsewhere = files.filter(({ kind }) => kind === "elsewhere").length;
  const belong = (/** @type {number} */ number) => `${count(number, "file")} ${number === 1 ? "belongs" : "belong"}`;
  const warnings = [
    active > 0 && `${belong(active)} to runs that are active, or could be. Tasks that use them may fail.`,
    elsewhere > 0 && `${belong(elsewhere)} to other Airflow deployments, whose runs this one does not know.`,
  ];
  return warnings.filter(Boolean).join(" ") || null;
}

/** @param {GeminiFile} file */
function isRegistered({ source }) {
  return source === "REGISTERED";
}
