"""The sensor that waits for room in a project's storage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiWaitTimeoutError
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.room import usage_of_event
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_MAX_POLL_INTERVAL = 300.0


class GeminiStorageCapacitySensor(BaseSensorOperator):
    """
    Wait until the storage of a connection's project has room, and return the usage then, as a dict.

    By the list of the project's files; the service may count deleted bytes for a while longer. The room is not
    reserved: for an upload of your own, ``on_quota="wait"`` of ``GeminiUploadFileOperator`` is safer.

    :param needed_bytes: what has to be free (templated).
    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    :param deferrable: wait in the triggerer, without a worker. The first look is made in the worker all the same.
    :param poke_interval: seconds between two looks, each the calls of a whole list; in the triggerer they grow to a
        tenth of the time waited, up to ``max_wait`` (300 seconds where that is None).
    :param timeout: seconds until the wait fails.
    """

    template_fields: Sequence[str] = ("needed_bytes", "gemini_conn_id")
    ui_color = "#d7e3fc"

    def __init__(
        self,
        *,
        needed_bytes: int | str,
        gemini_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 30,
        timeout: timedelta | float = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.needed_bytes = needed_bytes
        self.gemini_conn_id = gemini_conn_id
        self.deferrable = deferrable

    @cached_property
    def hook(self) -> GeminiFilesHook:
        """Return the hook."""
        return GeminiFilesHook(self.gemini_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        needed = self._needed()
        usage = self.hook.usage()
        self.log.info("%s of room needed: %s", human_bytes(needed), usage)
        return PokeReturnValue(is_done=usage.free_bytes >= needed, xcom_value=usage.to_dict())

    def execute(self, context: Context) -> Any:
        """Look; then wait in this worker, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        looked = self.poke(context)
        if looked.is_done:
            return looked.xcom_value
        now = time.time()
        longest = self.max_wait.total_seconds() if isinstance(self.max_wait, timedelta) else self.max_wait
        trigger = GeminiStorageCapacityTrigger(
            gemini_conn_id=self.gemini_conn_id,
            needed_bytes=self._needed(),
            began=now,
            deadline=now + self.timeout,
            not_before=now + self.poke_interval,
            poll_interval=self.poke_interval,
            max_poll_interval=longest or _MAX_POLL_INTERVAL,
        )
        return self.defer(**trigger.deferral())

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Read the trigger's event."""
        try:
            return usage_of_event(event)
        except GeminiWaitTimeoutError as error:
            # What a sensor's timeout is called in Airflow, with what follows from it: no retry, soft_fail.
            raise AirflowSensorTimeout(str(error)) from error

    def _needed(self) -> int:
        try:
            needed = int(self.needed_bytes)
        except ValueError:
            needed = 0
        if needed < 1:
            raise GeminiInputError(f"needed_bytes is a number of bytes, at least 1; got {self.needed_bytes!r}.")
        return needed
