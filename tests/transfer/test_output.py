from __future__ import annotations

import os

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFile
from transfer_store import ObjectStorage

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.output import Output


def test_local_path_is_written_and_returned_as_uri(tmp_path):
    path = tmp_path / "new" / "answer.txt"
    output = Output(path)

    assert not path.parent.exists()
    output.write("Grüße\n")

    assert output.uri == f"file://{path}"
    assert path.read_bytes() == "Grüße\n".encode()
    assert os.listdir(path.parent) == ["answer.txt"]


def test_failed_write_keeps_the_former_content(tmp_path, mocker):
    path = tmp_path / "answer.txt"
    path.write_text("before")
    mocker.patch("airflow_provider_gemini_files.transfer.output.os.replace", autospec=True, side_effect=OSError("full"))

    with pytest.raises(GeminiServiceError, match=r"its storage failed .OSError: full"):
        Output(f"file://{path}").write("after")

    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["answer.txt"]


def test_object_is_written_in_one_request(mocker):
    store = mocker.create_autospec(AbstractFileSystem, instance=True)
    path = mocker.create_autospec(ObjectStoragePath, instance=True, fs=store, path="bucket/a.txt", protocol="gs")
    mocker.patch("airflow_provider_gemini_files.transfer.output.object_path", autospec=True, return_value=path)

    Output("gs://bucket/a.txt", "a_connection").write("text")

    store.pipe_file.assert_called_once_with("bucket/a.txt", b"text")
    store.mv.assert_not_called()


@pytest.mark.parametrize("where", ["/a/directory/", "gs://bucket/", " ", 5])
def test_path_that_is_not_a_file_is_refused(where):
    with pytest.raises(GeminiInputError, match="output_path must be the path or URI of a file"):
        Output(where)


def test_scheme_without_a_file_system_is_refused():
    with pytest.raises(GeminiInputError, match="output_path 'hdfs://bucket/x': no file system for hdfs://"):
        Output("hdfs://bucket/x")


