// The notices above the storage cards. Here, and only here, an error gets its title and the actions that help.
import { connectionUrl, link, loginUrl } from "./airflow.js";
import { ApiError } from "./api.js";
import { messageOf } from "./dialog.js";
import { el } from "./dom.js";

/** @import { Child } from "./dom.js" */
/** @import { PageError } from "./types.js" */
/** @typedef {"retry" | "connection" | "login"} Action */

/**
 * The title and the actions of each kind of error: those of `errors.py`, and those of the requests to the API server.
 *
 * @type {Record<string, [title: string, ...Action[]]>}
 */
const ERRORS = {
  missing_connection: ["Connection not found", "retry", "connection"],
  invalid_connection: ["The connection is invalid", "retry", "connection"],
  api_key: ["The API key is missing or invalid", "retry", "connection"],
  unreachable: ["The Gemini API is unreachable", "retry", "connection"],
  logged_out: ["You are logged out", "login"],
  forbidden: ["Permission denied", "retry"],
  missing: ["Not found", "retry"],
  api_server: ["The page could not be loaded", "retry"],
};

/**
 * Return a notice.
 *
 * @param {"" | "error"} kind
 * @param {string} title
 * @param {...Child} content
 */
export function notice(kind, title, ...content) {
  return el("div", { class: `notice ${kind}` }, el("b", {}, title), el("p", {}, ...content));
}

/**
 * Return the notice of an error.
 *
 * @param {PageError} error
 * @param {string} otherTitle - The title of an error whose kind has none.
 * @param {string} hint - What follows for the page, or an empty string.
 * @param {string | null} connection
 * @param {() => void} retry
 */
export function errorNotice(error, otherTitle, hint, connection, retry) {
  const [title, actions] = errorParts(error, otherTitle, connection, retry);
  // A connection that is missing is the first step of a new user.
  const element = notice(error.kind === "missing_connection" ? "" : "error", title, error.message);
  if (hint) element.append(el("p", {}, hint));
  element.append(el("p", { class: "notice-actions" }, actions));
  return element;
}

/**
 * Return the title of an error, and the buttons and links that help.
 *
 * @param {PageError} error
 * @param {string} otherTitle - The title of an error whose kind has none.
 * @param {string | null} connection
 * @param {() => void} retry
 * @returns {[title: string, actions: HTMLElement[]]}
 */
export function errorParts({ kind }, otherTitle, connection, retry) {
  const [title, ...names] = ERRORS[kind] ?? [otherTitle, "retry", "connection"];
  const buttons = {
    retry: () => retryButton(retry),
    connection: () =>
      link(connectionUrl(connection), kind === "missing_connection" ? "Add connection" : "Open connection"),
    login: () => link(loginUrl(), "Log in"),
  };
  return [title, names.map((name) => buttons[name]())];
}

/** @param {() => void} retry */
function retryButton(retry) {
  const button = el("button", { type: "button", onclick }, "Retry");
  return button;

  function onclick() {
    button.textContent = "Retrying…";
    retry();
  }
}

/**
 * Describe an error of a request to the API server as it describes the errors of the Gemini API.
 *
 * @param {unknown} error
 * @returns {PageError}
 */
export function requestError(error) {
  const status = error instanceof ApiError ? error.status : 0;
  const kind = { 401: "logged_out", 403: "forbidden", 404: "missing" }[status] ?? "api_server";
  return { kind, message: messageOf(error) };
}
