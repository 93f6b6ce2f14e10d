"""The triggers for batch jobs: wait until they end, or until another one may be submitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_gemini_files.batches.events import batches_event
from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.state import BatchWait
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.events import error_event
from airflow_provider_gemini_files.hooks.requests import BATCHES
from airflow_provider_gemini_files.triggers.base import LOG_EVERY, GeminiTrigger
from airflow_provider_gemini_files.triggers.poller import wait_until_ready


class GeminiBatchTrigger(GeminiTrigger):
    """
    Wait until batch jobs have ended with results.

    All triggers of a connection in one triggerer share their polls. It ends with one event, read by
    :func:`~airflow_provider_gemini_files.batches.events.batches_of`.

    :param batch_names: ``batches/...``.
    :param version: of the arguments.
    """

    own_fields: ClassVar[tuple[str, ...]] = ("batch_names",)

    def __init__(self, *, batch_names: list[str], version: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_names = batch_names

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and log now and then for what."""
        await self.settle()
        wait = BatchWait(self.batch_names, self.schedule)
        waiting = asyncio.ensure_future(wait_until_ready(BATCHES, self.gemini_conn_id, wait, self._clock))
        try:
            jobs = await self._result(waiting, wait)
        except GeminiFilesError as error:
            yield TriggerEvent(error_event(error, self.resume))  # type: ignore[no-untyped-call]
            return
        finally:
            waiting.cancel()
        waited = wait.schedule.waited(self._clock.now())
        self.log.info("Ended after %.0f s: %s", waited, ", ".join(f"{job.name} ({job.progress()})" for job in jobs))
        yield TriggerEvent(batches_event(jobs, self.resume))  # type: ignore[no-untyped-call]

    async def _result(self, waiting: asyncio.Future[list[BatchJob]], wait: BatchWait) -> list[BatchJob]:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=LOG_EVERY)
            if done:
                return waiting.result()
            self.log.info(wait.describe(self._clock.now()))


class GeminiBatchPauseTrigger(GeminiTrigger):
    """
    Wait until a batch job may be submitted again after the service has refused it, because there were too many.

    Only submitting a job tells whether there is room for it, so it calls nothing. It ends with an event without jobs.

    :param version: of the arguments.
    """

    def __init__(self, *, version: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep."""
        await self.settle()
        yield TriggerEvent(batches_event([], self.resume))  # type: ignore[no-untyped-call]
