"""``make package``: build wheel and sdist, and install them as users do: alone, and beside the Google provider."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "airflow-provider-gemini-files"
IMPORTS = (
    "import airflow_provider_gemini_files.operators.files, airflow_provider_gemini_files.operators.content, "
    "airflow_provider_gemini_files.sensors.files, airflow_provider_gemini_files.hooks.sdk, "
    "airflow_provider_gemini_files.hooks.rest, "
    # Reads its folder of static files, too.
    "airflow_provider_gemini_files.emulator.server, airflow_provider_gemini_files.ui.app"
)
VERSIONS = (
    "from importlib.metadata import version as v; "
    "print('google-genai', v('google-genai'), 'apache-airflow', v('apache-airflow'))"
)


def uv(*arguments: str) -> None:
    """Run uv of this environment."""
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True, cwd=ROOT)


def install(name: str, folder: Path, *requirements: str) -> None:
    """Install into an empty environment; check that Airflow lists the provider and that its modules import."""
    python = folder / name / "bin" / "python"
    uv("venv", "--python", sys.executable, str(folder / name))
    uv("pip", "install", "--python", str(python), *requirements)
    env = {**os.environ, "AIRFLOW_HOME": str(folder / f"{name}-home")}
    told = subprocess.run(
        [python, "-m", "airflow", "providers", "get", NAME], env=env, check=True, capture_output=True, text=True
    ).stdout
    if NAME not in told:
        sys.exit(f"{name}: Airflow does not know the provider:\n{told}")
    subprocess.run([python, "-c", IMPORTS], env=env, check=True)
    versions = subprocess.run([python, "-c", VERSIONS], check=True, capture_output=True, text=True).stdout
    print(f"  {name}: {versions.strip()}", flush=True)


def main() -> None:
    """Build, then install in each way."""
    with tempfile.TemporaryDirectory(prefix="gemini-files-package-") as scratch:
        folder = Path(scratch)
        uv("build", "--out-dir", str(folder / "dist"))
        [wheel], [sdist] = ([*(folder / "dist").glob(pattern)] for pattern in ("*.whl", "*.tar.gz"))
        print(f"Built {wheel.name} ({wheel.stat().st_size} bytes), {sdist.name} ({sdist.stat().st_size} bytes)")
        install("wheel-alone", folder, str(wheel))
        install("sdist-alone", folder, str(sdist))
        install("wheel-beside-google", folder, str(wheel), "apache-airflow-providers-google>=22")


if __name__ == "__main__":
    main()
