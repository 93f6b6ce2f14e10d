"""The upload machine against a service made of plain Python, with every fault it could meet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.transfer.session import UploadRequest, UploadSession

START = "https://host/upload/v1beta/files"
SIZE = 1000
GRANULARITY = 50


def new_session(max_failures: int = 3, url: str | None = None) -> UploadSession:
    return UploadSession(
        start_url=START,
        api_key="key",
        metadata={"displayName": "a.txt"},
        mime_type="text/plain",
        size=SIZE,
        max_failures=max_failures,
        url=url,
    )


class Line:
    """A service and the line to it; each request consumes one fault."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = list(faults)
        self.files: list[int] = []
        self.received: int | None = None
        self.sessions = 0
        self.sent = 0
        self.final = False

    def send(self, session: UploadSession, request: UploadRequest) -> None:
        fault = self.faults.pop(0) if self.faults else "none"
        command = request.headers["X-Goog-Upload-Command"]
        if fault == "refused before":
            session.broken(ConnectionError("refused"))
            return
        if fault == "503":
            session.answered(503, {}, b"")
            return
        if fault == "dead":
            self.received = None
        answer = getattr(self, command.split(",")[0])(request, fault)
        if fault == "answer lost" or answer is None:
            session.broken(ConnectionError("reset"))
        else:
            session.answered(*answer)

    def start(self, request: UploadRequest, fault: str):
        self.sessions += 1
        self.received, self.final = 0, False
        headers = {} if fault == "no url" else {"x-goog-upload-url": f"{START}?upload_id={self.sessions}"}
        granularity = {"x-goog-upload-chunk-granularity": str(GRANULARITY)}
        return 200, {"x-goog-upload-status": "active", **granularity, **headers}, b""

    def upload(self, request: UploadRequest, fault: str):
        if self.received is None:
            return 404, {}, b"Upload not found."
        if self.final:
            return 400, {"x-goog-upload-status": "final"}, b"Upload has already been terminated."
        if request.offset != self.received:
            return 400, {"x-goog-upload-status": "active"}, b"Invalid offset"
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
            return 200, {"x-goog-upload-status": "active"}, b""
        self.final = True
        self.files.append(self.sessions)
        if fault == "no file":
            return 200, {"x-goog-upload-status": "final"}, b"{}"
        status, headers, body = self._file()
        return status, {} if fault == "no status" else headers, b"{}" if fault == "no status" else body

    def query(self, request: UploadRequest, fault: str):
        if self.received is None:
            return 404, {}, b"Upload not found."
        if self.final:
            return self._file()
        return 200, {"x-goog-upload-status": "active", "x-goog-upload-size-received": str(self.received)}, b""

    def _file(self):
        return 200, {"x-goog-upload-status": "final"}, json.dumps({"file": {"name": "files/a"}}).encode()


def drive(session: UploadSession, line: Line) -> None:
    for _ in range(200):
        if session.resource is not None:
            return
        line.send(session, session.next_request())
    raise AssertionError("the session does not end")


LIVING = [
    "none", "refused before", "503", "answer lost", "broken in the middle", "nothing kept", "no file", "no status",
]  # fmt: skip
FAULTS = st.lists(st.sampled_from([*LIVING, "no url", "dead"]), max_size=25)


@settings(max_examples=300)
@given(FAULTS)
def test_any_faults_end_in_a_file_or_one_clear_error(faults):
    session, line = new_session(), Line(faults)

    try:
        drive(session, line)
    except e.GeminiFilesError as error:
        assert "upload 'a.txt'" in str(error)  # noqa: PT017 - either end is right
    else:
        assert line.received == SIZE
        assert line.files[-1] == line.sessions


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LIVING), max_size=12))
def test_while_its_session_lives_no_file_is_made_twice(faults):
    session, line = new_session(max_failures=100), Line(["none", *faults])

    try:
        drive(session, line)
    except e.GeminiServiceError as error:
        assert "kept nothing of 3 sends in a row" in str(error)  # noqa: PT017 - either end is right
        assert len(line.files) <= 1
    else:
        assert len(line.files) == 1


