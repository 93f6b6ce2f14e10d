"""Functions that the tests of batch runs share."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.requests import BatchRequests, Words, from_list
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.batch_input import BatchSpec
from airflow_provider_gemini_files.hooks.batch_run import BatchRun
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

HOUR = 3600.0
JOB_SECONDS = 600
MODEL = "gemini-2.5-flash"
OWNER = Owner("dag", "run", "ask", deployment="here")


def spec_of(*requests: Any, words: dict[str, Any] | None = None, **fields: Any) -> BatchSpec:
    """Return what is asked: by default, two prompts."""
    asked = BatchRequests(from_list(requests or ["one", "two"]), Words(**{"model": MODEL, **(words or {})}))
    return BatchSpec(
        **{"requests": asked, "owner": OWNER, "model": MODEL, "label": "ask", "timeout": 49 * HOUR, **fields}
    )


def submit_all(run: BatchRun) -> list[BatchJob]:
    """Submit all jobs of an attempt."""
    return [run.submit(plan) for plan in run.plan()]


def calls(emulator: GeminiEmulator, *wanted: str) -> list[str]:
    return [entry["call"] for entry in emulator.journal if not wanted or entry["call"] in wanted]


def jobs(hook: GeminiFilesHook) -> list[str]:
    """Return the names of all jobs that were ever submitted; each would be paid for."""
    return [job.name for job in hook.list_batches()]


def inputs(emulator: GeminiEmulator) -> list[str]:
    return [
        entry["body"]["batch"]["inputConfig"]["fileName"]
        for entry in emulator.journal
        if entry["call"] == "create_batch"
    ]


def owned_file(hook: GeminiFilesHook, path: Path, owner: Owner | None = OWNER) -> GeminiFile:
    path.write_text(path.name)
    return hook.upload_file(path, owner=owner)


def rows_of(hook: GeminiFilesHook, submitted: list[BatchJob]) -> list[dict[str, Any]]:
    """Return the lines of the result files of jobs that have ended, as the service has written them."""
    lines = []
    for job in submitted:
        into = io.BytesIO()
        hook.batches.download_results(hook.get_batch(job.name), into)
        lines += [json.loads(line) for line in into.getvalue().splitlines()]
    return lines
