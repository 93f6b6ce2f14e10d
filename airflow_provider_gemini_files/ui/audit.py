"""What the page has changed, in Airflow's audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from airflow.models.log import Log
from airflow.utils.session import create_session

from airflow_provider_gemini_files.files.deletion import Deletion
from airflow_provider_gemini_files.files.reference import GeminiFile

#: The requests themselves are logged under these names, before anything is done.
DELETE_EVENT = "gemini_files_delete"
SWEEP_EVENT = "gemini_files_sweep"


def record(user: str, event: str, conn_id: str, deletions: Sequence[Deletion], files: Mapping[str, GeminiFile]) -> None:
    """
    Write what became of each file; one that a run owns shows up among the events of its Dag, too.

    :param user: name of who did it.
    :param files: what was known of the files beforehand, by name.
    """
    with create_session() as session:
        for deletion in deletions:
            file = files.get(deletion.name)
            owner = file.owner if file else None
            told = {
                "connection": conn_id,
                "file": deletion.name,
                "display_name": file.display_name if file else None,
                "size_bytes": file.size_bytes if file else None,
                "outcome": deletion.outcome,
                "error": str(deletion.error) if deletion.error else None,
            }
            entry = Log(
                event=f"{event}_file",
                owner=user,
                owner_display_name=user,
                extra=json.dumps(told),
                dag_id=owner.dag_id if owner else None,
                task_id=owner.task_id if owner else None,
                run_id=owner.run_id if owner else None,
                map_index=owner.map_index if owner else None,
            )
            session.add(entry)
