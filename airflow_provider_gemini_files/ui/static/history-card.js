// The card of the storage's history: a chart of some days, when the storage is full, and a dialog with the days.
import { getHistory } from "./api.js";
import { openDialog } from "./dialog.js";
import { el, svg } from "./dom.js";
import { bytes, count, date, dateTime, percent } from "./format.js";
import { PARTS, daysOf, periodOf } from "./history.js";

/** @import { Bar, Deletion, HistoryResponse, Period, Shown } from "./types.js" */

const PERIODS = [7, 30];
const WIDTH = 1000;
const HEIGHT = 120;
const LANE = 10;
/** @type {Intl.DateTimeFormatOptions} */
const WEEKDAY = { weekday: "short" };
/** @type {Intl.DateTimeFormatOptions} */
const MONTH_DAY = { month: "short", day: "numeric" };
const MARKS = { cleanup: "Cleanup", eviction: "Eviction" };
const BEGUN =
  "The history has just begun. At most once an hour, cleanups, capacity sensors, alerts and this page record the usage.";

/**
 * Return what shows the history of a connection in a section.
 *
 * @param {HTMLElement} section
 * @param {string} connection
 */
export function historyCard(section, connection) {
  let days = PERIODS[0] ?? 7;
  /** @type {HistoryResponse | undefined} */
  let history;
  /** @type {Shown | undefined} */
  let shown;
  const buttons = PERIODS.map((period) =>
    el("button", { type: "button", class: "chip", onclick: () => choose(period) }, `${period} days`),
  );
  /** @type {Period | undefined} What the chart shows. */
  let period;
  const [forecast, chart] = [el("p", { class: "words forecast" }), el("div", { class: "chart" })];
  const legend = el("ul", { class: "legend" });
  const asTable = el("button", { type: "button", class: "text", onclick: openTable }, "Show as a table");
  const foot = el("div", { class: "foot" }, legend, asTable);
  const title = el(
    "div",
    { class: "title" },
    el("h2", {}, "Storage over time"),
    el("div", { class: "periods" }, buttons),
  );
  section.replaceChildren(title, forecast, chart, foot);
  return {
    load,
    /** @param {Shown} latest */
    show(latest) {
      shown = latest;
      render();
    },
    hide: () => (section.hidden = true),
  };

  /** Load the history; if that fails, what was loaded before stays. */
  async function load() {
    history = await getHistory(connection).catch(() => history);
  }

  /** @param {number} chosen */
  function choose(chosen) {
    days = chosen;
    render();
  }

  function openTable() {
    if (!period) return;
    const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
    const table = el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Days" }, tableOf(period));
    const dialog = openDialog(`Storage in the last ${period.days} days`, table, el("footer", {}, close));
    close.focus();
  }

  function render() {
    if (!shown || !history) return;
    section.hidden = false;
    const hasBegun = history.samples.length > 1;
    for (const [index, button] of buttons.entries()) {
      button.setAttribute("aria-pressed", String(PERIODS[index] === days));
      button.hidden = !hasBegun;
    }
    const words = forecastOf(history.full_in_hours);
    forecast.textContent = words;
    forecast.hidden = !words;
    foot.hidden = !hasBegun;
    if (hasBegun) {
      period = periodOf(history, shown, days);
      chart.replaceChildren(...chartOf(period));
      legend.replaceChildren(...legendOf(period));
    } else {
      chart.replaceChildren(el("p", { class: "words" }, BEGUN));
    }
  }
}

/** @param {number | null} hours */
function forecastOf(hours) {
  if (hours === null) return "";
  if (hours === 0) return "The storage is full.";
  return hours < 1
    ? "Full in less than an hour at this rate."
    : `Full in about ${count(Math.round(hours), "hour")} at this rate.`;
}