@given(st.lists(st.sampled_from([*LIVING, "dead"]), max_size=12), st.integers(0, SIZE // GRANULARITY))
def test_a_remembered_session_is_gone_on_with_or_replaced(faults, granules):
    line = Line(faults)
    line.sessions, line.received = 1, granules * GRANULARITY
    session = new_session(max_failures=100, url=f"{START}?upload_id=1")

    try:
        drive(session, line)
    except e.GeminiServiceError as error:
        assert "kept nothing of 3 sends in a row" in str(error)  # noqa: PT017 - either end is right
    else:
        assert line.received == SIZE


def test_a_whole_line_takes_two_requests():
    session, line = new_session(), Line([])

    start = session.next_request()
    line.send(session, start)
    send = session.next_request()
    line.send(session, send)

    assert start.headers["x-goog-api-key"] == "key"
    assert json.loads(start.content)["file"] == {"displayName": "a.txt", "mimeType": "text/plain", "sizeBytes": "1000"}
    assert "x-goog-api-key" not in send.headers
    assert (send.offset, send.headers["X-Goog-Upload-Command"]) == (0, "upload, finalize")
    assert session.resource == {"name": "files/a"}


def test_it_goes_on_where_the_service_got_to():
    session, line = new_session(), Line(["none", "broken in the middle"])
    for _ in range(3):
        line.send(session, session.next_request())

    request = session.next_request()

    assert (request.offset, request.headers["Content-Length"]) == (500, "500")


def requests_of(line: Line, session: UploadSession) -> list[tuple[str, int | None, int]]:
    """Drive a session; return command, offset and length of each request."""
    seen = []
    while session.resource is None:
        request = session.next_request()
        seen.append((request.headers["X-Goog-Upload-Command"], request.offset, request.length))
        line.send(session, request)
    return seen


def test_once_nothing_was_kept_pieces_are_sent_that_grow_while_they_arrive():
    assert requests_of(Line(["none", "nothing kept"]), new_session()) == [
        ("start", None, 0),
        ("upload, finalize", 0, 1000),
        ("query", None, 0),
        ("upload", 0, 50),
        ("upload", 50, 100),
        ("upload", 150, 200),
        ("upload", 350, 400),
        ("upload, finalize", 750, 250),
    ]


def test_pieces_become_small_again_when_one_is_lost():
    sent = requests_of(Line(["none", "nothing kept", "none", "none", "none", "nothing kept"]), new_session())

    assert ("upload", 150, 200) in sent
    assert sent[sent.index(("upload", 150, 200)) + 1 :][:2] == [("query", None, 0), ("upload", 150, 50)]


def test_three_sends_of_which_nothing_was_kept_are_an_end():
    session, line = new_session(max_failures=100), Line(["none", *["nothing kept", "none"] * 3])

    with pytest.raises(e.GeminiServiceError, match=r"kept nothing of 3 sends in a row, and still has 0 of 1000 bytes"):
        drive(session, line)

    assert line.sent == 1000 + 50 + 50


def test_the_patience_without_progress_is_bounded_however_many_failures_are_allowed():
    session = new_session(max_failures=10_000)
    waited = 0.0

    with pytest.raises(e.GeminiServiceError, match="broke off"):  # noqa: PT012 - how long it took is the point
        while True:
            session.broken(ConnectionError())
            waited += session.delay

    assert 500 < waited <= 600


def test_a_remembered_session_that_is_dead_costs_no_patience():
    session, line = new_session(max_failures=0, url=f"{START}?upload_id=1"), Line([])

    assert [command for command, _, _ in requests_of(line, session)] == ["query", "start", "upload, finalize"]


def test_what_an_earlier_try_was_refused_for_is_tried_anew():
    session = new_session(max_failures=0, url=f"{START}?upload_id=1")
    body = json.dumps({"error": {"code": 429, "message": "file_storage_bytes"}}).encode()

    session.answered(429, {"x-goog-upload-status": "final"}, body)

    assert session.next_request().headers["X-Goog-Upload-Command"] == "start"
    with pytest.raises(e.GeminiStorageFullError):
        session.answered(429, {"x-goog-upload-status": "final"}, body)


def test_a_remembered_session_that_was_finished_is_not_sent_again():
    session, line = new_session(url=f"{START}?upload_id=1"), Line([])
    line.received, line.final = SIZE, True

    assert [command for command, _, _ in requests_of(line, session)] == ["query"]
    assert line.sent == 0


def test_a_missing_status_is_no_reason_to_send_again():
    session, line = new_session(), Line(["none", "no status"])

    drive(session, line)

    assert line.sent == SIZE
    assert line.sessions == 1


def test_a_finalize_whose_answer_was_lost_is_found_and_not_sent_again():
    session, line = new_session(), Line(["none", "answer lost"])

    drive(session, line)

    assert session.resource == {"name": "files/a"}
    assert line.files == [1]


def test_a_refusal_that_is_final_ends_it_at_once():
    session = new_session()
    Line([]).send(session, session.next_request())

    body = json.dumps({"error": {"code": 400, "message": "Unsupported MIME type: bad/type"}}).encode()
    with pytest.raises(e.GeminiInputError, match="Unsupported MIME type: bad/type"):
        session.answered(400, {"x-goog-upload-status": "final"}, body)


def test_full_storage_is_not_tried_again():
    body = json.dumps({"error": {"code": 429, "message": "file_storage_bytes"}}).encode()

    with pytest.raises(e.GeminiStorageFullError):
        new_session().answered(429, {}, body)


def test_a_rate_limit_is_waited_out_as_long_as_asked():
    session = new_session()

    session.answered(429, {}, json.dumps({"error": {"message": "slow", "details": [{"retryDelay": "7s"}]}}).encode())

    assert session.delay == 7


def test_a_dead_session_is_replaced():
    session, line = new_session(), Line(["none", "broken in the middle", "dead"])

    drive(session, line)

    assert line.sessions == 2


def test_200_without_a_file_is_asked_about_and_then_an_error():
    session = new_session(max_failures=1)
    Line([]).send(session, session.next_request())

    session.answered(200, {"x-goog-upload-status": "final"}, b"{}")
    assert session.next_request().headers["X-Goog-Upload-Command"] == "query"
    with pytest.raises(e.GeminiServiceError, match="named no file"):
        session.answered(200, {"x-goog-upload-status": "final"}, b"{}")


def test_an_answer_without_url_names_the_likely_cause():
    session = new_session(max_failures=0)

    with pytest.raises(e.GeminiServiceError, match="proxy or gateway"):
        session.answered(200, {"x-goog-upload-status": "active"}, b"")


def test_the_delays_grow_and_end():
    session = new_session(max_failures=8)
    delays = []
    for _ in range(8):
        session.broken(ConnectionError())
        delays.append(session.delay)

    assert delays[0] <= 1
    assert 8 <= delays[4] <= 16
    assert max(delays) <= 30
