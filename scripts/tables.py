"""``make tables``: write the tables of settings in README.md and docs/ from the models that define the settings."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "airflow_provider_gemini_files"
#: The model behind each table. The name stands in the comment that opens a block: ``<!-- table: connection -->``.
MODELS = {
    "connection": f"{_PACKAGE}.hooks.connection:ConnectionExtras",
    "policy": f"{_PACKAGE}.files.policy:RetentionPolicy",
}
_BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)
_OPEN = re.compile(r"<!-- table:")
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


def default_text(value: Any) -> str:
    """Return a default as the table shows it; empty texts and collections are "empty"."""
    if value in ((), [], {}, ""):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return _duration_text(value)
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`"


def _duration_text(value: timedelta) -> str:
    """Return a duration in the largest unit that divides it; one day is "24 hours"."""
    seconds = value.total_seconds()
    for name, size in _UNITS:
        count = seconds / size
        if seconds and count.is_integer() and (name != "days" or count > 1):
            return f"{count:g} {name if count != 1 else name.removesuffix('s')}"
    return f"{seconds:g} seconds"


def table(model: type[BaseModel]) -> str:
    """
    Return the Markdown table of a model's fields: name, default, description.

    :raises ValueError: if a field has no description.
    """
    lines = ["| field | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if not field.description:
            raise ValueError(f"{model.__name__}.{name} has no description")
        default = "required" if field.is_required() else default_text(field.get_default(call_default_factory=True))
        cells = (f"`{name}`", default, field.description)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def rewrite(text: str, models: Mapping[str, type[BaseModel]]) -> str:
    """
    Return a page with every marked block filled.

    :param models: the model of each table by name; looked up only for the tables that the page has.
    :raises ValueError: for a table of another name, or a block that is not closed.
    """

    def fill(block: re.Match[str]) -> str:
        opening, name, closing = block.groups()
        if _OPEN.search(block[0], len(opening)):
            raise ValueError(f"table {name!r} is not closed by <!-- /table -->")
        if name not in models:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(models)}")
        return opening + table(models[name]) + closing

    rewritten, count = _BLOCK.subn(fill, text)
    if count != len(_OPEN.findall(text)):
        raise ValueError(
            "a table is not closed by <!-- /table -->, or its marker is not of the form <!-- table: name -->"
        )
    return rewritten


class _Models(Mapping[str, type[BaseModel]]):
    """The models of the package, imported when they are looked up."""

    def __getitem__(self, name: str) -> type[BaseModel]:
        module, _, attribute = MODELS[name].partition(":")
        model: type[BaseModel] = getattr(importlib.import_module(module), attribute)
        return model

    def __contains__(self, name: object) -> bool:
        return name in MODELS

    def __iter__(self) -> Iterator[str]:
        return iter(MODELS)

    def __len__(self) -> int:
        return len(MODELS)


def main(arguments: list[str]) -> int:
    """Rewrite the pages, or with ``--check`` only return 1 if one of them is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    check = parser.parse_args(arguments).check
    outdated = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        try:
            rewritten = rewrite(text, _Models())
        except ValueError as error:
            sys.exit(f"{page.relative_to(ROOT)}: {error}")
        if rewritten != text:
            outdated.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(rewritten, encoding="utf-8")
    if outdated and check:
        print(f"Out of date: {', '.join(outdated)}. Run `make tables`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
