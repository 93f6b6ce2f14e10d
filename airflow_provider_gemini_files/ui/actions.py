"""The page's changes: delete selected files, or those that a retention policy selects. All functions block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.files.cleanup_report import counted
from airflow_provider_gemini_files.files.deletion import Deletion, DeletionOutcome
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.reference import parse_names
from airflow_provider_gemini_files.files.retention import Plan
from airflow_provider_gemini_files.hooks.server import GeminiServerHook
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.ui import audit
from airflow_provider_gemini_files.ui.changes import Selected, outcomes
from airflow_provider_gemini_files.ui.files import FileListing

#: Fields of a retention policy that the page's form has.
_FORM_FIELDS = ("max_age", "max_age_finished", "high_watermark", "low_watermark", "include_shared", "include_foreign")
#: Files that the dialog lists at first: ``MAX_ROWS`` in ``dialog.js``.
_MAX_SENTENCES = 200


class CleanupOptions(BaseModel):
    """A retention policy as the page's form sends it: see :meth:`RetentionPolicy.of`."""

    policy: dict[str, Any]


class CleanupRequest(CleanupOptions, Selected):
    """Names of the files that a dry run has listed, and the policy of that dry run."""


@dataclass(frozen=True)
class Results:
    """
    Outcome of a request that deletes files.

    :param kept: ``{name: reason}`` of files that the policy no longer selects.
    """

    deletions: Sequence[Deletion]
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> set[str]:
        """Return the names of the files that no longer exist."""
        return {deletion.name for deletion in self.deletions if deletion.is_gone}

    def to_json(self) -> list[dict[str, Any]]:
        """Return one object per file: ``name``, ``outcome`` and ``error``."""
        kept = [{"name": name, "outcome": "kept", "error": reason} for name, reason in self.kept.items()]
        deleted = [{"name": one.name, "outcome": one.outcome, "error": one.error_text} for one in self.deletions]
        return [*deleted, *kept]


def default_policy() -> dict[str, Any]:
    """Return the initial values of the page's form, which are also the watermarks of its meter; durations in hours."""
    policy = RetentionPolicy()
    values = {name: getattr(policy, name) for name in _FORM_FIELDS}
    return {
        name: value.total_seconds() / 3600 if isinstance(value, timedelta) else value for name, value in values.items()
    }


def dry_run(listing: FileListing, options: CleanupOptions) -> dict[str, Any]:
    """
    Return what a cleanup would delete, file by file, and what it would keep, by reason.

    The dialog shows the first files with a sentence each; ``others`` has the names of all others, so that the response
    is small.

    :raises GeminiInputError: if the policy is invalid.
    """
    planned = _plan(listing, options)
    due = planned.deletions
    return {
        "deletions": [[decision.file.name, decision.why] for decision in due[:_MAX_SENTENCES]],
        "others": [decision.file.name for decision in due[_MAX_SENTENCES:]],
        "freed_bytes": planned.freed_bytes,
        "kept": counted(decision for decision in planned.decisions if not decision.delete),
    }


def delete(conn_id: str, listing: FileListing | None, names: Sequence[str], user: str) -> Results:
    """
    Delete files, and write each deletion to the audit log as it happens.

    :param listing: what is known about the files; it is used for the audit log only.
    :raises GeminiInputError: if a name is invalid, or the connection is; nothing is deleted then.
    :raises GeminiAuthError: if the connection has no API key.
    """
    return Results(_delete(conn_id, listing, parse_names(names), user, audit.DELETE_EVENT))


def cleanup(conn_id: str, listing: FileListing, request: CleanupRequest, user: str) -> Results:
    """
    Delete those of the files from a dry run that the policy still selects, as :func:`delete` does.

    The plan is made again: since the dry run, a run may have been cleared or space may have been freed.

    :raises GeminiInputError: if a name, the policy or the connection is invalid; nothing is deleted then.
    :raises GeminiAuthError: if the connection has no API key.
    """
    decisions = {decision.file.name: decision for decision in _plan(listing, request).decisions}
    names = parse_names(request.names)
    due = [name for name in names if name in decisions and decisions[name].delete]
    kept = {name: decisions[name].why for name in names if name in decisions and not decisions[name].delete}
    unlisted = [Deletion(name, DeletionOutcome.GONE) for name in names if name not in decisions]
    return Results([*_delete(conn_id, listing, due, user, audit.CLEANUP_EVENT), *unlisted], kept)


def _plan(listing: FileListing, options: CleanupOptions) -> Plan:
    """Return what a policy decides about each file of a listing, with the present states of the runs."""
    hook = GeminiServerHook(listing.conn_id)
    return hook.storage.plan_cleanup(RetentionPolicy.of(options.policy), database_lookup, listing.files)[1]


def _delete(conn_id: str, listing: FileListing | None, names: Sequence[str], user: str, event: str) -> list[Deletion]:
    hook = GeminiServerHook(conn_id)
    # An invalid connection fails here, before anything is deleted.
    api_key = hook.connection.api_key if names else ""
    files = {file.name: file for file in listing.files} if listing else {}
    deletions = []
    for deletion in outcomes(lambda name: hook.delete_files([name])[0], names):
        error = deletion.error and type(deletion.error)(shown_text(deletion.error, (api_key,)))
        cleaned = replace(deletion, error=error)
        file = files.get(cleaned.name)
        extra = {
            "connection": conn_id,
            "file": cleaned.name,
            "display_name": file.display_name if file else None,
            "size_bytes": file.size_bytes if file else None,
            "outcome": cleaned.outcome,
            "error": cleaned.error_text,
        }
        audit.record(user, f"{event}_file", file.owner if file else None, extra)
        deletions.append(cleaned)
    return deletions
