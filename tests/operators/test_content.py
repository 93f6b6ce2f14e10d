from __future__ import annotations

import base64
import json

import pytest
from airflow.providers.common.compat.sdk import Stats
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import xcom
from airflow.sdk.execution_time.context import OutletEventAccessors
from google.genai.types import BlockedReason, FinishReason
from pydantic import BaseModel
from support import FakeClock, logged_by, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators import content
from airflow_provider_gemini_files.operators.content import GeminiCountTokensOperator, GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator
from airflow_provider_gemini_files.transfer.output import Output


class Count(BaseModel):
    """What is asked for."""

    crates: int


def ask(**arguments: object) -> GeminiGenerateContentOperator:
    return GeminiGenerateContentOperator(task_id="ask", **arguments)


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def test_answer_is_returned_and_its_account_pushed(emulator, hook, context, ti, text_file):
    file = hook.upload_file(text_file)

    text = ask(prompt="what?", files=file.name, model="gemini-3.8-pro").execute(context)

    assert f"{file.name} text/plain, 20 bytes, sha256 {file.sha256}" in text
    assert text.endswith("I was asked: what?")
    usage = ti.pushed["response"].pop("usage")
    assert ti.pushed["response"] == {
        "conn_id": "gemini_default",
        "model": "gemini-3.8-pro",
        "model_version": "gemini-3.8-pro",
        "finish_reason": "STOP",
        "calls": 1,
        "files": [file.name],
        "shown": [{"name": file.name, "display_name": "note.txt", "uploaded_from": None}],
    }
    [body] = sent_to_models(emulator)
    assert body["contents"][0]["parts"] == [
        {"fileData": {"fileUri": file.uri, "mimeType": "text/plain"}},
        {"text": "what?"},
    ]
    assert usage["total"] == usage["prompt"] + usage["answer"] > 0
    assert usage["by_modality"] == {"prompt": {"TEXT": usage["prompt"]}}


def test_events_of_the_tasks_assets_have_the_tokens(emulator, context, ti):
    asset, alias = Asset("summary"), AssetAlias("summaries")
    context["outlet_events"] = OutletEventAccessors()
    context["outlet_events"][asset].extra["rows"] = 5

    ask(prompt="what?", outlets=[asset, alias]).execute(context)

    response = ti.pushed["response"]
    told = {name: response[name] for name in ("model_version", "usage")}
    assert context["outlet_events"][asset].extra == {"rows": 5, "gemini": told}
    assert context["outlet_events"][alias].extra == {}


def test_events_of_the_tasks_assets_have_the_cost_if_there_are_prices(emulator, context, ti, prices):
    asset = Asset("summary")
    context["outlet_events"] = OutletEventAccessors()

    ask(prompt="what?", outlets=[asset]).execute(context)

    told = context["outlet_events"][asset].extra["gemini"]
    assert told["cost"] == pytest.approx(ti.pushed["response"]["usage"]["total"] / 1e6)
    assert told["currency"] == "EUR"


def test_prices_that_cannot_be_used_fail_no_task_that_has_paid(emulator, context, prices, mocker):
    prices.write_text("{")
    emulator.answers.add("no number")
    context["outlet_events"] = OutletEventAccessors()
    operator = ask(prompt="what?", response_schema={"type": "integer"}, repair_answer=True, outlets=[Asset("summary")])
    warning = mocker.spy(operator.hook.log, "warning")
    emulator.answers.add("5")

    assert operator.execute(context) == 5

    assert [line for line in logged_by(warning) if "have no costs" in line and str(prices) in line]
    assert sum("have no costs" in line for line in logged_by(warning)) == 1


