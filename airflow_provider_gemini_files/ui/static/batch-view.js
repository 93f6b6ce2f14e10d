// The batch jobs of a connection, and the dialog that cancels them.
import { readOnly, selectionButton } from "./actions.js";
import { pageLink } from "./address.js";
import { getBatches, post } from "./api.js";
import { decodePart } from "./batches.js";
import { agoCell, nameCell, ownerCell, ownerOrder, stateCell, timeCell } from "./cells.js";
import { ChangeList, openQuestion } from "./dialog.js";
import { byId, el } from "./dom.js";
import { count } from "./format.js";
import { Table } from "./table.js";

/** @import { Column } from "./table.js" */
/** @import { BatchesResponse, Job, Page, View } from "./types.js" */

/**
 * @param {Page} page
 * @returns {View}
 */
export function batchView({ connection, refresh, addressOf, onChange }) {
  const section = byId("batches");
  let link = new URLSearchParams();
  let canEdit = false;
  /** @type {Column<Job>[]} */
  const columns = [
    {
      key: "label",
      heading: "Job",
      order: ({ label, name }) => (label || name).toLowerCase(),
      cell: (job) => nameCell(job),
    },
    { key: "owner", heading: "Owner", order: ownerOrder, cell: ownerCell },
    {
      key: "state",
      heading: "State",
      order: ({ state }) => state,
      cell: ({ state, error }) => stateCell(state, error),
    },
    { key: "model", heading: "Model", order: ({ model }) => model, cell: ({ model }) => model || "–" },
    { key: "requests", heading: "Requests", order: ({ counts }) => counts?.total ?? 0, cell: requests },
    {
      key: "created",
      heading: "Age",
      order: ({ created }) => -(created ?? 0),
      cell: ({ created }, now) => timeCell(created, (time) => now - time),
    },
    {
      key: "ended",
      heading: "Ended",
      order: ({ ended }) => -(ended ?? Infinity),
      cell: ({ ended }, now) => agoCell(ended, now),
    },
    {
      key: "files",
      heading: "Files",
      order: ({ output, input }) => output ?? input ?? "",
      cell: ({ input, output }) => [fileLink("Requests", input), fileLink("Results", output), !input && !output && "–"],
    },
  ];
  /** @type {Table<Job>} */
  const table = new Table(section, {
    noun: "batch job",
    columns,
    sort: "created",
    searched: "name, display name, Dag, run, task, state, model and files",
    empty: "A batch job appears here within 30 seconds after a task has submitted it.",
    actions: () => (canEdit ? [] : [readOnly("Cancelling jobs")]),
    selectionActions: (selected) => [
      selectionButton("Cancel selected", selected.length, () => openCancel(selected, connection, refresh)),
    ],
    canSelect: ({ hasEnded }) => !hasEnded,
    onChange,
  });
  return {
    tab: "batches",
    noun: "batch job",
    keeps: true,
    whyMissing: "deleted, in the project of another connection, or submitted",
    load: (retry) => getBatches(connection, retry),
    show: (/** @type {BatchesResponse} */ { parts, can_edit, more, now }) => {
      canEdit = can_edit;
      table.show(parts.flatMap(decodePart), now, { selects: can_edit, more });
    },
    hide: () => (section.hidden = true),
    missing: () => [...table.linked].filter((name) => !table.items?.some((job) => job.name === name)),
    restore: (parameters) => {
      link = new URLSearchParams(parameters.getAll("batch").map((name) => ["batch", name]));
      table.linked = new Set(link.getAll("batch"));
      table.restore(parameters);
    },
    parameters: () => new URLSearchParams([...link, ...table.parameters()]),
  };

  /**
   * @param {string} text
   * @param {string | null} name
   */
  function fileLink(text, name) {
    const address = () => addressOf("files", new URLSearchParams({ file: name ?? "" }));
    return name && el("div", {}, pageLink(address, { title: name }, text));
  }
}

/** @param {Job} job */
function requests({ counts }) {
  if (!counts) return "–";
  const { total, successful, failed, pending } = counts;
  const parts = [
    successful > 0 && el("span", {}, `${successful.toLocaleString("en")} successful`),
    failed > 0 && el("span", { class: "warning" }, `${failed.toLocaleString("en")} failed`),
    pending > 0 && el("span", {}, `${pending.toLocaleString("en")} pending`),
  ];
  return [
    count(total, "request"),
    ...parts.filter((part) => part !== false).map((part) => el("small", { class: "part" }, part)),
  ];
}

/**
 * @param {Job[]} jobs
 * @param {string} connection
 * @param {() => void} refresh
 */
function openCancel(jobs, connection, refresh) {
  const list = new ChangeList(jobs, {
    noun: "job",
    label: "Jobs to cancel",
    columns: [
      { heading: "State", key: "state", cell: ({ state }) => stateCell(state) },
      { heading: "Owner", key: "detail", cell: ownerCell },
    ],
    outcomes: { cancelled: ["Cancelled", true], ended: ["Already ended", true], gone: ["Already gone", true] },
  });
  openQuestion({
    title: `Cancel ${count(jobs.length, "batch job")}`,
    words:
      "A cancelled job has no results, not even of the requests that it has finished. It ends a while after it is " +
      "cancelled, and a task that waits for it fails.",
    warning: null,
    action: `Cancel ${count(jobs.length, "job")}`,
    dismiss: jobs.length === 1 ? "Keep the job" : "Keep the jobs",
    list,
    send: (names) => post(connection, "cancel-batches", { names }),
    done: refresh,
  });
}
