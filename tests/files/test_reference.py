from __future__ import annotations

import base64
import hashlib
import json
from time import tzset

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import (
    GeminiFile,
    UploadedFrom,
    check_connection,
    names_for,
    parse_name,
    parse_names,
)

DIGEST = hashlib.sha256(b"x").hexdigest()
RESOURCE = {
    "name": "files/x27lu0k9zc2k",
    "displayName": "clip.mp4 [airflow dag=d run=r task=t map=3]",
    "mimeType": "video/mp4",
    "sizeBytes": "41762063",
    "createTime": "2025-02-14T22:33:33.377817Z",
    "expirationTime": "2025-02-16T22:33:33.359672295Z",
    "sha256Hash": base64.b64encode(DIGEST.encode()).decode(),
    "uri": "https://generativelanguage.googleapis.com/v1beta/files/x27lu0k9zc2k",
    "state": "ACTIVE",
    "source": "UPLOADED",
    "videoMetadata": {"videoDuration": "596s", "videoThumbnailBytes": "A" * 9000},
}


def test_reads_the_resource_of_the_service():
    file = GeminiFile.from_api(RESOURCE)

    assert file.size_bytes == 41762063
    assert file.sha256 == DIGEST
    assert file.owner == Owner("d", "r", "t", 3)
    assert file.create_time == "2025-02-14T22:33:33.377817Z"
    # Nine digits come in, microseconds stay.
    assert file.expiration_time == "2025-02-16T22:33:33.359672Z"


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2025-02-14T22:33:33Z", "2025-02-14T22:33:33Z"),
        ("2025-02-14T22:33:33.123456789Z", "2025-02-14T22:33:33.123456Z"),
        ("2025-02-14T23:33:33+01:00", "2025-02-14T22:33:33Z"),
        # Without a zone.
        ("2025-02-14T22:33:33", "2025-02-14T22:33:33Z"),
        # Not set.
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_time_is_read_alike_in_every_time_zone_of_a_worker(monkeypatch, time, read):
    monkeypatch.setenv("TZ", "America/New_York")
    tzset()
    try:
        file = GeminiFile.from_api({"name": "files/a", "createTime": time, "expirationTime": time})
    finally:
        monkeypatch.undo()
        tzset()

    assert (file.create_time, file.expiration_time) == (read, read)


def test_xcom_form_is_json_small_and_without_thumbnail():
    text = json.dumps(GeminiFile.from_api(RESOURCE).to_dict())

    assert len(text) < 1000
    assert "AAAA" not in text


def test_xcom_form_reads_back():
    file = GeminiFile.from_api(RESOURCE)

    assert GeminiFile.from_dict(json.loads(json.dumps(file.to_dict()))) == file


def test_xcom_form_of_a_later_version_is_read_without_its_new_keys():
    data = {
        "name": "files/abc",
        "labels": {"new": 1},
        "owner": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3, "team": "new"},
        "uploaded_from": {"uri": "/data/a.txt", "conn_id": None, "complete": False, "etag": "new"},
    }

    file = GeminiFile.from_dict(data)

    assert file.owner == Owner("d", "r", "t", 3)
    assert file.uploaded_from == UploadedFrom("/data/a.txt", complete=False)


@pytest.mark.parametrize("key", ["owner", "uploaded_from"])
def test_xcom_form_with_a_text_for_a_record_is_a_type_error(key):
    with pytest.raises(TypeError, match="not a record: 'text'"):
        GeminiFile.from_dict({"name": "files/abc", key: "text"})


def test_fields_of_a_later_version_are_ignored_also_within_records():
    file = GeminiFile("files/a", owner=Owner("d", "r", "t"), uploaded_from=UploadedFrom("/data/a.txt"))
    written = file.to_dict()
    later = {
        **written,
        "mood": 1,
        "owner": {**written["owner"], "mood": 1},
        "uploaded_from": {**written["uploaded_from"], "mood": 1},
    }

    read = GeminiFile.from_dict(later)

    assert (read, read.uploaded_from) == (file, file.uploaded_from)


@pytest.mark.parametrize("origin", ["a text", ["a"], {}, {"conn_id": "a"}])
def test_origin_without_a_uri_is_refused(origin):
    with pytest.raises(TypeError):
        UploadedFrom.from_dict(origin)


def test_a_resource_of_a_name_only_is_read():
    file = GeminiFile.from_api({"name": "files/abc"})

    assert (file.state, file.size_bytes, file.sha256, file.owner) == ("STATE_UNSPECIFIED", None, None, None)


@pytest.mark.parametrize(
    "encoded",
    [
        base64.b64encode(DIGEST.encode()).decode(),
        base64.b64encode(bytes.fromhex(DIGEST)).decode(),
    ],
    ids=["of the hex digest, as seen", "of the digest, as documented"],
)
def test_both_encodings_of_the_hash_are_read(encoded):
    assert GeminiFile.from_api({"name": "files/a", "sha256Hash": encoded}).sha256 == DIGEST


@pytest.mark.parametrize("encoded", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_a_hash_in_no_known_form_is_none(encoded):
    assert GeminiFile.from_api({"name": "files/a", "sha256Hash": encoded}).sha256 is None


@pytest.mark.parametrize("size", [-1, "-5", True, "5.0", "1e3"])
def test_size_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match=r"sizeBytes is|invalid literal"):
        GeminiFile.from_api({"name": "files/a", "sizeBytes": size})


