"""The operators for caches, and requests to a model that use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from pydantic import BaseModel
from support import FakeClock, logged_by, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.caches import (
    GeminiCreateCacheOperator,
    GeminiDeleteCacheOperator,
    RecordedCaches,
)
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator

MODEL = "gemini-3.5-flash"
HOUR = 3600.0
GONE = {
    "error": {
        "code": 403,
        "status": "PERMISSION_DENIED",
        "message": "CachedContent not found (or permission denied)",
    }
}


class Count(BaseModel):
    """What is asked for."""

    crates: int


@pytest.fixture
def clock(emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture(autouse=True)
def _clock(clock: FakeClock) -> None:
    pass


@pytest.fixture
def dag() -> DAG:
    """Return a Dag in which ``ask`` and ``delete`` follow the tasks that create caches."""
    with DAG("a_dag") as dag:
        upload = GeminiUploadFileOperator(task_id="upload", source="/a")
        creators = [GeminiCreateCacheOperator(task_id=name, contents=["x"]) for name in ("cache", "other")]
        mapped = GeminiCreateCacheOperator.partial(task_id="mapped").expand(contents=[["x"], ["y"]])
        aside = GeminiCreateCacheOperator(task_id="aside", contents=["x"])
        ask, delete = EmptyOperator(task_id="ask"), EmptyOperator(task_id="delete")
        upload >> [*creators, mapped, aside]
        [*creators, mapped] >> ask >> delete
    return dag


@pytest.fixture
def context(context: dict[str, Any], dag: DAG) -> dict[str, Any]:
    return context | {"task": dag.get_task("ask")}


@pytest.fixture
def manual(hook: GeminiFilesHook, tmp_path: Any) -> GeminiFile:
    """Return a file of more tokens than a cache must have at least."""
    path = tmp_path / "manual.txt"
    path.write_text("The crane lifts a load of 2,400 kg. " * 200)
    return hook.upload_file(path)


@pytest.fixture
def note(hook: GeminiFilesHook, text_file: Any) -> GeminiFile:
    """Return a file that is too small for a cache."""
    return hook.upload_file(text_file)


@pytest.fixture
def create(context: dict[str, Any], ti: Any, emulator: GeminiEmulator) -> Callable[..., Any]:
    """Return a function that runs a task that creates a cache; tasks downstream then see what it has pushed."""

    def run(*, task_id: str = "cache", **arguments: Any) -> Any:
        ti.task_id = task_id
        name = GeminiCreateCacheOperator(task_id=task_id, **{"model": MODEL, **arguments}).execute(context)
        ti.upstream[task_id, "cache"] = [ti.pushed["cache"]]
        return name

    return run


def ask(**arguments: Any) -> GeminiGenerateContentOperator:
    return GeminiGenerateContentOperator(task_id="ask", **arguments)


def warnings_of(mocker: Any, context: Any, **arguments: Any) -> list[str]:
    """Create a cache, and return the warnings in the log of the task."""
    operator = GeminiCreateCacheOperator(task_id="cache", model=MODEL, **arguments)
    warning = mocker.spy(operator.log, "warning")
    operator.execute(context)
    # Airflow itself warns about the test.
    return [line for line in logged_by(warning) if "outside of the Task Runner" not in line]


def rendered(operator: GeminiGenerateContentOperator, cached_content: Any) -> GeminiGenerateContentOperator:
    """Return an operator whose argument was the output of a task."""
    operator.cached_content = cached_content
    operator._uses_cache = True
    return operator


def calls(emulator: GeminiEmulator, call: str) -> int:
    return [entry["call"] for entry in emulator.journal].count(call)


def parts_sent(emulator: GeminiEmulator) -> list[dict[str, Any]]:
    """Return the parts of the last request to a model."""
    return [part for turn in sent_to_models(emulator)[-1]["contents"] for part in turn["parts"]]


def shown(file: GeminiFile) -> dict[str, Any]:
    return {"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}}


class TestCreate:
    @pytest.mark.parametrize("is_lost", [True, False])
    def test_its_cost_is_counted_once(self, emulator, create, manual, ti, mocker, prices, is_lost):
        if is_lost:
            emulator.faults.add("create_cache", "lose_answer")
        incr = mocker.patch.object(Stats, "incr", autospec=True)
        create(files=manual.name)
        tokens = ti.pushed["cache"]["tokens"]
        create(files=manual.name)

        [call] = [call for call in incr.call_args_list if call.args[0] == "gemini_files.cost"]
        # A token costs a millionth, which is a thousand billionths.
        assert call.args[1] == tokens * 1000
        assert call.kwargs["tags"] == {"model": MODEL, "kind": "cache", "currency": "EUR"}

    def test_name_is_returned_and_what_the_cache_holds_is_pushed(self, emulator, hook, create, manual, ti, clock):
        name = create(files=manual.name, contents=["In English."], system_instruction="Be short.", ttl=2 * HOUR)

        [cache] = hook.list_caches()
        assert name == cache.name
        assert cache.display_name == f"a_dag.cache [cache {cache.fingerprint}]"
        assert ti.pushed["cache"] == {
            "name": name,
            "model": MODEL,
            "tokens": cache.tokens,
            "create_time": cache.create_time,
            "expire_time": cache.expire_time,
            "display_name": cache.display_name,
            "conn_id": "gemini_default",
            "ttl": 2 * HOUR,
            "recreatable": True,
            "reason": None,
            "system_instruction": "Be short.",
            "contents": [{"role": "user", "parts": [{"text": "In English."}, {"file": manual.name}]}],
        }

    def test_retry_uses_the_same_cache(self, emulator, create, manual, clock):
        first = create(files=manual.name)
        clock.sleep(0.9 * HOUR)

        assert create(files=manual.name) == first
        assert calls(emulator, "create_cache") == 1

    def test_file_that_is_gone_is_uploaded_again_from_its_source(self, emulator, hook, create, tmp_path, ti):
        path = tmp_path / "manual.txt"
        path.write_text("The crane lifts a load of 2,400 kg. " * 200)
        file = hook.upload_file(path)
        ti.upstream["upload", "file"] = [file.to_dict()]
        hook.delete_file(file)

        create(files=file.name)

        assert calls(emulator, "start") == 2
        hook.delete_file(file)
        with pytest.raises(e.GeminiFileGoneError):
            create(files=file.name, contents=["other"], reupload_expired=False)

    def test_too_small_contents_are_skipped(self, create, ti):
        assert create(contents=["short"], system_instruction="Be short.") is None

        recipe = CacheRecipe.read(ti.pushed["cache"])
        assert (recipe.name, recipe.model, recipe.recreatable) == (None, MODEL, True)
        assert recipe.held.by_name() == [{"role": "user", "parts": [{"text": "short"}]}]
        assert recipe.system_instruction == "Be short."

    def test_log_says_what_a_skipped_cache_lacks_and_what_follows(self, context, mocker):
        [line] = warnings_of(mocker, context, contents=["x" * 28])

        assert "have 7 tokens, and a cache needs at least 1024" in line
        assert "send everything themselves" in line

    def test_too_small_contents_are_an_error_if_asked_for(self, create):
        with pytest.raises(e.GeminiCacheTooSmallError, match="total_token_count=7"):
            create(contents=["x" * 28], on_too_small="fail")

    def test_too_small_contents_that_requests_could_not_send_are_an_error(self, create, ti):
        with pytest.raises(e.GeminiCacheTooSmallError, match=r"cannot be skipped.*inline data") as raised:
            create(contents=[{"data": b"x", "mime_type": "image/png"}])

        assert raised.value.minimum == 1024
        assert "cache" not in ti.pushed

    def test_cache_that_cannot_be_recreated_is_created_with_a_warning(self, manual, context, ti, mocker):
        image = {"data": b"bytes", "mime_type": "image/png"}

        [line] = warnings_of(mocker, context, files=manual.name, contents=[image])

        assert "inline data" in line
        assert ti.pushed["cache"]["contents"] == [{"role": "user", "parts": [{"file": manual.name}]}]

    @pytest.mark.parametrize(("hours", "warnings"), [(24, 0), (48, 1)])
    def test_long_life_is_logged_with_what_it_is_billed_by(self, manual, context, ti, mocker, hours, warnings):
        lines = warnings_of(mocker, context, files=manual.name, ttl=hours * HOUR)

        assert len(lines) == warnings
        tokens = ti.pushed["cache"]["tokens"]
        assert all(f"{tokens} tokens x 48 hours = {tokens * 48}." in line for line in lines)

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({}, "nothing to cache"),
            ({"files": "None"}, "files is empty"),
            ({"contents": ""}, "contents is empty"),
            ({"contents": []}, "contents is empty"),
            ({"files": []}, "empty list"),
            ({"files": {"source": "/data/clip.mp4"}}, "is a source: upload it"),
            ({"contents": ["x"], "model": "gemini-4-argon"}, "gemini-4-argon has no caches"),
            ({"contents": ["x"], "system_instruction": ["x"]}, "system_instruction must be a text"),
        ],
    )
    def test_unusable_argument_is_refused_before_anything_is_sent(self, emulator, create, arguments, told):
        with pytest.raises(e.GeminiInputError, match=told):
            create(**arguments)

        assert emulator.journal == []

    @pytest.mark.parametrize("arguments", [{"ttl": 0}, {"ttl": -5}, {"ttl": "soon"}, {"on_too_small": "ignore"}])
    def test_argument_that_can_never_be_used_is_refused_when_the_dag_is_parsed(self, arguments):
        with pytest.raises(e.GeminiInputError):
            GeminiCreateCacheOperator(task_id="cache", contents=["x"], **arguments)

    def test_fields_that_an_author_varies_are_templated(self):
        assert set(GeminiCreateCacheOperator.template_fields) == {
            "files", "contents", "model", "system_instruction", "gemini_conn_id",
        }  # fmt: skip


class TestRequestThatUsesACache:
    def test_sends_only_what_the_cache_does_not_hold(self, emulator, hook, create, manual, context, ti, text_file):
        other, name = hook.upload_file(text_file), create(files=manual.name)

        ask(prompt="What?", files=[manual.name, other.name], cached_content=name).execute(context)

        assert parts_sent(emulator) == [shown(other), {"text": "What?"}]
        assert sent_to_models(emulator)[0]["cachedContent"] == name
        response = ti.pushed["response"]
        assert response["model_version"] == MODEL
        assert response["cached_content"] == name
        assert response["files"] == [manual.name, other.name]
        assert [file["name"] for file in response["shown"]] == response["files"]
        assert response["usage"]["cached"] == ti.pushed["cache"]["tokens"]

    def test_takes_what_the_task_has_pushed_as_well_as_its_name(self, emulator, create, manual, context, ti):
        name = create(files=manual.name)
        ti.upstream.clear()

        ask(prompt="What?", files=manual.name, cached_content=ti.pushed["cache"]).execute(context)

        assert parts_sent(emulator) == [{"text": "What?"}]
        assert sent_to_models(emulator)[0]["cachedContent"] == name

    def test_does_not_look_up_a_cache_that_a_task_has_recorded(self, emulator, create, manual, context):
        name = create(files=manual.name)

        ask(prompt="What?", cached_content=name).execute(context)

        assert calls(emulator, "get_cache") == 0

    def test_has_the_model_of_a_cache_that_no_task_has_recorded(self, emulator, create, manual, context, ti):
        name = create(files=manual.name)
        ti.upstream.clear()

        ask(prompt="What?", cached_content=name).execute(context)

        assert ti.pushed["response"]["model_version"] == MODEL
        assert calls(emulator, "get_cache") == 1

    def test_files_that_an_unrecorded_cache_may_hold_are_sent(self, emulator, create, manual, context, ti):
        name = create(files=manual.name)
        ti.upstream.clear()

        ask(prompt="What?", files=manual.name, cached_content=name).execute(context)

        assert parts_sent(emulator) == [shown(manual), {"text": "What?"}]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"model": "gemini-3.8-flash"}, "gemini-3.8-flash"),
            ({"system_instruction": "Be short."}, "system_instruction"),
            ({"generation_config": {"tools": [{"google_search": {}}]}}, "tools"),
            ({"file_search": {"stores": ["fileSearchStores/x"]}}, "file_search"),
        ],
    )
    def test_what_the_service_refuses_is_refused_before_anything_is_sent(
        self, emulator, create, manual, context, arguments, told
    ):
        name = create(files=manual.name)
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=told):
            ask(prompt="What?", cached_content=name, **arguments).execute(context)

        assert emulator.journal == []

    def test_cache_of_another_connection_is_refused_before_anything_is_sent(self, emulator, create, manual, context):
        name = create(files=manual.name)
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=r"'gemini_default'.*'other'"):
            ask(prompt="What?", cached_content=name, gemini_conn_id="other").execute(context)

        assert emulator.journal == []

    @pytest.mark.parametrize("cached_content", [5, ["cachedContents/a"], {"name": "files/a"}, "files/a"])
    def test_anything_else_than_a_cache_is_refused(self, emulator, context, cached_content):
        with pytest.raises(e.GeminiInputError):
            ask(prompt="What?", cached_content=cached_content).execute(context)

        assert emulator.journal == []


class TestRequestWithoutCache:
    def test_of_a_skipped_cache_sends_what_it_would_hold(self, emulator, create, note, context, ti):
        create(files=note.name, contents=["In English."], system_instruction="Be short.")

        rendered(ask(prompt="What?", files=note.name), None).execute(context)

        assert parts_sent(emulator) == [{"text": "In English."}, shown(note), {"text": "What?"}]
        [body] = sent_to_models(emulator)
        assert body["systemInstruction"]["parts"] == [{"text": "Be short."}]
        assert ti.pushed["response"]["model_version"] == MODEL
        assert "cached_content" not in ti.pushed["response"]

    def test_of_a_skipped_cache_is_the_same_with_its_xcom(self, emulator, create, note, context, ti):
        create(files=note.name)
        ti.upstream.clear()

        ask(prompt="What?", cached_content=ti.pushed["cache"]).execute(context)

        assert parts_sent(emulator) == [shown(note), {"text": "What?"}]

    def test_of_a_skipped_cache_refuses_the_same_arguments(self, emulator, create, note, context):
        create(files=note.name)

        with pytest.raises(e.GeminiInputError, match=r"system_instruction.*a skipped cache"):
            rendered(ask(prompt="What?", system_instruction="Be long."), "None").execute(context)

        assert calls(emulator, "generate") == 0

    def test_of_several_skipped_caches_does_not_guess(self, create, context):
        create(contents=["one"])
        create(contents=["two"], task_id="other")

        with pytest.raises(e.GeminiInputError, match=r"2 caches were skipped.*cache.output\['cache'\]"):
            rendered(ask(prompt="What?"), None).execute(context)

    @pytest.mark.parametrize("nothing", [None, "", "None"])
    def test_that_no_task_was_to_create_has_its_own_words(self, emulator, context, nothing):
        rendered(ask(prompt="What?", system_instruction="Be short.", model="gemini-3.8-flash"), nothing).execute(
            context
        )

        [body] = sent_to_models(emulator)
        assert body["systemInstruction"]["parts"] == [{"text": "Be short."}]
        assert "cachedContent" not in body

    def test_does_not_read_what_tasks_upstream_have_skipped_if_it_uses_no_cache(self, emulator, create, context):
        create(contents=["one"])

        ask(prompt="What?").execute(context)

        assert parts_sent(emulator) == [{"text": "What?"}]


class TestCacheThatIsGone:
    def test_is_created_again_and_the_request_answered_once(self, emulator, hook, create, manual, context, ti, clock):
        name = create(files=manual.name, contents=["In English."], system_instruction="Be short.")
        hook.delete_cache(name)

        ask(prompt="What?", files=manual.name, cached_content=name).execute(context)

        [cache] = hook.list_caches()
        assert cache.name != name
        assert ti.pushed["response"]["cached_content"] == cache.name
        # The refused request is not billed.
        assert [entry["status"] for entry in emulator.journal if entry["call"] == "generate"] == [403, 200]
        first, again = (entry["body"] for entry in emulator.journal if entry["call"] == "create_cache")
        assert first == again

    @pytest.mark.parametrize("via", ["inline", "upload"])
    def test_source_beside_it_is_shown_all_the_same(self, emulator, hook, create, manual, context, text_file, via):
        name = create(files=manual.name)
        hook.delete_cache(name)

        ask(prompt="What?", files={"source": str(text_file)}, via=via, cached_content=name).execute(context)

        [part, _] = sent_to_models(emulator)[-1]["contents"][0]["parts"]
        assert list(part) == ["inlineData" if via == "inline" else "fileData"]
        assert [file.name for file in hook.list_files()] == [manual.name]

    def test_is_created_once_for_all_requests(self, emulator, hook, create, manual, context):
        name = create(files=manual.name)
        hook.delete_cache(name)

        for prompt in ("What?", "When?", "Why?"):
            ask(prompt=prompt, cached_content=name).execute(context)

        assert calls(emulator, "create_cache") == 2
        assert len(hook.list_caches()) == 1

    def test_waits_up_to_a_few_seconds_so_that_tasks_find_the_cache_of_the_first(
        self, hook, create, manual, context, clock
    ):
        name = create(files=manual.name)
        hook.delete_cache(name)

        ask(prompt="What?", cached_content=name).execute(context)

        assert clock.slept == [10.0]

    def test_is_found_again_by_a_task_that_was_mapped_elsewhere(self, hook, create, manual, context, ti):
        name = create(files=manual.name)
        hook.delete_cache(name)
        ti.task_id, ti.map_index = "ask", 7

        ask(prompt="What?", cached_content=name).execute(context)

        [cache] = hook.list_caches()
        assert cache.fingerprint == CacheRecipe.read(ti.pushed["cache"]).fingerprint

    def test_needs_its_files_which_are_uploaded_again(self, emulator, hook, create, tmp_path, context, ti):
        path = tmp_path / "manual.txt"
        path.write_text("The crane lifts a load of 2,400 kg. " * 200)
        file = hook.upload_file(path)
        name = create(files=file.name)
        ti.upstream["upload", "file"] = [file.to_dict()]
        hook.delete_file(file)
        hook.delete_cache(name)

        ask(prompt="What?", cached_content=name).execute(context)

        assert calls(emulator, "start") == 2
        assert ti.pushed["response"]["usage"]["cached"] > 0

    def test_is_left_out_if_the_service_asks_for_more_tokens_by_now(self, emulator, hook, create, manual, context, ti):
        name = create(files=manual.name, system_instruction="Be short.")
        hook.delete_cache(name)
        words = "Cached content is too small. total_token_count=1800, min_total_token_count=2048"
        body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": words}}
        emulator.faults.add("create_cache", "status", status=400, body=body)

        ask(prompt="What?", cached_content=name).execute(context)

        assert parts_sent(emulator) == [shown(manual), {"text": "What?"}]
        assert sent_to_models(emulator)[-1]["systemInstruction"]["parts"] == [{"text": "Be short."}]
        assert "cached_content" not in ti.pushed["response"]

    @pytest.mark.parametrize(
        ("contents", "arguments", "told"),
        [
            ([], {"recreate_cache": False}, "recreate_cache is False"),
            ([{"data": b"x", "mime_type": "image/png"}], {}, "inline data"),
        ],
    )
    def test_is_an_error_if_it_cannot_be_created_again(
        self, emulator, hook, create, manual, context, contents, arguments, told
    ):
        name = create(files=manual.name, contents=contents)
        hook.delete_cache(name)

        with pytest.raises(e.GeminiCacheGoneError, match=rf"{told}.*Clear the task that created it"):
            ask(prompt="What?", files=manual.name, cached_content=name, **arguments).execute(context)

        assert calls(emulator, "generate") == 1

    def test_between_an_answer_and_its_repair_is_not_asked_again(self, emulator, hook, create, manual, context, ti):
        name = create(files=manual.name)
        emulator.answers.add('{"crates": "many"}')
        emulator.faults.add("generate", "status", nth=2, status=403, body=GONE)

        with pytest.raises(e.GeminiCacheGoneError):
            ask(prompt="What?", cached_content=name, response_schema=Count, repair_answer=True).execute(context)

        assert calls(emulator, "generate") == 2
        assert ti.pushed["response"]["usage"]["total"] > 0

    def test_a_second_time_is_an_error(self, emulator, create, manual, context):
        name = create(files=manual.name)
        emulator.faults.add("generate", "status", times=None, status=403, body=GONE)

        with pytest.raises(e.GeminiCacheGoneError):
            ask(prompt="What?", cached_content=name).execute(context)

        assert calls(emulator, "generate") == 2

    def test_is_not_taken_for_a_file_that_is_gone(self, emulator, hook, create, manual, context, text_file):
        other, name = hook.upload_file(text_file), create(files=manual.name)
        hook.delete_cache(name)
        emulator.clear_journal()

        ask(prompt="What?", files=other.name, cached_content=name).execute(context)

        assert calls(emulator, "start") == 0

    def test_is_created_again_for_a_request_that_shows_a_source(
        self, hook, emulator, create, manual, context, text_file
    ):
        name = create(files=manual.name)
        hook.delete_cache(name)

        ask(prompt="What?", files=[manual.name, {"source": str(text_file)}], cached_content=name).execute(context)

        inline, prompt = parts_sent(emulator)
        assert (inline["inlineData"]["mimeType"], prompt) == ("text/plain", {"text": "What?"})

    def test_in_a_configuration_is_an_error(self, hook, create, manual, context):
        name = create(files=manual.name)
        hook.delete_cache(name)

        with pytest.raises(e.GeminiCacheGoneError, match="has expired"):
            ask(prompt="What?", model=MODEL, generation_config={"cached_content": name}).execute(context)


class TestRecordedCaches:
    def test_of_mapped_tasks_are_all_found(self, create, manual, context, ti):
        create(files=manual.name)
        other = {**ti.pushed["cache"], "name": "cachedContents/b"}
        ti.upstream = {("mapped", "cache"): [ti.pushed["cache"], other]}

        assert RecordedCaches(context).recipe_of("cachedContents/b") == CacheRecipe.read(other)

    @pytest.mark.parametrize("task_id", ["aside", "upload", "delete"])
    def test_of_any_other_task_are_not_believed(self, create, manual, context, ti, task_id):
        name = create(files=manual.name)
        ti.upstream = {(task_id, "cache"): [ti.pushed["cache"]]}

        assert RecordedCaches(context).recipe_of(name).contents is None

    def test_outside_of_a_task_are_none(self, ti):
        assert RecordedCaches({"ti": ti}).recipe_of(None) is None


class TestDelete:
    def test_cache_is_deleted_in_every_form(self, hook, create, manual, context, ti):
        for form in ("name", "xcom"):
            name = create(files=manual.name)

            deleted = delete(name if form == "name" else ti.pushed["cache"]).execute(context)

            assert deleted == {"deleted": [name], "missing": []}
        assert hook.list_caches() == []

    def test_cache_that_is_gone_is_no_error(self, hook, create, manual, context):
        name = create(files=manual.name)
        hook.delete_cache(name)

        assert delete(name).execute(context) == {"deleted": [], "missing": [name]}

    def test_cache_that_is_gone_is_an_error_if_asked_for(self, hook, create, manual, context):
        name = create(files=manual.name)
        hook.delete_cache(name)

        with pytest.raises(e.GeminiCacheGoneError):
            delete(name, ignore_missing=False).execute(context)

    @pytest.mark.parametrize("nothing", [None, "", "None", [], [None]])
    def test_skipped_cache_needs_no_deletion(self, emulator, context, nothing):
        assert delete(nothing).execute(context) == {"deleted": [], "missing": []}
        assert emulator.journal == []

    def test_xcom_of_a_skipped_cache_needs_no_deletion(self, create, context, ti):
        create(contents=["short"])

        assert delete(ti.pushed["cache"]).execute(context) == {"deleted": [], "missing": []}

    def test_caches_that_took_its_place_are_deleted_too(self, hook, create, manual, context, ti):
        name = create(files=manual.name)
        hook.delete_cache(name)
        ask(prompt="What?", cached_content=name).execute(context)
        [recreated] = hook.list_caches()

        assert delete(name).execute(context) == {"deleted": [recreated.name], "missing": [name]}
        assert hook.list_caches() == []
        assert ti.pushed["deleted_caches"] == {"deleted": [recreated.name], "missing": [name]}
        assert ti.pushed["response"]["recreated_cache"] == recreated.to_dict()

    def test_what_was_deleted_is_pushed_although_the_task_fails(self, emulator, hook, create, manual, context, ti):
        name = create(files=manual.name)
        missing = name[:-1] + ("a" if name[-1] != "a" else "b")

        with pytest.raises(e.GeminiCacheGoneError):
            delete([name, missing], ignore_missing=False).execute(context)

        assert ti.pushed["deleted_caches"] == {"deleted": [name], "missing": [missing]}

    def test_caches_of_others_stay(self, hook, create, manual, context, ti):
        name = create(files=manual.name)
        ti.run_id = "manual__2"
        others = {create(files=manual.name), hook.create_cache(manual, model=MODEL).name}
        ti.upstream["cache", "cache"] = []

        delete(name).execute(context)

        assert {cache.name for cache in hook.list_caches()} == others

    def test_one_that_cannot_be_deleted_does_not_stop_the_others(self, emulator, hook, create, manual, context, ti):
        names = [create(files=manual.name, contents=[text]) for text in ("a", "b")]
        ti.upstream.clear()
        emulator.faults.add("delete_cache", "forbidden")

        with pytest.raises(e.GeminiAuthError, match=names[0]):
            delete(names).execute(context)

        assert [cache.name for cache in hook.list_caches()] == names[:1]

    def test_list_that_cannot_be_read_does_not_keep_the_cache(self, emulator, hook, create, manual, context):
        name = create(files=manual.name)
        emulator.faults.add("list_caches", "forbidden")

        with pytest.raises(e.GeminiAuthError):
            delete(name).execute(context)

        assert hook.list_caches() == []

    def test_cache_of_another_connection_is_refused(self, emulator, create, manual, context):
        name = create(files=manual.name)
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match="'other'"):
            delete(name, gemini_conn_id="other").execute(context)

        assert emulator.journal == []


def delete(cache: Any, **arguments: Any) -> GeminiDeleteCacheOperator:
    return GeminiDeleteCacheOperator(task_id="delete", cache=cache, **arguments)


def test_nothing_secret_is_pushed(create, manual, ti):
    secret = "hunter2-in-a-signature"
    create(files=manual.name, contents=[{"url": f"https://host/report.pdf?X-Amz-Signature={secret}"}])

    assert secret not in json.dumps(ti.pushed)
