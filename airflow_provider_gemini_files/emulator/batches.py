"""Batches: requests from a JSONL file or inline, which are handled after a while."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import content, errors
from airflow_provider_gemini_files.emulator.body import get, get_object, get_objects, get_text
from airflow_provider_gemini_files.emulator.call import Call
from airflow_provider_gemini_files.emulator.catalog import check_model
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.dispatch import Method
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.paging import listing
from airflow_provider_gemini_files.emulator.projects import Project, new_id
from airflow_provider_gemini_files.emulator.replies import Script

_ID_LENGTH = 36
_TYPES = "type.googleapis.com/google.ai.generativelanguage.v1main."
_TERMINAL = frozenset({"BATCH_STATE_SUCCEEDED", "BATCH_STATE_FAILED", "BATCH_STATE_CANCELLED"})

#: Returns the response to one request of a batch.
Responder = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Batch:
    """
    A batch.

    Times are in seconds since the epoch.

    :param requests: the requests with their ``key`` or ``metadata``.
    :param from_file: whether the requests came from a file; the results then go to a file, too.
    :param respond: handles one request.
    :param ready: when it ends by itself.
    :param ended: when it ended; None: it has not.
    """

    id: str
    model: str
    display_name: str | None
    requests: list[dict[str, Any]]
    from_file: bool
    respond: Responder
    created: float
    ready: float
    state: str = "BATCH_STATE_PENDING"
    ended: float | None = None
    output: dict[str, Any] = field(default_factory=dict)

    def advance(self, now: float) -> None:
        """Change from pending to running after half of the time."""
        if self.state == "BATCH_STATE_PENDING" and now >= (self.created + self.ready) / 2:
            self.state = "BATCH_STATE_RUNNING"

    def cancel(self, now: float) -> None:
        """End it without results; a batch that has ended stays as it is."""
        if self.state not in _TERMINAL:
            self.state, self.ended = "BATCH_STATE_CANCELLED", now

    def to_json(self, now: float, *, results: bool = False) -> dict[str, Any]:
        """
        Return the operation; unset fields are omitted.

        :param results: whether to include the responses to inline requests, which a list omits.
        """
        self.advance(now)
        output = self.output if results or "responsesFile" in self.output else {}
        metadata = {
            "@type": f"{_TYPES}GenerateContentBatch",
            "model": self.model,
            "displayName": self.display_name,
            "output": output or None,
            "createTime": rfc3339(self.created, 9),
            "endTime": rfc3339(self.ended, 9) if self.ended else None,
            "updateTime": rfc3339(self.ended or self.created, 9),
            "batchStats": {"requestCount": str(len(self.requests))},
            "state": self.state,
            "name": f"batches/{self.id}",
        }
        body: dict[str, Any] = {
            "name": f"batches/{self.id}",
            "metadata": {key: value for key, value in metadata.items() if value is not None},
        }
        if self.ended:
            body["done"] = True
        if output:
            body["response"] = {"@type": f"{_TYPES}GenerateContentBatchOutput", **output}
        return body

    def run(self, project: Project) -> None:
        """Handle all requests; an error of one does not affect the others."""
        if self.state in _TERMINAL:
            return
        self.state, self.ended = "BATCH_STATE_SUCCEEDED", self.ready
        results = [self._result(item) for item in self.requests]
        if self.from_file:
            self.output = {"responsesFile": _result_file(project, self, results)}
        else:
            self.output = {"inlinedResponses": {"inlinedResponses": results}}

    def _result(self, item: dict[str, Any]) -> dict[str, Any]:
        tags: dict[str, Any] = {name: item[name] for name in ("key", "metadata") if name in item}
        try:
            return {"response": self.respond(get_object(item, "request")), **tags}
        except errors.ApiError as error:
            return {"error": {"code": error.code, "message": error.message, "status": error.status}, **tags}


def _result_file(project: Project, batch: Batch, results: list[dict[str, Any]]) -> str:
    """Store the results in a file; as at the service, its id is two characters too long, so it cannot be deleted."""
    lines = "".join(json.dumps(result) + "\n" for result in results).encode()
    file = StoredFile(
        id=f"batch-{batch.id}",
        mime_type="application/jsonl",
        size=len(lines),
        sha256=hashlib.sha256(lines).hexdigest(),
        created=batch.ready,
        content=lines,
        source="GENERATED",
    )
    return f"files/{project.add(file).id}"


def _lines(file: StoredFile) -> list[dict[str, Any]]:
    if file.size > len(file.content):
        raise errors.invalid(f"The emulator kept {len(file.content)} of {file.size} bytes, too few for a batch.")
    try:
        lines = [json.loads(line) for line in file.content.splitlines() if line.strip()]
    except ValueError:
        raise errors.invalid("The input file is not JSONL.") from None
    return [line if isinstance(line, dict) else {} for line in lines]


def _requests(project: Project, config: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the requests of a batch, and whether they come from a file."""
    if name := get(config, "fileName"):
        file = project.find(str(name).removeprefix("files/"), "BatchGenerateContentRequest", "file_name")
        return _lines(file), True
    requests = get_objects(get_object(config, "requests"), "requests")
    if not requests:
        raise errors.invalid("* BatchGenerateContentRequest.batch.input_config: no requests.\n")
    return requests, False


