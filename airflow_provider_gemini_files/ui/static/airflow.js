// Airflow's own pages: their URLs, and links to them from inside Airflow's frame.
import { el } from "./dom.js";

/** @import { Child } from "./dom.js" */
/** @import { Owner } from "./types.js" */

/** The root of Airflow, whatever path prefix it is served under. */
const ROOT = new URL("..", document.baseURI);
const isFramed = window.parent !== window;

/** @param {string} path */
export function airflowUrl(path) {
  return new URL(path, ROOT).href;
}

/** Return the URL of Airflow's login, which leads back to what is shown. */
export function loginUrl() {
  const shown = isFramed ? window.parent.location : location;
  return airflowUrl(`api/v2/auth/login?${new URLSearchParams({ next: shown.href })}`);
}

/**
 * Return the URL of a task instance.
 *
 * @param {Pick<Owner, "dag" | "run" | "task" | "map">} instance
 */
export function taskUrl({ dag, run, task, map }) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  return airflowUrl(`dags/${d}/runs/${r}/tasks/${t}${map < 0 ? "" : `/mapped/${map}`}`);
}

/**
 * Return the URL of a run.
 *
 * @param {Pick<Owner, "dag" | "run">} instance
 */
export function runUrl({ dag, run }) {
  return airflowUrl(`dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`);
}

/**
 * Return the URL of the list of connections, filtered by an id.
 *
 * @param {string | null} id
 */
export function connectionUrl(id) {
  return airflowUrl(id ? `connections?name_pattern=${encodeURIComponent(id)}` : "connections");
}

/**
 * Return a link that leaves the frame.
 *
 * @param {string} url
 * @param {...Child} children
 */
export function link(url, ...children) {
  return el("a", { href: url, target: "_top", onclick: leaveFrame, onauxclick: leaveFrame }, ...children);
}

/**
 * Return a link that opens a new tab.
 *
 * @param {string} url
 * @param {...Child} children
 */
export function newTab(url, ...children) {
  return el("a", { href: url, target: "_blank", rel: "noopener", onclick: leaveFrame }, ...children);
}

/**
 * Follow a link in Airflow's window. The sandbox of the frame forbids the page's own links to navigate that window, but a
 * link inside that window may.
 *
 * @this {HTMLAnchorElement}
 * @param {MouseEvent} event
 */
function leaveFrame(event) {
  if (!isFramed || event.button > 1) return;
  event.preventDefault();
  const { document } = window.parent;
  const anchor = document.createElement("a");
  anchor.href = this.href;
  const isNew = this.target === "_blank" || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
  anchor.target = isNew ? "_blank" : "_self";
  anchor.rel = this.rel;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}
