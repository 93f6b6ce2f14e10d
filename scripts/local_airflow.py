"""A real Airflow on this machine for ``make demo``, ``make up`` and the tests: four processes and a folder."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_HEALTHY_SECONDS = 180
_STOP_SECONDS = 15
_SERVER_ERROR_SECONDS = 30
#: Seconds that a component waits for another component's write lock. The api-server blocks all its requests while it
#: writes its audit log, and one of them may hold the lock. It therefore gives up soon, and its client tries again.
_LOCK_SECONDS = {"api-server": 5}
_OTHERS_LOCK_SECONDS = 60


class LocalAirflow:
    """
    Airflow's api-server, scheduler, dag-processor and triggerer for the duration of a ``with`` block.

    All ports are on the loopback interface. Leaving the block ends all started processes and their children.

    :param home: ``AIRFLOW_HOME``, with database and logs; created if it does not exist.
    :param dags: the Dags folder.
    :param env: additional environment variables, such as ``AIRFLOW_CONN_...``.
    :param port: port of the UI and the API; 0 selects a free one.
    :param users: role by user name, including ``admin``; each password is the user's name. If empty, nobody logs in.
    """

    def __init__(
        self, home: Path, dags: Path, env: dict[str, str], port: int = 0, users: dict[str, str] | None = None
    ) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port or free_port()}"
        self._users = users or {}
        # The settings of another Airflow of this user, or of a test process, must not apply to this one.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        self._env = {**inherited, **without_proxy(), **self._settings(dags), **self._logins(), **env}
        self._processes: dict[str, psutil.Popen] = {}
        # All requests stay on this machine, so no proxy must be used.
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        #: Headers that authorise API requests, and Airflow's version; both are set once Airflow runs.
        self.headers: dict[str, str] = {}
        self.version: tuple[int, ...] = ()

    def _settings(self, dags: Path) -> dict[str, str]:
        port = self.url.rpartition(":")[2]
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }

    def _logins(self) -> dict[str, str]:
        if not self._users:
            return {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps({name: name for name in self._users}))
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{name}:{role}" for name, role in self._users.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }

    def __enter__(self) -> LocalAirflow:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    def _start(self) -> None:
        (self.home / "output").mkdir(parents=True, exist_ok=True)
        self._run_component("db", "migrate").wait()
        with closing(sqlite3.connect(self._database)) as database:
            # Readers no longer block writers. The setting is stored in the database file.
            database.execute("PRAGMA journal_mode=WAL")
        for component in COMPONENTS:
            self.start(component)
        self._wait_until(self._healthy, "healthy")
        # The API server builds the routes for tasks at the first request to them. That takes up to 30 seconds on a slow
        # machine, and the first task would fail because of it.
        self._wait_until(self._ready_for_tasks, "ready for tasks")
        self.headers = {"Authorization": f"Bearer {self.token('admin')}"}
        self._client.headers.update(self.headers)
        self.version = tuple(int(part) for part in self.api("GET", "/version")["version"].split(".")[:2])

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while not condition():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"not {what} within {_HEALTHY_SECONDS} s"
                raise RuntimeError(f"Airflow did not start: {why}. See {self.home / 'output'}")
            time.sleep(0.5)

    def start(self, component: str, name: str | None = None) -> None:
        """
        Start a component.

        :param name: for the other methods and the file of its output, if it is not the only one of its kind.
        """
        self._processes[name or component] = self._run_component(component, output=name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a component and its children, such as SIGSTOP."""
        for each in _trees([self._processes[name]]):
            each.send_signal(number)

    def kill(self, name: str) -> None:
        """Kill a component and its children without a warning, like a machine that crashes."""
        _end([self._processes.pop(name)], kill=True)

    @property
    def _database(self) -> Path:
        return self.home / "airflow.db"

    def _run_component(self, *command: str, output: str | None = None) -> psutil.Popen:
        seconds = _LOCK_SECONDS.get(command[0], _OTHERS_LOCK_SECONDS)
        own = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}?timeout={seconds}",
            # Two triggerers on one machine need a port each.
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        with (self.home / "output" / f"{output or command[0]}.txt").open("ab") as file:
            return psutil.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self._env | own,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C must reach only this process, which then ends the components in order.
                start_new_session=True,
            )

    def _healthy(self) -> bool:
        try:
            health = self._client.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(
            (health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "triggerer", "dag_processor")
        )

    def _ready_for_tasks(self) -> bool:
        try:
            return self._client.get("/execution/health", timeout=_HEALTHY_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def _stop(self) -> None:
        self._client.close()
        _end(list(self._processes.values()))
        self._processes.clear()

    def token(self, user: str) -> str:
        """Log a user in; return the token for the user's requests, valid as bearer token and as cookie ``_token``."""
        if not self._users:
            return str(self._client.get("/auth/token").raise_for_status().json()["access_token"])
        login = self._client.post("/auth/token", json={"username": user, "password": user})
        return str(login.raise_for_status().json()["access_token"])

    # --- Airflow's REST API ------------------------------------------------------------------------------------

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """
        Send a request to Airflow's REST API below ``/api/v2``; return the JSON.

        Server errors are retried for a while: Airflow responds with one when the database is locked, or when the run of
        an asset event has not started yet. A 409 after such an error means that the failed request took effect; None is
        returned then.
        """
        deadline = time.monotonic() + _SERVER_ERROR_SECONDS
        failed = False
        while (response := self._client.request(method, f"/api/v2{path}", **kwargs)).is_server_error:
            if time.monotonic() > deadline:
                break
            failed = True
            time.sleep(0.5)
        if failed and response.status_code == 409:
            return None
        response.raise_for_status()
        return response.json() if response.content else None

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a run as soon as Airflow knows the Dag; return the run id."""
        # We choose the id, so that a repeated request cannot start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        run = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while True:
            try:
                self.api("POST", f"/dags/{dag_id}/dagRuns", json=run)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
                continue
            return run_id

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause a Dag."""
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        return list(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def states(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """Return the states of a task's instances."""
        return [task["state"] for task in self.tasks(dag_id, run_id) if task["task_id"] == task_id]

    def wait(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """Wait until a run ends; return its state."""
        deadline = time.monotonic() + seconds
        while (state := self.run_state(dag_id, run_id)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                states = {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}
                raise TimeoutError(f"{dag_id} {run_id} is {state} after {seconds} s: {states}. Logs: {self.home}")
            time.sleep(0.5)
        return state

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom value, or None if there is none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            value = self.api("GET", path, params={"map_index": map_index})["value"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:
                return None
            raise
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value


def _end(processes: list[psutil.Popen], *, kill: bool = False) -> None:
    """End processes and all their children; Airflow's children survive if only the parents are signalled."""
    tree = _trees(processes)
    for signal_all in ("kill",) if kill else ("terminate", "kill"):
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                getattr(process, signal_all)()
        # What a process has started in the meantime is ended, too.
        tree = set(psutil.wait_procs(_trees(processes) | tree, timeout=_STOP_SECONDS)[1])


def _trees(processes: list[psutil.Popen]) -> set[psutil.Process]:
    """Return processes and their children, also those whose parent has ended: a component is a session of its own."""
    sessions = {process.pid for process in processes}
    tree = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                tree |= {process, *process.children(recursive=True)}
    return tree


def without_proxy() -> dict[str, str]:
    """
    Return the environment in which requests to this machine use no proxy, whatever proxies are set.

    Both spellings, as programs differ in which of the two they prefer.
    """
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    hosts = ",".join(filter(None, [given, "127.0.0.1", "localhost"]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def free_port() -> int:
    """Return a free local port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a local port is free."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def connection(host: str | None = None, key: str | None = None) -> dict[str, str]:
    """Return the environment that defines ``gemini_default``; without a key, workers use their ``GEMINI_API_KEY``."""
    fields = {"conn_type": "gemini", "host": host, "password": key}
    return {"AIRFLOW_CONN_GEMINI_DEFAULT": json.dumps({k: v for k, v in fields.items() if v})}
