"""The calls for caches against the emulator: a cache is created once, whatever fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from support import API_KEY, logged_by

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.caches.cache import GeminiCache
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks import cache_requests
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.polling import LIST_LAG_SECONDS

MODEL = "gemini-3.5-flash"
OWNER = Owner("dag", "run", "cache", deployment="here")
#: More tokens than a cache must have at least.
TEXT = "Six crates are ordered, and five are unloaded. " * 200
HOUR = 3600.0


def create(hook: GeminiFilesHook, text: str = TEXT, **arguments: Any) -> GeminiCache:
    return hook.create_cache(contents=[text], **{"model": MODEL, "owner": OWNER, **arguments})


def calls(emulator: GeminiEmulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def twin_of(emulator: GeminiEmulator, cache: GeminiCache, model: str = MODEL) -> str:
    """Create another cache of the same display name, as an attempt on another worker does."""
    body = {
        "model": f"models/{model}",
        "displayName": cache.display_name,
        "contents": [{"parts": [{"text": TEXT}]}],
        "ttl": "3600s",
    }
    url = f"{emulator.base_url}/v1beta/cachedContents"
    return str(httpx.post(url, json=body, headers={"x-goog-api-key": API_KEY}).json()["name"])


def before_first(hook: GeminiFilesHook, call: str, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call something before the first request of one kind."""
    client: Any = hook._service.files_client
    send, left = client.send, [action]

    def send_later(request: Any) -> Any:
        if request.doing.startswith(call) and left:
            left.pop()()
        return send(request)

    monkeypatch.setattr(client, "send", send_later)


class TestCreation:
    def test_cache_holds_files_and_texts_and_lives_as_long_as_asked(self, emulator, hook, clock, text_file):
        text_file.write_text(TEXT)
        file = hook.upload_file(text_file)

        cache = hook.create_cache(
            file, contents=["In English."], model=MODEL, system_instruction="Be short.", ttl=2 * HOUR,
            display_name="d.cache", owner=OWNER,
        )  # fmt: skip

        assert cache.model == MODEL
        assert cache.tokens > 2_000
        assert abs(cache.expires_at() - clock.now() - 2 * HOUR) < 60
        [body] = [entry["body"] for entry in emulator.journal if entry["call"] == "create_cache"]
        assert body["contents"][0]["parts"] == [
            {"text": "In English."}, {"fileData": {"fileUri": file.uri, "mimeType": "text/plain"}},
        ]  # fmt: skip
        assert body["systemInstruction"]["parts"] == [{"text": "Be short."}]
        assert body["displayName"] == f"d.cache [cache {cache.fingerprint}]"
        assert hook.get_cache(cache) == cache
        assert hook.list_caches() == [cache]

    def test_model_is_that_of_the_connection_if_none_is_given(self, connect, gemini_emulator, clock):
        connect(host=gemini_emulator.base_url, extra={"model": "gemini-3.1-pro-preview"})

        assert create(GeminiFilesHook(clock=clock), model=None).model == "gemini-3.1-pro-preview"

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"model": "gemini-4-argon"}, "has no caches"),
            ({"ttl": 0}, "ttl"),
            ({"ttl": -1}, "ttl"),
            ({"ttl": float("nan")}, "ttl"),
            ({"ttl": "soon"}, "ttl"),
            ({"text": ""}, "empty text"),
        ],
    )
    def test_unusable_argument_is_refused_before_anything_is_sent(self, emulator, hook, arguments, told):
        with pytest.raises(e.GeminiInputError, match=told):
            create(hook, **arguments)

        assert emulator.journal == []

    def test_nothing_to_cache_is_refused(self, hook):
        with pytest.raises(e.GeminiInputError, match="nothing to send"):
            hook.create_cache(model=MODEL)

    def test_file_that_is_not_active_is_refused_before_a_cache_is_created(self, emulator, hook, video_file):
        emulator.settings.video_seconds = 100
        file = hook.upload_file(video_file)

        with pytest.raises(e.GeminiFileNotActiveError):
            hook.create_cache(file, model=MODEL)

        assert "create_cache" not in calls(emulator)

    def test_file_that_is_gone_is_uploaded_again(self, emulator, hook, text_file):
        text_file.write_text(TEXT)
        file = hook.upload_file(text_file)
        hook.delete_file(file)

        hook.create_cache(file.name, model=MODEL, find_upload=lambda _: file)

        assert calls(emulator).count("create_cache") == 1

    def test_file_that_is_refused_just_after_it_became_active_is_sent_again(self, emulator, hook):
        emulator.faults.add("create_cache", "not_active")

        create(hook)

        assert calls(emulator).count("create_cache") == 2

    def test_refusal_without_a_reason_names_what_could_be_the_cause(self, emulator, hook, text_file):
        file = hook.upload_file(text_file)
        error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "Request contains an invalid argument."}
        emulator.faults.add("create_cache", "status", status=400, body={"error": error})

        with pytest.raises(e.GeminiInputError, match=f"files of type text/plain; model {MODEL}"):
            hook.create_cache(contents=[TEXT, file.name], model=MODEL, owner=OWNER)

    def test_too_small_contents_are_an_error_with_their_tokens(self, emulator, hook):
        with pytest.raises(e.GeminiCacheTooSmallError) as raised:
            create(hook, "x" * 4092)

        assert (raised.value.tokens, raised.value.minimum) == (1023, 1024)
        assert calls(emulator).count("create_cache") == 1


