"""The emulator on a port: as a context manager, and for the command line."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn

from airflow_provider_gemini_files.emulator.app import NAMES, build_app
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.faults import Faults
from airflow_provider_gemini_files.emulator.guard import is_loopback
from airflow_provider_gemini_files.emulator.replies import Script
from airflow_provider_gemini_files.emulator.service import Emulator
from airflow_provider_gemini_files.emulator.settings import Settings
from airflow_provider_gemini_files.emulator.wire import EmulatorProtocol

_START_SECONDS = 20
_LARGEST_PORT = 65_535


class GeminiEmulator:
    """
    A Gemini Files API on a port of this machine; a ``with`` block runs it.

    :param host: address to listen on; only a loopback address, unless ``allow_remote``.
    :param port: port to listen on; 0 takes a free one.
    :param allow_remote: whether it may listen on an address that other machines can reach.
    :param settings: fields of :class:`~airflow_provider_gemini_files.emulator.settings.Settings`.
    :raises ValueError: for an invalid setting, and for an address that others can reach without ``allow_remote``.
    :raises OSError: if the port is taken.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, allow_remote: bool = False, **settings: Any) -> None:
        if not allow_remote and not is_loopback(host):
            raise ValueError(
                f"{host!r} can be reached by others; pass allow_remote=True (--allow-remote) to listen there anyway"
            )
        if not 0 <= port <= _LARGEST_PORT:
            raise ValueError(f"port is a number from 0, for any that is free, to {_LARGEST_PORT}, got {port}")
        self.emulator = Emulator(Settings(**settings), NAMES)
        self._socket = socket.create_server((host, port), family=_family(host))
        config = uvicorn.Config(
            build_app(self.emulator, host),
            http=EmulatorProtocol,
            loop="asyncio",
            log_level="warning",
            access_log=False,
            # The service's Date follows the emulator's clock.
            date_header=False,
            lifespan="off",
            ws="none",
        )
        self._server = _Server(config)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Return the URL of the emulator, without a slash at the end."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def settings(self) -> Settings:
        """Return the settings; a test may change them at any time."""
        return self.emulator.settings

    @property
    def clock(self) -> Clock:
        """Return the clock; ``clock.advance(seconds)`` moves it forward."""
        return self.emulator.clock

    @property
    def journal(self) -> list[dict[str, Any]]:
        """
        Return the requests so far, the newest 10,000, as a new list.

        Each entry has ``call``, ``method``, ``path``, ``status`` (None until there is a response) and, if the request
        has them, ``body``, ``fault``, ``command`` and ``offset``. Keys and upload ids are hidden.
        """
        return list(self.emulator.journal)

    def clear_journal(self) -> None:
        """Remove all journal entries."""
        self.emulator.journal.clear()

    @property
    def faults(self) -> Faults:
        """Return the faults; ``faults.add("upload", "reset", nth=3)`` adds one."""
        return self.emulator.faults

    @property
    def answers(self) -> Script:
        """Return the scripted answers of the models; ``answers.add("Yes.")`` queues one."""
        return self.emulator.replies

    def usage(self) -> dict[str, int]:
        """Return ``{"files": count, "bytes": sum}`` over all projects."""
        return self.emulator.usage()

    def reset(self) -> None:
        """Remove all resources, uploads, faults, scripted answers and journal entries; the clock stays."""
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
        self._server.end()
        if self._thread:
            self._thread.join(timeout=10)
        self._socket.close()


class _Server(uvicorn.Server):
    """Ends at once: uvicorn takes a fifth of a second for it, and tests start an emulator each."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End, from any thread; requests that a failed test left open do not delay it."""
        self.should_exit = self.force_exit = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    async def main_loop(self) -> None:
        """Serve until the end, or until a signal."""
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        while not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), timeout=0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections; after a signal, let requests come to their end."""
        if not self.force_exit:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
