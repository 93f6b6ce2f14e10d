// What the page asks of the API server. An answer that is no success becomes an error with a sentence for people.
import { airflowUrl } from "./airflow.js";

const READ_SECONDS = 60;
/** A deletion that the service holds up is tried again and again by the API server. */
const CHANGE_SECONDS = 600;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(url, options = {}, seconds = READ_SECONDS) {
  let response;
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(seconds * 1000) });
  } catch {
    throw new ApiError(0, "Airflow's API server does not answer.");
  }
  if (response.ok) return response.json();
  if (response.status === 401) throw new ApiError(401, "Your session has ended. Log in to Airflow again.");
  const { detail } = await response.json().catch(() => ({}));
  const message = typeof detail === "string" ? detail : detail?.reason;
  throw new ApiError(response.status, message ?? `Airflow's API server answered ${response.status}.`);
}

function of(connection, action) {
  return `api/connections/${encodeURIComponent(connection)}/${action}`;
}

export const connections = () => ask("api/connections");
export const files = (connection) => ask(of(connection, "files"));

/** Change something; the header and the type keep other origins' forms and scripts out. */
export function change(connection, action, body) {
  const headers = { "Content-Type": "application/json", "X-Gemini-Files": "1" };
  return ask(of(connection, action), { method: "POST", headers, body: JSON.stringify(body) }, CHANGE_SECONDS);
}

/** Return an XCom value, by Airflow's own API and the user's own rights. */
export async function xcom({ dag, run, task, map }, key) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  const path = `api/v2/dags/${d}/dagRuns/${r}/taskInstances/${t}/xcomEntries/${key}?map_index=${map}`;
  const { value } = await ask(airflowUrl(path));
  return typeof value === "string" ? JSON.parse(value) : value;
}
