"""The commands of ``airflow gemini-files``."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning
from rich.markup import escape

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.costs.report import Bound, By, CostReport, Sum
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.file_search.resources import FileSearchStore
from airflow_provider_gemini_files.files.cleanup_report import CleanupReport
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.retention import Decision
from airflow_provider_gemini_files.files.usage_history import Deleted, Sample
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.server import GeminiServerHook
from airflow_provider_gemini_files.runs import database_lookup
from airflow_provider_gemini_files.spending import read_report

#: A year; what Airflow keeps of runs is cleaned up long before in most deployments.
_MAX_DAYS = 366

Command = Callable[[Any], None]
#: Airflow's own marker of a process that may read connections and variables from the database.
_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def _command(function: Command) -> Command:
    """Let a command print its output and nothing else, and end with one sentence if it fails."""

    @functools.wraps(function)
    def run(args: Any) -> None:
        os.environ.setdefault(_PROCESS_CONTEXT, "server")
        try:
            suppress_logs_and_warning(function)(args)
        except GeminiFilesError as error:
            raise SystemExit(f"error: {error}") from error

    return run


@_command
def usage_command(args: Any) -> None:
    """Show how much of the storage is used, and the file search stores, which do not count in it."""
    hook = GeminiServerHook(args.conn_id)
    usage, stores = hook.usage(), _stores(hook)
    data = usage.to_dict() | {"file_search_stores": None}
    told = "cannot be listed"
    if stores is not None:
        data["file_search_stores"] = [store.to_dict() for store in stores]
        told = f"{len(stores)}, {human_bytes(sum(store.size_bytes for store in stores))}"
    row = {"storage": str(usage), "by state": _counts(usage.by_state), "file search stores": told}
    _print_as(args, [data], lambda: [row])


@_command
def list_command(args: Any) -> None:
    """List the files, and what a cleanup would do with each."""
    _, planned = GeminiServerHook(args.conn_id).storage.plan_cleanup(_policy(args), database_lookup)
    if not planned.decisions and args.output == "table":
        _print("No files.")
        return
    files = [
        one.file.to_dict() | {"delete": one.delete, "reason": str(one.reason), "why": one.why}
        for one in planned.decisions
    ]
    _print_as(args, files, lambda: [_row(decision) for decision in planned.decisions])


@_command
def cleanup_command(args: Any) -> None:
    """Delete the files that are no longer needed."""
    hook, policy = GeminiServerHook(args.conn_id), _policy(args)
    report = replace(hook.cleanup(policy, database_lookup, dry_run=True), dry_run=args.dry_run)
    if not args.dry_run and report.deleted_files:
        _confirm(f"Delete {report.deleted_files} files, {human_bytes(report.deleted_bytes)}?", sure=args.yes)
        report = hook.cleanup(policy, database_lookup)
        now, before = time.time(), report.before
        deleted = Deleted(int(now), report.deleted_files, report.deleted_bytes)
        sample = Sample.of(now, before.files, before.used_bytes, report.owned)
        usage_history.of_database.record(args.conn_id, sample, cleaned_up=deleted)
    if args.output != "table":
        _print_as(args, [report.to_dict()], lambda: [_summary(report)])
        return
    for line in report.table():
        _print(line)


@_command
def costs_command(args: Any) -> None:
    """Show what calls to models have spent."""
    if not 1 <= args.days <= _MAX_DAYS:
        raise GeminiInputError(f"--days must be a whole number from 1 to {_MAX_DAYS}; got {args.days}.")
    report = read_report(args.days, By(args.by), args.conn_id)
    if not report.groups and args.output == "table":
        _print("No calls.")
    else:
        _print_as(args, [report.to_dict()], lambda: _cost_rows(report))
    if args.output == "table":
        for note in report.notes():
            _print(note)


def _stores(hook: GeminiFilesHook) -> list[FileSearchStore] | None:
    """Return the file search stores; None if they cannot be listed, such as behind a gateway without them."""
    try:
        return hook.list_file_search_stores()
    except GeminiFilesError:
        return None


def _policy(args: Any) -> RetentionPolicy:
    names = ("high_watermark", "low_watermark", "include_foreign", "keep", "max_deletions")
    return RetentionPolicy.of({"max_age": args.max_age_hours} | {name: getattr(args, name) for name in names})


def _row(decision: Decision) -> dict[str, str]:
    file = decision.file
    return {
        "name": file.name,
        "state": file.state,
        "size": human_bytes(file.size_bytes or 0),
        "expires": (file.expiration_time or "")[:16],
        "display name": shown_text(file.display_name or ""),
        "cleanup": "delete" if decision.delete else "keep",
        "why": decision.why,
    }


def _summary(report: CleanupReport) -> dict[str, str]:
    return {
        "deleted files": str(report.deleted_files),
        "deleted size": human_bytes(report.deleted_bytes),
        "failed": str(report.failed),
        "storage": str(report.after),
    }


def _cost_rows(report: CostReport) -> list[dict[str, str]]:
    """Return a row for each group, and the total."""
    rows = [names | _cost_cells(one, report.currency) for names, one in report.groups]
    for first, *others in [list(names) for names, _ in report.groups[:1]]:
        rows.append({first: "total"} | dict.fromkeys(others, "") | _cost_cells(report.total, report.currency))
    return rows


def _cost_cells(one: Sum, currency: str | None) -> dict[str, str]:
    cells = {
        "calls": f"{one.usage.calls:,}",
        "tokens in": f"{one.usage.input:,}",
        "from caches": f"{one.cached_share:.1%}",
        "tokens out": f"{one.usage.output:,}",
        "of thoughts": f"{one.usage.thoughts:,}",
        "in batches": f"{one.batch_share:.1%}",
        "failed, but paid": f"{one.failed:,}",
    }
    return cells | {"cost": _money(one, currency)} if currency else cells


def _money(one: Sum, currency: str) -> str:
    if one.cost is None:
        return "no price" if one.unpriced else "not known"
    digits = 2 if one.cost >= 1 else 4 if one.cost >= Decimal("0.01") else 6
    return f"{'' if one.bound is Bound.EXACT else one.bound} {one.cost:,.{digits}f} {currency}".strip()


def _counts(by_state: Any) -> str:
    return ", ".join(f"{state} {count}" for state, count in by_state.items()) or "no files"


def _print_as(args: Any, data: Sequence[dict[str, Any]], rows: Callable[[], list[dict[str, str]]]) -> None:
    """Print data in the format of ``--output``; a table has rows of its own, for people."""
    # Its json and yaml take lists, too, whatever their annotations say.
    console: Any = AirflowConsole()
    if args.output in ("table", "plain"):
        # The table would take brackets for styles, and leave them out.
        shown = [
            {name: escape(value) if args.output == "table" else value for name, value in row.items()} for row in rows()
        ]
        console.print_as(data=shown, output=args.output)
    elif args.output == "json":
        # Not print_as, which makes texts of all numbers.
        console.print_as_json(list(data))
    else:
        console.print_as_yaml(list(data))


def _confirm(question: str, *, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise SystemExit(f"error: {question} Pass --yes, or --dry-run to see which.")
    # Not input(), which would write into the output, and ends with a traceback at the end of the input.
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was deleted.")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
