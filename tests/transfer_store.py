"""A task state store in memory."""

from __future__ import annotations

import json


class Store:
    """A task state store in memory, as strict about JSON as Airflow's."""

    def __init__(self, broken: bool = False) -> None:
        self.kept: dict[str, str] = {}
        self.retention = None
        self.broken = broken

    def get(self, key, default=None):
        self._check()
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key, value, *, retention=None):
        self._check()
        self.kept[key], self.retention = json.dumps(value), retention

    def delete(self, key):
        self._check()
        self.kept.pop(key, None)

    def _check(self):
        if self.broken:
            raise RuntimeError("no store")