class TestLaterAttempt:
    def test_uses_the_cache_and_gives_it_its_whole_life_again(self, emulator, hook, clock):
        first = create(hook)
        clock.sleep(0.75 * HOUR)

        again = create(GeminiFilesHook(clock=clock))

        assert again.name == first.name
        assert abs(again.expires_at() - clock.now() - HOUR) < 60
        assert hook.get_cache(first.name) == again
        assert (calls(emulator).count("create_cache"), calls(emulator).count("update_cache")) == (1, 1)

    def test_leaves_a_cache_alone_that_lives_long_enough(self, emulator, hook):
        create(hook)

        create(hook)

        assert "update_cache" not in calls(emulator)

    def test_shortens_the_life_of_a_cache_if_that_is_what_is_asked_now(self, hook, clock):
        create(hook, ttl=48 * HOUR)

        assert abs(create(hook, ttl=HOUR).expires_at() - clock.now() - HOUR) < 60

    def test_needs_no_files_to_find_it(self, emulator, hook, text_file):
        text_file.write_text(TEXT)
        file = hook.upload_file(text_file)
        first = hook.create_cache(file, model=MODEL)
        hook.delete_file(file)

        assert hook.create_cache(file, model=MODEL).name == first.name

    @pytest.mark.parametrize("left", [-1, 30])
    def test_does_not_use_a_cache_that_is_about_to_expire(self, hook, clock, left):
        first = create(hook)
        clock.sleep(HOUR - left)

        assert create(hook).name != first.name

    @pytest.mark.parametrize(
        "arguments",
        [
            {"text": f"{TEXT} And one more."},
            {"model": "gemini-3.8-flash"},
            {"system_instruction": "Be short."},
            {"owner": Owner("dag", "other run", "cache", deployment="here")},
            {"owner": Owner("dag", "run", "cache", 1, deployment="here")},
            {"owner": None},
        ],
    )
    def test_does_not_use_a_cache_of_anything_else(self, hook, arguments):
        assert create(hook, **arguments).name != create(hook).name

    def test_does_not_use_a_cache_of_another_model_that_has_its_mark(self, emulator, hook):
        first = create(hook)
        other = twin_of(emulator, first, "gemini-3.8-flash")
        hook.delete_cache(first)

        assert create(hook).name not in (first.name, other)

    def test_creates_a_new_one_if_the_cache_goes_before_its_life_is_set(self, emulator, hook, clock, monkeypatch):
        first = create(hook)
        clock.sleep(0.75 * HOUR)
        later = GeminiFilesHook(clock=clock)
        before_first(later, "extend", lambda: hook.delete_cache(first), monkeypatch)

        assert create(later).name != first.name

    def test_reads_every_page_of_the_list(self, emulator, hook, monkeypatch):
        monkeypatch.setattr(cache_requests, "CACHES", replace(cache_requests.CACHES, page_size=1))
        first, *_ = [create(hook, f"{TEXT} {number}") for number in range(3)]
        emulator.clear_journal()

        assert create(hook, f"{TEXT} 0").name == first.name
        assert calls(emulator) == ["list_caches"] * 3


