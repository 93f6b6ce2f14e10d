"""PostgreSQL and Redis of the deployment: on the loopback interface, in its folder, with passwords of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import processes
import psutil
from processes import free_port, inherited_environment

_NAME = "airflow"
_SECONDS = 60


def missing() -> list[str]:
    """Return the Debian packages whose programs are not installed."""
    packages = [] if _programs() else ["postgresql"]
    return packages + ([] if shutil.which("redis-server") else ["redis-server"])


def _programs() -> Path | None:
    """Return the folder of the newest PostgreSQL; Debian keeps its programs out of PATH."""
    folders = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


class Postgres:
    """
    A PostgreSQL server with one database.

    It refuses to run as root, and then runs as the user of its Debian package.

    :param folder: for its data and its output; that user must be able to pass through it and the folders above.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / "postgres"
        self._output = folder / "output" / "postgres.txt"
        self._password = secrets.token_hex(16)
        self._bin = _programs() or Path()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}
        self._process: psutil.Popen | None = None

    @property
    def address(self) -> str:
        """Return user, password, address and database, as they stand in a URL after ``//``."""
        return f"{_NAME}:{self._password}@127.0.0.1:{self.port}/{_NAME}"

    def create(self) -> None:
        """Create the data folder and the database, and start the server."""
        self._data.mkdir(mode=0o700)
        password = self._data.with_name("postgres-password")
        password.write_text(self._password)
        if self._user:
            shutil.chown(self._data, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        command = [self._bin / "initdb", "-D", self._data, "-U", _NAME, "--pwfile", password]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._user)
        password.unlink()
        self.start()
        self._run("createdb", _NAME)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it takes connections."""
        if self._process is not None:
            return
        command = [self._bin / "postgres", "-D", self._data, "-p", str(self.port), "-h", "127.0.0.1"]
        # No socket in a folder that all share; memory for a small machine.
        command += ["-c", "unix_socket_directories=", "-c", "shared_buffers=256MB", "-c", "max_connections=200"]
        self._process = processes.start(command, inherited_environment(), self._output, **self._user)
        deadline = time.monotonic() + _SECONDS
        while self._try("pg_isready", "-q"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start. See {self._output}")
            time.sleep(0.2)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server without waiting for its clients; with ``crash``, as if the power had failed."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        try:
            self._process.wait(timeout=_SECONDS)
        except psutil.TimeoutExpired:
            self._process.kill()
        self._process = None

    def query(self, sql: str) -> list[list[str]]:
        """Return the rows of a query, as texts."""
        lines = self._run("psql", "-XAtq", "-F", "\t", "-c", sql, _NAME).splitlines()
        return [line.split("\t") for line in lines]

    def dump(self) -> str:
        """Return everything that is in the database, as SQL."""
        return self._run("pg_dump", _NAME)

    def _run(self, program: str, *arguments: str) -> str:
        return subprocess.run(self._command(program, *arguments), check=True, **self._options()).stdout

    def _try(self, program: str, *arguments: str) -> int:
        return subprocess.run(self._command(program, *arguments), check=False, **self._options()).returncode

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._bin / program), "-h", "127.0.0.1", "-p", str(self.port), "-U", _NAME, *arguments]

    def _options(self) -> dict[str, Any]:
        env = {**inherited_environment(), "PGPASSWORD": self._password}
        return {"env": env, "stdout": subprocess.PIPE, "text": True}


class Redis:
    """A Redis server that writes nothing to disk, unless it is told to."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder / "redis"
        self._output = folder / "output" / "redis.txt"
        self._password = secrets.token_hex(16)
        self._process: psutil.Popen | None = None

    @property
    def url(self) -> str:
        """Return the URL of its first database."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server."""
        self._folder.mkdir()
        settings = self._folder / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f'bind 127.0.0.1\nport {self.port}\ndir "{self._folder}"\nsave ""\nrequirepass {self._password}\n'
        )
        self._process = processes.start(["redis-server", settings], inherited_environment(), self._output)

    def dump(self) -> bytes:
        """Return everything that is in it, as the bytes of a snapshot without compression."""
        for command in ("config set rdbcompression no", "save"):
            subprocess.run(
                ["redis-cli", "-p", str(self.port), *command.split()],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**inherited_environment(), "REDISCLI_AUTH": self._password},
            )
        return (self._folder / "dump.rdb").read_bytes()

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            processes.end([self._process])
