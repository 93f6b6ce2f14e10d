"""Keeps the processes of Airflow running: scheduler, dag-processor and triggerers exit while PostgreSQL is away."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable

import processes
import psutil

_CHECK_SECONDS = 1


class Supervisor:
    """
    Starts processes by name, and starts each again that has exited by itself.

    :param run: starts the process of a name.
    """

    def __init__(self, run: Callable[[str], psutil.Popen]) -> None:
        self._run = run
        self._processes: dict[str, psutil.Popen] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        #: How often each process was started.
        self.starts: Counter[str] = Counter()

    def start(self, name: str) -> None:
        """Start a process, and watch it."""
        with self._lock:
            self._begin(name)
        if not self._thread.is_alive():
            self._thread.start()

    def kill(self, name: str) -> None:
        """Kill a process and its children without a warning, like a machine that crashes; it is not started again."""
        with self._lock:
            process = self._processes.pop(name)
        processes.end([process], kill=True)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children, such as SIGSTOP."""
        processes.send(self._processes[name], number)

    def tree(self, name: str) -> set[psutil.Process]:
        """Return a process and its children."""
        return processes.trees([self._processes[name]])

    def watched(self) -> set[str]:
        """Return the names of the processes that were started and not killed."""
        return set(self._processes)

    def stop(self, order: Iterable[Iterable[str]]) -> None:
        """End all processes, in groups of names."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for names in order:
            processes.end([self._processes[name] for name in names if name in self._processes])

    def _watch(self) -> None:
        while not self._stopped.wait(_CHECK_SECONDS):
            with self._lock:
                for name, process in list(self._processes.items()):
                    if process.poll() is not None:
                        # Its children may have survived.
                        processes.end([process], kill=True)
                        self._begin(name)

    def _begin(self, name: str) -> None:
        self._processes[name] = self._run(name)
        self.starts[name] += 1
