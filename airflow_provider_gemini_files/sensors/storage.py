"""The sensor that waits for free space in a project's storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import PokeReturnValue

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK
from airflow_provider_gemini_files.common.durations import Duration
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.files.events import Event, usage_of
from airflow_provider_gemini_files.files.free_space import FreeSpaceWait
from airflow_provider_gemini_files.files.usage_history import Sample
from airflow_provider_gemini_files.operators.base import whole_number_of
from airflow_provider_gemini_files.sensors.base import GeminiSensor
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger


class GeminiStorageCapacitySensor(GeminiSensor):
    """
    Wait until the storage of a connection's project has enough free space, and return the usage as a dict.

    The usage is computed from the list of the project's files; the service may count deleted bytes for a while longer.
    The space is not reserved: before an upload, use ``on_quota="wait"`` of ``GeminiUploadFileOperator`` instead.

    :param needed_bytes: bytes that have to be free (templated).
    :param poke_interval: seconds between two polls, each of which lists all files; in the triggerer, they grow to a
        tenth of the time waited, up to ``max_wait`` (300 seconds if that is None).
    :param timeout: seconds until the wait fails.
    """

    template_fields: Sequence[str] = ("needed_bytes", "gemini_conn_id")
    longest_pause = 300.0

    def __init__(
        self,
        *,
        needed_bytes: int | str,
        poke_interval: Duration = 30,
        timeout: Duration = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.needed_bytes = needed_bytes

    def new_wait(self, schedule: Schedule) -> FreeSpaceWait:
        """Return the wait for free space."""
        return FreeSpaceWait(self._needed(), schedule)

    def poll(self, wait: FreeSpaceWait) -> PokeReturnValue:
        """Read the usage once."""
        if not self.hook.storage.poll(wait):
            return PokeReturnValue(is_done=False)
        [usage] = wait.ready()
        self.log.info("%s: %s", wait.name, usage)
        return PokeReturnValue(is_done=True, xcom_value=self._recorded(usage.to_dict()))

    def trigger(self, **common: Any) -> GeminiStorageCapacityTrigger:
        """Return the trigger that continues the wait."""
        # The worker has just polled.
        not_before = common["began"] + common["poll_interval"]
        return GeminiStorageCapacityTrigger(needed_bytes=self._needed(), not_before=not_before, **common)

    def result_of(self, event: Event | None) -> dict[str, Any]:
        """Return the usage of an event."""
        return self._recorded(usage_of(event))

    def _recorded(self, usage: dict[str, Any]) -> dict[str, Any]:
        """Record a usage in this worker, as a triggerer must not wait for Airflow's API; return it."""
        sample = Sample.of(SYSTEM_CLOCK.now(), usage["files"], usage["used_bytes"])
        usage_history.of_task.record(self.gemini_conn_id, sample)
        return usage

    def _needed(self) -> int:
        return whole_number_of(self.needed_bytes, "needed_bytes", least=1)
