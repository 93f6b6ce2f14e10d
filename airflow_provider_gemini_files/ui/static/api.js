// Requests to the API server. A failed request throws an ApiError with a message for the user.
import { airflowUrl } from "./airflow.js";

/**
 * @import { BatchesResponse, CostsResponse, DocumentsResponse, FilesResponse, HistoryResponse, Owner, StoresResponse,
 *   Summary } from "./types.js"
 */

const READ_SECONDS = 60;
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
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} seconds
 */
async function request(url, options = {}, seconds = READ_SECONDS) {
  let response;
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(seconds * 1000) });
  } catch {
    throw new ApiError(0, "Airflow's API server does not respond.");
  }
  if (response.ok) return response.json();
  if (response.status === 401) throw new ApiError(401, "Your session has expired.");
  const { detail } = await response.json().catch(() => ({}));
  const message = typeof detail === "string" ? detail : detail?.reason;
  throw new ApiError(response.status, message ?? `Airflow's API server responded with HTTP ${response.status}.`);
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

/** @type {(connection: string, retry: boolean) => Promise<FilesResponse>} */
export const getFiles = (connection, retry) => list(connection, "files", retry);

/** @type {(connection: string) => Promise<HistoryResponse>} */
export const getHistory = (connection) => request(urlOf(connection, "history"));

/** @type {(connection: string, retry: boolean) => Promise<StoresResponse>} */
export const getStores = (connection, retry) => list(connection, "stores", retry);

/** @type {(connection: string, retry: boolean) => Promise<BatchesResponse>} */
export const getBatches = (connection, retry) => list(connection, "batches", retry);

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

/**
 * Return an XCom value. Airflow's own API serves it, so the user needs the permission to read it.
 *
 * @param {Pick<Owner, "dag" | "run" | "task" | "map">} instance
 * @param {string} key
 */
export async function getXCom({ dag, run, task, map }, key) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  const path = `api/v2/dags/${d}/dagRuns/${r}/taskInstances/${t}/xcomEntries/${key}?map_index=${map}`;
  const { value } = await request(airflowUrl(path));
  return typeof value === "string" ? JSON.parse(value) : value;
}
