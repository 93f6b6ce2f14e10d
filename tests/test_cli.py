"""The commands as a person types them, in processes of their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from support import API_KEY, add_runs, seed

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
        label = display_name_for(f"{run_id}.pdf", Owner(dag_id, run_id, "task"))
        seed(emulator.base_url, {"name": f"files/{run_id}", "display_name": label, "age": 3600, "size": 1000})
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
    assert json.loads(cli("usage --json"))["used_bytes"] == 4000
    assert "4 files, 3.9 KiB of 20.0 GiB" in cli("usage")
    assert "by state: ACTIVE 4" in cli("usage")


def test_the_list_tells_what_a_cleanup_would_do_and_why(files):
    done = run(*CLI, "list", "--json")

    told = {file["name"]: (file["delete"], file["reason"]) for file in json.loads(done.stdout)}
    assert told == {
        "files/success": (True, "run finished"),
        "files/deleted": (True, "run gone"),
        "files/running": (False, "run running"),
        "files/foreign": (False, "foreign"),
    }
    assert API_KEY not in done.stdout + done.stderr


def test_the_list_is_a_table_for_people(files, cli):
    shown = "".join(cli("list").split())
    assert "files/running" in shown
    assert "delete" in shown
    assert "[airflow" in shown


def test_a_dry_run_and_a_cleanup_and_another(files, cli, emulator):
    assert "would delete  run finished" in cli("cleanup --dry-run")
    assert emulator.usage()["files"] == 4

    assert json.loads(cli("cleanup --yes --json"))["deleted_files"] == 2
    assert emulator.usage()["files"] == 2
    assert json.loads(cli("cleanup --json"))["deleted_files"] == 0


def test_nothing_is_deleted_without_a_yes(files, cli, emulator, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SystemExit, match=r"Delete 2 files, 2.0 KiB\? Pass --yes"):
        cli("cleanup")
    assert emulator.usage()["files"] == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cleanup --low-watermark 2", "error: Watermarks are shares"),
        ("usage --conn-id nowhere", "error: There is no connection 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(emulator, cli, line, message):
    with pytest.raises(SystemExit, match=message):
        cli(line)


def test_airflow_has_the_command():
    airflow_version = run(sys.executable, "-c", "import airflow; print(airflow.__version__)").stdout
    if tuple(map(int, airflow_version.strip().split(".")[:2])) < (3, 2):
        pytest.skip("providers add commands from Airflow 3.2 on")
    assert get_provider_info()["cli"] == ["airflow_provider_gemini_files.cli.get_commands"]

    shown = run(sys.executable, "-m", "airflow", "gemini-files", "--help")

    assert all(name in shown.stdout for name in ("usage", "list", "cleanup"))


def test_its_shape_imports_nothing_heavy():
    code = "import sys; import airflow_provider_gemini_files.cli as c; c.get_commands(); print(*sys.modules)"
    loaded = run(sys.executable, "-c", code).stdout.split()

    assert "airflow_provider_gemini_files.cli" in loaded
    assert not any(name.startswith(("airflow_provider_gemini_files.hooks", "google.genai")) for name in loaded)
