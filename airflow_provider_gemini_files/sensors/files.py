"""The sensor that waits for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import PokeReturnValue

from airflow_provider_gemini_files.common.durations import Duration
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.exceptions import GeminiFileFailedError
from airflow_provider_gemini_files.files.events import Event, files_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, is_many_files, names_for
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import lasting, switch_of
from airflow_provider_gemini_files.sensors.base import GeminiSensor
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger


class GeminiFileStateSensor(GeminiSensor):
    """
    Wait until files are ACTIVE, and return the name, or a list of names for a list.

    A FAILED file fails the task at once, with the service's reason, and so does a file that is gone.

    :param file_name: a file in any form (name, id, URI, metadata dict), or a list of them (templated).
    :param poke_interval: seconds between two polls; in the triggerer they grow to a tenth of the time waited, up to
        ``max_wait`` (30 seconds if that is None).
    :param timeout: seconds until the wait fails; a file lives no longer than 48 hours.
    :param delete_failed: delete files that the service could not process, before the task fails.
    """

    template_fields: Sequence[str] = ("file_name", "gemini_conn_id")
    operator_extra_links = (GeminiFileLink(),)

    def __init__(
        self,
        *,
        file_name: FileLike | Sequence[FileLike],
        poke_interval: Duration = 5,
        timeout: Duration = 3600,
        delete_failed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.file_name = lasting(file_name)
        self.delete_failed = switch_of(delete_failed, "delete_failed")

    def new_wait(self, schedule: Schedule) -> FileWait:
        """Return the wait for the files."""
        return FileWait(names_for(self.file_name, self.gemini_conn_id), schedule)

    def poll(self, wait: FileWait) -> PokeReturnValue:
        """Poll each file that is not ACTIVE yet, once."""
        try:
            is_done = self.hook.files.poll(wait)
        except GeminiFileFailedError as error:
            self._clear_up(error)
            raise
        return PokeReturnValue(is_done, self._result(wait.ready()) if is_done else None)

    def trigger(self, **common: Any) -> GeminiFileStateTrigger:
        """Return the trigger that continues the wait."""
        return GeminiFileStateTrigger(file_names=names_for(self.file_name, self.gemini_conn_id), **common)

    def result_of(self, event: Event | None) -> str | list[str]:
        """Return the names of the files of an event."""
        try:
            return self._result(files_of(event))
        except GeminiFileFailedError as error:
            self._clear_up(error)
            raise

    def _clear_up(self, error: GeminiFileFailedError) -> None:
        if self.delete_failed:
            self.hook.files.delete_failed(error)

    def _result(self, files: Sequence[GeminiFile]) -> str | list[str]:
        for file in files:
            kind = shown_text(file.mime_type or "")
            self.log.info("%s is ACTIVE: %s, %s", file.name, human_bytes(file.size_bytes or 0), kind)
        names = [file.name for file in files]
        return names if is_many_files(self.file_name) else names[0]
