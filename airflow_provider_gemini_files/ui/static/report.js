// The report of a cleanup task. Airflow's own API serves its XCom, so the user needs the permission to read it.
import { airflowUrl, link, taskUrl } from "./airflow.js";
import { ApiError, getXCom } from "./api.js";
import { messageOf } from "./dialog.js";
import { el } from "./dom.js";
import { bytes, count, percent } from "./format.js";

/** @import { CleanupReport, Counts, Usage } from "./types.js" */

/**
 * The reasons of `policy.py` in words.
 *
 * @type {Record<string, string>}
 */
const REASONS = {
  failed: "Processing failed",
  "run finished": "Run finished",
  "run gone": "Run not found",
  "expires soon": "Expires soon",
  "too old": "Above maximum age",
  oldest: "Oldest, to free space",
  "keep list": "On the keep list",
  "not selected": "Excluded by filters",
  foreign: "Other tool or deployment",
  shared: "Shared by all runs",
  orphan: "Run not found here",
  "run running": "Run is active",
  "run unknown": "Run state unknown",
  "in a batch": "Needed by a batch job",
  "too young": "Within grace period",
  "not due": "Not due yet",
  "limit reached": "Deletion limit reached",
};

/**
 * Return a table of files and bytes by reason.
 *
 * @param {Counts} counts
 */
export function reasonTable(counts) {
  const headings = ["Reason", "Files", "Size"].map((name) => el("th", { scope: "col" }, name));
  const rows = Object.entries(counts).map(([reason, { files, bytes: size }]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, REASONS[reason] ?? reason),
      el("td", { class: "number" }, count(files, "file")),
      el("td", { class: "number" }, bytes(size)),
    ),
  );
  return el(
    "table",
    { class: "reasons" },
    el("thead", { class: "visually-hidden" }, el("tr", {}, headings)),
    el("tbody", {}, rows),
  );
}

/**
 * Show the report that the page's URL names.
 *
 * @param {HTMLElement} section
 * @param {URLSearchParams} query
 */
export async function showReport(section, query) {
  const instance = {
    dag: query.get("dag_id") ?? "",
    run: query.get("run_id") ?? "",
    task: query.get("task_id") ?? "",
    map: Number(query.get("map_index") ?? -1),
  };
  const { dag, run, task, map } = instance;
  const taskLink = link(taskUrl(instance), `${dag} › ${task}${map < 0 ? "" : ` [${map}]`}`);
  const body = el("div", { class: "columns" }, el("p", { class: "words" }, "Loading…"));
  section.hidden = false;
  section.replaceChildren(
    el(
      "div",
      { class: "card" },
      el("h2", { id: "report-title" }, "Cleanup report"),
      el("p", { class: "words" }, taskLink, ` · ${run}`),
      body,
    ),
  );
  try {
    body.replaceChildren(...columns(await getXCom(instance, "return_value")));
  } catch (error) {
    const isMissing = error instanceof ApiError && error.status === 404;
    const message = isMissing
      ? "This task has no report: it did not succeed, or its run was deleted."
      : messageOf(error);
    const dagLink = link(airflowUrl(`dags/${encodeURIComponent(dag)}`), "Open the Dag");
    body.replaceChildren(el("p", { class: "words" }, message, " ", dagLink));
  }
}

/** @param {CleanupReport} report */
function columns(report) {
  const { before, after, dry_run, deleted, kept, deleted_files, deleted_bytes, errors } = report;
  const title = `${dry_run ? "Would delete" : "Deleted"} ${count(deleted_files, "file")} (${bytes(deleted_bytes)})`;
  const problems = [
    [report.gone, "already gone"],
    [report.refused, "refused by the service"],
    [report.failed, "failed"],
  ].filter(([number]) => number);
  return [
    el("div", {}, el("h3", {}, title), reasonTable(deleted)),
    el("div", {}, el("h3", {}, `Kept ${count(after.files, "file")}`), reasonTable(kept)),
    el(
      "div",
      {},
      el("h3", {}, "Storage"),
      el("p", {}, `Before: ${usage(before)}`),
      el("p", {}, `After: ${usage(after)}`),
      problems.length > 0 &&
        el(
          "p",
          { class: "warning" },
          problems.map(([number, words]) => `${number?.toLocaleString("en")} ${words}`).join(", "),
        ),
      errors.map((error) => el("p", {}, el("small", {}, error))),
    ),
  ];
}

/** @param {Usage} usage */
function usage({ used_bytes, quota_bytes, share }) {
  return `${bytes(used_bytes)} of ${bytes(quota_bytes)} (${percent(share)})`;
}
