from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.cache import GeminiCache
from airflow_provider_gemini_files.caches.recipe import MAX_RECIPE_BYTES, CacheRecipe
from airflow_provider_gemini_files.caches.spec import CacheSpec
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom

NAME = "cachedContents/abc"
CACHE = GeminiCache(NAME, "gemini-3.5-flash", "d.c [cache]", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 2048)
FILE = GeminiFile("files/a", uploaded_from=UploadedFrom("/data/a.mp4"), conn_id="gemini_default")


def spec(*contents: Any, system_instruction: str | None = None) -> CacheSpec:
    return CacheSpec.of(
        Contents.parse(None, None, list(contents)), model="gemini-3.5-flash", ttl=3600.0,
        system_instruction=system_instruction, conn_id="gemini_default", owner=None, label="d.c",
    )  # fmt: skip


def recipe_of(*contents: Any, cache: GeminiCache | None = CACHE, **fields: Any) -> CacheRecipe:
    return CacheRecipe.of(spec(*contents, **fields), cache, "gemini_default")


def as_pushed(recipe: CacheRecipe) -> dict[str, Any]:
    pushed = json.loads(json.dumps(recipe.to_dict()))
    assert isinstance(pushed, dict)
    return pushed


class TestRecipe:
    def test_names_files_and_says_everything_else_that_the_cache_holds(self):
        pushed = as_pushed(recipe_of(FILE, "Six crates.", system_instruction="Be short."))

        assert pushed == {
            "name": NAME,
            "model": "gemini-3.5-flash",
            "tokens": 2048,
            "create_time": "2026-01-01T00:00:00Z",
            "expire_time": "2026-01-01T01:00:00Z",
            "display_name": spec(FILE, "Six crates.", system_instruction="Be short.").display_name,
            "conn_id": "gemini_default",
            "ttl": 3600.0,
            "recreatable": True,
            "reason": None,
            "system_instruction": "Be short.",
            "contents": [{"role": "user", "parts": [{"file": "files/a"}, {"text": "Six crates."}]}],
        }

    def test_of_an_earlier_release_does_not_say_when_the_cache_was_created(self):
        former = {name: value for name, value in as_pushed(recipe_of("files/a")).items() if name != "create_time"}

        assert CacheRecipe.read(former).create_time is None

    def test_of_a_skipped_cache_has_no_name(self):
        recipe = CacheRecipe.read(as_pushed(recipe_of("files/a", cache=None)))

        assert (recipe.name, recipe.tokens, recipe.expire_time) == (None, None, None)
        assert recipe.recreatable

    def test_is_the_spec_of_a_cache_that_a_later_attempt_finds(self):
        view = {"file": "files/a", "video": {"start": 2}}
        turns = [{"role": "user", "parts": [view, "What?"]}, {"role": "model", "parts": ["This."]}, "files/b"]
        given = spec(*turns, {"url": "https://host/a.pdf"}, system_instruction="Be short.")

        read = CacheRecipe.read(as_pushed(CacheRecipe.of(given, CACHE, "gemini_default"))).spec()

        assert read == given
        assert read.fingerprint == given.fingerprint
        assert read.contents.names == ["files/a", "files/b"]

    def test_has_the_same_identity_if_the_cache_is_recreated(self):
        other = GeminiCache("cachedContents/other", CACHE.model)

        assert recipe_of("a").identity == recipe_of("a", cache=other).identity
        assert CacheRecipe.read(NAME).identity == NAME


class TestWhatXComMustNotHold:
    @pytest.mark.parametrize(
        ("part", "secret"),
        [
            ({"data": b"hunter2 bytes", "mime_type": "image/png"}, "aHVudGVy"),
            ({"url": "https://host/a.pdf?X-Amz-Signature=hunter2"}, "hunter2"),
            ({"url": "https://user:hunter2@host/a.pdf"}, "hunter2"),
            ({"url": "https://host/a.pdf#hunter2"}, "hunter2"),
            ("hunter2 \0", "hunter2"),
            ("hunter2 " * MAX_RECIPE_BYTES, "hunter2"),
        ],
    )
    def test_is_left_out_and_makes_the_cache_impossible_to_recreate(self, part, secret):
        recipe = recipe_of("files/a", "a text", part, system_instruction="Be hunter2.")
        pushed = as_pushed(recipe)

        assert secret not in json.dumps(pushed)
        assert pushed["recreatable"] is False
        # Known, so that requests do not send it again.
        assert pushed["contents"] == [{"role": "user", "parts": [{"file": "files/a"}]}]
        with pytest.raises(e.GeminiInputError, match=rf"^{recipe.reason[:12]}"):
            CacheRecipe.read(pushed).spec()

    def test_is_a_long_system_instruction(self):
        assert recipe_of("files/a", system_instruction="x" * MAX_RECIPE_BYTES).system_instruction is None

    def test_is_a_list_of_files_without_end(self):
        recipe = recipe_of(*(f"files/{at:040}" for at in range(1000)))

        assert recipe.contents is None
        assert len(json.dumps(as_pushed(recipe))) < 2_000
        assert "contents of cachedContents/abc are unknown" in recipe.doubt()

    def test_is_bounded(self):
        assert len(json.dumps(as_pushed(recipe_of("x" * (MAX_RECIPE_BYTES - 100))))) < MAX_RECIPE_BYTES + 2_000


class TestReading:
    @pytest.mark.parametrize("cache", [NAME, "abc", CACHE, CACHE.to_dict(), {"name": NAME}])
    def test_accepts_caches_of_which_only_the_name_is_known(self, cache):
        recipe = CacheRecipe.read(cache)

        assert (recipe.name, recipe.contents, recipe.recreatable) == (NAME, None, False)
        assert recipe.model == (None if cache in (NAME, "abc", {"name": NAME}) else "gemini-3.5-flash")

    def test_ignores_what_another_version_has_added(self):
        assert CacheRecipe.read({**as_pushed(recipe_of("a")), "later": 1}) == recipe_of("a")

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "files/a"},
            {"name": None, "recreatable": False},
            {"model": 5},
            {"ttl": "3600"},
            {"contents": "files/a"},
            {"contents": []},
            {"contents": [{"role": "system", "parts": [{"text": "x"}]}]},
            {"contents": [{"role": "user", "parts": []}]},
            {"contents": [{"role": "user", "parts": ["text"]}]},
            {"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]},
            {"contents": [{"role": "user", "parts": [{"file": "/etc/passwd"}]}]},
            {"contents": [{"role": "user", "parts": [{"file": "a"}]}]},
            {"display_name": None},
        ],
    )
    def test_refuses_what_no_task_has_pushed(self, change):
        with pytest.raises(e.GeminiInputError):
            CacheRecipe.read({**as_pushed(recipe_of("a")), **change})


def test_cache_of_another_connection_is_refused():
    recipe_of("a").check_connection("gemini_default")
    CacheRecipe.read(NAME).check_connection("other")

    with pytest.raises(e.GeminiInputError, match=r"'gemini_default'.*'other'"):
        recipe_of("a").check_connection("other")


@pytest.mark.parametrize("recipe", [recipe_of("a"), recipe_of("a", cache=None)])
def test_there_is_no_doubt_about_a_cache_that_a_task_has_recorded(recipe):
    assert recipe.doubt() is None
