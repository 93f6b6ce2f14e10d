"""Run each example Dag with Airflow in this process."""

from __future__ import annotations

import importlib.util
import json
import logging
import struct
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.sdk import DAG
from support import EXAMPLE_DAGS, add_runs, seed, sent_to_models

from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.triggers import base as triggers
from airflow_provider_gemini_files.usage_history import PREFIX

DAG_IDS = [path.stem for path in EXAMPLE_DAGS.glob("*.py")]
CLEANUP = "gemini_files_cleanup"
BATCH = "gemini_files_batch"
HANDBOOK = "gemini_files_handbook"
ONE_TASK = "gemini_files_one_task"
CACHED_VIDEO = "gemini_files_cached_video"
ALERT = "gemini_files_alert"
INVOICE_FILES = sorted((EXAMPLE_DAGS / "media" / "invoices").glob("*.pdf"))
INVOICES = [path.name for path in INVOICE_FILES]


@pytest.fixture(autouse=True)
def _quiet(emulator, airflow_db, tmp_path, monkeypatch):
    # Examples write to this directory by default.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # No process has to end before a deferred task is resumed.
    monkeypatch.setattr(triggers, "SETTLE_SECONDS", 0)
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def load(dag_id: str) -> DAG:
    """Import an example and return its Dag."""
    spec = importlib.util.spec_from_file_location(dag_id, EXAMPLE_DAGS / f"{dag_id}.py")
    module = importlib.util.module_from_spec(spec)
    # As Airflow does; pydantic resolves the annotations of models in this module.
    sys.modules[dag_id] = module
    spec.loader.exec_module(module)
    return module.dag if dag_id == CLEANUP else getattr(module, dag_id)()


def states(run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for ti in run.get_task_instances():
        found.setdefault(ti.task_id, set()).add(str(ti.state))
    return found


OWN_TESTS = {CLEANUP, BATCH, HANDBOOK, ONE_TASK, CACHED_VIDEO}


@pytest.mark.parametrize("dag_id", [dag_id for dag_id in DAG_IDS if dag_id not in OWN_TESTS])
def test_example_succeeds_and_leaves_no_files(dag_id, emulator):
    run = load(dag_id).test()

    assert set.union(*states(run).values()) == {"success"}
    assert run.state == "success"
    assert sum(entry.get("command") == "upload, finalize" for entry in emulator.journal) == 3
    assert emulator.usage() == {"files": 0, "bytes": 0}


@pytest.mark.parametrize("crates", [1, 500])
def test_one_task_shows_its_source_and_leaves_no_file(emulator, tmp_path, crates):
    video = tmp_path / "clip.mp4"
    video.write_bytes((EXAMPLE_DAGS / "media" / "unloading.mp4").read_bytes() + b"\0" * crates * 20_000)

    run = load(ONE_TASK).test(run_conf={"source": str(video)})

    assert states(run) == {"ask": {"success"}}
    calls = [entry["call"] for entry in emulator.journal]
    assert calls[-1] == ("generate" if crates == 1 else "delete")
    assert emulator.usage() == {"files": 0, "bytes": 0}


def test_batch_answers_in_the_order_of_the_files_and_leaves_only_its_result_file(emulator, tmp_path):
    dag = load(BATCH)

    run = dag.test(run_conf={"output": f"file://{tmp_path}"})

    assert set.union(*states(run).values()) == {"success"}
    assert run.state == "success"
    [output] = tmp_path.glob("*.jsonl")
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["key"] for row in rows] == INVOICES
    for row in rows:
        invoice = sys.modules[BATCH].Invoice.model_validate(row["value"])
        assert invoice.model_dump(mode="json") == row["value"]
    calls = [entry["call"] for entry in emulator.journal]
    assert (calls.count("create_batch"), calls.count("generate")) == (1, 0)
    assert sum(entry.get("command") == "upload, finalize" for entry in emulator.journal) == len(INVOICES) + 1
    # The service refuses to delete what it has generated.
    [left] = [file for project in emulator.emulator.projects.values() for file in project.files()]
    assert left.source == "GENERATED"


def test_alert_posts_to_the_webhook_once_if_the_storage_is_nearly_full(emulator, connect, monkeypatch):
    from airflow.models.variable import Variable

    connect(host=emulator.base_url, extra={"quota_bytes": sum(path.stat().st_size for path in INVOICE_FILES)})
    posted: list[dict] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever).start()
        webhook = {"conn_type": "http", "password": f"http://127.0.0.1:{server.server_port}/secret"}
        monkeypatch.setenv("AIRFLOW_CONN_STORAGE_WEBHOOK", json.dumps(webhook))
        for _ in range(2):
            run = load(ALERT).test()
            assert run.state == "success"
        server.shutdown()
    Variable.delete(f"{PREFIX}gemini_default")

    [body] = posted
    assert body["text"].startswith("The storage of gemini_default is 100.0 % full: ")
    assert emulator.usage() == {"files": 0, "bytes": 0}


