"""Sources that change, and the requests and responses of one upload, over HTTP against the emulator."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import FakeClock, logged_by
from transfer_store import ObjectStorage

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_source

NAME = "files/af0123"
OWNER = Owner("d", "r", "t", deployment="prod")
#: As long as the text of ``text_file``.
REWRITTEN = "A NOTE OF SOME WORDS"
_TIMES = itertools.count(1)


@pytest.fixture
def hook(emulator) -> GeminiFilesHook:
    return GeminiFilesHook(clock=FakeClock(emulator))


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def changing(path: Path, *changes: Callable[[], object]) -> Source:
    """Return a source that changes each time when some of it has been read, as often as there are changes."""
    source, left = find_source(path), list(changes)

    class Stream:
        def __init__(self, offset: int) -> None:
            self._inner = source.open(offset)

        def read(self, size: int, /) -> bytes:
            data = self._inner.read(min(size, 4))
            if data and left:
                left.pop(0)()
            return data

        def close(self) -> None:
            self._inner.close()

    # The type is told by the first bytes, which are not part of the upload.
    reads = iter([source.open])
    return replace(source, open=lambda offset: next(reads, Stream)(offset))


def rewrite(path: Path, text: str) -> None:
    """Write a file, and give it a time of change that it never had; those of the system are coarse."""
    path.write_text(text)
    os.utime(path, ns=(0, next(_TIMES)))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- sources that change -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["a longer note of many more words", "A NOTE OF SOME WORDS"], ids=["grown", "rewritten"]
)
@pytest.mark.parametrize("how", [{}, {"name": NAME}, {"share": True}], ids=["new", "named", "shared"])
def test_source_that_changes_while_read_is_uploaded_again(hook, emulator, text_file, text, how):
    file = hook.upload_file(changing(text_file, lambda: rewrite(text_file, text)), **how)

    assert file.sha256 == sha256(text_file)
    assert file.size_bytes == len(text)
    assert emulator.usage() == {"files": 1, "bytes": len(text)}


def test_source_that_shrinks_while_read_is_uploaded_again(hook, emulator, text_file):
    file = hook.upload_file(changing(text_file, lambda: rewrite(text_file, "short")))

    assert file.sha256 == sha256(text_file)
    assert emulator.usage() == {"files": 1, "bytes": 5}


def test_source_that_keeps_changing_fails_and_leaves_no_file(hook, emulator, text_file):
    def change() -> None:
        rewrite(text_file, "x" * 20)

    with pytest.raises(e.GeminiIntegrityError, match="changed each of the 3 times it was read"):
        hook.upload_file(changing(text_file, *[change] * 40))

    assert emulator.usage()["files"] == 0
    assert calls(emulator).count("start") == 3


def test_source_that_becomes_empty_is_refused_and_leaves_no_file(hook, emulator, text_file):
    with pytest.raises(e.GeminiInputError, match="is empty"):
        hook.upload_file(changing(text_file, lambda: rewrite(text_file, "")))

    assert emulator.usage()["files"] == 0


def test_source_deleted_after_reading_is_uploaded(hook, emulator, text_file):
    expected = sha256(text_file)
    found = find_source(text_file)

    file = hook.upload_file(replace(found, current=lambda: text_file.unlink() or found.current()))

    assert file.sha256 == expected
    assert emulator.usage()["files"] == 1


def test_object_replaced_while_read_is_uploaded_again(hook, emulator):
    storage = ObjectStorage()
    storage.put(**{"a.txt": b"old old"})
    source = find_source(storage.uri("a.txt"))
    seen = iter([lambda: storage.put(**{"a.txt": b"new new"})])

    file = hook.upload_file(replace(source, current=lambda: (next(seen, lambda: None)(), source.current())[1]))

    assert file.sha256 == hashlib.sha256(b"new new").hexdigest()
    assert emulator.usage()["files"] == 1


def test_shared_file_is_named_after_the_bytes_sent(hook, emulator, text_file):
    changed = "A NOTE OF SOME WORDS"
    before = text_file.read_text()
    shared = hook.upload_file(changing(text_file, *[lambda: None] * 6, lambda: rewrite(text_file, changed)), share=True)
    rewrite(text_file, before)

    assert hook.upload_file(text_file, share=True).name != shared.name
    rewrite(text_file, REWRITTEN)
    assert hook.upload_file(text_file, share=True).name == shared.name


# --- the service's response ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["5.0", math.inf])
def test_unreadable_file_in_response_raises_service_error(hook, emulator, text_file, size):
    body = json.dumps({"file": {"name": NAME, "sizeBytes": size}})
    emulator.faults.add("finalize", "status", status=200, body=body, headers={"x-goog-upload-status": "final"})

    with pytest.raises(e.GeminiServiceError, match="returned a file that cannot be read"):
        hook.upload_file(text_file)


def test_upload_sends_type_size_and_names(hook, emulator, text_file):
    hook.upload_file(text_file, name=NAME, owner=OWNER)

    start = next(entry for entry in emulator.journal if entry["call"] == "start")
    assert start["body"]["file"] == {
        "name": NAME,
        "displayName": "note.txt [airflow in=prod dag=d run=r task=t]",
        "mimeType": "text/plain",
        "sizeBytes": "20",
    }
    finalize = next(entry for entry in emulator.journal if entry["call"] == "finalize")
    assert (finalize["command"], finalize["offset"], finalize["body"]) == ("upload, finalize", "0", {"bytes": 20})


def test_path_cannot_write_folds_into_the_log(emulator, tmp_path, mocker):
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
    hook = GeminiFilesHook()
    (tmp_path / "::endgroup::").mkdir()
    path = tmp_path / "::endgroup::" / "a.txt"
    path.write_text("x")

    hook.upload_file(path, name=NAME, owner=OWNER)
    hook.upload_file(path, name=NAME, owner=OWNER)
    hook.upload_file(changing(path, lambda: rewrite(path, "y")))

    lines = [line for level in (log.info, log.warning) for line in logged_by(level)]
    own = {"::endgroup::", "::group::Uploading a.txt, 1 B"}
    assert any("already exists" in line for line in lines)
    assert any("changed while it was read" in line for line in lines)
    assert [line for line in lines if "::" in line and line not in own] == []
