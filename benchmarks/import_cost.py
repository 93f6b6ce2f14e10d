"""What parsing a Dag pays for this provider's modules, beside what it pays for ``airflow.sdk`` anyway."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys

RUNS = 5
MODULES = (
    "airflow_provider_gemini_files.operators.files",
    "airflow_provider_gemini_files.operators.content",
    "airflow_provider_gemini_files.sensors.files",
    "airflow_provider_gemini_files.triggers.files",
)
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


def seconds() -> tuple[float, float]:
    """Import in a fresh process; return the seconds of ``airflow.sdk``, and of our modules after it."""
    code = f"import airflow.sdk\nimport {', '.join(MODULES)}"
    run = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    total = {"airflow.sdk": 0.0, "ours": 0.0}
    part = "airflow.sdk"
    for line in run.stderr.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        self_time, _, indent, name = match.groups()
        total[part] += int(self_time) / 1e6
        # A module's line comes after those of what it imports.
        if name == "airflow.sdk" and len(indent) == 0:
            part = "ours"
    return total["airflow.sdk"], total["ours"]


def main() -> None:
    """Print the medians and their ratio."""
    runs = [seconds() for _ in range(RUNS)]
    sdk, ours = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"import airflow.sdk             {sdk:6.3f} s  (median of {RUNS})")
    print(f"then all operator modules     +{ours:6.3f} s  ratio {ours / sdk:.3f}")


if __name__ == "__main__":
    main()
