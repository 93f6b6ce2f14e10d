"""The layout of the emulator's modules."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from airflow_provider_gemini_files import emulator

PACKAGE = Path(emulator.__file__).parent


def imported_modules(path: Path) -> set[str]:
    """Return the modules of the emulator that a module imports anywhere, also for types only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(emulator.__name__):
            module = node.module.removeprefix(emulator.__name__).lstrip(".")
            names |= {module} if module else {alias.name for alias in node.names}
    return {name for name in names if (PACKAGE / f"{name}.py").exists()}


def test_modules_do_not_import_each_other_in_circles():
    imports = {path.stem: imported_modules(path) for path in PACKAGE.glob("*.py")}
    order = list(TopologicalSorter(imports).static_order())
    assert {"call", "dispatch", "server"} <= set(order)
