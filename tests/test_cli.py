"""The command line, as a person types it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from support import API_KEY, add_runs, add_xcom, seed

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.cli import main
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.provider_info import get_provider_info

CLI = [sys.executable, "-m", "airflow_provider_gemini_files.cli"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def files(emulator, airflow_db):
    """Put files of a running, a finished and an unknown run into the service."""
    dag_id = add_runs("running", "success")
    for run_id in ("running", "success", "deleted"):
        label = display_name_for(f"{run_id}.pdf", Owner(dag_id, run_id, "task", deployment="tests"))
        seed(emulator.base_url, {"name": f"files/{run_id}", "display_name": label, "age": 90_000, "size": 1000})
    seed(emulator.base_url, {"name": "files/foreign", "age": 3600, "size": 1000})


@pytest.fixture
def cli(capsys, monkeypatch):
    """Return a function that runs a command in this process, and returns what it prints."""

    def command(line: str) -> str:
        monkeypatch.setattr(sys, "argv", ["cli", *line.split()])
        main()
        return capsys.readouterr().out

    return command


def test_usage(files, cli):
    assert json.loads(cli("usage -o json"))[0]["used_bytes"] == 4000
    assert "4files,3.9KiBof20.0GiB" in "".join(cli("usage").split())
    assert "ACTIVE 4" in cli("usage")


def test_usage_counts_file_search_stores(files, hook, cli):
    assert json.loads(cli("usage -o json"))[0]["file_search_stores"] == []
    hook.create_file_search_store("Handbook")

    [store] = json.loads(cli("usage -o json"))[0]["file_search_stores"]

    assert store["display_name"] == "Handbook"
    assert "1,0B" in "".join(cli("usage").split())


def test_usage_says_if_stores_cannot_be_listed(files, emulator, cli):
    emulator.faults.add("list_stores", "status", status=404, body="no such path", times=None)

    assert json.loads(cli("usage -o json"))[0]["file_search_stores"] is None
    assert "cannotbelisted" in "".join(cli("usage").split())


def test_list_shows_what_a_cleanup_would_do_and_why(files):
    done = run(*CLI, "list", "--output", "json")

    told = {file["name"]: (file["delete"], file["reason"]) for file in json.loads(done.stdout)}
    assert told == {
        "files/success": (True, "run finished"),
        "files/deleted": (True, "run gone"),
        "files/running": (False, "run running"),
        "files/foreign": (False, "foreign"),
    }
    assert API_KEY not in done.stdout + done.stderr


def test_list_is_a_table_by_default(files, cli):
    shown = "".join(cli("list").split())
    assert "files/running" in shown
    assert "delete" in shown
    assert "[airflow" in shown


def test_cleanup_deletes_what_its_dry_run_reports_and_then_nothing(files, cli, emulator):
    assert "would delete  run finished" in cli("cleanup --dry-run")
    assert emulator.usage()["files"] == 4

    assert json.loads(cli("cleanup --yes -o json"))[0]["deleted_files"] == 2
    assert emulator.usage()["files"] == 2
    [report] = json.loads(cli("cleanup -o json"))
    assert (report["deleted_files"], report["dry_run"]) == (0, False)


def test_cleanup_without_a_terminal_needs_yes(files, cli, emulator, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SystemExit, match=r"Delete 2 files, 2.0 KiB\? Pass --yes"):
        cli("cleanup")
    assert emulator.usage()["files"] == 4


class Terminal(io.StringIO):
    """Text that a user types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_cleanup_deletes_nothing_without_a_yes(files, cli, emulator, monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    with pytest.raises(SystemExit, match=r"Nothing was deleted\."):
        cli("cleanup")
    assert emulator.usage()["files"] == 4


def test_question_of_a_cleanup_is_not_part_of_its_output(files, cli, emulator, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert json.loads(cli("cleanup -o json"))[0]["deleted_files"] == 2


def test_cleanup_is_recorded_with_the_usage_before_it(files, cli):
    from airflow.models.variable import Variable

    key = f"{usage_history.PREFIX}gemini_default"
    # Other tests clean up as well.
    Variable.delete(key)
    cli("cleanup --yes -o json")
    history = usage_history.of_database.load("gemini_default")
    Variable.delete(key)

    assert history.samples[-1].by_kind == (1000, 2000, 0, 0, 0, 1000)
    assert [(one.files, one.bytes) for one in history.cleanups] == [(2, 2000)]


@pytest.fixture
def spent(airflow_db, tmp_path, monkeypatch):
    """Put two answers into Airflow's database, of which one has a price; return the ids of their connection and Dag."""
    models = {"gemini-3.8-flash*": {"input": 1, "output": 10}}
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"currency": "USD", "valid_from": "2020-01-01", "source": "us", "models": models}))
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__PRICES_FILE", str(prices))
    dag_id, now = add_runs("success"), datetime.now(UTC)
    conn_id = f"of-{dag_id}"
    for task_id, model, state in (("ask", "gemini-3.8-flash-001", "success"), ("check", "other", "failed")):
        usage = {"prompt": 1_000_000, "answer": 100_000, "thoughts": 50_000}
        value = {"conn_id": conn_id, "model_version": model, "usage": usage}
        add_xcom(dag_id, value, task_id=task_id, at=now, state=state)
    return conn_id, dag_id


