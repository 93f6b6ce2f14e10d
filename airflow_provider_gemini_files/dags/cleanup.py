"""The cleanup Dag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param

from airflow_provider_gemini_files.assets import storage_asset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.policy import (
    DEFAULT_HIGH_WATERMARK,
    DEFAULT_LOW_WATERMARK,
    DEFAULT_MAX_AGE,
    RetentionPolicy,
)
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator

_DOC = """### Gemini files: cleanup

Deletes files of the Gemini API that are no longer needed, before the storage of the project is full. Swept are the
connections {connections}.

A file goes when the run that uploaded it has ended, when it is FAILED, or when it is older than `max_age_hours`. From
`high_watermark` of the quota on, files go until `low_watermark` is reached, those first that will be missed least.
**Files of running Dags stay**, as do files of other tools unless `include_foreign` is set.

Trigger it with `dry_run` to see in the log what would be deleted, and why. Every sweep updates the asset
`gemini-files://<connection>` with the usage as the extra of its event.
"""


def build_cleanup_dag(
    dag_id: str = "gemini_files_cleanup",
    *,
    schedule: Any = "*/30 * * * *",
    gemini_conn_ids: Sequence[str] = (DEFAULT_CONN_ID,),
    max_age: timedelta | None = DEFAULT_MAX_AGE,
    high_watermark: float = DEFAULT_HIGH_WATERMARK,
    low_watermark: float = DEFAULT_LOW_WATERMARK,
    include_foreign: bool = False,
    dry_run: bool = False,
    approve_above: int | None = None,
    **kwargs: Any,
) -> DAG:
    """
    Return a Dag that keeps the storage of some connections from filling up.

    What is said here of age, watermarks, foreign files and dry runs is the default of the trigger form.

    :param gemini_conn_ids: each is swept by itself, side by side with the others.
    :param max_age: see :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, as for the next three.
    :param dry_run: delete nothing, only report.
    :param approve_above: a sweep of more files than this waits for a person's approval; None: none does.
    :param kwargs: other fields of :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, such as
        ``keep`` or ``max_deletions``; the rest goes to the Dag.
    :raises GeminiInputError: for what cannot be; so the Dag is not even parsed.
    """
    if isinstance(gemini_conn_ids, str) or not gemini_conn_ids:
        raise GeminiInputError(f"gemini_conn_ids is a list of at least one connection id, got {gemini_conn_ids!r}.")
    names = {field.name for field in fields(RetentionPolicy)}
    policy = RetentionPolicy(
        max_age=max_age,
        high_watermark=high_watermark,
        low_watermark=low_watermark,
        include_foreign=include_foreign,
        **{name: kwargs.pop(name) for name in names & set(kwargs)},
    )
    defaults = {
        "start_date": datetime(2026, 1, 1),
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["gemini", "maintenance"],
        "description": "Deletes Gemini files that are no longer needed",
        "doc_md": _DOC.format(connections=", ".join(f"`{conn_id}`" for conn_id in gemini_conn_ids)),
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=1)},
    }
    params = _params(policy, dry_run=dry_run) | kwargs.pop("params", {})
    with DAG(dag_id, schedule=schedule, params=params, **{**defaults, **kwargs}) as dag:
        for conn_id in gemini_conn_ids:
            _sweep(conn_id, _templated(policy), approve_above)
    return dag


def _params(policy: RetentionPolicy, *, dry_run: bool) -> dict[str, Param]:
    """Return what the trigger form asks for."""
    share: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    hours = None if policy.max_age is None else policy.max_age.total_seconds() / 3600
    return {
        "dry_run": Param(dry_run, type="boolean", description="Delete nothing, only report"),
        "max_age_hours": Param(
            hours, type=["null", "number"], minimum=0, description="Files older than this go; empty: no such limit"
        ),
        "high_watermark": Param(
            policy.high_watermark, **share, description="Share of the quota from which on room is made"
        ),
        "low_watermark": Param(
            policy.low_watermark, **share, description="Share of the quota down to which it is made"
        ),
        "include_foreign": Param(
            policy.include_foreign, type="boolean", description="Also delete files that no task of Airflow has uploaded"
        ),
    }


def _templated(policy: RetentionPolicy) -> dict[str, Any]:
    """Return the policy as a dict, with what the trigger form asks for in templates."""
    plain = {
        name: value.total_seconds() / 3600 if isinstance(value, timedelta) else value
        for name, value in asdict(policy).items()
    }
    return plain | {
        "max_age": "{{ params.max_age_hours }}",
        "high_watermark": "{{ params.high_watermark }}",
        "low_watermark": "{{ params.low_watermark }}",
        "include_foreign": "{{ params.include_foreign }}",
    }


def _sweep(conn_id: str, policy: dict[str, Any], approve_above: int | None) -> BaseOperator:
    sweep = GeminiCleanupFilesOperator(
        task_id=f"sweep_{conn_id}",
        gemini_conn_id=conn_id,
        policy=policy,
        dry_run="{{ params.dry_run }}",
        outlets=[storage_asset(conn_id)],
    )
    if approve_above is not None:
        look = GeminiCleanupFilesOperator(
            task_id=f"look_{conn_id}", gemini_conn_id=conn_id, policy=policy, dry_run=True
        )
        look >> _approval(conn_id, look, approve_above) >> sweep
    return sweep


def _approval(conn_id: str, look: BaseOperator, above: int) -> BaseOperator:
    try:
        from airflow.providers.standard.operators.hitl import ApprovalOperator  # noqa: F401
    except ImportError as error:
        raise GeminiInputError(
            "approve_above needs apache-airflow-providers-standard with ApprovalOperator (1.3 or later)."
        ) from error
    from airflow_provider_gemini_files.operators.approval import GeminiApproveSweepOperator

    return GeminiApproveSweepOperator(task_id=f"approve_{conn_id}", report=look.output, above=above)
