"""
``make matrix``: run the tests with the lowest and the newest supported Airflow and google-genai, one after another.

No version is named here: "lowest" is read from pyproject.toml, "newest" is what the resolver finds.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENDS = ("lowest", "newest")
PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
PACKAGES = {"airflow": "apache-airflow", "genai": "google-genai"}
SHOW_VERSIONS = (
    "import sys; from importlib.metadata import version as v; "
    "print('Python', sys.version.split()[0], *(f'{name} {v(name)}' for name in ('apache-airflow', 'google-genai')))"
)


def run(*command: str | Path) -> int:
    """Run a command in the project's folder; return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def lower_bound(package: str) -> str:
    """Return the lower bound that pyproject.toml declares for a dependency."""
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
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


def test(python: str, airflow: str, genai: str, pytest_arguments: list[str]) -> str | None:
    """Test one combination in an environment of its own; return its name if it fails."""
    name = f"{f'python-{Path(python).name}-' if python else ''}airflow-{airflow}-genai-{genai}"
    print(f"\n=== {name}", flush=True)
    venv = ROOT / f".venv-{name}"
    executable = venv / "bin" / "python"
    uv = (sys.executable, "-m", "uv", "--quiet")
    pins = (pin(PACKAGES["airflow"], airflow), pin(PACKAGES["genai"], genai))
    # --upgrade: an environment of an earlier run may hold what was newest then.
    install = ("pip", "install", "--upgrade", "--python", executable, "--editable", ".", "--group", "dev", *pins)
    passed = (
        run(*uv, "venv", "--allow-existing", "--python", python or sys.executable, venv) == 0
        and run(*uv, *install) == 0
        and run(executable, "-c", SHOW_VERSIONS) == 0
        and run(executable, "-m", "pytest", *PARALLEL, *pytest_arguments) == 0
    )
    return None if passed else name


def main(arguments: list[str]) -> int:
    """Return 0 if every chosen combination passes; arguments that are not known go to pytest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", choices=ENDS, action="append", help="both if not given")
    parser.add_argument("--genai", choices=ENDS, action="append", help="both if not given")
    parser.add_argument("--python", default="", help="a version or path, as uv takes it; the current one if not given")
    chosen, pytest_arguments = parser.parse_known_args(arguments)
    combinations = product(chosen.airflow or ENDS, chosen.genai or ENDS)
    results = [test(chosen.python, airflow, genai, pytest_arguments) for airflow, genai in combinations]
    failed = [name for name in results if name]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll combinations pass.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
