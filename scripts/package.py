"""
``make package``: build wheel and sdist, and install them as users do; ``ARGS=--short`` leaves out the slower ways.

Alone, from git, and with the extras for object storage, each and all together, by uv and by pip. The extra ``gcs`` also
shows that the package installs beside the Google provider, which restricts google-genai. The emulator is installed
without Airflow. ``--out FOLDER`` keeps what was built and checked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "airflow-provider-gemini-files"
#: The schemes that each extra for object storage adds to Airflow.
SCHEMES = {"gcs": ("gs", "gcs"), "s3": ("s3",), "azure": ("abfs", "adl")}
IMPORTS = (
    "import airflow_provider_gemini_files.operators.files, airflow_provider_gemini_files.operators.content, "
    "airflow_provider_gemini_files.sensors.files, airflow_provider_gemini_files.hooks.sdk, "
    "airflow_provider_gemini_files.hooks.rest, "
    # Also reads its folder of static files.
    "airflow_provider_gemini_files.emulator.server, airflow_provider_gemini_files.ui.app"
)
#: Runs the emulator where there is no Airflow, by its fixture, and asks for an answer that follows a schema.
EMULATOR_TEST = """
import importlib.util, json, urllib.request

def test_the_emulator_answers_without_airflow(gemini_emulator):
    assert importlib.util.find_spec("airflow") is None
    schema = {"responseMimeType": "application/json", "responseSchema": {"type": "INTEGER"}}
    body = {"contents": [{"parts": [{"text": "How many?"}]}], "generationConfig": schema}
    url = f"{gemini_emulator.base_url}/v1beta/models/gemini-3.8-flash:generateContent"
    headers = {"x-goog-api-key": "any", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as response:
        [candidate] = json.load(response)["candidates"]
    assert isinstance(json.loads(candidate["content"]["parts"][0]["text"]), int)
"""
VERSIONS = (
    "from importlib.metadata import version as v; "
    "print('google-genai', v('google-genai'), 'apache-airflow', v('apache-airflow'))"
)


def uv(*arguments: str | Path, stdin: str | None = None) -> str:
    """Run uv of this environment; return what it prints."""
    command = [sys.executable, "-m", "uv", *arguments, "--quiet"]
    return subprocess.run(command, check=True, cwd=ROOT, input=stdin, stdout=subprocess.PIPE, text=True).stdout


class Installation:
    """One way to install the package: an empty environment, what is installed into it, and the checks."""

    def __init__(self, folder: Path, name: str, requirements: Iterable[str], extras: Iterable[str] = ()) -> None:
        self.name = name
        self.requirements = list(requirements)
        self.extras = list(extras)
        self.python = folder / name / "bin" / "python"
        self.env = {**os.environ, "AIRFLOW_HOME": str(folder / f"{name}-home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        self._constraints = folder / f"{name}-constraints.txt"

    def install(self, installer: str) -> None:
        """
        Install with ``"uv"`` or ``"pip"``.

        pip is given the versions that uv resolves as constraints, as Airflow has its users do with its own constraints:
        left alone, pip tries versions of Airflow's dependencies for longer than any job may take.
        """
        environment = self.python.parent.parent
        if installer == "uv":
            uv("venv", "--python", sys.executable, environment)
            uv("pip", "install", "--python", self.python, *self.requirements)
            return
        uv("venv", "--seed", "--python", sys.executable, environment)
        resolved = uv("pip", "compile", "--no-annotate", "--no-header", "-", stdin="\n".join(self.requirements))
        self._constraints.write_text("\n".join(line for line in resolved.splitlines() if "==" in line))
        pip = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--constraint", self._constraints)
        subprocess.run([self.python, *pip, *self.requirements], check=True, cwd=ROOT)
        subprocess.run([self.python, "-m", "pip", "check"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    def check(self) -> None:
        """Exit unless Airflow starts and lists the provider, and its modules and the extras' file systems import."""
        self._run("-m", "airflow", "version")
        if NAME not in self._run("-m", "airflow", "providers", "list"):
            sys.exit(f"{self.name}: Airflow does not list the provider")
        self._run("-c", IMPORTS)
        for extra in self.extras:
            for scheme in SCHEMES.get(extra, ()):
                self._run("-c", f"from airflow.sdk.io import has_fs; assert has_fs({scheme!r}), {scheme!r}")
        print(f"  {self.name}: {self._run('-c', VERSIONS).strip()}", flush=True)

    def _run(self, *arguments: str) -> str:
        run = subprocess.run([self.python, *arguments], env=self.env, capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(f"{self.name}: {' '.join(arguments)} failed:\n{run.stdout}{run.stderr}")
        return run.stdout


def declared_extras() -> dict[str, list[str]]:
    """Return the requirements of each extra of the package; each extra is known to this script."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if set(declared) != {*SCHEMES, "emulator"}:
        sys.exit(f"scripts/package.py checks other extras than pyproject.toml declares: {', '.join(declared)}")
    return declared


def check_emulator(folder: Path, wheel: Path, requirements: Iterable[str]) -> None:
    """Install the emulator as docs/emulator.md and docker/emulator/Dockerfile do, without Airflow, and use it."""
    environment = folder / "emulator-alone"
    python = environment / "bin" / "python"
    uv("venv", "--python", sys.executable, environment)
    uv("pip", "install", "--python", python, *requirements, "pytest")
    uv("pip", "install", "--python", python, "--no-deps", wheel)
    test = folder / "test_emulator_alone.py"
    test.write_text(EMULATOR_TEST)
    # From the scratch folder, so that nothing of this tree is imported.
    run = subprocess.run([python, "-m", "pytest", "-q", test], cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"emulator-alone: the emulator does not work without Airflow:\n{run.stdout}{run.stderr}")
    print("  emulator-alone: works without Airflow", flush=True)


def ways_to_install(wheel: Path, sdist: Path, *, short: bool) -> dict[str, tuple[list[str], list[str]]]:
    """Return the requirements and extras of each way; or only the wheel, alone and with all extras."""
    ways: dict[str, tuple[list[str], list[str]]] = {"wheel-alone": ([str(wheel)], [])}
    stores = list(SCHEMES)
    if not short:
        ways["sdist-alone"] = ([str(sdist)], [])
        # An unpacked sdist is no repository. What is installed is the last commit.
        if (ROOT / ".git").exists():
            ways["git-alone"] = ([f"{NAME} @ git+{ROOT.as_uri()}"], [])
        ways |= {f"extras-{extra}": ([f"{wheel}[{extra}]"], [extra]) for extra in stores}
    ways[f"extras-{'-'.join(stores)}"] = ([f"{wheel}[{','.join(stores)}]"], stores)
    return ways


def main(*, short: bool, out: Path | None) -> None:
    """
    Build, and install in each way; the wheel alone only by uv.

    :param short: whether to leave out the slower ways.
    :param out: a folder for what was built, once all checks have passed.
    """
    extras = declared_extras()
    with tempfile.TemporaryDirectory(prefix="gemini-files-package-") as scratch:
        folder = Path(scratch)
        uv("build", "--out-dir", folder / "dist")
        [wheel], [sdist] = ([*(folder / "dist").glob(pattern)] for pattern in ("*.whl", "*.tar.gz"))
        print(f"Built {wheel.name} ({wheel.stat().st_size} bytes), {sdist.name} ({sdist.stat().st_size} bytes)")
        check_emulator(folder, wheel, extras["emulator"])
        for name, (requirements, some) in ways_to_install(wheel, sdist, short=short).items():
            for installer in ("uv", "pip") if some and not short else ("uv",):
                installation = Installation(folder, f"{name}-{installer}", requirements, some)
                installation.install(installer)
                installation.check()
        if out:
            out.mkdir(parents=True, exist_ok=True)
            for built in (wheel, sdist):
                shutil.copy(built, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="leave out the slower ways")
    parser.add_argument("--out", type=Path, help="a folder for what was built")
    arguments = parser.parse_args()
    main(short=arguments.short, out=arguments.out)
