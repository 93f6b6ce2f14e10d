from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import Stats
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from google.genai.types import BlockedReason, FinishReason
from pydantic import BaseModel

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators import content
from airflow_provider_gemini_files.operators.content import GeminiCountTokensOperator, GeminiGenerateContentOperator


class Count(BaseModel):
    """What is asked for."""

    crates: int


def ask(**arguments: object) -> GeminiGenerateContentOperator:
    return GeminiGenerateContentOperator(task_id="ask", **arguments)


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def test_the_answer_shows_what_the_model_saw_and_the_bill_is_pushed(emulator, hook, context, ti, text_file):
    file = hook.upload_file(text_file)

    text = ask(prompt="what?", files=file.name, model="gemini-3.8-pro").execute(context)

    assert f"{file.name} text/plain, 20 bytes, sha256 {file.sha256}" in text
    assert text.endswith("I was asked: what?")
    usage = ti.pushed["response"].pop("usage")
    assert ti.pushed["response"] == {
        "model_version": "gemini-3.8-pro",
        "finish_reason": "STOP",
        "files": [file.name],
    }
    assert usage["total"] == usage["prompt"] + usage["answer"] > 0
    assert usage["by_modality"] == {"prompt": {"TEXT": usage["prompt"]}}


def test_the_model_of_the_connection_is_used_where_none_is_named(connect, gemini_emulator, context, ti):
    connect(host=gemini_emulator.base_url, extra={"model": "gemini-of-the-house"})

    ask(prompt="what?", model="").execute(context)

    assert ti.pushed["response"]["model_version"] == "gemini-of-the-house"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"prompt": ""}, "prompt is a text"),
        ({"prompt": "  "}, "prompt is a text"),
        ({"prompt": ["a"]}, "prompt is a text"),
        ({}, "nothing to ask"),
        ({"prompt": "x", "files": []}, "empty list"),
        ({"contents": [{"text": "x"}]}, r"contents\[0\]"),
        ({"prompt": "x", "generation_config": {"temperatur": 1}}, "temperatur"),
        ({"prompt": "x", "response_schema": "nowhere"}, "response_schema"),
        ({"prompt": "x", "output_path": "gs://bucket/x"}, "no file system"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(emulator, context, arguments, told):
    with pytest.raises(e.GeminiInputError, match=told):
        ask(**arguments).execute(context)

    assert emulator.journal == []


def test_files_of_a_task_that_has_pushed_nothing_are_not_silently_left_out(emulator, context):
    operator = ask(prompt="what?", files="{{ ti.xcom_pull('upload') }}")
    # As rendering leaves the output of a task that was skipped.
    operator.files = None

    with pytest.raises(e.GeminiInputError, match="files is None"):
        operator.execute(context)


def test_the_fields_an_author_varies_are_templated():
    assert set(GeminiGenerateContentOperator.template_fields) == {
        "prompt", "files", "contents", "model", "system_instruction", "gemini_conn_id", "generation_config",
        "max_input_tokens", "output_path", "output_conn_id",
    }  # fmt: skip


def test_files_and_contents_are_rendered_wherever_they_hold_a_template(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)
    operator = ask(
        contents=[{"role": "user", "parts": ["about {{ params.topic }}"]}, {"role": "model", "parts": ["yes"]}],
        files=[{"file": "{{ params.file }}", "media_resolution": "{{ params.resolution }}"}],
        prompt="{{ params.topic }}?",
        generation_config={"temperature": "{{ params.temperature }}"},
    )
    params = {"topic": "crates", "file": file.name, "resolution": "low", "temperature": 0}

    operator.render_template_fields({"params": params})

    answer = operator.execute(context)
    assert f"1. {file.name}" in answer
    assert answer.endswith("I was asked: about crates\nyes\ncrates?")


# --- schemas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [Count, Count.model_json_schema()])
def test_an_answer_that_follows_a_schema_is_returned_as_its_value(emulator, context, ti, schema):
    emulator.answers.add('{"crates": 5}')

    assert ask(prompt="how many?", response_schema=schema).execute(context) == {"crates": 5}


def test_an_answer_that_does_not_follow_it_is_asked_again_by_a_retry(emulator, context, ti):
    emulator.answers.add('{"crates": "many"}')

    with pytest.raises(e.GeminiUnusableAnswerError, match=r"crates: .*It begins: '\{\"crates\": \"many\"\}'"):
        ask(prompt="how many?", response_schema=Count).execute(context)

    assert calls(emulator) == ["generate"]
    assert ti.pushed["response"]["usage"]["total"] > 0


def test_a_repair_shows_the_model_what_is_wrong_and_both_calls_are_accounted_for(emulator, context, ti, mocker):
    asked = mocker.spy(GeminiFilesHook, "generate_content")
    emulator.answers.add('{"crates": "many"}')
    emulator.answers.add('{"crates": 5}')

    value = ask(prompt="how many?", response_schema=Count, repair_answer=True).execute(context)

    assert value == {"crates": 5}
    first, second = (call.args[1].turns({}) for call in asked.call_args_list)
    assert second[:1] == first
    assert second[1] == {"role": "model", "parts": [{"text": '{"crates": "many"}'}]}
    assert "crates: Input should be a valid integer" in second[2]["parts"][0]["text"]
    billed = [call.usage for call in asked.spy_return_list]
    assert ti.pushed["response"]["usage"]["total"] == sum(usage["total"] for usage in billed)


def test_one_repair_is_tried_and_no_more(emulator, context):
    for _ in range(2):
        emulator.answers.add("no json")

    with pytest.raises(e.GeminiUnusableAnswerError, match="does not follow response_schema"):
        ask(prompt="how many?", response_schema=Count, repair_answer=True).execute(context)

    assert calls(emulator) == ["generate"] * 2


# --- answers of no use -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scripted", "kind", "told"),
    [
        ({"block_reason": "PROHIBITED_CONTENT"}, e.GeminiNoAnswerError, "blocked: PROHIBITED_CONTENT"),
        ({"finish_reason": "SAFETY"}, e.GeminiNoAnswerError, "SAFETY.*DANGEROUS_CONTENT HIGH"),
        ({"finish_reason": "RECITATION"}, e.GeminiUnusableAnswerError, "RECITATION"),
        ({"finish_reason": "MAX_TOKENS", "text": "part"}, e.GeminiNoAnswerError, "MAX_TOKENS.*begins: 'part'"),
        ({"finish_reason": "MALFORMED_FUNCTION_CALL"}, e.GeminiUnusableAnswerError, "MALFORMED_FUNCTION_CALL"),
        ({"empty": True}, e.GeminiUnusableAnswerError, "answered nothing"),
    ],
)
def test_an_answer_of_no_use_fails_and_is_accounted_for(emulator, context, ti, scripted, kind, told):
    emulator.answers.add(**scripted)

    with pytest.raises(kind, match=told):
        ask(prompt="x").execute(context)

    assert ti.pushed["response"]["usage"]["prompt"] >= 0
    assert ti.pushed["response"]["finish_reason"] == (scripted.get("finish_reason"))


