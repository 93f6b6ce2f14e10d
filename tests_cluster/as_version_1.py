"""
Rewrite what the deferred tasks of the Dag ``upgrade`` have in Airflow's database as version 1 of this package wrote it.

No version was released before this one, so none can be installed for that. Runs in the environment of the deployment.
"""

from __future__ import annotations

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.sdk.serde import serialize
from airflow.utils.session import create_session
from sqlalchemy import select

with create_session() as session:
    for task in session.scalars(select(TaskInstance).where(TaskInstance.dag_id == "upgrade")):
        if task.trigger_id is None:
            continue
        row = session.get(Trigger, task.trigger_id)
        arguments = dict(row.kwargs)
        del arguments["version"]
        resume = arguments.pop("resume") or {}
        row.kwargs = {**arguments, "delete_on_kill": task.task_id != "wait"}
        task.next_kwargs = serialize({"origins": resume["origins"]} if "origins" in resume else {})