def test_model_of_the_connection_is_used_if_none_is_given(connect, gemini_emulator, context, ti):
    connect(host=gemini_emulator.base_url, extra={"model": "gemini-of-the-house"})

    ask(prompt="what?", model="").execute(context)

    assert ti.pushed["response"]["model_version"] == "gemini-of-the-house"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": ["a"]}, "prompt must be a text"),
        ({}, "nothing to"),
        ({"prompt": "x", "files": []}, "empty list"),
        ({"contents": [{"text": "x"}]}, r"contents\[0\]"),
        ({"prompt": "x", "generation_config": {"temperatur": 1}}, "temperatur"),
        ({"prompt": "x", "response_schema": "nowhere"}, "response_schema"),
        ({"prompt": "x", "output_path": "gs://bucket/x"}, "no file system"),
    ],
)
def test_unusable_argument_is_refused_before_anything_is_sent(emulator, context, arguments, told):
    with pytest.raises(e.GeminiInputError, match=told):
        ask(**arguments).execute(context)

    assert emulator.journal == []


def test_files_of_a_task_that_pushed_nothing_are_an_error(emulator, context):
    operator = ask(prompt="what?", files="{{ ti.xcom_pull('upload') }}")
    # As rendering leaves the output of a task that was skipped.
    operator.files = None

    with pytest.raises(e.GeminiInputError, match="files is None"):
        operator.execute(context)


def test_fields_that_an_author_varies_are_templated():
    assert set(GeminiGenerateContentOperator.template_fields) == {
        "prompt", "files", "contents", "model", "system_instruction", "gemini_conn_id", "generation_config",
        "max_input_tokens", "output_path", "output_conn_id", "file_search", "source_conn_id", "gcp_conn_id",
        "cached_content",
    }  # fmt: skip


def test_templates_within_files_contents_and_configuration_are_rendered(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)
    operator = ask(
        contents=[{"role": "user", "parts": ["about {{ params.topic }}"]}, {"role": "model", "parts": ["yes"]}],
        files=[{"file": "{{ params.file }}", "media_resolution": "{{ params.resolution }}"}],
        prompt="{{ params.topic }}?",
        generation_config={"temperature": "{{ params.temperature }}"},
    )
    params = {"topic": "crates", "file": file.name, "resolution": "low", "temperature": 0}

    operator.render_template_fields({"params": params})

    operator.execute(context)

    [body] = sent_to_models(emulator)
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "about crates"}]},
        {"role": "model", "parts": [{"text": "yes"}]},
        {
            "role": "user",
            "parts": [
                {
                    "fileData": {"fileUri": file.uri, "mimeType": "text/plain"},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {"text": "crates?"},
            ],
        },
    ]
    assert body["generationConfig"] == {"temperature": 0}


@pytest.mark.parametrize("schema", [Count, Count.model_json_schema()])
def test_answer_that_follows_a_schema_is_returned_as_its_value(emulator, context, ti, schema):
    emulator.answers.add('{"crates": 5}')

    assert ask(prompt="how many?", response_schema=schema).execute(context) == {"crates": 5}


def test_answer_that_does_not_follow_the_schema_is_left_to_a_retry(emulator, context, ti):
    emulator.answers.add('{"crates": "many"}')

    with pytest.raises(e.GeminiUnusableAnswerError, match=r"crates: .*It begins: '\{\"crates\": \"many\"\}'"):
        ask(prompt="how many?", response_schema=Count).execute(context)

    assert calls(emulator) == ["generate"]
    assert ti.pushed["response"]["usage"]["total"] > 0


def test_account_of_a_repair_includes_both_calls(emulator, context, ti):
    emulator.answers.add('{"crates": "many"}')
    emulator.answers.add('{"crates": 5}')

    value = ask(prompt="how many?", response_schema=Count, repair_answer=True).execute(context)

    assert value == {"crates": 5}
    first, second = sent_to_models(emulator)
    assert second["contents"][0] == first["contents"][0]
    assert ti.pushed["response"]["usage"]["prompt"] > 2 * len("how many?") // 4


