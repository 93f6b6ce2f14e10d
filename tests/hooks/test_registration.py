from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest
from google_accounts import TOKEN, TokenEndpoint
from object_stores import Bucket
from support import API_KEY, FakeClock, logged_by
from transfer_store import Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.google_credentials import GoogleIdentity
from airflow_provider_gemini_files.transfer.source import Source

#: The emulator has a project for each key, and this is the one that the hook's key belongs to.
OURS = GoogleIdentity(quota_project=API_KEY)
DAY = 24 * 3600.0


def an_object(key: str, generation: str = "1", bucket: str = "films") -> Source:
    uri = f"gs://{bucket}/{key}"
    return Source(uri, key, 5, (uri, "5", generation), lambda _: io.BytesIO(), UploadedFrom(uri))


def objects(count: int) -> list[Source]:
    return [an_object(f"{number:03}.mp4") for number in range(count)]


def sent(emulator: GeminiEmulator) -> list[list[str]]:
    """Return the URIs of each request."""
    return [entry["body"]["uris"] for entry in emulator.journal if entry["call"] == "register"]


def answer(emulator: GeminiEmulator, body: Any, status: int = 200, **fields: Any) -> None:
    emulator.faults.add("register", "status", status=status, body=body, **fields)


def a_file(number: int, uri: str = "https://host/v1beta/files/x") -> dict[str, Any]:
    return {"name": f"files/{number}", "uri": uri, "mimeType": "video/mp4", "state": "ACTIVE", "source": "REGISTERED"}


def refusal(status: int, code: str, message: str, reason: str = "") -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": status, "status": code, "message": message, "details": details}}


@pytest.fixture
def attempt(emulator: GeminiEmulator, clock: FakeClock, google: TokenEndpoint):
    """Return a function that registers objects in a process of its own, with the store of the task."""
    store = Store()

    def register(sources: list[Source], **fields: Any) -> list[GeminiFile]:
        return GeminiFilesHook(clock=clock).registration.register(sources, OURS, **{"store": store, **fields})

    return register


class TestRequest:
    def test_registers_objects_in_order_with_their_source(self, hook, google):
        files = hook.registration.register([an_object("b.mp4"), an_object("a.txt")], OURS)

        assert [file.uploaded_from for file in files] == [
            UploadedFrom("gs://films/b.mp4"),
            UploadedFrom("gs://films/a.txt"),
        ]
        assert [(file.mime_type, file.source, file.size_bytes) for file in files] == [
            ("video/mp4", "REGISTERED", 5),
            ("text/plain", "REGISTERED", 5),
        ]
        assert [hook.get_file(file).uri for file in files] == ["gs://films/b.mp4", "gs://films/a.txt"]

    def test_sends_the_token_and_never_the_key(self, hook, google, mocker):
        spied = mocker.spy(httpx.Client, "send")

        hook.registration.register(objects(2), OURS)

        [request] = [call.kwargs["request"] for call in spied.call_args_list]
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["x-goog-user-project"] == API_KEY
        del request.headers["x-goog-user-project"]
        assert API_KEY not in f"{request.url} {request.headers.raw} {request.content!r}"

    def test_works_with_a_key_of_the_kind_that_the_service_refuses_beside_a_token(self, emulator, google, connect):
        connect(host=emulator.base_url, password="AQ.Ab8RN6")

        [file] = GeminiFilesHook().registration.register(objects(1), GoogleIdentity(quota_project="project-of-aq"))

        assert file.source == "REGISTERED"

    def test_sends_the_quota_project_of_the_credentials(self, hook, google, mocker, monkeypatch):
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "from-environment")
        spied = mocker.spy(httpx.Client, "send")

        hook.registration.register(objects(1))

        assert spied.call_args.kwargs["request"].headers["x-goog-user-project"] == "from-environment"

    def test_sends_a_hundred_uris_at_most(self, hook, google, emulator):
        files = hook.registration.register(objects(201), OURS)

        assert [len(uris) for uris in sent(emulator)] == [100, 100, 1]
        assert [file.uri for file in files] == [source.uri for source in objects(201)]
        assert google.requests == 1

    def test_registers_an_object_once_that_comes_twice(self, hook, google, emulator):
        first, other, again = hook.registration.register([an_object("a"), an_object("b"), an_object("a")], OURS)

        assert sent(emulator) == [["gs://films/a", "gs://films/b"]]
        assert first == again != other

    def test_requests_a_new_token_when_the_last_one_has_expired(self, hook, google):
        google.seconds = 1

        hook.registration.register(objects(201), OURS)

        assert google.requests == 3

    def test_nothing_is_sent_for_nothing(self, hook, google, emulator):
        assert hook.registration.register([], OURS) == []
        assert not emulator.journal

    def test_lineage_has_the_objects(self, hook, google, mocker):
        uploaded = mocker.patch.object(lineage, "uploaded", autospec=True)

        files = hook.registration.register(objects(2), OURS)

        assert list(uploaded.call_args.args[2]) == files

    def test_the_log_names_objects_files_and_end(self, hook, google, mocker):
        info = mocker.spy(hook.log, "info")

        [file] = hook.registration.register(objects(1), OURS)
        first, _ = hook.registration.register(objects(2), OURS)

        assert logged_by(info)[-2:] == [
            f"{file.name}: registered gs://films/000.mp4 until {file.expiration_time}",
            f"registered 2 objects of gs://films until {first.expiration_time}",
        ]


