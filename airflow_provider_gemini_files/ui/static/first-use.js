// What the page shows before there is anything to list: a first connection, and a first Dag.
import { connectionUrl, link } from "./airflow.js";
import { copyButton } from "./cells.js";
import { el } from "./dom.js";

/** The Dag of `docs/start.md`. */
const DAG = `from datetime import datetime

from airflow.sdk import Param, dag

from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"source": Param("/data/report.pdf", type="string", description="A path, an object storage URI or a URL")},
)
def summarize():
    GeminiGenerateContentOperator(
        task_id="summarize",
        files=[{"source": "{{ params.source }}"}],
        prompt="Summarize this in three sentences.",
    )


summarize()
`;

/** Return what is shown of a project without files. */
export function firstDag() {
  return el(
    "div",
    { class: "first-use" },
    el("p", {}, "Files appear here within 30 seconds after their upload. A first Dag, for the Dags folder:"),
    snippet(DAG),
  );
}

/**
 * Return how to add a connection.
 *
 * @param {string} id
 */
export function firstConnection(id) {
  const variable = `AIRFLOW_CONN_${id.toUpperCase()}`;
  return el(
    "div",
    { class: "first-use" },
    el("h2", {}, "Add a connection"),
    el("p", {}, "Create an API key in Google AI Studio, and ", link(connectionUrl(null), "add a connection"), ":"),
    el(
      "ul",
      {},
      el("li", {}, "Connection ID: ", el("code", {}, id)),
      el("li", {}, "Connection Type: ", el("code", {}, "gemini")),
      el("li", {}, "API key: your key; all other fields can stay empty"),
    ),
    el("p", {}, "Or set an environment variable of the API server, the triggerer and the workers:"),
    snippet(`${variable}='{"conn_type": "gemini", "password": "<your key>"}'\n`),
  );
}

/** @param {string} text */
function snippet(text) {
  const code = el("pre", { tabIndex: 0 }, el("code", {}, text));
  return el("div", { class: "snippet" }, code, copyButton(text, "the text"));
}
