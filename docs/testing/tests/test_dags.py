"""The Dags run in real Airflow, and against an emulator of the Gemini API."""

from __future__ import annotations

from summarize_report import summarize_report

from airflow_provider_gemini_files.sensors.files import GeminiFileStateSensor

HOUR = 3600


def states_of(run):
    return {ti.task_id: ti.state for ti in run.get_task_instances()}


def result_of(run, task_id):
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id)


def calls_of(emulator):
    return [entry["call"] for entry in emulator.journal]


def test_report_is_summarized_and_deleted(gemini, report):
    gemini.answers.add("Sales went up.")

    run = summarize_report().test(run_conf={"report": report})

    assert set(states_of(run).values()) == {"success"}
    assert result_of(run, "summarize") == "Sales went up."
    # The journal has what was sent: one question, with the file and the prompt.
    [question] = [entry["body"] for entry in gemini.journal if entry["call"] == "generate"]
    [shown, prompt] = question["contents"][0]["parts"]
    assert result_of(run, "upload") in str(shown["fileData"])
    assert prompt == {"text": "Summarize this in three sentences."}
    assert gemini.usage()["files"] == 0


def test_file_that_the_service_cannot_read_is_deleted_and_not_asked_about(gemini, report):
    gemini.faults.add("finalize", "fail_processing")

    run = summarize_report().test(run_conf={"report": report})

    states = {"upload": "success", "wait": "failed", "summarize": "upstream_failed", "delete": "success"}
    assert states_of(run) == states
    assert "generate" not in calls_of(gemini)
    assert gemini.usage()["files"] == 0


def test_question_is_asked_again_after_a_rate_limit(gemini, report):
    gemini.faults.add("generate", "rate_limit", seconds=1)

    run = summarize_report().test(run_conf={"report": report})

    assert run.state == "success"
    assert calls_of(gemini).count("generate") == 2


def test_file_that_has_expired_is_uploaded_again(gemini, report, monkeypatch):
    # Three days pass between two tasks; files live for two.
    monkeypatch.setattr(GeminiFileStateSensor, "post_execute", lambda *_: gemini.clock.advance(72 * HOUR))

    run = summarize_report().test(run_conf={"report": report})

    assert run.state == "success"
    assert calls_of(gemini).count("start") == 2
    assert gemini.usage()["files"] == 0
