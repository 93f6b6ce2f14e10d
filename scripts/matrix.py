"""``make matrix``: the test suite with each Airflow and each google-genai that is supported, one after another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW = ("3.1.8", "3.3.2")
GENAI = ("2.34.0", "3.4.0")
PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def run(*command: str | Path) -> int:
    """Run a command in the project's folder; return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main(pytest_arguments: list[str]) -> int:
    """Return 0 where every combination passes."""
    failed = []
    for airflow in AIRFLOW:
        for genai in GENAI:
            name = f"airflow-{airflow}-genai-{genai}"
            venv = ROOT / f".venv-{name}"
            python = venv / "bin" / "python"
            print(f"\n=== {name}", flush=True)
            uv = (sys.executable, "-m", "uv", "--quiet")
            pins = (f"apache-airflow=={airflow}", f"google-genai=={genai}")
            codes = (
                run(*uv, "venv", "--allow-existing", "--python", sys.executable, venv),
                run(*uv, "pip", "install", "--python", python, "--editable", ".", "--group", "dev", *pins),
                run(python, "-m", "pytest", *PARALLEL, *pytest_arguments),
            )
            if any(codes):
                failed.append(name)
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll combinations pass.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
