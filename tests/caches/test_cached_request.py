from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.cache import GeminiCache
from airflow_provider_gemini_files.caches.cached_request import model_for, with_cache
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest

CACHE = GeminiCache("cachedContents/abc", "gemini-3.5-flash")
VIEW = {"file": "files/video", "video": {"start": 10}}


def recipe_of(*contents: Any, cache: GeminiCache | None = CACHE, system_instruction: str | None = None) -> CacheRecipe:
    spec = CacheSpec.of(
        Contents.parse(None, None, list(contents)), model=CACHE.model, ttl=3600.0,
        system_instruction=system_instruction, conn_id="gemini_default", owner=None, label="d.c",
    )  # fmt: skip
    return CacheRecipe.of(spec, cache, "gemini_default")


VIDEO = recipe_of("files/video", "Seen at the gate.", system_instruction="Be short.")
SKIPPED = recipe_of("files/video", "Seen at the gate.", system_instruction="Be short.", cache=None)


def parts(request: ModelRequest) -> list[dict[str, Any]]:
    return [part for turn in request.contents.by_name() for part in turn["parts"]]


class TestRequestWithCache:
    def test_has_the_model_of_the_cache_and_names_it(self):
        request = with_cache(ModelRequest.of(prompt="What?"), VIDEO)

        assert request.model == "gemini-3.5-flash"
        assert request.cache.name == CACHE.name
        assert request.configuration("gemini-3.5-flash") == {"cached_content": CACHE.name}
        assert request.file_names == ["files/video"]

    def test_leaves_out_files_that_the_cache_holds(self):
        request = with_cache(ModelRequest.of(prompt="What?", files=["files/video", "files/photo"]), VIDEO)

        assert parts(request) == [{"file": "files/photo"}, {"text": "What?"}]
        assert request.contents.names == ["files/photo"]
        assert request.file_names == ["files/video", "files/photo"]

    def test_leaves_out_files_in_every_form_and_within_turns(self):
        turn = {"role": "user", "parts": [{"name": "files/video", "mime_type": "video/mp4"}, "An example."]}

        request = with_cache(ModelRequest.of(prompt="What?", contents=[turn]), VIDEO)

        assert parts(request) == [{"text": "An example."}, {"text": "What?"}]

    @pytest.mark.parametrize(("held", "asked"), [("files/video", VIEW), (VIEW, "files/video")])
    def test_sends_a_file_that_is_to_be_seen_in_another_way(self, held, asked):
        request = with_cache(ModelRequest.of(prompt="What?", files=asked), recipe_of(held))

        assert request.contents.names == ["files/video"]

    def test_sends_texts_even_if_the_cache_holds_the_same(self):
        request = with_cache(ModelRequest.of(contents=["Seen at the gate."]), VIDEO)

        assert parts(request) == [{"text": "Seen at the gate."}]

    def test_sends_everything_if_it_is_not_known_what_the_cache_holds(self):
        request = with_cache(ModelRequest.of(prompt="What?", files="files/video"), CacheRecipe.read(CACHE.name))

        assert request.contents.names == ["files/video"]
        assert (request.model, request.cache.name) == (None, CACHE.name)

    def test_must_have_something_of_its_own(self):
        with pytest.raises(e.GeminiInputError, match="nothing but what cachedContents/abc holds"):
            with_cache(ModelRequest.of(contents=["files/video"]), VIDEO)


class TestRequestWithoutSkippedCache:
    def test_sends_what_the_cache_would_hold_first(self):
        request = with_cache(ModelRequest.of(prompt="What?", files=["files/video", "files/photo"]), SKIPPED)

        assert parts(request) == [
            {"file": "files/video"}, {"text": "Seen at the gate."}, {"file": "files/photo"}, {"text": "What?"},
        ]  # fmt: skip
        assert request.contents.names == ["files/video", "files/photo"]
        assert (request.model, request.system_instruction) == ("gemini-3.5-flash", "Be short.")
        assert request.cache is None
        assert request.configuration("gemini-3.5-flash") is None

    def test_needs_no_files_of_its_own(self):
        assert with_cache(ModelRequest.of(prompt="What?"), SKIPPED).contents.names == ["files/video"]


@pytest.mark.parametrize("recipe", [VIDEO, SKIPPED], ids=["cache", "skipped"])
class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"system_instruction": "Be short."}, "system_instruction"),
            ({"generation_config": {"tools": [{"google_search": {}}]}}, "tools of generation_config"),
            ({"generation_config": {"tool_config": {}}}, "tool_config of generation_config"),
            ({"generation_config": {"toolConfig": {}}}, "toolConfig of generation_config"),
            ({"generation_config": {"systemInstruction": "x"}}, "systemInstruction of generation_config"),
            ({"generation_config": {"cached_content": "cachedContents/x"}}, "cached_content of generation_config"),
            ({"file_search": {"stores": ["fileSearchStores/x"]}}, "file_search"),
            (
                {"file_search": {"stores": ["fileSearchStores/x"]}, "system_instruction": "x"},
                "system_instruction, file",
            ),
        ],
    )
    def test_name_what_the_service_refuses_beside_a_cache(self, arguments, told, recipe):
        with pytest.raises(e.GeminiInputError, match=f"cannot have {told}"):
            with_cache(ModelRequest.of(prompt="What?", **arguments), recipe)

    def test_name_both_models(self, recipe):
        with pytest.raises(e.GeminiInputError, match=r"for gemini-3.8-flash, and .* created for gemini-3.5-flash"):
            with_cache(ModelRequest.of(prompt="What?", model="gemini-3.8-flash"), recipe)

    def test_do_not_concern_the_rest_of_a_configuration(self, recipe):
        given = {"temperature": 0, "max_output_tokens": 10}

        request = with_cache(ModelRequest.of(prompt="What?", generation_config=given, response_schema=dict), recipe)

        assert given.items() <= request.configuration("gemini-3.5-flash").items()


@pytest.mark.parametrize("model", [None, "gemini-3.5-flash", "models/gemini-3.5-flash"])
def test_model_of_the_cache_is_accepted_in_every_form(model):
    assert model_for(VIDEO, model).removeprefix("models/") == "gemini-3.5-flash"


def test_model_of_an_unknown_cache_is_that_of_the_request():
    assert model_for(CacheRecipe.read("abc"), "gemini-3.8-flash") == "gemini-3.8-flash"
    assert model_for(CacheRecipe.read("abc"), None) is None
