"""``make tables``: write the tables in README.md and docs/ from the models and functions that decide what they say."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import metric_meanings
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "airflow_provider_gemini_files"
#: The model behind each table. The name stands in the comment that opens a block: ``<!-- table: connection -->``.
MODELS = {
    "connection": f"{_PACKAGE}.hooks.connection:ConnectionExtras",
    "policy": f"{_PACKAGE}.files.policy:RetentionPolicy",
    "prices": f"{_PACKAGE}.costs.prices:PriceList",
    "model_prices": f"{_PACKAGE}.costs.prices:ModelPrice",
}
#: A line of the tree of errors.
_ADVICE = re.compile(r"── (Gemini\w+Error) +(.*)")
_MIB = 1024**2
_PDF, _VIDEO = "application/pdf", "video/mp4"
#: The rows of the table "ways": a description, and the fields of a ``Candidate``.
WAYS_EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("a local PDF of 3 MiB", {"scheme": "file", "size": 3 * _MIB, "mime_type": _PDF}),
    ("the same, used in two parts", {"scheme": "file", "size": 3 * _MIB, "mime_type": _PDF, "uses": 2}),
    ("a local video of 400 MiB", {"scheme": "file", "size": 400 * _MIB, "mime_type": _VIDEO}),
    ("an `s3://` image of 5 MiB", {"scheme": "s3", "size": 5 * _MIB, "mime_type": "image/png"}),
    (
        "the same, beside 68 MiB of inline data",
        {"scheme": "s3", "size": 5 * _MIB, "mime_type": "image/png", "inline_bytes": 68 * _MIB},
    ),
    ("a `gs://` PDF of 3 MiB", {"scheme": "gs", "size": 3 * _MIB, "mime_type": _PDF, "can_register": True}),
    (
        "a `gs://` video of 1 GiB, with Google credentials",
        {"scheme": "gs", "size": 1024 * _MIB, "mime_type": _VIDEO, "can_register": True},
    ),
    ("the same without Google credentials", {"scheme": "gs", "size": 1024 * _MIB, "mime_type": _VIDEO}),
    ("an `https://` PDF of 2 MiB", {"scheme": "https", "size": 2 * _MIB, "mime_type": _PDF}),
    ("an `https://` PDF of 60 MiB", {"scheme": "https", "size": 60 * _MIB, "mime_type": _PDF}),
    ("an `https://` PDF of 200 MiB", {"scheme": "https", "size": 200 * _MIB, "mime_type": _PDF}),
    ("an `https://` video of 60 MiB", {"scheme": "https", "size": 60 * _MIB, "mime_type": _VIDEO}),
    ("an `http://` PDF of 60 MiB", {"scheme": "http", "size": 60 * _MIB, "mime_type": _PDF}),
    (
        "a local PDF of 3 MiB in one request of a batch",
        {"scheme": "file", "size": 3 * _MIB, "mime_type": _PDF, "in_batch": True},
    ),
    (
        "the same in 100 requests of a batch",
        {"scheme": "file", "size": 3 * _MIB, "mime_type": _PDF, "in_batch": True, "uses": 100},
    ),
    (
        "an `https://` PDF of 60 MiB in a batch",
        {"scheme": "https", "size": 60 * _MIB, "mime_type": _PDF, "in_batch": True},
    ),
]
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


def ways_table() -> str:
    """Return the Markdown table of the ways that sources are shown by default, and why."""
    ways = importlib.import_module(f"{_PACKAGE}.content.ways")
    lines = ["| source | via | why |", "|---|---|---|"]
    for description, facts in WAYS_EXAMPLES:
        choice = ways.choose(ways.Candidate(**facts))
        lines.append(f"| {description} | `{choice.way}` | {choice.reason} |")
    return "\n".join(lines) + "\n"


def advice_of() -> dict[str, str]:
    """Return what the caller should do about each error, as the tree of errors says."""
    module = importlib.import_module(f"{_PACKAGE}.exceptions")
    return {name: text.strip() for name, text in _ADVICE.findall(module.__doc__ or "")}


def errors_table() -> str:
    """Return the Markdown table of the errors by their codes, and what to do about each."""
    exceptions = importlib.import_module(f"{_PACKAGE}.exceptions")
    lines = ["| code | error | meaning and what to do | Airflow retries |", "|---|---|---|---|"]
    advice = advice_of()
    for kind in sorted((getattr(exceptions, name) for name in advice), key=lambda kind: kind.code):
        retried = "no" if issubclass(kind, exceptions.GeminiPermanentError) else "yes"
        lines.append(
            f"| [{kind.code}](#{kind.code.lower()}) | `{kind.__name__}` | {advice[kind.__name__]} | {retried} |"
        )
    return "\n".join(lines) + "\n"


def metrics_table() -> str:
    """Return the Markdown table of the metrics."""
    lines = ["| metric | type | unit | tags | meaning |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(cells)} |" for cells in metric_meanings.rows()]
    return "\n".join(lines) + "\n"


def rewrite(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """
    Return a page with every marked block filled.

    :param tables: what writes each table, by name; called only for the tables that the page has.
    :raises ValueError: for a table of another name, or a block that is not closed.
    """

    def fill(block: re.Match[str]) -> str:
        opening, name, closing = block.groups()
        if _OPEN.search(block[0], len(opening)):
            raise ValueError(f"table {name!r} is not closed by <!-- /table -->")
        if name not in tables:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(tables)}")
        return opening + tables[name]() + closing

    rewritten, count = _BLOCK.subn(fill, text)
    if count != len(_OPEN.findall(text)):
        raise ValueError(
            "a table is not closed by <!-- /table -->, or its marker is not of the form <!-- table: name -->"
        )
    return rewritten


def _model_table(name: str) -> str:
    """Return the table of a model of the package, which is imported now."""
    module, _, attribute = MODELS[name].partition(":")
    return table(getattr(importlib.import_module(module), attribute))


#: What writes each table of the pages.
TABLES: dict[str, Callable[[], str]] = {name: partial(_model_table, name) for name in MODELS} | {
    "errors": errors_table,
    "metrics": metrics_table,
    "ways": ways_table,
}


def main(arguments: list[str]) -> int:
    """Rewrite the pages, or with ``--check`` only return 1 if one of them is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    check = parser.parse_args(arguments).check
    outdated = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        try:
            rewritten = rewrite(text, TABLES)
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
