"""The use case "register objects of Cloud Storage as files": nothing is copied, and an earlier attempt is continued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.concurrency import shortened
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFileGoneError,
    GeminiFilesError,
    GeminiInputError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import requests
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.google_credentials import (
    DEFAULT_GCP_CONN_ID,
    GoogleCredentials,
    GoogleIdentity,
    connection_in_use,
    find_credentials,
)
from airflow_provider_gemini_files.hooks.registration_memory import RegistrationMemory
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.object_storage import location
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import Found, find_sources, is_source_list
from airflow_provider_gemini_files.transfer.upload import DEFAULT_MIN_REMAINING_TTL

_SCHEME = "gs://"
#: Objects of one request; the service's limit is not published.
_CHUNK = 100
_DEFAULT_IDENTITY = GoogleIdentity()


class Registration:
    """The registration of objects."""

    def __init__(self, service: GeminiService, files: FileCalls) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._credentials: dict[GoogleIdentity, GoogleCredentials] = {}

    def has_credentials(self, gcp_conn_id: str = DEFAULT_GCP_CONN_ID) -> bool:
        """
        Return whether there are Google credentials; whether Google accepts them is not asked.

        Only a worker that has none in its connections, environment and files asks the metadata server of its machine.
        """
        try:
            self._credentials_of(GoogleIdentity(gcp_conn_id))
        except (GeminiAuthError, GeminiInputError) as error:
            self._log.info("%s", error)
            return False
        return True

    def find(self, source: Any, source_conn_id: str | None = None, gcp_conn_id: str = DEFAULT_GCP_CONN_ID) -> Found:
        """
        Find the objects that a source argument stands for, as an upload does; nothing is registered.

        :param source: ``gs://`` URI of an object, a prefix or a glob; or a list of these.
        :param source_conn_id: connection that the objects are found with; that of the URI, then ``gcp_conn_id``, if
            None.
        :raises GeminiInputError: for anything that is not in Cloud Storage, before anything is sent.
        """
        is_list = is_source_list(source)
        given = [_checked(item) for item in (source if is_list else [source])]
        conn_id = source_conn_id or connection_in_use(gcp_conn_id)
        if conn_id and not source_conn_id:
            given = [where if "@" in _bucket(where) else where.replace("//", f"//{conn_id}@", 1) for where in given]
        return find_sources(given if is_list else given[0], source_conn_id)

    def register(
        self,
        sources: Sequence[Source],
        identity: GoogleIdentity = _DEFAULT_IDENTITY,
        *,
        store: StateStore | None = None,
    ) -> list[GeminiFile]:
        """
        Register objects, and return their files in order; an object that comes twice is registered once.

        :param sources: as :meth:`find` returns them.
        :param identity: whose credentials are used; the API key is not sent.
        :param store: Airflow's ``task_state_store``: a later attempt of the task finds what this one has registered.
        :raises GeminiAuthError: if there are no Google credentials, or if these or the service's own may not read.
        """
        by_uri = {_checked(_uri(source)): source for source in sources}
        memory = RegistrationMemory(store, self._service.conn_id, self._log)
        files = self._registered_before(by_uri, memory)
        missing = [uri for uri in by_uri if uri not in files]
        for start in range(0, len(missing), _CHUNK):
            try:
                answered = self._register(missing[start : start + _CHUNK], self._credentials_of(identity))
            except GeminiFilesError as error:
                raise _explained(error, done=len(files), total=len(by_uri), is_kept=store is not None) from error
            memory.keep({memory.key(by_uri[uri]): file.name for uri, file in answered.items()})
            files |= answered
        found = {uri: _with_source(files[uri], source) for uri, source in by_uri.items()}
        if found:
            self._log.info(_result(found, earlier=len(found) - len(missing)))
        lineage.uploaded(self._service.hook, self._service.conn_id, found.values())
        return [found[_uri(source)] for source in sources]

    def _credentials_of(self, identity: GoogleIdentity) -> GoogleCredentials:
        if identity not in self._credentials:
            self._credentials[identity] = find_credentials(identity, self._log)
        return self._credentials[identity]

    def _registered_before(self, sources: Mapping[str, Source], memory: RegistrationMemory) -> dict[str, GeminiFile]:
        """Return the files of an earlier attempt that can be used still, by the URIs of their unchanged objects."""
        known = memory.recall()
        names = {uri: known[key] for uri, source in sources.items() if (key := memory.key(source)) in known}
        if not names:
            return {}
        seen = self._files.look_up(names.values())
        return {uri: file for uri, name in names.items() if (file := self._usable(seen[name]))}

    def _usable(self, seen: GeminiFile | GeminiFilesError) -> GeminiFile | None:
        """Return a registered file; None if it is gone, has FAILED or expires soon."""
        if isinstance(seen, GeminiFileGoneError):
            return None
        if isinstance(seen, GeminiFilesError):
            raise seen
        expires = seen.expires_at()
        lives = expires is None or expires - self._service.server_now() >= DEFAULT_MIN_REMAINING_TTL
        return seen if lives and seen.state != "FAILED" else None

    def _register(self, uris: Sequence[str], credentials: GoogleCredentials) -> dict[str, GeminiFile]:
        """Register some objects with one request; return their files by URI."""
        doing = f"register {_described(uris)}"
        advice = _advice(uris, credentials)

        def send() -> dict[str, Any]:
            # A token may have expired since the last request.
            request = requests.register_files(uris, credentials.bearer(), doing, advice)
            return self._service.files_client.send(request)

        listed = self._service.call(send).get("files")
        files = [
            requests.read_file(one, self._service.connection) for one in (listed if isinstance(listed, list) else [])
        ]
        if len(files) != len(uris):
            raise GeminiServiceError(
                f"Cannot {doing}: the service returned {len(files)} files for {len(uris)} objects, so it is not known "
                f"which is which: {shortened([file.name for file in files]) or 'none'}. A retry registers them again."
            )
        # How files belong to objects is not published: by their URIs if these are the objects', else by their order.
        by_uri = {file.uri: file for file in files}
        in_order = files if set(by_uri) != set(uris) else [by_uri[uri] for uri in uris]
        return dict(zip(uris, in_order, strict=True))


def _checked(source: Any) -> str:
    """Return the URI of an object, a prefix or a glob in Cloud Storage."""
    where = location(source)
    if where is None or not where.startswith(_SCHEME) or not _bucket(where).rpartition("@")[2]:
        shown = shown_url(where) if where is not None else source
        raise GeminiInputError(
            "Only objects in Google Cloud Storage can be registered, so source must be 'gs://bucket/...', or a list "
            f"of these; got {shown!r}. GeminiUploadFileOperator uploads anything else."
        )
    return where


def _uri(source: Source) -> str:
    # Of the two, this one can be found again: control characters of a name are not escaped.
    return source.origin.uri if source.origin else source.uri


def _with_source(file: GeminiFile, source: Source) -> GeminiFile:
    # The service has not read the object yet, and may not know its size.
    return replace(file, size_bytes=file.size_bytes or source.size, uploaded_from=source.origin)


def _bucket(uri: str) -> str:
    return uri.removeprefix(_SCHEME).partition("/")[0]


def _buckets(uris: Sequence[str]) -> str:
    return shortened(sorted({f"{_SCHEME}{_bucket(uri)}" for uri in uris}))


def _described(uris: Sequence[str]) -> str:
    return shown_text(uris[0]) if len(uris) == 1 else f"{len(uris)} objects of {_buckets(uris)}"


def _result(files: Mapping[str, GeminiFile], *, earlier: int) -> str:
    """Return what has become of a registration, in words."""
    first = next(iter(files.values()))
    name = f"{first.name}: " if len(files) == 1 else ""
    until = f" until {first.expiration_time}" if first.expiration_time else ""
    before = f", {earlier} of them by an earlier attempt" if earlier else ""
    return f"{name}registered {_described(list(files))}{until}{before}"


def _advice(uris: Sequence[str], credentials: GoogleCredentials) -> str:
    """Return what to do if the service does not accept a registration."""
    project = credentials.quota_project
    of_project = f", and the role Service Usage Consumer on the quota project {project}" if project else ""
    return (
        f"The request has the credentials of {credentials.described}, not the API key. Two accounts need the role "
        f"Storage Object Viewer on {_buckets(uris)}: the one of these credentials, and the service "
        "agent of the Gemini API in your project, which 'gcloud beta services identity create "
        f"--service=generativelanguage.googleapis.com' creates. The credentials need the scopes cloud-platform and "
        f"devstorage.read_only{of_project}."
    )


def _explained(error: GeminiFilesError, *, done: int, total: int, is_kept: bool) -> GeminiFilesError:
    """Add what has become of the other objects to the error of some."""
    if not done:
        return error
    retry = "finds them" if is_kept else "registers them again, which costs nothing"
    return combined([error], f"{error} {done} of the {total} objects are registered; a retry {retry}.")
