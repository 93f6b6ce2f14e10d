"""The virtual environment of the deployment: a built wheel beside other providers, and not this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / ".cache" / "cluster-venv"
REQUIREMENTS = (
    "apache-airflow",
    "apache-airflow-providers-amazon[s3fs]",
    "apache-airflow-providers-celery",
    "apache-airflow-providers-common-ai",
    "apache-airflow-providers-fab",
    # Older releases can be combined with google-genai 3.x, so an installer might prefer one of them.
    "apache-airflow-providers-google>=22",
    "apache-airflow-providers-postgres",
    "apache-airflow-providers-redis",
    # The Celery provider 3.26 fails with 5.7.
    "celery<5.7",
    "psycopg2-binary",
)
_VERSIONS = """
import sys
from importlib.metadata import version
names = ("apache-airflow", "google-genai", "apache-airflow-providers-celery", "celery")
print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in names))
"""


def install() -> Path:
    """Install the package and what it runs beside, unless that is installed; return the environment's Python."""
    python = ENVIRONMENT / "bin" / "python"
    made = ENVIRONMENT / "made"
    wanted = "\n".join(REQUIREMENTS)
    with tempfile.TemporaryDirectory(prefix="gemini-files-wheel-") as folder:
        _uv("build", "--wheel", "--out-dir", folder)
        [wheel] = Path(folder).glob("*.whl")
        if not made.exists() or made.read_text() != wanted:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(ENVIRONMENT))
            _uv("pip", "install", "--python", str(python), str(wheel), *REQUIREMENTS)
            made.write_text(wanted)
        else:
            # The version stays the same while the package changes.
            _uv("pip", "install", "--python", str(python), "--reinstall", "--no-deps", str(wheel))
    return python


def versions(python: Path) -> str:
    """Return the versions that are installed, as text."""
    return subprocess.run([python, "-c", _VERSIONS], check=True, capture_output=True, text=True).stdout.strip()


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True, cwd=ROOT)
