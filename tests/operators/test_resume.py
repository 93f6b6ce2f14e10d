"""What a deferred upload leaves for the resumed task, as every version has stored it, up to the operator's result."""

from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files.exceptions import GeminiStorageFullError, GeminiWaitTimeoutError
from airflow_provider_gemini_files.files.events import error_event, files_event, usage_event
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom
from airflow_provider_gemini_files.files.storage_usage import StorageUsage
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.operators.resume import QuotaResume, UploadResume

#: The arguments of the deferrals of version 1, beside the event.
ORIGINS_V1 = {
    "origins": [
        {"uri": "/data/a.txt", "conn_id": None, "complete": True},
        {"uri": "s3://bucket/b.txt", "conn_id": "aws", "complete": True},
    ]
}
QUOTA_V1 = {
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "tries": 2,
    "evicted_bytes": 10,
    "names": {"/data/a.txt": "files/a"},
}
#: The records of version 2, which come back in the event.
UPLOAD_V2 = {"version": 2, "many": True, **ORIGINS_V1}
QUOTA_V2 = {"version": 2, **QUOTA_V1}

A, B = (GeminiFile(f"files/{letter}", state="ACTIVE") for letter in "ab")
FREE = StorageUsage(0, 1000, 0)


def stored(value: dict) -> dict:
    return json.loads(json.dumps(value))


def upload(source: object, **options: object) -> GeminiUploadFileOperator:
    return GeminiUploadFileOperator(task_id="upload", source=source, **options)


#: An event and the arguments beside it, by version.
FILES_EVENTS = {
    "v1": ({"files": [A.to_dict(), B.to_dict()]}, ORIGINS_V1),
    "v2": ({"version": 2, "files": [A.to_dict(), B.to_dict()], "resume": UPLOAD_V2}, {}),
}
USAGE_EVENTS = {
    "v1": ({"usage": FREE.to_dict()}, QUOTA_V1),
    "v2": ({"version": 2, "usage": FREE.to_dict(), "resume": QUOTA_V2}, {}),
}


class TestUploadThatWaitedForItsFiles:
    @pytest.mark.parametrize("version", FILES_EVENTS)
    def test_origins_are_restored(self, version):
        event, arguments = FILES_EVENTS[version]

        resume = UploadResume.read(event, arguments)

        assert [file.uploaded_from for file in resume.restored([A, B])] == [
            UploadedFrom("/data/a.txt"),
            UploadedFrom("s3://bucket/b.txt", "aws"),
        ]

    @pytest.mark.parametrize("version", FILES_EVENTS)
    def test_all_names_are_returned_and_all_metadata_pushed(self, context, ti, version):
        event, arguments = FILES_EVENTS[version]

        # A directory that this worker does not have.
        assert upload("/gone/directory").execute_complete(context, event, **arguments) == ["files/a", "files/b"]
        assert [file["uploaded_from"]["uri"] for file in ti.pushed["files"]] == ["/data/a.txt", "s3://bucket/b.txt"]

    def test_shape_of_the_result_is_what_the_upload_has_decided(self, context, ti):
        many = stored(files_event([A], {**UPLOAD_V2, "many": True, "origins": [None]}))
        single = stored(files_event([A], {**UPLOAD_V2, "many": False, "origins": [None]}))

        assert upload("/gone/directory").execute_complete(context, many) == ["files/a"]
        assert upload(["/gone/file"]).execute_complete(context, single) == "files/a"
        assert ti.pushed["files"][0]["name"] == ti.pushed["file"]["name"] == "files/a"

    def test_version_1_of_a_single_file_returns_its_name(self, context, ti):
        event = stored({"files": [A.to_dict()]})

        assert upload("/data/a.txt").execute_complete(context, event, origins=ORIGINS_V1["origins"][:1]) == "files/a"
        assert ti.pushed["file"]["uploaded_from"]["uri"] == "/data/a.txt"

    def test_version_1_of_a_list_of_one_returns_a_list(self, context):
        assert upload(["/data/a.txt"]).execute_complete(context, {"files": [A.to_dict()]}, origins=[]) == ["files/a"]

    def test_origins_that_do_not_belong_to_the_files_are_not_used(self):
        # Version 1 left out files without an origin.
        resume = UploadResume.read({"files": []}, ORIGINS_V1)

        assert resume.restored([A]) == [A]
        assert resume.restored([A])[0].uploaded_from is None

    def test_record_is_read_back(self):
        resume = UploadResume(many=False, origins=(UploadedFrom("/data/a.txt"), None))

        event = stored(files_event([A, B], resume.to_dict()))

        assert UploadResume.read(event, {}) == resume

    def test_fields_of_a_later_version_are_ignored(self):
        later = {"version": 3, "many": True, "mood": "good", "origins": [{"uri": "/data/a.txt", "mood": "good"}, None]}

        assert UploadResume.read({"resume": later}, {}) == UploadResume(True, (UploadedFrom("/data/a.txt"), None))

    def test_record_is_written_in_the_current_version(self):
        assert stored(UploadResume.read(None, UPLOAD_V2).to_dict()) == UPLOAD_V2


class TestUploadThatWaitedForFreeSpace:
    @pytest.mark.parametrize("version", USAGE_EVENTS)
    def test_record_is_read(self, version):
        event, arguments = USAGE_EVENTS[version]

        assert QuotaResume.read(event, arguments) == QuotaResume(
            1_800_000_000.0, 1_800_003_600.0, 2, 10, {"/data/a.txt": "files/a"}
        )

    @pytest.mark.parametrize(("version", "method"), [("v1", "execute_with_room"), ("v2", "execute_with_free_space")])
    def test_upload_uses_the_name_that_its_first_attempt_has_chosen(
        self, emulator, context, text_file, version, method
    ):
        names = {str(text_file): "files/chosen-before"}
        event, arguments = USAGE_EVENTS[version]
        if version == "v1":
            arguments = {**arguments, "names": names}
        else:
            event = {**event, "resume": {**QUOTA_V2, "names": names}}
        one = upload(str(text_file), reuse="never", on_quota="wait")

        assert getattr(one, method)(context, event, **arguments) == "files/chosen-before"

    @pytest.mark.parametrize(("version", "method"), [("v1", "execute_with_room"), ("v2", "execute_with_free_space")])
    def test_timeout_counts_the_attempts_before(self, context, version, method):
        timeout = GeminiWaitTimeoutError("too long")
        if version == "v1":
            event, arguments = {"error": "GeminiWaitTimeoutError", "message": "too long"}, QUOTA_V1
        else:
            event, arguments = stored(error_event(timeout, QUOTA_V2)), {}

        with pytest.raises(GeminiStorageFullError, match=r"at each of 2 attempts.*too long"):
            getattr(upload("/data/a.txt", on_quota="wait"), method)(context, event, **arguments)

    def test_record_is_read_back(self):
        resume = QuotaResume(1.0, 2.0, 3, 4, {"/data/a": "files/a"})

        assert QuotaResume.read(stored(usage_event(FREE, resume.to_dict())), {}) == resume

    def test_record_is_written_in_the_current_version(self):
        assert stored(QuotaResume.read(None, QUOTA_V1).to_dict()) == QUOTA_V2

    @pytest.mark.parametrize("event", [None, {}, {"usage": {}}, {"version": 2, "usage": {}, "resume": None}])
    def test_missing_record_is_none(self, event):
        assert QuotaResume.read(event, {}) is None

    def test_fields_of_a_later_version_are_ignored(self):
        assert QuotaResume.read({"resume": {**QUOTA_V2, "version": 3, "mood": "good"}}, {}) is not None
