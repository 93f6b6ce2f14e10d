"""The sensor that waits for batch jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import PokeReturnValue

from airflow_provider_gemini_files.batches.events import batches_of
from airflow_provider_gemini_files.batches.job import BatchJob, BatchLike, parse_batch_names
from airflow_provider_gemini_files.batches.state import BatchWait
from airflow_provider_gemini_files.common.durations import Duration
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.files.events import Event
from airflow_provider_gemini_files.links import GeminiBatchLink
from airflow_provider_gemini_files.sensors.base import GeminiSensor
from airflow_provider_gemini_files.triggers.batches import GeminiBatchTrigger


class GeminiBatchSensor(GeminiSensor):
    """
    Wait until batch jobs have ended with results, and return the name, or a list of names for a list.

    A job that is FAILED, EXPIRED or CANCELLED fails the task, each with a specific error and the service's reason.

    :param batch_name: a job (name, id, or a dict with ``name``), or a list of them (templated).
    :param poke_interval: seconds between two polls; in the triggerer they grow to a tenth of the time waited, up to
        ``max_wait`` (five minutes if that is None).
    :param timeout: seconds until the wait fails; jobs expire after 48 hours.
    """

    template_fields: Sequence[str] = ("batch_name", "gemini_conn_id")
    operator_extra_links = (GeminiBatchLink(),)
    longest_pause = 300.0

    def __init__(
        self,
        *,
        batch_name: BatchLike | Sequence[BatchLike],
        poke_interval: Duration = 60,
        timeout: Duration = 49 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.batch_name = batch_name

    def new_wait(self, schedule: Schedule) -> BatchWait:
        """Return the wait for the jobs."""
        return BatchWait(parse_batch_names(self.batch_name), schedule)

    def poll(self, wait: BatchWait) -> PokeReturnValue:
        """Poll each job that has not ended yet, once."""
        is_done = self.hook.batches.poll(wait)
        return PokeReturnValue(is_done, self._result(wait.ready()) if is_done else None)

    def trigger(self, **common: Any) -> GeminiBatchTrigger:
        """Return the trigger that continues the wait."""
        return GeminiBatchTrigger(batch_names=parse_batch_names(self.batch_name), **common)

    def result_of(self, event: Event | None) -> str | list[str]:
        """Return the names of the jobs of an event."""
        return self._result(batches_of(event))

    def _result(self, jobs: Sequence[BatchJob]) -> str | list[str]:
        for job in jobs:
            self.log.info("%s has ended: %s; results in %s", job.name, job.progress(), job.output_file or "the job")
        names = [job.name for job in jobs]
        return names[0] if isinstance(self.batch_name, str | dict) else names
