"""Sources that a request shows: find them, choose the way of each, upload or register what has to be, and tidy up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast
from urllib.parse import urlsplit

from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.waiting import Schedule
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.source_parts import SourceFile, SourcePart
from airflow_provider_gemini_files.content.ways import Candidate, Choice, Via, Way, choose, obstacle_of
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.naming import Owner, new_file_name, run_file_name, slots_of
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.files.state import FileWait
from airflow_provider_gemini_files.hooks.connection import DEFAULT_HOST
from airflow_provider_gemini_files.hooks.files import FileCalls, Polled
from airflow_provider_gemini_files.hooks.google_credentials import DEFAULT_GCP_CONN_ID, GoogleIdentity
from airflow_provider_gemini_files.hooks.registration import Registration
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.uploads import UploadCalls, allowed_local_paths
from airflow_provider_gemini_files.transfer.memory import StateStore
from airflow_provider_gemini_files.transfer.object_storage import location
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_sources, is_source_list, is_url
from airflow_provider_gemini_files.transfer.stream import head_of, read_all
from airflow_provider_gemini_files.transfer.upload import DEFAULT_MIN_REMAINING_TTL, Upload

_YOUTUBE_HOSTS = {"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"}
#: Seconds between two polls while the service processes what was uploaded.
_POLL_INTERVAL, _MAX_POLL_INTERVAL = 5.0, 30.0


@dataclass(frozen=True)
class SourceOptions:
    """
    How sources are shown.

    :param via: the way of those that do not name one.
    :param conn_id: connection of the object storage of those that do not name one; its provider's default if None.
    :param gcp_conn_id: Google Cloud connection that registers objects.
    :param keep_files: leave what was uploaded.
    :param allow_private_urls: let a URL lead to addresses that are not public.
    :param owner: the task instance that uploads; None outside of a task.
    :param store: Airflow's ``task_state_store``.
    :param in_batch: whether they are shown in a batch.
    :param min_remaining_ttl: seconds that an uploaded file that is used again has to live on.
    :param wait_timeout: seconds until what was uploaded has to be ACTIVE.
    """

    via: Via = "auto"
    conn_id: str | None = None
    gcp_conn_id: str = DEFAULT_GCP_CONN_ID
    keep_files: bool = False
    allow_private_urls: bool = False
    owner: Owner | None = None
    store: StateStore | None = None
    in_batch: bool = False
    min_remaining_ttl: float = DEFAULT_MIN_REMAINING_TTL
    wait_timeout: float = 3600.0


@dataclass
class _Shown:
    """
    One source, and its way.

    :param source: None for a URL that only the service looks at.
    :param url: what the service fetches if it is to.
    :param name: of the file that stands for it in the contents until it is uploaded or registered.
    """

    part: SourcePart
    source: Source | None
    url: str
    mime_type: str | None
    choice: Choice
    name: str
    data: bytes | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """Return how a person recognises it."""
        return self.source.uri if self.source else shown_url(self.url)

    @property
    def is_file(self) -> bool:
        return self.choice.way in ("upload", "register")


class ShownSources:
    """The sources of one request, or of all requests of a batch."""

    def __init__(
        self,
        service: GeminiService,
        files: FileCalls,
        uploads: UploadCalls,
        registration: Registration,
        options: SourceOptions,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._uploads = uploads
        self._registration = registration
        self._options = options
        self._found: dict[str, list[_Shown]] = {}
        #: The files that exist for sources, by the names that stand for them.
        self._existing: dict[str, GeminiFile] = {}
        #: Whether something may have been uploaded.
        self._has_begun = False

    def resolve(self, contents: Contents) -> Contents:
        """
        Find the sources of contents, choose their ways, and return the contents without sources; nothing is sent.

        :raises GeminiInputError: for a source that cannot be found or shown.
        """
        self.plan(contents.sources, contents.inline_bytes)
        return contents.resolved(self.parts_of)

    def plan(self, parts: Iterable[SourcePart], inline_bytes: int = 0) -> None:
        """
        Find the sources of all parts of a request, or of a batch, and choose their ways; nothing is sent.

        :param inline_bytes: inline data that there is already.
        """
        listed = list(parts)
        # All requests of a batch can show the same sources, which are found once.
        new = {_key(part): part for part in listed if _key(part) not in self._found}
        found = {key: list(self._find(part)) for key, part in new.items()}
        uses = Counter(one.source.fingerprint for part in listed for one in found.get(_key(part), ()) if one.source)
        self._found |= found
        for several in found.values():
            for one in several:
                inline_bytes += self._choose(one, uses, inline_bytes)

    def parts_of(self, part: SourcePart) -> list[dict[str, Any]]:
        """Return the parts that take the place of a planned one; what is sent inline is read."""
        return [{**self._sent(one), **part.view} for one in self._found[_key(part)]]

    def own(self, names: Iterable[str]) -> list[str]:
        """Return those of some names that stand for a source that is uploaded or registered."""
        by_name = self._by_name()
        return [name for name in names if name in by_name]

    def files_of(self, names: Sequence[str]) -> dict[str, GeminiFile]:
        """
        Upload and register what some names stand for, and return the files once they are ACTIVE.

        What exists already is used; a file that is gone is made again.
        """
        shown = self._by_name()
        alive = self._files.look_up(self._existing[name].name for name in names if name in self._existing)
        for name in names:
            file = self._existing.get(name)
            if file and not self._is_usable(alive[file.name]):
                del self._existing[name]
        missing = [shown[name] for name in names if name not in self._existing]
        self._upload([one for one in missing if one.choice.way == "upload"])
        self._register([one for one in missing if one.choice.way == "register"])
        return {name: self._existing[name] for name in names}

    def _is_usable(self, now: Polled) -> bool:
        if not isinstance(now, GeminiFile) or now.state != "ACTIVE":
            return False
        expires = now.expires_at()
        return expires is None or expires - self._service.server_now() >= self._options.min_remaining_ttl

    def fall_back(self) -> bool:
        """Upload what the service was to fetch from URLs; return whether there is such a source."""
        changed = False
        for one in self._all():
            if one.choice.way == "url" and one.source and self._via(one.part) == "auto":
                one.choice = Choice("upload", "the service could not fetch it from its URL")
                self._log.warning("%s is uploaded: %s", one.shown, one.choice.reason)
                changed = True
        return changed

    def described(self) -> list[dict[str, Any]]:
        """Return what a person needs to recognise the sources that no file stands for."""
        return [
            {"name": None, "display_name": one.shown.rpartition("/")[2], "uploaded_from": one.shown}
            for one in self._all()
            if not one.is_file
        ]

    def close(self, error: BaseException | None = None) -> None:
        """
        Delete what was uploaded, unless another attempt of the task can use it.

        :param error: what has ended the use; None if it has succeeded.
        """
        by_name = self._by_name()
        uploaded = [file.name for name, file in self._existing.items() if by_name[name].choice.way == "upload"]
        if self._options.keep_files:
            return
        if isinstance(error, GeminiPermanentError) and self._options.owner and self._has_begun:
            # One of several uploads may have failed, and then nothing is known of the others.
            self.delete_owned()
        elif error is not None and self._options.owner and uploaded:
            self._log.info("Kept until a retry, a cleanup or their expiry: %s", ", ".join(uploaded))
        else:
            self._delete(uploaded)

    def delete_owned(self) -> None:
        """Delete what was uploaded for all of them by any attempt of the task, unless it is to be kept."""
        names = [slot for name, one in self._by_name().items() if one.choice.way == "upload" for slot in slots_of(name)]
        if not names or self._options.keep_files:
            return
        try:
            seen = self._files.look_up(names)
        except GeminiFilesError as error:
            # What the task has done is worth more than its tidying up.
            self._log.warning("What was uploaded stays until a cleanup or its expiry: %s", error)
            return
        owner = self._options.owner
        self._delete([name for name in names if isinstance(file := seen[name], GeminiFile) and file.owner == owner])

    def _delete(self, names: Sequence[str]) -> None:
        for deletion in self._files.delete_files(names):
            if deletion.is_gone:
                self._log.info("Deleted %s, which only this task needed", deletion.name)
            else:
                self._log.warning("%s stays until a cleanup or its expiry: %s", deletion.name, deletion.error)

    # Finding and choosing

    def _find(self, part: SourcePart) -> Iterator[_Shown]:
        for url, source in self.each(part):
            yield self._looked_at(part, source, url) if source else self._unseen(part, url)

    def each(self, part: SourcePart) -> Iterator[tuple[str, Source | None]]:
        """Yield each source of a part, as its author wrote it and as it was found; a URL may be left to the service."""
        if isinstance(part.source, Source):
            yield "", part.source
            return
        given = list(part.source) if is_source_list(part.source) else [part.source]
        if not given:
            raise GeminiInputError(f"{part.where}: source is an empty list.")
        for one in given:
            where = location(one) or ""
            if is_url(where) and self._is_left_to_service(part, where):
                yield where, None
            else:
                options = self._options
                found = find_sources(
                    one,
                    part.conn_id or options.conn_id,
                    allow_private_urls=options.allow_private_urls,
                    roots=allowed_local_paths(),
                )
                yield from ((where, source) for source in found.sources)

    def _is_left_to_service(self, part: SourcePart, url: str) -> bool:
        """Return whether only the service looks at a URL: it was told to, or only it can read a video of YouTube."""
        via = self._via(part)
        return via == "url" or (via == "auto" and _is_youtube(url))

    def _unseen(self, part: SourcePart, url: str) -> _Shown:
        mime_type = part.mime_type or _type_of(url)
        if obstacle := obstacle_of("url", Candidate(_scheme(url), None, mime_type)):
            raise self._refused(part, shown_url(url), "url", obstacle)
        return _Shown(part, None, url, mime_type, Choice("url", "as via says"), "")

    def _looked_at(self, part: SourcePart, source: Source, url: str) -> _Shown:
        mime_type = mime_type_of(source.name, part.mime_type, lambda: head_of(source))
        return _Shown(part, source, url, mime_type, Choice("upload", ""), self._name_of(part, source))

    def _name_of(self, part: SourcePart, source: Source) -> str:
        owner = self._options.owner
        if owner is None:
            return new_file_name()
        url, *version = source.fingerprint
        if version and version[-1] and is_url(url):
            # The next attempt can have another signature of the same URL.
            url = source.uri
        return run_file_name(self._service.conn_id, owner, (url, *version, *filter(None, [part.mime_type])))

    def _choose(self, one: _Shown, uses: Counter[tuple[str, ...]], inline_bytes: int) -> int:
        """Choose the way of a source, and return the bytes that it adds to the inline data."""
        if one.source is None:
            self._log.info("Sending the URL of %s", one.shown)
            return 0
        scheme = _scheme(one.url or one.source.uri)
        via = self._via(one.part)
        candidate = Candidate(
            scheme,
            one.source.size,
            one.mime_type,
            uses=uses[one.source.fingerprint],
            in_batch=self._options.in_batch,
            inline_bytes=inline_bytes,
        )
        is_small = via == "auto" and choose(candidate).way == "inline"
        if scheme == "gs" and not is_small and via in ("auto", "register"):
            can_register = self._has_credentials and (via == "register" or self._is_of_google)
            candidate = replace(candidate, can_register=can_register)
        if via == "auto":
            one.choice = choose(candidate)
        elif obstacle := obstacle_of(via, candidate):
            raise self._refused(one.part, one.shown, via, obstacle)
        else:
            one.choice = Choice(via, "as via says")
        self._log.info(
            "Sending %s (%s, %s) via %s: %s",
            shown_text(one.shown), human_bytes(one.source.size), one.mime_type, one.choice.way, one.choice.reason,
        )  # fmt: skip
        return one.source.size * candidate.uses if one.choice.way == "inline" else 0

    @cached_property
    def _has_credentials(self) -> bool:
        return self._registration.has_credentials(self._options.gcp_conn_id)

    @property
    def _is_of_google(self) -> bool:
        """Return whether requests go to Google, or stay on this machine: a gateway gets no token unasked."""
        url = self._service.connection.base_url
        return url == DEFAULT_HOST or urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")

    def _via(self, part: SourcePart) -> Via:
        return part.via or self._options.via

    @staticmethod
    def _refused(part: SourcePart, shown: str, way: Way, obstacle: str) -> GeminiInputError:
        return GeminiInputError(f"{part.where}: {shown_text(shown)} cannot be sent with via={way!r}: {obstacle}.")

    # Sending

    def _sent(self, one: _Shown) -> dict[str, Any]:
        source = one.source
        if one.choice.way == "url" or source is None:
            data = {"fileUri": one.url} | ({"mimeType": one.mime_type} if one.mime_type else {})
            return {"fileData": data}
        if one.choice.way == "inline":
            if one.data is None:
                one.data = read_all(source)
            return {"inlineData": {"data": one.data, "mimeType": one.mime_type}}
        return {"file": SourceFile(one.name, mime_type=one.mime_type, uploaded_from=UploadedFrom(source.uri))}

    def _upload(self, shown: Sequence[_Shown]) -> None:
        if not shown:
            return
        self._has_begun = True
        options = self._options
        uploads = [
            Upload(
                cast("Source", one.source),
                mime_type=one.mime_type,
                name=one.name,
                owner=options.owner,
                min_remaining_ttl=options.min_remaining_ttl,
            )
            for one in shown
        ]
        for one, file in zip(shown, self._uploads.upload_files(uploads, store=options.store), strict=True):
            self._existing[one.name] = file
        now = self._service.clock.now()
        schedule = Schedule(now, now + options.wait_timeout, _POLL_INTERVAL, _MAX_POLL_INTERVAL)
        names = list(dict.fromkeys(self._existing[one.name].name for one in shown))
        active = {file.name: file for file in self._files.finish(FileWait(names, schedule))}
        for one in shown:
            uploaded = self._existing[one.name]
            self._existing[one.name] = replace(active[uploaded.name], uploaded_from=uploaded.uploaded_from)

    def _register(self, shown: Sequence[_Shown]) -> None:
        if not shown:
            return
        options = self._options
        sources = [cast("Source", one.source) for one in shown]
        try:
            files = self._registration.register(sources, GoogleIdentity(options.gcp_conn_id), store=options.store)
        except (GeminiAuthError, GeminiInputError, GeminiServiceError) as error:
            if any(self._via(one.part) != "auto" for one in shown):
                raise
            self._log.warning("%s The objects are uploaded instead.", error)
            for one in shown:
                one.choice = Choice("upload", "it could not be registered")
            self._upload(shown)
            return
        self._existing.update({one.name: file for one, file in zip(shown, files, strict=True)})

    def _all(self) -> Iterator[_Shown]:
        for several in self._found.values():
            yield from several

    def _by_name(self) -> dict[str, _Shown]:
        return {one.name: one for one in self._all() if one.is_file}


def _key(part: SourcePart) -> str:
    """Return what two parts have in common that show the same source in the same way."""
    source = part.source.fingerprint if isinstance(part.source, Source) else part.source
    return repr((source, part.conn_id, part.mime_type, part.via))


def _scheme(where: str) -> str:
    scheme, separator, _ = where.partition("://")
    return scheme.lower() if separator else "file"


def _is_youtube(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _YOUTUBE_HOSTS
    except ValueError:
        return False


def _type_of(url: str) -> str | None:
    try:
        return mime_type_of(urlsplit(url).path)
    except ValueError:
        # A page without a suffix, a video of YouTube: the service detects the type.
        return None
