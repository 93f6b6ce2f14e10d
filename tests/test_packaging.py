"""The metadata of the package and of the emulator's image."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.emulator.__main__ import read_options

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCKERFILE = (ROOT / "docker" / "emulator" / "Dockerfile").read_text().replace("\\\n", "")


def names_of(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=]", requirement)[0] for requirement in requirements]


def test_classifiers_name_the_versions_of_python_that_are_tested():
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    named = [found[1] for text in PROJECT["classifiers"] if (found := re.fullmatch(r".* :: Python :: (\d\.\d+)", text))]

    matrix = ci["jobs"]["matrix"]

    # Versions that may fail are not claimed to be supported.
    assert named == [one for one in matrix["strategy"]["matrix"]["python"] if one not in matrix["continue-on-error"]]
    assert f"| Python | {named[0]} | {named[-1]} |" in (ROOT / "docs" / "compatibility.md").read_text()
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_each_extra_that_is_named_exists():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "docs" / "testing" / "pyproject.toml"]
    modules = [*(ROOT / "airflow_provider_gemini_files").rglob("*.py")]
    texts = "\n".join(path.read_text() for path in (*pages, *modules))
    required = re.findall(r"airflow-provider-gemini-files\[([\w,]+)\]", texts)
    # As errors name them.
    told = re.findall(r"the extra ([\w, ]+) (?:of this package|installs)", texts)

    assert {name for names in (*required, *told) for name in re.split(", | or |,", names)} == set(EXTRAS)


def test_page_of_the_emulator_names_all_that_it_needs_without_airflow():
    [line] = re.findall(
        r"^pip install (.+)\npip install --no-deps ", (ROOT / "docs/emulator.md").read_text(), re.MULTILINE
    )

    assert line.split() == names_of(EXTRAS["emulator"])


def test_image_installs_what_the_extra_names():
    [script] = re.findall(r'^RUN python -c "(.*)" > /wheels/requirements\.txt$', DOCKERFILE, re.MULTILINE)
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout.splitlines() == EXTRAS["emulator"]
    assert "--requirement /wheels/requirements.txt" in DOCKERFILE
    assert "pip install --no-cache-dir --no-deps /wheels/*.whl" in DOCKERFILE


def test_image_copies_what_exists():
    copied = [source for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()]

    assert [source for source in copied if not (ROOT / source).exists()] == []
    # What the build of the wheel reads.
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "airflow_provider_gemini_files"} == set(
        copied
    )


def test_image_listens_on_the_port_that_it_exposes_without_rights():
    variables = dict(re.findall(r"(GEMINI_\w+)=(\S+)", DOCKERFILE))
    [port] = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    options = read_options([], variables)

    assert (options["host"], options["port"], options["allow_remote"]) == ("0.0.0.0", int(port), True)
    assert "\nUSER nobody\n" in DOCKERFILE
    [command] = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(command) == ["python", "-m", "airflow_provider_gemini_files.emulator"]


def test_image_is_healthy_while_the_emulator_answers(monkeypatch):
    [check] = re.findall(r"^HEALTHCHECK .*? CMD (.+)$", DOCKERFILE, re.MULTILINE)
    command = [sys.executable, *json.loads(check)[1:]]
    # As in the image, where it is not a loopback address.
    monkeypatch.setenv("GEMINI_EMULATOR_HOST", "0.0.0.0")

    with GeminiEmulator(host="0.0.0.0", allow_remote=True) as emulator:
        monkeypatch.setenv("GEMINI_EMULATOR_PORT", emulator.base_url.rpartition(":")[2])
        assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 1
