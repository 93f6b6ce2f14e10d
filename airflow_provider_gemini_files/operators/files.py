"""Operators for files: upload, register, get, download, list, delete."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.durations import LEAST_POLL_INTERVAL, Duration, seconds_of
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.deletion import DeletionOutcome
from airflow_provider_gemini_files.files.events import Event, files_of, usage_of
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.mime import checked_mime_type
from airflow_provider_gemini_files.files.naming import Owner, run_file_name
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, in_order, listed_files, names_for
from airflow_provider_gemini_files.files.selection import FileFilter, checked_state
from airflow_provider_gemini_files.hooks.google_credentials import DEFAULT_GCP_CONN_ID, GoogleIdentity
from airflow_provider_gemini_files.hooks.uploads import allowed_local_paths
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import (
    GeminiOperator,
    lasting,
    output_of,
    owner_of,
    switch_of,
    text_of,
)
from airflow_provider_gemini_files.operators.quota import OnQuota, QuotaWait, refuse_too_large
from airflow_provider_gemini_files.operators.resume import QuotaResume, UploadResume
from airflow_provider_gemini_files.operators.upload_waits import UploadWaits
from airflow_provider_gemini_files.transfer.object_storage import location
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_sources, is_source_list
from airflow_provider_gemini_files.transfer.upload import DEFAULT_MIN_REMAINING_TTL, Upload

if TYPE_CHECKING:
    from airflow.sdk import Context

Reuse = Literal["run", "project", "never"]
SourceLike = str | os.PathLike[str]


class GeminiUploadFileOperator(UploadWaits):
    """
    Upload one source or many, and return the name of the file, ``files/...``, or a list of names.

    XCom ``file`` (``files`` for many) has the metadata: see
    :class:`~airflow_provider_gemini_files.files.reference.GeminiFile`. The size and SHA-256 of each file are verified.

    :param source: a local path, an ObjectStoragePath or its URI (``file://``, ``gs://``,
        ``s3://connection@bucket``...), an ``http(s)://`` URL, a directory, a glob, or a list of these (templated).
        Several sources are uploaded at the same time; if one fails, the others continue. Hidden and empty files in a
        directory or glob are skipped.
    :param source_conn_id: connection of the object storage; its provider's default if None (templated).
    :param mime_type: detected from the source's name and content if None (templated).
    :param display_name: at most 512 characters; the source's name if None. The mark of the owner is appended
        (templated).
    :param reuse: ``"run"``: a task that is retried or cleared finds the file that it has already uploaded in the same
        run, if the source and the arguments are unchanged. ``"project"``: all runs that upload the same bytes with the
        same type share one file, which none of them owns; the source is first read once to hash it. ``"never"``: every
        attempt uploads a new file.
    :param min_remaining_ttl: how long a file must still live to be reused, in seconds or as a timedelta. If it expires
        sooner, the source is uploaded again, as a new file.
    :param allow_private_urls: allow URLs that lead to addresses that are not public, such as the worker's own network.
    :param wait_for_active: wait until the files are ACTIVE.
    :param deferrable: wait in the triggerer, without a worker.
    :param poll_interval: minimum seconds between two polls; they grow to a tenth of the time waited.
    :param max_poll_interval: maximum seconds between two polls.
    :param wait_timeout: seconds until the wait for ACTIVE files fails; the files are kept.
    :param on_quota: what to do if the project's storage is full. ``"fail"``: fail. ``"wait"``: wait for free space, in
        the triggerer if ``deferrable``, and then upload the rest. ``"evict"``: like ``"wait"``, but first delete as
        many files of ended runs as needed.
    :param quota_timeout: seconds until an upload that waits for free space fails.
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
        min_remaining_ttl: Duration = DEFAULT_MIN_REMAINING_TTL,
        allow_private_urls: bool = False,
        wait_for_active: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Duration = 5,
        max_poll_interval: Duration = 30,
        wait_timeout: Duration = 3600,
        on_quota: OnQuota = "fail",
        quota_timeout: Duration = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if reuse not in get_args(Reuse):
            raise GeminiInputError(f"reuse must be one of {', '.join(get_args(Reuse))}; got {reuse!r}.")
        if on_quota not in get_args(OnQuota):
            raise GeminiInputError(f"on_quota must be one of {', '.join(get_args(OnQuota))}; got {on_quota!r}.")
        if isinstance(mime_type, str) and "{" not in mime_type and text_of(mime_type, "mime_type"):
            # No template: what is wrong is known when the Dag is parsed.
            checked_mime_type(mime_type)
        self.source = lasting(source)
        self.source_conn_id = source_conn_id
        self.mime_type = mime_type
        self.display_name = display_name
        self.reuse = reuse
        self.min_remaining_ttl = seconds_of(min_remaining_ttl, "min_remaining_ttl")
        self.allow_private_urls = switch_of(allow_private_urls, "allow_private_urls")
        self.wait_for_active = switch_of(wait_for_active, "wait_for_active")
        self.deferrable = switch_of(deferrable, "deferrable")
        self.poll_interval = seconds_of(poll_interval, "poll_interval", least=LEAST_POLL_INTERVAL)
        self.max_poll_interval = seconds_of(max_poll_interval, "max_poll_interval", least=LEAST_POLL_INTERVAL)
        self.wait_timeout = seconds_of(wait_timeout, "wait_timeout")
        self.on_quota = on_quota
        self.quota_timeout = seconds_of(quota_timeout, "quota_timeout")

    def execute(self, context: Context) -> Any:
        """Upload; then wait, if asked to."""
        return self._execute(context, self._quota_wait())

    def execute_with_free_space(self, context: Context, event: Event | None, **arguments: Any) -> Any:
        """Upload what is missing, because there is free space now."""
        quota = self._quota_wait(QuotaResume.read(event, arguments))
        try:
            usage_of(event)
        except GeminiWaitTimeoutError as error:
            raise quota.timed_out(str(error)) from error
        return self._execute(context, quota)

    def execute_with_room(self, context: Context, event: Event | None, **arguments: Any) -> Any:
        """Resume an upload that an older version of this package has deferred."""
        return self.execute_with_free_space(context, event, **arguments)

    def execute_complete(self, context: Context, event: Event | None, **arguments: Any) -> Any:
        """Return the names of the files that the trigger has seen ACTIVE."""
        resume = UploadResume.read(event, arguments)
        files = resume.restored(files_of(event))
        # Records of version 1 do not know: several files, or a list of one, were asked for as many.
        many = resume.many if resume.many is not None else len(files) > 1 or is_source_list(self.source)
        return _push(context, files, many=many)

    def _execute(self, context: Context, quota: QuotaWait) -> Any:
        # All sources are found before a byte of any is sent.
        found = find_sources(
            _given(self.source),
            text_of(self.source_conn_id, "source_conn_id"),
            allow_private_urls=self.allow_private_urls,
            roots=allowed_local_paths(),
        )
        files = self._upload_all(context, found.sources, quota)
        # Before any waiting, so that the names are known whatever becomes of it.
        result = _push(context, files, many=found.many)
        if not self.wait_for_active:
            return result
        return _push(context, self._wait_for_active(files, many=found.many), many=found.many)

    def _upload_all(self, context: Context, sources: list[Source], quota: QuotaWait) -> list[GeminiFile]:
        owner = owner_of(context)
        # Exists from Airflow 3.3 on.
        store: Any = context.get("task_state_store")
        if self.on_quota == "fail":
            return self.hook.upload_files([self._upload(source, owner) for source in sources], store=store)
        refuse_too_large(sources, self.hook.connection.quota_bytes, shared=self.reuse == "project")
        uploads = [
            self._upload(source, owner, quota.name_for(source) if self.reuse == "never" else None) for source in sources
        ]
        return self._upload_once_it_fits(context, uploads, quota, store)

    def _upload(self, source: Source, owner: Owner, name: str | None = None) -> Upload:
        mime_type, display_name = text_of(self.mime_type, "mime_type"), text_of(self.display_name, "display_name")
        if self.reuse == "run":
            # What was asked for is part of the identity: a corrected type must not bring the old file back.
            asked = (*source.fingerprint, *(text for text in (mime_type, display_name) if text))
            name = run_file_name(self.gemini_conn_id, owner, asked)
        return Upload(
            source,
            mime_type=mime_type,
            display_name=display_name,
            name=name,
            share=self.reuse == "project",
            owner=owner,
            min_remaining_ttl=self.min_remaining_ttl,
        )


class GeminiRegisterFilesOperator(GeminiOperator):
    """
    Register objects in Google Cloud Storage as files, and return the name, ``files/...``, or a list of names.

    Nothing is copied: the service reads the object whenever a model is asked about the file, for up to 30 days.
    Registered files do not count towards the project's storage. XCom ``file`` (``files`` for many) has the metadata.

    From Airflow 3.3 on, a retried or cleared task finds the files that an earlier attempt in the same run has
    registered, if the objects are unchanged. On earlier versions, it registers them again under other names, which
    costs nothing.

    :param source: ``gs://`` URI of an object, a prefix (``gs://bucket/folder/``) or a glob, or a list of these
        (templated). Each object has at most 2 GiB.
    :param source_conn_id: connection to find the objects with; if None, the one in the URI, or ``gcp_conn_id``
        (templated).
    :param gcp_conn_id: connection of type ``google_cloud_platform`` whose credentials are sent instead of the API key.
        If the default connection does not exist, the worker's application default credentials are used (templated).
    :param quota_project: project that the request is made for, which must be that of the API key, because only its keys
        can use the files; if None, the project of the credentials (templated).
    :param impersonation_chain: a chain of service accounts to impersonate; the last one makes the request (templated).
    """

    template_fields: Sequence[str] = (
        "source",
        "source_conn_id",
        "gcp_conn_id",
        "quota_project",
        "impersonation_chain",
        "gemini_conn_id",
    )
    operator_extra_links = (GeminiFileLink(),)

    def __init__(
        self,
        *,
        source: SourceLike | Sequence[SourceLike],
        source_conn_id: str | None = None,
        gcp_conn_id: str = DEFAULT_GCP_CONN_ID,
        quota_project: str | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = lasting(source)
        self.source_conn_id = source_conn_id
        self.gcp_conn_id = gcp_conn_id
        self.quota_project = quota_project
        self.impersonation_chain = impersonation_chain

    def execute(self, context: Context) -> str | list[str]:
        """Find the objects, and register them."""
        identity = GoogleIdentity.of(
            text_of(self.gcp_conn_id, "gcp_conn_id"), text_of(self.quota_project, "quota_project"), self._chain()
        )
        registration = self.hook.registration
        source_conn_id = text_of(self.source_conn_id, "source_conn_id")
        found = registration.find(_given(self.source), source_conn_id, identity.gcp_conn_id)
        # Exists from Airflow 3.3 on.
        store: Any = context.get("task_state_store")
        return _push(context, registration.register(found.sources, identity, store=store), many=found.many)

    def _chain(self) -> list[str]:
        chain: Any = self.impersonation_chain
        accounts = [chain] if chain is None or isinstance(chain, str) else list(chain)
        return [account for one in accounts if (account := text_of(one, "impersonation_chain"))]


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
        """Return the file."""
        return self.hook.get_file(self.file_name).to_dict()


class GeminiDownloadFileOperator(GeminiOperator):
    """
    Download a generated file, such as the results of a batch, and return the URI that it was written to.

    The download is streamed, resumes after a broken connection if the service supports it, and is verified by size and
    hash if the service reports them. An existing file is replaced only when the new one is complete. XCom ``file`` has
    the metadata. Only files that the service has generated can be downloaded; for uploaded and registered files, the
    task fails before it downloads anything.

    :param file_name: a file in any form: name, id, URI, download URI, metadata dict (templated).
    :param output_path: where to write it: a local path, or a URI for Airflow's ObjectStoragePath (templated).
    :param output_conn_id: connection of the object storage; its provider's default if None (templated).
    """

    template_fields: Sequence[str] = ("file_name", "output_path", "output_conn_id", "gemini_conn_id")
    operator_extra_links = (GeminiFileLink(),)

    def __init__(
        self, *, file_name: FileLike, output_path: Any, output_conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.file_name = file_name
        self.output_path = output_path
        self.output_conn_id = output_conn_id

    def execute(self, context: Context) -> str:
        """Download the file."""
        output = output_of(self.output_path, self.output_conn_id)
        file = self.hook.get_file(self.file_name)
        with output.staged() as into:
            self.hook.files.download(file, into)
        context["ti"].xcom_push("file", file.to_dict())
        lineage.written(self.hook, output.uri)
        self.log.info("%s is in %s", file.name, output.uri)
        return output.uri


class GeminiListFilesOperator(GeminiOperator):
    """
    Return the names of all files of the project, newest first; the log shows them as a table.

    :param state: only files in this state: ``PROCESSING``, ``ACTIVE`` or ``FAILED`` (templated).
    :param mime_type: only files whose MIME type starts with this, such as ``"video/"`` (templated).
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
        """Read every page of the list, and filter."""
        wanted = FileFilter(
            checked_state(text_of(self.state, "state")),
            text_of(self.mime_type, "mime_type"),
            text_of(self.display_name, "display_name"),
        )
        files = [file for file in self.hook.list_files() if wanted.selects(file)]
        self.log.info("::group::%d files, %s", len(files), human_bytes(sum(file.size_bytes or 0 for file in files)))
        for file in files:
            self.log.info(
                "%s  %s  %s  %s  %s",
                file.name, shown_text(file.state), shown_text(file.mime_type or ""), human_bytes(file.size_bytes or 0),
                shown_text(file.display_name or ""),
            )  # fmt: skip
        self.log.info("::endgroup::")
        return [file.name for file in files]


class GeminiDeleteFileOperator(GeminiOperator):
    """
    Delete one file or many, and return ``{"deleted": [names], "missing": [names]}``.

    Suitable for teardowns: a file that is already gone is not an error, and neither is None, for a file that was never
    uploaded. If one file cannot be deleted, the others still are. Files that a batch job of this package still needs
    are kept, with a warning, and listed in ``"kept"``; a later cleanup deletes them. For a registered file, only the
    registration is deleted; the object stays in Cloud Storage.

    :param file_name: a file in any form (name, id, URI, metadata dict), or a list of them (templated).
    :param ignore_missing: if False, a file that does not exist is an error.
    """

    template_fields: Sequence[str] = ("file_name", "gemini_conn_id")

    def __init__(
        self, *, file_name: FileLike | Sequence[FileLike | None] | None, ignore_missing: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.file_name = lasting(file_name)
        self.ignore_missing = switch_of(ignore_missing, "ignore_missing")

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the files that exist."""
        result: dict[str, list[str]] = {"deleted": [], "missing": []}
        errors: list[GeminiFilesError] = []
        for deletion in self.hook.delete_files(self._not_in_use(result)):
            if deletion.error is not None:
                errors.append(deletion.error)
            elif deletion.outcome is DeletionOutcome.DELETED:
                result["deleted"].append(deletion.name)
                self.log.info("Deleted %s", deletion.name)
            else:
                result["missing"].append(deletion.name)
                self.log.info("%s was already gone", deletion.name)
        self._log_registered(result["deleted"])
        if result["missing"] and not self.ignore_missing:
            errors.append(GeminiFileGoneError(f"{', '.join(result['missing'])}: there was nothing to delete."))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            reasons = "; ".join(dict.fromkeys(str(error) for error in errors))
            raise combined(errors, f"{len(errors)} files could not be deleted; a retry tries them again: {reasons}")
        return result

    def _log_registered(self, deleted: Collection[str]) -> None:
        # Only the metadata know; a name alone is not worth a request.
        given = [file for file in listed_files(self.file_name) if isinstance(file, Mapping)]
        count = sum(file.get("source") == "REGISTERED" and file.get("name") in deleted for file in given)
        if count:
            self.log.info("%d of them were registered: their objects stay in Cloud Storage", count)

    def _not_in_use(self, result: dict[str, list[str]]) -> list[str]:
        """Return the names of the files that no batch job reads; the others are added to the result."""
        names = self._names()
        in_use = self.hook.batches.files_certainly_in_use() if names else FilesInUse()
        if in_use == FilesInUse():
            return names
        kept = [name for name, file in self.hook.files.look_up(names).items() if self._is_read(name, file, in_use)]
        if kept:
            result["kept"] = kept
            self.log.warning("A batch job that has not ended reads these files, so they stay: %s", ", ".join(kept))
        return [name for name in names if name not in kept]

    @staticmethod
    def _is_read(name: str, file: GeminiFile | GeminiFilesError, in_use: FilesInUse) -> bool:
        if name in in_use.names:
            return True
        if isinstance(file, GeminiFilesError):
            if isinstance(file, GeminiFileGoneError):
                return False
            # It could be one that a job reads.
            raise file
        return in_use.is_certain(file)

    def _names(self) -> list[str]:
        # A failed upload leaves None in XCom.
        uploaded = [file for file in listed_files(self.file_name) if not is_unset(file)]
        return names_for(uploaded, self.gemini_conn_id) if uploaded else []


def _given(source: Any) -> Any:
    """Return the source, if it is one: a template may have left something else."""
    given = in_order(source) if is_source_list(source) else [source]
    if not given or any(is_unset(location(one)) for one in given):
        raise GeminiInputError(f"source must be a path, a URI, a URL or a list of these; got {source!r}.")
    return given if is_source_list(source) else source


def _push(context: Context, files: list[GeminiFile], *, many: bool) -> str | list[str]:
    """Push the metadata of new files to XCom, and return the name or the names."""
    if many:
        context["ti"].xcom_push("files", [file.to_dict() for file in files])
        return [file.name for file in files]
    context["ti"].xcom_push("file", files[0].to_dict())
    return files[0].name
