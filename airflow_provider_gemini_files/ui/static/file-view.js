// The files of a connection: the storage cards, the table, and the report of a cleanup.
import { actions, deleteButton } from "./actions.js";
import { pageLink } from "./address.js";
import { getFiles } from "./api.js";
import { nameCell, ownerCell, ownerOrder, stateCell, timeCell } from "./cells.js";
import { byId, el } from "./dom.js";
import { fileDetails } from "./file-details.js";
import { FILTERS } from "./file-filters.js";
import { KINDS, decodePart, total } from "./files.js";
import { firstDag } from "./first-use.js";
import { bytes, percent } from "./format.js";
import { groupOf, groupsOf } from "./groups.js";
import { historyCard } from "./history-card.js";
import { showReport } from "./report.js";
import { showStorage } from "./storage.js";
import { Table } from "./table.js";

/** @import { Column, Grouping } from "./table.js" */
/** @import { By } from "./groups.js" */
/** @import { FileGroup, FilesResponse, GeminiFile, Page, Shown, View } from "./types.js" */

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
  {
    key: "type",
    heading: "Type",
    order: ({ type }) => type ?? "",
    cell: ({ type }) => (type ? el("span", { class: "cut", title: type }, type) : "–"),
  },
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
    isNeeded: (files) => files.some(({ source }) => source !== "UPLOADED"),
  },
];

/**
 * @param {Page} page
 * @returns {View}
 */
export function fileView({ connection, refresh, addressOf, onChange }) {
  const [report, storage, section] = [byId("report"), byId("storage"), byId("files")];
  const history = historyCard(byId("history"), connection);
  /** @type {Shown | undefined} */
  let shown;
  let link = new URLSearchParams();
  /** @type {By | null} How the files are grouped, or what `group` is. */
  let by = null;
  /** The group whose files are shown; an empty text shows all files, or all groups. */
  let group = "";
  const select = groupingSelect();
  const columns = groupColumns(filesOf, () => shown?.usage.used_bytes ?? 0);
  /** @type {Record<By, Grouping<GeminiFile>>} */
  const groupings = {
    dag: { columns, sort: "-size", groups: (files) => groupsOf(files, "dag") },
    run: { columns, sort: "-size", groups: (files) => groupsOf(files, "run") },
  };
  /** @type {Table<GeminiFile>} */
  const table = new Table(section, {
    noun: "file",
    columns: COLUMNS,
    sort: "created",
    searched: "name, display name, Dag, run, task, type, state and source",
    filters: FILTERS,
    details: (file) => fileDetails(file, { connection, addressOf }),
    empty: firstDag(),
    record,
    summary: (files) => bytes(total(files)),
    accepts: (file) => !by || !group || groupOf(file, by) === group,
    onClear: () => group && regroup(null, ""),
    tools: [select],
    actions: () => [...(group ? [groupChip()] : []), ...(shown ? actions(shown, connection, refresh) : [])],
    selectionActions: (selected) => [deleteButton(selected, connection, refresh)],
    onChange,
  });
  return {
    tab: "files",
    noun: "file",
    keeps: true,
    whyMissing: "deleted, expired (48 hours after the upload), in the project of another connection, or uploaded",
    load,
    show,
    hide,
    missing: () => [...table.linked].filter((name) => !shown?.files.some((file) => file.name === name)),
    restore,
    parameters: () => new URLSearchParams([...link, ...groupParameters(), ...table.parameters()]),
  };

  /** @param {boolean} retry */
  async function load(retry) {
    const [response] = await Promise.all([getFiles(connection, retry), history.load()]);
    return response;
  }

  function hide() {
    for (const part of [report, storage, section]) part.hidden = true;
    history.hide();
  }

  function groupingSelect() {
    const choices = { "": "Not grouped", dag: "By Dag", run: "By run" };
    return el(
      "select",
      { "aria-label": "Group by", onchange: () => setGroup(/** @type {By} */ (select.value) || null) },
      Object.entries(choices).map(([value, text]) => el("option", { value }, text)),
    );
  }

  /**
   * Return the address of the files of a group that match the filters.
   *
   * @param {string} key
   */
  function filesOf(key) {
    const filters = [...table.parameters()].filter(([name]) => name !== "sort");
    return addressOf("files", new URLSearchParams([["by", by ?? ""], ["group", key], ...filters]));
  }

  function groupParameters() {
    return Object.entries({ by: by ?? "", group }).filter(([, value]) => value);
  }

  /** @param {FilesResponse} response */
  function show({ usage, parts, ...response }) {
    if (!usage) return;
    section.hidden = false;
    shown = { ...response, files: parts.flatMap(decodePart), usage };
    showStorage(storage, shown);
    history.show(shown);
    render();
  }

  function render() {
    if (shown) table.show(shown.files, shown.now, { selects: shown.can_edit });
  }

  /**
   * @param {By | null} newBy
   * @param {string} newGroup
   */
  function regroup(newBy, newGroup) {
    by = newBy;
    group = newGroup;
    const grouped = group ? null : by;
    select.value = grouped ?? "";
    table.group(grouped && groupings[grouped]);
  }

  /** @param {By | null} newBy */
  function setGroup(newBy) {
    regroup(newBy, "");
    render();
    select.focus();
    onChange();
  }

  function groupChip() {
    const onclick = () => setGroup(null);
    return el(
      "button",
      { type: "button", class: "chip", "aria-label": `Show all, not only ${group}`, onclick },
      `${group} ×`,
    );
  }

  /** @param {URLSearchParams} parameters */
  function restore(parameters) {
    link = new URLSearchParams([...parameters].filter(([name]) => LINKED.includes(name)));
    const given = parameters.get("by");
    const known = given === "dag" || given === "run" ? given : null;
    regroup(known, known ? (parameters.get("group") ?? "") : "");
    table.linked = new Set(link.getAll("file"));
    table.restore(parameters);
    if (link.has("report")) showReport(report, link);
  }
}

