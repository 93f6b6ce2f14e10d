// The files of a connection: the storage cards, the table, and the report of a cleanup.
import { actions } from "./actions.js";
import { getFiles } from "./api.js";
import { nameCell, ownerCell, ownerOrder, stateCell, timeCell } from "./cells.js";
import { byId } from "./dom.js";
import { KINDS, decode, total } from "./files.js";
import { bytes } from "./format.js";
import { showReport } from "./report.js";
import { showStorage } from "./storage.js";
import { Table } from "./table.js";

/** @import { Column } from "./table.js" */
/** @import { FilesResponse, GeminiFile, Page, Shown, View } from "./types.js" */

/** Files that expire in less than this are highlighted. */
const SOON_SECONDS = 3600;
/** What a link to files or to a report has in its query. */
const LINKED = ["file", "report", "dag_id", "run_id", "task_id", "map_index"];

/** @type {Column<GeminiFile>[]} */
const COLUMNS = [
  {
    key: "label",
    heading: "File",
    order: ({ label, name }) => (label || name).toLowerCase(),
    cell: (f) => nameCell(f),
  },
  { key: "owner", heading: "Owner", order: ownerOrder, cell: ownerCell },
  { key: "type", heading: "Type", order: ({ type }) => type ?? "", cell: ({ type }) => type ?? "–" },
  { key: "size", heading: "Size", order: ({ size }) => size, cell: ({ size }) => bytes(size) },
  { key: "state", heading: "State", order: ({ state }) => state, cell: ({ state, error }) => stateCell(state, error) },
  {
    key: "created",
    heading: "Age",
    order: ({ created }) => -(created ?? 0),
    cell: ({ created }, now) => timeCell(created, (time) => now - time),
  },
  {
    key: "expires",
    heading: "Expires in",
    order: ({ expires }) => expires ?? Infinity,
    cell: ({ expires }, now) => timeCell(expires, (time) => time - now, SOON_SECONDS),
  },
  {
    key: "source",
    heading: "Source",
    order: ({ source }) => source ?? "",
    cell: ({ source }) => (source ?? "–").toLowerCase(),
  },
];

/**
 * @param {Page} page
 * @returns {View}
 */
export function fileView({ connection, refresh, onChange }) {
  const [report, storage, section] = [byId("report"), byId("storage"), byId("files")];
  /** @type {Shown | undefined} */
  let shown;
  let link = new URLSearchParams();
  /** @type {Table<GeminiFile>} */
  const table = new Table(section, {
    noun: "file",
    columns: COLUMNS,
    sort: "created",
    placeholder: "Search name, Dag, run, task, type",
    kinds: { label: "Owner", all: "All owners", names: KINDS },
    empty: "Files appear here within 30 seconds after their upload.",
    summary: (files) => bytes(total(files)),
    actions: (selected) => (shown ? actions(shown, selected, connection, refresh) : []),
    onChange,
  });
  return {
    tab: "files",
    noun: "file",
    whyMissing: "deleted, expired (48 hours after the upload), in the project of another connection, or uploaded",
    load: (retry) => getFiles(connection, retry),
    show,
    hide: () => [report, storage, section].forEach((part) => (part.hidden = true)),
    missing: () => [...table.linked].filter((name) => !table.items?.some((file) => file.name === name)),
    restore,
    parameters: () => new URLSearchParams([...link, ...table.parameters()]),
  };

  /** @param {FilesResponse} response */
  function show({ usage, ...response }) {
    if (!usage) return;
    shown = { ...response, files: response.files.map(decode), usage };
    showStorage(storage, shown);
    table.show(shown.files, shown.now, { selects: shown.can_edit });
  }

  /** @param {URLSearchParams} parameters */
  function restore(parameters) {
    link = new URLSearchParams([...parameters].filter(([name]) => LINKED.includes(name)));
    table.linked = new Set(link.getAll("file"));
    table.restore(parameters);
    if (link.has("report")) showReport(report, link);
  }
}
