"""The page's entries in Airflow's audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.models.log import Log
from airflow.utils.session import create_session

from airflow_provider_gemini_files.files.naming import Owner

#: Events of the requests, which are logged before anything is changed. Each file has an event of its own, ``..._file``,
#: and each job, ``..._job``.
DELETE_EVENT = "gemini_files_delete"
CLEANUP_EVENT = "gemini_files_cleanup"
CANCEL_EVENT = "gemini_batches_cancel"


def record(user: str, event: str, owner: Owner | None, extra: Mapping[str, Any]) -> None:
    """
    Write the outcome of one change, and commit it: a process that ends loses no entry of what it has done.

    :param user: name of the user who sent the request.
    :param owner: the task instance that owns what was changed; the entry is also listed among the events of its Dag.
    :param extra: what was changed, and the outcome.
    """
    with create_session() as session:
        session.add(
            Log(
                event=event,
                owner=user,
                owner_display_name=user,
                extra=json.dumps(extra),
                dag_id=owner.dag_id if owner else None,
                task_id=owner.task_id if owner else None,
                run_id=owner.run_id if owner else None,
                map_index=owner.map_index if owner else None,
            )
        )
