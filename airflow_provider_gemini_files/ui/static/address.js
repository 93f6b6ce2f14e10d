// The address of what is shown: its query is kept up to date, in Airflow's frame as well, so that it can be shared.
import { el } from "./dom.js";

/** @import { Child } from "./dom.js" */

const isFramed = window.parent !== window;
/** @type {() => void} */
let open = () => {};

/** Return the query of the page's own URL, or of Airflow's URL if the page is in Airflow's frame. */
export function query() {
  if (!location.search && isFramed) {
    // Airflow copies the URL of the frame into its own URL, which would lose its query without this line.
    history.replaceState(null, "", `${location.pathname}${window.parent.location.search}`);
  }
  return new URLSearchParams(location.search);
}

/**
 * Set the function that shows what the address says; it is called whenever the user goes to another address of the page.
 *
 * @param {() => void} callback
 */
export function onAddress(callback) {
  open = callback;
  addEventListener("popstate", () => {
    showInAirflow();
    callback();
  });
}

/**
 * Replace the address without a new entry in the browser's history.
 *
 * @param {URLSearchParams} parameters
 */
export function replaceAddress(parameters) {
  history.replaceState(null, "", `?${parameters}`);
  showInAirflow();
}

/**
 * Return a link to another address of the page, which is opened without loading the page again.
 *
 * @param {() => URLSearchParams} parameters - Called when the link is followed, too.
 * @param {Record<string, any>} properties
 * @param {...Child} children
 */
export function pageLink(parameters, properties, ...children) {
  const anchor = el("a", { href: `?${parameters()}`, onclick, ...properties }, ...children);
  return anchor;

  /** @param {MouseEvent} event */
  function onclick(event) {
    anchor.href = `?${parameters()}`;
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", anchor.search);
    showInAirflow();
    open();
  }
}

/** Airflow's own URL keeps the query, so that it survives a reload. */
function showInAirflow() {
  if (!isFramed) return;
  const { history: airflow, location: outer } = window.parent;
  airflow.replaceState(airflow.state, "", `${outer.pathname}${location.search}`);
}
