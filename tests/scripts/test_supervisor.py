"""Processes that are started, watched and ended with their children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import psutil
import pytest
from cluster import supervisor
from cluster.supervisor import Supervisor


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], psutil.Popen]:
    """Return a function that starts a shell command, which is its own name."""
    monkeypatch.setattr(supervisor, "_CHECK_SECONDS", 0.01)
    return lambda command: processes.start(["sh", "-c", command], os.environ, tmp_path / "output")


@pytest.fixture
def watched(run: Callable[[str], psutil.Popen]) -> Iterator[Supervisor]:
    running = Supervisor(run)
    yield running
    running.stop([running.watched()])


def reached(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def test_process_that_exits_is_started_again(watched: Supervisor):
    watched.start("exit 1")

    assert reached(lambda: watched.starts["exit 1"] > 2)


def test_killed_process_is_not_started_again(watched: Supervisor, run: Callable[[str], psutil.Popen]):
    watched.start("sleep 60")
    watched.start("exit 0")
    watched.kill("sleep 60")
    rounds = watched.starts["exit 0"]

    assert reached(lambda: watched.starts["exit 0"] > rounds + 1)
    assert watched.starts["sleep 60"] == 1
    assert watched.watched() == {"exit 0"}


def test_children_end_with_a_process_even_if_it_has_ended_before_them(run: Callable[[str], psutil.Popen]):
    process = run("sleep 60 & exit")
    process.wait()
    [child] = processes.trees([process])

    processes.end([process])

    assert not child.is_running()


def test_proxies_are_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "SomebodyElses")

    env = processes.inherited_environment()

    assert env["NO_PROXY"] == env["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert "AIRFLOW__CORE__EXECUTOR" not in env
