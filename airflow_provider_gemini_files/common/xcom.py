"""XCom entries as Airflow's database has them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """
    An XCom entry.

    :param value: as the database has it.
    :param at: when it was pushed.
    :param state: of the task instance now.
    :param map_index: -1 if the task is not mapped.
    """

    key: str
    value: Any
    at: datetime
    dag_id: str
    task_id: str
    state: str | None
    run_id: str = ""
    map_index: int = -1

    def decoded(self) -> Any:
        """Return the value; Airflow stores some as JSON in a text."""
        try:
            return json.loads(self.value) if isinstance(self.value, str) else self.value
        except (ValueError, RecursionError):
            return self.value
