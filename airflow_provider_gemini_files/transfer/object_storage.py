"""Object storage through Airflow's ObjectStoragePath, with errors of this package's tree."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError, GeminiServiceError

_CONN_ID = re.compile(r"[\w.-]+")
_NOT_FOUND = 404
_REFUSED = (401, 403)
#: Of local paths, without an exception of their own: links in a circle, too long, a disk that is read-only.
_PERMANENT = (errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS)
#: Characters of an error that are shown: some have whole pages of XML.
_MAX_CHARACTERS = 300


def location(where: Any) -> str | None:
    """
    Return a path or URI as text: of a text, a path object, or an ObjectStoragePath, with its connection in the URI.

    :return: None for anything else.
    """
    # Not isinstance: importing ObjectStoragePath takes a while, and whoever has one has imported it. Before all other
    # paths, as in Airflow 3.1 it is one of them.
    if hasattr(where, "protocol") and hasattr(where, "storage_options"):
        return str(where)
    if isinstance(where, os.PathLike):
        where = where.__fspath__()
    return where if isinstance(where, str) else None


def object_path(uri: str, conn_id: str | None, what: str = "Source") -> Any:
    """
    Return Airflow's ObjectStoragePath of a URI, with its file system at hand.

    :param conn_id: connection of the object storage; that of the URI (``s3://connection@bucket/key``), then its
        provider's default, if None.
    :param what: which argument the URI is, for the error.
    :raises GeminiInputError: if no file system for its scheme is installed, or it cannot be set up.
    """
    from airflow.sdk import ObjectStoragePath

    shown = shown_url(uri)
    try:
        # Airflow 3.1 takes None for a connection, and then ignores that of the URI.
        path = ObjectStoragePath(uri, conn_id=conn_id) if conn_id else ObjectStoragePath(uri)
        path.fs  # noqa: B018 - finds the file system, or raises
    except Exception as error:
        scheme = uri.partition("://")[0]
        if "No filesystem" in str(error) or isinstance(error, ImportError):
            raise GeminiInputError(
                f"{what} {shown!r}: no file system for {scheme}:// is installed; install the Airflow provider that "
                f"has it: the extra gcs, s3 or azure of this package ({type(error).__name__}: {shown_text(error)})."
            ) from error
        hint = f"Check the connection {conn_id!r}" if conn_id else "A connection may be missing"
        raise GeminiInputError(
            f"{what} {shown!r}: the file system of {scheme}:// cannot be set up: {type(error).__name__}: "
            f"{shown_text(error)}. {hint}."
        ) from error
    return path


def connection_of(path: Any) -> str | None:
    """Return the connection of an ObjectStoragePath; None if it uses its provider's default."""
    conn_id = path.storage_options.get("conn_id") or getattr(path, "conn_id", None)
    return conn_id if isinstance(conn_id, str) else None


def missing_bucket(path: Any) -> str | None:
    """
    Return the bucket or container of an ObjectStoragePath if it does not exist; None if it does, or may not be seen.

    Not ``fs.exists``: some file systems take every failure, such as a broken network, for a bucket that is missing.
    """
    bucket: str = path.path.lstrip("/").partition("/")[0]
    try:
        path.fs.info(bucket)
    except FileNotFoundError:
        return bucket
    except Exception as error:
        if not _is_refusal(error):
            raise
    return None


@contextmanager
def storage_errors(uri: str, what: str = "Source", conn_id: str | None = None) -> Iterator[None]:
    """
    Raise the error of our tree that an error of a file system means; each file system has its own.

    :param uri: what is read or written, for the message.
    :param what: which argument it is.
    :param conn_id: connection that leads to it, for the message; its provider's default if None.
    """
    try:
        yield
    except GeminiFilesError:
        raise
    except Exception as error:
        raise _error_of(error, shown_place(uri, what, conn_id)) from error


def shown_place(uri: str, what: str, conn_id: str | None) -> str:
    """Return what is read or written, as all errors name it; the arguments are those of :func:`storage_errors`."""
    # What stands before an @ need not be one: it can be a user with a password.
    is_shown = conn_id and _CONN_ID.fullmatch(conn_id)
    return f"{what} {shown_url(uri)!r}{f' (connection {conn_id!r})' if is_shown else ''}"


def _error_of(error: Exception, place: str) -> GeminiFilesError:
    told = shown_text(error, limit=_MAX_CHARACTERS).rstrip(".")
    if isinstance(error, FileNotFoundError) or _status_of(error) == _NOT_FOUND:
        return GeminiInputError(f"{place} does not exist.")
    if _is_refusal(error):
        return GeminiInputError(f"{place}: permission denied: {told}.")
    is_permanent = isinstance(error, OSError) and error.errno in _PERMANENT
    if is_permanent or isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError | UnicodeError):
        return GeminiInputError(f"{place} cannot be used: {told}.")
    reason = f"{type(error).__name__}: {told}"
    if "credential" in reason.lower():
        return GeminiInputError(f"{place}: there are no credentials for it ({reason}).")
    return GeminiServiceError(f"{place}: its storage failed ({reason}). A retry can succeed.")


def _is_refusal(error: Exception) -> bool:
    """Return whether a storage refuses an account, which a retry does not help."""
    return isinstance(error, PermissionError) or _status_of(error) in _REFUSED


def _status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of a file system's error, or of the one that it was made of; None if there is none."""
    while error is not None:
        # adlfs and gcsfs; s3fs makes errors of Python's own classes.
        for name in ("status_code", "code"):
            if isinstance(status := getattr(error, name, None), int):
                return status
        if isinstance(error, OSError) and str(error).startswith("Forbidden: "):
            # gcsfs again, of 403 only.
            return 403
        error = error.__cause__
    return None
