"""
``make package``: build wheel and sdist, and install them as users do; ``ARGS=--short`` leaves out the slower ways.

Alone, and with the extras for object storage, each and all together, by uv and by pip. The extra ``gcs`` also shows
that the package installs beside the Google provider, which restricts google-genai.
"""

from __future__ import annotations

import os
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


def extras() -> list[str]:
    """Return the package's extras for object storage; each is known to this script."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if set(declared) != {*SCHEMES, "emulator"}:
        sys.exit(f"scripts/package.py checks other extras than pyproject.toml declares: {', '.join(declared)}")
    return list(SCHEMES)


def main(*, short: bool) -> None:
    """Build, then install in each way; or only the wheel, alone and with all extras, by uv."""
    with tempfile.TemporaryDirectory(prefix="gemini-files-package-") as scratch:
        folder = Path(scratch)
        uv("build", "--out-dir", folder / "dist")
        [wheel], [sdist] = ([*(folder / "dist").glob(pattern)] for pattern in ("*.whl", "*.tar.gz"))
        print(f"Built {wheel.name} ({wheel.stat().st_size} bytes), {sdist.name} ({sdist.stat().st_size} bytes)")
        ways: dict[str, tuple[list[str], list[str]]] = {
            "wheel-alone": ([str(wheel)], []),
            "sdist-alone": ([str(sdist)], []),
        }
        if short:
            del ways["sdist-alone"]
        for some in [*([extra] for extra in extras() if not short), extras()]:
            ways[f"extras-{'-'.join(some)}"] = ([f"{wheel}[{','.join(some)}]"], some)
        for name, (requirements, some) in ways.items():
            for installer in ("uv", "pip") if some and not short else ("uv",):
                installation = Installation(folder, f"{name}-{installer}", requirements, some)
                installation.install(installer)
                installation.check()


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
