"""Write the pages of the reference that are about settings, commands, metrics and faults."""

from __future__ import annotations

from collections.abc import Callable

import metric_meanings
import tables
from markdown_text import codes, table

_PACKAGE = "airflow_provider_gemini_files"


def connection_page() -> str:
    """Return the page of the connection's fields and of the options of Airflow's configuration."""
    from airflow_provider_gemini_files.hooks import extras
    from airflow_provider_gemini_files.provider_info import get_provider_info

    info = get_provider_info()
    [shape] = info["connection-types"]
    behaviour = shape["ui-field-behaviour"]
    fields = [(f"`{name}`", label, behaviour["placeholders"][name]) for name, label in behaviour["relabeling"].items()]
    parts = [
        "# Connection and settings",
        f'A connection of type `{shape["connection-type"]}`, "{shape["hook-name"]}". Its default id is '
        f"`{extras.DEFAULT_CONN_ID}`.",
        table(("field", "label", "placeholder"), fields),
        "## Extras",
        "An unknown extra is an error.",
        tables.table(extras.ConnectionExtras),
    ]
    for section, content in info["config"].items():
        options = [
            (
                f"`{name}`",
                f"`AIRFLOW__{section.upper()}__{name.upper()}`",
                tables.default_text(option["default"]),
                option["description"],
            )
            for name, option in content["options"].items()
        ]
        parts += [
            f"## Section [{section}] of Airflow's configuration",
            content["description"],
            table(("option", "variable", "default", "meaning"), options),
        ]
    return "\n\n".join(parts)


def cli_page() -> str:
    """Return the page of the command line."""
    from airflow_provider_gemini_files.cli import get_commands

    [group] = get_commands()
    parts = [
        "# Command line",
        f"{group.help}. On Airflow 3.1, write `python -m {_PACKAGE}.cli` instead of `airflow {group.name}`.",
    ]
    for command in group.subcommands:
        options = [(codes(argument.flags), argument.kwargs.get("help") or "") for argument in command.args]
        parts += [f"## airflow {group.name} {command.name}", f"{command.help}.", table(("option", "meaning"), options)]
    return "\n\n".join(parts)


def metrics_page(guides_of: Callable[[str], list[str]]) -> str:
    """
    Return the page of the metrics.

    :param guides_of: returns links to the guides that have a name.
    """
    rows = [
        (*cells, ", ".join(guides_of(".".join(cells[0].strip("`").split(".")[:2])))) for cells in metric_meanings.rows()
    ]
    text = (
        "Airflow sends them to StatsD or OpenTelemetry with its own metrics, as its section `[metrics]` says. "
        "[Running it in production](../production.md#metrics) says what to alert on."
    )
    return "\n\n".join(["# Metrics", text, table(("metric", "type", "unit", "tags", "meaning", "guides"), rows)])


def faults_section() -> str:
    """Return the section about the emulator's faults."""
    from airflow_provider_gemini_files.emulator import faults

    rows = []
    for action in sorted(faults.ACTIONS):
        needs = codes(filter(None, [faults._NEEDS.get(action)]))
        methods = codes(sorted(faults._ONLY.get(action, ()))) or "all"
        rows.append((f"`{action}`", _response_of(action), methods, needs))
    text = (
        "`faults.add(method, action)` takes these actions. [The guide](../emulator.md#actions) says what each of them "
        "does, and which other fields a fault has."
    )
    return "\n\n".join(["## Faults", text, table(("action", "response", "methods", "needs"), rows)])


def _response_of(action: str) -> str:
    from airflow_provider_gemini_files.emulator import faults

    if action == "status" or action not in faults.ERRORS:
        return ""
    return f"HTTP {faults.ERRORS[action](faults.Fault('get', action)).code}"