@pytest.mark.parametrize(
    ("scripted", "kind", "told"),
    [
        ({"block_reason": "PROHIBITED_CONTENT"}, e.GeminiNoAnswerError, "blocked: PROHIBITED_CONTENT"),
        ({"finish_reason": "SAFETY"}, e.GeminiNoAnswerError, "SAFETY.*DANGEROUS_CONTENT HIGH"),
        ({"finish_reason": "RECITATION"}, e.GeminiUnusableAnswerError, "RECITATION"),
        ({"finish_reason": "MAX_TOKENS", "text": "part"}, e.GeminiNoAnswerError, "MAX_TOKENS.*begins: 'part'"),
        ({"finish_reason": "MALFORMED_FUNCTION_CALL"}, e.GeminiUnusableAnswerError, "MALFORMED_FUNCTION_CALL"),
        ({"empty": True}, e.GeminiUnusableAnswerError, "answered nothing"),
        ({"text": " \n", "finish_reason": "STOP"}, e.GeminiUnusableAnswerError, "answered only whitespace"),
    ],
)
def test_unusable_answer_fails_and_its_account_is_pushed(emulator, context, ti, scripted, kind, told):
    emulator.answers.add(**scripted)

    with pytest.raises(kind, match=told):
        ask(prompt="x").execute(context)

    assert ti.pushed["response"]["usage"]["prompt"] >= 0
    assert ti.pushed["response"]["finish_reason"] == (scripted.get("finish_reason"))


def test_every_finish_reason_of_the_sdk_is_an_error_that_names_it(emulator, context):
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


def test_every_block_reason_of_the_sdk_is_an_error_that_names_it(emulator, context):
    for reason in sorted({reason.name for reason in BlockedReason} - {"BLOCKED_REASON_UNSPECIFIED"}):
        emulator.answers.add(block_reason=reason)
        with pytest.raises(e.GeminiNoAnswerError, match=f"blocked: {reason}"):
            ask(prompt="x").execute(context)


def test_cut_answer_is_kept_on_request(emulator, context, ti):
    emulator.answers.add("part", finish_reason="MAX_TOKENS")

    assert ask(prompt="x", on_max_tokens="keep").execute(context) == "part"
    assert ti.pushed["response"]["finish_reason"] == "MAX_TOKENS"


def test_cut_answer_never_follows_a_schema(emulator, context):
    emulator.answers.add('{"crates": 5}', finish_reason="MAX_TOKENS")

    with pytest.raises(e.GeminiNoAnswerError, match="MAX_TOKENS"):
        ask(prompt="x", on_max_tokens="keep", response_schema=Count).execute(context)


def test_unknown_on_max_tokens_is_refused_when_the_dag_is_parsed():
    with pytest.raises(e.GeminiInputError, match="'fail' or 'keep'; got 'ignore'"):
        ask(prompt="x", on_max_tokens="ignore")


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


def test_cost_is_counted_once_for_each_call(emulator, context, ti, prices, mocker):
    emulator.answers.add("no number")
    emulator.answers.add("5")
    incr = mocker.patch.object(Stats, "incr", autospec=True)

    ask(prompt="what?", response_schema={"type": "integer"}, repair_answer=True).execute(context)

    counted = [call for call in incr.call_args_list if call.args[0] == "gemini_files.cost"]
    assert len(counted) == 2
    assert sum(call.args[1] for call in counted) == ti.pushed["response"]["usage"]["total"] * 1000
    assert counted[0].kwargs["tags"]["currency"] == "EUR"


@pytest.mark.parametrize("most", [9, "9"])
def test_request_over_its_limit_is_not_sent(emulator, context, most):
    with pytest.raises(e.GeminiInputError, match="has 10 tokens, and max_input_tokens is 9: no model was asked"):
        ask(prompt="x" * 40, max_input_tokens=most).execute(context)

    assert calls(emulator) == ["count_tokens"]


