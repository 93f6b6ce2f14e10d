from __future__ import annotations

import errno
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from transfer_store import ObjectStorage

from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.object_storage import location, missing_bucket, object_path, storage_errors


class HttpError(Exception):
    """An error with a status, as those of Azure's and Google's packages."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


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
    with pytest.raises(GeminiInputError, match=r"output_path 'hdfs://bucket/a': no file system for hdfs:// is inst"):
        object_path("hdfs://user:secret@bucket/a", None, "output_path")


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
        (OSError(errno.ENAMETOOLONG, "File name too long"), GeminiInputError, "cannot be used: .*too long"),
        (OSError(errno.EROFS, "Read-only file system"), GeminiInputError, "cannot be used: .*Read-only"),
        (OSError(errno.EIO, "Input/output error"), GeminiServiceError, "A retry can succeed"),
        (HttpError(403, "not yours"), GeminiInputError, "permission denied: not yours"),
        (HttpError(401, "anonymous"), GeminiInputError, "permission denied: anonymous"),
        (HttpError(404, "no such container"), GeminiInputError, "does not exist"),
        (HttpError(503, "busy"), GeminiServiceError, "its storage failed"),
        (OSError("Forbidden: b/bucket\nno access to it"), GeminiInputError, "permission denied: .*no access to it"),
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


@pytest.mark.parametrize(
    ("status", "kind"), [(403, GeminiInputError), (404, GeminiInputError), (500, GeminiServiceError)]
)
def test_the_status_may_be_that_of_the_cause(status, kind):
    with pytest.raises(kind), storage_errors("abfs://container/a"):
        raise RuntimeError("Failed to upload block") from HttpError(status, "no")


def test_an_error_names_the_connection_and_no_page_of_xml():
    with pytest.raises(GeminiServiceError) as failed, storage_errors("abfs://container/a", "output_path", "stores"):
        raise ValueError("<xml>" * 1000)

    assert str(failed.value).startswith("output_path 'abfs://container/a' (connection 'stores'): its storage failed")
    assert len(str(failed.value)) < 500


def test_a_bucket_is_missing_only_if_the_storage_says_so():
    storage = ObjectStorage()
    storage.put(**{"a.txt": b"a"})
    there, missing = (object_path(f"memory:///{name}/x", storage.conn_id) for name in ("bucket", "nothing"))

    assert (missing_bucket(there), missing_bucket(missing)) == (None, "nothing")
    storage.failure = PermissionError("not yours")
    assert missing_bucket(missing) is None
    storage.failure = ConnectionError("down")
    with pytest.raises(ConnectionError):
        missing_bucket(missing)


def test_our_own_errors_pass_unchanged():
    error = GeminiFileGoneError("gone")

    with pytest.raises(GeminiFileGoneError) as failed, storage_errors("s3://bucket/a"):
        raise error

    assert failed.value is error
