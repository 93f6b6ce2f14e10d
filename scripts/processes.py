"""Processes of a deployment: each is a session of its own, and is ended with all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

_STOP_SECONDS = 15


def start(command: Sequence[str | Path], env: Mapping[str, str], output: Path, **kwargs: Any) -> psutil.Popen:
    """
    Start a process.

    :param output: the file that gets what it prints.
    :param kwargs: other arguments of ``subprocess.Popen``.
    """
    with output.open("ab") as file:
        return psutil.Popen(
            list(map(str, command)),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C must reach only this process, which then ends the others in order.
            start_new_session=True,
            **kwargs,
        )


def end(processes: Iterable[psutil.Popen], *, kill: bool = False) -> None:
    """End processes and all their children; Airflow's children survive if only the parents are signalled."""
    processes = list(processes)
    tree = trees(processes)
    for signal_all in ("kill",) if kill else ("terminate", "kill"):
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                getattr(process, signal_all)()
        # What a process has started in the meantime is ended, too.
        tree = set(psutil.wait_procs(trees(processes) | tree, timeout=_STOP_SECONDS)[1])


def send(process: psutil.Popen, number: signal.Signals) -> None:
    """Send a signal to a process and its children, such as SIGSTOP."""
    for each in trees([process]):
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)


def trees(processes: Iterable[psutil.Popen]) -> set[psutil.Process]:
    """Return processes and their children, also those whose parent has ended: each is a session of its own."""
    sessions = {process.pid for process in processes}
    tree = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                tree |= {process, *process.children(recursive=True)}
    return tree


def inherited_environment() -> dict[str, str]:
    """Return the environment without the settings of another Airflow, and without proxies for this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {**kept, **without_proxy()}


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
