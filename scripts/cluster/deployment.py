"""The deployment: what it consists of, its settings, and the order in which it starts and ends."""

from __future__ import annotations

import base64
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processes
import psutil
from airflow_api import AirflowApi
from local_airflow import settings
from processes import free_port, inherited_environment

from cluster.stores import Postgres, Redis
from cluster.supervisor import Supervisor

PREFIX = "/team/airflow"
#: Users and their roles in FAB; each password is the user's name.
USERS = {"viewer": "Viewer", "user": "User", "op": "Op", "admin": "Admin"}
WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
SERVERS = ("api-server-1", "api-server-2")
OTHERS = ("scheduler", "dag-processor")
_START_SECONDS = 300
#: Triggerers report to the database every three seconds.
_ALIVE_SECONDS = 12


class Cluster(AirflowApi):
    """
    A distributed Airflow for the duration of a ``with`` block; its REST API is that of the first API server, as admin.

    Two API servers, of which the second stands behind a URL prefix, a scheduler, a dag-processor, two triggerers and
    two Celery workers, with PostgreSQL and Redis. The second worker speaks to the second API server, and each worker
    also has a queue of its own name. Each process has a working directory of its own, as on a machine of its own. All
    ports are on the loopback interface. Leaving the block ends all started processes and their children.

    :param python: of the environment in which Airflow is installed.
    :param home: ``AIRFLOW_HOME``, with databases and logs; an existing folder.
    :param dags: the Dags folders, which are merged.
    :param port: port of the first API server; 0 selects a free one.
    """

    def __init__(self, python: Path, home: Path, dags: list[Path], port: int = 0) -> None:
        super().__init__(f"http://127.0.0.1:{port or free_port()}", home)
        self.home = home
        self.output = home / "output"
        self._python = python
        self._dags = dags
        self.postgres = Postgres(home)
        self.redis = Redis(home)
        #: The second API server, behind the prefix.
        self.prefixed = AirflowApi(f"http://127.0.0.1:{free_port()}{PREFIX}", home)
        self.supervisor = Supervisor(self._start_component)
        self._env: dict[str, str] = {}

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    def _start(self) -> None:
        # PostgreSQL may be another user, who has to reach its folder in this one.
        self.home.chmod(0o711)
        self.output.mkdir()
        for folder in self._dags:
            shutil.copytree(folder, self.home / "dags", dirs_exist_ok=True)
        for name in (*SERVERS, *OTHERS, *TRIGGERERS, *WORKERS):
            self.directory(name).mkdir(parents=True)
        self.postgres.create()
        self.redis.start()
        self._env = {**inherited_environment(), **settings(self.home, self.home / "dags"), **self._settings()}
        self._command("db", "migrate")
        person = ["--firstname", "admin", "--lastname", "admin", "--email", "admin@example.com"]
        self._command("users", "create", "--username", "admin", "--password", "admin", "--role", "Admin", *person)
        # One after the other: each adds what is missing of FAB's roles, and a second one at the same time would fail.
        for name, server in zip(SERVERS, (self, self.prefixed), strict=True):
            self.supervisor.start(name)
            self.wait_until(server.ready_for_tasks, "ready for tasks")
            server.login("admin")
        for name, role in USERS.items():
            if name != "admin":
                self.add_user(name, role)
        for name in (*OTHERS, *TRIGGERERS, *WORKERS):
            self.supervisor.start(name)
        self.wait_until(self.complete, "complete")

    def restore(self) -> None:
        """Start what was killed, let go on what was suspended, and wait until all components are at work."""
        self.postgres.start()
        for name in (*SERVERS, *OTHERS, *TRIGGERERS, *WORKERS):
            if name in self.supervisor.watched():
                self.supervisor.signal(name, signal.SIGCONT)
            else:
                self.supervisor.start(name)
        self.wait_until(self.complete, "complete")

    def complete(self) -> bool:
        """Return whether all components are at work."""
        return self.healthy() and self._triggerers() == len(TRIGGERERS) and self._workers() == len(WORKERS)

    def _triggerers(self) -> int:
        alive = f"latest_heartbeat > now() - interval '{_ALIVE_SECONDS} seconds'"
        [[count]] = self.postgres.query(f"select count(*) from job where job_type = 'TriggererJob' and {alive}")
        return int(count)

    def _workers(self) -> int:
        return sum(self._output(name).count(" ready.") >= self.supervisor.starts[name] for name in WORKERS)

    def _output(self, name: str) -> str:
        return (self.output / f"{name}.txt").read_text(errors="replace")

    def add_user(self, name: str, *roles: str) -> None:
        """Add a user to FAB, whose password is the name."""
        user = {"username": name, "email": f"{name}@example.com", "first_name": name, "last_name": name}
        self.fab("POST", "/users", json={**user, "password": name, "roles": [{"name": role} for role in roles]})

    def fab(self, method: str, path: str, **kwargs: Any) -> None:
        """Send a request to the REST API of the FAB auth manager."""
        self._client.request(method, f"/auth/fab/v1{path}", **kwargs).raise_for_status()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """
        Wait until the deployment is in a state.

        :raises RuntimeError: if it is not within five minutes.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Airflow is not {what} after {_START_SECONDS} s. See {self.output}")
            time.sleep(0.5)

    def directory(self, name: str) -> Path:
        """Return the working directory of a component."""
        return self.home / "machines" / name

    def _command(self, *command: str) -> None:
        """Run a command of Airflow to its end."""
        self.run("-m", "airflow", *command)

    def run(self, *arguments: str | Path) -> None:
        """Run Python to its end, in the environment and with the settings of the deployment."""
        with (self.output / "commands.txt").open("ab") as file:
            subprocess.run(
                [self._python, *arguments],
                check=True,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=_START_SECONDS,
            )

    def _start_component(self, name: str) -> psutil.Popen:
        command, own = self._component(name)
        return processes.start(
            [self._python, "-m", "airflow", *command],
            self._env | own,
            self.output / f"{name}.txt",
            cwd=self.directory(name),
        )

    def _component(self, name: str) -> tuple[list[str], dict[str, str]]:
        """Return the command of a component, and the settings that only it has."""
        ports = {
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        second = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.prefixed.url}/execution/"}
        if name in SERVERS:
            url = self.url if name == SERVERS[0] else self.prefixed.url
            port = url.removesuffix(PREFIX).rpartition(":")[2]
            return ["api-server", "--port", port], {"AIRFLOW__API__BASE_URL": url}
        if name in TRIGGERERS:
            return ["triggerer"], ports
        if name in WORKERS:
            command = ["celery", "worker", "--celery-hostname", f"{name}@%h", "--queues", f"default,{name}"]
            return [*command, "--without-mingle", "--without-gossip"], ports | (second if name == WORKERS[1] else {})
        return ([name, "--skip-serve-logs"] if name == "scheduler" else [name]), ports

    def _settings(self) -> dict[str, str]:
        own = {
            "api": {"base_url": self.url},
            "celery": {
                "broker_url": self.redis.url,
                "result_backend": f"db+postgresql+psycopg2://{self.postgres.address}",
                "worker_concurrency": "4",
                "operation_timeout": "20",
            },
            "core": {
                "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
                "dagbag_import_timeout": "180",
                # A task that the end of its worker or of the database takes along is started again.
                "default_task_retries": "2",
                "default_task_retry_delay": "5",
                "execution_api_server_url": f"{self.url}/execution/",
                "executor": "CeleryExecutor",
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "max_active_tasks_per_dag": "512",
                "parallelism": "16",
            },
            "dag_processor": {
                "dag_file_processor_timeout": "240",
                "min_file_process_interval": "600",
                "parsing_processes": "1",
                "refresh_interval": "120",
            },
            "database": {"sql_alchemy_conn": f"postgresql+psycopg2://{self.postgres.address}"},
            # What a machine that crashes leaves behind is soon noticed.
            "scheduler": {
                "task_instance_heartbeat_timeout": "40",
                "task_instance_heartbeat_timeout_detection_interval": "5",
                # A task whose start the database's absence has prevented is queued again.
                "task_queued_timeout": "90",
                "task_queued_timeout_check_interval": "10",
            },
            "triggerer": {"job_heartbeat_sec": "3", "triggerer_health_check_threshold": "20"},
            # With 5 s, the default, a slow machine fails tasks before they start.
            "workers": {"execution_api_timeout": "90"},
        }
        return {
            f"AIRFLOW__{section.upper()}__{option.upper()}": value
            for section, options in own.items()
            for option, value in options.items()
        }

    def _stop(self) -> None:
        self.close()
        self.prefixed.close()
        self.supervisor.stop([[*WORKERS, *TRIGGERERS, *OTHERS], SERVERS])
        self.redis.stop()
        self.postgres.stop()
