"""Sources and outputs in real object stores, through the file systems of Airflow's providers."""

from __future__ import annotations

import gc
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from airflow.sdk import ObjectStoragePath
from object_stores import AZURE_KEY, Bucket, azure_account, connect_store
from support import peak_growth

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.transfer.output import Output
from airflow_provider_gemini_files.transfer.sources import find_sources
from airflow_provider_gemini_files.transfer.stream import head_of

MIB = 1024**2


def found(bucket: Bucket, key: str) -> tuple[list[tuple[str, int]], bool]:
    """Return key and size of each source, and whether many were asked for."""
    result = find_sources(bucket.uri(key), bucket.conn_id)
    return [(source.uri.removeprefix(bucket.uri()), source.size) for source in result.sources], result.many


class TestFind:
    @pytest.fixture(autouse=True)
    def objects(self, bucket: Bucket) -> None:
        bucket.put(**{"in/a.txt": b"a", "in/b.txt": b"bb", "in/_SUCCESS": b"", "in/.c": b"c", "in/sub/d.txt": b"dddd"})

    def test_an_object_a_folder_and_a_pattern(self, bucket):
        a, b, d = ("in/a.txt", 1), ("in/b.txt", 2), ("in/sub/d.txt", 4)

        assert found(bucket, "in/a.txt") == ([a], False)
        assert found(bucket, "in/") == found(bucket, "in") == found(bucket, "in/*") == ([a, b], True)
        assert found(bucket, "in/[b-z]*.txt") == ([b], True)
        assert found(bucket, "in/**/*.txt") == ([a, b, d], True)

    def test_the_connection_is_that_of_the_uri_or_the_argument(self, bucket):
        named = find_sources([bucket.uri("in/a.txt", conn_id=bucket.conn_id)]).sources
        given = find_sources([bucket.uri("in/a.txt")], bucket.conn_id).sources

        assert [(one.uri, one.origin.conn_id) for one in named] == [(bucket.uri("in/a.txt"), bucket.conn_id)]
        assert [one.origin for one in named] == [one.origin for one in given]

    def test_an_object_has_one_fingerprint_however_it_is_found(self, bucket):
        prints = {
            find_sources(bucket.uri(key), bucket.conn_id).sources[0].fingerprint for key in ("in/a.txt", "in/", "in/a*")
        }
        [source] = find_sources(bucket.uri("in/a.txt"), bucket.conn_id).sources

        assert prints == {source.fingerprint} == {source.current()}
        assert source.fingerprint[2]

    def test_names_that_are_no_plain_text(self, bucket):
        names = ["ä ö.txt", "[x]#?.txt", "100%.txt", "a+b&c.txt"]
        bucket.put(**{f"odd/{name}": name.encode() for name in names})

        for name in names:
            [source] = find_sources(bucket.uri(f"odd/{name}"), bucket.conn_id).sources
            assert (source.uri, source.open(0).read(99)) == (bucket.uri(f"odd/{name}"), name.encode())
        assert len(find_sources(bucket.uri("odd/"), bucket.conn_id).sources) == len(names)

    def test_what_another_process_has_changed_is_seen(self, bucket):
        [before, _] = find_sources(bucket.uri("in/"), bucket.conn_id).sources
        bucket.put(**{"in/a.txt": b"longer", "in/aa.txt": b"new"})

        assert found(bucket, "in/") == ([("in/a.txt", 6), ("in/aa.txt", 3), ("in/b.txt", 2)], True)
        assert found(bucket, "in/a.txt") == ([("in/a.txt", 6)], False)
        assert find_sources(bucket.uri("in/a.txt"), bucket.conn_id).sources[0].fingerprint != before.fingerprint

    @pytest.mark.parametrize("key", ["in/missing.txt", "missing/"])
    def test_what_is_missing_is_named_with_its_connection(self, bucket, key):
        told = re.escape(f"Source '{bucket.uri(key)}' (connection '{bucket.conn_id}') does not exist.")

        with pytest.raises(GeminiInputError, match=told):
            find_sources(bucket.uri(key), bucket.conn_id)

    def test_a_pattern_that_matches_nothing(self, bucket):
        with pytest.raises(GeminiInputError, match="No file matches source"):
            find_sources(bucket.uri("in/*.pdf"), bucket.conn_id)

    @pytest.mark.parametrize("key", ["a.txt", "in/", "in/*.txt"])
    def test_a_missing_bucket_is_named(self, bucket, key):
        bucket.name = f"no-{bucket.name[:40]}"
        told = re.escape(f"Source '{bucket.uri(key)}' (connection '{bucket.conn_id}'): there is no '{bucket.name}'")

        with pytest.raises(GeminiInputError, match=told):
            # An empty source would be a request to delete what was made of it.
            find_sources(bucket.uri(key), bucket.conn_id, allow_none=True)


