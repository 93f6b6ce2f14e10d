"""The File resource, its states and expiry, and the methods on files."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime

import pytest
from emulator.api import Api

from airflow_provider_gemini_files.emulator import GeminiEmulator, projects, uploads

DAY = 86400
OAUTH = {"authorization": "Bearer token", "x-goog-user-project": "my-project"}


class TestResource:
    def test_uploaded_file_has_every_field(self, api):
        file = api.file(b"hello", displayName="Greeting")
        assert list(file) == [
            "name",
            "displayName",
            "mimeType",
            "sizeBytes",
            "createTime",
            "updateTime",
            "expirationTime",
            "sha256Hash",
            "uri",
            "state",
            "source",
        ]
        assert re.fullmatch(r"files/[a-z0-9]{12}", file["name"])
        assert file["uri"] == f"https://generativelanguage.googleapis.com/v1beta/{file['name']}"
        assert (file["sizeBytes"], file["state"], file["source"]) == ("5", "ACTIVE", "UPLOADED")
        assert file["sha256Hash"] == base64.b64encode(hashlib.sha256(b"hello").hexdigest().encode()).decode()
        assert len(file["sha256Hash"]) == 88
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", file["createTime"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", file["expirationTime"])
        created, expires = (datetime.fromisoformat(file[name]) for name in ("createTime", "expirationTime"))
        assert 2 * DAY - 1 < (expires - created).total_seconds() < 2 * DAY

    def test_unset_fields_are_omitted(self, api):
        assert not {"displayName", "error", "videoMetadata", "downloadUri"} & api.file().keys()

    def test_requested_name_is_used_and_unique(self, api):
        assert api.file(name="files/my-own-name")["name"] == "files/my-own-name"
        response = api.start(5, name="files/my-own-name")
        assert (response.status_code, response.json()["error"]["status"]) == (409, "ALREADY_EXISTS")
        api.delete("files/my-own-name")
        assert api.file(name="my-own-name")["name"] == "files/my-own-name"

    def test_two_sessions_with_one_name_create_one_file(self, api):
        first, second = (api.session(5, name="files/same") for _ in range(2))
        assert api.command(first, "upload, finalize", b"hello", 0).status_code == 200
        late = api.command(second, "upload, finalize", b"hello", 0)
        assert (late.status_code, late.headers["x-goog-upload-status"]) == (409, "final")

    def test_creates_file_of_metadata_only(self, api):
        file = api.post("files", {"file": {"displayName": "Nothing", "mimeType": "text/plain"}}).json()["file"]
        assert (file["displayName"], file["state"]) == ("Nothing", "ACTIVE")
        assert not {"sizeBytes", "sha256Hash"} & file.keys()
        assert api.get(file["name"]).json() == file


class TestLife:
    def test_video_is_processing_before_active(self, emulator, api):
        file = api.file(b"\0" * 220_000, "video/mp4")
        assert (file["state"], "videoMetadata" in file) == ("PROCESSING", False)
        assert file["updateTime"] == file["createTime"]
        emulator.clock.advance(61)
        file = api.get(file["name"]).json()
        assert (file["state"], file["videoMetadata"]["videoDuration"]) == ("ACTIVE", "2s")
        assert base64.b64decode(file["videoMetadata"]["videoThumbnailBytes"])
        assert file["updateTime"] > file["createTime"]

    @pytest.mark.parametrize("mime_type", ["text/plain", "image/png", "audio/mpeg", "application/pdf"])
    def test_small_files_of_other_types_are_active_at_once(self, api, mime_type):
        assert api.file(b"x", mime_type)["state"] == "ACTIVE"

    @pytest.mark.parametrize(
        ("mime_type", "state"),
        [("audio/mpeg", "PROCESSING"), ("application/pdf", "PROCESSING"), ("text/plain", "ACTIVE")],
    )
    def test_large_audio_and_pdf_files_are_processing_first(self, api, mime_type, state):
        assert api.file(bytes(16 * 1024**2), mime_type)["state"] == state

    def test_file_expires_after_48_hours(self, emulator, api):
        name = api.file()["name"]
        emulator.clock.advance(2 * DAY - 60)
        assert api.get(name).status_code == 200
        emulator.clock.advance(60)
        assert api.get(name).json()["error"] == {
            "code": 403,
            "message": f"You do not have permission to access the File {name[6:]} or it may not exist.",
            "status": "PERMISSION_DENIED",
        }
        assert api.get("files").json() == {}
        assert emulator.usage() == {"files": 0, "bytes": 0}

    def test_clock_moves_forward_over_http(self, emulator, api):
        name = api.file()["name"]
        assert api.http.post("/__emulator/clock", json={"advance": 2 * DAY}).status_code == 200
        assert api.get(name).status_code == 403
        assert api.http.post("/__emulator/clock", json={"advance": -1}).status_code == 400


class TestStorage:
    def test_quota_is_checked_at_start_and_end_and_freed_by_delete(self):
        with GeminiEmulator(quota_bytes=10) as emulator:
            api = Api(emulator.base_url)
            name = api.file(b"123456")["name"]
            response = api.start(5)
            assert response.status_code == 429
            assert "limit: 10" in response.json()["error"]["message"]
            undeclared = api.session(None)
            late = api.command(undeclared, "upload, finalize", b"12345", 0)
            assert (late.status_code, late.headers["x-goog-upload-status"]) == (429, "final")
            assert Api(emulator.base_url, key="other").upload(b"12345").status_code == 200
            api.delete(name)
            assert api.upload(b"12345").status_code == 200

    def test_deleted_bytes_count_for_freed_seconds(self):
        with GeminiEmulator(quota_bytes=10, freed_seconds=60) as emulator:
            api = Api(emulator.base_url)
            api.delete(api.file(b"123456")["name"])
            assert emulator.usage() == {"files": 0, "bytes": 0}
            assert api.start(5).status_code == 429
            emulator.clock.advance(60)
            assert api.upload(b"12345").status_code == 200

    def test_file_size_limit_is_2_gib(self, api):
        assert api.start(2 * 1024**3).status_code == 200
        assert api.start(2 * 1024**3 + 1).status_code == 400


class TestMemory:
    def test_large_files_keep_size_and_hash_but_not_all_bytes(self, emulator, api, monkeypatch):
        monkeypatch.setattr(projects, "MAX_KEPT_BYTES", 10_000)
        first, second = api.file(bytes(9000)), api.file(bytes(9000))
        sizes = {f.id: len(f.content) for f in emulator.emulator.project("k").files()}
        assert sizes == {first["name"][6:]: 9000, second["name"][6:]: 4096}
        assert first["sizeBytes"] == second["sizeBytes"] == "9000"
        assert first["sha256Hash"] == second["sha256Hash"]
        batch = {"displayName": "b", "inputConfig": {"fileName": second["name"]}}
        response = api.post("models/gemini-3.8-flash:batchGenerateContent", {"batch": batch})
        assert (response.status_code, "too few for a batch" in response.text) == (400, True)

    def test_oldest_sessions_are_dropped(self, api, monkeypatch):
        monkeypatch.setattr(uploads, "MAX_SESSIONS", 2)
        urls = [api.session(5) for _ in range(3)]
        assert [api.command(url, "query").status_code for url in urls] == [404, 200, 200]


class TestProjects:
    def test_files_of_another_key_are_hidden(self, emulator, api):
        name = api.file()["name"]
        other = Api(emulator.base_url, key="other")
        assert other.get(name).json()["error"]["status"] == "PERMISSION_DENIED"
        assert other.delete(name).status_code == 403
        assert other.get("files").json() == {}
        assert api.get(name).status_code == 200


class TestList:
    def test_empty_list_is_an_empty_object(self, api):
        assert api.get("files").json() == {}

    def test_list_is_newest_first_with_ten_a_page(self, api):
        names = [api.file()["name"] for _ in range(12)]
        body = api.get("files").json()
        assert [file["name"] for file in body["files"]] == names[:1:-1]
        rest = api.get("files", params={"pageToken": body["nextPageToken"]}).json()
        assert [file["name"] for file in rest["files"]] == names[1::-1]
        assert "nextPageToken" not in rest

    def test_page_token_stays_valid_after_deletions(self, api):
        names = [api.file()["name"] for _ in range(6)]
        body = api.get("files", params={"pageSize": 2}).json()
        for gone in (names[5], names[4], names[2]):
            api.delete(gone)
        rest = api.get("files", params={"pageSize": 5, "pageToken": body["nextPageToken"]}).json()
        assert [file["name"] for file in rest["files"]] == [names[3], names[1], names[0]]

    @pytest.mark.parametrize("size", ["101", "-1", "many", "\u00b2", "\u0663", "9" * 5000])
    def test_invalid_page_size_is_refused(self, api, size):
        assert api.get("files", params={"pageSize": size}).status_code == 400

    @pytest.mark.parametrize("token", ["nonsense", "bnVsbA==", base64.b64encode(b"[" * 10_000).decode()])
    def test_invalid_page_token_is_refused(self, api, token):
        assert api.get("files", params={"pageToken": token}).status_code == 400


class TestRegister:
    @pytest.fixture
    def register(self, emulator):
        client = Api(emulator.base_url, key="")

        def register(*uris, headers=OAUTH):
            return client.post("files:register", {"uris": list(uris)}, headers=headers)

        return register

    @pytest.fixture
    def owner(self, emulator):
        return Api(emulator.base_url, key=OAUTH["x-goog-user-project"])

    def test_registers_cloud_storage_objects_for_30_days(self, emulator, register, owner):
        uris = ["gs://bucket/film.mp4", "gs://bucket/folder/text.txt"]
        files = register(*uris).json()["files"]
        assert [(file["uri"], file["mimeType"], file["state"], file["source"]) for file in files] == [
            (uris[0], "video/mp4", "ACTIVE", "REGISTERED"),
            (uris[1], "text/plain", "ACTIVE", "REGISTERED"),
        ]
        created, expires = (datetime.fromisoformat(files[0][name]) for name in ("createTime", "expirationTime"))
        assert 30 * DAY - 1 < (expires - created).total_seconds() < 30 * DAY
        emulator.clock.advance(29 * DAY)
        assert owner.get(files[0]["name"]).status_code == 200
        emulator.clock.advance(DAY)
        assert owner.get(files[0]["name"]).status_code == 403

    def test_registered_files_take_no_storage(self, emulator, register, owner, monkeypatch):
        monkeypatch.setattr(emulator.settings, "quota_bytes", 5)
        register("gs://bucket/film.mp4")
        assert emulator.usage() == {"files": 1, "bytes": 0}
        assert owner.upload(b"12345").status_code == 200

    def test_same_object_can_be_registered_twice_and_deleted_once(self, register, owner):
        first, second = (register("gs://b/o").json()["files"][0]["name"] for _ in range(2))
        assert owner.delete(first).json() == {}
        assert [file["name"] for file in owner.get("files").json()["files"]] == [second]

    def test_other_uris_are_refused_by_name_and_nothing_is_registered(self, emulator, register):
        for uri in ("s3://b/o", "gs://bucket", "gs:///o", "https://storage.googleapis.com/b/o"):
            response = register("gs://b/good", uri)
            assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
            assert f"{uri} is not a Cloud Storage URI" in response.text
        assert register().status_code == 400
        assert emulator.usage()["files"] == 0

    def test_bucket_that_the_service_may_not_read_is_refused(self, emulator, register, monkeypatch):
        monkeypatch.setattr(emulator.settings, "forbidden_buckets", ("closed",))
        response = register("gs://open/o", "gs://closed/folder/o")
        assert (response.status_code, response.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
        assert "gs://closed/folder/o" in response.text
        assert emulator.usage()["files"] == 0
        assert register("gs://open/o", "gs://closed-not/o").status_code == 200

    def test_register_without_bearer_token_is_refused(self, api, register):
        assert api.post("files:register", {"uris": ["gs://b/o"]}).status_code == 401
        assert register("gs://b/o", headers={}).status_code == 403

    @pytest.mark.parametrize("key", ["k", "AQ.abc"])
    def test_bearer_token_with_a_key_is_refused(self, emulator, register, key):
        uris = {"uris": ["gs://b/o"]}
        in_header = Api(emulator.base_url, key=key).post("files:register", uris, headers=OAUTH)
        in_query = Api(emulator.base_url, key="").post(f"files:register?key={key}", uris, headers=OAUTH)
        for response in (in_header, in_query):
            error = response.json()["error"]
            assert (response.status_code, error["status"]) == (401, "UNAUTHENTICATED")
            assert error["details"][0]["reason"] == "OVERLOADED_CREDENTIALS"
        assert emulator.usage()["files"] == 0

    def test_new_style_key_with_bearer_token_is_refused_everywhere(self, emulator):
        assert Api(emulator.base_url, key="AQ.abc").get("files", headers=OAUTH).status_code == 401
        assert Api(emulator.base_url, key="k").get("files", headers=OAUTH).status_code == 200


class TestDownload:
    @pytest.mark.parametrize("prefix", ["", "/download"])
    def test_uploaded_file_cannot_be_downloaded(self, api, prefix):
        name = api.file()["name"]
        assert api.http.get(f"{prefix}/v1beta/{name}:download?alt=media").status_code == 400
