"""Seeded resources: with names that a test chooses, and in states that uploads cannot produce."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator.batch import Batch, Worker
from airflow_provider_gemini_files.emulator.cache import Cache
from airflow_provider_gemini_files.emulator.file import FAILED, StoredFile
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.prompt import Prompt
from airflow_provider_gemini_files.emulator.stores import Document, Store

_DAY = 86400.0
_REPLY = {"candidates": [{"content": {"parts": [{"text": "seeded"}]}, "finishReason": "STOP"}]}
_TEXT = {"parts": [{"text": "seeded"}]}
#: One line of a batch, of prompts as well as of contents to embed.
_CONTENT = json.dumps({"key": "1", "request": {"contents": [_TEXT], "content": _TEXT}}).encode() + b"\n"


@dataclass(frozen=True)
class Seed:
    """
    A resource to create, ready for use.

    :param name: resource name of a file, a file search store, a document (with its store), a cache or a batch.
    :param content: bytes of a file, in base64.
    :param mime_type: type of a file.
    :param generated: whether a file is GENERATED, so that it can be downloaded.
    :param display_name: display name of a file.
    :param size: size of a file in bytes; None: that of its content.
    :param age: seconds since a file was created.
    :param failed: whether a file is FAILED.
    :param from_file: whether a batch has its results in a file.
    :param answer: response to the one request of a batch.
    """

    name: str
    content: str = base64.b64encode(_CONTENT).decode()
    mime_type: str = "text/plain"
    generated: bool = False
    display_name: str | None = None
    size: int | None = None
    age: float = 0.0
    failed: bool = False
    from_file: bool = False
    answer: dict[str, Any] = field(default_factory=lambda: dict(_REPLY))

    @property
    def kind(self) -> str:
        """Return the collection."""
        return self.name.partition("/")[0]

    @property
    def id(self) -> str:
        """Return the name without the collection."""
        return self.name.partition("/")[2]


def seed(project: Project, seeds: list[Any]) -> None:
    """
    Create resources; all of them or none.

    :param seeds: names, or objects with the fields of :class:`Seed`.
    :raises ValueError: for a name of another kind.
    :raises TypeError: for an unknown field.
    """
    wanted = [Seed(**item) if isinstance(item, dict) else Seed(str(item)) for item in seeds]
    for item in wanted:
        if not isinstance(item.name, str) or item.kind not in _CREATORS or not item.id:
            raise ValueError(f"cannot seed {item.name!r}; there are {', '.join(sorted(_CREATORS))}")
        if item.size is not None and (isinstance(item.size, bool) or not isinstance(item.size, int) or item.size < 0):
            raise ValueError(f"size is a whole number, at least 0; got {item.size!r}")
    for item in wanted:
        _CREATORS[item.kind](project, item)


def _file(project: Project, item: Seed) -> None:
    content = base64.b64decode(item.content)
    file = StoredFile(
        id=item.id,
        mime_type=item.mime_type,
        size=len(content) if item.size is None else item.size,
        sha256=hashlib.sha256(content).hexdigest(),
        created=project.clock.now() - item.age,
        content=content,
        display_name=item.display_name,
        source="GENERATED" if item.generated else "UPLOADED",
        error=dict(FAILED) if item.failed else None,
    )
    project.add(file)


def _store(project: Project, item: Seed) -> None:
    now = project.clock.now()
    store_id, _, document_id = item.id.partition("/documents/")
    store = project.resources(Store).setdefault(store_id, Store(store_id, now))
    if document_id:
        store.documents[document_id] = Document(
            id=document_id,
            store=store.name,
            display_name=document_id,
            mime_type="text/plain",
            content=_CONTENT,
            size=len(_CONTENT),
            created=now,
            ready=now,
        )


def _cache(project: Project, item: Seed) -> None:
    now = project.clock.now()
    prompt = Prompt(["seeded"])
    project.resources(Cache)[item.id] = Cache(item.id, "models/gemini-3.8-flash", prompt, now, now, now + _DAY)


def _batch(project: Project, item: Seed) -> None:
    now = project.clock.now()
    batch = Batch(
        id=item.id,
        model="models/gemini-3.8-flash",
        display_name="seeded",
        rows=[{"key": "1"}],
        from_file=item.from_file,
        worker=Worker(lambda _: item.answer, lambda _: 0),
        created=now,
        ready=now,
    )
    project.resources(Batch)[batch.id] = batch
    batch.advance(project, now)


_CREATORS: dict[str, Callable[[Project, Seed], None]] = {
    "files": _file,
    "fileSearchStores": _store,
    "cachedContents": _cache,
    "batches": _batch,
}