/** @param {Period} period */
function chartOf(period) {
  const { days, start, end, quota, peak, bars } = period;
  // A storage that is nearly empty would be a flat line below its quota.
  const top = peak > quota / 4 || !peak ? Math.max(peak, quota) : 1.1 * peak;
  const x = (/** @type {number} */ at) => (WIDTH * (at - start)) / (end - start);
  const y = (/** @type {number} */ size) => HEIGHT * (1 - size / top);
  const limit = `at most ${bytes(peak)} (${percent(peak / quota)} of the quota)`;
  const label = `Storage used in the last ${days} days: ${limit}. "Show as a table" has the numbers of each day.`;
  const plot = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label, class: "plot" },
    Object.keys(PARTS).map((part, index) => svg("path", { class: part, d: areaOf(bars, index, x, y) })),
    top >= quota && svg("line", { class: "quota", x1: 0, x2: WIDTH, y1: y(quota), y2: y(quota) }),
    bars.map((bar) =>
      svg(
        "rect",
        { class: "hit", x: x(bar.from), y: 0, width: x(bar.to) - x(bar.from), height: HEIGHT },
        svg("title", {}, titleOf(bar, quota)),
      ),
    ),
  );
  const lane = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${LANE}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "lane" },
    period.cleanups.map((one) => markOf("cleanup", one, x)),
    period.evictions.map((one) => markOf("eviction", one, x)),
  );
  return [el("p", { class: "top" }, top >= quota ? `Quota: ${bytes(quota)}` : bytes(top)), plot, lane, axisOf(period)];
}

/**
 * Return the path of a part of all bars, on top of the parts before it.
 *
 * @param {Bar[]} bars
 * @param {number} part
 * @param {(at: number) => number} x
 * @param {(size: number) => number} y
 */
function areaOf(bars, part, x, y) {
  return bars
    .filter(({ sizes }) => sizes[part])
    .map(({ sizes, from, to }) => {
      const below = sizes.slice(0, part).reduce((sum, size) => sum + size, 0);
      return `M${x(from)} ${y(below)}V${y(below + (sizes[part] ?? 0))}H${x(to)}V${y(below)}Z`;
    })
    .join("");
}

/**
 * @param {Bar} bar
 * @param {number} quota
 */
function titleOf({ at, files, used, sizes }, quota) {
  const parts = Object.values(PARTS).flatMap((name, index) => (sizes[index] ? `${name}: ${bytes(sizes[index])}` : []));
  return [`${dateTime(at)}: ${bytes(used)} (${percent(used / quota)}), ${count(files, "file")}`, ...parts].join("\n");
}

/**
 * @param {keyof typeof MARKS} kind
 * @param {Deletion} deletion
 * @param {(at: number) => number} x
 */
function markOf(kind, [at, files, size], x) {
  const half = LANE / 2;
  const title = svg("title", {}, `${dateTime(at)}: ${MARKS[kind]}, ${count(files, "file")}, ${bytes(size)}`);
  return svg("rect", { class: kind, x: x(at) - 2, y: kind === "cleanup" ? 0 : half, width: 4, height: half }, title);
}

/** @param {Period} period */
function axisOf({ days, start, end }) {
  const [number, format] = days > 7 ? [5, MONTH_DAY] : [7, WEEKDAY];
  const times = Array.from({ length: number }, (_, index) => start + ((end - start) * index) / number);
  const texts = times.map((at) => date(at, format));
  return el(
    "div",
    { class: "axis", "aria-hidden": "true" },
    [...texts, "Now"].map((text) => el("span", {}, text)),
  );
}

/**
 * Return the entries that the legend of the present usage, which is beside the chart, does not have.
 *
 * @param {Period} period
 */
function legendOf({ bars, cleanups, evictions }) {
  const present = bars.at(-1)?.sizes ?? [];
  const parts = Object.entries(PARTS).filter((_, index) => !present[index] && bars.some(({ sizes }) => sizes[index]));
  const marks = Object.entries(MARKS).filter(([kind]) => (kind === "cleanup" ? cleanups : evictions).length);
  return [...parts, ...marks].map(([kind, name]) => el("li", { class: kind }, name));
}

/** @param {Period} period */
function tableOf(period) {
  const headings = ["Day", "Most used", "Cleanups", "Evictions"].map((name, index) =>
    el("th", { scope: "col", class: index ? "number" : null }, name),
  );
  const deleted = (/** @type {[number, number]} */ [files, size]) =>
    el("td", { class: "number" }, files ? `${count(files, "file")}, ${bytes(size)}` : "–");
  const rows = daysOf(period).map(({ at, peak, cleanups, evictions }) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, date(at, MONTH_DAY)),
      el("td", { class: "number" }, peak === null ? "–" : `${bytes(peak)} (${percent(peak / period.quota)})`),
      deleted(cleanups),
      deleted(evictions),
    ),
  );
  return el("table", { class: "file-list days" }, el("thead", {}, el("tr", {}, headings)), el("tbody", {}, rows));
}
