"""A batch job as the service reports it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_provider_gemini_files.common.names import name_in
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.times import epoch_of
from airflow_provider_gemini_files.exceptions import GeminiInputError

#: States in which a job does not change any more. The service also has PARTIALLY_SUCCEEDED in its list of states.
ENDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
SUCCEEDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED"})
#: States from which no results come.
WITHOUT_RESULTS = ENDED - SUCCEEDED
#: Code (google.rpc.Code) of an operation that was cancelled.
_CANCELLED = 1
_INLINE = ("inlinedResponses", "inlinedEmbedContentResponses")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PREFIX = re.compile(r"^(BATCH|JOB)_STATE_")


@dataclass(frozen=True)
class BatchJob:
    """
    A batch job.

    Times are RFC 3339 texts of the service's clock.

    :param name: ``batches/...``.
    :param state: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``CANCELLED``, ``EXPIRED``, or one that this
        package does not know.
    :param counts: requests as the service counts them: ``total``, ``successful``, ``failed``, ``pending``; those it
        does not give are left out.
    :param output_file: ``files/...`` with the results; None if there is none (yet).
    :param is_inline: whether the results are in the job itself; the list of jobs leaves them out.
    :param error: ``{"code", "message"}`` of a job that has ended badly; None if the service gives no reason.
    """

    name: str
    state: str
    model: str | None = None
    display_name: str | None = None
    create_time: str | None = None
    end_time: str | None = None
    counts: Mapping[str, int] | None = None
    output_file: str | None = None
    is_inline: bool = False
    error: Mapping[str, Any] | None = None
    conn_id: str | None = None

    @classmethod
    def from_api(
        cls, operation: Mapping[str, Any], conn_id: str | None = None, secrets: Sequence[str] = ()
    ) -> BatchJob:
        """
        Read an operation of the service; its error is read here because the SDK leaves it out.

        :param secrets: texts that the error may not show, such as the API key.

        :raises ValueError: if it is no operation of a batch.
        """
        metadata = operation.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        # While a job ends, one of the two can lack the results.
        output = {**_mapping(metadata.get("output")), **_mapping(operation.get("response"))}
        error = _mapping(operation.get("error")) or _mapping(metadata.get("error"))
        state = _PREFIX.sub("", str(metadata.get("state") or "STATE_UNSPECIFIED"))
        if operation.get("done") is True and state not in ENDED:
            # The operation has ended, whatever a state of later years is called.
            state = "SUCCEEDED" if not error else "CANCELLED" if error.get("code") == _CANCELLED else "FAILED"
        return cls(
            name=parse_batch_name(operation.get("name") or metadata.get("name")),
            state=state,
            model=_text(metadata.get("model")),
            display_name=_text(metadata.get("displayName")),
            create_time=_text(metadata.get("createTime")),
            end_time=_text(metadata.get("endTime")),
            counts=_counts(_mapping(metadata.get("batchStats"))),
            output_file=_text(output.get("responsesFile")),
            is_inline=any(output.get(key) for key in _INLINE),
            error={"code": error.get("code"), "message": shown_text(error.get("message") or "", secrets)}
            if error
            else None,
            conn_id=conn_id,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without anything large."""
        told = asdict(self)
        told["counts"] = dict(self.counts or {})
        return told

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> BatchJob:
        """Read :meth:`to_dict`, also of a version with other fields."""
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})

    @property
    def has_ended(self) -> bool:
        """Return whether the job does not change any more."""
        return self.state in ENDED

    @property
    def has_results(self) -> bool:
        """Return whether the job has ended with results that can be read."""
        return self.state in SUCCEEDED and (self.output_file is not None or self.is_inline)

    def created_at(self) -> float | None:
        """Return when it was created, in seconds since the epoch by the service's clock; None if unknown."""
        return epoch_of(self.create_time)

    def ended_at(self) -> float | None:
        """Return when it ended, as :meth:`created_at` does."""
        return epoch_of(self.end_time)

    def progress(self) -> str:
        """Return the state and the counts, for a log line: ``RUNNING, 40 of 100 requests done, 2 failed``."""
        counts = self.counts or {}
        if "total" not in counts:
            return self.state
        failed = counts.get("failed", 0)
        done = counts.get("successful", 0) + failed
        told = f"{self.state}, {done} of {counts['total']} requests done"
        return f"{told}, {failed} failed" if failed else told


#: The forms in which a job is accepted: a name, an id, a manifest or another dict with ``name``, the object.
BatchLike = str | Mapping[str, Any] | BatchJob


def parse_batch_name(batch: Any) -> str:
    """
    Return the name of a batch job, ``batches/...``.

    :raises GeminiInputError: for anything that is not a :data:`BatchLike`.
    """
    given = name_in(batch, BatchJob)
    batch_id = given.strip().removeprefix("batches/") if isinstance(given, str) else ""
    if not _ID.fullmatch(batch_id) or batch_id == "None":
        raise GeminiInputError(f"{batch!r} is not the name of a batch job; expected 'batches/...'.")
    return f"batches/{batch_id}"


def parse_batch_names(batches: Any) -> list[str]:
    """
    Return the names of one batch job or of several, without duplicates.

    :raises GeminiInputError: if there is none, or one cannot be read.
    """
    several = isinstance(batches, Iterable) and not isinstance(batches, str | Mapping)
    names = [parse_batch_name(batch) for batch in (batches if several else [batches])]
    if not names:
        raise GeminiInputError("There is no batch job: the list is empty.")
    return list(dict.fromkeys(names))


def parse_state(state: str | None) -> str | None:
    """
    Return the state of a filter without the prefix of the service or its SDK.

    :raises GeminiInputError: for one that does not exist.
    """
    if state is None:
        return None
    name = _PREFIX.sub("", state.strip().upper())
    known = {"PENDING", "RUNNING", *ENDED}
    if name not in known:
        raise GeminiInputError(f"{state!r} is not a state of a batch job; expected one of {', '.join(sorted(known))}.")
    return name


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _counts(stats: Mapping[str, Any]) -> dict[str, int] | None:
    names = {"total": "requestCount", "successful": "successfulRequestCount", "failed": "failedRequestCount",
             "pending": "pendingRequestCount"}  # fmt: skip
    # int64 is a text in JSON; a count of 0 is left out.
    counts = {name: int(str(stats[key])) for name, key in names.items() if str(stats.get(key, "")).isdecimal()}
    return counts or None
