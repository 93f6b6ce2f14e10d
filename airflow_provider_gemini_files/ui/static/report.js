// The report of a cleanup task, read from its XCom by Airflow's own API: who may not see the task sees no report.
import { airflowUrl, link, taskUrl } from "./airflow.js";
import { xcom } from "./api.js";
import { el } from "./dom.js";
import { bytes, count } from "./format.js";

const WORDS = {
  failed: "could not be processed",
  "run finished": "run has ended",
  "run gone": "run is no longer known",
  "expires soon": "expires soon anyway",
  "too old": "older than allowed",
  oldest: "oldest, to make room",
  "keep list": "on the keep list",
  "not selected": "left out by the filters",
  foreign: "of another tool",
  shared: "shared by all runs",
  orphan: "run is not known here",
  "run running": "run has not ended",
  "run unknown": "run could not be asked about",
  "too young": "too young",
  "not due": "not due yet",
  "limit reached": "over the limit of one sweep",
};

/** Return a table of files and bytes by reason. */
export function reasons(rows) {
  return el(
    "table",
    { class: "reasons" },
    el(
      "thead",
      { class: "unseen" },
      el(
        "tr",
        {},
        ["Reason", "Files", "Size"].map((name) => el("th", { scope: "col" }, name)),
      ),
    ),
    el(
      "tbody",
      {},
      Object.entries(rows).map(([reason, { files, bytes: size }]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, WORDS[reason] ?? reason),
          el("td", { class: "number" }, count(files, "file")),
          el("td", { class: "number" }, bytes(size)),
        ),
      ),
    ),
  );
}

export async function renderReport(section, asked) {
  const of = {
    dag: asked.get("dag_id"),
    run: asked.get("run_id"),
    task: asked.get("task_id"),
    map: Number(asked.get("map_index") ?? -1),
  };
  const title = el("h2", { id: "report-title" }, "Cleanup report");
  const where = el(
    "p",
    { class: "words" },
    link(taskUrl(of), `${of.dag} › ${of.task}${of.map < 0 ? "" : ` [${of.map}]`}`),
    ` · ${of.run}`,
  );
  const body = el("div", { class: "columns" }, el("p", { class: "words" }, "Reading…"));
  section.hidden = false;
  section.replaceChildren(el("div", { class: "card" }, title, where, body));
  try {
    body.replaceChildren(...columns(await xcom(of, "return_value")));
  } catch (error) {
    const missing =
      error.status === 404
        ? "The task has left no report: it has not ended well, or its run was deleted."
        : error.message;
    body.replaceChildren(
      el("p", { class: "words" }, missing, " ", link(airflowUrl(`dags/${encodeURIComponent(of.dag)}`), "The Dag")),
    );
  }
}

function columns(report) {
  const { before, after, dry_run, deleted, kept, deleted_files, deleted_bytes, gone, refused, failed, errors } = report;
  const verb = dry_run ? "Would have deleted" : "Deleted";
  const problems = [
    [gone, "gone already"],
    [refused, "refused by the service"],
    [failed, "failed"],
  ].filter(([number]) => number);
  return [
    el("div", {}, el("h3", {}, `${verb} ${count(deleted_files, "file")}, ${bytes(deleted_bytes)}`), reasons(deleted)),
    el("div", {}, el("h3", {}, `Kept ${count(after.files, "file")}`), reasons(kept)),
    el(
      "div",
      {},
      el("h3", {}, "Storage"),
      el("p", {}, `${usage(before)} before`),
      el("p", {}, `${usage(after)} ${dry_run ? "after it" : "after"}`),
      problems.length
        ? el("p", { class: "soon" }, problems.map(([number, words]) => `${number} ${words}`).join(", "))
        : null,
      ...errors.map((error) => el("p", {}, el("small", {}, error))),
    ),
  ];
}

function usage({ used_bytes, quota_bytes, share }) {
  return `${bytes(used_bytes)} of ${bytes(quota_bytes)} (${(100 * share).toFixed(1)} %)`;
}
