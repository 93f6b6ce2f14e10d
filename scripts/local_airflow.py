"""A real Airflow on this machine for ``make demo``, ``make up`` and the tests: four processes and a folder."""

from __future__ import annotations

import json
import secrets
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import processes
import psutil
from airflow_api import HEALTHY_SECONDS, AirflowApi
from processes import free_port, inherited_environment

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
#: Seconds that a component waits for another component's write lock. The api-server blocks all its requests while it
#: writes its audit log, and one of them may hold the lock. It therefore gives up soon, and its client tries again.
_LOCK_SECONDS = {"api-server": 5}
_OTHERS_LOCK_SECONDS = 60


class LocalAirflow(AirflowApi):
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
        super().__init__(f"http://127.0.0.1:{port or free_port()}", home)
        self.home = home
        self._users = users or {}
        self._env = {**inherited_environment(), **settings(home, dags), **self._settings(), **self._logins(), **env}
        self._processes: dict[str, psutil.Popen] = {}
        #: Airflow's version; set once it runs, like the headers.
        self.version: tuple[int, ...] = ()

    def _settings(self) -> dict[str, str]:
        return {
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": self.url.rpartition(":")[2],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
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
        self._wait_until(self.healthy, "healthy")
        self._wait_until(self.ready_for_tasks, "ready for tasks")
        self.login("admin" if self._users else None)
        self.version = tuple(int(part) for part in self.api("GET", "/version")["version"].split(".")[:2])

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not condition():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"not {what} within {HEALTHY_SECONDS} s"
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
        processes.send(self._processes[name], number)

    def kill(self, name: str) -> None:
        """Kill a component and its children without a warning, like a machine that crashes."""
        processes.end([self._processes.pop(name)], kill=True)

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
        file = self.home / "output" / f"{output or command[0]}.txt"
        return processes.start([sys.executable, "-m", "airflow", *command], self._env | own, file)

    def _stop(self) -> None:
        self.close()
        processes.end(self._processes.values())
        self._processes.clear()


def settings(home: Path, dags: Path) -> dict[str, str]:
    """Return the settings of every Airflow that we start: nothing leaves this machine, and new secrets each time."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    }


def connection(host: str | None = None, key: str | None = None) -> dict[str, str]:
    """Return the environment that defines ``gemini_default``; without a key, workers use their ``GEMINI_API_KEY``."""
    fields = {"conn_type": "gemini", "host": host, "password": key}
    return {"AIRFLOW_CONN_GEMINI_DEFAULT": json.dumps({k: v for k, v in fields.items() if v})}