def test_costs_by_task_with_a_total_and_what_is_missing(spent, cli):
    conn_id, dag_id = spent
    [told] = json.loads(cli(f"costs --conn-id {conn_id} --by task -o json"))

    assert [(one["dag_id"], one["task_id"], one["cost"]) for one in told["groups"]] == [
        (dag_id, "ask", 2.5),
        (dag_id, "check", None),
    ]
    assert told["total"]["cost"] == 2.5
    assert (told["total"]["failed_calls"], told["total"]["unpriced_calls"]) == (1, 1)
    assert told["unpriced_models"] == ["other"]
    assert told["prices"] == [{"currency": "USD", "valid_from": "2020-01-01", "source": "us"}]
    rows = [line.split() for line in cli(f"costs --conn-id {conn_id} --by model -o plain").splitlines()]
    assert rows[-1][:2] == ["total", "2"]
    assert "noprice" in "".join(rows[-2])
    assert "atleast2.50USD" in "".join(rows[-1])


def test_costs_table_ends_with_how_to_read_it(spent, cli):
    conn_id, dag_id = spent
    shown = cli(f"costs --conn-id {conn_id} --days 1")

    assert dag_id in shown
    assert "Prices in USD, valid from 2020-01-01 on, from us." in shown
    assert "The cost is incomplete: 1 of 2 calls have no price. Their models: other." in shown


def test_costs_of_nothing(airflow_db, cli):
    shown = cli("costs --conn-id of_nobody")

    assert shown.startswith("No calls.")
    assert "prices_file is not set" in shown
    assert json.loads(cli("costs --conn-id of_nobody -o json"))[0]["groups"] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("costs --days 0", "error: --days must be a whole number from 1 to 366; got 0"),
        ("cleanup --low-watermark 2", "error: The retention policy's low_watermark must be a share"),
        ("usage --conn-id nowhere", "error: There is no connection 'nowhere'"),
    ],
)
def test_failure_is_reported_in_one_sentence(emulator, cli, line, message):
    with pytest.raises(SystemExit, match=message):
        cli(line)


def test_airflow_lists_the_command():
    airflow_version = run(sys.executable, "-c", "import airflow; print(airflow.__version__)").stdout
    if tuple(map(int, airflow_version.strip().split(".")[:2])) < (3, 2):
        pytest.skip("providers add commands from Airflow 3.2 on")
    assert get_provider_info()["cli"] == ["airflow_provider_gemini_files.cli.get_commands"]

    shown = run(sys.executable, "-m", "airflow", "gemini-files", "--help")

    assert all(name in shown.stdout for name in ("usage", "list", "cleanup", "costs"))


def test_reading_the_arguments_imports_nothing_heavy():
    code = "import sys; import airflow_provider_gemini_files.cli as c; c.get_commands(); print(*sys.modules)"
    loaded = run(sys.executable, "-c", code).stdout.split()

    assert "airflow_provider_gemini_files.cli" in loaded
    assert not {"airflow_provider_gemini_files.hooks.gemini_files", "google.genai"} & set(loaded)


def test_connection_in_a_secrets_backend_is_found(in_a_vault, airflow_db, cli):
    seed(in_a_vault.base_url, {"name": "files/a", "age": 90_000, "size": 1000})
    options = "--conn-id in_a_vault --output json"

    assert json.loads(cli(f"usage {options}"))[0]["used_bytes"] == 1000
    assert [file["name"] for file in json.loads(cli(f"list {options}"))] == ["files/a"]
    assert json.loads(cli(f"cleanup --include-foreign --yes {options}"))[0]["deleted_files"] == 1
    assert in_a_vault.usage()["files"] == 0


def test_connection_in_the_database_is_found(gemini_emulator, airflow_db, monkeypatch):
    from airflow.models import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT", raising=False)
    stored = Connection("stored_gemini", "gemini", password=API_KEY, host=gemini_emulator.base_url)
    with create_session() as session:
        session.add(stored)
    try:
        done = run(*CLI, "usage", "--conn-id", "stored_gemini", "--output", "json")
    finally:
        with create_session() as session:
            session.delete(stored)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["files"] == 0