def test_texts_that_no_database_takes_are_made_storable():
    error = {"code": 3, "message": "bad\0frame"}
    file = GeminiFile.from_api({"name": "files/a", "displayName": "a\0\ud800", "error": error})

    assert (file.display_name, file.error) == ("a\ufffd?", {"code": 3, "message": "bad\ufffdframe"})


def test_the_error_of_a_failed_file_is_kept_without_details():
    file = GeminiFile.from_api({"name": "files/a", "error": {"code": 3, "message": "bad codec", "details": [{}]}})

    assert file.error == {"code": 3, "message": "bad codec"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("files/abc", "files/abc"),
        ("abc", "files/abc"),
        ("files/a-b-1", "files/a-b-1"),
        ("https://generativelanguage.googleapis.com/v1beta/files/a-b-1", "files/a-b-1"),
        ("http://127.0.0.1:8085/v1/files/abc?x=1", "files/abc"),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media", "files/abc"),
        ("https://generativelanguage.googleapis.com/download/v1beta/files/abc:download?alt=media", "files/abc"),
        ("https://gateway.example/gemini/v1beta/files/abc", "files/abc"),
        ({"name": "files/abc", "uri": "..."}, "files/abc"),
        (GeminiFile("files/abc"), "files/abc"),
        ("files/" + "b" * 42, "files/" + "b" * 42),
        # As a template leaves it that makes numbers of digits.
        (2026, "files/2026"),
    ],
)
def test_a_file_is_accepted_in_every_form(given, name):
    assert parse_name(given) == name


@pytest.mark.parametrize(
    "given",
    ["", "files/", "files/UPPER", "files/-a", "files/a-", "a/b", "files/" + "c" * 43, "gs://b/o", 7.5, None, {}, ["a"]],
)
def test_what_is_no_file_is_refused_with_its_value(given):
    with pytest.raises(GeminiInputError, match="files/<id>") as caught:
        parse_name(given)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "given",
    [
        "gs://bucket/files/abc",
        "gs://bucket/v1beta/files/abc",
        "https://bucket.s3.amazonaws.com/files/abc?X-Amz-Signature=secret",
        "s3://bucket/files/abc",
        "https:///v1beta/files/abc",
        "https://host/v1beta/files/abc/def",
        "https://host/v1beta/files/abc:delete",
    ],
)
def test_address_of_another_service_is_not_a_file(given):
    with pytest.raises(GeminiInputError, match="is not a Gemini file") as raised:
        parse_name(given)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("given", ["https://[::1/v1beta/files/abc", "https://[host]/files/abc", "http://a]b/files/abc"])
def test_uri_with_an_invalid_host_is_refused(given):
    with pytest.raises(GeminiInputError, match="is not a Gemini file: expected"):
        parse_name(given)
    with pytest.raises(GeminiInputError, match="is not a Gemini file: expected"):
        parse_name({"name": given})


def test_a_list_keeps_its_order_and_loses_repetition():
    assert parse_names(["b", "files/a", {"name": "files/b"}]) == ["files/b", "files/a"]
    assert parse_names("a") == ["files/a"]


def test_lists_of_mapped_uploads_are_one_list():
    assert parse_names([["a", "b"], ["c"], [], "d"]) == ["files/a", "files/b", "files/c", "files/d"]
    with pytest.raises(GeminiInputError, match="got an empty list"):
        parse_names([[], []])
    with pytest.raises(GeminiInputError, match="got None"):
        parse_names([["a"], None])


@pytest.mark.parametrize("given", ["['files/a', 'files/b']", "{'name': 'files/a'}", '{"name": "files/a"}\n'])
def test_text_of_a_list_or_dict_is_told_how_to_stay_one(given):
    with pytest.raises(GeminiInputError, match="set render_template_as_native_obj=True on the Dag"):
        parse_name(given)


def test_an_iterator_and_a_set_are_lists():
    assert names_for(iter(["b", "a"]), "any") == ["files/b", "files/a"]
    assert names_for({"b", "c", "a"}, "any") == ["files/a", "files/b", "files/c"]


def test_an_empty_list_is_refused():
    with pytest.raises(GeminiInputError, match="empty list"):
        parse_names([])


@pytest.mark.parametrize("file", [{"name": "files/a", "conn_id": "theirs"}, GeminiFile("files/a", conn_id="theirs")])
def test_metadata_of_another_connection_are_refused_with_both_connections(file):
    told = r"files/a was uploaded through connection 'theirs', and this request goes through 'ours'"

    with pytest.raises(GeminiInputError, match=told):
        check_connection(file, "ours")
    with pytest.raises(GeminiInputError, match=told):
        names_for(["files/b", file], "ours")


@pytest.mark.parametrize(
    "file",
    [
        "files/a",
        "https://host/v1beta/files/a",
        {"name": "files/a"},
        {"name": "files/a", "conn_id": None},
        {"name": "files/a", "conn_id": "ours"},
        GeminiFile("files/a"),
        GeminiFile("files/a", conn_id="ours"),
    ],
)
def test_file_of_the_same_or_an_unknown_connection_is_accepted(file):
    assert names_for(file, "ours") == names_for([file], "ours") == ["files/a"]
