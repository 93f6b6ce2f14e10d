"""The arguments of a batch operator, read into its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_gemini_files.batches.requests import (
    BatchRequests,
    Item,
    Words,
    from_files,
    from_lines,
    from_list,
)
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.content.contents import flattened
from airflow_provider_gemini_files.content.source_parts import SOURCE, SourcePart, is_source
from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiInputError
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.files.reference import GeminiFile, parse_name
from airflow_provider_gemini_files.hooks.shown_sources import ShownSources
from airflow_provider_gemini_files.hooks.uploads import allowed_local_paths
from airflow_provider_gemini_files.transfer.lines import lines_of
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_source


@dataclass(frozen=True)
class BatchWords:
    """
    The arguments that say what is asked, with their templates rendered.

    :param words: what holds for each request that does not say it itself.
    :param look_up: asks the service for files by name.
    :param uploaded: finds what an upload task of this run has recorded about a file.
    :param sources: shows the sources of the requests; None: the Dag shows none.
    """

    words: Words
    requests: Any
    source: Any
    source_conn_id: str | None
    look_up: Callable[[Sequence[str]], Mapping[str, Any]]
    uploaded: Callable[[str], GeminiFile | None]
    sources: ShownSources | None = None

    def read(self) -> BatchRequests:
        """
        Return the requests; at most the names of files are looked up, and sources are found.

        :raises GeminiInputError: for arguments that say nothing, or two things at once.
        """
        by_file = self.requests is None and self.source is None
        words = replace(self.words, files=None) if by_file else self.words
        requests = BatchRequests(self._reader(), words, is_volatile=self.source is not None)
        if self.sources is None:
            return requests
        if self.source is not None:
            raise GeminiInputError(
                "files and contents cannot contain sources if the requests are read from a file (source): upload them "
                "with GeminiUploadFileOperator, or pass the requests as a list."
            )
        # All are found before anything is sent, and how often each is shown decides its way.
        shown: list[SourcePart] = []

        def note(part: SourcePart) -> list[dict[str, Any]]:
            shown.append(part)
            # Stands for the source in this reading, of which nothing is kept.
            return [{"text": part.where}]

        for _ in replace(requests, resolve=note):
            pass
        self.sources.plan(shown)
        return replace(requests, resolve=self.sources.parts_of)

    def _reader(self) -> Callable[[], Iterable[Item]]:
        if self.requests is not None and self.source is not None:
            raise GeminiInputError("requests and source both define the requests: omit one of them.")
        if self.requests is not None:
            if isinstance(self.requests, str | Mapping | Set) or not isinstance(self.requests, Iterable):
                shown = shown_text(repr(self.requests), limit=200)
                raise GeminiInputError(f"requests must be a list of prompts or dicts; got {shown}.")
            return from_list(list(self.requests))
        if self.source is not None:
            source = find_source(self.source, self.source_conn_id, roots=allowed_local_paths())
            return from_lines(lambda: lines_of(source), source.uri)
        if self.words.files is None:
            raise GeminiInputError("A batch needs files (one request for each), requests, or source.")
        # Also of nested lists: mapped uploads of several files each return one.
        files = [one for file in flattened(self.words.files) for one in self._single(file)]
        return from_files(files, self._label_reader(files))

    def _single(self, file: Any) -> Iterator[Any]:
        """Yield a file as it is, and each source of a part that may have several."""
        if self.sources is None or not is_source(file):
            yield file
            return
        for url, source in self.sources.each(SourcePart.read(file, "files", {})):
            yield {**file, SOURCE: source or url}

    def _label_reader(self, files: Sequence[Any]) -> Callable[[Any], str | None]:
        """Return a reader of the name of a file's source: by what is given, by XCom, or by the service."""
        given = {name: file for file in files if (name := _name_of(file))}
        told = {name: _label(file) or _label(self.uploaded(name)) for name, file in given.items()}
        unknown = [name for name, label in told.items() if label is None]
        if unknown:
            seen = self.look_up(unknown)
            for name, file in seen.items():
                if isinstance(file, GeminiFile):
                    told[name] = _label(file)
                elif not isinstance(file, GeminiFileGoneError):
                    raise file
        return lambda file: file[SOURCE].name if _was_found(file) else told.get(_name_of(file) or "")


def _was_found(file: Any) -> bool:
    return is_source(file) and isinstance(file[SOURCE], Source)


def _name_of(file: Any) -> str | None:
    """Return the name of a file; None for a part that is none, such as a URL."""
    try:
        return parse_name(_inner(file))
    except GeminiInputError:
        return None


def _label(file: Any) -> str | None:
    """Return the name of a file's source, as far as its metadata says it."""
    file = _inner(file)
    uri = _of(_of(file, "uploaded_from"), "uri")
    label = str(uri).rstrip("/").rpartition("/")[2] if uri else label_of(_of(file, "display_name"))
    return label or None


def _inner(file: Any) -> Any:
    """Return the file of a part: ``{"file": ..., "video": ...}``."""
    return file.get("file", file) if isinstance(file, Mapping) and "name" not in file else file


def _of(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)