class TestResponse:
    def test_files_are_matched_by_uri_if_they_have_one(self, hook, google, emulator):
        answer(emulator, {"files": [a_file(2, "gs://films/b"), a_file(1, "gs://films/a")]})

        files = hook.registration.register([an_object("a"), an_object("b")], OURS)

        assert [file.name for file in files] == ["files/1", "files/2"]

    def test_files_are_matched_by_order_if_their_uris_are_others(self, hook, google, emulator):
        answer(emulator, {"files": [a_file(2), a_file(1)]})

        files = hook.registration.register([an_object("a"), an_object("b")], OURS)

        assert [(file.name, file.uploaded_from.uri) for file in files] == [
            ("files/2", "gs://films/a"),
            ("files/1", "gs://films/b"),
        ]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({"files": [a_file(1)]}, "returned 1 files for 2 objects.*: files/1"),
            ({"files": []}, "returned 0 files for 2 objects.*: none"),
            ({"files": "some"}, "returned 0 files for 2 objects"),
            ({}, "returned 0 files for 2 objects"),
            ({"files": [a_file(1), None]}, "a file that cannot be read"),
        ],
    )
    def test_another_number_of_files_is_an_error(self, hook, google, emulator, body, told):
        answer(emulator, body)

        with pytest.raises(e.GeminiServiceError, match=told):
            hook.registration.register(objects(2), OURS)
        assert len(sent(emulator)) == 1

    def test_a_refusal_names_the_bucket_and_who_must_read_it(self, hook, google, emulator):
        answer(emulator, refusal(403, "PERMISSION_DENIED", "storage.objects.get denied"), 403)

        with pytest.raises(e.GeminiAuthError) as raised:
            hook.registration.register([an_object("a"), an_object("b", bucket="news")], OURS)

        told = str(raised.value)
        assert "Cannot register 2 objects of gs://films; gs://news: storage.objects.get denied (HTTP 403)" in told
        assert "Storage Object Viewer on gs://films; gs://news" in told
        assert "generativelanguage.googleapis.com" in told
        assert "Service Usage Consumer on the quota project" in told
        assert "Check the API key" not in told
        assert len(sent(emulator)) == 1

    def test_a_second_credential_that_a_gateway_has_added_is_named(self, hook, google, emulator):
        answer(emulator, refusal(401, "UNAUTHENTICATED", "invalid credentials", "OVERLOADED_CREDENTIALS"), 401)

        with pytest.raises(e.GeminiAuthError, match=r"an API key and a bearer token.*gateway or proxy"):
            hook.registration.register(objects(1), OURS)

    def test_a_failure_of_the_service_is_repeated(self, hook, google, emulator):
        emulator.faults.add("register", "overloaded")

        assert len(hook.registration.register(objects(2), OURS)) == 2
        assert len(sent(emulator)) == 2

    def test_a_gateways_refusal_may_pass(self, hook, google, emulator):
        answer(emulator, "<html>forbidden</html>", 403, times=None)

        with pytest.raises(e.GeminiServiceError, match="gateway or proxy"):
            hook.registration.register(objects(1), OURS)

    def test_no_error_shows_the_token(self, hook, google, emulator):
        answer(emulator, refusal(403, "PERMISSION_DENIED", f"not allowed: Bearer {TOKEN}"), 403)

        with pytest.raises(e.GeminiAuthError) as raised:
            hook.registration.register(objects(1), OURS)
        assert TOKEN not in str(raised.value)

    def test_the_token_is_masked(self, hook, google, mocker):
        mask = mocker.patch("airflow_provider_gemini_files.hooks.google_credentials.mask_secret", autospec=True)

        hook.registration.register(objects(1), OURS)

        mask.assert_called_with(TOKEN)

    def test_the_token_does_not_follow_a_redirect(self, hook, google, emulator):
        answer(emulator, "", 307, headers={"location": "http://127.0.0.1:9/files"}, times=None)

        with pytest.raises(e.GeminiServiceError, match=r"redirects to http://127.0.0.1:9 .*credentials stay"):
            hook.registration.register(objects(1), OURS)


