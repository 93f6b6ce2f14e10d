// The file search stores of a connection, and the documents of one of them.
import { pageLink } from "./address.js";
import { getDocuments, getStores } from "./api.js";
import { agoCell, nameCell, stateCell, taskOwner, timeCell } from "./cells.js";
import { byId, el, keepFocus } from "./dom.js";
import { bytes, count } from "./format.js";
import { STORE_STATES, decodeDocument, decodeStore } from "./stores.js";
import { Table } from "./table.js";

/** @import { Column } from "./table.js" */
/** @import { DocumentsResponse, Page, Store, StoreDocument, StoresResponse, View } from "./types.js" */

/** Owners that a cell shows; a store can have documents of many tasks. */
const MAX_OWNERS = 2;

/**
 * @param {Page} page
 * @returns {View}
 */
export function storeView({ connection, addressOf, onChange }) {
  const section = byId("stores");
  let link = new URLSearchParams();
  const documents = (/** @type {Store} */ { name }) => addressOf("documents", new URLSearchParams({ documents: name }));
  /** @type {Column<Store>[]} */
  const columns = [
    {
      key: "label",
      heading: "Store",
      order: ({ label, name }) => (label || name).toLowerCase(),
      cell: (store) => nameCell(store, { wrap: (label) => pageLink(() => documents(store), {}, label) }),
    },
    { key: "documents", heading: "Documents", order: ({ total }) => total, cell: documentCounts },
    { key: "size", heading: "Size", order: ({ size }) => size, cell: ({ size }) => bytes(size) },
    { key: "model", heading: "Embedding model", order: ({ model }) => model, cell: ({ model }) => model || "–" },
    { key: "owner", heading: "Kept by", order: ownerOrder, cell: ownersCell },
    {
      key: "created",
      heading: "Age",
      order: ({ created }) => -(created ?? 0),
      cell: ({ created }, now) => timeCell(created, (time) => now - time),
    },
    {
      key: "updated",
      heading: "Updated",
      order: ({ updated }) => -(updated ?? 0),
      cell: ({ updated }, now) => agoCell(updated, now),
    },
  ];
  /** @type {Table<Store>} */
  const table = new Table(section, {
    noun: "store",
    columns,
    sort: "label",
    searched: "name, display name, model, Dag and task",
    stateNames: STORE_STATES,
    empty: "A file search store appears here within 30 seconds after a task has created it.",
    summary: (stores) => bytes(stores.reduce((sum, { size }) => sum + size, 0)),
    onChange,
  });
  return {
    tab: "stores",
    noun: "store",
    keeps: true,
    whyMissing: "deleted, in the project of another connection, or created",
    load: (retry) => getStores(connection, retry),
    show: (/** @type {StoresResponse} */ { stores, now }) => table.show(stores.map(decodeStore), now),
    hide: () => (section.hidden = true),
    missing: () => [...table.linked].filter((name) => !table.items?.some((store) => store.name === name)),
    restore: (parameters) => {
      link = new URLSearchParams(parameters.getAll("store").map((name) => ["store", name]));
      table.linked = new Set(link.getAll("store"));
      table.restore(parameters);
    },
    parameters: () => new URLSearchParams([...link, ...table.parameters()]),
  };
}

/** @type {Column<StoreDocument>[]} */
const DOCUMENT_COLUMNS = [
  {
    key: "label",
    heading: "Document",
    order: ({ label, name }) => (label || name).toLowerCase(),
    cell: ({ label, name }) => nameCell({ label, name }, { short: name.replace(/^.*\/documents\//, "") }),
  },
  { key: "state", heading: "State", order: ({ state }) => state, cell: ({ state }) => stateCell(state) },
  {
    key: "size",
    heading: "Size",
    order: ({ size }) => size ?? 0,
    cell: ({ size }) => (size === null ? "–" : bytes(size)),
  },
  {
    key: "origin",
    heading: "Source",
    order: ({ source }) => source ?? "",
    cell: ({ source }) => (source ? el("span", { class: "uri", title: source }, source) : "–"),
  },
  {
    key: "owner",
    heading: "Kept by",
    order: ({ owner }) => (owner ? `${owner.dag}\n${owner.task}` : "\uffff"),
    cell: ({ owner }) => taskOwner(owner),
  },
  {
    key: "updated",
    heading: "Updated",
    order: ({ updated }) => -(updated ?? 0),
    cell: ({ updated }, now) => agoCell(updated, now),
  },
];

/**
 * @param {Page} page
 * @returns {View}
 */
export function documentView({ connection, addressOf, onChange }) {
  const section = byId("documents");
  const [head, list] = [el("div", { class: "card store" }), el("div")];
  section.replaceChildren(head, list);
  let name = "";
  /** @type {Table<StoreDocument>} */
  const table = new Table(list, {
    noun: "document",
    columns: DOCUMENT_COLUMNS,
    sort: "updated",
    searched: "name, display name, state, type, source, Dag and task",
    empty: "Documents appear here within 30 seconds after a task has added them.",
    onChange,
  });
  return {
    tab: "stores",
    noun: "document",
    whyMissing: "",
    load: (retry) => getDocuments(connection, name, retry),
    show,
    hide: () => (section.hidden = true),
    missing: () => [],
    restore: (parameters) => {
      name = parameters.get("documents") ?? "";
      head.replaceChildren(back());
      list.hidden = true;
      table.restore(parameters);
    },
    parameters: () => new URLSearchParams([["documents", name], ...table.parameters()]),
  };

  /** @param {DocumentsResponse} response */
  function show({ store: row, documents, more, now }) {
    section.hidden = false;
    if (row) keepFocus(head, () => head.replaceChildren(back(), ...facts(decodeStore(row))));
    table.show(documents.map(decodeDocument), now, { more });
  }

  function back() {
    return pageLink(() => addressOf("stores"), { class: "back" }, "‹ All stores");
  }
}

/** @param {Store} store */
function facts(store) {
  return [
    el("h2", { tabIndex: -1 }, store.label || "No display name"),
    el("code", {}, store.name),
    el("p", { class: "words" }, documentCounts(store), ` · ${bytes(store.size)} · ${store.model || "unknown model"}`),
  ];
}

/** @param {Store} store */
function documentCounts({ active, pending, failed, total }) {
  if (total === 0) return "No documents";
  const parts = [
    active > 0 && el("span", {}, `${active.toLocaleString("en")} active`),
    pending > 0 && el("span", { class: "pending" }, `${pending.toLocaleString("en")} pending`),
    failed > 0 && el("span", { class: "warning" }, `${failed.toLocaleString("en")} failed`),
  ].filter((part) => part !== false);
  return parts.flatMap((part, index) => (index ? [", ", part] : [part]));
}

/** @param {Store} store */
function ownersCell({ owners }) {
  if (owners.length === 0) return "–";
  const hidden = owners.length - MAX_OWNERS;
  return [
    ...owners.slice(0, MAX_OWNERS).map((owner) => el("div", {}, taskOwner(owner))),
    hidden > 0 && el("small", {}, `and ${count(hidden, "more owner")}`),
  ];
}

/** @param {Store} store */
function ownerOrder({ owners: [first] }) {
  return first ? `${first.dag}\n${first.task}` : first === null ? "\uffff1" : "\uffff2";
}
