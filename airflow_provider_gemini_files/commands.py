"""What the commands of ``airflow gemini-files`` do."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning
from rich.markup import escape

from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.retention import Decision
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import database_lookup

Command = Callable[[Any], None]


def _command(function: Command) -> Command:
    """Let a command print what it says and nothing else, and end with a sentence where something is wrong."""

    @functools.wraps(function)
    def run(args: Any) -> None:
        try:
            suppress_logs_and_warning(function)(args)
        except GeminiFilesError as error:
            raise SystemExit(f"error: {error}") from error

    return run


@_command
def usage_command(args: Any) -> None:
    """Say how full the storage is."""
    usage = GeminiFilesHook(args.conn_id).usage()
    if args.json:
        _print_json(usage.to_dict())
        return
    _print(str(usage))
    _print("by state: " + (", ".join(f"{state} {count}" for state, count in usage.by_state.items()) or "no files"))


@_command
def list_command(args: Any) -> None:
    """List the files, and what a cleanup would do with each."""
    _, decided = GeminiFilesHook(args.conn_id).plan_sweep(_policy(args), database_lookup)
    if args.json:
        _print_json(
            [
                verdict.file.to_dict() | {"delete": verdict.delete, "reason": verdict.reason, "why": verdict.why}
                for verdict in decided.verdicts
            ]
        )
        return
    if not decided.verdicts:
        _print("No files.")
        return
    AirflowConsole().print_as_table([_row(verdict) for verdict in decided.verdicts])


@_command
def cleanup_command(args: Any) -> None:
    """Delete the files that are no longer needed."""
    hook, policy = GeminiFilesHook(args.conn_id), _policy(args)
    report = hook.sweep(policy, database_lookup, dry_run=True)
    if not args.dry_run and report.deleted_files:
        _confirm(f"Delete {report.deleted_files} files, {human_bytes(report.deleted_bytes)}?", sure=args.yes)
        report = hook.sweep(policy, database_lookup)
    if args.json:
        _print_json(report.to_dict())
        return
    for line in report.table():
        _print(line)


def _policy(args: Any) -> RetentionPolicy:
    names = ("high_watermark", "low_watermark", "include_foreign", "keep", "max_deletions")
    return RetentionPolicy.of({"max_age": args.max_age_hours} | {name: getattr(args, name) for name in names})


def _row(verdict: Decision) -> dict[str, str]:
    file = verdict.file
    row = {
        "name": file.name,
        "state": file.state,
        "size": human_bytes(file.size_bytes or 0),
        "expires": (file.expiration_time or "")[:16],
        "display name": file.display_name or "",
        "cleanup": "delete" if verdict.delete else "keep",
        "why": verdict.why,
    }
    # The table takes brackets for styles, and leaves them out.
    return {name: escape(value) for name, value in row.items()}


def _confirm(question: str, *, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise SystemExit(f"error: {question} Pass --yes, or --dry-run to see which.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was deleted.")


def _print_json(data: Any) -> None:
    _print(json.dumps(data, indent=2))


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
