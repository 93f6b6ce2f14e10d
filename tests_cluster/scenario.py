"""Fixtures of the scenarios: an emulator for each, so that none sees another's requests, and deferred waits."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cluster.deployment import Cluster

from airflow_provider_gemini_files.emulator import GeminiEmulator

#: Searched for in everything that the scenarios leave behind.
API_KEY = "cluster-key-that-nobody-may-see"
#: Seconds; a loaded machine is many times slower than an idle one.
PATIENCE = 600


class Services:
    """Emulators with a connection each, for the duration of a ``with`` block."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stack = ExitStack()
        self.by_connection: dict[str, GeminiEmulator] = {}

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def start(self, conn_id: str, extra: str = "{}", **settings: Any) -> GeminiEmulator:
        """
        Start an emulator, and add a connection to it to Airflow's database.

        :param extra: of the connection, as JSON.
        :param settings: of the emulator.
        """
        emulator = self._stack.enter_context(GeminiEmulator(api_keys=(API_KEY,), **settings))
        body = {"connection_id": conn_id, "conn_type": "gemini", "host": emulator.base_url, "extra": extra}
        self._cluster.api("POST", "/connections", json=body | {"password": API_KEY})
        self.by_connection[conn_id] = emulator
        return emulator


def calls(service: GeminiEmulator) -> Counter[str]:
    """Return the number of requests by method that were answered with success."""
    return Counter(entry["call"] for entry in service.journal if 200 <= (entry["status"] or 0) < 300)


def triggers(cluster: Cluster) -> dict[str, int]:
    """Return the number of deferred waits by the id of the triggerer that has them."""
    rows = cluster.postgres.query("select triggerer_id, count(*) from trigger group by 1")
    return {triggerer: int(count) for triggerer, count in rows if triggerer}


def all_in_one(cluster: Cluster, count: int, *, but: str = "") -> str | None:
    """Return the id of the triggerer, other than the given one, that has all waits; None if there is none."""
    having = triggers(cluster)
    return next((one for one in having if one != but and having[one] == count), None)


def videos(folder: Path, count: int) -> list[str]:
    """Write small files of the type video/mp4; return their paths."""
    paths = [folder / f"{number}.mp4" for number in range(count)]
    for path in paths:
        path.write_bytes(b"\0\0\0\x18ftypmp42" + path.name.encode())
    return [str(path) for path in paths]
