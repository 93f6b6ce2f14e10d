"""What the page changes: files that were chosen, or what a policy says. Plain functions; they block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from airflow_provider_gemini_files.files.cleanup_report import counted
from airflow_provider_gemini_files.files.deletion import DeletionOutcome as Outcome
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.retention import Decision, Plan, plan
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.ui import audit
from airflow_provider_gemini_files.ui.reading import Listing

#: Files of one request; the page sends one after the other, so that each ends soon and progress can be seen.
MAX_FILES = 100

#: Fields of a retention policy that the page's form has.
_FORM = ("max_age", "max_age_finished", "high_watermark", "low_watermark", "include_shared", "include_foreign")

Names = list[str]


class ChosenFiles(BaseModel):
    """Files that a user has chosen."""

    names: Names = Field(min_length=1, max_length=MAX_FILES)


class SweepOptions(BaseModel):
    """A retention policy as the page's form has it: see :meth:`RetentionPolicy.of`."""

    policy: dict[str, Any]


class SweptFiles(SweepOptions, ChosenFiles):
    """Files that a dry run has named, and its policy."""


def default_policy() -> dict[str, Any]:
    """Return what the page's form begins with, and where its gauge has marks; durations in hours."""
    policy = RetentionPolicy()
    values = {name: getattr(policy, name) for name in _FORM}
    return {
        name: value.total_seconds() / 3600 if isinstance(value, timedelta) else value for name, value in values.items()
    }


def dry_run(listing: Listing, options: SweepOptions) -> dict[str, Any]:
    """Return what a sweep would delete, file by file, and what it would keep, by reason."""
    decided = _plan(listing, options)
    kept = [decision for decision in decided.decisions if not decision.delete]
    return {
        "deletions": [[decision.file.name, decision.reason, decision.why] for decision in decided.deletions],
        "freed_bytes": decided.freed_bytes,
        "kept": counted(kept),
    }


def delete(conn_id: str, listing: Listing | None, names: Names, user: str) -> list[dict[str, Any]]:
    """Delete files; return what became of each."""
    return _delete(conn_id, listing, names, user, audit.DELETE_EVENT)


def sweep(conn_id: str, listing: Listing, asked: SweptFiles, user: str) -> list[dict[str, Any]]:
    """
    Delete those of the files that the policy still says are to go; return what became of each.

    The plan is made anew: since the dry run, a run can have begun again, and room can have been made.
    """
    decisions = {decision.file.name: decision for decision in _plan(listing, asked).decisions}
    going = [name for name in asked.names if name in decisions and decisions[name].delete]
    kept = [_kept(name, decisions.get(name)) for name in asked.names if name not in going]
    return [*_delete(conn_id, listing, going, user, audit.SWEEP_EVENT), *kept]


def _plan(listing: Listing, options: SweepOptions) -> Plan:
    policy = RetentionPolicy.of(options.policy)
    runs = database_lookup(file.owner for file in listing.files if file.owner)
    return plan(listing.files, runs, datetime.now(UTC), policy, listing.quota_bytes)


def _delete(conn_id: str, listing: Listing | None, names: Sequence[str], user: str, event: str) -> list[dict[str, Any]]:
    deletions = GeminiFilesHook(conn_id).delete_files(names)
    files = {file.name: file for file in listing.files} if listing else {}
    audit.record(user, event, conn_id, deletions, files)
    return [
        {"name": one.name, "outcome": one.outcome, "error": str(one.error) if one.error else None} for one in deletions
    ]


def gone(results: Iterable[dict[str, Any]]) -> Collection[str]:
    """Return the names of the files that are not there any more."""
    return {result["name"] for result in results if result["outcome"] in (Outcome.DELETED, Outcome.GONE)}


def _kept(name: str, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"name": name, "outcome": Outcome.GONE, "error": None}
    return {"name": name, "outcome": "kept", "error": decision.why}