class TestRetry:
    def test_finds_what_an_earlier_attempt_has_registered(self, attempt, emulator):
        first = attempt(objects(150))

        assert attempt(objects(150)) == first
        assert len(sent(emulator)) == 2

    def test_registers_the_rest_of_an_interrupted_attempt(self, attempt, emulator):
        answer(emulator, refusal(403, "PERMISSION_DENIED", "no"), 403, nth=2)
        with pytest.raises(e.GeminiAuthError, match="100 of the 150 objects are registered; a retry finds them"):
            attempt(objects(150))

        files = attempt(objects(150))

        assert [len(uris) for uris in sent(emulator)] == [100, 50, 50]
        assert [file.uri for file in files] == [source.uri for source in objects(150)]

    def test_registers_an_object_again_that_has_changed(self, attempt, emulator):
        attempt([an_object("a"), an_object("b")])

        attempt([an_object("a", generation="2"), an_object("b")])

        assert sent(emulator)[1:] == [["gs://films/a"]]

    def test_registers_an_object_again_whose_file_is_gone(self, attempt, emulator, hook):
        first, second = attempt(objects(2))
        hook.delete_file(first)

        again, kept = attempt(objects(2))

        assert sent(emulator)[1:] == [["gs://films/000.mp4"]]
        assert (again.name != first.name, kept) == (True, second)

    @pytest.mark.parametrize(("seconds", "requests"), [(30 * DAY - 3700, 1), (30 * DAY - 3500, 2)])
    def test_registers_an_object_again_whose_file_expires_soon(self, attempt, clock, emulator, seconds, requests):
        attempt(objects(1))
        clock.advance(seconds)

        attempt(objects(1))

        assert len(sent(emulator)) == requests

    def test_registers_an_object_again_whose_file_has_failed(self, attempt, emulator):
        attempt(objects(1))
        emulator.faults.add("get", "edit_file", fields={"state": "FAILED"})

        attempt(objects(1))

        assert len(sent(emulator)) == 2

    def test_fails_if_it_cannot_be_known_what_is_registered(self, attempt, emulator):
        attempt(objects(1))
        emulator.faults.add("get", "overloaded", times=None)

        with pytest.raises(e.GeminiServiceError):
            attempt(objects(1))
        assert len(sent(emulator)) == 1

    def test_asks_for_no_token_if_all_is_registered(self, attempt, google):
        attempt(objects(1))
        google.failure = 400, {"error": "invalid_grant"}

        assert len(attempt(objects(1))) == 1

    @pytest.mark.parametrize("store", [None, Store(broken=True)])
    def test_registers_again_without_a_store(self, attempt, emulator, store):
        attempt(objects(1), store=store)
        attempt(objects(1), store=store)

        assert len(sent(emulator)) == 2

    def test_registers_again_after_a_record_that_cannot_be_read(self, attempt, emulator):
        store = Store()
        attempt(objects(1), store=store)
        store.kept = {key: json.dumps({"version": 2}) for key in store.kept}

        attempt(objects(1), store=store)
        attempt(objects(1), store=store)

        assert len(sent(emulator)) == 2

    def test_knows_nothing_of_other_connections(self, attempt, emulator, monkeypatch, google):
        store = Store()
        attempt(objects(1), store=store)
        fields = {"conn_type": "gemini", "password": API_KEY, "host": emulator.base_url}
        monkeypatch.setenv("AIRFLOW_CONN_GEMINI_OTHER", json.dumps(fields))

        GeminiFilesHook("gemini_other").registration.register(objects(1), OURS, store=store)

        assert len(sent(emulator)) == 2

    def test_the_records_have_no_uri(self, attempt):
        store = Store()
        attempt(objects(1), store=store)

        assert "gs://" not in json.dumps(store.kept)


