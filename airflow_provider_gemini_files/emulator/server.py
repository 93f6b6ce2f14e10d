"""The emulator on a real port: as a context manager, and for the command line."""

from __future__ import annotations

import ipaddress
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn

from airflow_provider_gemini_files.emulator.answers import Script
from airflow_provider_gemini_files.emulator.app import NAMES, build_app
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.faults import Faults
from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.emulator.settings import Settings
from airflow_provider_gemini_files.emulator.wire import EmulatorProtocol

_START_SECONDS = 20


class GeminiEmulator:
    """
    A Gemini Files API on a port of this machine, for the length of a ``with`` block.

    :param host: address to listen on; only loopback, unless ``allow_remote``.
    :param port: port to listen on; 0 takes a free one.
    :param allow_remote: listen on other addresses than loopback too.
    :param settings: fields of :class:`~airflow_provider_gemini_files.emulator.settings.Settings`.
    :raises ValueError: for an address that others can reach, without ``allow_remote``.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, allow_remote: bool = False, **settings: Any) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ValueError(f"{host!r} can be reached by others; pass allow_remote=True to listen there anyway")
        self.emulator = Emulator(Settings(**settings), NAMES)
        self._socket = socket.create_server((host, port), family=_family(host))
        config = uvicorn.Config(
            build_app(self.emulator),
            http=EmulatorProtocol,
            loop="asyncio",
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Return where the emulator listens, without a slash at the end."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def settings(self) -> Settings:
        """Return the settings; a test may change them at any time."""
        return self.emulator.settings

    @property
    def clock(self) -> Clock:
        """Return the clock; ``clock.advance(seconds)`` moves the time."""
        return self.emulator.clock

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Return the requests so far: call, HTTP method, path, status, fault, and command and offset of uploads."""
        return list(self.emulator.journal)

    @property
    def faults(self) -> Faults:
        """Return the faults; ``faults.add("upload", "reset", nth=3)`` adds one."""
        return self.emulator.faults

    @property
    def answers(self) -> Script:
        """Return the scripted answers of the models; ``answers.add("Yes.")`` queues one."""
        return self.emulator.answers

    def usage(self) -> dict[str, int]:
        """Return ``{"files": count, "bytes": sum}`` over all projects."""
        return self.emulator.usage()

    def reset(self) -> None:
        """Forget every resource, upload, fault, scripted answer and journal entry."""
        self.emulator.reset()

    def run(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> GeminiEmulator:
        self._thread = threading.Thread(target=self.run, name="gemini-emulator", daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(_START_SECONDS * 100):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            waited.wait(0.01)
        raise RuntimeError(f"the emulator did not start on {self.base_url} within {_START_SECONDS} s")

    def __exit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.should_exit = True
        # Waiting uploads of a broken test must not hold up the end of it.
        self._server.force_exit = True
        if self._thread:
            self._thread.join(timeout=10)
        self._socket.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
