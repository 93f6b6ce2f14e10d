"""Object storage through Airflow's ObjectStoragePath, with errors of this package's tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text, shown_url
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError, GeminiServiceError


def location(where: Any) -> str | None:
    """
    Return a path or URI as text: of a text, a path object, or an ObjectStoragePath, with its connection in the URI.

    :return: None for anything else.
    """
    if isinstance(where, os.PathLike):
        where = where.__fspath__()
    if isinstance(where, str):
        return where
    # Not isinstance: importing ObjectStoragePath takes a while, and whoever has one has imported it.
    return str(where) if hasattr(where, "protocol") and hasattr(where, "storage_options") else None


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


@contextmanager
def storage_errors(uri: str, what: str = "Source") -> Iterator[None]:
    """
    Raise the error of our tree that an error of a file system means; each file system has its own.

    :param uri: what is read or written, for the message.
    :param what: which argument it is.
    """
    where = f"{what} {shown_url(uri)!r}"
    try:
        yield
    except GeminiFilesError:
        raise
    except FileNotFoundError as error:
        raise GeminiInputError(f"{where} does not exist.") from error
    except PermissionError as error:
        raise GeminiInputError(f"{where}: permission denied: {shown_text(error)}.") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError, UnicodeError) as error:
        raise GeminiInputError(f"{where} cannot be used: {shown_text(error)}.") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {shown_text(error)}"
        if "credential" in reason.lower():
            raise GeminiInputError(f"{where}: there are no credentials for it ({reason}).") from error
        raise GeminiServiceError(f"{where}: its storage failed ({reason}). A retry can succeed.") from error
