"""Operators for files: upload, get, list, delete."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
    GeminiStorageFullError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.naming import Owner, run_file_name
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, is_many_files, parse_names
from airflow_provider_gemini_files.files.state import FileWaits, files_of_event
from airflow_provider_gemini_files.hooks.uploads import DEFAULT_MIN_REMAINING_TTL, Upload
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.quota import OnQuota, QuotaWait, refuse_too_large
from airflow_provider_gemini_files.runs import task_lookup
from airflow_provider_gemini_files.transfer.sources import Source, expand, find_source, is_many_sources
from airflow_provider_gemini_files.triggers.files import GeminiFileStateTrigger
from airflow_provider_gemini_files.triggers.storage import GeminiStorageCapacityTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

Reuse = Literal["run", "project", "never"]
SourceLike = str | os.PathLike[str]


class GeminiUploadFileOperator(GeminiOperator):
    """
    Upload one source or many, and return the file's name, ``files/...``, or the list of names.

    XCom ``file`` (``files`` for many) holds the metadata: see
    :class:`~airflow_provider_gemini_files.files.reference.GeminiFile`. Size and sha256 of each file are verified.

    :param source: a local path, an object storage URI (``file://``, ``gs://``, ``s3://``...), an ``http(s)://`` URL, a
        directory, a glob, or a list of these (templated). Of several, some are uploaded at once; one that fails does
        not keep the others.
    :param source_conn_id: connection of the object storage; its provider's default where None (templated).
    :param mime_type: told from the source's name, then from its content, where None (templated).
    :param display_name: the source's name where None, at most 512 characters; the owning task instance is written
        behind it (templated).
    :param reuse: ``"run"``: a retried or cleared task of the same run finds the file it has already uploaded, as long
        as the source is the same. ``"project"``: all runs that upload the same bytes as the same type share one file,
        which belongs to none of them; the source is read once more, beforehand. ``"never"``: every try uploads a new
        file.
    :param min_remaining_ttl: how long a file that is used again must live on, in seconds or as a timedelta; one that
        expires sooner is left alone, and the source is uploaded anew.
    :param allow_private_urls: let a URL lead to addresses that are not public, such as the worker's own network.
    :param wait_for_active: end when the files can be used.
    :param deferrable: wait in the triggerer, without a worker.
    :param poll_interval: seconds between two looks while waiting; they grow to a tenth of the time waited.
    :param max_poll_interval: seconds between two looks, the most.
    :param wait_timeout: seconds until the wait fails; the files stay.
    :param on_quota: what to do where the project's storage is full. ``"fail"``: fail. ``"wait"``: wait until there is
        room, and upload what is missing; in the triggerer where ``deferrable``. ``"evict"``: as ``"wait"``, and delete
        files of runs that have ended, least harmful first and no more than needed.
    :param quota_timeout: seconds until an upload that ``on_quota`` lets wait fails.
    """

    template_fields: Sequence[str] = ("source", "source_conn_id", "mime_type", "display_name", "gemini_conn_id")
    operator_extra_links = (GeminiFileLink(),)

    def __init__(
        self,
        *,
        source: SourceLike | Sequence[SourceLike],
        source_conn_id: str | None = None,
        mime_type: str | None = None,
        display_name: str | None = None,
        reuse: Reuse = "run",
        min_remaining_ttl: float | timedelta = DEFAULT_MIN_REMAINING_TTL,
        allow_private_urls: bool = False,
        wait_for_active: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 5,
        max_poll_interval: float = 30,
        wait_timeout: float = 3600,
        on_quota: OnQuota = "fail",
        quota_timeout: float = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if reuse not in get_args(Reuse):
            raise GeminiInputError(f"reuse is one of {', '.join(get_args(Reuse))}; got {reuse!r}.")
        if on_quota not in get_args(OnQuota):
            raise GeminiInputError(f"on_quota is one of {', '.join(get_args(OnQuota))}; got {on_quota!r}.")
        self.source = source
        self.source_conn_id = source_conn_id
        self.mime_type = mime_type
        self.display_name = display_name
        self.reuse = reuse
        self.min_remaining_ttl = min_remaining_ttl
        self.allow_private_urls = allow_private_urls
        self.wait_for_active = wait_for_active
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.wait_timeout = wait_timeout
        self.on_quota = on_quota
        self.quota_timeout = quota_timeout

    def execute(self, context: Context) -> Any:
        """Upload; then wait, if asked to."""
        return self._execute(context, QuotaWait.begin(self.quota_timeout))

    def execute_with_room(self, context: Context, event: Mapping[str, Any] | None, **kept: Any) -> Any:
        """Upload what is missing, as there is room now."""
        quota = QuotaWait(**kept)
        quota.read(event)
        return self._execute(context, quota)

    def _execute(self, context: Context, quota: QuotaWait) -> Any:
        # All sources are looked at before a byte of any is sent.
        sources = [
            find_source(one, self.source_conn_id, allow_private_urls=self.allow_private_urls)
            for one in expand(self.source, self.source_conn_id)
        ]
        files = self._upload_all(context, sources, quota)
        # Before any waiting, so that the names are known whatever becomes of it.
        result = self._push(context, files)
        return self._wait(context, files) if self.wait_for_active else result

    def _upload_all(self, context: Context, sources: list[Source], quota: QuotaWait) -> list[GeminiFile]:
        owner = _owner(context)
        # There from Airflow 3.3 on.
        store: Any = context.get("task_state_store")
        if self.on_quota == "fail":
            return self.hook.upload_files([self._upload(source, owner) for source in sources], store=store)
        refuse_too_large(sources, self.hook.connection.quota_bytes, shared=self.reuse == "project")
        uploads = [
            self._upload(source, owner, quota.name_for(source) if self.reuse == "never" else None) for source in sources
        ]
        while True:
            try:
                return self.hook.upload_files(uploads, store=store)
            except GeminiStorageFullError as error:
                quota.refused(error)
                self.log.warning("Attempt %d: %s", quota.tries, error)
                evicts = self.on_quota == "evict"
                if not evicts or not quota.evict(self.hook, task_lookup(context["ti"]), error.missing_bytes):
                    self._wait_for_room(sources, quota)

    def _wait_for_room(self, sources: list[Source], quota: QuotaWait) -> None:
        """Sleep until another try is worth it: here, or in the triggerer, which then begins this task anew."""
        # Who evicts does not wait for others to make room, but for runs to end.
        needed = 0 if self.on_quota == "evict" else min(source.size for source in sources)
        trigger = GeminiStorageCapacityTrigger(
            gemini_conn_id=self.gemini_conn_id,
            needed_bytes=needed,
            began=quota.began,
            deadline=quota.deadline,
            not_before=quota.next_try(self.poll_interval, self.max_poll_interval),
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )
        self.log.info("Trying again in %.0f s at the earliest", trigger.not_before - time.time())
        if self.deferrable:
            self.defer(**trigger.deferral("execute_with_room", **quota.to_dict()))
        quota.sleep(self.hook, trigger)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None) -> Any:
        """Read the trigger's event."""
        return self._push(context, files_of_event(event))

    def _wait(self, context: Context, files: list[GeminiFile]) -> Any:
        now = time.time()
        waits = FileWaits(
            [file.name for file in files],
            deadline=now + self.wait_timeout,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )
        for file in files:
            waits.see(file.name, file, now)
        if not waits.check(now) and self.deferrable:
            self.log.info(waits.describe(now))
            deferral = GeminiFileStateTrigger.deferral(
                gemini_conn_id=self.gemini_conn_id,
                file_names=[file.name for file in files],
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                # What all runs share is not this task's to delete.
                delete_on_kill=self.reuse != "project",
                seconds=self.wait_timeout,
            )
            return self.defer(**deferral)
        return self._push(context, self.hook.finish(waits))

    def _upload(self, source: Source, owner: Owner, name: str | None = None) -> Upload:
        ttl = self.min_remaining_ttl
        return Upload(
            source,
            mime_type=self.mime_type,
            display_name=self.display_name,
            name=run_file_name(self.gemini_conn_id, owner, source.fingerprint) if self.reuse == "run" else name,
            share=self.reuse == "project",
            owner=owner,
            min_remaining_ttl=ttl.total_seconds() if isinstance(ttl, timedelta) else ttl,
        )

    def _push(self, context: Context, files: list[GeminiFile]) -> str | list[str]:
        if is_many_sources(self.source):
            context["ti"].xcom_push("files", [file.to_dict() for file in files])
            return [file.name for file in files]
        context["ti"].xcom_push("file", files[0].to_dict())
        return files[0].name


class GeminiGetFileOperator(GeminiOperator):
    """
    Return a file's metadata as the service has it now: the dict of ``GeminiFile``.

    :param file_name: a file in any form: name, id, URI, metadata dict (templated).
    """

    template_fields: Sequence[str] = ("file_name", "gemini_conn_id")
    operator_extra_links = (GeminiFileLink(),)

    def __init__(self, *, file_name: FileLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file_name = file_name

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the file."""
        return self.hook.get_file(self.file_name).to_dict()


class GeminiListFilesOperator(GeminiOperator):
    """
    Return the names of the project's files, all of them, newest first; the log shows them as a table.

    :param state: only files in this state: ``PROCESSING``, ``ACTIVE`` or ``FAILED`` (templated).
    :param mime_type: only files whose type starts with this, as in ``"video/"`` (templated).
    :param display_name: only files whose display name contains this (templated).
    """

    template_fields: Sequence[str] = ("state", "mime_type", "display_name", "gemini_conn_id")

    def __init__(
        self,
        *,
        state: str | None = None,
        mime_type: str | None = None,
        display_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.mime_type = mime_type
        self.display_name = display_name

    def execute(self, context: Context) -> list[str]:
        """Ask for every page, and filter."""
        files = [file for file in self.hook.list_files() if self._wanted(file)]
        self.log.info("::group::%d files, %s", len(files), human_bytes(sum(file.size_bytes or 0 for file in files)))
        for file in files:
            self.log.info(
                "%s  %s  %s  %s  %s",
                file.name, file.state, file.mime_type, human_bytes(file.size_bytes or 0), file.display_name or "",
            )  # fmt: skip
        self.log.info("::endgroup::")
        return [file.name for file in files]

    def _wanted(self, file: GeminiFile) -> bool:
        return (
            (not self.state or file.state == self.state)
            and (not self.mime_type or (file.mime_type or "").startswith(self.mime_type))
            and (not self.display_name or self.display_name in (file.display_name or ""))
        )


class GeminiDeleteFileOperator(GeminiOperator):
    """
    Delete one file or many, and return ``{"deleted": [names], "missing": [names]}``.

    Fit for a teardown: a file that is gone already is no error, and neither is one that was never uploaded (None).
    One file that cannot be deleted does not keep the others.

    :param file_name: a file in any form (name, id, URI, metadata dict), or a list of them (templated).
    :param ignore_missing: False makes a file that is gone an error.
    """

    template_fields: Sequence[str] = ("file_name", "gemini_conn_id")

    def __init__(
        self, *, file_name: FileLike | Sequence[FileLike | None] | None, ignore_missing: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.file_name = file_name
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete what is there."""
        result: dict[str, list[str]] = {"deleted": [], "missing": []}
        errors: list[GeminiFilesError] = []
        for name in self._names():
            try:
                was_there = self.hook.delete_file(name, ignore_missing=self.ignore_missing)
            except GeminiFilesError as error:
                errors.append(error)
                continue
            result["deleted" if was_there else "missing"].append(name)
            self.log.info("Deleted %s" if was_there else "%s was gone already", name)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            reasons = "; ".join(str(error) for error in errors)
            raise GeminiServiceError(f"{len(errors)} files could not be deleted, a retry tries them again: {reasons}")
        return result

    def _names(self) -> list[str]:
        given: Any = self.file_name
        many = list(given) if given is not None and is_many_files(given) else [given]
        # What a failed upload leaves in XCom is None.
        uploaded = [file for file in many if file is not None]
        return parse_names(uploaded) if uploaded else []


def _owner(context: Context) -> Owner:
    ti = context["ti"]
    return Owner(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)
