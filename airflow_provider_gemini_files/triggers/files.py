"""The trigger that waits for files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWaits, failed_event, ready_event
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.triggers.poller import wait_for_files

#: The trigger ends a wait by itself at its deadline; Airflow's own timeout comes after it, as a net.
_NET_SECONDS = 60
#: Seconds. Airflow's supervisor can be five late to notice that a deferred task's process has ended, and a task that is
#: resumed before that is taken for a broken one (seen in 3.3.2).
SETTLE_SECONDS = 6.0
#: Seconds between two lines in the log.
_SAY_EVERY = 60.0


class GeminiFileStateTrigger(BaseTrigger):
    """
    Wait until files are ACTIVE; it only looks, so it can be run again by another triggerer at any time.

    All triggers of a connection in one triggerer look together. It ends with one event, read by
    :func:`~airflow_provider_gemini_files.files.state.files_of_event`.

    :param gemini_conn_id: a connection of type ``gemini``.
    :param file_names: ``files/...``.
    :param began: when the wait began, in seconds since the epoch; a restart grants no new time.
    :param deadline: when the wait fails, in seconds since the epoch.
    :param not_before: when to look first, in seconds since the epoch.
    :param poll_interval: seconds between two looks, the least; it grows with the time waited.
    :param max_poll_interval: seconds between two looks, the most.
    :param delete_on_kill: delete the files when a user ends the deferred task (Airflow 3.3 and later); for files that
        belong to the task alone.
    """

    def __init__(
        self,
        *,
        gemini_conn_id: str,
        file_names: list[str],
        began: float,
        deadline: float,
        poll_interval: float,
        max_poll_interval: float,
        not_before: float = 0.0,
        delete_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gemini_conn_id = gemini_conn_id
        self.file_names = file_names
        self.began = began
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.not_before = not_before
        self.delete_on_kill = delete_on_kill

    @classmethod
    def deferral(cls, *, seconds: float, **arguments: Any) -> dict[str, Any]:
        """
        Return the arguments with which an operator defers itself.

        :param seconds: how long the wait may take.
        :param arguments: of the trigger, but for its beginning and its deadline.
        """
        now = time.time()
        return {
            "trigger": cls(began=now, deadline=now + seconds, not_before=now + SETTLE_SECONDS, **arguments),
            "method_name": "execute_complete",
            "timeout": timedelta(seconds=seconds + _NET_SECONDS),
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; the key is not among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "gemini_conn_id": self.gemini_conn_id,
                "file_names": self.file_names,
                "began": self.began,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
                "not_before": self.not_before,
                "delete_on_kill": self.delete_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and say now and then for what."""
        await asyncio.sleep(max(min(self.not_before, self.deadline) - time.time(), 0))
        waits = FileWaits(
            self.file_names,
            began=self.began,
            deadline=self.deadline,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )
        waiting = asyncio.ensure_future(wait_for_files(self.gemini_conn_id, waits))
        try:
            files = await self._result(waiting, waits)
        except GeminiFilesError as error:
            yield TriggerEvent(failed_event(error))  # type: ignore[no-untyped-call]
            return
        finally:
            waiting.cancel()
        self.log.info("ACTIVE after %.0f s: %s", time.time() - self.began, ", ".join(self.file_names))
        yield TriggerEvent(ready_event(files))  # type: ignore[no-untyped-call]

    async def _result(self, waiting: asyncio.Future[list[GeminiFile]], waits: FileWaits) -> list[GeminiFile]:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=_SAY_EVERY)
            if done:
                return waiting.result()
            self.log.info(waits.describe(time.time()))

    async def on_kill(self) -> None:
        """Delete what the killed task has uploaded for itself; Airflow 3.3 and later call this."""
        if not self.delete_on_kill:
            return
        hook = GeminiFilesHook(self.gemini_conn_id)
        await hook.aconnect()
        try:
            for name in self.file_names:
                try:
                    await hook.adelete_file(name)
                except GeminiFilesError as error:
                    self.log.warning("%s stays until it expires: %s", name, error)
                else:
                    self.log.info("Deleted %s, as its task was ended", name)
        finally:
            await hook.aclose()
