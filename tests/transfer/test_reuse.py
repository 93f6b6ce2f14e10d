"""The files that an upload uses again, and those that it leaves alone, over HTTP against the emulator."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from support import FakeClock, seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

NAME = "files/af0123"
OWNER = Owner("d", "r", "t", deployment="prod")
#: As long as the text of ``text_file``.
REWRITTEN = "A NOTE OF SOME WORDS"


@pytest.fixture
def hook(emulator) -> GeminiFilesHook:
    return GeminiFilesHook(clock=FakeClock(emulator))


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


@pytest.mark.parametrize("content", ["other words, longer", REWRITTEN], ids=["other size", "same size"])
def test_chosen_name_never_replaces_or_reuses_foreign_file(hook, emulator, text_file, content):
    stranger = hook.upload_bytes(content.encode(), "s.txt")
    emulator.clear_journal()

    with pytest.raises(e.GeminiNameTakenError, match="is left alone"):
        hook.upload_file(text_file, name=stranger.name)

    assert hook.get_file(stranger) == stranger
    assert {"delete", "start"}.isdisjoint(calls(emulator))


def test_chosen_name_reuses_file_of_same_bytes_and_type(hook, text_file):
    first = hook.upload_file(text_file, name=NAME)

    assert hook.upload_file(text_file, name=NAME) == first
    with pytest.raises(e.GeminiNameTakenError):
        hook.upload_file(text_file, name=NAME, mime_type="text/csv")


@pytest.mark.parametrize("how", [{"name": NAME, "owner": OWNER}, {"share": True}], ids=["named", "shared"])
def test_file_of_which_a_gateway_gives_no_size_is_reused(hook, emulator, text_file, how):
    first = hook.upload_file(text_file, **how)
    resource = {"name": first.name, "state": "ACTIVE", "displayName": first.display_name}
    emulator.faults.add("get", "status", status=200, body=resource)

    assert hook.upload_file(text_file, **how).name == first.name
    assert calls(emulator).count("delete") == 0
    assert emulator.usage()["files"] == 1


def test_task_leaves_file_of_another_task_alone(hook, emulator, text_file):
    other = hook.upload_bytes(b"other words", "s.txt", owner=OWNER)

    file = hook.upload_file(text_file, name=other.name, owner=replace(OWNER, task_id="t2"))

    assert file.name != other.name
    assert emulator.usage()["files"] == 2


@pytest.mark.parametrize("content", ["other words, longer", REWRITTEN], ids=["other size", "same size"])
def test_shared_name_with_other_bytes_is_neither_reused_nor_deleted(hook, emulator, text_file, content):
    shared = hook.upload_file(text_file, share=True, owner=OWNER)
    hook.delete_file(shared)
    # As if its source had changed between two reads, and the upload had then been killed.
    seed(
        emulator.base_url,
        {
            "name": shared.name,
            "display_name": shared.display_name,
            "mime_type": shared.mime_type,
            "content": base64.b64encode(content.encode()).decode(),
        },
    )
    emulator.clear_journal()

    file = hook.upload_file(text_file, share=True, owner=OWNER)

    assert file.name != shared.name
    assert file.sha256 == hashlib.sha256(text_file.read_bytes()).hexdigest()
    assert hook.get_file(shared).sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert "delete" not in calls(emulator)
    # Later runs find the one with the right bytes.
    assert hook.upload_file(text_file, share=True, owner=OWNER) == file
