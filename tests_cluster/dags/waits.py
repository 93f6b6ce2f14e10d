"""A Dag with a deferred wait for each file."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor


@dag(schedule=None, params={"names": []})
def waits():
    @task
    def names(params: dict) -> list[str]:
        return params["names"]

    GeminiFileStateSensor.partial(
        task_id="wait", gemini_conn_id="gemini_waits", deferrable=True, poke_interval=2, max_wait=2, timeout=3600
    ).expand(file_name=names())


waits()
