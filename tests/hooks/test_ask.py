"""The use case "ask a model" through the hook: look up, restore, ask, account, judge, repair."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from pydantic import BaseModel
from support import logged_by, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook


class Count(BaseModel):
    """A schema for answers."""

    crates: int


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def media(mime_type: str, data: bytes) -> dict[str, dict[str, str]]:
    return {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(data).decode()}}


def add_raw(emulator, text: str, version: str = "m", **candidate: object) -> None:
    """Let the next answer have any text, also one that the emulator itself does not send."""
    content = {"parts": [{"text": text}]}
    body = {"candidates": [{"content": content, "finishReason": "STOP", **candidate}], "modelVersion": version}
    emulator.faults.add("generate", "status", status=200, body=json.dumps(body), content_type="application/json")


class TestAccount:
    def test_account_names_what_was_shown_and_what_it_cost(self, hook, text_file):
        file = hook.upload_file(text_file)

        asked = hook.ask("what?", file, model="gemini-3.8-pro")

        assert asked.value.endswith("I was asked: what?")
        usage = asked.response.pop("usage")
        assert asked.response == {
            "files": [file.name],
            "shown": [{"name": file.name, "display_name": "note.txt", "uploaded_from": str(text_file)}],
            "conn_id": "gemini_default",
            "model": "gemini-3.8-pro",
            "model_version": "gemini-3.8-pro",
            "finish_reason": "STOP",
            "calls": 1,
        }
        assert usage["total"] == usage["prompt"] + usage["answer"] > 0

    def test_origin_of_a_file_given_by_name_is_not_known(self, hook, text_file):
        name = hook.upload_file(text_file).name

        [shown] = hook.ask("what?", name).response["shown"]

        assert shown == {"name": name, "display_name": "note.txt", "uploaded_from": None}

    @pytest.mark.parametrize("origin", [None, "a text", {}, {"uri": "/data/a.pdf", "other": 1}])
    def test_metadata_of_any_form_is_accepted(self, hook, text_file, origin):
        name = hook.upload_file(text_file).name

        [shown] = hook.ask("what?", {"name": name, "uploaded_from": origin}).response["shown"]

        assert shown["uploaded_from"] == (origin.get("uri") if isinstance(origin, dict) else None)

    def test_account_that_cannot_be_reported_does_not_lose_the_answer(self, emulator, clock, mocker):
        emulator.answers.add("an answer that was paid for")
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        def report(response: dict) -> None:
            raise ConnectionError("no API server")

        assert GeminiFilesHook(clock=clock).ask("x", on_response=report).value == "an answer that was paid for"
        assert "The account of the answer could not be kept (ConnectionError): no API server" in logged_by(log.warning)

    def test_response_is_reported_before_the_answer_is_judged(self, hook, emulator):
        reported: list[dict] = []
        emulator.answers.add(finish_reason="SAFETY")

        with pytest.raises(e.GeminiNoAnswerError):
            hook.ask("x", on_response=reported.append)

        assert [one["finish_reason"] for one in reported] == ["SAFETY"]


class TestSchema:
    def test_value_is_returned(self, hook, emulator):
        emulator.answers.add('{"crates": 5}')

        assert hook.ask("how many?", response_schema=Count).value == {"crates": 5}

    @pytest.mark.parametrize("text", ['```json\n{"crates": 5}\n```', '\ufeff{"crates": 5}', 'Here: {"crates": 5}'])
    def test_wrapped_value_is_used_without_a_second_request(self, hook, emulator, text):
        emulator.answers.add(text)

        assert hook.ask("how many?", response_schema=Count, repair_answer=True).value == {"crates": 5}
        assert calls(emulator) == ["generate"]

    def test_answer_nested_too_deep_is_an_error_of_our_tree(self, hook, emulator):
        emulator.answers.add("[" * 2000 + "]" * 2000)

        with pytest.raises(e.GeminiUnusableAnswerError, match="levels deep"):
            hook.ask("x", response_schema={"type": "array"})

    def test_repair_shows_the_model_its_answer_and_what_is_wrong(self, hook, emulator):
        emulator.answers.add('{"crates": "many"}')
        emulator.answers.add('{"crates": 5}')
        reported: list[dict] = []

        asked = hook.ask(
            "how many?",
            response_schema=Count,
            repair_answer=True,
            generation_config={"temperature": 0},
            on_response=reported.append,
        )

        assert asked.value == {"crates": 5}
        first, second = sent_to_models(emulator)
        assert second["contents"][:1] == first["contents"]
        assert second["contents"][1] == {"role": "model", "parts": [{"text": '{"crates": "many"}'}]}
        assert "crates: Input should be a valid integer" in second["contents"][2]["parts"][0]["text"]
        assert second["generationConfig"] == first["generationConfig"]
        assert first["generationConfig"]["temperature"] == 0
        assert asked.response["usage"] == reported[1]["usage"]
        assert [one["calls"] for one in reported] == [1, 2]
        assert asked.response["usage"]["prompt"] > reported[0]["usage"]["prompt"]

    def test_answer_that_does_not_follow_the_schema_is_logged_in_full(self, emulator, clock, mocker):
        text = json.dumps({"crates": "many", "why": "x" * 1000})
        emulator.answers.add(text)
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        with pytest.raises(e.GeminiUnusableAnswerError) as raised:
            GeminiFilesHook(clock=clock).ask("how many?", response_schema=Count)

        assert f"The answer that does not follow response_schema: {text}" in logged_by(log.warning)
        assert len(str(raised.value)) < 1000

    def test_answer_with_half_a_character_can_be_repaired(self, hook, emulator):
        # UTF-8 cannot encode it, so it cannot be shown to the model either.
        add_raw(emulator, '{"crates": "\ud800"}')
        emulator.answers.add('{"crates": 5}')

        assert hook.ask("how many?", response_schema=Count, repair_answer=True).value == {"crates": 5}
        assert sent_to_models(emulator)[1]["contents"][1]["parts"] == [{"text": '{"crates": "?"}'}]

    def test_only_one_repair_is_attempted(self, hook, emulator):
        for _ in range(2):
            emulator.answers.add('{"crates": "many"}')

        with pytest.raises(e.GeminiUnusableAnswerError, match="does not follow response_schema"):
            hook.ask("how many?", response_schema=Count, repair_answer=True)

        assert calls(emulator) == ["generate"] * 2


class TestTextsThatNoDatabaseTakes:
    def test_answer_and_account_are_returned_without_them(self, hook, emulator):
        web = {"web": {"title": "a\0\ud800", "uri": "https://a"}}
        add_raw(emulator, "a\0b \ud800 c", version="model\0", groundingMetadata={"groundingChunks": [web]})
        reported: list[dict] = []

        asked = hook.ask("x", on_response=reported.append)

        assert asked.value == "a\ufffdb ? c"
        assert asked.response["model_version"] == "model\ufffd"
        assert asked.response["sources"] == [{"title": "a\ufffd?", "uri": "https://a"}]
        assert reported == [asked.response]

    def test_number_that_is_not_finite_is_none(self, hook, emulator):
        stored = {"retrievedContext": {"title": "a.pdf", "pageNumber": float("nan")}}
        add_raw(emulator, "a", groundingMetadata={"groundingChunks": [stored]})

        assert hook.ask("x").response["sources"] == [{"title": "a.pdf", "page": None}]


def test_page_that_the_model_could_not_read_is_named(emulator, clock, mocker):
    pages = [{"retrievedUrl": "https://a.example/x?secret", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_UNSAFE"}]
    candidate = {"content": {"parts": [{"text": "From memory."}]}, "urlContextMetadata": {"urlMetadata": pages}}
    emulator.answers.add(candidates=[candidate])
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

    GeminiFilesHook(clock=clock).ask("What is at https://a.example/x?")

    assert "The model could not read: https://a.example/x (UNSAFE)" in logged_by(log.warning)


@pytest.mark.parametrize(
    ("asked", "answered", "is_told"),
    [
        ("gemini-2.5-pro", "gemini-3.8-flash", True),
        ("models/gemini-2.5-pro", "gemini-2.5-pro-001", False),
        ("gemini-3.8-flash", "models/gemini-3.8-flash", False),
        ("gemini-flash-latest", "gemini-3.8-flash", False),
        ("gemini-2.5-pro", None, False),
    ],
)
def test_answer_of_another_model_is_told(emulator, clock, mocker, asked, answered, is_told):
    candidates = [{"content": {"parts": [{"text": "a"}]}}]
    body = {"candidates": candidates, "modelVersion": answered}
    emulator.faults.add("generate", "status", status=200, body=body)
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

    GeminiFilesHook(clock=clock).ask("x", model=asked)

    assert any("answered instead of" in line for line in logged_by(log.warning)) is is_told
    assert logged_by(log.info)[-1].startswith(f"{answered or asked} answered (None)")


class TestMedia:
    def test_media_that_cannot_be_decoded_are_left_out_with_a_warning(self, emulator, clock, mocker):
        broken = {"inlineData": {"mimeType": "image/png", "data": "not base64!"}}
        emulator.answers.add(parts=[{"text": "see"}, broken, media("image/jpeg", b"2")])
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        asked = GeminiFilesHook(clock=clock).ask("draw")

        assert [one.data for one in asked.media] == [b"2"]
        assert "Media that cannot be decoded are left out: image/png" in logged_by(log.warning)

    def test_media_beside_text_are_returned_and_logged(self, emulator, clock, mocker):
        emulator.answers.add(parts=[{"text": "see"}, media("image/png", b"1"), media("image/png", b"2")])
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        asked = GeminiFilesHook(clock=clock).ask("draw")

        assert asked.value == "see"
        assert [one.data for one in asked.media] == [b"1", b"2"]
        log.info.assert_any_call("Besides its text, the answer has: %s", "2 image/png")

    @pytest.mark.parametrize("mime_type", ["image/png", "audio/wav"])
    def test_answer_of_media_only_is_permanent_and_asked_once(self, hook, emulator, mime_type):
        emulator.answers.add(parts=[media(mime_type, b"1")])

        with pytest.raises(e.GeminiNoAnswerError, match=f"no text, only: 1 {mime_type}.*output_path") as raised:
            hook.ask("draw")

        assert isinstance(raised.value, e.GeminiPermanentError)
        assert calls(emulator) == ["generate"]

    def test_code_that_the_model_ran_is_not_text(self, hook, emulator):
        emulator.answers.add(parts=[{"executableCode": {"code": "1+1"}}, {"codeExecutionResult": {"output": "2"}}])

        with pytest.raises(e.GeminiNoAnswerError, match="only: 1 executableCode, 1 codeExecutionResult"):
            hook.ask("x")


class TestUselessAnswers:
    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_answer_without_content_is_not_a_success(self, hook, emulator, text):
        emulator.answers.add(text)

        with pytest.raises(e.GeminiUnusableAnswerError, match=r"The model answered (nothing|only whitespace)"):
            hook.ask("x")

    def test_usable_candidate_is_used_although_the_first_is_blocked(self, hook, emulator):
        blocked = {"finishReason": "SAFETY", "index": 0}
        usable = {"content": {"role": "model", "parts": [{"text": "yes"}]}, "finishReason": "STOP", "index": 1}
        emulator.answers.add(candidates=[blocked, usable])

        assert hook.ask("x", generation_config={"candidate_count": 2}).value == "yes"

    def test_message_of_the_service_about_the_end_is_shown(self, hook, emulator):
        emulator.answers.add("", finish_reason="MALFORMED_FUNCTION_CALL", finish_message="Malformed call: f(")

        with pytest.raises(e.GeminiUnusableAnswerError, match=r"MALFORMED_FUNCTION_CALL .*\(Malformed call: f\("):
            hook.ask("x")

    def test_unknown_value_of_on_max_tokens_is_refused(self, hook):
        with pytest.raises(e.GeminiInputError, match="must be 'fail' or 'keep'; got 'ignore'"):
            hook.ask("x", on_max_tokens="ignore")


class TestLimitOfTokens:
    def test_request_over_the_limit_is_not_sent(self, hook, emulator):
        with pytest.raises(e.GeminiInputError, match="has 10 tokens, and max_input_tokens is 9: no model was asked"):
            hook.ask("x" * 40, max_input_tokens=9)

        assert calls(emulator) == ["count_tokens"]

    def test_request_within_the_limit_is_sent(self, hook, emulator):
        hook.ask("x" * 40, max_input_tokens=10)

        assert calls(emulator) == ["count_tokens", "generate"]


class TestFilesThatAreGone:
    @pytest.fixture
    def gone(self, hook, emulator, text_file) -> GeminiFile:
        file = hook.upload_file(text_file, name="files/af0123")
        emulator.clock.advance(72 * 3600)
        return file

    def test_recorded_upload_is_uploaded_again(self, hook, gone):
        asked = hook.ask("x", gone.name, find_upload={gone.name: gone}.get)

        assert f"{gone.name} text/plain, 20 bytes" in asked.value
        assert asked.response["files"] == [gone.name]

    def test_metadata_that_was_passed_decides_nothing(self, hook, emulator, gone):
        with pytest.raises(e.GeminiFileGoneError, match="No upload task of this run has recorded"):
            hook.ask("x", gone, find_upload=lambda name: None)

        assert emulator.usage()["files"] == 0

    def test_without_a_record_the_error_of_the_service_is_raised(self, hook, gone):
        with pytest.raises(e.GeminiFileGoneError, match="Upload it again"):
            hook.ask("x", gone)

    @pytest.mark.parametrize("options", [{}, {"max_input_tokens": 1000}])
    def test_file_that_goes_between_look_up_and_request_is_uploaded_again(
        self, hook, emulator, clock, text_file, options
    ):
        file = hook.upload_file(text_file, name="files/af0123")
        call = "count_tokens" if options else "generate"
        emulator.faults.add(call, "gone", file_id="af0123", times=5)
        # During the repetitions for a file that has just become ACTIVE.
        clock.after(1, lambda: hook.delete_file(file))

        asked = hook.ask("x", file.name, find_upload={file.name: file}.get, **options)

        assert f"{file.name} text/plain, 20 bytes" in asked.value

    @pytest.mark.parametrize("as_given", [lambda file: file, GeminiFile.to_dict, lambda file: file.name])
    def test_file_of_another_connection_is_an_error_that_names_both(self, hook, emulator, gone, as_given):
        theirs = replace(gone, conn_id="gemini_other")

        with pytest.raises(
            e.GeminiInputError, match=r"uploaded through connection 'gemini_other'.*goes through 'gemini_default'"
        ):
            hook.ask("x", as_given(theirs), find_upload={gone.name: theirs}.get)

        assert emulator.usage()["files"] == 0

    def test_display_names_are_logged_in_one_clean_line(self, hook, clock, text_file, mocker):
        name = hook.upload_file(text_file, display_name="a\u202eb https://u:s3cret@host/x").name
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)

        GeminiFilesHook(clock=clock).ask("x", name)

        assert f"Sending {name} (text/plain, ab https://host/x)" in logged_by(log.info)

    def test_it_is_named_also_if_nothing_may_be_uploaded_again(self, hook, gone):
        with pytest.raises(e.GeminiInputError, match="connection 'gemini_other'"):
            hook.ask("x", replace(gone, conn_id="gemini_other"))

    def test_file_of_another_connection_with_the_same_project_is_shown(self, hook, text_file):
        file = hook.upload_file(text_file)

        assert hook.ask("x", replace(file, conn_id="gemini_other")).response["files"] == [file.name]
