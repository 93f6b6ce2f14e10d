"""The page's entries in Airflow's audit log."""

from __future__ import annotations

import json

from airflow.models.log import Log
from airflow.utils.session import create_session

from airflow_provider_gemini_files.files.deletion import Deletion
from airflow_provider_gemini_files.files.reference import GeminiFile

#: Events of the requests, which are logged before anything is deleted. Each file has an event of its own, ``..._file``.
DELETE_EVENT = "gemini_files_delete"
CLEANUP_EVENT = "gemini_files_cleanup"


def record(user: str, event: str, conn_id: str, deletion: Deletion, file: GeminiFile | None) -> None:
    """
    Write the outcome of one deletion, and commit it: a process that ends loses no entry of a deleted file.

    The entry of a file that a run owns is also listed among the events of its Dag.

    :param user: name of the user who sent the request.
    :param event: :data:`DELETE_EVENT` or :data:`CLEANUP_EVENT`.
    :param file: the file as it was listed before; None if it was not listed.
    """
    owner = file.owner if file else None
    extra = {
        "connection": conn_id,
        "file": deletion.name,
        "display_name": file.display_name if file else None,
        "size_bytes": file.size_bytes if file else None,
        "outcome": deletion.outcome,
        "error": deletion.error_text,
    }
    with create_session() as session:
        session.add(
            Log(
                event=f"{event}_file",
                owner=user,
                owner_display_name=user,
                extra=json.dumps(extra),
                dag_id=owner.dag_id if owner else None,
                task_id=owner.task_id if owner else None,
                run_id=owner.run_id if owner else None,
                map_index=owner.map_index if owner else None,
            )
        )
