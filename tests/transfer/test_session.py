"""The upload session against a service made of plain Python, with every fault it could meet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import FakeClock

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.common.failures import ApiResponse
from airflow_provider_gemini_files.transfer.session import MAX_PATIENCE_SECONDS, UploadRequest, UploadSession
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError

START = "https://host/upload/v1beta/files"
SIZE = 1000
GRANULARITY = 50
FULL = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "file_storage_bytes"}}


def new_session(max_failures: int = 3, url: str | None = None, **options: object) -> UploadSession:
    return UploadSession(
        start_url=START,
        api_key="the-key",
        metadata={"displayName": "a.txt"},
        mime_type="text/plain",
        size=SIZE,
        max_failures=max_failures,
        url=url,
        clock=FakeClock(),
        **options,
    )


def remembered(**options: object) -> UploadSession:
    """Return a session whose URL an earlier attempt has kept."""
    return new_session(url=f"{START}?upload_id=1", **options)


def response(status: int = 200, body: object = b"", **headers: str) -> ApiResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def started(**headers: str) -> ApiResponse:
    return response(x_goog_upload_status="active", x_goog_upload_url=f"{START}?upload_id=1", **headers)


def opened(max_failures: int = 3) -> UploadSession:
    """Return a session that is about to send."""
    session = new_session(max_failures)
    session.answered(started())
    return session


def command(session: UploadSession) -> str:
    return session.next_request().headers["X-Goog-Upload-Command"]


class Service:
    """A service and the network to it; each request consumes one fault."""

    def __init__(self, faults: list[str] | None = None) -> None:
        self.faults = list(faults or [])
        self.files: list[int] = []
        self.received: int | None = None
        self.sessions = 0
        self.sent = 0
        self.final = False

    def send(self, session: UploadSession) -> None:
        request = session.next_request()
        fault = self.faults.pop(0) if self.faults else "none"
        name = request.headers["X-Goog-Upload-Command"].split(",")[0]
        if fault == "refused before":
            session.broken(ConnectionError("refused"))
            return
        if fault == "503":
            session.answered(response(503))
            return
        if fault == "dead":
            self.received = None
        answer = getattr(self, name)(request, fault)
        if fault == "answer lost" or answer is None:
            session.broken(ConnectionError("reset"))
        else:
            session.answered(answer)

    def start(self, request: UploadRequest, fault: str) -> ApiResponse:
        self.sessions += 1
        self.received, self.final = 0, False
        headers = {} if fault == "no url" else {"x-goog-upload-url": f"{START}?upload_id={self.sessions}"}
        granularity = {"x-goog-upload-chunk-granularity": str(GRANULARITY)}
        return ApiResponse(200, {"x-goog-upload-status": "active", **granularity, **headers})

    def upload(self, request: UploadRequest, fault: str) -> ApiResponse | None:
        if self.received is None:
            return response(404, b"Upload not found.")
        if self.final:
            return response(400, b"Upload has already been terminated.", x_goog_upload_status="final")
        if request.offset != self.received:
            return response(400, b"Invalid offset", x_goog_upload_status="active")
        last = "finalize" in request.headers["X-Goog-Upload-Command"]
        assert last or request.length % GRANULARITY == 0
        assert request.length == int(request.headers["Content-Length"])
        self.sent += request.length
        if fault == "nothing kept":
            return None
        if fault == "broken in the middle":
            self.received += (request.length // 2) // GRANULARITY * GRANULARITY
            return None
        self.received += request.length
        if not last:
            return response(x_goog_upload_status="active")
        self.final = True
        self.files.append(self.sessions)
        if fault == "no file":
            return response(200, {}, x_goog_upload_status="final")
        return response(200, {}) if fault == "no status" else self._file()

    def query(self, request: UploadRequest, fault: str) -> ApiResponse:
        if self.received is None:
            return response(404, b"Upload not found.")
        if self.final:
            return response(200, {}, x_goog_upload_status="final") if fault == "no file" else self._file()
        return response(x_goog_upload_status="active", x_goog_upload_size_received=str(self.received))

    def _file(self) -> ApiResponse:
        return response(200, {"file": {"name": "files/a"}}, x_goog_upload_status="final")


def drive(session: UploadSession, service: Service) -> list[tuple[str, int | None, int]]:
    """Drive a session to its end; return command, offset and length of each request."""
    requests = []
    for _ in range(200):
        if session.resource is not None:
            return requests
        request = session.next_request()
        requests.append((request.headers["X-Goog-Upload-Command"], request.offset, request.length))
        service.send(session)
    raise AssertionError("the session does not end")


# --- any faults ----------------------------------------------------------------------------------------------------

SESSION_STAYS = [
    "none", "refused before", "503", "answer lost", "broken in the middle", "nothing kept", "no file", "no status",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*SESSION_STAYS, "no url", "dead"]), max_size=25))
def test_any_faults_end_in_one_file_or_one_clear_error(faults):
    session, service = new_session(), Service(faults)

    try:
        drive(session, service)
    except e.GeminiFilesError as error:
        assert "upload 'a.txt'" in str(error)  # noqa: PT017 - either end is right
    else:
        assert service.received == SIZE
        assert service.files[-1] == service.sessions


@settings(max_examples=300)
@given(st.lists(st.sampled_from(SESSION_STAYS), max_size=12))
def test_no_second_file_is_created_while_the_session_lives(faults):
    session, service = new_session(max_failures=100), Service(["none", *faults])

    try:
        drive(session, service)
    except e.GeminiServiceError as error:
        assert "kept nothing of 3 sends in a row" in str(error)  # noqa: PT017 - either end is right
        assert len(service.files) <= 1
    else:
        assert len(service.files) == 1


@given(st.lists(st.sampled_from([*SESSION_STAYS, "dead"]), max_size=12), st.integers(0, SIZE // GRANULARITY))
def test_remembered_session_is_resumed_or_replaced(faults, granules):
    service = Service(faults)
    service.sessions, service.received = 1, granules * GRANULARITY

    try:
        drive(remembered(max_failures=100), service)
    except e.GeminiServiceError as error:
        assert "kept nothing of 3 sends in a row" in str(error)  # noqa: PT017 - either end is right
    else:
        assert service.received == SIZE


# --- the requests --------------------------------------------------------------------------------------------------


def test_undisturbed_upload_takes_two_requests():
    session, service = new_session(), Service()

    start = session.next_request()
    service.send(session)
    send = session.next_request()
    service.send(session)

    assert start.url == START
    assert start.headers["X-Goog-Upload-Header-Content-Length"] == "1000"
    assert json.loads(start.content)["file"] == {"displayName": "a.txt", "mimeType": "text/plain", "sizeBytes": "1000"}
    assert (send.url, send.offset) == (f"{START}?upload_id=1", 0)
    assert send.headers["X-Goog-Upload-Command"] == "upload, finalize"
    assert session.resource == {"name": "files/a"}


def test_key_is_sent_with_start_only():
    session, service = new_session(), Service(["none", "broken in the middle"])
    keys = []
    while session.resource is None:
        request = session.next_request()
        keys.append((request.headers["X-Goog-Upload-Command"], request.headers.get("x-goog-api-key")))
        service.send(session)

    assert keys == [("start", "the-key"), ("upload, finalize", None), ("query", None), ("upload, finalize", None)]


def test_upload_resumes_at_offset_the_service_reports():
    session, service = new_session(), Service(["none", "broken in the middle"])

    assert drive(session, service)[2:] == [("query", None, 0), ("upload, finalize", 500, 500)]
    assert session.resumes == 1


def test_pieces_are_sent_once_nothing_was_kept_and_grow_while_they_arrive():
    assert drive(new_session(), Service(["none", "nothing kept"])) == [
        ("start", None, 0),
        ("upload, finalize", 0, 1000),
        ("query", None, 0),
        ("upload", 0, 50),
        ("upload", 50, 100),
        ("upload", 150, 200),
        ("upload", 350, 400),
        ("upload, finalize", 750, 250),
    ]


def test_pieces_become_small_again_after_one_is_lost():
    requests = drive(new_session(), Service(["none", "nothing kept", "none", "none", "none", "nothing kept"]))

    assert requests[requests.index(("upload", 150, 200)) + 1 :][:2] == [("query", None, 0), ("upload", 150, 50)]


# --- ends ----------------------------------------------------------------------------------------------------------


def test_three_sends_of_which_nothing_was_kept_end_the_upload():
    session, service = new_session(max_failures=100), Service(["none", *["nothing kept", "none"] * 3])

    with pytest.raises(e.GeminiServiceError, match=r"kept nothing of 3 sends in a row, and still has 0 of 1000 bytes"):
        drive(session, service)

    assert service.sent == 1000 + 50 + 50


def test_pauses_without_progress_are_bounded_however_many_failures_are_allowed():
    session = new_session(max_failures=10_000)
    waited = 0.0

    with pytest.raises(e.GeminiServiceError):  # noqa: PT012 - how long it took is the point
        while True:
            session.broken(ConnectionError())
            waited += session.delay

    assert MAX_PATIENCE_SECONDS - 100 < waited <= MAX_PATIENCE_SECONDS


def test_pauses_grow_up_to_half_a_minute():
    session = new_session(max_failures=8)
    pauses = []
    for _ in range(8):
        session.broken(ConnectionError())
        pauses.append(session.delay)

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("step", ["start", "send"])
@pytest.mark.parametrize("status", [429, 503])
def test_requested_delay_is_followed(step, status):
    session = new_session() if step == "start" else opened()

    session.answered(response(status, retry_after="9"))

    assert session.delay == 9


def test_delay_of_retry_info_is_followed():
    session = new_session()

    session.answered(response(429, {"error": {"message": "slow", "details": [{"retryDelay": "7s"}]}}))

    assert session.delay == 7


def asking() -> UploadSession:
    """Return a session that is about to ask how far the service got."""
    session = opened()
    session.broken(ConnectionError("reset"))
    return session


@pytest.mark.parametrize("at", [new_session, opened, asking], ids=["start", "send", "query"])
@pytest.mark.parametrize(("status", "kind"), [(429, e.GeminiRateLimitError), (503, e.GeminiServiceError)])
def test_delay_of_more_than_a_minute_ends_the_attempt(at, status, kind):
    with pytest.raises(kind) as failed:
        at().answered(response(status, retry_after="3600"))

    assert failed.value.retry_after == 3600


def test_exhausted_daily_quota_ends_the_attempt():
    details = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}], "retryDelay": "3s"}]
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota", "details": details}}

    with pytest.raises(e.GeminiRateLimitError, match="it resets at") as failed:
        new_session().answered(response(429, body))

    assert failed.value.retry_after > 60


def test_full_storage_is_not_tried_again():
    with pytest.raises(e.GeminiStorageFullError):
        new_session().answered(response(429, FULL))


def test_final_refusal_ends_upload_with_message_of_the_service():
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Unsupported MIME type: bad/type"}}

    with pytest.raises(e.GeminiInputError, match="Unsupported MIME type: bad/type"):
        opened().answered(response(400, body, x_goog_upload_status="final"))


def test_redirect_is_not_followed_and_its_target_is_named():
    session = new_session(max_failures=0)

    with pytest.raises(e.GeminiServiceError, match=r"redirects to https://other \(HTTP 308\)"):
        session.answered(response(308, location="https://other/upload?token=secret"))


def test_gateway_page_is_not_a_refusal():
    session = new_session()

    session.answered(response(404, b"<html>Not found</html>"))

    assert command(session) == "start"


def test_response_without_upload_url_names_likely_cause():
    with pytest.raises(e.GeminiServiceError, match="proxy or gateway"):
        new_session(max_failures=0).answered(response(x_goog_upload_status="active"))


# --- doubtful responses --------------------------------------------------------------------------------------------


def test_response_without_upload_status_is_queried_not_sent_again():
    session, service = new_session(), Service(["none", "no status"])

    drive(session, service)

    assert (service.sent, service.sessions) == (SIZE, 1)


def test_finalize_with_lost_response_is_not_sent_again():
    session, service = new_session(), Service(["none", "answer lost"])

    drive(session, service)

    assert session.resource == {"name": "files/a"}
    assert service.files == [1]


def test_ended_session_is_replaced():
    service = Service(["none", "broken in the middle", "dead"])

    drive(new_session(), service)

    assert service.sessions == 2


def test_response_without_file_is_queried_and_then_raises():
    session = opened(max_failures=1)

    session.answered(response(200, {}, x_goog_upload_status="final"))
    assert command(session) == "query"
    with pytest.raises(e.GeminiServiceError, match="named no file"):
        session.answered(response(200, {}, x_goog_upload_status="final"))


def test_broken_source_is_not_reported_as_network_failure():
    with pytest.raises(e.GeminiServiceError, match=r"Cannot upload 'a.txt': reading s3://b/a: OSError\. \[GF203\]$"):
        opened(max_failures=0).broken(SourceBrokenError("reading s3://b/a: OSError"))


# --- remembered sessions always come to an end ---------------------------------------------------------------------


@pytest.mark.parametrize("max_failures", [0, 3])
def test_ended_remembered_session_counts_as_no_failure(max_failures):
    session, service = remembered(max_failures=max_failures), Service()

    assert [command for command, _, _ in drive(session, service)] == ["query", "start", "upload, finalize"]


def test_finished_remembered_session_is_not_sent_again():
    service = Service()
    service.received, service.final = SIZE, True

    assert drive(remembered(), service) == [("query", None, 0)]
    assert service.sent == 0


def test_remembered_session_without_file_is_replaced():
    service = Service(["no file"])
    service.received, service.final = SIZE, True

    assert [command for command, _, _ in drive(remembered(), service)] == ["query", "start", "upload, finalize"]


def test_remembered_session_with_too_many_bytes_is_replaced():
    service = Service()
    service.received = SIZE + 1

    assert [command for command, _, _ in drive(remembered(), service)] == ["query", "start", "upload, finalize"]


@pytest.mark.parametrize("failure", ["503", "refused before"])
@pytest.mark.parametrize(("max_failures", "queries"), [(0, 1), (2, 3), (4, 5), (50, 5)])
def test_remembered_session_is_replaced_once_its_host_has_failed_too_often(failure, max_failures, queries):
    service = Service([failure] * queries)

    requests = [command for command, _, _ in drive(remembered(max_failures=max_failures), service)]

    assert requests == ["query"] * queries + ["start", "upload, finalize"]


@pytest.mark.parametrize("status", [429, 503])
def test_remembered_session_is_replaced_if_its_host_wants_more_than_a_minute(status):
    session = remembered()

    session.answered(response(status, retry_after="3600"))

    assert command(session) == "start"
    assert session.delay == 0
    with pytest.raises(e.GeminiFilesError) as failed:
        session.answered(response(status, retry_after="3600"))
    assert failed.value.retry_after == 3600


@pytest.mark.parametrize("headers", [{"x_goog_upload_status": "final"}, {}])
def test_refusal_of_remembered_session_starts_a_new_one(headers):
    session = remembered(max_failures=0)

    session.answered(response(429, FULL, **headers))

    assert command(session) == "start"
    with pytest.raises(e.GeminiStorageFullError):
        session.answered(response(429, FULL, **headers))


# --- hosts ---------------------------------------------------------------------------------------------------------


def upload_url(base: str, url: str, *, via_host: bool) -> str:
    session = UploadSession(
        start_url=f"{base}/upload/v1beta/files", api_key="k", metadata={}, mime_type="text/plain", size=1,
        max_failures=0, via_host=via_host,
    )  # fmt: skip
    session.answered(response(x_goog_upload_status="active", x_goog_upload_url=url))
    return session.next_request().url


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://gateway", "https://gateway/upload/v1beta/files?upload_id=1"),
        ("http://gateway:8080", "http://gateway:8080/upload/v1beta/files?upload_id=1"),
        ("https://gateway/gemini", "https://gateway/gemini/upload/v1beta/files?upload_id=1"),
    ],
)
def test_upload_via_host_sends_the_bytes_to_the_connections_host(base, expected):
    service = "https://upload.googleapis.test/upload/v1beta/files?upload_id=1"

    assert upload_url(base, service, via_host=True) == expected
    assert upload_url(base, service, via_host=False) == service


def test_upload_via_host_keeps_a_path_that_the_gateway_has_rewritten():
    rewritten = "https://gateway/gemini/upload/v1beta/files?upload_id=1"

    assert upload_url("https://gateway/gemini", rewritten, via_host=True) == rewritten


@pytest.mark.parametrize("status", [201, 202])
def test_any_success_of_a_gateway_is_one(status):
    session = new_session()
    session.answered(response(status, x_goog_upload_status="active", x_goog_upload_url=f"{START}?upload_id=1"))
    assert command(session) == "upload, finalize"

    session.answered(response(status, {"file": {"name": "files/a"}}, x_goog_upload_status="final"))

    assert session.resource == {"name": "files/a"}


@pytest.mark.parametrize("url", ["https://[::1", "file:///etc/passwd"])
def test_address_that_cannot_be_is_called_so(url):
    session = new_session(max_failures=0)
    session.answered(response(x_goog_upload_status="active", x_goog_upload_url=url))

    with pytest.raises(e.GeminiServiceError, match="the request to an impossible address failed"):
        session.broken(ValueError("no such address"))


def test_upload_goes_to_a_path_of_the_connections_host():
    assert upload_url("https://gateway", "/upload/v1beta/files?id=1", via_host=False).startswith(
        "https://gateway/upload"
    )


def test_bytes_are_not_sent_in_clear_text_if_the_connection_is_encrypted():
    clear = "http://gateway/upload/v1beta/files?upload_id=1"

    assert upload_url("http://gateway", clear, via_host=False) == clear
    assert upload_url("https://gateway", clear, via_host=True) == clear.replace("http:", "https:")
    with pytest.raises(e.GeminiInputError, match=r"http://gateway for the bytes.*set .*upload_via_host") as failed:
        upload_url("https://gateway", clear, via_host=False)
    assert "upload_id" not in str(failed.value)


def test_unreachable_upload_host_is_named_with_upload_via_host():
    session = new_session(max_failures=0)
    session.answered(response(x_goog_upload_status="active", x_goog_upload_url="https://inner.test/u?upload_id=1"))

    with pytest.raises(e.GeminiServiceError, match=r"https://inner\.test failed .*upload_via_host") as failed:
        session.broken(ConnectionError("no route"))

    assert "upload_id" not in str(failed.value)


def test_upload_via_host_is_not_suggested_for_own_host():
    with pytest.raises(e.GeminiServiceError, match="https://host failed") as failed:
        opened(max_failures=0).broken(ConnectionError("reset"))

    assert "upload_via_host" not in str(failed.value)


def test_key_is_not_part_of_errors():
    body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Consumer 'api_key:the-key' suspended"}}

    with pytest.raises(e.GeminiAuthError) as failed:
        new_session().answered(response(403, body))

    assert "the-key" not in str(failed.value)
