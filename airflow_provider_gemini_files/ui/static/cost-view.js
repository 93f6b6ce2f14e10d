// What the calls of a connection have spent: the sums, and a table by Dag, task, model or day.
import { airflowUrl, link } from "./airflow.js";
import { getCosts } from "./api.js";
import { STATES, batchShare, cachedShare, decimals, itemOf, money, number, part, storage } from "./costs.js";
import { byId, el } from "./dom.js";
import { count } from "./format.js";
import { Table } from "./table.js";

/** @import { Column } from "./table.js" */
/** @import { CostItem, CostRow, CostsReport, CostsResponse, Page, View } from "./types.js" */

const DAYS = { 1: "Today", 7: "7 days", 30: "30 days" };
const BY = { dag: "By Dag", task: "By task", model: "By model", day: "By day" };
const FIRST = { days: "7", by: "dag" };

/** @type {Column<CostItem>[]} */
const COLUMNS = [
  { key: "label", heading: "Spent by", order: ({ label }) => label.toLowerCase(), cell: nameCell },
  { key: "calls", heading: "Calls", order: ({ row }) => row.calls, cell: ({ row }) => number(row.calls) },
  {
    key: "input",
    heading: "Tokens in",
    order: ({ row }) => row.input_tokens,
    cell: ({ row }) => [
      number(row.input_tokens),
      row.cache_tokens > 0 && el("small", {}, `${number(row.cache_tokens)} into caches`),
      row.documents > 0 && el("small", {}, `and ${count(row.documents, "document")}`),
    ],
  },
  {
    key: "cached",
    heading: "From caches",
    order: ({ row }) => cachedShare(row),
    cell: ({ row }) => part(cachedShare(row)),
  },
  {
    key: "output",
    heading: "Tokens out",
    order: ({ row }) => row.output_tokens,
    cell: ({ row }) => [
      number(row.output_tokens),
      row.thoughts_tokens > 0 && el("small", {}, `${number(row.thoughts_tokens)} of thoughts`),
    ],
  },
  {
    key: "batch",
    heading: "In batches",
    order: ({ row }) => batchShare(row),
    cell: ({ row }) => part(batchShare(row)),
  },
  {
    key: "failed",
    heading: "Failed, but paid",
    order: ({ row }) => row.failed_tokens,
    cell: ({ row }) => (row.failed_calls ? el("span", { class: "warning" }, count(row.failed_calls, "call")) : "–"),
  },
];

/**
 * @param {Page} page
 * @returns {View}
 */
export function costView({ connection, refresh, onChange }) {
  const section = byId("costs");
  let shown = { ...FIRST };
  /** @type {string | null} */
  let currency = null;
  let digits = 2;
  const days = choice("Days", "days", DAYS);
  const by = choice("Group by", "by", BY);
  const [totals, list, empty] = [el("dl", { class: "totals card" }), el("div"), el("div", { class: "state" })];
  const notes = el("ul", { class: "words" });
  empty.append(
    el("h2", {}, "No calls"),
    el(
      "p",
      {},
      "What a task spends appears here once it has asked a model, created a cache or added documents with this ",
      "connection.",
    ),
  );
  section.replaceChildren(el("div", { class: "find choices" }, days, by), totals, list, empty, notes);
  /** @type {Table<CostItem>} */
  const table = new Table(list, {
    noun: "group",
    columns: [
      ...COLUMNS,
      {
        key: "cost",
        heading: "Cost",
        order: ({ row }) => row.cost ?? -1,
        cell: ({ row }) => (currency ? money(row, currency, digits) : "–"),
      },
    ],
    // The order of the response: what is most expensive, or the newest day, comes first.
    sort: "",
    searched: "Dag, task, model and day",
    stateNames: STATES,
    empty: "",
    record: ({ row }) => ({ ...row, currency }),
    onChange,
  });
  return {
    tab: "costs",
    noun: "cost",
    slow: "Airflow's database",
    whyMissing: "",
    load: (retry) => getCosts(connection, retry, shown),
    show: (/** @type {CostsResponse} */ { report, now }) => report && show(report, now),
    hide: () => (section.hidden = true),
    missing: () => [],
    restore: (parameters) => {
      shown = {
        days: valid(parameters.get("days"), DAYS) ?? FIRST.days,
        by: valid(parameters.get("by"), BY) ?? FIRST.by,
      };
      table.restore(parameters);
    },
    parameters: () => {
      const own = Object.entries(shown).filter(
        ([name, value]) => value !== FIRST[/** @type {keyof typeof FIRST} */ (name)],
      );
      return new URLSearchParams([...own, ...table.parameters()]);
    },
  };

  /**
   * @param {CostsReport} report
   * @param {number} now
   */
  function show(report, now) {
    section.hidden = false;
    currency = report.currency;
    digits = decimals(report.groups);
    [days.value, by.value] = [shown.days, shown.by];
    const isEmpty = report.groups.length === 0;
    totals.hidden = list.hidden = isEmpty;
    empty.hidden = !isEmpty;
    totals.replaceChildren(...sums(report));
    if (!isEmpty) table.show(report.groups.map(itemOf), now);
    notes.replaceChildren(...report.notes.map((note) => el("li", {}, note)));
  }

  /**
   * @param {string} label
   * @param {keyof typeof FIRST} name
   * @param {Record<string, string>} names
   */
  function choice(label, name, names) {
    const select = el(
      "select",
      {
        "aria-label": label,
        onchange: () => {
          shown[name] = select.value;
          onChange();
          refresh();
        },
      },
      Object.entries(names).map(([value, text]) => el("option", { value }, text)),
    );
    return select;
  }
}

/** @param {CostsReport} report */
function sums({ total, currency }) {
  const { calls, input_tokens, output_tokens, thoughts_tokens, caches, failed_calls, failed_tokens } = total;
  const failed = failed_calls && `${count(failed_calls, "call")}, ${count(failed_tokens, "token")}`;
  const all = {
    Cost: currency && money(total, currency, decimals([total])),
    Calls: number(calls),
    "Tokens in": number(input_tokens),
    "Into caches": caches && number(total.cache_tokens),
    "Stored in caches": caches && storage(total),
    "From caches": part(cachedShare(total)),
    "Tokens out": number(output_tokens),
    "Of thoughts": number(thoughts_tokens),
    "In batches": part(batchShare(total)),
    "Failed, but paid": failed || "–",
  };
  return Object.entries(all).flatMap(([name, value]) =>
    value ? [el("div", {}, el("dt", {}, name), el("dd", {}, value))] : [],
  );
}

/** @param {CostItem} item */
function nameCell({ label, row }) {
  return el("span", { class: "name", title: label }, urlOf(row) ? link(urlOf(row), label) : label);
}

/** @param {CostRow} row */
function urlOf({ dag_id, task_id }) {
  if (!dag_id) return "";
  const dag = `dags/${encodeURIComponent(dag_id)}`;
  return airflowUrl(task_id ? `${dag}/tasks/${encodeURIComponent(task_id)}` : dag);
}

/**
 * @param {string | null} value
 * @param {Record<string, string>} names
 */
function valid(value, names) {
  return value !== null && Object.hasOwn(names, value) ? value : null;
}
