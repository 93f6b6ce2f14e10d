// How full the store is, by whom, and what expires when.
import { el } from "./dom.js";
import { KINDS, total } from "./files.js";
import { bytes, count, duration } from "./format.js";

const HOURS = 48;
const HEIGHT = 64;

export function renderStorage(section, { usage, policy, files, now }) {
  section.hidden = false;
  section.replaceChildren(used(usage, policy, files), forecast(files, now));
}

function used({ used_bytes, quota_bytes, share, free_bytes }, { low_watermark: low, high_watermark: high }, files) {
  const percent = (100 * share).toFixed(1);
  const level = share >= high ? "high" : share >= low ? "low" : "fine";
  const words = {
    fine: `Below the low watermark of ${100 * low} %.`,
    low: `Over the low watermark of ${100 * low} %; from ${100 * high} % on, a sweep makes room.`,
    high: `Over the high watermark of ${100 * high} %: a sweep makes room, down to ${100 * low} %.`,
  };
  const meter = el("div", {
    class: "meter",
    role: "meter",
    "aria-label": "Storage used",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.min(100, percent),
    "aria-valuetext": `${bytes(used_bytes)} of ${bytes(quota_bytes)}, ${percent} %. ${words[level]}`,
  });
  const legend = el("ul", { class: "legend" });
  for (const [kind, name] of Object.entries(KINDS)) {
    const some = files.filter((file) => file.kind === kind);
    const part = el("span", { class: `part ${kind}`, title: `${name}: ${bytes(total(some))}` });
    part.style.width = `${(100 * total(some)) / quota_bytes}%`;
    meter.append(part);
    legend.append(
      el(
        "li",
        { class: kind },
        el("span", {}, name),
        " ",
        el("b", {}, bytes(total(some))),
        el("small", {}, count(some.length, "file")),
      ),
    );
  }
  for (const mark of [low, high]) {
    const tick = el("i", { class: "mark", title: `watermark, ${100 * mark} %` });
    tick.style.left = `${100 * mark}%`;
    meter.append(tick);
  }
  return el(
    "div",
    { class: `card used ${level}` },
    el("h2", {}, "Storage"),
    el(
      "p",
      { class: "figure" },
      el("b", {}, bytes(used_bytes)),
      ` of ${bytes(quota_bytes)} used `,
      el("span", { class: "share" }, `${percent} %`),
      el("span", { class: "free" }, `${bytes(free_bytes)} free`),
    ),
    meter,
    el("p", { class: "words" }, words[level]),
    legend,
  );
}

function forecast(files, now) {
  const hours = Array(HOURS).fill(0);
  const leaving = files.filter((file) => file.expires !== null && file.counted > 0);
  for (const file of leaving) {
    const hour = Math.max(0, Math.floor((file.expires - now) / 3600));
    if (hour < HOURS) hours[hour] += file.counted;
  }
  const within = (limit) => hours.slice(0, limit).reduce((sum, size) => sum + size, 0);
  const next = Math.min(...leaving.map((file) => file.expires));
  const first = leaving.length ? `the next in ${duration(next - now)}` : "nothing does";
  const summary = [6, 12, 24, 48].map((limit) => [`${limit} h`, bytes(within(limit))]);
  const chart = el("svg", {
    viewBox: `0 0 ${HOURS * 10} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `Bytes that expire in each of the next ${HOURS} hours. ${summary.map(([limit, size]) => `Within ${limit}: ${size}`).join(". ")}.`,
  });
  const largest = Math.max(...hours, 1);
  hours.forEach((size, hour) => {
    const height = size ? Math.max(2, (size / largest) * HEIGHT) : 0;
    const title = el("title", {}, `in ${hour} to ${hour + 1} hours: ${bytes(size)}`);
    chart.append(el("rect", { x: hour * 10 + 1, y: HEIGHT - height, width: 8, height, class: "bar" }, title));
  });
  return el(
    "div",
    { class: "card forecast" },
    el("div", { class: "title" }, el("h2", {}, "Expires by itself"), el("span", { class: "note" }, first)),
    chart,
    el(
      "div",
      { class: "axis", "aria-hidden": "true" },
      ...["now", "12 h", "24 h", "36 h", "48 h"].map((text) => el("span", {}, text)),
    ),
    el(
      "dl",
      { class: "within" },
      ...summary.map(([limit, size]) => el("div", {}, el("dt", {}, `within ${limit}`), el("dd", {}, size))),
    ),
  );
}