class TestUnansweredCreation:
    def test_is_not_repeated_and_the_cache_is_found(self, emulator, hook, clock):
        emulator.faults.add("create_cache", "lose_answer")

        cache = create(hook)

        assert hook.list_caches() == [cache]
        assert calls(emulator).count("create_cache") == 1
        assert clock.slept == []

    def test_is_looked_for_once_more_before_the_attempt_fails(self, emulator, hook, clock):
        emulator.faults.add("create_cache", "reset")

        with pytest.raises(e.GeminiServiceError) as raised:
            create(hook)

        assert raised.value.unanswered
        assert clock.slept == [LIST_LAG_SECONDS]
        assert calls(emulator).count("create_cache") == 1

    def test_that_is_in_the_list_a_while_later_is_found(self, emulator, hook, clock):
        twin = create(hook)
        hook.delete_cache(twin)
        emulator.faults.add("create_cache", "status", status=504, body="<html>")
        clock.after(LIST_LAG_SECONDS - 1, lambda: twin_of(emulator, twin))

        assert create(hook).display_name == twin.display_name
        # The first cache, the request without an answer, and the cache that it has created.
        assert calls(emulator).count("create_cache") == 3

    @pytest.mark.parametrize("fault", ["overloaded", "internal", "rate_limit"])
    def test_is_something_else_than_a_refusal_which_is_repeated(self, emulator, hook, fault):
        emulator.faults.add("create_cache", fault)

        create(hook)

        assert calls(emulator).count("create_cache") == 2

    def test_is_not_looked_for_after_refusals_only(self, emulator, hook, clock):
        emulator.faults.add("create_cache", "overloaded", times=None)

        with pytest.raises(e.GeminiServiceError) as raised:
            create(hook)

        assert not raised.value.unanswered
        assert calls(emulator) == ["list_caches", "create_cache", "create_cache"]

    def test_does_not_last_longer_than_the_timeout_of_the_connection(self, hook, mocker):
        send = mocker.spy(type(hook._service.files_client), "send")

        create(hook)

        sent = {call.args[1].doing: call.args[1].timeout for call in send.call_args_list}
        assert sent["create a cache"] == hook.connection.timeout
        assert sent["list cachedContents"] is None


class TestAttemptsAtOnce:
    def test_all_use_the_oldest_cache_and_the_others_are_deleted(self, emulator, hook, clock, monkeypatch):
        form = create(hook)
        hook.delete_cache(form)
        others: list[str] = []

        def create_elsewhere() -> None:
            others.append(twin_of(emulator, form))
            clock.sleep(1)

        before_first(hook, "create a cache", create_elsewhere, monkeypatch)

        assert create(hook).name == others[0]
        assert [cache.name for cache in hook.list_caches()] == others

    def test_cache_that_cannot_be_deleted_is_only_logged(self, emulator, hook, clock, monkeypatch, mocker):
        form = create(hook)
        hook.delete_cache(form)
        warning = mocker.spy(hook.log, "warning")
        emulator.faults.add("delete_cache", "forbidden")
        before_first(hook, "create a cache", lambda: (twin_of(emulator, form), clock.sleep(1)), monkeypatch)

        create(hook)

        assert any("It stays until it expires" in line for line in logged_by(warning))


