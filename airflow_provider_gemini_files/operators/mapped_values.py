"""Reads what the instances of a mapped task have pushed at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any


def read_at_once(task: Any, names: Iterable[str]) -> None:
    """
    Replace Airflow's sequences of XCom values by lists.

    Such a sequence sends a request for each value, each time that it is read, and rendered fields do not show its
    values.

    :param names: of the arguments.
    """
    for name in names:
        value = getattr(task, name, None)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | list | tuple):
            # What cannot be read now is an error when the task executes.
            with suppress(Exception):
                setattr(task, name, list(value[:]))
