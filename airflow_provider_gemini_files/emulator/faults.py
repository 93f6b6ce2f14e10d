"""Faults as data: what a test tells the emulator to do wrong, and whether it happened."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.uris import has_external_url

_QUOTA_BYTES = 21_474_836_480
#: The limit of all file search stores of a free project.
_STORE_BYTES = 1024**3
_RETRY_SECONDS = 28.0

#: Methods that carry the bytes of an upload; a fault can happen in the middle of them.
_BODIES = frozenset({"upload", "finalize"})
_STARTS = frozenset({"start", "start_document"})
_SESSIONS = frozenset({"upload", "finalize", "query", "cancel"})
_DOCUMENTS = frozenset({"start_document", "import_file"})
_FILES = frozenset({"finalize", "create", "get"})
_LISTS = frozenset({"list", "list_models", "list_stores", "list_documents", "list_caches", "list_batches"})


@dataclass
class Fault:
    """
    A fault that happens to some requests of one method.

    :param method: the method it applies to, such as ``get`` or ``upload``.
    :param action: what happens, one of :data:`ACTIONS`.
    :param nth: the first request it happens to, counted from 1 since the fault was added.
    :param times: number of requests in a row it happens to; None: all from then on.
    :param api_key: only requests with this key count; None: all requests.
    :param after_bytes: bytes of the request's body before it happens, or of the response's body before ``cut_body``;
        None: it happens before the body.
    :param seconds: how long a ``stall`` lasts, the pause before each byte of a ``drip``, the delay that a rate limit or
        quota error asks for, how much later than its state the output of a batch appears, or how long after it FAILED a
        document of ``document_failed`` becomes ACTIVE (None: never).
    :param status: the HTTP status of ``status``.
    :param body: the body of ``status``: a text; any other value is sent as JSON.
    :param headers: additional headers of ``status``.
    :param content_type: the type of the body of ``status``; None: ``text/plain`` or ``application/json``.
    :param file_id: the file that ``gone`` and ``not_active`` name, or that ``edit_file`` changes (None: all files).
    :param fields: the fields that ``edit_file`` overrides in a file; None: the whole file becomes null.
    :param error: the ``error`` of the file after ``fail_processing``, of the batch after ``batch_failed`` and
        ``batch_expired``, of the operation after ``operation_error``, or of the rows of ``rows_failed``.
    :param keys: the keys of the rows that ``rows_failed`` and ``rows_missing`` apply to; None: all rows.
    """

    method: str
    action: str
    nth: int = 1
    times: int | None = 1
    api_key: str | None = None
    after_bytes: int | None = None
    seconds: float | None = None
    status: int | None = None
    body: Any = None
    headers: dict[str, str] | None = None
    content_type: str | None = None
    file_id: str | None = None
    fields: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    keys: list[str] | None = None
    seen: int = field(default=0, init=False)
    used: int = field(default=0, init=False)

    def check(self) -> None:
        """
        Refuse a fault that could never happen.

        :raises ValueError: the first problem, in one sentence.
        """
        if problem := next(self._type_problems(), None) or next(self._problems(), None):
            raise ValueError(problem)

    def _type_problems(self) -> Iterator[str]:
        for name, (kinds, told) in _KINDS.items():
            value = getattr(self, name)
            is_set = value is not None or name == "nth"
            if is_set and (isinstance(value, bool) or not isinstance(value, kinds)):
                yield f"{name} is {told}, got {value!r}"
        if self.status is not None and not _LEAST_STATUS <= self.status <= _LARGEST_STATUS:
            yield f"status is an HTTP status from {_LEAST_STATUS} to {_LARGEST_STATUS}, got {self.status}"
        if self.seconds is not None and not 0 <= self.seconds < math.inf:
            yield f"seconds is a finite number, at least 0, got {self.seconds}"

    def _problems(self) -> Iterator[str]:
        if self.action not in ACTIONS:
            yield f"unknown action {self.action!r}; there are {', '.join(sorted(ACTIONS))}"
        if (allowed := _ONLY.get(self.action)) and self.method not in allowed:
            yield f"{self.action} is for {', '.join(sorted(allowed))}, not for {self.method}"
        if (needed := _NEEDS.get(self.action)) and getattr(self, needed) is None:
            yield f"action {self.action} needs {needed}"
        for name, actions in _BELONGS_TO.items():
            if getattr(self, name) is not None and self.action not in actions:
                yield f"{name} is for action {', '.join(actions)}, not for {self.action}"
        if self.nth < 1 or (self.times is not None and self.times < 1):
            yield "nth and times count from 1"
        if self.keys is not None and not (self.keys and all(isinstance(key, str) for key in self.keys)):
            yield "keys is a list of texts, and not empty"
        yield from self._position_problems()
        yield from self._header_problems()

    def _position_problems(self) -> Iterator[str]:
        if self.after_bytes is None or self.action == "cut_body":
            return
        if self.method not in _BODIES:
            yield f"after_bytes is for upload and finalize, not for {self.method}"
        if self.action not in _INTERRUPTIONS:
            yield f"{self.action} changes the response, so after_bytes has no meaning"

    def _header_problems(self) -> Iterator[str]:
        values: dict[Any, Any] = {**(self.headers or {}), "content-type": self.content_type or ""}
        for name, value in values.items():
            text = f"{name}{value}" if isinstance(name, str) and isinstance(value, str) else "\n"
            if not text.isascii() or not text.isprintable():
                yield f"headers and content_type are texts of printable ASCII characters, got {name!r}: {value!r}"

    def concerns(self, names: Collection[str], api_key: str | None, body: bytes) -> bool:
        """
        Return whether a request counts for this fault.

        :param names: the methods of the request.
        :param api_key: the key of the request.
        :param body: its JSON.
        """
        if self.method not in names or self.api_key not in (None, api_key):
            return False
        return self.action != "url_unfetchable" or _has_external_url(body)

    @property
    def is_spent(self) -> bool:
        """Return whether it cannot happen again."""
        return self.times is not None and self.used >= self.times

    @property
    def has_happened(self) -> bool:
        """Return whether it happened as often as it was to; at least once without a limit."""
        return self.used >= (self.times or 1)

    def exception(self, api_key: str) -> errors.ServiceError | None:
        """
        Return the error response of this fault; None if it is another kind of fault.

        :param api_key: the key of the request.
        """
        if self.action == "echo_key":
            return errors.suspended(api_key)
        create = ERRORS.get(self.action)
        return create(self) if create else None

    def to_json(self) -> dict[str, Any]:
        """Return the fault and its counts; unset fields are omitted, except ``times``."""
        return {key: value for key, value in asdict(self).items() if value is not None or key == "times"}


def _delay(fault: Fault) -> float:
    return _RETRY_SECONDS if fault.seconds is None else fault.seconds


def _has_external_url(body: bytes) -> bool:
    try:
        return has_external_url(json.loads(body))
    except (ValueError, RecursionError):
        return False


def _status(fault: Fault) -> errors.ServiceError:
    return errors.RawError(fault.status or 500, fault.body, fault.headers, fault.content_type)


#: Error responses by name, with the bodies of the service. ``echo_key`` also needs the request's key.
ERRORS: dict[str, Callable[[Fault], errors.ServiceError]] = {
    "status": _status,
    "storage_full": lambda _: errors.storage_full(_QUOTA_BYTES),
    "store_full": lambda _: errors.stores_full(_STORE_BYTES),
    "rate_limit": lambda fault: errors.rate_limit(_delay(fault)),
    "daily_quota": lambda fault: errors.daily_quota(_delay(fault)),
    "no_quota": lambda fault: errors.no_quota(_delay(fault)),
    "no_free_tier": lambda fault: errors.no_free_tier(_delay(fault)),
    "credits_depleted": lambda _: errors.credits_depleted(),
    "exhausted": lambda _: errors.exhausted(),
    "overloaded": lambda _: errors.overloaded(),
    "outage": lambda _: errors.outage(),
    "internal": lambda _: errors.internal(),
    "terminated": lambda _: errors.terminated(),
    "gone": lambda fault: errors.no_permission(fault.file_id or "unknown"),
    "not_active": lambda fault: errors.not_active(fault.file_id or "unknown"),
    "already_exists": lambda _: errors.already_exists(),
    "url_unfetchable": lambda _: errors.unfetchable(),
    "bad_key": lambda _: errors.bad_key(),
    "forbidden": lambda _: errors.forbidden(),
    "key_blocked": lambda _: errors.forbidden("API_KEY_SERVICE_BLOCKED"),
    "referrer_blocked": lambda _: errors.forbidden("API_KEY_HTTP_REFERRER_BLOCKED"),
    "short_deadline": lambda _: errors.short_deadline(8),
    "batches_full": lambda _: errors.batch_quota(),
    "enqueued_full": lambda _: errors.batch_quota(),
    "no_batches": lambda fault: errors.no_batches(_delay(fault)),
}
#: Faults of the connection.
_CONNECTION = frozenset({"reset", "stall", "lose_answer", "drip"})
#: Faults that can happen in the middle of a body.
_INTERRUPTIONS = frozenset(ERRORS) | {"echo_key", "reset", "stall"}
#: Faults of a response or of the file in it, with the methods they can apply to.
_ONLY: dict[str, frozenset[str]] = {
    "terminated": _SESSIONS,
    "no_upload_url": _STARTS,
    "no_upload_status": _STARTS | _SESSIONS,
    "no_file": frozenset({"finalize", "create"}),
    "same_page_token": _LISTS,
    "edit_file": frozenset({"get", "list"}),
    "cut_body": frozenset({"download", "redirected_download"}),
    "stuck_processing": _FILES,
    "fail_processing": _FILES,
    "wrong_hash": _FILES,
    "wrong_size": _FILES,
    "document_failed": _DOCUMENTS,
    "operation_error": _DOCUMENTS,
    "store_full": _DOCUMENTS | {"finalize"},
    "url_unfetchable": frozenset({"generate", "stream", "count_tokens", "create_cache"}),
    **dict.fromkeys(
        (
            "batches_full",
            "enqueued_full",
            "no_batches",
            "created_then_internal",
            "batch_failed",
            "batch_expired",
            "batch_stuck",
            "batch_output_late",
            "rows_failed",
            "rows_missing",
            "rows_shuffled",
        ),
        frozenset({"create_batch"}),
    ),
}
#: The field that an action cannot do without.
_NEEDS = {
    "status": "status",
    "stall": "seconds",
    "drip": "seconds",
    "batch_output_late": "seconds",
    "cut_body": "after_bytes",
}
#: The types of fields, and their names in a sentence.
_KINDS: dict[str, tuple[Any, str]] = {
    "method": (str, "a text"),
    "action": (str, "a text"),
    "nth": (int, "a whole number"),
    "times": (int, "a whole number"),
    "api_key": (str, "a text"),
    "after_bytes": (int, "a whole number"),
    "seconds": ((int, float), "a number"),
    "status": (int, "a whole number"),
    "headers": (dict, "an object"),
    "content_type": (str, "a text"),
    "file_id": (str, "a text"),
    "fields": (dict, "an object"),
    "error": (dict, "an object"),
    "keys": (list, "a list"),
}
#: Others are no response.
_LEAST_STATUS, _LARGEST_STATUS = 200, 599
#: Fields that have a meaning for some actions only.
_BELONGS_TO = {
    "headers": ("status",),
    "content_type": ("status",),
    "fields": ("edit_file",),
    "error": ("fail_processing", "batch_failed", "batch_expired", "rows_failed", "operation_error"),
    "keys": ("rows_failed", "rows_missing"),
}
#: All actions.
ACTIONS = frozenset(ERRORS) | {"echo_key"} | _CONNECTION | frozenset(_ONLY)


class Faults:
    """
    The faults of one emulator, in the order they were added.

    :param methods: names of the emulator's methods; a fault of another method is refused.
    """

    def __init__(self, methods: Collection[str]) -> None:
        self._methods = frozenset(methods)
        self._faults: list[Fault] = []

    def add(self, method: str, action: str, **options: Any) -> None:
        """
        Add a fault.

        :param method: see :class:`Fault`, also for ``action`` and the options.
        :raises ValueError: for an unknown method, action or option, and for a fault that could never happen.
        """
        self.load([{"method": method, "action": action, **options}])

    def load(self, items: Any) -> None:
        """
        Add faults from a list of objects with the fields of :class:`Fault`; all of them or none.

        :raises ValueError: the first problem, in one sentence.
        """
        if not isinstance(items, list):
            raise ValueError("expected a list of faults")
        self._faults += [self._read(item) for item in items]

    def _read(self, item: Any) -> Fault:
        if not isinstance(item, dict) or not {"method", "action"} <= item.keys():
            raise ValueError(f"a fault needs a method and an action, got {item!r}")
        known = {f.name for f in fields(Fault) if f.init}
        if unknown := item.keys() - known:
            raise ValueError(f"unknown field {min(unknown)!r}; there are {', '.join(sorted(known))}")
        if not isinstance(item["method"], str) or item["method"] not in self._methods:
            raise ValueError(f"unknown method {item['method']!r}; there are {', '.join(sorted(self._methods))}")
        fault = Fault(**item)
        fault.check()
        return fault

    def take(self, names: Collection[str], api_key: str | None, body: bytes = b"") -> Fault | None:
        """
        Count a request, and return the fault that happens to it.

        At most one fault happens to a request: the first that was added. The others count the request as seen.

        :param names: the methods of the request; ``upload, finalize`` is two at once.
        :param body: its JSON; without it, the request counts as one without URLs.
        """
        chosen = None
        for fault in self._faults:
            if not fault.concerns(names, api_key, body):
                continue
            fault.seen += 1
            if chosen is None and fault.seen >= fault.nth and not fault.is_spent:
                fault.used += 1
                chosen = fault
        return chosen

    def unused(self) -> list[dict[str, Any]]:
        """Return the faults that have not happened as often as they were to."""
        return [fault.to_json() for fault in self._faults if not fault.has_happened]

    def used(self) -> list[dict[str, Any]]:
        """Return the faults that have happened as often as they were to."""
        return [fault.to_json() for fault in self._faults if fault.has_happened]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
