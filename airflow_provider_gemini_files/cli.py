"""
The command ``airflow gemini-files``, from Airflow 3.2 on; on 3.1 it is ``python -m airflow_provider_gemini_files.cli``.

Only its shape is here, which Airflow reads at each of its commands.
"""

from __future__ import annotations

import argparse
from typing import Any

_COMMANDS = "airflow_provider_gemini_files.commands"


def get_commands() -> list[Any]:
    """Return the commands, as Airflow wants them."""
    from airflow.cli import cli_config
    from airflow.cli.cli_config import ARG_VERBOSE, ActionCommand, GroupCommand, lazy_load_command

    # It has no types.
    Arg: Any = cli_config.Arg
    common = (
        Arg(("--conn-id",), default="gemini_default", help="connection of type gemini (default: gemini_default)"),
        Arg(("--json",), action="store_true", help="print JSON"),
        ARG_VERBOSE,
    )
    policy = (
        Arg(("--max-age-hours",), type=float, default=24.0, help="files older than this go (default: 24)"),
        Arg(("--high-watermark",), type=float, default=0.9, help="share of the quota that makes room (default: 0.9)"),
        Arg(("--low-watermark",), type=float, default=0.7, help="share down to which it is made (default: 0.7)"),
        Arg(("--include-foreign",), action="store_true", help="also files that no task of Airflow has uploaded"),
        Arg(("--keep",), action="append", default=[], help="name or display name that stays, with * and ?; repeatable"),
        Arg(("--max-deletions",), type=int, default=None, help="the most files that go at once"),
    )
    sweeping = (
        Arg(("--dry-run",), action="store_true", help="delete nothing, only report"),
        Arg(("-y", "--yes"), action="store_true", help="delete without asking"),
    )
    shapes = (
        ("usage", "Say how full the storage is", common),
        ("list", "List the files, and what a cleanup would do with each", (*common, *policy)),
        ("cleanup", "Delete the files that are no longer needed", (*common, *policy, *sweeping)),
    )
    return [
        GroupCommand(
            name="gemini-files",
            help="Look after the files of the Gemini API",
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