def cached_video(prompts: int) -> DAG:
    """Return the example with some of its prompts, each of which is a task."""
    load(CACHED_VIDEO)
    module = sys.modules[CACHED_VIDEO]
    module.PROMPTS = module.PROMPTS[:prompts]
    return module.gemini_files_cached_video()


def test_cached_video_is_sent_and_paid_once_for_all_prompts(emulator, hook):
    run = cached_video(prompts=3).test()

    assert set.union(*states(run).values()) == {"success"}
    assert run.state == "success"
    calls = [entry["call"] for entry in emulator.journal]
    assert [calls.count(call) for call in ("create_cache", "get_cache", "generate", "delete_cache")] == [1, 0, 3, 1]
    parts = [[part for turn in body["contents"] for part in turn["parts"]] for body in sent_to_models(emulator)]
    assert sorted(part["text"] for [part] in parts) == sorted(sys.modules[CACHED_VIDEO].PROMPTS)
    asked = [ti for ti in run.get_task_instances() if ti.task_id == "ask"]
    responses = [ti.xcom_pull(task_ids="ask", key="response", map_indexes=ti.map_index) for ti in asked]
    assert all(response["usage"]["cached"] > 1_500 for response in responses)
    assert hook.list_caches() == []
    assert emulator.usage() == {"files": 0, "bytes": 0}


def test_video_that_is_too_short_for_a_cache_is_sent_with_each_prompt(emulator, tmp_path):
    dag = cached_video(prompts=2)
    video = bytearray(sys.modules[CACHED_VIDEO].VIDEO.read_bytes())
    # Three seconds, by the header that has the length.
    struct.pack_into(">II", video, video.index(b"mvhd") + 16, 1000, 3000)
    (tmp_path / "short.mp4").write_bytes(video)

    run = dag.test(run_conf={"video": str(tmp_path / "short.mp4")})

    assert set.union(*states(run).values()) == {"success"}
    sent = sent_to_models(emulator)
    assert len(sent) == 2
    for body in sent:
        assert "fileData" in body["contents"][0]["parts"][0]
        assert body["systemInstruction"]["parts"][0]["text"].startswith("Answer in one sentence.")
    assert emulator.usage() == {"files": 0, "bytes": 0}


def result_of(run, task_id: str, key: str = "return_value"):
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id, key=key)


def test_handbook_is_answered_with_the_right_document_and_leaves_only_its_store(emulator, hook):
    run = load(HANDBOOK).test()

    assert set.union(*states(run).values()) == {"success"}
    assert run.state == "success"
    folder = EXAMPLE_DAGS / "media" / "handbook"
    pages = sorted(page.name for page in folder.iterdir())
    assert result_of(run, "sync") == {"added": len(pages), "replaced": 0, "deleted": 0, "unchanged": 0, "failed": 0}
    first, *_ = result_of(run, "ask", "response")["citations"]
    assert first["title"] == "returns.md"
    assert first["source"] == str(folder / "returns.md")
    assert first["metadata"] == {"team": "operations"}
    assert "\n\nSources: returns.md" in result_of(run, "cite")
    assert emulator.usage() == {"files": 0, "bytes": 0}
    [store] = hook.list_file_search_stores()
    assert sorted(document.display_name for document in hook.list_documents(store.name)) == pages


def test_handbook_sends_only_what_has_changed_since(emulator, hook, tmp_path):
    emulator.settings.job_seconds = 0
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("returns.md", "travel.md"):
        (folder / name).write_text(f"All about damaged goods, and {name}.")
    load(HANDBOOK).test(run_conf={"folder": str(folder)})
    (folder / "travel.md").unlink()
    (folder / "returns.md").write_text("Damaged goods are photographed, and nothing else.")
    emulator.clear_journal()

    run = load(HANDBOOK).test(run_conf={"folder": str(folder), "question": "Who takes photographs of goods?"})

    assert result_of(run, "sync") == {"added": 0, "replaced": 1, "deleted": 1, "unchanged": 0, "failed": 0}
    assert sum(entry["call"] == "start_document" for entry in emulator.journal) == 1
    [citation] = result_of(run, "ask", "response")["citations"]
    assert citation["title"] == "returns.md"