@pytest.mark.parametrize(("most", "counted"), [(10, True), ("10", True), (None, False), ("", False)])
def test_request_within_its_limit_is_sent(emulator, context, most, counted):
    ask(prompt="x" * 40, max_input_tokens=most).execute(context)

    assert calls(emulator) == ["count_tokens"] * counted + ["generate"]


def test_limit_that_is_not_a_number_is_refused(emulator, context):
    with pytest.raises(e.GeminiInputError, match="max_input_tokens must be a whole number, at least 1; got 'few'"):
        ask(prompt="x", max_input_tokens="few").execute(context)


def test_counting_sends_nothing_to_generate(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)
    operator = GeminiCountTokensOperator(task_id="count", prompt="x" * 40, files=file.name, system_instruction="y" * 40)

    assert operator.execute(context) == 10 + 10 + 5
    assert calls(emulator)[-2:] == ["get", "count_tokens"]


def test_answer_is_written_and_its_uri_returned(emulator, context, ti, tmp_path):
    emulator.answers.add("long " * 1000)
    path = tmp_path / "answers" / "one.txt"

    assert ask(prompt="x", output_path=str(path)).execute(context) == f"file://{path}"

    assert path.read_text() == "long " * 1000
    assert ti.pushed["response"]["output"] == f"file://{path}"
    assert ti.pushed["response"]["head"] == ("long " * 1000)[:200]
    assert ti.pushed["response"]["finish_reason"] == "STOP"


def test_value_is_written_as_json(emulator, context, tmp_path):
    emulator.answers.add('{"crates": 5}')

    ask(prompt="x", response_schema=Count, output_path=tmp_path / "one.json").execute(context)

    assert json.loads((tmp_path / "one.json").read_text()) == {"crates": 5}


def test_answer_too_large_for_xcom_is_logged_in_full_with_advice(emulator, context, ti, capsys):
    line = "a line of the answer that was paid for"
    emulator.answers.add(f"{line}\n" * 2000)

    with pytest.raises(e.GeminiInputError, match=r"The answer has 78\.1 KiB, more than the 48\.0 KiB .* output_path"):
        ask(prompt="x").execute(context)

    assert capsys.readouterr().out.count(line) == 2000
    assert ti.pushed["response"]["usage"]["answer"] > 0


def test_sources_of_a_search_are_pushed(emulator, hook, context, ti, text_file):
    stores = hook.client.file_search_stores
    store = stores.create()
    stores.import_file(
        file_search_store_name=store.name, file_name=hook.upload_file(text_file, name="files/af0123").name
    )
    emulator.clock.advance(60)
    search = {"file_search": {"file_search_store_names": [store.name]}}

    ask(prompt="What do words note?", generation_config={"tools": [search]}).execute(context)

    assert ti.pushed["response"]["sources"] == [{"title": "af0123", "store": store.name}]
    ask(prompt="x").execute(context)
    assert "sources" not in ti.pushed["response"]


def test_answer_that_is_not_pushed_may_have_any_size(emulator, context):
    emulator.answers.add("x" * 100_000)

    assert len(ask(prompt="x", do_xcom_push=False).execute(context)) == 100_000