async def create_batch(call: Call) -> dict[str, Any]:
    """Create a batch of prompts."""
    project, model, script = call.project, call.params["model"], call.emulator.replies
    return await _create(call, "batchGenerateContent", _generator(project, model, script))


def _generator(project: Project, model: str, script: Script) -> Responder:
    return lambda request: content.generate(project, model, request, script)


async def create_embedding_batch(call: Call) -> dict[str, Any]:
    """Create a batch of contents to embed."""
    return await _create(call, "asyncBatchEmbedContent", content.embed)


async def _create(call: Call, method: str, respond: Responder) -> dict[str, Any]:
    project, model, now = call.project, call.params["model"], call.now
    check_model(model, call.version, method)
    given = get_object(await call.json(), "batch")
    requests, from_file = _requests(project, get_object(given, "inputConfig"))
    batch = Batch(
        id=new_id(_ID_LENGTH),
        model=f"models/{model}",
        display_name=get_text(given, "displayName"),
        requests=requests,
        from_file=from_file,
        respond=respond,
        created=now,
        ready=now + project.settings.job_seconds,
    )
    project.resources(Batch)[batch.id] = batch
    project.schedule(batch.ready, lambda: batch.run(project))
    return batch.to_json(now)


def _batch(call: Call) -> Batch:
    batch = call.project.resources(Batch).get(call.params["batch"])
    if batch is None:
        raise errors.not_found("Requested entity was not found.")
    return batch


async def get_batch(call: Call) -> dict[str, Any]:
    """Return one batch."""
    call.project.update()
    return _batch(call).to_json(call.now, results=True)


async def list_batches(call: Call) -> dict[str, Any]:
    """Return a page of the batches."""
    call.project.update()
    return listing(call, call.project.resources(Batch).values(), "operations", largest=1000)


async def cancel_batch(call: Call) -> dict[str, Any]:
    """Cancel a batch."""
    call.project.update()
    _batch(call).cancel(call.now)
    return {}


async def delete_batch(call: Call) -> dict[str, Any]:
    """Delete a batch; its result file stays."""
    del call.project.resources(Batch)[_batch(call).id]
    return {}


METHODS = [
    Method(("create_batch",), ("POST",), "/models/{model}:batchGenerateContent", create_batch),
    Method(("create_batch",), ("POST",), "/models/{model}:asyncBatchEmbedContent", create_embedding_batch),
    Method(("list_batches",), ("GET",), "/batches", list_batches),
    Method(("cancel_batch",), ("POST",), "/batches/{batch}:cancel", cancel_batch),
    Method(("get_batch",), ("GET",), "/batches/{batch}", get_batch),
    Method(("delete_batch",), ("DELETE",), "/batches/{batch}", delete_batch),
]