def test_handbook_fails_rather_than_answering_from_the_knowledge_of_the_model(emulator):
    emulator.settings.job_seconds = 0

    run = load(HANDBOOK).test(run_conf={"question": "Quantum chromodynamics?"})

    assert states(run) == {"store": {"success"}, "sync": {"success"}, "ask": {"failed"}, "cite": {"upstream_failed"}}
    assert run.state == "failed"


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_example_has_tag_and_description_for_the_ui(dag_id):
    dag = load(dag_id)

    assert "gemini" in dag.tags
    assert dag.doc_md.strip().startswith("### Gemini files")


def test_invoices_are_written_as_json_lines_after_repair_of_invalid_answer(emulator, tmp_path):
    dag = load("gemini_files_invoices")
    emulator.answers.add('{"number": "10093", "vendor": "Nordic Labels AB"}')

    run = dag.test(run_conf={"output": f"file://{tmp_path}"})

    assert run.state == "success"
    [output] = tmp_path.iterdir()
    invoices = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(invoices) == 3
    for invoice in invoices:
        assert sys.modules[dag.dag_id].Invoice.model_validate(invoice).total == invoice["total"]
    assert sorted(invoice["file"] for invoice in invoices) == INVOICES
    assert sum(entry["call"] == "generate" for entry in emulator.journal) == 4
    assert emulator.usage() == {"files": 0, "bytes": 0}


def test_invoices_keep_their_file_names_if_one_is_blocked(emulator, tmp_path):
    emulator.answers.add(block_reason="PROHIBITED_CONTENT")

    run = load("gemini_files_invoices").test(run_conf={"output": f"file://{tmp_path}"})

    assert states(run)["extract"] == {"success", "failed"}
    assert states(run)["collect"] == states(run)["delete"] == {"success"}
    [output] = tmp_path.iterdir()
    invoices = [json.loads(line) for line in output.read_text().splitlines()]
    uploads = [entry["body"]["file"] for entry in emulator.journal if entry["call"] == "start"]
    labels = {file["name"]: file["displayName"].partition(" [")[0] for file in uploads}
    # The first request was blocked; Airflow does not say for which of the files it is.
    first_uri = sent_to_models(emulator)[0]["contents"][0]["parts"][0]["fileData"]["fileUri"]
    [blocked] = [name for name in labels if first_uri.endswith(name)]
    assert sorted(invoice["file"] for invoice in invoices) == sorted(set(labels.values()) - {labels[blocked]})
    assert emulator.usage() == {"files": 0, "bytes": 0}


def test_failed_prompt_deletes_the_files_and_fails_the_run(emulator):
    run = load("gemini_files_quickstart").test(run_conf={"model": "gemini-1.5-flash"})

    assert states(run) == {
        "upload": {"success"},
        "wait_until_active": {"success"},
        "ask": {"failed"},
        "delete": {"success"},
    }
    assert run.state == "failed"
    assert emulator.usage()["files"] == 0


def test_cleanup_deletes_only_files_of_ended_runs_and_can_be_repeated(emulator):
    dag_id = add_runs("running", "failed")
    for run in ("running", "failed", "deleted"):
        label = display_name_for("a.pdf", Owner(dag_id, run, "upload", deployment="tests"))
        seed(emulator.base_url, {"name": f"files/{run}", "display_name": label, "age": 90_000})
    for other in ("staging", None):
        label = display_name_for("a.pdf", Owner(dag_id, "failed", "upload", deployment=other))
        seed(emulator.base_url, {"name": f"files/of{other}".lower(), "display_name": label, "age": 90_000})
    seed(emulator.base_url, {"name": "files/foreign", "age": 100_000}, {"name": "files/foreign2", "age": 3600})

    for _ in range(2):
        run = load(CLEANUP).test()

        assert set.union(*states(run).values()) == {"success"}
        names = {file.id for project in emulator.emulator.projects.values() for file in project.files()}
        assert names == {"running", "foreign", "foreign2", "ofstaging", "ofnone"}


def test_trigger_form_of_cleanup_overrides_the_policy(emulator):
    seed(emulator.base_url, {"name": "files/foreign", "age": 7200}, {"name": "files/young", "age": 1})

    load(CLEANUP).test(run_conf={"include_foreign": True, "max_age_hours": 1, "dry_run": True})
    assert emulator.usage()["files"] == 2
    load(CLEANUP).test(run_conf={"include_foreign": True, "max_age_hours": 1})

    assert emulator.usage()["files"] == 1