def test_path_that_cannot_be_written_is_refused_before_anything_is_sent(emulator, context, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(e.GeminiInputError, match="cannot be written"):
        ask(prompt="x", output_path=tmp_path / "file" / "one.txt").execute(context)

    assert emulator.journal == []


def test_answer_that_cannot_be_written_is_logged_in_full(emulator, context, tmp_path, capsys, mocker):
    emulator.answers.add("an answer that was paid for")
    mocker.patch.object(Output, "write", autospec=True, side_effect=e.GeminiServiceError("The disk is full."))

    with pytest.raises(e.GeminiServiceError, match="The disk is full"):
        ask(prompt="x", output_path=tmp_path / "one.txt").execute(context)

    assert "an answer that was paid for" in capsys.readouterr().out


def failing(mocker, *endings: str) -> None:
    """Let the writing of what has these endings fail."""
    write = Output.write

    def written(output: Output, content: str | bytes) -> None:
        if output.uri.endswith(endings):
            raise e.GeminiServiceError(f"{output.uri}: the disk is full.")
        write(output, content)

    mocker.patch.object(Output, "write", autospec=True, side_effect=written)


class TestAnswersThatAreWrittenInPart:
    PARTS = ({"text": "see what was paid for"}, *({"inlineData": {"mimeType": "image/png", "data": "AAAA"}},) * 3)

    def test_error_says_what_was_written_and_what_is_lost(self, emulator, context, tmp_path, mocker, capsys):
        emulator.answers.add(parts=list(self.PARTS))
        failing(mocker, "-1.png", "-3.png")
        place = f"file://{tmp_path}/one"

        with pytest.raises(e.GeminiServiceError) as raised:
            ask(prompt="draw", output_path=tmp_path / "one.txt").execute(context)

        assert raised.value.message == (
            f"{place}-1.png: the disk is full. {place}-3.png: the disk is full. Written: {place}.txt, {place}-2.png. "
            f"Media that are lost: {place}-1.png, {place}-3.png."
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one-2.png", "one.txt"]
        assert "see what was paid for" not in capsys.readouterr().out

    def test_text_that_cannot_be_written_is_in_the_log_and_its_media_are_written(
        self, emulator, context, tmp_path, mocker, capsys
    ):
        emulator.answers.add(parts=list(self.PARTS[:2]))
        failing(mocker, ".txt")

        with pytest.raises(
            e.GeminiServiceError, match=rf"Written: file://{tmp_path}/one-1\.png\. The text is in the log above\. \[GF"
        ):
            ask(prompt="draw", output_path=tmp_path / "one.txt").execute(context)

        assert "see what was paid for" in capsys.readouterr().out
        assert [path.name for path in tmp_path.iterdir()] == ["one-1.png"]

    def test_lost_media_of_an_answer_without_text_are_named(self, emulator, context, tmp_path, mocker):
        emulator.answers.add(parts=list(self.PARTS[1:2]))
        failing(mocker, ".png")

        with pytest.raises(
            e.GeminiServiceError, match=rf"Written: nothing\. Media that are lost: file://{tmp_path}/one\.png\. \[GF"
        ):
            ask(prompt="draw", output_path=tmp_path / "one.png").execute(context)


@pytest.fixture
def cleared(context, hook, emulator, text_file):
    """Return the context of a task that is cleared three days later, and the metadata of its file."""
    file = hook.upload_file(text_file, name="files/af0123")
    emulator.clock.advance(72 * 3600)
    with DAG("a_dag"):
        task = EmptyOperator(task_id="ask")
        upload = GeminiUploadFileOperator(task_id="upload", source="/data/note.txt")
        [upload, EmptyOperator(task_id="other")] >> task
    return {**context, "task": task}, file


def test_file_that_is_gone_is_uploaded_again_from_its_record(cleared, ti, capsys):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict()]

    assert f"{file.name} text/plain, 20 bytes" in ask(prompt="x", files=file.name).execute(context)

    assert ti.pushed["response"]["files"] == [file.name]
    assert f"{file.name} can no longer be used: uploading {file.uploaded_from.uri} again" in capsys.readouterr().out


def test_file_is_uploaded_again_to_be_counted(cleared, ti):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict()]

    assert GeminiCountTokensOperator(task_id="count", prompt="x" * 8, files=file.name).execute(context) == 7


@pytest.mark.parametrize("as_given", [GeminiFile.to_dict, lambda file: file.name])
def test_file_that_no_upload_task_has_recorded_is_not_uploaded_again(cleared, emulator, as_given):
    context, file = cleared

    with pytest.raises(e.GeminiFileGoneError, match=rf"{file.name}.*No upload task of this run has recorded"):
        ask(prompt="x", files=as_given(file)).execute(context)

    assert emulator.usage()["files"] == 0


