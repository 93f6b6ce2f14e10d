"""Faults as data: what a test tells the emulator to do wrong, and whether it happened."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_provider_gemini_files.emulator import errors

_QUOTA_BYTES = 21_474_836_480
_RETRY_SECONDS = 28.0

#: Methods that carry the bytes of an upload, so that something can happen in the middle of them.
_BODIES = frozenset({"upload", "finalize"})
_STARTS = frozenset({"start", "start_document"})
_SESSIONS = frozenset({"upload", "finalize", "query", "cancel"})
_FILES = frozenset({"finalize", "create", "get"})


@dataclass
class Fault:
    """
    One thing to go wrong, once or some times.

    :param method: the method it waits for, such as ``get`` or ``upload``.
    :param action: what happens, one of :data:`ACTIONS`.
    :param nth: it begins with the nth such request after it was added.
    :param times: on how many requests in a row it happens.
    :param api_key: only requests of this key count; None: of every key.
    :param after_bytes: it happens when so many bytes of the request's body were taken; None: before any.
    :param seconds: how long a ``stall`` lasts, or what a ``rate_limit`` asks the client to wait.
    :param status: the HTTP status of action ``status``.
    :param body: the body of action ``status``: a text, or anything else as JSON.
    :param file_id: the file that ``gone`` and ``not_active`` speak of.
    :param error: the ``error`` that ``fail_processing`` leaves in the file.
    """

    method: str
    action: str
    nth: int = 1
    times: int = 1
    api_key: str | None = None
    after_bytes: int | None = None
    seconds: float | None = None
    status: int | None = None
    body: Any = None
    file_id: str | None = None
    error: dict[str, Any] | None = None
    seen: int = field(default=0, init=False)
    used: int = field(default=0, init=False)

    def check(self) -> None:
        """
        Refuse a fault that could never happen.

        :raises ValueError: with what is wrong, in one sentence.
        """
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}; there are {', '.join(sorted(ACTIONS))}")
        if (allowed := _ONLY.get(self.action)) and self.method not in allowed:
            raise ValueError(f"{self.action} is for {', '.join(sorted(allowed))}, not for {self.method}")
        if self.after_bytes is not None and self.method not in _BODIES:
            raise ValueError(f"after_bytes is for upload and finalize, not for {self.method}")
        if self.after_bytes is not None and self.action not in _INTERRUPTIONS:
            raise ValueError(f"{self.action} happens to the answer, so after_bytes means nothing")
        if self.action == "status" and self.status is None:
            raise ValueError("action status needs a status")
        if self.action == "stall" and self.seconds is None:
            raise ValueError("action stall needs seconds")
        if self.nth < 1 or self.times < 1:
            raise ValueError("nth and times count from 1")

    def exception(self) -> errors.ServiceError | None:
        """Return the error answer this fault stands for; None for faults of another kind."""
        make = ERRORS.get(self.action)
        return make(self) if make else None

    def to_json(self) -> dict[str, Any]:
        """Return the fault with what became of it; what was not given is absent."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def _status(fault: Fault) -> errors.ServiceError:
    return errors.RawError(fault.status or 500, fault.body)


#: Error answers by name, with the bodies the service gives.
ERRORS: dict[str, Callable[[Fault], errors.ServiceError]] = {
    "status": _status,
    "storage_full": lambda _: errors.storage_full(_QUOTA_BYTES),
    "rate_limit": lambda fault: errors.rate_limit(_RETRY_SECONDS if fault.seconds is None else fault.seconds),
    "exhausted": lambda _: errors.exhausted(),
    "overloaded": lambda _: errors.overloaded(),
    "outage": lambda _: errors.outage(),
    "internal": lambda _: errors.internal(),
    "terminated": lambda _: errors.terminated(),
    "gone": lambda fault: errors.no_permission(fault.file_id or "unknown"),
    "not_active": lambda fault: errors.not_active(fault.file_id or "unknown"),
    "already_exists": lambda _: errors.already_exists(),
    "bad_key": lambda _: errors.bad_key(),
    "forbidden": lambda _: errors.forbidden(),
    "key_blocked": lambda _: errors.forbidden("API_KEY_SERVICE_BLOCKED"),
    "referrer_blocked": lambda _: errors.forbidden("API_KEY_HTTP_REFERRER_BLOCKED"),
    "short_deadline": lambda _: errors.short_deadline(8),
}
#: What happens to the connection.
_CONNECTION = frozenset({"reset", "stall", "lose_answer"})
_INTERRUPTIONS = frozenset(ERRORS) | {"reset", "stall"}
#: What happens to one method's answer, or to the file it tells of: these make sense on some methods only.
_ONLY: dict[str, frozenset[str]] = {
    "terminated": _SESSIONS,
    "no_upload_url": _STARTS,
    "no_upload_status": _STARTS | _SESSIONS,
    "no_file": frozenset({"finalize", "create"}),
    "stuck_processing": _FILES,
    "fail_processing": _FILES,
    "wrong_hash": _FILES,
    "wrong_size": _FILES,
}
#: Every action there is.
ACTIONS = frozenset(ERRORS) | _CONNECTION | frozenset(_ONLY)


class Faults:
    """
    The faults of one emulator, in the order they were added.

    :param methods: the names of the emulator's methods; a fault for another one could never happen.
    """

    def __init__(self, methods: Collection[str]) -> None:
        self._methods = frozenset(methods)
        self._faults: list[Fault] = []

    def add(self, method: str, action: str, **options: Any) -> None:
        """
        Let something go wrong.

        :param method: see :class:`Fault`, as for ``action`` and the options.
        :raises ValueError: for what does not exist, or a fault that could never happen.
        """
        self.load([{"method": method, "action": action, **options}])

    def load(self, items: Any) -> None:
        """
        Add faults given as a list of objects with the fields of :class:`Fault`; all of them or none.

        :raises ValueError: with the first thing that is wrong, in one sentence.
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
        if item["method"] not in self._methods:
            raise ValueError(f"unknown method {item['method']!r}; there are {', '.join(sorted(self._methods))}")
        fault = Fault(**item)
        fault.check()
        return fault

    def take(self, names: Collection[str], api_key: str | None) -> Fault | None:
        """
        Count a request, and return the fault that befalls it.

        At most one does: the first that was added. The others count the request as seen all the same.

        :param names: the methods the request is; ``upload, finalize`` is two at once.
        """
        chosen = None
        for fault in self._faults:
            if fault.method not in names or fault.api_key not in (None, api_key):
                continue
            fault.seen += 1
            if chosen is None and fault.seen >= fault.nth and fault.used < fault.times:
                fault.used += 1
                chosen = fault
        return chosen

    def unused(self) -> list[dict[str, Any]]:
        """Return the faults that did not happen as often as they should have."""
        return [fault.to_json() for fault in self._faults if fault.used < fault.times]

    def used(self) -> list[dict[str, Any]]:
        """Return the faults that happened as often as they should have."""
        return [fault.to_json() for fault in self._faults if fault.used >= fault.times]

    def clear(self) -> None:
        """Forget every fault."""
        self._faults.clear()
