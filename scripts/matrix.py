"""
``make matrix``: run the tests on each Python with the lowest and the newest supported Airflow and google-genai.

No version of a dependency is named here: "lowest" is read from pyproject.toml, "newest" is what the resolver finds. One
combination runs after another, whether those before it pass or not; at the end all of them are printed as a table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
UV = (sys.executable, "-m", "uv")
ENDS = ("lowest", "newest")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PARALLEL = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
PACKAGES = {"airflow": "apache-airflow", "genai": "google-genai"}
#: Prints what is installed, and which Pythons it is for.
SHOW_INSTALLED = """
import json, platform
from importlib.metadata import metadata
airflow, genai = metadata("apache-airflow"), metadata("google-genai")
versions = {"python": platform.python_version(), "airflow": airflow["Version"], "genai": genai["Version"]}
print(json.dumps({"versions": versions, "requires": [airflow["Requires-Python"], genai["Requires-Python"]]}))
"""


def run(*command: str | Path) -> int:
    """Run a command in the project's folder; return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


@dataclass(frozen=True)
class Row:
    """
    A combination and what became of it.

    :param airflow: the installed version, or the end of the range if nothing was installed; ``genai`` likewise.
    :param failed: whether it is to be mended; a combination that is not possible is not.
    """

    python: str
    airflow: str
    genai: str
    result: str
    failed: bool = False
    seconds: float = 0


def table(rows: Iterable[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| Python | Airflow | google-genai | result | duration |", "|---|---|---|---|---|"]
    for row in rows:
        minutes, seconds = divmod(round(row.seconds), 60)
        lines.append(f"| {row.python} | {row.airflow} | {row.genai} | {row.result} | {minutes} min {seconds} s |")
    return "\n".join(lines) + "\n"


def project() -> dict[str, Any]:
    """Return the part of pyproject.toml about the package."""
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return read


def lower_bound(package: str) -> str:
    """Return the lower bound that pyproject.toml declares for a dependency."""
    for requirement in project()["dependencies"]:
        if match := re.match(rf"{re.escape(package)}>=([\d.]+)", requirement):
            return match[1]
    raise ValueError(f"pyproject.toml declares no lower bound for {package}")


def pin(package: str, end: str) -> str:
    """
    Return the requirement for one end of a package's range.

    The lowest is the newest patch release of the lowest minor release: the first patch releases of a minor Airflow
    release break with newer releases of its own dependencies.
    """
    if end == "newest":
        return package
    minor = ".".join(lower_bound(package).split(".")[:2])
    return f"{package}=={minor}.*"


def counts(report: str) -> str:
    """Return how many tests passed, failed and were skipped, as a JUnit report of pytest says."""
    [suite] = ElementTree.fromstring(report)
    total, failed, errors, skipped = (int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped"))
    numbers = {"passed": total - failed - errors - skipped, "failed": failed + errors, "skipped": skipped}
    return ", ".join(f"{what} {number}" for what, number in numbers.items() if number or what == "passed")


def find_python(version: str) -> str | None:
    """Return the path of an interpreter; None if there is none."""
    # pyenv puts commands for all of its versions on the path, of which only those of the chosen version work.
    folders = [*map(str, Path.home().glob(f".pyenv/versions/{version}*/bin")), os.environ["PATH"]]
    found = subprocess.run(
        [*UV, "python", "find", "--system", "--no-python-downloads", version],
        cwd=ROOT,
        env={**os.environ, "PATH": os.pathsep.join(folders)},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return found.stdout.strip() or None


def install(venv: Path, *arguments: str) -> bool:
    """Install into an environment; return whether that was possible."""
    # --upgrade: an environment of an earlier run may hold what was newest then.
    return run(*UV, "pip", "install", "--quiet", "--upgrade", "--python", venv, *arguments) == 0


def installed(venv: Path) -> tuple[dict[str, str], list[str | None]]:
    """Return the versions in an environment, and the Pythons that Airflow and the SDK are for."""
    python = str(venv / "bin" / "python")
    told = json.loads(subprocess.run([python, "-c", SHOW_INSTALLED], check=True, capture_output=True, text=True).stdout)
    return told["versions"], told["requires"]


def excludes(python: str, requirements: Iterable[str | None]) -> bool:
    """Return whether one of the packages is not for a Python; the resolver does not look at upper bounds."""
    return any(python not in SpecifierSet(requirement or "") for requirement in requirements)


def test(python: str, airflow: str, genai: str, pytest_arguments: list[str]) -> Row:
    """Test one combination in an environment of its own."""
    name = f"python-{Path(python).name}-airflow-{airflow}-genai-{genai}"
    print(f"\n=== {name}", flush=True)
    began = time.monotonic()
    versions = {"python": python, "airflow": airflow, "genai": genai}

    def row(result: str, *, failed: bool = False) -> Row:
        return Row(**versions, result=result, failed=failed, seconds=time.monotonic() - began)

    found = find_python(python)
    if not found:
        return row("not installed")
    venv = ROOT / f".venv-{name}"
    pins = (pin(PACKAGES["airflow"], airflow), pin(PACKAGES["genai"], genai))
    if run(*UV, "venv", "--quiet", "--allow-existing", "--python", found, venv) or not install(
        venv, "--no-deps", *pins
    ):
        return row("installation failed", failed=True)
    versions, requires = installed(venv)
    if excludes(versions["python"], [*requires, project()["requires-python"]]):
        return row("not possible")
    if not install(venv, "--editable", ".", "--group", "dev", *pins):
        return row("installation failed", failed=True)
    versions, _ = installed(venv)
    print(", ".join(f"{what} {version}" for what, version in versions.items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = ("-m", "pytest", *PARALLEL, f"--junit-xml={report}", *pytest_arguments)
        code = run(venv / "bin" / "python", *tests)
        return row(counts(report.read_text()) if report.exists() else f"pytest ended with {code}", failed=code != 0)


def main(arguments: list[str]) -> int:
    """Return 0 if no chosen combination fails; arguments that are not known go to pytest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", choices=ENDS, action="append", help="both if not given")
    parser.add_argument("--genai", choices=ENDS, action="append", help="both if not given")
    parser.add_argument(
        "--python",
        action="append",
        help=f"a version or path, as uv takes it; each of {', '.join(PYTHONS)} that is installed if not given",
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="also write the table to this file")
    chosen, pytest_arguments = parser.parse_known_args(arguments)
    for python in chosen.python or ():
        if not find_python(python):
            parser.error(f"Python {python} is not installed here")
    rows: list[Row] = []
    for combination in product(chosen.python or PYTHONS, chosen.airflow or ENDS, chosen.genai or ENDS):
        rows.append(test(*combination, pytest_arguments))
        if chosen.table:
            chosen.table.write_text(table(rows))
    print(f"\n{table(rows)}")
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
