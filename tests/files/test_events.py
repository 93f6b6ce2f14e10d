"""What a trigger tells a resumed task, in the form in which Airflow's database holds it, in every version."""

from __future__ import annotations

import json
import math

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.events import (
    error_event,
    error_of,
    files_event,
    files_of,
    resume_of,
    usage_event,
    usage_of,
)
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import StorageUsage

#: A file as version 1 stored it.
FILE_V1 = {
    "name": "files/a",
    "uri": "https://generativelanguage.googleapis.com/v1beta/files/a",
    "mime_type": "video/mp4",
    "size_bytes": 100,
    "sha256": "0" * 64,
    "state": "ACTIVE",
    "create_time": "2026-11-01T00:00:00.000000Z",
    "expiration_time": "2026-11-03T00:00:00.000000Z",
    "display_name": "a.mp4 [airflow dag=d run=r task=t]",
    "source": "UPLOADED",
    "owner": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1},
    "error": None,
    "uploaded_from": None,
}
FILE_V2 = {
    **FILE_V1,
    "owner": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "deployment": "production"},
    "uploaded_from": {"uri": "/data/a.mp4", "conn_id": None, "complete": True},
    "conn_id": "gemini_default",
}
USAGE = {
    "used_bytes": 900,
    "quota_bytes": 1000,
    "files": 1,
    "by_state": {"ACTIVE": 1},
    "next_expiry": "2026-11-03T00:00:00.000000Z",
    "share": 0.9,
    "free_bytes": 100,
}
RESUME = {"version": 2, "many": True, "origins": [None]}

FILES = {"v1": {"files": [FILE_V1]}, "v2": {"version": 2, "files": [FILE_V2], "resume": RESUME}}
USAGES = {"v1": {"usage": USAGE}, "v2": {"version": 2, "usage": USAGE, "resume": RESUME}}
FAILED = {
    "v1": {"error": "GeminiFileFailedError", "message": "unknown codec", "file_names": ["files/a"]},
    "v2": {
        "version": 2,
        "error": {
            "class": "GeminiFileFailedError",
            "message": "unknown codec",
            "retry_after": None,
            "file_names": ["files/a"],
        },
        "resume": RESUME,
    },
}
TIMED_OUT = {
    "v1": {"error": "GeminiWaitTimeoutError", "message": "too long"},
    "v2": {
        "version": 2,
        "error": {"class": "GeminiWaitTimeoutError", "message": "too long", "retry_after": None},
        "resume": None,
    },
}
EVERY_ERROR = [kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.GeminiFilesError)]


def stored(event: dict) -> dict:
    """Return an event as it comes back from the database."""
    return json.loads(json.dumps(event, allow_nan=False))


class TestStoredEventOfEveryVersion:
    @pytest.mark.parametrize("version", ["v1", "v2"])
    def test_files(self, version):
        [file] = files_of(FILES[version])

        assert (file.name, file.state, file.size_bytes) == ("files/a", "ACTIVE", 100)
        assert (file.owner.dag_id, file.owner.map_index) == ("d", -1)
        assert (file.owner.deployment, file.conn_id) == (
            ("production", "gemini_default") if version == "v2" else (None, None)
        )

    @pytest.mark.parametrize("version", ["v1", "v2"])
    def test_usage(self, version):
        assert usage_of(USAGES[version]) == USAGE

    @pytest.mark.parametrize("read", [files_of, usage_of])
    @pytest.mark.parametrize("version", ["v1", "v2"])
    def test_failed_file(self, version, read):
        with pytest.raises(e.GeminiFileFailedError, match=r"^unknown codec \[GF121\]$") as caught:
            read(FAILED[version])
        assert caught.value.file_names == ("files/a",)

    @pytest.mark.parametrize("read", [files_of, usage_of])
    @pytest.mark.parametrize("version", ["v1", "v2"])
    def test_timeout(self, version, read):
        with pytest.raises(e.GeminiWaitTimeoutError, match=r"^too long \[GF204\]$"):
            read(TIMED_OUT[version])

    def test_file_is_still_written_in_the_current_form(self):
        [file] = files_of(FILES["v2"])

        assert stored(file.to_dict()) == FILE_V2

    def test_resume(self):
        assert resume_of(FILES["v1"]) is None
        assert resume_of(FILES["v2"]) == RESUME
        assert resume_of(FAILED["v2"]) == RESUME
        assert resume_of(TIMED_OUT["v2"]) is None
        assert resume_of(None) is None


class TestWrittenEvent:
    def test_files_are_read_back_in_their_order(self):
        files = [GeminiFile("files/b", size_bytes=3), GeminiFile("files/a", owner=Owner("d", "r", "t"))]

        event = stored(files_event(files, RESUME))

        assert files_of(event) == files
        assert resume_of(event) == RESUME
        assert event.keys() == {"version", "files", "resume"}

    def test_usage_is_read_back(self):
        usage = StorageUsage(900, 1000, 1, {"ACTIVE": 1})

        assert usage_of(stored(usage_event(usage))) == usage.to_dict()

    @pytest.mark.parametrize("kind", EVERY_ERROR)
    def test_error_keeps_its_class_and_message(self, kind):
        error = error_of(stored(error_event(kind("what happened"))))

        assert (type(error), error.message) == (kind, "what happened")

    @pytest.mark.parametrize(("asked", "kept"), [(None, None), (60, 60), (math.inf, None)])
    def test_error_keeps_the_delay_that_the_service_asks_for(self, asked, kept):
        assert error_of(stored(error_event(e.GeminiRateLimitError("429", asked)))).retry_after == kept

    def test_error_keeps_the_names_of_failed_files(self):
        error = error_of(stored(error_event(e.GeminiFileFailedError("failed", ["files/a", "files/b"]))))

        assert error.file_names == ("files/a", "files/b")

    def test_error_keeps_the_missing_bytes(self):
        assert error_of(stored(error_event(e.GeminiStorageFullError("full", 12)))).missing_bytes == 12


class TestUnreadableEvent:
    @pytest.mark.parametrize("event", [None, {}, {"status": "?"}, {"files": None}, {"usage": 5}, {"version": 3}])
    @pytest.mark.parametrize("read", [files_of, usage_of])
    def test_never_passes_for_success(self, read, event):
        with pytest.raises(e.GeminiServiceError, match="without a result"):
            read(event)

    @pytest.mark.parametrize("kind", ["GeminiErrorOfTheFuture", "AirflowFailException", "annotations", None])
    def test_error_of_an_unknown_class_can_be_retried(self, kind):
        error = error_of({"version": 3, "error": {"class": kind, "message": "new"}})

        assert (type(error), error.message) == (e.GeminiServiceError, "new")

    def test_error_without_a_message_has_one(self):
        assert error_of({"error": "GeminiServiceError", "message": None}).message == "The wait failed."
