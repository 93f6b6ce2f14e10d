from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import sdk

OWNER = Owner("dag", "run", "cache", deployment="here")
VIDEO = GeminiFile("files/video", uri="https://x/files/video", mime_type="video/mp4")
PART = {"file": "files/video", "video": {"start": 1, "end": 9.5, "fps": 2}, "media_resolution": "low"}
CONTENTS: list[Any] = [
    {"role": "user", "parts": [PART, "What is this?"]},
    {"role": "model", "parts": ["A video."]},
    {"url": "https://host/report.pdf"},
    {"url": "https://www.youtube.com/watch?v=1"},
    {"data": b"\xff\xfe\x00", "mime_type": "image/png"},
]


def spec(contents: Any = "files/video", **fields: Any) -> CacheSpec:
    given = {"model": "gemini-3.5-flash", "ttl": 3600.0, "system_instruction": None, "conn_id": "gemini_default"}
    return CacheSpec.of(
        Contents.parse(None, None, contents), **{**given, "owner": OWNER, "label": "dag.cache", **fields}
    )


class TestFingerprint:
    def test_is_the_same_for_each_attempt(self):
        assert spec(CONTENTS).fingerprint == spec(CONTENTS).fingerprint is not None

    def test_does_not_depend_on_how_long_the_cache_lives_or_is_labelled(self):
        assert spec(ttl=60.0, label="other").fingerprint == spec().fingerprint

    @pytest.mark.parametrize(
        "fields",
        [
            {"contents": "files/other"},
            {"contents": ["files/video", "text"]},
            {"contents": {"file": "files/video", "media_resolution": "low"}},
            {"contents": {"data": b"one", "mime_type": "image/png"}},
            {"contents": {"data": b"two", "mime_type": "image/png"}},
            {"contents": {"url": "https://www.youtube.com/watch?v=1"}},
            {"contents": {"url": "https://www.youtube.com/watch?v=2"}},
            {"model": "gemini-2.5-flash"},
            {"system_instruction": "Be short."},
            {"conn_id": "other"},
            {"owner": None},
            *({"owner": replace(OWNER, **{name: value})} for name, value in {
                "dag_id": "other", "run_id": "other", "task_id": "other", "map_index": 3, "deployment": "other",
            }.items()),
        ],
    )  # fmt: skip
    def test_changes_with_the_task_instance_and_everything_that_is_cached(self, fields):
        assert spec(**fields).fingerprint not in (None, spec().fingerprint)

    def test_of_all_different_contents_are_different(self):
        urls = [{"url": f"https://www.youtube.com/watch?v={at}"} for at in range(3)]
        data = [{"data": bytes([at]), "mime_type": "image/png"} for at in range(3)]

        assert len({spec(contents).fingerprint for contents in [*urls, *data]}) == 6


class TestBody:
    def test_says_what_is_cached_for_whom_and_how_long(self):
        given = spec(ttl=90.2, system_instruction="Be short.")

        assert given.body([VIDEO]) == {
            "model": "models/gemini-3.5-flash",
            "displayName": f"dag.cache [cache {given.fingerprint}]",
            "contents": [{"role": "user", "parts": [{"fileData": {"fileUri": VIDEO.uri, "mimeType": "video/mp4"}}]}],
            "systemInstruction": {"role": "user", "parts": [{"text": "Be short."}]},
            "ttl": "91s",
        }

    def test_has_each_part_as_the_sdk_would_send_it(self):
        given = spec(CONTENTS)
        turns = given.contents.turns({VIDEO.name: VIDEO})

        sent = json.loads(json.dumps(given.body([VIDEO])))["contents"]

        expected = sdk.request_json(turns, sdk.content_config(None, None))["contents"]
        # The SDK writes base64 with the URL's alphabet; the service reads both.
        assert sent == json.loads(json.dumps(expected).replace("__4A", "//4A"))

    def test_has_no_type_that_is_not_known(self):
        body = spec().body([replace(VIDEO, mime_type=None)])

        assert body["contents"][0]["parts"] == [{"fileData": {"fileUri": VIDEO.uri}}]

    @pytest.mark.parametrize(
        ("model", "sent"),
        [("models/gemini-3.5-flash", "models/gemini-3.5-flash"), ("tunedModels/mine", "tunedModels/mine")],
    )
    def test_has_the_model_under_its_resource_name(self, model, sent):
        assert spec(model=model).body([VIDEO])["model"] == sent


def test_long_lives_are_written_in_plain_digits():
    assert spec(ttl=30 * 86_400.0).body([VIDEO])["ttl"] == "2592000s"


def test_model_without_caches_is_refused():
    with pytest.raises(e.GeminiInputError, match="gemini-4-argon has no caches"):
        spec(model="gemini-4-argon")


def test_source_is_refused():
    with pytest.raises(e.GeminiInputError, match=r"contents\[0\] is a source: upload it"):
        spec({"source": "/data/clip.mp4"})


@pytest.mark.parametrize("fields", [{"contents": "half \ud800"}, {"system_instruction": "half \ud800"}])
def test_half_of_a_character_is_refused(fields):
    with pytest.raises(e.GeminiInputError, match="a lone surrogate"):
        spec(**fields)
