from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from batch_attempts import JOB_SECONDS, spec_of, submit_all
from support import FakeClock
from transfer_store import Store

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


@pytest.fixture
def clock(emulator: GeminiEmulator) -> FakeClock:
    """Return a clock that passes only when somebody sleeps; the emulator's clock follows it."""
    return FakeClock(emulator)


@pytest.fixture
def hook(emulator: GeminiEmulator, clock: FakeClock) -> GeminiFilesHook:
    """Return a hook that pauses by the test's clock."""
    return GeminiFilesHook(clock=clock)


@pytest.fixture
def slow_jobs(emulator: GeminiEmulator) -> None:
    """Let batch jobs take their time."""
    emulator.settings.job_seconds = JOB_SECONDS


@pytest.fixture
def store() -> Store:
    """Return what a task keeps between its attempts; it is empty."""
    return Store()


@pytest.fixture
def new_run(emulator: GeminiEmulator, clock: FakeClock) -> Callable[..., BatchRun]:
    """Return a function that begins an attempt of a batch, as a process of its own."""

    def begin(*requests: Any, **fields: Any) -> BatchRun:
        return GeminiFilesHook(clock=clock).batch_run(spec_of(*requests, **fields))

    return begin


@pytest.fixture
def attempt(new_run: Callable[..., BatchRun]) -> Callable[..., list[BatchJob]]:
    """Return a function that submits all jobs of a batch in one attempt."""
    return lambda *requests, **fields: submit_all(new_run(*requests, **fields))
