"""A Dag of tasks that begin in the triggerer, as if a worker had deferred each, which would take far longer."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import StartTriggerArgs

WAITS = 300
FAR = 4_000_000_000.0
TRIGGER = "airflow_provider_gemini_files.triggers.files.GeminiFileStateTrigger"


class Wait(BaseOperator):
    """A deferred wait for a file, polled every two seconds."""

    start_from_trigger = True

    def __init__(self, *, file_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        arguments = {
            "version": 2,
            "gemini_conn_id": "gemini_waits",
            "file_names": [file_name],
            "began": 0.0,
            "deadline": FAR,
            "poll_interval": 2,
            "max_poll_interval": 2,
        }
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=TRIGGER, trigger_kwargs=arguments, next_method="execute_complete"
        )

    def execute_complete(self, context: Any, event: Any) -> None:
        """End; the scenario does not go so far."""


with DAG("waits", schedule=None):
    for number in range(WAITS):
        Wait(task_id=f"wait_{number}", file_name=f"files/wait{number}")
