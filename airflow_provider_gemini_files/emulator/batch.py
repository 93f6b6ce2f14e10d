"""The Batch resource: its requests, its states over time, and its results."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.body import get_object
from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.file import StoredFile
from airflow_provider_gemini_files.emulator.projects import Project

_TYPES = "type.googleapis.com/google.ai.generativelanguage.v1main."
PENDING, RUNNING = "BATCH_STATE_PENDING", "BATCH_STATE_RUNNING"
SUCCEEDED, FAILED = "BATCH_STATE_SUCCEEDED", "BATCH_STATE_FAILED"
CANCELLED, EXPIRED = "BATCH_STATE_CANCELLED", "BATCH_STATE_EXPIRED"

#: Errors of batches that have ended without results; only the code of a cancelled one has been reported.
_ERRORS: dict[str, dict[str, Any]] = {
    FAILED: {"code": 13, "message": "Internal error encountered."},
    CANCELLED: {"code": 1, "message": "The operation was cancelled."},
    EXPIRED: {"code": 4, "message": "The batch expired before it could be completed."},
}
#: Faults that decide how a batch ends.
_OUTCOMES = {"batch_failed": FAILED, "batch_expired": EXPIRED}
#: Error of the rows of a ``rows_failed`` fault.
_ROW_ERROR = {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}


@dataclass(frozen=True)
class Worker:
    """
    Handles the requests of a batch.

    :param respond: returns the response to a request; raises ApiError.
    :param count: returns the number of tokens of a request; raises ApiError.
    """

    respond: Callable[[dict[str, Any]], dict[str, Any]]
    count: Callable[[dict[str, Any]], int]


@dataclass
class Batch:
    """
    A batch.

    Times are in seconds since the epoch.

    :param rows: the requests with their ``key`` or ``metadata``.
    :param from_file: whether the requests came from a file; the results then go to a file, too.
    :param ready: when it ends by itself.
    :param expires: when it expires unless it has ended.
    :param fault: the fault of the request that created it; it can fail the batch or change its results.
    :param cancelled: when it ends because it was cancelled.
    :param ended: when it ended; None: it has not.
    :param stopped: whether its work has stopped because it was deleted.
    :param succeeded: number of requests that have a response.
    :param failed: number of requests that have an error.
    """

    id: str
    model: str
    display_name: str | None
    rows: list[dict[str, Any]]
    from_file: bool
    worker: Worker
    created: float
    ready: float
    expires: float = math.inf
    fault: Fault | None = None
    state: str = PENDING
    cancelled: float = math.inf
    ended: float | None = None
    stopped: bool = False
    output: dict[str, Any] = field(default_factory=dict)
    succeeded: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self._action = self.fault.action if self.fault else None
        self._keys = frozenset(self.fault.keys) if self.fault and self.fault.keys is not None else None
        self._results: list[Any] = []
        self._tokens: int | None = None
        if self._action == "batch_stuck":
            self.ready = math.inf
        if self._keys and (unknown := self._keys - {_key(row) for row in self.rows}):
            raise ValueError(f"the batch has no rows with the keys {sorted(unknown)} of the fault {self._action}")

    def tokens(self) -> int:
        """Return the number of tokens of all requests; requests with errors have none."""
        if self._tokens is None:
            self._tokens = sum(self._tokens_of(row) for row in self.rows)
        return self._tokens

    def _tokens_of(self, row: dict[str, Any]) -> int:
        try:
            return self.worker.count(get_object(row, "request"))
        except errors.ApiError:
            return 0

    def start(self, project: Project) -> None:
        """Begin its life: it ends at its time, also if nobody asks for it."""
        self._advance_at(project, min(self.ready, self.expires))

    def cancel(self, project: Project, when: float) -> None:
        """End it without results at a time; a batch that has ended before stays as it is."""
        self.cancelled = min(self.cancelled, when)
        self._advance_at(project, when)

    def _advance_at(self, project: Project, when: float) -> None:
        project.schedule(when, lambda: self.advance(project, when))

    def advance(self, project: Project, now: float) -> None:
        """Bring it up to a time: it starts to run after half of its time, and then handles its requests steadily."""
        if self.ended is not None or self.stopped:
            return
        end, state = min(
            (self.expires, EXPIRED),
            (self.cancelled, CANCELLED),
            (self.ready, _OUTCOMES.get(self._action or "", SUCCEEDED)),
        )
        started = (self.created + self.ready) / 2
        if now >= end:
            self._end(project, end, state)
        elif now >= started:
            self.state = RUNNING
            self._work(int(len(self.rows) * (now - started) / (self.ready - started)))

    def _end(self, project: Project, when: float, state: str) -> None:
        self.state, self.ended = state, when
        if state != SUCCEEDED:
            return
        self._work(len(self.rows))
        if self.fault and self._action == "batch_output_late":
            late = when + (self.fault.seconds or 0)
            project.schedule(late, lambda: self._publish(project, late))
        else:
            self._publish(project, when)

    def _work(self, until: int) -> None:
        """Handle the requests before a position; an error of one does not affect the others."""
        if self._action in _OUTCOMES:
            return
        for row in self.rows[self.succeeded + self.failed : until]:
            result = self._result(row)
            if "error" in result:
                self.failed += 1
            else:
                self.succeeded += 1
            if not self._is_hit("rows_missing", row):
                self._results.append(json.dumps(result) + "\n" if self.from_file else result)

    def _is_hit(self, action: str, row: dict[str, Any]) -> bool:
        return self._action == action and (self._keys is None or _key(row) in self._keys)

    def _result(self, row: dict[str, Any]) -> dict[str, Any]:
        tags: dict[str, Any] = {name: row[name] for name in ("key", "metadata") if name in row}
        if self.fault and self._is_hit("rows_failed", row):
            return {"error": self.fault.error or _ROW_ERROR, **tags}
        try:
            return {"response": self.worker.respond(get_object(row, "request")), **tags}
        except errors.ApiError as error:
            return {"error": {"code": error.code, "message": error.message, "status": error.status}, **tags}

    def _publish(self, project: Project, when: float) -> None:
        """Show the results."""
        results, self._results = self._results, []
        if self._action == "rows_shuffled":
            results.reverse()
        if self.from_file:
            self.output = {"responsesFile": self._write(project, "".join(results).encode(), when)}
        else:
            self.output = {"inlinedResponses": {"inlinedResponses": results}}

    def _write(self, project: Project, lines: bytes, when: float) -> str:
        """Store the results in a file; as at the service, its id is two characters too long, so it stays for ever."""
        file = StoredFile(
            id=f"batch-{self.id}",
            mime_type="application/jsonl",
            size=len(lines),
            sha256=hashlib.sha256(lines).hexdigest(),
            created=when,
            content=lines,
            source="GENERATED",
        )
        return f"files/{project.add(file).id}"

    def to_json(self, now: float, *, results: bool = False) -> dict[str, Any]:
        """
        Return the operation; unset fields are omitted.

        :param results: whether to include the responses to inline requests, which a list omits.
        """
        output = self.output if results or "responsesFile" in self.output else {}
        metadata = {
            "@type": f"{_TYPES}GenerateContentBatch",
            "model": self.model,
            "displayName": self.display_name,
            "output": output or None,
            "createTime": rfc3339(self.created, 9),
            "endTime": rfc3339(self.ended, 9) if self.ended else None,
            "updateTime": rfc3339(self.ended or self.created, 9),
            "batchStats": self._stats(),
            "state": self.state,
            "name": f"batches/{self.id}",
        }
        body: dict[str, Any] = {
            "name": f"batches/{self.id}",
            "metadata": {key: value for key, value in metadata.items() if value is not None},
        }
        if self.ended:
            body["done"] = True
        if error := self._error():
            body["error"] = error
        if output:
            body["response"] = {"@type": f"{_TYPES}GenerateContentBatchOutput", **output}
        return body

    def _stats(self) -> dict[str, str]:
        """Return the counts of requests; as in all JSON of the service, counts are texts and zeros are omitted."""
        counts = {
            "requestCount": len(self.rows),
            "successfulRequestCount": self.succeeded,
            "failedRequestCount": self.failed,
            "pendingRequestCount": len(self.rows) - self.succeeded - self.failed,
        }
        return {name: str(count) for name, count in counts.items() if count}

    def _error(self) -> dict[str, Any] | None:
        if self.fault and self.fault.error and _OUTCOMES.get(self.fault.action) == self.state:
            return self.fault.error
        return _ERRORS.get(self.state)


def _key(row: dict[str, Any]) -> Any:
    """Return the key of a row; an inline request has it in its metadata, if at all."""
    metadata = row.get("metadata")
    key = row.get("key", metadata.get("key") if isinstance(metadata, dict) else None)
    return key if isinstance(key, str) else None