class TestRead:
    def test_from_any_offset(self, bucket):
        content = os.urandom(3 * MIB)
        bucket.put(**{"a.bin": content})
        [source] = find_sources(bucket.uri("a.bin"), bucket.conn_id).sources

        for offset in (0, 1, 2 * MIB + 7, len(content)):
            stream = source.open(offset)
            assert b"".join(iter(lambda stream=stream: stream.read(MIB), b"")) == content[offset:]
            stream.close()


class TestWrite:
    def output(self, bucket: Bucket, key: str = "out/answer.txt") -> Output:
        return Output(bucket.uri(key), bucket.conn_id)

    def test_writes_and_replaces(self, bucket):
        for text in ("first", "ä"):
            output = self.output(bucket)
            output.check()
            output.write(text)
            assert bucket.get("out/answer.txt") == text.encode()

    @pytest.mark.parametrize("size", [0, 5, 20 * MIB + 1])
    def test_what_was_staged_replaces_what_was_there(self, bucket, size):
        content = os.urandom(size)
        bucket.put(**{"out/answer.txt": b"former"})

        with self.output(bucket).staged() as file:
            file.write(content)
            file.flush()
            assert bucket.get("out/answer.txt") == b"former"

        assert bucket.get("out/answer.txt") == content

    def test_large_results_are_not_held_in_memory(self, bucket):
        self.output(bucket, "warm-up").write("opens the connection")

        def write() -> None:
            with self.output(bucket).staged() as file:
                block = os.urandom(MIB)
                for _ in range(120):
                    file.write(block)

        assert peak_growth(write) < 80 * MIB
        assert bucket.fs.info(f"{bucket.name}/out/answer.txt")["size"] == 120 * MIB

    def test_a_write_that_breaks_leaves_what_was_there(self, bucket, mocker):
        if bucket.scheme == "gs":
            pytest.skip("Its emulator cannot end an upload session, which gcsfs tries for half a minute.")
        bucket.put(**{"out/answer.txt": b"former"})
        mocker.patch("airflow_provider_gemini_files.transfer.output.shutil.copyfileobj", _break_off)

        with pytest.raises(GeminiServiceError, match="the disk is broken"), self.output(bucket).staged() as file:
            file.write(os.urandom(20 * MIB))
        gc.collect()

        assert bucket.get("out/answer.txt") == b"former"
        assert bucket.keys("out") == ["out/answer.txt"]

    def test_a_missing_bucket_is_named_before_anything_is_written(self, bucket):
        bucket.name = f"no-{bucket.name[:40]}"
        told = re.escape(
            f"output_path '{bucket.uri('out/answer.txt')}' (connection '{bucket.conn_id}'): there is no '{bucket.name}'"
        )

        with pytest.raises(GeminiInputError, match=told):
            self.output(bucket).check()
        with pytest.raises(GeminiInputError, match="does not exist"):
            self.output(bucket).write("answer")
        with pytest.raises(GeminiInputError, match="does not exist"), self.output(bucket).staged() as file:
            file.write(b"answer")


