from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.cache import GeminiCache, check_model, parse_cache
from airflow_provider_gemini_files.caches.mark import fingerprint_in, marked_name

NAME = "cachedContents/0c5j38gpopx49ok6x7kedvbpy65d1bzkq8i5vldr"
FINGERPRINT = "0123456789abcdef01234567"
RESOURCE = {
    "name": NAME,
    "model": "models/gemini-3.5-flash",
    "displayName": "",
    "createTime": "2026-09-07T10:00:00.4Z",
    "updateTime": "2026-09-07T10:00:00.4Z",
    "expireTime": "2026-09-07T11:00:00.123456789Z",
    "usageMetadata": {"totalTokenCount": 51234},
}


class TestResource:
    def test_is_read_as_the_service_writes_it(self):
        cache = GeminiCache.from_api(RESOURCE)

        assert cache == GeminiCache(
            NAME, "gemini-3.5-flash", None, "2026-09-07T10:00:00.4Z", "2026-09-07T11:00:00.123456789Z", 51234
        )
        assert round(cache.expires_at() - cache.created_at(), 1) == 3599.7
        assert json.loads(json.dumps(cache.to_dict())) == cache.to_dict()

    @pytest.mark.parametrize("usage", [None, {}, {"totalTokenCount": "many"}])
    def test_tokens_that_are_not_told_are_not_known(self, usage):
        assert GeminiCache.from_api({**RESOURCE, "usageMetadata": usage}).tokens is None

    @pytest.mark.parametrize("resource", [{}, {"name": NAME}, {**RESOURCE, "name": "files/abc"}])
    def test_anything_else_is_refused(self, resource):
        with pytest.raises((ValueError, KeyError)):
            GeminiCache.from_api(resource)


class TestName:
    @pytest.mark.parametrize("cache", [NAME, NAME.rpartition("/")[2], f" {NAME} ", {"name": NAME}])
    def test_is_found_in_every_form(self, cache):
        assert parse_cache(cache) == NAME

    def test_is_found_in_a_cache(self):
        assert parse_cache(GeminiCache.from_api(RESOURCE)) == NAME

    @pytest.mark.parametrize("cache", ["", None, 5, "files/abc", "cachedContents/", {"name": None}, {}, [NAME], "a b"])
    def test_anything_else_is_refused_with_what_it_is(self, cache):
        with pytest.raises(e.GeminiInputError, match="is not the name of a cache"):
            parse_cache(cache)


class TestModel:
    @pytest.mark.parametrize(
        "model", ["gemini-4-argon", "models/gemini-4-argon-preview", "gemini-4.1-flash", "gemini-10-pro", "gemini-4"]
    )
    def test_from_gemini_4_on_has_no_caches(self, model):
        with pytest.raises(e.GeminiInputError, match=rf"{model} has no caches.*implicit"):
            check_model(model)

    @pytest.mark.parametrize(
        "model", ["gemini-3.8-flash", "models/gemini-2.5-pro", "gemini-flash-latest", "tunedModels/gemini-4", "gemma-4"]
    )
    def test_before_gemini_4_and_of_other_names_may_have_caches(self, model):
        check_model(model)


class TestMark:
    def test_is_found_in_the_display_name(self):
        name = marked_name("my_dag.cache", FINGERPRINT)

        assert name == f"my_dag.cache [cache {FINGERPRINT}]"
        assert fingerprint_in(name) == FINGERPRINT

    def test_survives_a_label_that_is_too_long(self):
        name = marked_name("d" * 250, FINGERPRINT)

        assert len(name) == 128
        assert fingerprint_in(name) == FINGERPRINT

    def test_label_is_one_line(self):
        assert "\n" not in marked_name("a\nb", FINGERPRINT)

    @pytest.mark.parametrize("name", [None, "", "a cache", "[cache 12]"])
    def test_other_display_names_have_none(self, name):
        assert fingerprint_in(name) is None
