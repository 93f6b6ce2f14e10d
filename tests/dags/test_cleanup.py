"""The cleanup Dag: as it is parsed, and through Airflow itself in this process."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from airflow.sdk import Param

from airflow_provider_gemini_files.dags.bundle import GeminiFilesDagBundle
from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
from airflow_provider_gemini_files.exceptions import GeminiInputError


def test_the_defaults():
    dag = build_cleanup_dag()

    assert dag.dag_id == "gemini_files_cleanup"
    assert dag.max_active_runs == 1
    assert list(dag.task_dict) == ["sweep_gemini_default"]
    assert dag.doc_md.startswith("### Gemini files: cleanup")
    assert dag.params.dump() == {
        "dry_run": False,
        "max_age_hours": 24,
        "high_watermark": 0.9,
        "low_watermark": 0.7,
        "include_foreign": False,
    }
    [outlet] = dag.get_task("sweep_gemini_default").outlets
    assert outlet.uri == "gemini-files://gemini_default"


def test_what_is_given_goes_where_it_belongs():
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
    policy = dag.get_task("sweep_b").policy
    assert (policy["keep"], policy["max_deletions"], policy["grace"]) == (["files/a"], 50, 1 / 6)
    assert dag.get_task("look_a").downstream_task_ids == {"approve_a"}
    assert dag.get_task("approve_a").downstream_task_ids == {"sweep_a"}
    assert dag.get_task("look_a").outlets == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"high_watermark": 2}, "high_watermark=2"),
        ({"max_age": 24}, "max_age is a duration"),
        ({"gemini_conn_ids": "gemini_default"}, "gemini_conn_ids is a list"),
        ({"gemini_conn_ids": []}, "gemini_conn_ids is a list"),
    ],
)
def test_what_cannot_be_is_refused_when_the_dag_is_parsed(wrong, message):
    with pytest.raises(GeminiInputError, match=message):
        build_cleanup_dag(**wrong)


def test_without_the_operator_for_approval_it_says_what_is_missing(mocker):
    mocker.patch.dict(sys.modules, {"airflow.providers.standard.operators.hitl": None})

    with pytest.raises(GeminiInputError, match="approve_above needs apache-airflow-providers-standard"):
        build_cleanup_dag(approve_above=1)


def test_the_bundle_has_the_dag():
    bundle = GeminiFilesDagBundle(name="gemini-files")

    [path] = bundle.path.glob("*.py")
    assert path.name == "gemini_files_cleanup.py"
