"""Write the pages of the reference that are about settings, commands, metrics and faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import metric_meanings
import tables
from markdown_text import codes, table

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "airflow_provider_gemini_files"


_EXAMPLE = """\
airflow gemini-files usage --output json
airflow gemini-files list --conn-id gemini_production
airflow gemini-files cleanup --dry-run --max-age-hours 12 --keep 'handbook*'
"""


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
        "As an environment variable:",
        f"```console\nexport AIRFLOW_CONN_{extras.DEFAULT_CONN_ID.upper()}='"
        f'{{"conn_type": "{shape["connection-type"]}", "password": "<your key>", "extra": {{"timeout": 120}}}}\'\n```',
        "*Test* in the form of the connection makes one cheap call, and says in a sentence what is wrong.",
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
        "The commands read Airflow's database, so run them where the scheduler runs. An error is one line, which ends "
        "with its [code](../troubleshooting.md), and exit code 1.",
        f"```console\n{_EXAMPLE}```",
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

    told = _told_of_faults()
    rows = []
    for action in sorted(faults.ACTIONS):
        needs = codes(filter(None, [faults._NEEDS.get(action)]))
        methods = codes(sorted(faults._ONLY.get(action, ()))) or "all"
        rows.append((f"`{action}`", _response_of(action), told[action], methods, needs))
    text = (
        "`faults.add(method, action)` takes these actions. [The guide](../emulator.md#actions) says "
        "which other fields a fault has."
    )
    return "\n\n".join(
        ["## Faults", text, table(("action", "response", "what the client sees", "methods", "needs"), rows)]
    )


def _told_of_faults() -> dict[str, str]:
    """Return what the guide says about each action."""
    guide = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    actions = guide.partition("\n### Actions\n")[2].partition("\n## ")[0]
    return {
        action: text.replace("](#", "](../emulator.md#")
        for names, text in re.findall(r"^\| (`.*?) \| (.*) \|$", actions, re.MULTILINE)
        for action in re.findall(r"`(\w+)`", names)
    }


def _response_of(action: str) -> str:
    from airflow_provider_gemini_files.emulator import faults

    if action == "status" or action not in faults.ERRORS:
        return ""
    return f"HTTP {faults.ERRORS[action](faults.Fault('get', action)).code}"
