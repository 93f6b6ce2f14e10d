"""The methods on batches: requests from a JSONL file or inline, which are handled after a while."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from airflow_provider_gemini_files.emulator import content, errors
from airflow_provider_gemini_files.emulator.batch import Batch, Worker
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.catalog import check_model
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, check_id, new_id
from airflow_provider_gemini_files.emulator.prompt_reader import read_prompt
from airflow_provider_gemini_files.emulator.replies import wanted_schema
from airflow_provider_gemini_files.emulator.schema import prepare

_ID_LENGTH = 36
_REQUEST = "BatchGenerateContentRequest"


def _lines(file: StoredFile) -> list[dict[str, Any]]:
    if file.size > len(file.content):
        raise errors.invalid(f"The emulator kept {len(file.content)} of {file.size} bytes, too few for a batch.")
    try:
        lines = [json.loads(line) for line in file.content.splitlines() if line.strip()]
    except ValueError:
        raise errors.invalid("The input file is not JSONL.") from None
    return [line if isinstance(line, dict) else {} for line in lines]


def _input_file(project: Project, name: str) -> StoredFile:
    """
    Find an input file.

    :raises ApiError: 404 if there is none of this name, 400 if it is not ACTIVE or the name is invalid.
    """
    file_id = name.removeprefix("files/")
    file = next((file for file in project.files() if file.id == file_id), None)
    if file is None:
        check_id(file_id, _REQUEST, "batch.input_config.file_name")
        raise errors.not_found("Requested entity was not found.")
    if file.state(project.clock.now()) != "ACTIVE":
        raise errors.not_active(file_id)
    return file


def _rows(project: Project, config: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the requests of a batch, and whether they come from a file."""
    if name := get(config, "fileName"):
        return _lines(_input_file(project, str(name))), True
    rows = get_objects(get_object(config, "requests"), "requests")
    if not rows:
        raise errors.invalid(f"* {_REQUEST}.batch.input_config: no requests.\n")
    return rows, False


async def create_batch(call: Call) -> dict[str, Any]:
    """Create a batch of prompts."""
    return await _create(call, "batchGenerateContent", _generator(call))


def _generator(call: Call) -> Worker:
    project, model, script = call.project, call.params["model"], call.emulator.replies
    return Worker(
        respond=lambda request: content.generate(project, model, request, script),
        count=lambda request: read_prompt(project, model, request).tokens(),
    )


async def create_embedding_batch(call: Call) -> dict[str, Any]:
    """Create a batch of contents to embed."""
    return await _create(call, "asyncBatchEmbedContent", Worker(content.embed, content.embedded_tokens))


async def _create(call: Call, method: str, worker: Worker) -> dict[str, Any]:
    project, model, now = call.project, call.params["model"], call.now
    check_model(call, model, method)
    given = get_object(await call.json(), "batch")
    rows, from_file = _rows(project, get_object(given, "inputConfig"))
    if any(_wants_schema(row) for row in rows):
        # The library takes seconds to load; in a thread, other requests continue.
        await asyncio.to_thread(prepare)
    batch = Batch(
        id=new_id(_ID_LENGTH),
        model=f"models/{model}",
        display_name=get_text(given, "displayName"),
        rows=rows,
        from_file=from_file,
        worker=worker,
        created=now,
        ready=now + project.settings.job_seconds,
        expires=now + project.settings.batch_expiry_seconds,
        fault=call.fault,
    )
    _check_limits(project, batch)
    project.resources(Batch)[batch.id] = batch
    batch.start(project)
    return batch.to_json(now)


def _wants_schema(row: dict[str, Any]) -> bool:
    try:
        return bool(wanted_schema(get_object(get_object(row, "request"), "generationConfig")))
    except errors.ApiError:
        return False


def _check_limits(project: Project, batch: Batch) -> None:
    """Refuse a batch if there are too many that have not ended, or too many tokens in those of its model."""
    project.update()
    current = [other for other in project.resources(Batch).values() if other.ended is None]
    if len(current) >= project.settings.max_batches:
        raise errors.batch_quota()
    limit = project.settings.batch_tokens
    same_model = [batch, *(other for other in current if other.model == batch.model)]
    if limit is not None and sum(other.tokens() for other in same_model) > limit:
        raise errors.batch_quota()


def _batch(call: Call) -> Batch:
    """Find a batch, as it is now."""
    call.project.update()
    batch = call.project.resources(Batch).get(call.params["batch"])
    if batch is None:
        raise errors.not_found("Requested entity was not found.")
    batch.advance(call.project, call.now)
    return batch


async def get_batch(call: Call) -> dict[str, Any]:
    """Return one batch."""
    return _batch(call).to_json(call.now, results=True)


async def list_batches(call: Call) -> dict[str, Any]:
    """Return a page of the batches, newest first."""
    call.project.update()
    batches = call.project.resources(Batch).values()
    for batch in batches:
        batch.advance(call.project, call.now)
    return listing(call, batches, "operations", largest=1000)


async def cancel_batch(call: Call) -> dict[str, Any]:
    """Cancel a batch; it ends after a while, unless it has ended before."""
    _batch(call).cancel(call.project, call.now + call.project.settings.cancel_seconds)
    return {}


async def delete_batch(call: Call) -> dict[str, Any]:
    """Delete a batch; its result file stays."""
    batch = _batch(call)
    batch.stopped = call.project.settings.delete_stops_batch
    del call.project.resources(Batch)[batch.id]
    return {}


METHODS = [
    Method(("create_batch",), ("POST",), "/models/{model}:batchGenerateContent", create_batch),
    Method(("create_batch",), ("POST",), "/models/{model}:asyncBatchEmbedContent", create_embedding_batch),
    Method(("list_batches",), ("GET",), "/batches", list_batches),
    Method(("cancel_batch",), ("POST",), "/batches/{batch}:cancel", cancel_batch),
    Method(("get_batch",), ("GET",), "/batches/{batch}", get_batch),
    Method(("delete_batch",), ("DELETE",), "/batches/{batch}", delete_batch),
]
