"""
The command ``airflow gemini-files``, from Airflow 3.2 on; on 3.1 it is ``python -m airflow_provider_gemini_files.cli``.

Only the arguments are here: Airflow reads them at each of its commands.
"""

from __future__ import annotations

import argparse
from typing import Any

_COMMANDS = "airflow_provider_gemini_files.commands"


def get_commands() -> list[Any]:
    """Return the commands in the form of Airflow's command line."""
    from airflow.cli import cli_config
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, GroupCommand, lazy_load_command

    # It has no types.
    Arg: Any = cli_config.Arg
    output = (ARG_OUTPUT, ARG_VERBOSE)
    common = (
        Arg(("--conn-id",), default="gemini_default", help="connection of type gemini (default: gemini_default)"),
        *output,
    )
    policy = (
        Arg(("--max-age-hours",), type=float, default=24.0, help="delete files older than this (default: 24)"),
        Arg(
            ("--high-watermark",),
            type=float,
            default=0.9,
            help="share of the quota from which on space is freed (default: 0.9)",
        ),
        Arg(("--low-watermark",), type=float, default=0.7, help="share down to which it is freed (default: 0.7)"),
        Arg(
            ("--include-foreign",),
            action="store_true",
            help="also files that no task of this Airflow deployment has uploaded",
        ),
        Arg(("--keep",), action="append", default=[], help="name or display name to keep, with * and ?; repeatable"),
        Arg(("--max-deletions",), type=int, default=None, help="the most files to delete"),
    )
    cleanup = (
        Arg(("--dry-run",), action="store_true", help="delete nothing, only report"),
        Arg(("-y", "--yes"), action="store_true", help="delete without asking"),
    )
    costs = (
        Arg(("--conn-id",), default=None, help="count only the calls of this connection (default: those of all)"),
        Arg(("--days",), type=int, default=7, help="how many days, with today, in UTC (default: 7)"),
        Arg(
            ("--by",), choices=("dag", "task", "model", "day"), default="dag", help="what is grouped by (default: dag)"
        ),
        *output,
    )
    shapes = (
        ("usage", "Show how much of the storage is used", common),
        ("list", "List the files, and what a cleanup would do with each", (*common, *policy)),
        ("cleanup", "Delete the files that are no longer needed", (*common, *policy, *cleanup)),
        ("costs", "Show how many tokens the calls of tasks have spent, and what they have cost", costs),
    )
    return [
        GroupCommand(
            name="gemini-files",
            help="Manage the files of the Gemini API",
            subcommands=[
                ActionCommand(name=name, help=text, func=lazy_load_command(f"{_COMMANDS}.{name}_command"), args=args)
                for name, text, args in shapes
            ],
        )
    ]


def main() -> None:
    """Run a command without Airflow's own command line."""
    [group] = get_commands()
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_gemini_files.cli", description=group.help)
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in group.subcommands:
        subparser = subparsers.add_parser(command.name, help=command.help)
        subparser.set_defaults(func=command.func)
        for arg in command.args:
            arg.add_to_parser(subparser)
    arguments = parser.parse_args()
    arguments.func(arguments)


if __name__ == "__main__":
    main()