def _break_off(source: Any, target: Any, length: int) -> None:
    """Copy some blocks, and fail."""
    target.write(source.read(length))
    target.write(source.read(length))
    raise OSError("the disk is broken")


class TestRefused:
    """A store refuses an account without rights: a permanent error."""

    def check(self, bucket: Bucket, conn_id: str) -> None:
        told = rf"\(connection '{conn_id}'\): permission denied: "
        for key in ("in/a.txt", "in/", "in/*.txt"):
            with pytest.raises(GeminiInputError, match=rf"Source '{re.escape(bucket.uri(key))}' {told}"):
                find_sources(bucket.uri(key), conn_id)
        output = Output(bucket.uri("out.txt"), conn_id)
        # Without the right to look at a bucket, one can still have the right to write into it.
        output.check()
        with pytest.raises(GeminiInputError, match=rf"output_path '{re.escape(output.uri)}' {told}"):
            output.write("answer")
        with pytest.raises(GeminiInputError, match=told), output.staged() as file:
            file.write(b"answer")

    def test_by_azure(self, azure: Bucket, azure_server: str, monkeypatch):
        account = azure_account(azure_server, f"AAAA{AZURE_KEY[4:]}")
        connect_store(monkeypatch, "azure_refused", conn_type="adls", extra={"connection_string": account})

        self.check(azure, "azure_refused")

    def test_by_s3(self, s3: Bucket, s3_server: str, monkeypatch):
        extra = {"endpoint_url": s3_server, "region_name": "us-east-1"}
        connect_store(
            monkeypatch, "s3_refused", conn_type="aws", login="unknown-key", password="unknown-secret", extra=extra
        )
        # From now on, the server asks for rights.
        httpx.post(f"{s3_server}/moto-api/reset-auth", content=b"0").raise_for_status()
        try:
            self.check(s3, "s3_refused")
        finally:
            httpx.post(f"{s3_server}/moto-api/reset-auth", content=b"Infinity").raise_for_status()

    def test_by_cloud_storage(self, gcs: Bucket, forbidden_gcs: str):
        self.check(gcs, forbidden_gcs)

    def test_reading_may_be_refused_where_listing_is_not(self, gcs: Bucket, forbidden_gcs: str):
        gcs.put(**{"a.txt": b"a"})
        [source] = find_sources(gcs.uri("a.txt"), gcs.conn_id).sources
        path = ObjectStoragePath(gcs.uri("a.txt"), conn_id=forbidden_gcs)
        refused = replace(source, open=lambda _: path.fs.open(path.path, size=1))

        with pytest.raises(GeminiInputError, match=r"a.txt' \(connection 'store_gs'\): permission denied"):
            head_of(refused)


@pytest.fixture
def forbidden_gcs(gcs_server: str, monkeypatch) -> Iterator[str]:
    """Start a Cloud Storage that refuses everything, and return its connection."""

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            error = {"code": 403, "message": "airflow@project does not have storage.objects.get access"}
            body = json.dumps({"error": error}).encode()
            self.send_response(403)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = refuse

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    extra = {"is_anonymous": True, "gcs.endpoint": f"http://127.0.0.1:{server.server_port}"}
    # Airflow keeps the file system of a connection.
    conn_id = f"gcs_refused_{server.server_port}"
    connect_store(monkeypatch, conn_id, conn_type="google_cloud_platform", extra=extra)
    yield conn_id
    server.shutdown()
    server.server_close()


def test_a_store_that_is_down_has_no_bucket_missing(s3: Bucket, monkeypatch):
    extra = {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    connect_store(monkeypatch, "s3_down", conn_type="aws", login="testing", password="testing", extra=extra)

    with pytest.raises(GeminiServiceError, match=r"\(connection 's3_down'\): its storage failed"):
        find_sources(s3.uri("a.txt"), "s3_down")
    with pytest.raises(GeminiServiceError, match=r"\(connection 's3_down'\): its storage failed"):
        Output(s3.uri("a.txt"), "s3_down").check()
