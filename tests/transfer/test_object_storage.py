from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from transfer_store import ObjectStorage

from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.object_storage import location, object_path, storage_errors


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("/data/a.txt", "/data/a.txt"),
        (Path("/data/a.txt"), "/data/a.txt"),
        (ObjectStoragePath("s3://conn@bucket/a.txt"), "s3://conn@bucket/a.txt"),
        (ObjectStoragePath("s3://bucket/a.txt", conn_id="conn"), "s3://conn@bucket/a.txt"),
        (b"/data/a.txt", None),
        (5, None),
        (None, None),
        (["a"], None),
    ],
)
def test_location_of_every_path_form_is_text(where, text):
    assert location(where) == text


def test_object_path_uses_connection_of_uri_or_argument():
    storage = ObjectStorage()

    assert object_path(storage.uri("a.txt"), None).fs is storage
    assert object_path("memory:///bucket/a.txt", storage.conn_id).fs is storage


def test_scheme_without_file_system_is_refused():
    with pytest.raises(GeminiInputError, match=r"output_path 's3://bucket/a': no file system for s3:// is installed"):
        object_path("s3://user:secret@bucket/a", None, "output_path")


@pytest.mark.parametrize("conn_id", [None, "a_connection"])
def test_broken_file_system_reports_its_own_reason(mocker, conn_id):
    failure = ValueError("unable to connect to account for Must provide either a connection_string or account_name")
    mocker.patch.object(ObjectStoragePath, "fs", new_callable=mocker.PropertyMock, side_effect=failure)

    with pytest.raises(GeminiInputError, match="cannot be set up: ValueError: unable to connect to account") as failed:
        object_path("abfs://container/a.txt", conn_id)

    assert ("'a_connection'" if conn_id else "A connection may be missing") in str(failed.value)
    assert "is installed" not in str(failed.value)


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (FileNotFoundError("The specified bucket does not exist"), GeminiInputError, "does not exist"),
        (PermissionError("Forbidden"), GeminiInputError, "permission denied: Forbidden"),
        (IsADirectoryError("x"), GeminiInputError, "cannot be used"),
        (RuntimeError("Unable to locate credentials"), GeminiInputError, "there are no credentials for it"),
        (ConnectionError("down"), GeminiServiceError, r"its storage failed \(ConnectionError: down\)"),
        (OSError(28, "No space left"), GeminiServiceError, "its storage failed"),
        (KeyError("boto"), GeminiServiceError, "its storage failed"),
    ],
)
def test_every_error_of_a_file_system_becomes_one_of_our_tree(raised, kind, says):
    with pytest.raises(kind, match=says) as failed, storage_errors("s3://user:secret@bucket/a.txt?token=x"):
        raise raised

    assert failed.value.__cause__ is raised
    assert str(failed.value).startswith("Source 's3://bucket/a.txt'")


def test_our_own_errors_pass_unchanged():
    error = GeminiFileGoneError("gone")

    with pytest.raises(GeminiFileGoneError) as failed, storage_errors("s3://bucket/a"):
        raise error

    assert failed.value is error
