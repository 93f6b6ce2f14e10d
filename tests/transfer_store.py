"""Stores in memory: a task state store with its encryption, and an object storage."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from airflow.sdk.io import attach
from airflow.sdk.io.fs import _register_filesystems
from cryptography.fernet import Fernet
from fsspec.implementations.memory import MemoryFileSystem

#: The storages that were attached, by their connections.
_STORAGES: dict[str | None, ObjectStorage] = {}


class Store:
    """
    A task state store in memory, as strict about JSON as Airflow's.

    :param broken: whether each call fails.
    """

    def __init__(self, broken: bool = False) -> None:
        self.kept: dict[str, str] = {}
        self.retention: timedelta | None = None
        self.broken = broken

    def get(self, key: str, default: Any = None) -> Any:
        self._check()
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self._check()
        self.kept[key], self.retention = json.dumps(value), retention

    def delete(self, key: str) -> None:
        self._check()
        self.kept.pop(key, None)

    def _check(self) -> None:
        if self.broken:
            raise RuntimeError("no store")


class AirflowFernet(Fernet):
    """What Airflow encrypts with if it has a Fernet key; a new key each time."""

    is_encrypted = True

    def __init__(self) -> None:
        super().__init__(Fernet.generate_key())


class ObjectStorage(MemoryFileSystem):
    """
    An object storage in memory that can be reached with one connection only: ``memory://{conn_id}@/bucket/key``.

    As in real ones, an object has an ETag that is quoted if it is asked for alone, and a folder that was created in a
    console is an object of 0 bytes in its own list.
    """

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store = {}
        self.pseudo_dirs = [""]
        self._folders: set[str] = set()
        self.conn_id = f"storage_{uuid.uuid4().hex}"
        #: Raised by each call, if it is set.
        self.failure: Exception | None = None
        attach("memory", self.conn_id, fs=self)
        # Airflow 3.1 asks the registry even so.
        registered = _register_filesystems()
        registered["memory"] = lambda conn_id, _: _STORAGES[conn_id]
        _STORAGES[self.conn_id] = self

    def put(self, **objects: bytes) -> None:
        """Store objects of the bucket, by their keys."""
        for key, content in objects.items():
            if key.endswith("/"):
                self._folders.add(f"/bucket/{key}")
            else:
                self.pipe_file(f"/bucket/{key}", content)

    def uri(self, key: str) -> str:
        """Return the URI of an object, with the connection."""
        return f"memory://{self.conn_id}@/bucket/{key}"

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        self._check()
        info = super().info(path, **kwargs)
        return info | {"ETag": f'"{self._etag(path)}"'} if info["type"] == "file" else info

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self._check()
        listed = super().ls(path, detail=detail, **kwargs)
        if not detail:
            return listed
        folder = f"{self._strip_protocol(path)}/"
        marker = [{"name": folder, "size": 0, "type": "file"}] if folder in self._folders else []
        return marker + [one | {"ETag": self._etag(one["name"])} if one["type"] == "file" else one for one in listed]

    def open(self, path: str, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return super().open(path, *args, **kwargs)

    def _etag(self, path: str) -> str:
        return str(self.store[self._strip_protocol(path)].created.timestamp())

    def _check(self) -> None:
        if self.failure:
            raise self.failure
