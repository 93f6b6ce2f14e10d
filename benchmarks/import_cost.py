"""
What this provider adds to a process of Airflow: by importing its operators, and by one small task.

The baseline is a task process before it knows this provider: Airflow's task runner and ``airflow.sdk`` are imported,
and nothing else. Whatever is loaded on top counts as ours, even if another provider would load it as well. That
includes Airflow's lineage collector. Its first use reads the metadata of all installed providers, so it costs more the
more of them there are: run this in an environment with a large provider. The output names those that are installed.
"""

from __future__ import annotations

import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import airflow_provider_gemini_files
from airflow_provider_gemini_files.emulator import GeminiEmulator

RUNS = 5
MODULES = (
    "airflow_provider_gemini_files.operators.files",
    "airflow_provider_gemini_files.operators.content",
    "airflow_provider_gemini_files.sensors.files",
    "airflow_provider_gemini_files.triggers.files",
)
#: Installs many hundred modules and much metadata; one of them is enough for a fair environment.
LARGE_PROVIDERS = {
    "apache-airflow-providers-google",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-microsoft-azure",
}
_BASELINE = """
import airflow.sdk.execution_time.task_runner
from airflow.sdk import DAG, BaseHook, BaseOperator
"""
_IMPORT = f"""
import json, sys, time
start = time.process_time()
{_BASELINE}
baseline, before = time.process_time() - start, set(sys.modules)
start = time.process_time()
import {", ".join(MODULES)}
ours, added = time.process_time() - start, set(sys.modules) - before
foreign = [name for name in added if name.split(".")[0] != "airflow_provider_gemini_files"]
print(json.dumps({{"baseline": baseline, "ours": ours, "modules": len(added), "foreign": len(foreign)}}))
"""
#: A statement of a Dag file, in a process that has imported what the file imports.
_PARSE = f"""
import json, sys, time
{_BASELINE}
from airflow.sdk import Asset
from airflow_provider_gemini_files.dags.cleanup import build_cleanup_dag
start, before = time.process_time(), len(sys.modules)
exec(sys.argv[1])
print(json.dumps({{"cpu": time.process_time() - start, "modules": len(sys.modules) - before}}))
"""
_STATEMENTS = ("build_cleanup_dag()", 'Asset("gemini-files://gemini_default")')
#: The life of one small file.
_OURS = """
import sys
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
hook = GeminiFilesHook()
file = hook.upload_file(sys.argv[1])
hook.get_file(file)
hook.delete_file(file)
"""
_SDK = """
import sys
from google import genai
conn = BaseHook.get_connection("gemini_default")
client = genai.Client(api_key=conn.password, http_options={"base_url": conn.host})
file = client.files.upload(file=sys.argv[1])
client.files.get(name=file.name)
client.files.delete(name=file.name)
"""
_LINEAGE = """
from airflow.providers.common.compat.sdk import get_hook_lineage_collector
get_hook_lineage_collector()
"""
_SCRIPTS = {
    "nothing": "",
    "ours": _OURS,
    "lineage collector": _LINEAGE,
    "SDK": _SDK,
    "SDK, with lineage": _LINEAGE + _SDK,
}


def medians(script: str, *arguments: str) -> dict[str, float]:
    """Run a script in fresh processes; return the medians of what it prints: seconds of CPU, and numbers of modules."""
    runs = []
    for _ in range(RUNS):
        run = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
        runs.append(json.loads(run.stdout.splitlines()[-1]))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def cost(script: str, path: Path) -> tuple[float, float]:
    """Run a script after the baseline in a fresh process; return its seconds of CPU, and MiB at its peak."""
    process = subprocess.Popen([sys.executable, "-c", _BASELINE + script, str(path)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError("the script failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def tasks() -> dict[str, tuple[float, float]]:
    """Return the median cost of each script."""
    with GeminiEmulator() as emulator, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "note.txt"
        path.write_text("some words")
        fields = {"conn_type": "gemini", "host": emulator.base_url, "password": "any-key"}
        os.environ |= {"AIRFLOW_CONN_GEMINI_DEFAULT": json.dumps(fields), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        for script in _SCRIPTS.values():
            cost(script, path)  # writes the bytecode of every module that it imports
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in _SCRIPTS}
        # Alternate, so that other load on the machine affects all scripts alike.
        for _ in range(RUNS):
            for name, script in _SCRIPTS.items():
                costs[name].append(cost(script, path))
    return {
        name: (statistics.median(cpu for cpu, _ in runs), statistics.median(mib for _, mib in runs))
        for name, runs in costs.items()
    }


def main() -> None:
    """Print the medians."""
    compileall.compile_dir(Path(airflow_provider_gemini_files.__file__).parent, quiet=1)
    providers = {
        name for found in distributions() if (name := found.metadata["Name"]).startswith("apache-airflow-providers-")
    }
    large = sorted(providers & LARGE_PROVIDERS)
    print(
        f"{len(providers)} other providers are installed; large ones: {', '.join(large) or 'none, so lineage is cheap'}"
    )

    costs = tasks()
    imported = medians(_IMPORT)
    print(f"\nCPU of imports (median of {RUNS}, compiled bytecode):")
    print(f"  a task process without this provider   {imported['baseline']:6.3f} s")
    print(
        f"  + operators, sensor and trigger        {imported['ours']:6.3f} s  ratio "
        f"{imported['ours'] / imported['baseline']:.3f}, {imported['modules']:.0f} modules, "
        f"{imported['foreign']:.0f} of them not ours"
    )

    print("\nParsing one statement of a Dag file:")
    for statement in _STATEMENTS:
        parsed = medians(_PARSE, statement)
        print(f"  {statement:39}{parsed['cpu']:6.3f} s, {parsed['modules']:.0f} modules")

    print("\nA task process that uploads, gets and deletes a small file, beyond one that does nothing:")
    cpu, mib = costs.pop("nothing")
    for name, (its_cpu, its_mib) in costs.items():
        print(f"  {name:18} +{its_cpu - cpu:6.3f} s of CPU  +{its_mib - mib:4.0f} MiB")
    for name in ("SDK", "SDK, with lineage"):
        print(f"  {name} / ours: {(costs[name][0] - cpu) / (costs['ours'][0] - cpu):.1f} times the CPU")


if __name__ == "__main__":
    main()
