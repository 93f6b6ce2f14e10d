"""Lookups of run states: few queries for many runs, and never "gone" because of a failure."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import add_runs

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.runs import database_lookup, task_lookup


class Counting:
    """A task instance that counts runs."""

    def __init__(self, runs: dict[tuple[str, str], str], broken: str = "") -> None:
        self.runs = runs
        self.broken = broken
        self.queries: list[list[str]] = []

    def get_dr_count(self, *, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        assert run_ids, "a query without ids would count all runs of the Dag"
        self.queries.append(run_ids)
        if dag_id == self.broken:
            raise RuntimeError("the API server does not respond")
        found = [self.runs[dag_id, run_id] for run_id in set(run_ids) if (dag_id, run_id) in self.runs]
        return sum(states is None or state in states for state in found)


STATES = {
    "success": RunState.FINISHED,
    "failed": RunState.FINISHED,
    "running": RunState.RUNNING,
    "queued": RunState.RUNNING,
    None: RunState.GONE,
}


@given(
    states=st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.text(min_size=1, max_size=40)),
        st.sampled_from(list(STATES)),
        max_size=60,
    )
)
def test_state_of_each_run_is_found_in_any_mix_of_states(states):
    ti = Counting({key: state for key, state in states.items() if state})

    found = task_lookup(ti)(Owner(dag_id, run_id, "t") for dag_id, run_id in states)

    assert found == {key: STATES[state] for key, state in states.items()}


def test_hundred_runs_of_a_dag_take_four_queries():
    runs = {("a", f"r{number:03}"): "success" for number in range(100)}
    ti = Counting(runs)

    task_lookup(ti)(Owner(*key, task_id, 3) for key in runs for task_id in ("x", "y"))

    assert len(ti.queries) == 4
    assert max(map(len, ti.queries)) == 50


def test_long_run_ids_are_split_into_smaller_queries():
    ti = Counting({})

    task_lookup(ti)(Owner("a", f"{number}" * 250, "t") for number in range(10))

    assert max(sum(map(len, query)) for query in ti.queries) < 4000


@pytest.mark.parametrize("run_id", ["run:{}+/" * 30, "日{}" * 100, "😀{}" * 100])
def test_run_ids_are_counted_as_they_are_escaped_in_a_url(run_id):
    ti = Counting({})

    task_lookup(ti)(Owner("a", run_id.format(*[number] * 100), "t") for number in range(10))

    assert max(len("&run_ids=".join(map(quote_plus, query))) for query in ti.queries) < 5000


def test_failed_query_makes_only_its_runs_unknown():
    ti = Counting({("b", "r"): "success"}, broken="a")

    found = task_lookup(ti)([Owner("a", "r", "t"), Owner("b", "r", "t")])

    assert found == {("a", "r"): RunState.UNKNOWN, ("b", "r"): RunState.FINISHED}


def test_database_lookup_finds_the_same_states(airflow_db):
    dag_id = add_runs("success", "failed", "running", "queued")

    found = database_lookup([Owner(dag_id, run_id or "never", "t") for run_id in STATES])

    assert found == {(dag_id, run_id or "never"): state for run_id, state in STATES.items()}


def test_unreachable_database_makes_runs_unknown(mocker):
    mocker.patch("airflow.utils.session.create_session", autospec=True, side_effect=OSError("no database"))

    assert database_lookup([Owner("a", "r", "t")]) == {("a", "r"): RunState.UNKNOWN}
