"""Examples of public names: the first call of each in the pages and the example Dags, whose code the tests run."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
#: An example that is longer is left to its page.
_MOST_LINES = 20


@cache
def _blocks() -> list[str]:
    """Return all code, that of the pages first."""
    pages = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
    blocks = [block for page in pages for block in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    return blocks + [path.read_text(encoding="utf-8") for path in sorted((ROOT / "example_dags").glob("*.py"))]


@cache
def _statements() -> list[tuple[str, str]]:
    """Return the names that are called, each with its statement."""
    found = []
    for block in _blocks():
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.For):
                found += [(name, f"{ast.unparse(node).partition(chr(10))[0]}\n    ...") for name in _called(node.iter)]
            elif isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Call | ast.Attribute):
                lines = block.splitlines()[node.lineno - 1 : node.end_lineno]
                statement = textwrap.dedent("\n".join(lines))
                found += [(name, statement) for name in _called(node.value)]
    return found


def _called(expression: ast.expr) -> Iterator[str]:
    """Yield what is called: a class, itself or by ``partial``, or a method of ``hook``."""
    for node in ast.walk(expression):
        function = node.func if isinstance(node, ast.Call) else node
        if isinstance(function, ast.Attribute):
            owner = getattr(function.value, "id", "")
            yield f"hook.{function.attr}" if owner == "hook" else owner
        elif isinstance(node, ast.Call):
            yield getattr(function, "id", "")


def first(name: str) -> str | None:
    """Return the first statement that calls a public name and is not too long."""
    return next((text for called, text in _statements() if called == name and text.count("\n") < _MOST_LINES), None)


def first_of_hook(member: str) -> str | None:
    """Return a statement that calls a member of the hook."""
    return first(f"hook.{member}")