class TestExistingCaches:
    def test_gone_cache_has_an_error_of_its_own(self, hook, clock):
        cache = create(hook)
        clock.sleep(HOUR + 1)

        with pytest.raises(e.GeminiCacheGoneError, match=rf"get {cache.name}.*has expired"):
            hook.get_cache(cache.name)

    def test_deletion_says_whether_there_was_a_cache(self, hook):
        cache = create(hook)

        assert hook.delete_cache(cache)
        assert not hook.delete_cache(cache)
        with pytest.raises(e.GeminiCacheGoneError):
            hook.delete_cache(cache, ignore_missing=False)

    def test_deletion_whose_response_was_lost_has_succeeded(self, emulator, hook):
        cache = create(hook)
        emulator.faults.add("delete_cache", "lose_answer")

        assert hook.delete_cache(cache, ignore_missing=False)

    def test_key_that_may_not_delete_is_not_taken_for_a_gone_cache(self, emulator, hook):
        cache = create(hook)
        emulator.faults.add("delete_cache", "forbidden")

        with pytest.raises(e.GeminiAuthError):
            hook.delete_cache(cache)

    def test_list_of_nothing_is_empty(self, hook):
        assert hook.list_caches() == []

    def test_cache_that_cannot_be_read_is_an_error(self, emulator, hook):
        emulator.faults.add("get_cache", "status", times=None, status=200, body={"name": "cachedContents/a"})

        with pytest.raises(e.GeminiServiceError, match="a cache that cannot be read"):
            hook.get_cache("a")


class TestCacheOfABatch:
    def test_that_lives_long_enough_is_accepted(self, hook):
        cache = create(hook, ttl=27 * HOUR)

        hook.caches.check_lasts(cache.name, f"models/{MODEL}", 26 * HOUR)

    def test_that_expires_too_soon_is_refused_with_both_times(self, hook):
        cache = create(hook)

        with pytest.raises(e.GeminiInputError, match=rf"{cache.expire_time}.*26 hours.*longer ttl"):
            hook.caches.check_lasts(cache.name, MODEL, 26 * HOUR)

    def test_of_another_model_is_refused(self, hook):
        cache = create(hook)

        with pytest.raises(e.GeminiInputError, match=r"set model='gemini-3.5-flash'"):
            hook.caches.check_lasts(cache.name, "gemini-3.8-flash", 60)


class TestRequestWithCache:
    """``hook.ask`` with a cache; tasks do the same through their operators."""

    @pytest.mark.parametrize("form", [lambda cache: cache, lambda cache: cache.name, lambda cache: cache.to_dict()])
    def test_is_answered_from_the_cache_by_its_model(self, emulator, hook, form):
        cache = create(hook)

        asked = hook.ask("How many crates?", cached_content=form(cache))

        assert asked.response["model_version"] == MODEL
        assert asked.response["cached_content"] == cache.name
        usage = asked.response["usage"]
        assert usage["cached"] == cache.tokens
        assert usage["prompt"] == usage["cached"] + len("How many crates?") // 4
        assert TEXT.strip() not in str([entry["body"] for entry in emulator.journal if entry["call"] == "generate"])

    def test_tokens_from_the_cache_are_logged(self, hook, mocker):
        cache = create(hook)
        info = mocker.spy(hook.log, "info")

        hook.ask("How many crates?", cached_content=cache)

        assert any(f"{cache.tokens} of the input from a cache" in line for line in logged_by(info))

    def test_of_another_model_is_refused_before_a_model_is_asked(self, emulator, hook):
        cache = create(hook)

        with pytest.raises(e.GeminiInputError, match=r"gemini-3.8-flash"):
            hook.ask("What?", cached_content=cache.name, model="gemini-3.8-flash")

        assert "generate" not in calls(emulator)

    def test_files_that_an_unknown_cache_may_hold_are_sent_with_a_warning(self, emulator, hook, text_file, mocker):
        cache, file = create(hook), hook.upload_file(text_file)
        warning = mocker.spy(hook.log, "warning")

        asked = hook.ask("What?", file, cached_content=cache.name)

        assert asked.response["files"] == [file.name]
        assert any("billed twice" in line for line in logged_by(warning))

    def test_cache_that_is_gone_and_not_known_is_an_error_that_says_what_to_do(self, emulator, hook):
        cache = create(hook)
        hook.delete_cache(cache)

        with pytest.raises(e.GeminiCacheGoneError, match=r"cannot recreate it.*not known what it held.*Clear the task"):
            hook.ask("What?", cached_content=cache)

        assert calls(emulator).count("create_cache") == 1
