"""Where bytes come from: local paths, object storage by URI, the web by URL, and memory; one or many."""

from __future__ import annotations

import glob
import hashlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.limits import MAX_FILE_BYTES, human_bytes
from airflow_provider_gemini_files.files.reference import UploadedFrom

_READ_BLOCK = 8 * 1024**2
_SKIP_BLOCK = 256 * 1024
#: What tells one version of an object from another, in the words of the file systems that have one.
_VERSION_KEYS = ("etag", "ETag", "generation", "md5Hash", "mtime", "last_modified", "LastModified", "created")


class Readable(Protocol):
    """An open source."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class Source:
    """
    Something that can be uploaded: found, readable, not empty and not too large.

    :param uri: absolute path or URI, fit to be shown: without a user, password or query.
    :param name: last part of the path.
    :param size: bytes.
    :param fingerprint: changes when the source does; nothing is read for it.
    :param open: gives the bytes from an offset on.
    :param origin: what a later task needs to find it again, None where nothing helps.
    """

    uri: str
    name: str
    size: int
    fingerprint: tuple[str, ...]
    open: Callable[[int], Readable]
    origin: UploadedFrom | None = None


def find_source(
    source: str | os.PathLike[str], conn_id: str | None = None, *, allow_private_urls: bool = False
) -> Source:
    """
    Find one source, and refuse what cannot be uploaded before a byte is sent.

    :param source: a local path; a URI that Airflow's ObjectStoragePath takes: ``file://``, ``gs://``, ``s3://``...;
        or an ``http(s)://`` URL.
    :param conn_id: connection of the object storage; its provider's default where None.
    :param allow_private_urls: let a URL lead to addresses that are not public.
    :raises GeminiInputError: where there is nothing, no file, nothing in it, too much in it, or no right to read it.
    """
    where = os.fspath(source)
    if is_url(where):
        from airflow_provider_gemini_files.transfer import web

        found = web.find(where, allow_private=allow_private_urls)
        # What is not shown of a URL may be a secret.
        return _checked(replace(found, origin=UploadedFrom(found.uri, complete=found.uri == where.partition("#")[0])))
    found = _find_object(where, conn_id) if "://" in where else _find_local(where)
    return _checked(replace(found, origin=UploadedFrom(found.uri, conn_id)))


def bytes_source(data: bytes, name: str) -> Source:
    """
    Return a source of bytes in memory.

    :param name: a file name; its ending tells the MIME type.
    :raises GeminiInputError: where they are none, or too many.
    """

    def open_at(offset: int) -> Readable:
        stream = io.BytesIO(data)
        stream.seek(offset)
        return stream

    digest = hashlib.sha256(data).hexdigest()
    return _checked(Source(uri=name, name=name, size=len(data), fingerprint=("bytes", name, digest), open=open_at))


def is_url(where: str) -> bool:
    """Tell whether a source is on the web."""
    return where.lower().startswith(("http://", "https://"))


def _checked(found: Source) -> Source:
    if found.size == 0:
        raise GeminiInputError(f"Source {found.uri!r} is empty; the service takes no file of 0 bytes.")
    if found.size > MAX_FILE_BYTES:
        limit = human_bytes(MAX_FILE_BYTES)
        raise GeminiInputError(f"Source {found.uri!r} is {human_bytes(found.size)}; a Gemini file has at most {limit}.")
    return found


def expand(source: Any, conn_id: str | None = None) -> list[str]:
    """
    Return the single sources that a list, a directory or a glob stands for, in a stable order.

    :param source: as :func:`find_source` takes it; or a directory, a glob, or a list of any of these.
    :raises GeminiInputError: where nothing is left.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    found = [one for item in given for one in _expand_one(os.fspath(item), conn_id)]
    if not found:
        raise GeminiInputError(f"No file matches source {source!r}.")
    return found


def is_many_sources(source: Any) -> bool:
    """Tell whether a source stands for several files, and so gives several names back."""
    if not isinstance(source, str | os.PathLike):
        return True
    where = os.fspath(source)
    if is_url(where):
        return False
    if "://" in where:
        return glob.has_magic(where) or where.endswith("/")
    return os.path.isdir(where) or (glob.has_magic(where) and not os.path.exists(where))


def _expand_one(where: str, conn_id: str | None) -> list[str]:
    if not is_many_sources(where):
        return [where]
    if "://" not in where:
        paths = [os.path.join(where, name) for name in os.listdir(where)] if os.path.isdir(where) else glob.glob(where)
        return sorted(path for path in paths if os.path.isfile(path) and not Path(path).name.startswith("."))
    path = object_path(where.rstrip("/"), conn_id)
    if where.endswith("/"):
        objects = path.fs.ls(path.path, detail=True)
    else:
        objects = path.fs.glob(path.path, detail=True).values()
    names = sorted(item["name"] for item in objects if item["type"] == "file")
    return [path.fs.unstrip_protocol(name) for name in names]


def _find_local(where: str) -> Source:
    path = os.path.abspath(os.path.expanduser(where))
    try:
        with open(path, "rb") as stream:
            stat = os.fstat(stream.fileno())
    except OSError as error:
        raise GeminiInputError(f"Source {path!r} cannot be read on this worker: {error.strerror or error}.") from error
    return Source(
        uri=path,
        name=os.path.basename(path),
        size=stat.st_size,
        fingerprint=(path, str(stat.st_size), str(stat.st_mtime_ns)),
        open=lambda offset: _at(open(path, "rb", buffering=0), offset),
    )


def _find_object(where: str, conn_id: str | None) -> Source:
    path = object_path(where, conn_id)
    try:
        info: Mapping[str, Any] = path.fs.info(path.path)
    except FileNotFoundError as error:
        raise GeminiInputError(f"Source {where!r} does not exist.") from error
    if info.get("type") == "directory":
        raise GeminiInputError(f"Source {where!r} is a directory; end it with a slash to upload what is in it.")
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
    return Source(
        uri=where,
        name=path.name,
        size=int(info["size"]),
        fingerprint=(where, str(info["size"]), version),
        # Not path.open(): what it returns cannot be told from a path by others, and does not always seek.
        open=lambda offset: _at(path.fs.open(path.path, "rb", block_size=_READ_BLOCK), offset),
    )


def _at(stream: Any, offset: int) -> Readable:
    """Move a stream to an offset; one that cannot seek is read up to there."""
    if offset and stream.seekable():
        stream.seek(offset)
    elif offset:
        skip(stream, offset)
    return cast("Readable", stream)


def skip(stream: Readable, count: int) -> None:
    """Read so many bytes, and forget them; less where there are less."""
    while count > 0 and (data := stream.read(min(count, _SKIP_BLOCK))):
        count -= len(data)


def object_path(where: str, conn_id: str | None, what: str = "Source") -> Any:
    """
    Return Airflow's ObjectStoragePath of a URI, or of a local path.

    :param what: what it is, for the error.
    :raises GeminiInputError: where no file system for its scheme is installed.
    """
    from airflow.sdk import ObjectStoragePath

    path = ObjectStoragePath(where, conn_id=conn_id)
    try:
        path.fs  # noqa: B018 - finds the file system, or says that there is none
    except ValueError as error:
        scheme = where.partition("://")[0]
        raise GeminiInputError(
            f"{what} {where!r}: no file system for {scheme}:// is installed; install the provider that has it "
            "(google, amazon, microsoft-azure) with its file system extra."
        ) from error
    return path
