"""Finding sources: local paths, object storage by URI, the web by URL; one or many, by one rule for all."""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from airflow_provider_gemini_files.common.names import hint_of_text
from airflow_provider_gemini_files.common.redaction import escaped, shown_text, shown_url
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.files.reference import UploadedFrom
from airflow_provider_gemini_files.transfer.object_storage import (
    connection_of,
    location,
    missing_bucket,
    object_path,
    shown_place,
    storage_errors,
)
from airflow_provider_gemini_files.transfer.source import Readable, Source, checked_size, skip

log = logging.getLogger(__name__)

_READ_BLOCK = 8 * 1024**2
#: The keys by which file systems tell one version of an object from another.
_VERSION_KEYS = ("etag", "ETag", "generation", "md5Hash", "mtime", "last_modified", "LastModified", "created")
_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*)(?=://)")
_LOCAL_SCHEMES = ("file://", "local://")

Refused = dict[str, GeminiFilesError]


@dataclass(frozen=True)
class Found:
    """
    What a source argument stands for.

    :param sources: in a stable order.
    :param many: whether several files were asked for, so that several names are returned, even if it is only one now.
    :param empty: the directories and globs that have no files, as the URIs of their files would be.
    """

    sources: list[Source]
    many: bool
    empty: tuple[str, ...] = ()


def find_sources(
    source: Any,
    conn_id: str | None = None,
    *,
    allow_private_urls: bool = False,
    roots: Sequence[str] = (),
    allow_none: bool = False,
    refused: Refused | None = None,
) -> Found:
    """
    Find what a source argument stands for, and refuse what cannot be uploaded before a byte is sent.

    What exists is taken as it is: a file or object is one source, a directory is the files in it. What does not exist
    is a glob if it has ``*``, ``?`` or ``[``, else an error. Hidden and empty files of a directory or a glob are left
    out.

    :param source: a local path; an ObjectStoragePath or its URI: ``file://``, ``gs://``, ``s3://connection@bucket``...;
        an ``http(s)://`` URL; or a list of these.
    :param conn_id: connection of the object storage; that of the URI, then its provider's default, if None.
    :param allow_private_urls: let a URL lead to addresses that are not public.
    :param roots: directories outside of which no local file is read; any if empty.
    :param allow_none: return no source, instead of an error, for directories and globs that have no files.
    :param refused: takes the files that cannot be read or uploaded, such as too large ones: the error of each, by its
        URI. Such a file is an error of the whole if None.
    :raises GeminiInputError: if there is nothing, or something that cannot be read or uploaded.
    :raises GeminiServiceError: if a storage or a web server fails.
    """
    is_list = is_source_list(source)
    given = [_location(item) for item in (source if is_list else [source])]
    found = [_find(item, conn_id, allow_private_urls, roots, refused) for item in given]
    sources = [one for each in found for one in each.sources]
    if not sources and not allow_none and not refused:
        shown = [shown_url(item) for item in given]
        hint = "" if is_list else hint_of_text(given[0])
        raise GeminiInputError(f"No file matches source {shown if is_list else shown[0]!r}.{hint}")
    empty = tuple(place for each in found for place in each.empty)
    return Found(sources, is_list or found[0].many, empty)


def find_source(
    source: Any,
    conn_id: str | None = None,
    *,
    allow_private_urls: bool = False,
    roots: Sequence[str] = (),
) -> Source:
    """
    Find one source; the arguments are those of :func:`find_sources`.

    :raises GeminiInputError: also for a directory or a glob.
    """
    found = find_sources(source, conn_id, allow_private_urls=allow_private_urls, roots=roots)
    if found.many:
        shown = shown_url(location(source) or repr(source))
        raise GeminiInputError(f"Source {shown!r} is a directory, a glob or a list, not one file.")
    return found.sources[0]


def is_source_list(source: Any) -> bool:
    """Return whether a source argument is a list of sources, so that a list of names is returned."""
    return isinstance(source, Iterable) and location(source) is None and not isinstance(source, bytes | Mapping)


def _location(source: Any) -> str:
    where = location(source)
    if where is None:
        raise GeminiInputError(
            f"source must be a path, a URI, a URL or a list of these; got {shown_text(repr(source))}."
        )
    if not _without_local_scheme(where).strip():
        # The empty path would be the directory that the worker happens to run in.
        raise GeminiInputError(f"source is empty: expected a path, a URI or a URL; got {where!r}.")
    if scheme := _SCHEME.match(where):
        # A template of several lines leaves white space around it.
        where = scheme[1].lower() + where[scheme.end(1) :]
        return where.rstrip() if is_url(where) else where
    return where


def _without_local_scheme(where: str) -> str:
    """Return a source without ``file://``, repeated or not and in any case, so that it is found as a local path."""
    while where.lower().startswith(_LOCAL_SCHEMES):
        where = where.partition("://")[2]
    return where


def is_url(where: str) -> bool:
    """Return whether a source is on the web."""
    return where.lower().startswith(("http://", "https://"))


def _find(
    where: str, conn_id: str | None, allow_private_urls: bool, roots: Sequence[str], refused: Refused | None
) -> Found:
    if is_url(where):
        return Found([_find_url(where, allow_private_urls)], many=False)
    where = _without_local_scheme(where)
    if "://" in where:
        return _find_objects(where, conn_id, refused)
    with storage_errors(where):
        return _find_local(where, roots, refused)


def _all_usable(items: Iterable[tuple[str, Callable[[], Source]]], refused: Refused | None) -> list[Source]:
    """
    Return the sources of several files.

    :param items: the URI of each, and what makes a source of it.
    """
    sources = []
    for uri, make in items:
        try:
            with storage_errors(uri):
                sources.append(make())
        except GeminiFilesError as error:
            if refused is None:
                raise
            refused[uri] = error
    return sources


def _find_url(url: str, allow_private: bool) -> Source:
    from airflow_provider_gemini_files.transfer import web

    found = web.find(url, allow_private=allow_private)
    # The parts of a URL that are not shown may be secret, and are not kept.
    return checked_size(replace(found, origin=UploadedFrom(found.uri, complete=found.uri == url.partition("#")[0])))


def _find_local(where: str, roots: Sequence[str], refused: Refused | None) -> Found:
    path = os.path.abspath(os.path.expanduser(where))
    if os.path.isdir(path):
        candidates, top = [os.path.join(path, name) for name in os.listdir(path)], path
    elif os.path.lexists(path) and not where.endswith("/"):
        return Found(_all_usable([(escaped(path), partial(_local_file, path, roots))], refused), many=False)
    elif glob.has_magic(where) and not where.endswith("/"):
        top = _existing_part(path)
        candidates = list(_matches(top, os.path.relpath(path, top).split("/")))
    else:
        _check_allowed(path, roots)
        raise GeminiInputError(f"Source {escaped(path)!r} does not exist on this worker.")
    # Before the log names what is skipped. A pattern from further up may match allowed files, if it matches no others.
    if not candidates or not all(_is_allowed(candidate, roots) for candidate in candidates):
        _check_allowed(top, roots, shown=path)
    kept = [candidate for candidate in sorted(set(candidates)) if _is_wanted(candidate, top)]
    sources = _all_usable([(escaped(one), partial(_local_file, one, roots)) for one in kept], refused)
    return Found(sources, many=True, empty=() if kept else (escaped(path),))


def _existing_part(path: str) -> str:
    """Return the directory that a glob starts from; its name may look like a glob itself."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _matches(top: str, parts: Sequence[str]) -> Iterator[str]:
    """
    Yield what a glob below a directory matches.

    As in object storage, ``**`` is any number of directories. Hidden ones are left out, as are links, which may lead in
    circles.

    :param parts: of the glob, between its slashes.
    """
    if "**" not in parts:
        yield from glob.glob(os.path.join(glob.escape(top), *parts))
        return
    at = parts.index("**")
    for start in _matches(top, parts[:at]) if at else [top]:
        for folder, names, _ in os.walk(start):
            names[:] = [name for name in names if not name.startswith(".")]
            yield from _matches(folder, parts[at + 1 :] or ["*"])


def _is_wanted(path: str, top: str) -> bool:
    """Return whether a file of a directory or a glob is uploaded; log why it is not if that may surprise."""
    if not os.path.isfile(path):
        return False
    if os.path.basename(path).startswith("."):
        log.info("Skipped %s: it is hidden", shown_text(escaped(path)))
        return False
    if not _is_below(path, top):
        log.warning(
            "Skipped %s: it is a link that leads out of %s", shown_text(escaped(path)), shown_text(escaped(top))
        )
        return False
    if _size(path) == 0:
        log.info("Skipped %s: it is empty", shown_text(escaped(path)))
        return False
    return True


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        # It was deleted meanwhile: it is looked at once more.
        return None


def _is_below(path: str, top: str) -> bool:
    real, real_top = os.path.realpath(path), os.path.realpath(top)
    return os.path.commonpath([real, real_top]) == real_top


def _is_allowed(path: str, roots: Sequence[str]) -> bool:
    return not roots or any(_is_below(path, root) for root in roots)


def _check_allowed(path: str, roots: Sequence[str], shown: str = "") -> None:
    if not _is_allowed(path, roots):
        raise GeminiInputError(
            f"Source {escaped(shown or path)!r} is outside of the directories that [gemini_files] allowed_local_paths "
            "allows."
        )


def _local_file(path: str, roots: Sequence[str]) -> Source:
    _check_allowed(path, roots)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise GeminiInputError(
            f"Source {escaped(path)!r} is not a regular file: a pipe, socket or device cannot be read."
        )
    with open(path, "rb"):
        # The right to read it is known before anything is sent.
        pass
    shown = escaped(path)

    def fingerprint() -> tuple[str, ...]:
        now = os.stat(path)
        return (shown, str(now.st_size), str(now.st_mtime_ns))

    return checked_size(
        Source(
            uri=shown,
            name=os.path.basename(shown),
            size=status.st_size,
            fingerprint=(shown, str(status.st_size), str(status.st_mtime_ns)),
            open=partial(_open_local, path, roots),
            # A name that was escaped cannot be found again.
            origin=UploadedFrom(shown, complete=shown == path),
            current=fingerprint,
        )
    )


def _open_local(path: str, roots: Sequence[str], offset: int) -> Readable:
    # A link or a pipe may have taken the file's place since it was found. A pipe that nobody writes to would block.
    _check_allowed(path, roots)
    return _at(open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)), offset)


def _find_objects(where: str, conn_id: str | None, refused: Refused | None) -> Found:
    path = object_path(where, conn_id)
    conn_id = conn_id or connection_of(path)
    fs, key = path.fs, path.path
    if isinstance(fs.protocol, str | tuple) and "file" in fs.protocol:
        # Whatever its scheme is called: local files are found by the rules for local files only.
        raise GeminiInputError(f"Source {shown_url(where)!r} is on the local disk: pass its path.{hint_of_text(where)}")
    with storage_errors(where, conn_id=conn_id):
        # What another process has changed since this one looked last has to be seen.
        fs.invalidate_cache()
        info = None if where.endswith("/") else _info(fs, key)
        if info is not None and info.get("type") != "directory":
            uri = _uri(fs, where, key)
            return Found(_all_usable([(escaped(uri), partial(_object, fs, info, uri, conn_id))], refused), many=False)
        listed = _list_objects(path, where, conn_id, is_glob=info is None and not where.endswith("/"))
        # The list of an object, instead of a folder, is the object itself.
        files = (item for item in listed if item.get("type") == "file" and item["name"] != key.rstrip("/"))
        items = sorted(files, key=lambda item: item["name"])
        kept = [item for item in items if _is_wanted_object(item, key)]
        uris = [(item, _uri(fs, where, item["name"])) for item in kept]
        makers = [(escaped(uri), partial(_object, fs, item, uri, conn_id)) for item, uri in uris]
        return Found(_all_usable(makers, refused), many=True, empty=() if kept else (escaped(_uri(fs, where, key)),))


def _list_objects(path: Any, where: str, conn_id: str | None, *, is_glob: bool) -> list[Mapping[str, Any]]:
    """Return what the storage knows of the objects of a folder or a glob."""
    try:
        if not is_glob:
            listed = list(path.fs.ls(path.path.rstrip("/"), detail=True))
        elif glob.has_magic(path.path):
            listed = list(path.fs.glob(path.path, detail=True).values())
        else:
            raise FileNotFoundError
    except FileNotFoundError:
        _check_bucket(path, where, conn_id)
        raise
    if not listed:
        # For some file systems, a glob in a bucket that does not exist matches nothing.
        _check_bucket(path, where, conn_id)
    return listed


def _check_bucket(path: Any, where: str, conn_id: str | None) -> None:
    if bucket := missing_bucket(path):
        raise GeminiInputError(f"{shown_place(where, 'Source', conn_id)}: there is no {bucket!r} in this storage.")


def _info(fs: Any, key: str) -> Mapping[str, Any] | None:
    """Return what the storage knows of an object or directory; None if there is none."""
    try:
        return cast("Mapping[str, Any]", fs.info(key))
    except FileNotFoundError:
        return None


def _is_wanted_object(item: Mapping[str, Any], pattern: str) -> bool:
    name = item["name"].rstrip("/").rpartition("/")[2]
    if name.startswith(".") or _is_in_hidden_folder(item["name"], pattern):
        log.info("Skipped %s: it is hidden", shown_text(item["name"]))
        return False
    if item["name"].endswith("/") or not item.get("size"):
        # The marker of a folder, or of a finished job such as _SUCCESS.
        log.info("Skipped %s: it is empty", shown_text(item["name"]))
        return False
    return True


def _is_in_hidden_folder(key: str, pattern: str) -> bool:
    """Return whether a glob has found an object in a hidden folder that it does not name; a local one does not."""
    parts = pattern.split("/")
    at = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    named = any(part.startswith(".") for part in parts[at:])
    return not named and any(part.startswith(".") for part in key.split("/")[at:-1])


def _uri(fs: Any, where: str, key: str) -> str:
    """Return an object's URI in the scheme that the author has used, without the connection."""
    # Not shown_url: a key may have a # or a ?.
    return f"{where.partition('://')[0]}://{fs.unstrip_protocol(key).partition('://')[2]}"


def _object(fs: Any, info: Mapping[str, Any], uri: str, conn_id: str | None) -> Source:
    key = info["name"]

    def fingerprint() -> tuple[str, ...]:
        fs.invalidate_cache()
        return _fingerprint(uri, fs.info(key))

    return checked_size(
        Source(
            uri=escaped(uri),
            name=escaped(uri.rstrip("/").rpartition("/")[2]),
            size=int(info["size"]),
            fingerprint=_fingerprint(uri, info),
            # Not path.open(): other packages take what it returns for a path, and it does not always seek.
            open=lambda offset: _at(fs.open(key, "rb", block_size=_READ_BLOCK), offset),
            origin=UploadedFrom(uri, conn_id),
            current=fingerprint,
        )
    )


def _fingerprint(uri: str, info: Mapping[str, Any]) -> tuple[str, ...]:
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
    # Some storages quote an ETag if they are asked for one object, but not in a list.
    return (uri, str(info["size"]), version.strip('"'))


def _at(stream: Any, offset: int) -> Readable:
    """Move a stream to an offset; one that cannot seek is read up to there."""
    if offset and stream.seekable():
        stream.seek(offset)
    elif offset:
        skip(stream, offset)
    return cast("Readable", stream)
