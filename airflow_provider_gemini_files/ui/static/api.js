// Requests to the API server. A failed request throws an ApiError with a message for the user.
import { airflowUrl } from "./airflow.js";

/** @import { BatchesResponse, CostsResponse, Details, DocumentsResponse, FilesResponse, HistoryResponse, Owner, StoresResponse, Summary, UsesResponse } from "./types.js" */

export const READ_SECONDS = 60;
/** The API server retries a deletion that fails, so a request can take this long. */
const CHANGE_SECONDS = 600;

export class ApiError extends Error {
  /**
   * @param {number} status - The HTTP status; 0 if there is no response.
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Return the object of a response.
 *
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} seconds
 */
async function request(url, options = {}, seconds = READ_SECONDS) {
  const { ok, status, body } = await respond(url, options, seconds);
  const content = parsed(body);
  if (!ok) throw new ApiError(status, reasonOf(status, content));
  // A proxy that asks the user to log in responds with a page.
  if (content === undefined) {
    throw new ApiError(
      0,
      `${location.origin} responded with a page instead of data. Reload this page to log in again.`,
    );
  }
  return content;
}

/**
 * Return why a request failed.
 *
 * @param {number} status
 * @param {any} content - Of the response; undefined if it is no JSON.
 */
function reasonOf(status, content) {
  if (status === 401) return "Your session has expired.";
  const { detail } = content ?? {};
  const reason = typeof detail === "string" ? detail : detail?.reason;
  return reason ?? `Airflow's API server responded with HTTP ${status}.`;
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} seconds - For the response with its body.
 */
async function respond(url, options, seconds) {
  try {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(seconds * 1000) });
    return { ok: response.ok, status: response.status, body: await response.text() };
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const failure = isLate ? `did not respond within ${seconds} seconds` : "cannot be reached";
    throw new ApiError(0, `Airflow's API server at ${location.origin} ${failure}.`);
  }
}

/**
 * Return the content of a response; undefined if it is no JSON, as that of a proxy.
 *
 * @param {string} body
 */
function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} connection
 * @param {string} action
 */
function urlOf(connection, action) {
  return `api/connections/${encodeURIComponent(connection)}/${action}`;
}

/** @returns {Promise<string[]>} */
export const getConnections = () => request("api/connections");

/**
 * Return what is known about the resources of a connection.
 *
 * @param {string} connection
 * @param {string} resource
 * @param {boolean} retry - List the resources again now if the last listing failed.
 * @param {Record<string, string>} parameters
 */
function list(connection, resource, retry, parameters = {}) {
  const all = retry ? { ...parameters, retry: "true" } : parameters;
  return request(urlOf(connection, `${resource}?${new URLSearchParams(all)}`));
}

/**
 * Return what is known about the resources of a connection, of which there can be many: they are read in parts.
 *
 * @param {string} connection
 * @param {string} resource
 * @param {boolean} retry
 */
async function listParts(connection, resource, retry) {
  const first = await list(connection, resource, retry);
  const parts = [first];
  for (let after = first.next; after !== null;) {
    const part = await list(connection, resource, false, { after });
    // Another process of the API server has responded, which has not listed the resources yet.
    if (part.listed_at === null) return { ...part, parts: [] };
    parts.push(part);
    after = part.next;
  }
  return { ...first, parts };
}

/** @type {(connection: string, retry: boolean) => Promise<FilesResponse>} */
export const getFiles = (connection, retry) => listParts(connection, "files", retry);

/** @type {(connection: string, name: string) => Promise<Details>} */
export const getDetails = (connection, name) => list(connection, "details", false, { name });

/** @type {(connection: string, name: string, retry: boolean) => Promise<UsesResponse>} */
export const getUses = (connection, name, retry) => list(connection, "uses", retry, { name });

/** @type {(connection: string) => Promise<HistoryResponse>} */
export const getHistory = (connection) => request(urlOf(connection, "history"));

/** @type {(connection: string, retry: boolean) => Promise<StoresResponse>} */
export const getStores = (connection, retry) => list(connection, "stores", retry);

/** @type {(connection: string, retry: boolean) => Promise<BatchesResponse>} */
export const getBatches = (connection, retry) => listParts(connection, "batches", retry);

/** @type {(connection: string, retry: boolean, shown: {days: string, by: string}) => Promise<CostsResponse>} */
export const getCosts = (connection, retry, shown) => list(connection, "costs", retry, shown);

/** @type {(connection: string, retry: boolean) => Promise<Summary>} */
export const getSummary = (connection, retry) => list(connection, "overview", retry);

/** @type {(connection: string, store: string, retry: boolean) => Promise<DocumentsResponse>} */
export const getDocuments = (connection, store, retry) => list(connection, "documents", retry, { store });

/**
 * Send a request that changes something. The header and the content type keep out forms and scripts of other origins.
 *
 * @param {string} connection
 * @param {"delete" | "cleanup" | "dry-run" | "cancel-batches"} action
 * @param {object} body
 * @returns {Promise<any>}
 */
export function post(connection, action, body) {
  const headers = { "Content-Type": "application/json", "X-Gemini-Files": "1" };
  return request(urlOf(connection, action), { method: "POST", headers, body: JSON.stringify(body) }, CHANGE_SECONDS);
}

/** @typedef {Pick<Owner, "dag" | "run" | "task" | "map">} Instance */

/**
 * Return an XCom value. Airflow's own API serves it, so the user needs the permission to read it.
 *
 * @param {Instance} instance
 * @param {string} key
 */
export async function getXCom(instance, key) {
  const { value } = await request(xcomUrl(instance, `/${key}`));
  return typeof value === "string" ? JSON.parse(value) : value;
}

/**
 * Return the keys of a task instance's XCom values.
 *
 * @param {Instance} instance
 * @returns {Promise<string[]>}
 */
export async function getXComKeys(instance) {
  const { xcom_entries } = await request(xcomUrl(instance, ""));
  return xcom_entries.map((/** @type {{key: string}} */ { key }) => key);
}

/**
 * @param {Instance} instance
 * @param {string} path
 */
function xcomUrl({ dag, run, task, map }, path) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  return airflowUrl(`api/v2/dags/${d}/dagRuns/${r}/taskInstances/${t}/xcomEntries${path}?map_index=${map}`);
}
