// The page: reads, shows, and reads again while somebody looks.
import * as api from "./api.js";
import { actions } from "./actions.js";
import { airflowUrl, link, query } from "./airflow.js";
import { el } from "./dom.js";
import { decode } from "./files.js";
import { count, duration } from "./format.js";
import { renderReport } from "./report.js";
import { renderStorage } from "./storage.js";
import { FileTable } from "./table.js";

const MIN_PAUSE_SECONDS = 2;
const DEFAULT_CONNECTION = "gemini_default";

const byId = (id) => document.getElementById(id);
const main = document.querySelector("main");
const asked = query();
let connection = asked.get("conn_id");
let known; // the last answer, and when it came by this browser's clock
let timer;

const table = new FileTable(byId("files"), (shown) => actions(shown, connection, read));
table.linked = new Set(asked.getAll("file"));

async function begin() {
  try {
    const offered = await api.connections();
    connection ??= offered[0] ?? DEFAULT_CONNECTION;
    offer(offered.includes(connection) ? offered : [connection, ...offered]);
  } catch (error) {
    return fail(error);
  }
  if (asked.has("report")) renderReport(byId("report"), asked);
  return read();
}

function offer(ids) {
  const choice = byId("connection");
  choice.replaceChildren(...ids.map((id) => el("option", { value: id, selected: id === connection }, id)));
  choice.onchange = () => location.assign(`?${new URLSearchParams({ conn_id: choice.value })}`);
  byId("connection-label").hidden = false;
}

async function read() {
  clearTimeout(timer);
  let answer;
  try {
    answer = await api.files(connection);
  } catch (error) {
    return fail(error);
  }
  known = { ...answer, came: Date.now(), files: answer.files.map(decode) };
  show();
  const pause = answer.reading ? MIN_PAUSE_SECONDS : Math.max(MIN_PAUSE_SECONDS, answer.next_reading - answer.now);
  // Nobody looks at a hidden page: it reads again when it is seen again.
  timer = setTimeout(
    () => (document.hidden ? addEventListener("visibilitychange", read, { once: true }) : read()),
    pause * 1000,
  );
  return undefined;
}

function show() {
  main.setAttribute("aria-busy", String(known.read_at === null && known.reading));
  notices();
  tellFreshness();
  if (known.read_at === null) {
    byId("storage").hidden = byId("files").hidden = true;
    return;
  }
  renderStorage(byId("storage"), known);
  // Whoever is about to choose or to type does not lose the place.
  table.show(known);
}

function notices() {
  const list = [];
  if (known.error) list.push(errorNotice(known.error, known.read_at !== null));
  else if (known.read_at === null)
    list.push(notice("", "Still reading", "The service takes its time; the page goes on by itself."));
  const gone = [...table.linked].filter((name) => !known.files.some((file) => file.name === name));
  if (known.read_at !== null && gone.length) {
    const which = gone.length === 1 ? `${gone[0]} is` : `${count(gone.length, "file")} of the link are`;
    list.push(
      notice(
        "",
        `${which} not in the store`,
        "Deleted, expired (48 hours after the upload), of another project than this connection's, or uploaded since the store was last read: the page looks again by itself.",
      ),
    );
  }
  const old = byId("notices");
  const texts = list.map((item) => item.textContent).join("\n");
  // A status that says the same again is not read out again.
  if (texts !== [...old.children].map((item) => item.textContent).join("\n")) old.replaceChildren(...list);
}

function notice(kind, title, ...words) {
  return el("div", { class: `notice ${kind}` }, el("b", {}, title), el("p", {}, ...words));
}

const ADVICE = {
  NoConnection: ["There is no such connection", "connections", "Add a connection"],
  GeminiAuthError: ["The key is missing or not accepted", "connections", "Look at the connection"],
  GeminiInputError: ["The connection cannot be used", "connections", "Look at the connection"],
};

function errorNotice({ kind, message }, stale) {
  const [title, path, action] = ADVICE[kind] ?? ["The store could not be read"];
  const after = stale ? " What is shown below is older." : "";
  const hint = kind === "GeminiAuthError" ? " The API server reads the store itself, so it needs the key, too." : "";
  return notice("error", title, message + hint + after, path && [" ", link(airflowUrl(path), action)]);
}

function tellFreshness() {
  if (!known) return;
  const age = known.now - known.read_at + (Date.now() - known.came) / 1000;
  const words = known.read_at === null ? "Not read yet" : `Read ${age < 3 ? "just now" : `${duration(age)} ago`}`;
  byId("freshness").textContent = words + (known.reading ? ", reading again…" : "");
}

function fail(error) {
  main.setAttribute("aria-busy", "false");
  const title =
    { 401: "You are not logged in", 403: "You may not see this" }[error.status] ?? "The page could not be read";
  const again = el("button", { type: "button", onclick: () => (connection ? read() : begin()) }, "Try again");
  const way = error.status === 401 ? link(airflowUrl(""), "Log in") : again;
  byId("notices").replaceChildren(notice("error", title, error.message, " ", way));
  byId("freshness").textContent = known ? byId("freshness").textContent : "";
}

setInterval(tellFreshness, 5000);
begin();