def test_every_reason_that_the_sdk_knows_for_an_end_is_told(emulator, context):
    reasons = {reason.name for reason in FinishReason} - {"STOP", "FINISH_REASON_UNSPECIFIED"}
    permanent = set()
    for reason in sorted(reasons):
        emulator.answers.add(finish_reason=reason)
        with pytest.raises(e.GeminiFilesError, match=f"ended with {reason}") as told:
            ask(prompt="x").execute(context)
        if isinstance(told.value, e.GeminiPermanentError):
            permanent.add(reason)

    assert {"MAX_TOKENS", "SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"} <= permanent
    assert not {"RECITATION", "OTHER", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"} & permanent


def test_every_reason_that_the_sdk_knows_for_a_block_is_told(emulator, context):
    for reason in sorted({reason.name for reason in BlockedReason} - {"BLOCKED_REASON_UNSPECIFIED"}):
        emulator.answers.add(block_reason=reason)
        with pytest.raises(e.GeminiNoAnswerError, match=f"blocked: {reason}"):
            ask(prompt="x").execute(context)


def test_a_cut_answer_is_kept_where_one_wants_it(emulator, context, ti):
    emulator.answers.add("part", finish_reason="MAX_TOKENS")

    assert ask(prompt="x", on_max_tokens="keep").execute(context) == "part"
    assert ti.pushed["response"]["finish_reason"] == "MAX_TOKENS"


def test_a_cut_answer_never_follows_a_schema(emulator, context):
    emulator.answers.add('{"crates": 5}', finish_reason="MAX_TOKENS")

    with pytest.raises(e.GeminiNoAnswerError, match="MAX_TOKENS"):
        ask(prompt="x", on_max_tokens="keep", response_schema=Count).execute(context)


def test_what_to_do_about_a_cut_answer_is_one_of_two():
    with pytest.raises(e.GeminiInputError, match="'fail' or 'keep'; got 'ignore'"):
        ask(prompt="x", on_max_tokens="ignore")


# --- accounting --------------------------------------------------------------------------------------------------


def test_tokens_are_counted_as_metrics_by_kind_model_and_modality(emulator, hook, context, video_file, mocker):
    emulator.settings.video_seconds = 0
    file = hook.upload_file(video_file)
    incr = mocker.patch.object(Stats, "incr", autospec=True)

    ask(prompt="what happens here?", files=file, model="gemini-3.8-pro").execute(context)

    counted = {
        (call.args[0], call.kwargs["tags"]["modality"]): call.args[1]
        for call in incr.call_args_list
        if call.kwargs["tags"]["model"] == "gemini-3.8-pro"
    }
    assert counted.pop(("gemini_files.generate.prompt_tokens", "VIDEO")) > 1000
    assert set(counted) == {
        ("gemini_files.generate.prompt_tokens", "TEXT"),
        ("gemini_files.generate.answer_tokens", "UNSPECIFIED"),
    }


@pytest.mark.parametrize("most", [9, "9"])
def test_a_question_that_costs_too_much_is_not_asked(emulator, context, most):
    with pytest.raises(e.GeminiInputError, match="has 10 tokens, and max_input_tokens is 9: nothing was asked"):
        ask(prompt="x" * 40, max_input_tokens=most).execute(context)

    assert calls(emulator) == ["count_tokens"]


@pytest.mark.parametrize(("most", "counted"), [(10, True), ("10", True), (None, False), ("", False)])
def test_a_question_within_its_limit_is_asked(emulator, context, most, counted):
    ask(prompt="x" * 40, max_input_tokens=most).execute(context)

    assert calls(emulator) == ["count_tokens"] * counted + ["generate"]


def test_a_limit_that_is_no_number_is_refused(emulator, context):
    with pytest.raises(e.GeminiInputError, match="whole number, got 'few'"):
        ask(prompt="x", max_input_tokens="few").execute(context)


def test_tokens_are_counted_without_being_spent(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)
    operator = GeminiCountTokensOperator(task_id="count", prompt="x" * 40, files=file.name, system_instruction="y" * 40)

    assert operator.execute(context) == 10 + 10 + 5
    assert calls(emulator)[-2:] == ["get", "count_tokens"]


# --- where answers go --------------------------------------------------------------------------------------------


def test_an_answer_is_written_and_its_uri_returned(emulator, context, ti, tmp_path):
    emulator.answers.add("long " * 1000)
    path = tmp_path / "answers" / "one.txt"

    assert ask(prompt="x", output_path=str(path)).execute(context) == f"file://{path}"

    assert path.read_text() == "long " * 1000
    assert ti.pushed["response"]["output"] == f"file://{path}"
    assert ti.pushed["response"]["head"] == ("long " * 1000)[:200]
    assert ti.pushed["response"]["finish_reason"] == "STOP"


def test_a_value_is_written_as_json(emulator, context, tmp_path):
    emulator.answers.add('{"crates": 5}')

    ask(prompt="x", response_schema=Count, output_path=tmp_path / "one.json").execute(context)

    assert json.loads((tmp_path / "one.json").read_text()) == {"crates": 5}


def test_an_answer_too_large_for_xcom_says_what_to_do_and_is_not_lost(emulator, context, ti, capsys):
    line = "a line of the answer that was paid for"
    emulator.answers.add(f"{line}\n" * 2000)

    with pytest.raises(e.GeminiInputError, match=r"The answer has 78\.1 KiB, more than the 48\.0 KiB .* output_path"):
        ask(prompt="x").execute(context)

    assert capsys.readouterr().out.count(line) == 2000
    assert ti.pushed["response"]["usage"]["answer"] > 0


def test_what_a_search_has_found_is_told(emulator, hook, context, ti, text_file):
    stores = hook.client.file_search_stores
    store = stores.create()
    stores.import_file(
        file_search_store_name=store.name, file_name=hook.upload_file(text_file, name="files/af0123").name
    )
    emulator.clock.advance(60)
    search = {"file_search": {"file_search_store_names": [store.name]}}

    ask(prompt="x", generation_config={"tools": [search]}).execute(context)

    assert ti.pushed["response"]["sources"] == [{"title": "af0123", "store": store.name}]
    ask(prompt="x").execute(context)
    assert "sources" not in ti.pushed["response"]


def test_an_answer_that_xcom_does_not_get_may_be_of_any_size(emulator, context):
    emulator.answers.add("x" * 100_000)

    assert len(ask(prompt="x", do_xcom_push=False).execute(context)) == 100_000


def test_an_answer_that_cannot_be_written_is_not_lost(emulator, context, tmp_path, capsys):
    emulator.answers.add("an answer that was paid for")
    (tmp_path / "file").write_text("")

    with pytest.raises(e.GeminiServiceError, match="cannot be written"):
        ask(prompt="x", output_path=tmp_path / "file" / "one.txt").execute(context)

    assert "an answer that was paid for" in capsys.readouterr().out


# --- files that are gone -----------------------------------------------------------------------------------------


@pytest.fixture
def cleared(context, hook, emulator, text_file):
    """Return the context of a task that is cleared three days later, and the metadata of its file."""
    file = hook.upload_file(text_file, name="files/af0123")
    emulator.clock.advance(72 * 3600)
    with DAG("a_dag"):
        task = EmptyOperator(task_id="ask")
        EmptyOperator(task_id="upload") >> task
    return {**context, "task": task}, file


def test_a_file_that_is_gone_is_uploaded_again(cleared, ti, capsys):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict()]

    assert f"{file.name} text/plain, 20 bytes" in ask(prompt="x", files=file.name).execute(context)

    assert ti.pushed["response"]["files"] == [file.name]
    assert f"{file.name} is gone: uploading {file.uploaded_from.uri} again" in capsys.readouterr().out