def test_file_that_another_task_claims_to_have_uploaded_is_not_uploaded_again(cleared, ti, emulator):
    context, file = cleared
    ti.upstream["other", "file"] = [file.to_dict()]

    with pytest.raises(e.GeminiFileGoneError, match="No upload task of this run"):
        ask(prompt="x", files=file.name).execute(context)


def test_file_of_another_connection_is_an_error_that_names_both(cleared, ti, emulator):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict() | {"conn_id": "gemini_other"}]

    with pytest.raises(e.GeminiInputError, match=r"connection 'gemini_other'.*goes through 'gemini_default'"):
        ask(prompt="x", files=file.name).execute(context)

    assert emulator.usage()["files"] == 0


def test_file_is_not_uploaded_again_if_that_is_switched_off(cleared, ti, emulator):
    context, file = cleared
    ti.upstream["upload", "file"] = [file.to_dict()]

    with pytest.raises(e.GeminiFileGoneError, match="Upload it again"):
        ask(prompt="x", files=file.name, reupload_expired=False).execute(context)

    assert emulator.usage()["files"] == 0


class OtherXCom(BaseXCom):
    """Stands for a backend of object storage."""


def test_backend_of_object_storage_takes_answers_of_any_size(emulator, context, mocker):
    mocker.patch.object(xcom, "XCom", OtherXCom)
    emulator.answers.add("x" * 100_000)

    assert len(ask(prompt="x").execute(context)) == 100_000


@pytest.mark.parametrize("value", ["", "None", "{{ params.nothing }}"])
def test_output_path_that_renders_to_nothing_is_refused_before_anything_is_sent(
    emulator, context, tmp_path, monkeypatch, value
):
    monkeypatch.chdir(tmp_path)
    operator = ask(prompt="x", output_path=value)
    operator.render_template_fields({"params": {"nothing": None}})

    with pytest.raises(e.GeminiInputError, match="output_path is empty after its template was rendered"):
        operator.execute(context)

    assert emulator.journal == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["model", "system_instruction", "max_input_tokens", "contents", "generation_config"])
def test_template_of_a_null_param_counts_as_not_set(emulator, context, field):
    operator = ask(prompt="x", **{field: "{{ params.nothing }}"})
    operator.render_template_fields({"params": {"nothing": None}})

    operator.execute(context)

    [body] = sent_to_models(emulator)
    assert set(body) == {"contents"} | {key for key in body if key == "generationConfig"}
    assert "None" not in json.dumps([entry["path"] for entry in emulator.journal])


def test_contents_of_a_null_param_alone_are_refused(emulator, context):
    operator = ask(contents="{{ params.nothing }}")
    operator.render_template_fields({"params": {"nothing": None}})

    with pytest.raises(e.GeminiInputError, match="There is nothing to send"):
        operator.execute(context)

    assert emulator.journal == []


def test_files_of_a_null_param_are_an_error(emulator, context):
    operator = ask(prompt="x", files="{{ params.nothing }}")
    operator.render_template_fields({"params": {"nothing": None}})

    with pytest.raises(e.GeminiInputError, match="files is None"):
        operator.execute(context)

    assert emulator.journal == []


def test_account_that_cannot_be_pushed_does_not_lose_the_answer(emulator, context, ti, mocker):
    emulator.answers.add("an answer that was paid for")
    mocker.patch.object(ti, "xcom_push", autospec=True, side_effect=ConnectionError("no API server"))

    assert ask(prompt="x").execute(context) == "an answer that was paid for"


def test_answer_and_account_have_no_characters_that_databases_refuse(emulator, context, ti):
    candidate = {"content": {"parts": [{"text": "a\0b \ud800"}]}, "finishReason": "STOP"}
    body = json.dumps({"candidates": [candidate], "modelVersion": "m\0"})
    emulator.faults.add("generate", "status", status=200, body=body, content_type="application/json")

    assert ask(prompt="x").execute(context) == "a\ufffdb ?"
    assert ti.pushed["response"]["model_version"] == "m\ufffd"


