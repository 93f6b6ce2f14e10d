"""
Uses of the public API as a type checker sees them; mypy reads this file and nothing runs it.

A ``type: ignore`` marks a call that must be refused. mypy reports it as unused when the call is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

from airflow.sdk import DAG, Context

from airflow_provider_gemini_files.caches.cache import GeminiCache
from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.exceptions import (
    GeminiFileFailedError,
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiRateLimitError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.cleanup_report import CleanupReport
from airflow_provider_gemini_files.files.deletion import Deletion
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.hooks.ask import Asked
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.notifications.storage import GeminiStorageAlert
from airflow_provider_gemini_files.operators.caches import GeminiCreateCacheOperator, GeminiDeleteCacheOperator
from airflow_provider_gemini_files.operators.content import GeminiCountTokensOperator, GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import (
    GeminiDeleteFileOperator,
    GeminiGetFileOperator,
    GeminiListFilesOperator,
    GeminiRegisterFilesOperator,
    GeminiUploadFileOperator,
)
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator
from airflow_provider_gemini_files.retry_policy import GeminiRetryPolicy
from airflow_provider_gemini_files.runs import RunLookup
from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor
from airflow_provider_gemini_files.sensors.storage import GeminiStorageCapacitySensor


def hook_uploads(hook: GeminiFilesHook, owner: Owner) -> None:
    assert_type(hook.upload_file("/data/clip.mp4"), GeminiFile)
    assert_type(hook.upload_file(Path("/data/clip.mp4")), GeminiFile)
    assert_type(
        hook.upload_file(
            "gs://bucket/clip.mp4",
            mime_type="video/mp4",
            display_name="clip",
            name="files/clip",
            share=False,
            owner=owner,
            min_remaining_ttl=60,
        ),
        GeminiFile,
    )
    assert_type(
        hook.upload_bytes(
            b"words",
            "note.txt",
            mime_type="text/plain",
            display_name="note",
            share=True,
            owner=owner,
            min_remaining_ttl=60.0,
        ),
        GeminiFile,
    )

    assert_type(
        hook.register_files(
            ["gs://bucket/a.mp4", "gs://bucket/folder/"],
            source_conn_id="stores",
            gcp_conn_id="google_cloud_default",
            quota_project="project",
            impersonation_chain=["a@project.iam.gserviceaccount.com"],
        ),
        list[GeminiFile],
    )

    hook.register_files("gs://bucket/a.mp4", "stores")  # type: ignore[call-arg]
    hook.upload_file("/data/clip.mp4", "video/mp4")  # type: ignore[call-arg]
    hook.upload_file("/data/clip.mp4", mime="video/mp4")  # type: ignore[call-arg]
    hook.upload_file(b"words")  # type: ignore[arg-type]
    hook.upload_bytes(b"words")  # type: ignore[call-arg]
    hook.upload_bytes("words", "note.txt")  # type: ignore[arg-type]


def hook_files(hook: GeminiFilesHook, file: GeminiFile) -> None:
    assert_type(hook.get_file(file), GeminiFile)
    assert_type(hook.get_file("files/abc"), GeminiFile)
    assert_type(hook.get_file({"name": "files/abc"}), GeminiFile)
    assert_type(hook.list_files(), list[GeminiFile])
    assert_type(hook.delete_file(file), bool)
    assert_type(hook.delete_file("files/abc", ignore_missing=False), bool)
    assert_type(hook.delete_files([file, "files/abc"]), list[Deletion])
    assert_type(hook.wait_for_file(file, timeout=600, poll_interval=5, max_poll_interval=30), GeminiFile)

    hook.get_file(1)  # type: ignore[arg-type]
    hook.delete_file(file, True)  # type: ignore[call-arg]
    hook.wait_for_file(file, 600)  # type: ignore[call-arg]


def hook_storage(hook: GeminiFilesHook, lookup: RunLookup) -> None:
    assert_type(hook.usage(), StorageUsage)
    assert_type(hook.cleanup(RetentionPolicy(), lookup), CleanupReport)
    assert_type(hook.cleanup(RetentionPolicy(), lookup, dry_run=True), CleanupReport)

    hook.cleanup(RetentionPolicy())  # type: ignore[call-arg]


def hook_content(hook: GeminiFilesHook, file: GeminiFile, schema: Schema) -> None:
    assert_type(hook.generate_content("What happens here?", [file]), Answer)
    assert_type(
        hook.generate_content(
            "What happens here?",
            (file,),
            model="gemini-3.8-flash",
            system_instruction="Be short.",
            generation_config={"temperature": 0},
            schema=schema,
        ),
        Answer,
    )
    assert_type(hook.count_tokens("What happens here?", [file], model="gemini-3.8-flash"), int)
    assert_type(hook.test_connection(), tuple[bool, str])

    hook.generate_content("What happens here?", temperature=0)  # type: ignore[call-arg]


def hook_caches(hook: GeminiFilesHook, file: GeminiFile, cache: GeminiCache) -> None:
    assert_type(hook.create_cache(file, model="gemini-3.5-flash", ttl=timedelta(hours=2)), GeminiCache)
    assert_type(hook.create_cache(contents=["a text"], system_instruction="Be short.", ttl=60), GeminiCache)
    assert_type(hook.get_cache("cachedContents/abc"), GeminiCache)
    assert_type(hook.list_caches(), list[GeminiCache])
    assert_type(hook.delete_cache(cache), bool)
    assert_type(hook.ask("What happens here?", cached_content=cache), Asked)
    assert_type(cache.tokens, int | None)

    hook.create_cache(file, "gemini-3.5-flash")  # type: ignore[call-arg]
    hook.get_cache(1)  # type: ignore[arg-type]


def hook_connection() -> None:
    assert_type(GeminiFilesHook(), GeminiFilesHook)
    assert_type(GeminiFilesHook("other").gemini_conn_id, str)
    assert_type(GeminiFilesHook(gemini_conn_id="other"), GeminiFilesHook)


def metadata(file: GeminiFile) -> None:
    assert_type(file.name, str)
    assert_type(file.state, str)
    assert_type(file.uri, str | None)
    assert_type(file.size_bytes, int | None)
    assert_type(file.owner, Owner | None)

    file.state = "ACTIVE"  # type: ignore[misc]


def operators() -> None:
    upload = GeminiUploadFileOperator(
        task_id="upload",
        source=["/data/a.pdf", "/data/b.pdf"],
        reuse="project",
        on_quota="wait",
        min_remaining_ttl=timedelta(hours=1),
        wait_for_active=True,
        deferrable=True,
    )
    GeminiRegisterFilesOperator(
        task_id="register",
        source="gs://bucket/folder/",
        source_conn_id="stores",
        gcp_conn_id="google_cloud_default",
        quota_project="project",
        impersonation_chain="a@project.iam.gserviceaccount.com",
    )
    GeminiGetFileOperator(task_id="get", file_name="files/abc", gemini_conn_id="other")
    GeminiListFilesOperator(task_id="list", state="ACTIVE", mime_type="video/", display_name="clip")
    GeminiDeleteFileOperator(task_id="delete", file_name=["files/abc", None], ignore_missing=False)
    GeminiGenerateContentOperator(
        task_id="ask",
        prompt="What happens here?",
        files=upload.output,
        model="gemini-3.8-flash",
        response_schema={"type": "object"},
        max_input_tokens=10_000,
    )
    GeminiCountTokensOperator(task_id="count", prompt="What happens here?", files=upload.output)
    cache = GeminiCreateCacheOperator(
        task_id="cache", files=upload.output, model="gemini-3.5-flash", ttl=timedelta(hours=1), on_too_small="fail"
    )
    GeminiGenerateContentOperator(task_id="ask", prompt="Who?", cached_content=cache.output, recreate_cache=False)
    GeminiDeleteCacheOperator(task_id="delete", cache=["cachedContents/abc", None], ignore_missing=False)
    GeminiCleanupFilesOperator(task_id="cleanup", policy=RetentionPolicy(max_deletions=10), dry_run=True)

    GeminiUploadFileOperator(task_id="upload", source="/data/a.pdf", reuse="always")  # type: ignore[arg-type]
    GeminiUploadFileOperator(task_id="upload", source="/data/a.pdf", on_quota="retry")  # type: ignore[arg-type]
    GeminiUploadFileOperator(task_id="upload")  # type: ignore[call-arg]
    GeminiRegisterFilesOperator(task_id="register")  # type: ignore[call-arg]
    GeminiDeleteFileOperator(task_id="delete", file_name=1)  # type: ignore[arg-type]


def sensors() -> None:
    GeminiFileStateSensor(task_id="wait", file_name="files/abc", deferrable=True, timeout=timedelta(hours=1))
    GeminiFileStateSensor(task_id="wait", file_name=["files/abc", "files/def"], poke_interval=5)
    GeminiStorageCapacitySensor(task_id="wait", needed_bytes=1_000_000, deferrable=True)

    GeminiFileStateSensor(task_id="wait")  # type: ignore[call-arg]
    GeminiStorageCapacitySensor(task_id="wait", needed_bytes=None)  # type: ignore[arg-type]


def cleanup_dag() -> None:
    assert_type(build_cleanup_dag(), DAG)
    assert_type(
        build_cleanup_dag(
            "cleanup",
            schedule=None,
            gemini_conn_ids=["gemini_default", "other"],
            max_age=timedelta(hours=24),
            high_watermark=0.9,
            low_watermark=0.7,
            include_foreign=False,
            dry_run=True,
            approve_above=100,
            start_date=datetime(2026, 1, 1),
        ),
        DAG,
    )

    build_cleanup_dag("cleanup", None)  # type: ignore[call-arg]
    build_cleanup_dag(max_age=24)  # type: ignore[arg-type]


def alert() -> None:
    def tell(context: Context) -> None: ...

    GeminiStorageAlert(notifier=tell, at=0.9, repeat_every=24, gemini_conn_id="gemini_default")
    GeminiStorageAlert(notifier=[tell, GeminiStorageAlert(notifier=tell)], repeat_every=timedelta(hours=24))

    GeminiStorageAlert(at=0.9)  # type: ignore[call-arg]
    GeminiStorageAlert(notifier=1)  # type: ignore[arg-type]


def errors(error: GeminiFilesError, full: GeminiStorageFullError, failed: GeminiFileFailedError) -> None:
    assert_type(error.retry_after, float | None)
    assert_type(full.missing_bytes, int)
    names: Sequence[str] = failed.file_names
    value_error: ValueError = GeminiInputError("wrong")
    permanent: GeminiPermanentError = GeminiInputError("wrong")
    temporary: GeminiPermanentError = GeminiRateLimitError("later")  # type: ignore[assignment]
    assert names, (value_error, permanent, temporary)


def retries() -> None:
    GeminiUploadFileOperator(task_id="upload", source="/data/a.pdf", retry_policy=GeminiRetryPolicy())


def emulator() -> None:
    with GeminiEmulator() as running:
        assert_type(running, GeminiEmulator)
        assert_type(running.base_url, str)
