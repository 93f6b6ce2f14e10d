// Airflow around the page: where it is, and how to get there from inside its frame.
import { el } from "./dom.js";

/** Airflow's own root, whatever prefix it is served under. */
const ROOT = new URL("..", document.baseURI);
const framed = window.parent !== window;

export function airflowUrl(path) {
  return new URL(path, ROOT).href;
}

/** Return where a task instance is shown. */
export function taskUrl({ dag, run, task, map }) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  return airflowUrl(`dags/${d}/runs/${r}/tasks/${t}${map < 0 ? "" : `/mapped/${map}`}`);
}

/** Return a link that leaves the frame. */
export function link(url, ...children) {
  return el("a", { href: url, target: "_top", onclick: leave, onauxclick: leave }, ...children);
}

// The frame's sandbox lets no link of ours navigate the window around it; a link of that window may.
function leave(event) {
  if (!framed || event.button > 1) return;
  event.preventDefault();
  const document = window.parent.document;
  const anchor = document.createElement("a");
  anchor.href = this.href;
  const aside = event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
  anchor.target = aside ? "_blank" : "_self";
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

/** Return the query of the page: of its own URL, or of Airflow's around it. */
export function query() {
  if (location.search || !framed) return new URLSearchParams(location.search);
  // Airflow writes the frame's URL into its own; without this, it would lose what it was opened with.
  history.replaceState(null, "", `${location.pathname}${window.parent.location.search}`);
  return new URLSearchParams(location.search);
}