def test_reference_of_a_schema_that_leads_nowhere_is_refused_before_anything_is_sent(emulator, context):
    with pytest.raises(e.GeminiInputError, match=r"a \$ref to '#/\$defs/Line'"):
        ask(prompt="x", response_schema={"$ref": "#/$defs/Line"}).execute(context)

    assert emulator.journal == []


def test_prompt_of_a_null_param_is_refused(emulator, context):
    operator = ask(prompt="{{ params.nothing }}")
    operator.render_template_fields({"params": {"nothing": None}})

    with pytest.raises(e.GeminiInputError, match="prompt"):
        operator.execute(context)

    assert emulator.journal == []


class TestMedia:
    PICTURE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"a picture").decode()}}  # noqa: RUF012
    SOUND = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}}  # noqa: RUF012

    def test_media_are_written_beside_the_text(self, emulator, context, ti, tmp_path):
        emulator.answers.add(parts=[{"text": "see"}, self.PICTURE, self.SOUND])

        assert ask(prompt="draw", output_path=tmp_path / "one.txt").execute(context) == f"file://{tmp_path}/one.txt"

        assert (tmp_path / "one.txt").read_text() == "see"
        assert (tmp_path / "one-1.png").read_bytes() == b"a picture"
        assert (tmp_path / "one-2.bin").read_bytes() == bytes(3)
        assert ti.pushed["response"]["media"] == [f"file://{tmp_path}/one-1.png", f"file://{tmp_path}/one-2.bin"]

    def test_first_of_media_without_text_is_written_to_the_path(self, emulator, context, ti, tmp_path):
        emulator.answers.add(parts=[self.PICTURE, self.PICTURE])

        assert ask(prompt="draw", output_path=tmp_path / "one.png").execute(context) == f"file://{tmp_path}/one.png"

        assert (tmp_path / "one.png").read_bytes() == (tmp_path / "one-1.png").read_bytes() == b"a picture"
        assert ti.pushed["response"]["media"] == [f"file://{tmp_path}/one.png", f"file://{tmp_path}/one-1.png"]
        assert ti.pushed["response"]["head"] == ""

    def test_answer_of_text_has_no_media(self, emulator, context, ti, tmp_path):
        ask(prompt="x", output_path=tmp_path / "one.txt").execute(context)

        assert "media" not in ti.pushed["response"]

    @pytest.mark.parametrize("options", [{}, {"output_path": "one.json", "response_schema": Count}])
    def test_media_without_text_are_a_permanent_error_if_text_is_needed(
        self, emulator, context, tmp_path, monkeypatch, options
    ):
        monkeypatch.chdir(tmp_path)
        emulator.answers.add(parts=[self.PICTURE])

        with pytest.raises(e.GeminiNoAnswerError, match="no text, only: 1 image/png"):
            ask(prompt="draw", **options).execute(context)

        assert calls(emulator) == ["generate"]


class TestAnswersThatKnowTheirSource:
    def test_answer_comes_with_its_files_and_map_index(self, emulator, hook, context, ti, text_file):
        ti.map_index = 2
        file = hook.upload_file(text_file)
        emulator.answers.add("yes")

        assert ask(prompt="x", files=file.to_dict(), with_source=True).execute(context) == {
            "answer": "yes",
            "files": [{"name": file.name, "display_name": "note.txt", "uploaded_from": str(text_file)}],
            "map_index": 2,
        }

    def test_value_and_written_answer_take_the_place_of_the_text(self, emulator, context, tmp_path):
        emulator.answers.add('{"crates": 5}')
        emulator.answers.add("yes")

        value = ask(prompt="x", response_schema=Count, with_source=True).execute(context)
        written = ask(prompt="x", output_path=tmp_path / "a.txt", with_source=True).execute(context)

        assert value["answer"] == {"crates": 5}
        assert written["answer"] == f"file://{tmp_path}/a.txt"

    def test_account_of_a_blocked_answer_names_the_files(self, emulator, hook, context, ti, text_file):
        file = hook.upload_file(text_file)
        emulator.answers.add(block_reason="SAFETY")

        with pytest.raises(e.GeminiNoAnswerError):
            ask(prompt="x", files=file.name).execute(context)

        assert ti.pushed["response"]["shown"][0]["display_name"] == "note.txt"