/**
 * @param {(key: string) => URLSearchParams} filesOf - Returns the address of the files of a group.
 * @param {() => number} usedBytes
 * @returns {Column<FileGroup>[]}
 */
function groupColumns(filesOf, usedBytes) {
  return [
    {
      key: "label",
      heading: "Files of",
      order: ({ label }) => label.toLowerCase(),
      cell: ({ key, label }) =>
        el(
          "span",
          { class: "name", title: label },
          pageLink(() => filesOf(key), {}, label),
        ),
    },
    {
      key: "number",
      heading: "Files",
      order: ({ members }) => members.length,
      cell: ({ members }) => members.length.toLocaleString("en"),
    },
    { key: "size", heading: "Size", order: ({ size }) => size, cell: ({ size }) => bytes(size) },
    {
      key: "share",
      heading: "Share of used",
      order: ({ size }) => size,
      cell: ({ size }) => percent(size / (usedBytes() || 1)),
    },
    {
      key: "kind",
      heading: "Owner",
      order: ({ kind }) => kind,
      cell: ({ kind }) => el("span", { class: `run ${kind}` }, KINDS[kind]),
    },
    {
      key: "created",
      heading: "Oldest",
      order: ({ oldest }) => oldest ?? Infinity,
      cell: ({ oldest }, now) => timeCell(oldest, (time) => now - time),
    },
    {
      key: "expires",
      heading: "Next expires in",
      order: ({ expires }) => expires ?? Infinity,
      cell: ({ expires }, now) => timeCell(expires, (time) => time - now, SOON_SECONDS),
    },
  ];
}

/**
 * Return what is exported of a file.
 *
 * @param {GeminiFile} file
 */
function record({ name, label, owner, kind, type, size, state, created, expires, source, error }) {
  const { dag = null, run = null, task = null, map = null } = owner ?? {};
  return {
    name,
    display_name: label,
    owner: KINDS[kind],
    dag_id: dag,
    run_id: run,
    task_id: task,
    map_index: map,
    mime_type: type,
    size_bytes: size,
    state,
    create_time: isoTime(created),
    expiration_time: isoTime(expires),
    source,
    error,
  };
}

/** @param {number | null} time */
function isoTime(time) {
  return time === null ? null : new Date(time * 1000).toISOString();
}