def test_also_by_what_the_task_was_given_and_to_count(cleared):
    context, file = cleared

    assert GeminiCountTokensOperator(task_id="count", prompt="x" * 8, files=file.to_dict()).execute(context) == 7


@pytest.mark.parametrize("arguments", [{}, {"max_input_tokens": 1000}])
def test_also_where_it_goes_between_the_look_and_the_question(context, hook, emulator, text_file, mocker, arguments):
    file = hook.upload_file(text_file, name="files/af0123")
    mocker.patch("tenacity.nap.time.sleep", autospec=True)
    active_files = GeminiFilesHook.active_files

    def looked_up(*args):
        found = active_files(*args)
        if "delete" not in calls(emulator):
            hook.delete_file(file)
        return found

    mocker.patch.object(GeminiFilesHook, "active_files", autospec=True, side_effect=looked_up)

    text = ask(prompt="x", files=file.to_dict(), **arguments).execute(context)

    assert f"{file.name} text/plain, 20 bytes" in text


def test_nobody_knows_where_it_came_from(cleared):
    context, file = cleared

    with pytest.raises(e.GeminiFileGoneError, match=rf"{file.name}.*Neither what the task was given nor the XCom"):
        ask(prompt="x", files=file.name).execute(context)


def test_it_is_not_uploaded_again_where_one_does_not_want_it(cleared, ti, emulator):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict()]

    with pytest.raises(e.GeminiFileGoneError, match="Upload it again"):
        ask(prompt="x", files=file.name, reupload_expired=False).execute(context)

    assert emulator.usage()["files"] == 0


def test_the_limit_of_xcom_has_room_in_a_small_column():
    assert content.MAX_XCOM_BYTES < 64 * 1024