class TestFind:
    def test_finds_an_object_a_prefix_a_glob_and_a_list(self, hook, no_google, gcs: Bucket):
        gcs.put(**{"in/a.txt": b"a", "in/b.txt": b"bb", "in/_SUCCESS": b"", "in/c.pdf": b"ccc"})

        def keys(source: Any) -> tuple[list[str], bool]:
            found = hook.registration.find(source)
            return [one.uri.removeprefix(gcs.uri()) for one in found.sources], found.many

        assert keys(gcs.uri("in/a.txt")) == (["in/a.txt"], False)
        assert keys(gcs.uri("in/")) == (["in/a.txt", "in/b.txt", "in/c.pdf"], True)
        assert keys(gcs.uri("in/*.txt")) == (["in/a.txt", "in/b.txt"], True)
        assert keys([gcs.uri("in/c.pdf"), gcs.uri("in/a.txt")]) == (["in/c.pdf", "in/a.txt"], True)

    def test_registers_what_it_finds(self, hook, google, gcs: Bucket):
        gcs.put(**{"in/a b?.txt": b"a", "in/b.txt": b"bb"})

        files = hook.register_files(gcs.uri("in/"), quota_project=API_KEY)

        assert [file.uploaded_from.uri for file in files] == [gcs.uri("in/a b?.txt"), gcs.uri("in/b.txt")]
        assert [file.size_bytes for file in files] == [1, 2]

    @pytest.mark.parametrize(
        "source",
        ["s3://bucket/key", "/data/a.pdf", "https://host/a.pdf", "gs://", "gs:///key", "bucket/key", 5, None,
         ["gs://bucket/key", "s3://bucket/key"]],
    )  # fmt: skip
    def test_anything_else_is_refused_before_anything_is_sent(self, hook, google, emulator, source):
        with pytest.raises(e.GeminiInputError, match=r"must be 'gs://bucket/...'.*GeminiUploadFileOperator"):
            hook.register_files(source)
        assert (google.requests, list(emulator.journal)) == (0, [])

    def test_a_missing_object_is_refused_before_anything_is_sent(self, hook, google, emulator, gcs):
        with pytest.raises(e.GeminiInputError, match=r"gs://bucket-.*/nothing.txt' does not exist"):
            hook.register_files([gcs.uri("nothing.txt")])
        assert (google.requests, list(emulator.journal)) == (0, [])

    @pytest.mark.parametrize(
        ("source", "source_conn_id", "used"),
        [
            ("gs://bucket/key", None, "gs://stores@bucket/key"),
            ("gs://other@bucket/key", None, "gs://other@bucket/key"),
            ("gs://bucket/key", "finder", "gs://bucket/key"),
        ],
    )
    def test_objects_are_found_with_the_connection_that_registers_them(
        self, hook, no_google, monkeypatch, mocker, source, source_conn_id, used
    ):
        monkeypatch.setenv("AIRFLOW_CONN_STORES", "google-cloud-platform://")
        found = mocker.patch("airflow_provider_gemini_files.hooks.registration.find_sources", autospec=True)

        hook.registration.find(source, source_conn_id, "stores")

        found.assert_called_once_with(used, source_conn_id)


class TestHasCredentials:
    def test_of_the_environment_without_asking_google(self, hook, google):
        assert hook.registration.has_credentials()
        assert google.requests == 0

    def test_none(self, hook, no_google, mocker):
        info = mocker.spy(hook.log, "info")

        assert not hook.registration.has_credentials()
        assert "There are no Google credentials in the environment" in logged_by(info)[-1]

    def test_of_a_connection_that_does_not_exist(self, hook, google):
        assert not hook.registration.has_credentials("missing")
