"""The cleanup Dag: as it is parsed, and through Airflow itself in this process."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from airflow.sdk import Param

from airflow_provider_gemini_files.dags.bundle import GeminiFilesDagBundle
from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.exceptions import GeminiInputError


def test_defaults_of_the_dag_and_its_trigger_form():
    dag = build_cleanup_dag()

    assert dag.dag_id == "gemini_files_cleanup"
    assert dag.max_active_runs == 1
    assert list(dag.task_dict) == ["cleanup_gemini_default"]
    assert dag.doc_md.startswith("### Gemini files: cleanup")
    assert dag.params.dump() == {
        "dry_run": False,
        "max_age_hours": 24,
        "high_watermark": 0.9,
        "low_watermark": 0.7,
        "include_foreign": False,
    }
    [outlet] = dag.get_task("cleanup_gemini_default").outlets
    assert outlet.uri == "gemini-files://gemini_default"


def test_arguments_reach_the_dag_the_policy_and_the_form():
    dag = build_cleanup_dag(
        "mine",
        schedule=timedelta(hours=1),
        gemini_conn_ids=["a", "b"],
        max_age=timedelta(hours=6),
        keep=["files/a"],
        max_deletions=50,
        approve_above=10,
        owner_links={},
        tags=["mine"],
        params={"more": Param(1, type="integer")},
    )

    assert dag.tags == {"mine"}
    assert dag.params["more"] == 1
    assert dag.params["max_age_hours"] == 6
    policy = dag.get_task("cleanup_b").policy
    assert (policy["keep"], policy["max_deletions"], policy["grace"]) == (["files/a"], 50, 1)
    assert dag.get_task("plan_a").downstream_task_ids == {"approve_a"}
    assert dag.get_task("approve_a").downstream_task_ids == {"cleanup_a"}
    assert dag.get_task("plan_a").outlets == []


def test_default_args_are_added_to_those_of_the_dag():
    task = build_cleanup_dag(default_args={"retries": 5, "priority_weight": 100}).get_task("cleanup_gemini_default")

    assert (task.retries, task.priority_weight, task.retry_delay) == (5, 100, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"high_watermark": 2}, "high_watermark must be a share.*got 2"),
        ({"max_age": 24}, "max_age must be a duration.*got 24"),
        ({"gemini_conn_ids": "gemini_default"}, "gemini_conn_ids must be a list"),
        ({"gemini_conn_ids": []}, "gemini_conn_ids must be a list"),
        ({"gemini_conn_ids": iter(())}, "gemini_conn_ids must be a list"),
        ({"gemini_conn_ids": ["a", None]}, r"gemini_conn_ids must be a list .*got \['a', None\]"),
        ({"gemini_conn_ids": 5}, "gemini_conn_ids must be a list .*got 5"),
        ({"dry_run": "no"}, "dry_run must be true or false; got 'no'"),
        ({"approve_above": -1}, "approve_above must be a whole number, at least 0; got -1"),
        ({"approve_above": True}, "approve_above must be a whole number"),
    ],
)
def test_invalid_argument_is_refused_when_the_dag_is_parsed(wrong, message):
    with pytest.raises(GeminiInputError, match=message):
        build_cleanup_dag(**wrong)


@pytest.mark.parametrize("conn_ids", [["b", "a"], ("b", "a", "b"), iter(["b", "a"])])
def test_each_connection_has_one_task_however_they_are_given(conn_ids):
    dag = build_cleanup_dag(gemini_conn_ids=conn_ids)

    assert list(dag.task_dict) == ["cleanup_b", "cleanup_a"]
    assert "`b`, `a`" in dag.doc_md


def test_connection_with_a_name_that_no_task_can_have_is_cleaned_up():
    dag = build_cleanup_dag(gemini_conn_ids=["team/gemini:1"], approve_above="5", dry_run="False")

    assert sorted(dag.task_dict) == ["approve_team_gemini_1", "cleanup_team_gemini_1", "plan_team_gemini_1"]
    assert dag.get_task("cleanup_team_gemini_1").gemini_conn_id == "team/gemini:1"
    assert dag.get_task("approve_team_gemini_1").above == 5
    assert dag.params["dry_run"] is False


def test_approval_without_the_standard_provider_names_what_is_missing(mocker):
    mocker.patch.dict(sys.modules, {"airflow.providers.standard.operators.hitl": None})

    with pytest.raises(GeminiInputError, match="approve_above needs apache-airflow-providers-standard"):
        build_cleanup_dag(approve_above=1)


def test_bundle_contains_the_dag():
    bundle = GeminiFilesDagBundle(name="gemini-files")

    [path] = bundle.path.glob("*.py")
    assert path.name == "gemini_files_cleanup.py"


def test_policy_is_serialized_alike_whatever_the_order_of_a_set():
    first, second = (build_cleanup_dag(keep=keep) for keep in ({"b", "a", "c"}, {"c", "a", "b"}))

    assert first.get_task("cleanup_gemini_default").policy["keep"] == ["a", "b", "c"]
    assert first.get_task("cleanup_gemini_default").policy == second.get_task("cleanup_gemini_default").policy
