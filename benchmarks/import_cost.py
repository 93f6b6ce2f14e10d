"""What parsing a Dag pays for this provider's modules, and what a small task pays, which is a process of its own."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_gemini_files.emulator import GeminiEmulator

RUNS = 5
MODULES = (
    "airflow_provider_gemini_files.operators.files",
    "airflow_provider_gemini_files.operators.content",
    "airflow_provider_gemini_files.sensors.files",
    "airflow_provider_gemini_files.triggers.files",
)
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")
#: What any task has paid for before it begins, and the life of a small file as tasks of ours and of the SDK live it.
_ANYWAY = """
import sys
import httpx
from airflow.providers.common.compat.sdk import get_hook_lineage_collector
from airflow.sdk import BaseHook
get_hook_lineage_collector()
BaseHook.get_connection("gemini_default")
"""
_OURS = """
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
hook = GeminiFilesHook()
file = hook.upload_file(sys.argv[1])
hook.get_file(file)
hook.delete_file(file)
"""
_SDK = """
from google import genai
conn = BaseHook.get_connection("gemini_default")
client = genai.Client(api_key=conn.password, http_options={"base_url": conn.host})
file = client.files.upload(file=sys.argv[1])
client.files.get(name=file.name)
client.files.delete(name=file.name)
"""


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


def cost(script: str, path: Path) -> tuple[float, float]:
    """Run a script in a fresh process; return its seconds of CPU, and MiB at its peak."""
    process = subprocess.Popen([sys.executable, "-c", _ANYWAY + script, str(path)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError("the script failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def tasks() -> dict[str, tuple[float, float]]:
    """Return the median cost of each kind of task."""
    scripts = {"nothing": "", "ours": _OURS, "the SDK": _SDK}
    with GeminiEmulator() as emulator, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "note.txt"
        path.write_text("some words")
        fields = {"conn_type": "gemini", "host": emulator.base_url, "password": "any-key"}
        os.environ |= {"AIRFLOW_CONN_GEMINI_DEFAULT": json.dumps(fields), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in scripts}
        # By turns, so that whatever else the machine does hits all alike.
        for _ in range(RUNS):
            for name, script in scripts.items():
                costs[name].append(cost(script, path))
    return {
        name: (statistics.median(cpu for cpu, _ in runs), statistics.median(mib for _, mib in runs))
        for name, runs in costs.items()
    }


def main() -> None:
    """Print the medians and their ratios."""
    runs = [seconds() for _ in range(RUNS)]
    sdk, ours = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"import airflow.sdk             {sdk:6.3f} s  (median of {RUNS})")
    print(f"then all operator modules     +{ours:6.3f} s  ratio {ours / sdk:.3f}")
    print("\na process that uploads, gets and deletes a small file, beside one that does nothing:")
    costs = tasks()
    cpu, mib = costs.pop("nothing")
    for name, (its_cpu, its_mib) in costs.items():
        print(f"  {name:8} +{its_cpu - cpu:6.3f} s of CPU  +{its_mib - mib:4.0f} MiB")
    print(f"  the SDK / ours: {(costs['the SDK'][0] - cpu) / (costs['ours'][0] - cpu):.1f} times the CPU")


if __name__ == "__main__":
    main()
