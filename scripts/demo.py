"""``make demo``: run the quickstart Dag in a real Airflow and show its progress in the terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from local_airflow import LocalAirflow, connection
from processes import without_proxy
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from airflow_provider_gemini_files.common.limits import DEFAULT_QUOTA_BYTES
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.emulator import GeminiEmulator

DAG = "gemini_files_quickstart"
DAGS = Path(__file__).resolve().parent.parent / "example_dags"
GOOGLE = "https://generativelanguage.googleapis.com"
MARKS = {"success": "[green]✓[/]", "failed": "[red]✗[/]", "upstream_failed": "[red]-[/]", "skipped": "[yellow]-[/]"}
console = Console(highlight=False)


class Service:
    """A client of the Gemini API that does not use the provider."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, headers={"x-goog-api-key": key}, timeout=30)

    def files(self) -> list[dict[str, Any]]:
        """Return all File resources of the project."""
        files: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._client.get("/v1beta/files", params={"pageSize": 100, "pageToken": token})
            if page.is_error:
                raise RuntimeError(f"{self.url} responded with {page.status_code}: {page.text[:500]}")
            files += page.json().get("files", [])
            token = page.json().get("nextPageToken", "")
            if not token:
                return files

    def usage(self) -> str:
        """Return the usage of the project's storage as text."""
        files = self.files()
        used = sum(int(file.get("sizeBytes", 0)) for file in files)
        return f"{len(files)} files, {human_bytes(used)} of {human_bytes(DEFAULT_QUOTA_BYTES)}"


@contextlib.contextmanager
def service() -> Iterator[tuple[Service, dict[str, str]]]:
    """Yield Google's service if there is a key, else the emulator, with the environment that connects Airflow to it."""
    if key := os.environ.get("GEMINI_API_KEY"):
        url = os.environ.get("GEMINI_BASE_URL") or GOOGLE
        console.print(f"[bold]1[/] Using the real Gemini API at {url} with the key in GEMINI_API_KEY")
        yield Service(url, key), connection(host=None if url == GOOGLE else url)
        return
    with GeminiEmulator(video_seconds=4) as emulator:
        console.print(f"[bold]1[/] Using the Gemini Files API emulator on {emulator.base_url}")
        yield Service(emulator.base_url, "demo-key"), connection(host=emulator.base_url, key="demo-key")


def follow(airflow: LocalAirflow, gemini: Service, run_id: str) -> str:
    """Print the progress of a run until it ends; return its state."""
    began = time.monotonic()
    tasks: dict[str, str] = {}
    files: dict[str, str] = {}
    while True:
        state = airflow.run_state(DAG, run_id)
        for name, line in _file_states(gemini).items():
            if files.get(name) != line:
                files[name] = line
                console.print(f"  [dim]{time.monotonic() - began:5.1f} s[/]      [cyan]file[/] {line}")
        for task in airflow.tasks(DAG, run_id):
            shown = tasks.get(task["task_id"])
            if task["state"] != shown and (task["state"] in MARKS or task["state"] == "deferred"):
                tasks[task["task_id"]] = task["state"]
                mark = MARKS.get(task["state"], "[yellow]…[/]")
                console.print(
                    f"  [dim]{time.monotonic() - began:5.1f} s[/]  {mark}  [bold]{task['task_id']}[/] {task['state']}"
                    + (" (in the triggerer, uses no worker)" if task["state"] == "deferred" else "")
                )
        if state in ("success", "failed"):
            return state
        time.sleep(0.3)


def _file_states(gemini: Service) -> dict[str, str]:
    states = {}
    for file in gemini.files():
        if f"dag={DAG}" in file.get("displayName", ""):
            label = file["displayName"].partition(" [")[0]
            size = human_bytes(int(file["sizeBytes"]))
            states[file["name"]] = escape(f"{label:14} {file['mimeType']:16} {size:>9}  {file['state']}")
    return states


def print_results(airflow: LocalAirflow, run_id: str) -> None:
    """Print what the run pushed to XCom: files, answer and tokens."""
    table = Table(title="Files in XCom", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in ("name", "type", "size", "sha256", "state after upload"):
        table.add_column(column, overflow="fold")
    for file in airflow.xcom(DAG, run_id, "upload", "files") or []:
        table.add_row(
            file["name"], file["mime_type"], human_bytes(file["size_bytes"]), file["sha256"][:8] + "…", file["state"]
        )
    console.print()
    console.print(table)
    answer = airflow.xcom(DAG, run_id, "ask")
    if answer is None:
        return
    console.print()
    console.print(Panel(escape(str(answer)), title="Answer", title_align="left"))
    response = airflow.xcom(DAG, run_id, "ask", "response")
    usage = response["usage"]
    console.print(
        f"{response['model_version']}, {response['finish_reason']}: {usage['prompt']} tokens in, "
        f"{usage['answer']} out, {usage['total']} in total"
    )


def main() -> int:
    """Run the demo; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(without_proxy())
    home = Path(tempfile.mkdtemp(prefix="gemini-files-demo-"))
    console.print()
    console.rule("[bold]Gemini files in Airflow: upload, wait, generate, delete", align="left")
    with service() as (gemini, env):
        before = gemini.files()
        began = time.monotonic()
        console.print("[bold]2[/] Starting Airflow: api-server, scheduler, dag-processor, triggerer…")
        console.print(f"  Logs, kept if the demo fails: {home}", soft_wrap=True)
        with LocalAirflow(home, DAGS, env) as airflow:
            console.print(f"  [dim]{time.monotonic() - began:5.1f} s[/]  Airflow is healthy on {airflow.url}")
            console.print(f"[bold]3[/] Running the Dag [bold]{DAG}[/]")
            console.print(f"  Storage before: {gemini.usage()}")
            run_id = airflow.trigger(DAG)
            state = follow(airflow, gemini, run_id)
            print_results(airflow, run_id)
        left = {file["name"] for file in gemini.files()} - {file["name"] for file in before}
        console.print(f"Storage after: {gemini.usage()}" + (f"; NOT DELETED: {sorted(left)}" if left else ""))
    if state == "success" and not left:
        console.print("[green]The run succeeded, and all its files were deleted.[/]")
        console.print("Next: [bold]make up[/] starts Airflow with its UI.")
        shutil.rmtree(home, ignore_errors=True)
        return 0
    console.print(f"[red]The run ended with state {state}.[/] Logs and database: {home}", soft_wrap=True)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, httpx.HTTPError, RuntimeError, TimeoutError) as error:
        console.print(f"[red]{type(error).__name__}[/] {escape(str(error))}")
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
