"""Read the package's source: imports, metrics that it sends, XCom keys that it pushes, messages of its errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "airflow_provider_gemini_files"
_METRIC_KINDS = {"incr": "counter", "gauge": "gauge", "timing": "timer"}
_ERROR = re.compile(r"Gemini\w+Error")
_PLACEHOLDER = re.compile(r"<\w+>|…")
#: A message with fewer letters of its own says nothing to search for.
_LEAST_LETTERS = 12


@dataclass(frozen=True)
class Metric:
    """
    A metric.

    :param kind: counter, gauge or timer.
    :param tags: the names of its tags.
    """

    name: str
    kind: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Message:
    """
    The text of an error.

    :param module: the module that creates it, without the package.
    :param text: what varies is in angle brackets, or an ellipsis if it has no name.
    """

    error: str
    module: str
    text: str


@cache
def modules(package: Path = PACKAGE) -> dict[str, ast.Module]:
    """Return each module of the provider, without the emulator, by its name within the package."""
    paths = {path.relative_to(package): path for path in sorted(package.rglob("*.py"))}
    return {
        ".".join(relative.with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for relative, path in paths.items()
        if relative.parts[0] != "emulator"
    }


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield getattr(function, "attr", getattr(function, "id", "")), node


def text_of(node: ast.expr) -> str | None:
    """Return a text literal, with what varies in angle brackets; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = (text_of(node.left) or "…", text_of(node.right) or "…")
        return None if parts == ("…", "…") else "".join(parts)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else _placeholder(part.value)
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return None


def _placeholder(value: ast.expr) -> str:
    """Return the name of a value in a text; functions that only change how it is shown are left out."""
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        return _placeholder(value.args[0])
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
    return f"<{name.strip('_').lower()}>" if name else "…"


def metrics(package: Path = PACKAGE) -> list[Metric]:
    """Return all metrics, by name."""
    found = set()
    for tree in modules(package).values():
        for name, call in _calls(tree):
            text = text_of(call.args[0]) if name in _METRIC_KINDS and call.args else None
            if text and text.startswith("gemini_files."):
                tags = next((keyword.value for keyword in call.keywords if keyword.arg == "tags"), None)
                found.add(Metric(text, _METRIC_KINDS[name], _keys(tags, tree)))
    return sorted(found, key=lambda metric: metric.name)


def _keys(tags: ast.expr | None, tree: ast.Module) -> tuple[str, ...]:
    """Return the keys of a dict, or of the dict that the module assigns to the same name."""
    if isinstance(tags, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == tags.id
        ]
        tags = assigned[0] if assigned else None
    keys = tags.keys if isinstance(tags, ast.Dict) else []
    return tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))


def xcom_keys(package: Path = PACKAGE) -> set[str]:
    """Return the keys that tasks push, besides what they return."""
    return {
        str(call.args[0].value)
        for tree in modules(package).values()
        for name, call in _calls(tree)
        if name == "xcom_push" and call.args and isinstance(call.args[0], ast.Constant)
    }


def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return the full name of everything that is imported, and the modules that import it."""
    found: dict[str, set[str]] = {}
    for module, tree in modules(package).items():
        for name in _imported(tree):
            found.setdefault(name, set()).add(module)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def private_attributes(package: Path = PACKAGE) -> set[str]:
    """Return the attributes with a leading underscore that are read, but defined nowhere in the package."""
    nodes = [node for tree in modules(package).values() for node in ast.walk(tree)]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr)]
    defined |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    return {node.attr for node in attributes} - defined


def messages(package: Path = PACKAGE) -> list[Message]:
    """Return the messages that are written where an error is created, in the order of errors and modules."""
    found = {
        Message(name, module, " ".join(text.split()))
        for module, tree in modules(package).items()
        for name, call in _calls(tree)
        if _ERROR.fullmatch(name) and call.args and (text := text_of(call.args[0])) and _says_something(text)
    }
    return sorted(found, key=lambda message: (message.error, message.module, message.text))


def _says_something(text: str) -> bool:
    return sum(letter.isalpha() for letter in _PLACEHOLDER.sub("", text)) >= _LEAST_LETTERS
