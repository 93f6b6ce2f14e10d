"""The cleanup Dag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
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
from airflow_provider_gemini_files.files.reference import in_order
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.operators.base import switch_of, whole_number_of
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator

_DOC = """### Gemini files: cleanup

Deletes files of the Gemini API that are no longer needed, before the storage of the project is full. It covers the
connections {connections}.

A file is deleted when the run that uploaded it has ended and the file is older than `max_age_hours`, or when the
service could not process it. From `high_watermark` of the quota on, files of ended runs are deleted until
`low_watermark` is reached, least harmful first. **Files of running Dags are kept**, as are files that runs share, files
of other Airflow deployments and files of other tools, unless the policy includes them.

Trigger it with `dry_run` to see in the log what would be deleted, and why. Every cleanup updates the asset
`gemini-files://<connection>` with the usage as the extra of its event.
"""
#: Fields of the policy that the trigger form has, with the names of their params.
_FORM = {
    "max_age": "max_age_hours",
    "high_watermark": "high_watermark",
    "low_watermark": "low_watermark",
    "include_foreign": "include_foreign",
}


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
    Return a Dag that keeps the storage of the given connections from filling up.

    The age, the watermarks, foreign files and the dry run can also be set in the trigger form.

    :param gemini_conn_ids: connections to clean up, each in its own task, in parallel.
    :param max_age: see :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, as for the next three.
    :param dry_run: only report what would be deleted.
    :param approve_above: if a cleanup would delete more files than this, it waits for approval; None: never.
    :param kwargs: other fields of :class:`~airflow_provider_gemini_files.files.policy.RetentionPolicy`, such as
        ``keep`` or ``max_deletions``; all others are passed to the Dag. ``default_args`` are added to those of the Dag.
    :raises GeminiInputError: for a value that cannot be used, when the Dag is parsed.
    """
    conn_ids = _conn_ids(gemini_conn_ids)
    if approve_above is not None:
        approve_above = whole_number_of(approve_above, "approve_above")
    own_fields = set(RetentionPolicy.model_fields) & set(kwargs)
    policy = RetentionPolicy(
        max_age=max_age,
        high_watermark=high_watermark,
        low_watermark=low_watermark,
        include_foreign=include_foreign,
        **{name: kwargs.pop(name) for name in own_fields},
    )
    defaults = {
        "start_date": datetime(2026, 1, 1),
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["gemini", "maintenance"],
        "description": "Deletes Gemini files that are no longer needed",
        "doc_md": _DOC.format(connections=", ".join(f"`{conn_id}`" for conn_id in conn_ids)),
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=1)} | kwargs.pop("default_args", {}),
    }
    params = _params(policy, dry_run=switch_of(dry_run, "dry_run")) | kwargs.pop("params", {})
    with DAG(dag_id, schedule=schedule, params=params, **{**defaults, **kwargs}) as dag:
        for conn_id in conn_ids:
            _add_cleanup(conn_id, _templated(policy), approve_above)
    return dag


def _conn_ids(given: Any) -> list[str]:
    conn_ids = [] if isinstance(given, str) or not isinstance(given, Iterable) else in_order(given)
    if not conn_ids or not all(isinstance(conn_id, str) and conn_id for conn_id in conn_ids):
        raise GeminiInputError(f"gemini_conn_ids must be a list of at least one connection id; got {given!r}.")
    return list(dict.fromkeys(conn_ids))


def _params(policy: RetentionPolicy, *, dry_run: bool) -> dict[str, Param]:
    """Return the fields of the trigger form, from the policy's own fields."""
    params = {"dry_run": Param(dry_run, type="boolean", description="Delete nothing, only report")}
    shapes: dict[str, dict[str, Any]] = {
        "max_age": {"type": ["null", "number"], "minimum": 0},
        "high_watermark": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "low_watermark": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "include_foreign": {"type": "boolean"},
    }
    for name, param in _FORM.items():
        description = RetentionPolicy.model_fields[name].description
        params[param] = Param(_plain(getattr(policy, name)), description=description, **shapes[name])
    return params


def _templated(policy: RetentionPolicy) -> dict[str, Any]:
    """Return the policy as a dict, with templates for the fields of the trigger form."""
    plain = {name: _plain(getattr(policy, name)) for name in RetentionPolicy.model_fields}
    return plain | {name: f"{{{{ params.{param} }}}}" for name, param in _FORM.items()}


def _plain(value: Any) -> Any:
    """Return a field as JSON: durations as hours, tuples as lists."""
    if isinstance(value, timedelta):
        return value.total_seconds() / 3600
    return list(value) if isinstance(value, tuple) else value


def _add_cleanup(conn_id: str, policy: dict[str, Any], approve_above: int | None) -> None:
    # A connection can be called what a task cannot, such as team/gemini.
    name = re.sub(r"[^\w.-]", "_", conn_id, flags=re.ASCII)
    cleanup = GeminiCleanupFilesOperator(
        task_id=f"cleanup_{name}",
        gemini_conn_id=conn_id,
        policy=policy,
        dry_run="{{ params.dry_run }}",
        outlets=[storage_asset(conn_id)],
    )
    if approve_above is not None:
        planned = GeminiCleanupFilesOperator(
            task_id=f"plan_{name}", gemini_conn_id=conn_id, policy=policy, dry_run=True
        )
        planned >> _approval(name, planned, approve_above) >> cleanup


def _approval(name: str, planned: BaseOperator, above: int) -> BaseOperator:
    try:
        from airflow.providers.standard.operators.hitl import ApprovalOperator  # noqa: F401
    except ImportError as error:
        raise GeminiInputError(
            "approve_above needs apache-airflow-providers-standard with ApprovalOperator (1.3 or later)."
        ) from error
    from airflow_provider_gemini_files.operators.approval import GeminiApproveCleanupOperator

    return GeminiApproveCleanupOperator(task_id=f"approve_{name}", report=planned.output, above=above)
