// The cards above the table: how much of the quota is used, by whom, and when files expire.
import { byId, el, svg } from "./dom.js";
import { KINDS, total } from "./files.js";
import { bytes, count, duration, percent } from "./format.js";

/** @import { Shown } from "./types.js" */

/** A file expires 48 hours after its upload. */
const HOURS = 48;
const HEIGHT = 64;

/**
 * @param {HTMLElement} section
 * @param {Shown} shown
 */
export function showStorage(section, shown) {
  section.hidden = false;
  showUsage(byId("usage"), shown);
  showExpiration(byId("expiration"), shown);
}

/**
 * @param {HTMLElement} card
 * @param {Shown} shown
 */
function showUsage(card, { usage, policy: { low_watermark: low, high_watermark: high }, files }) {
  const { used_bytes, quota_bytes, free_bytes, share } = usage;
  const level = share >= high ? "high" : share >= low ? "low" : "fine";
  const [lowMark, highMark] = [low, high].map((mark) => `${Math.round(100 * mark)}%`);
  const words = {
    fine: `Below the low watermark (${lowMark}).`,
    low: `Above the low watermark (${lowMark}). From ${highMark}, a cleanup also deletes files that are not yet due.`,
    high: `Above the high watermark (${highMark}). A cleanup frees space until usage is at ${lowMark}.`,
  }[level];
  const meter = el("div", {
    class: "meter",
    role: "meter",
    "aria-label": "Storage used",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.min(100, Number((100 * share).toFixed(1))),
    "aria-valuetext": `${bytes(used_bytes)} of ${bytes(quota_bytes)}, ${percent(share)}. ${words}`,
  });
  const legend = el("ul", { class: "legend" });
  for (const [kind, name] of Object.entries(KINDS)) {
    const owned = files.filter((file) => file.kind === kind);
    const part = el("span", { class: `part ${kind}`, title: `${name}: ${bytes(total(owned))}` });
    part.style.width = `${(100 * total(owned)) / quota_bytes}%`;
    meter.append(part);
    if (owned.length === 0) continue;
    const size = el("b", {}, bytes(total(owned)));
    legend.append(
      el("li", { class: kind }, el("span", {}, name), " ", size, " ", el("small", {}, count(owned.length, "file"))),
    );
  }
  for (const mark of [low, high]) {
    const tick = el("i", { class: "mark", title: `Watermark: ${Math.round(100 * mark)}%` });
    tick.style.left = `${100 * mark}%`;
    meter.append(tick);
  }
  card.replaceChildren(
    el("div", { class: "title" }, el("h2", {}, "Storage"), el("span", { class: "note" }, `${bytes(free_bytes)} free`)),
    el(
      "p",
      { class: "figure" },
      el("b", {}, bytes(used_bytes)),
      ` of ${bytes(quota_bytes)} used `,
      el("span", { class: `share ${level}` }, percent(share)),
    ),
    meter,
    el("p", { class: "words" }, words),
    legend,
  );
}

/**
 * @param {HTMLElement} card
 * @param {Shown} shown
 */
function showExpiration(card, { files, now }) {
  const expiring = files.flatMap(({ expires, counted }) =>
    expires !== null && counted > 0 ? [{ expires, counted }] : [],
  );
  /** @type {number[]} */
  const hours = Array(HOURS).fill(0);
  for (const { expires, counted } of expiring) {
    const hour = Math.max(0, Math.floor((expires - now) / 3600));
    if (hour < HOURS) hours[hour] = (hours[hour] ?? 0) + counted;
  }
  const next = Math.min(...expiring.map(({ expires }) => expires));
  const note = expiring.length ? `Next in ${duration(next - now)}` : "No file expires";
  // All that expires does so within 48 hours.
  const within = [6, 12, 24].map((limit) => ({
    limit: `${limit} h`,
    size: bytes(hours.slice(0, limit).reduce((sum, size) => sum + size, 0)),
  }));
  const summary = within.map(({ limit, size }) => `Within ${limit}: ${size}.`).join(" ");
  card.replaceChildren(
    el("div", { class: "title" }, el("h2", {}, "Expiration"), el("span", { class: "note" }, note)),
    chart(hours, `Bytes that expire in each of the next ${HOURS} hours. ${summary}`),
    el(
      "div",
      { class: "axis", "aria-hidden": "true" },
      ["Now", "12 h", "24 h", "36 h", "48 h"].map((text) => el("span", {}, text)),
    ),
    el(
      "dl",
      { class: "within" },
      within.map(({ limit, size }) => el("div", {}, el("dt", {}, `Within ${limit}`), el("dd", {}, size))),
    ),
  );
}

/**
 * Return a bar chart.
 *
 * @param {number[]} sizes - Bytes per hour.
 * @param {string} label
 */
function chart(sizes, label) {
  const largest = Math.max(...sizes, 1);
  const bars = sizes.map((size, hour) => {
    const height = size ? Math.max(2, (size / largest) * HEIGHT) : 0;
    const title = svg("title", {}, `In ${hour} to ${hour + 1} hours: ${bytes(size)}`);
    return svg("rect", { x: hour * 10 + 1, y: HEIGHT - height, width: 8, height, class: "bar" }, title);
  });
  const viewBox = `0 0 ${sizes.length * 10} ${HEIGHT}`;
  return svg("svg", { viewBox, preserveAspectRatio: "none", role: "img", "aria-label": label }, bars);
}

// On a narrow screen, only the usage is above the files until the user asks for the other cards.
byId("more-cards").addEventListener("click", ({ currentTarget }) => {
  const isOpen = byId("storage").classList.toggle("unfolded");
  if (currentTarget instanceof HTMLElement) currentTarget.setAttribute("aria-expanded", String(isOpen));
});