def test_unwritable_folder_is_refused_before_anything_is_asked(tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(GeminiInputError, match="is not a writable folder"):
        Output(tmp_path / "file" / "answer.txt").check()
    Output(tmp_path / "new" / "folder" / "answer.txt").check()
    assert os.listdir(tmp_path) == ["file"]


def test_missing_bucket_is_refused_before_anything_is_asked():
    storage = ObjectStorage()
    storage.put(**{"a.txt": b"a"})

    Output(storage.uri("in/a.txt")).check()
    with pytest.raises(GeminiInputError, match=r"\(connection 'storage_.*'\): there is no 'nothing' in this storage"):
        Output("memory:///nothing/in/a.txt", storage.conn_id).check()


def test_storage_that_is_down_is_no_missing_bucket():
    storage = ObjectStorage()
    storage.failure = ConnectionError("down")

    with pytest.raises(GeminiServiceError, match="its storage failed"):
        Output(storage.uri("a.txt")).check()


def test_missing_right_to_write_is_permanent(mocker):
    store = mocker.create_autospec(AbstractFileSystem, instance=True)
    store.pipe_file.side_effect = PermissionError("denied")
    path = mocker.create_autospec(ObjectStoragePath, instance=True, fs=store, path="bucket/a.txt", protocol="s3")
    mocker.patch("airflow_provider_gemini_files.transfer.output.object_path", autospec=True, return_value=path)

    with pytest.raises(GeminiInputError, match="permission denied: denied"):
        Output("s3://bucket/a.txt").write("text")


def test_object_storage_path_is_written_with_its_connection():
    storage = ObjectStorage()
    output = Output(ObjectStoragePath(storage.uri("answers/a.txt")))

    output.write("text")

    assert output.uri == storage.uri("answers/a.txt")
    assert storage.cat_file("/bucket/answers/a.txt") == b"text"
    output.beside("-1.png").write(b"a picture")
    assert storage.cat_file("/bucket/answers/a-1.png") == b"a picture"


def test_object_storage_path_of_the_local_disk_is_a_local_path(tmp_path):
    output = Output(ObjectStoragePath(f"file://{tmp_path}/a.txt"))

    output.check()
    output.write("text")

    assert (tmp_path / "a.txt").read_text() == "text"


@pytest.mark.parametrize("name", ["x" * 256, "ü" * 128, "a\0b"])
def test_name_that_no_file_can_have_is_refused_before_anything_is_asked(tmp_path, name):
    with pytest.raises(GeminiInputError, match="is not a valid file name"):
        Output(f"{tmp_path}/{name}").check()


def test_directory_and_device_are_refused_before_anything_is_asked(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(GeminiInputError, match="is a directory or a device, not a file"):
            Output(path).check()


def test_longest_name_of_a_file_can_be_written(tmp_path):
    output = Output(tmp_path / ("x" * 251 + ".txt"))

    output.check()
    output.write("text")
    output.write("replaced")

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x" * 251 + ".txt", "replaced")]


def test_what_is_written_beside_the_longest_name_has_a_name_that_is_not_longer(tmp_path):
    beside = Output(tmp_path / ("ü" * 125 + ".txt")).beside("-12.png")

    beside.check()
    beside.write(b"a picture")

    assert [path.name for path in tmp_path.iterdir()] == ["ü" * 124 + "-12.png"]


def test_text_that_cannot_be_encoded_is_an_input_error(tmp_path):
    with pytest.raises(GeminiInputError, match="cannot be used"):
        Output(tmp_path / "a.txt").write("half of a character: \ud800")

    assert list(tmp_path.iterdir()) == []


class Stopped(Exception):
    """What the writer of a file raises."""


def write_half(uri: str, error: Exception | None = None) -> None:
    with Output(uri).staged() as file:
        file.write(b"half")
        if error:
            raise error


class TestStaged:
    @pytest.fixture(params=["local", "object storage"])
    def where(self, request, tmp_path):
        """Return a destination, and functions that read and write it."""
        if request.param == "local":
            path = tmp_path / "new" / "answers.jsonl"
            return str(path), path.read_bytes, lambda data: (path.parent.mkdir(), path.write_bytes(data))
        storage = ObjectStorage()
        return (
            storage.uri("out/answers.jsonl"),
            lambda: storage.cat_file("/bucket/out/answers.jsonl"),
            lambda data: storage.put(**{"out/answers.jsonl": data}),
        )

    def test_file_becomes_the_destination_when_the_block_ends(self, where):
        uri, read, write = where
        write(b"before")

        with Output(uri).staged() as file:
            file.write(b"one\n")
            file.write(b"two\n")
            file.flush()
            assert read() == b"before"

        assert read() == b"one\ntwo\n"

    def test_empty_file_is_written(self, where):
        uri, read, _ = where

        with Output(uri).staged():
            pass

        assert read() == b""

    def test_error_in_the_block_leaves_nothing(self, where, tmp_path):
        uri, read, _ = where

        with pytest.raises(Stopped):
            write_half(uri, Stopped())

        with pytest.raises(FileNotFoundError):
            read()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_error_in_the_block_keeps_the_former_content(self, where):
        uri, read, write = where
        write(b"before")

        with pytest.raises(Stopped):
            write_half(uri, Stopped())

        assert read() == b"before"

    def test_full_disk_is_an_error_of_the_storage(self, where):
        uri, read, write = where
        write(b"before")

        with pytest.raises(GeminiServiceError, match=r"output_path .* its storage failed .OSError: no space left"):
            write_half(uri, OSError("no space left"))

        assert read() == b"before"

    def test_failing_object_storage_leaves_nothing(self, mocker):
        storage = ObjectStorage()
        target = mocker.create_autospec(MemoryFile, instance=True, closed=False)
        target.write.side_effect = OSError("reset by peer")
        mocker.patch.object(storage, "open", autospec=True, return_value=target)

        with pytest.raises(GeminiServiceError, match=r"output_path 'memory:.*: its storage failed .OSError: reset"):
            write_half(storage.uri("a.txt"))

        # Closing it would complete the object.
        target.close.assert_not_called()
        target.discard.assert_called_once_with()
        assert target.closed

    def test_name_as_long_as_names_may_be_is_written(self, tmp_path):
        path = tmp_path / ("x" * 255)

        with Output(path).staged() as file:
            file.write(b"text")

        assert path.read_bytes() == b"text"