def test_paid_request_is_not_repeated_within_the_attempt(emulator, context):
    emulator.faults.add("generate", "lose_answer")

    with pytest.raises(e.GeminiServiceError, match="may have been carried out and billed"):
        ask(prompt="x").execute(context)

    assert calls(emulator) == ["generate"]


def test_paid_request_is_repeated_if_asked_for(emulator, context):
    emulator.faults.add("generate", "lose_answer")
    operator = ask(prompt="x", repeat_unanswered=True)
    operator.hook = GeminiFilesHook(clock=FakeClock(emulator))

    assert operator.execute(context)
    assert calls(emulator) == ["generate", "generate"]


def test_limit_of_xcom_fits_the_smallest_column():
    assert content.MAX_XCOM_BYTES < 64 * 1024


class TestSources:
    def test_source_is_shown_by_one_task(self, emulator, context, ti, text_file):
        answer = ask(prompt="what?", files=[{"source": str(text_file)}], with_source=True).execute(context)

        assert answer["files"] == [{"name": None, "display_name": "note.txt", "uploaded_from": str(text_file)}]
        assert calls(emulator) == ["generate"]

    def test_source_may_be_a_template(self, emulator, context, text_file):
        operator = ask(prompt="what?", files={"source": "{{ params.path }}"})
        operator.render_template_fields({"params": {"path": str(text_file)}})

        operator.execute(context)

        assert calls(emulator) == ["generate"]

    def test_source_that_data_names_is_refused(self, emulator, context, text_file):
        operator = ask(prompt="what?", files="{{ ti.xcom_pull('made') }}")
        operator.files = [{"source": str(text_file)}]

        with pytest.raises(
            e.GeminiInputError, match=r"files\[0\] is a source that comes from a template, an XCom or a file"
        ):
            operator.execute(context)

        assert emulator.journal == []

    def test_upload_is_deleted_once_the_answer_is_written(self, emulator, hook, context, tmp_path, text_file):
        output = tmp_path / "out.txt"

        ask(prompt="what?", files={"source": str(text_file)}, via="upload", output_path=str(output)).execute(context)

        assert output.read_text()
        assert hook.list_files() == []

    def test_unknown_way_is_refused_when_the_dag_is_parsed(self):
        with pytest.raises(e.GeminiInputError, match="via must be auto, inline"):
            ask(prompt="what?", via="post")

    def test_tokens_of_a_source_are_counted(self, emulator, hook, context, text_file):
        counting = GeminiCountTokensOperator(
            task_id="count", prompt="what?", files={"source": str(text_file)}, via="upload"
        )

        assert counting.execute(context) > 0
        assert hook.list_files() == []


class TestValuesThatCannotBeUsed:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"model": " "}, "model must be a name .* got ' '"),
            ({"model": "gemini-3.8-flash?key=x"}, "model must be a name"),
            ({"model": "gemini\0"}, "model must be a name"),
            ({"files": {"files/a", "files/b"}}, "pass a list, not a set"),
            ({"contents": {"a"}}, "pass a list, not a set"),
            ({"output_path": "\ud800.txt"}, "not a valid file name"),
        ],
    )
    def test_they_are_refused_before_anything_is_sent(self, emulator, context, arguments, told):
        with pytest.raises(e.GeminiInputError, match=told):
            ask(prompt="x", **arguments).execute(context)

        assert emulator.journal == []
