"""The requests for files as values, and the reading of their responses; nothing is sent."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.failures import ApiResponse
from airflow_provider_gemini_files.hooks.connection import GeminiConnection
from airflow_provider_gemini_files.hooks.requests import (
    FILES,
    PING,
    Listing,
    delete_file,
    get_file,
    read_file,
    read_response,
)

KEY = "test-key-that-nobody-may-see"
CONNECTION = GeminiConnection(conn_id="c", api_key=KEY)


def response(status: int, body: object = b"", **headers: str) -> ApiResponse:
    return ApiResponse(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def service_error(code: int, status: str, message: str) -> ApiResponse:
    return response(code, {"error": {"code": code, "status": status, "message": message}})


def page(*names: str, token: str | None = None) -> dict[str, object]:
    return {"files": [{"name": name} for name in names], **({"nextPageToken": token} if token else {})}


class TestRequests:
    def test_get_and_delete_name_the_file_in_the_path(self):
        assert (get_file("files/a").method, get_file("files/a").path) == ("GET", "files/a")
        assert (delete_file("files/a").method, delete_file("files/a").path) == ("DELETE", "files/a")

    def test_ping_asks_for_one_file(self):
        assert (PING.method, PING.path, PING.query) == ("GET", "files", {"pageSize": 1})


class TestReadResponse:
    def test_json_object_is_returned(self):
        assert read_response(response(200, {"name": "files/a"}), get_file("files/a"), CONNECTION) == {"name": "files/a"}

    @pytest.mark.parametrize("status", [200, 204])
    def test_empty_success_is_an_empty_object(self, status):
        assert read_response(response(status), delete_file("files/a"), CONNECTION) == {}

    @pytest.mark.parametrize("body", [{"status": "ok"}, b""])
    def test_what_is_no_list_is_not_an_empty_list(self, body):
        with pytest.raises(e.GeminiServiceError, match=r"Cannot list files: .*\(HTTP 502\)"):
            read_response(response(200, body), PING, CONNECTION)

    @pytest.mark.parametrize("body", [b"<html>Sign in", b"OK", ["a list"], "a text", 3, None])
    def test_success_without_a_json_object_is_a_service_error(self, body):
        with pytest.raises(e.GeminiServiceError, match=r"Cannot get files/a: .*\(HTTP 502\)"):
            read_response(response(200, body), get_file("files/a"), CONNECTION)

    @pytest.mark.parametrize("key", ["error", "errors", "detail", "fault", "message", "msg", "Message", "Error"])
    @pytest.mark.parametrize("request_for", [PING, get_file("files/a"), delete_file("files/a")])
    def test_success_of_a_gateway_that_reports_an_error_is_no_result(self, request_for, key):
        with pytest.raises(e.GeminiServiceError, match="no such team"):
            read_response(response(200, {key: "no such team"}), request_for, CONNECTION)

    @pytest.mark.parametrize(
        ("request_for", "body"),
        [
            (get_file("files/a"), {"name": "files/a", "error": {"code": 3, "message": "bad codec"}}),
            (PING, {"files": [], "message": "beside the result"}),
            (PING, {"nextPageToken": "t"}),
            (PING, {}),
            (delete_file("files/a"), {}),
        ],
    )
    def test_result_of_the_service_is_known_by_its_keys(self, request_for, body):
        assert read_response(response(200, body), request_for, CONNECTION) == body

    def test_object_in_answer_to_a_deletion_is_no_result(self):
        with pytest.raises(e.GeminiServiceError, match="delete files/a"):
            read_response(response(200, {"status": "queued"}), delete_file("files/a"), CONNECTION)

    def test_file_is_gone_if_the_service_says_so(self):
        gone = service_error(403, "PERMISSION_DENIED", "You do not have permission to access the File a or it may not")

        with pytest.raises(e.GeminiFileGoneError, match="Upload it again"):
            read_response(gone, get_file("files/a"), CONNECTION)

    @pytest.mark.parametrize(
        "answer",
        [
            response(404, b"<html>404 Not Found"),
            response(404, {"error": {"message": "Invalid URL (GET /v1beta/files/a)", "code": None}}),
            response(404, {"detail": "Not Found"}),
            response(404, {"error": {"code": 404, "message": "no such route: files/a"}}),
            response(403, {"error": {"message": "You do not have permission to access the File a"}}),
            response(410, b"files/a is gone"),
        ],
    )
    @pytest.mark.parametrize("request_for", [get_file, delete_file])
    def test_gateway_cannot_say_that_a_file_is_gone(self, request_for, answer):
        with pytest.raises(e.GeminiServiceError, match="not the Gemini API's own response"):
            read_response(answer, request_for("files/a"), CONNECTION)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"detail": "unknown team"}, "unknown team"),
            ({"fault": {"faultstring": "quota policy"}}, "quota policy"),
            ({"error": "a plain text"}, "a plain text"),
            ({"Message": "User is not authorized"}, "User is not authorized"),
            (b"Forbidden by policy 7", "Forbidden by policy 7"),
        ],
    )
    def test_words_of_a_gateway_are_repeated(self, body, words):
        with pytest.raises(e.GeminiServiceError, match=f"Cannot list files: {words} "):
            read_response(response(403, body), PING, CONNECTION)

    def test_key_in_a_response_is_not_repeated(self):
        with pytest.raises(e.GeminiFilesError) as raised:
            read_response(service_error(403, "PERMISSION_DENIED", f"key:{KEY} is suspended"), PING, CONNECTION)

        assert KEY not in str(raised.value)
        assert "key:*** is suspended" in str(raised.value)


class TestReadFile:
    def test_file_knows_the_connection_it_was_read_through(self):
        assert read_file({"name": "files/a"}, CONNECTION).conn_id == "c"

    @pytest.mark.parametrize(
        "resource",
        [
            {},
            {"name": "files/a", "sizeBytes": "5.0"},
            {"name": 5},
            {"name": "files/a", "displayName": ["a"]},
            {"name": "files/a", "mimeType": {}},
            {"name": "files/a", "state": 2},
            {"name": "files/a", "sha256Hash": 1},
            {"name": "files/a", "createTime": 1_800_000_000},
            # In UTC, these are beyond the years that can be represented.
            {"name": "files/a", "expirationTime": "9999-12-31T23:59:59-05:00"},
            {"name": "files/a", "createTime": "0001-01-01T00:00:00+05:00"},
        ],
    )
    def test_unreadable_file_is_a_service_error(self, resource):
        with pytest.raises(e.GeminiServiceError, match="a file that cannot be read"):
            read_file(resource, CONNECTION)


class TestListing:
    def test_tokens_lead_from_page_to_page(self):
        listing = Listing(FILES, CONNECTION)

        first = listing.next_request()
        assert first is not None
        assert (first.path, first.query) == ("files", {"pageSize": 100})
        assert [file.name for file in listing.read(page("files/a", token="t1"))] == ["files/a"]
        second = listing.next_request()
        assert second is not None
        assert second.query == {"pageSize": 100, "pageToken": "t1"}
        assert not listing.is_done
        assert [file.name for file in listing.read(page("files/b"))] == ["files/b"]
        assert listing.is_done
        assert listing.next_request() is None

    def test_empty_page_in_between_does_not_end_the_list(self):
        listing = Listing(FILES, CONNECTION)

        assert listing.read({"nextPageToken": "t"}) == []
        assert not listing.is_done

    def test_file_that_comes_again_on_the_next_page_counts_once(self):
        listing = Listing(FILES, CONNECTION)
        listing.read(page("files/a", "files/b", token="t"))

        assert [file.name for file in listing.read(page("files/b", "files/c"))] == ["files/c"]

    def test_token_that_comes_twice_is_an_error(self):
        listing = Listing(FILES, CONNECTION)
        listing.read(page("files/a", token="t1"))
        listing.read(page("files/b", token="t2"))

        with pytest.raises(e.GeminiServiceError, match="the same page token twice"):
            listing.read(page("files/c", token="t1"))

    @pytest.mark.parametrize("names", [None, {"files/x"}])
    @pytest.mark.parametrize("repeated", [("files/a", "files/b"), ()])
    def test_pages_without_anything_new_and_new_tokens_end_with_an_error(self, names, repeated):
        listing = Listing(FILES, CONNECTION, names)
        for number in range(200):
            listing.read(page(*repeated, token=f"t{number}"))
        listing.read(page("files/c", token="new"))
        for number in range(200):
            listing.read(page(*repeated, token=f"u{number}"))

        with pytest.raises(e.GeminiServiceError, match="201 pages in a row had nothing new"):
            listing.read(page(*repeated, token="last"))

    def test_file_that_is_twice_on_a_page_counts_once(self):
        assert len(Listing(FILES, CONNECTION).read(page("files/a", "files/a"))) == 1

    @pytest.mark.parametrize(
        "resource",
        [
            None,
            "files/a",
            {},
            {"name": "files/a", "sizeBytes": "5.0"},
            {"name": "files/a", "createTime": "yesterday"},
            {"name": "files/NEW_FORM/1"},
        ],
    )
    def test_unreadable_file_is_skipped_with_a_warning_and_counted(self, resource, caplog):
        listing = Listing(FILES, CONNECTION)

        found = listing.read({"files": [resource, {"name": "files/good"}]})

        assert [file.name for file in found] == ["files/good"]
        assert listing.unreadable == 1
        assert re.search("One of the files of connection .c. is skipped and kept: .*cannot be read", caplog.text)

    @pytest.mark.parametrize("fields", [{"createTime": ""}, {"expirationTime": ""}, {"sizeBytes": None}])
    def test_empty_field_does_not_make_a_file_unreadable(self, fields):
        [file] = Listing(FILES, CONNECTION).read({"files": [{"name": "files/a", **fields}]})

        assert (file.create_time, file.expiration_time, file.size_bytes) == (None, None, None)

    def test_error_of_a_failed_file_may_be_a_text(self):
        [file] = Listing(FILES, CONNECTION).read(
            {"files": [{"name": "files/a", "state": "FAILED", "error": "no such code"}]}
        )

        assert file.error == {"message": "no such code"}

    @pytest.mark.parametrize("page", [{"files": {"name": "files/a"}}, {"files": "files/a"}, {"nextPageToken": 7}])
    def test_page_of_a_wrong_type_is_a_service_error(self, page):
        with pytest.raises(e.GeminiServiceError, match="a page that cannot be read"):
            Listing(FILES, CONNECTION).read(page)

    def test_only_wanted_files_are_read(self):
        listing = Listing(FILES, CONNECTION, {"files/b"})

        found = listing.read({"files": [None, {"name": "files/a", "sizeBytes": "bad"}, {"name": "files/b"}]})

        assert [file.name for file in found] == ["files/b"]
        assert listing.unreadable == 0
