"""The sensor that waits for files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_gemini_files.exceptions import GeminiFileFailedError, GeminiWaitTimeoutError
from airflow_provider_gemini_files.files.reference import FileLike, is_many_files, parse_names
from airflow_provider_gemini_files.files.state import FileWaits, files_of_event
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.labels import MapIndexLabel
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_MAX_POLL_INTERVAL = 30.0


class GeminiFileStateSensor(MapIndexLabel, BaseSensorOperator):
    """
    Wait until files are ACTIVE, and return their names: one for one, a list for a list.

    A FAILED file fails the task at once with the service's reason, as does one that is gone.

    :param file_name: a file in any form (name, id, URI, metadata dict), or a list of them (templated).
    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    :param deferrable: wait in the triggerer, without a worker. The first look is made in the worker all the same.
    :param poke_interval: seconds between two looks; in the triggerer they grow to a tenth of the time waited, up to
        ``max_wait`` (30 seconds where that is None).
    :param timeout: seconds until the wait fails; a file lives no longer than 48 hours.
    :param delete_failed: delete files that the service could not process, before the task fails.
    """

    template_fields: Sequence[str] = ("file_name", "gemini_conn_id")
    operator_extra_links = (GeminiFileLink(),)
    ui_color = "#d7e3fc"

    def __init__(
        self,
        *,
        file_name: FileLike | Sequence[FileLike],
        gemini_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 3600,
        delete_failed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.file_name = file_name
        self.gemini_conn_id = gemini_conn_id
        self.deferrable = deferrable
        self.delete_failed = delete_failed

    @cached_property
    def hook(self) -> GeminiFilesHook:
        """Return the hook."""
        return GeminiFilesHook(self.gemini_conn_id)

    @cached_property
    def _waits(self) -> FileWaits:
        return FileWaits(parse_names(self.file_name))

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once at each file that is not ACTIVE yet."""
        try:
            done = self.hook.look(self._waits)
        except GeminiFileFailedError as error:
            self._bury(error)
            raise
        if not done:
            self.log.info(self._waits.describe(time.time()))
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._result([file.name for file in self._waits.ready()]))

    def execute(self, context: Context) -> Any:
        """Look; then wait in this worker, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        looked = self.poke(context)
        if looked.is_done:
            return looked.xcom_value
        deferral = GeminiFileStateTrigger.deferral(
            gemini_conn_id=self.gemini_conn_id,
            file_names=parse_names(self.file_name),
            poll_interval=self.poke_interval,
            max_poll_interval=_seconds(self.max_wait) or _MAX_POLL_INTERVAL,
            seconds=self.timeout,
        )
        return self.defer(**deferral)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None) -> Any:
        """Read the trigger's event."""
        try:
            files = files_of_event(event)
        except GeminiWaitTimeoutError as error:
            # What a sensor's timeout is called in Airflow, with what follows from it: no retry, soft_fail.
            raise AirflowSensorTimeout(str(error)) from error
        except GeminiFileFailedError as error:
            self._bury(error)
            raise
        self.log.info("ACTIVE: %s", ", ".join(file.name for file in files))
        return self._result([file.name for file in files])

    def _bury(self, error: GeminiFileFailedError) -> None:
        if self.delete_failed:
            self.hook.delete_failed(error)

    def _result(self, names: list[str]) -> str | list[str]:
        return names if is_many_files(self.file_name) else names[0]


def _seconds(interval: timedelta | float | None) -> float | None:
    return interval.total_seconds() if isinstance(interval, timedelta) else interval
