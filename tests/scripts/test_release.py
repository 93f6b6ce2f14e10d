"""A tag is released only if it is that of the version, and the changelog has a section for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from release import UNRELEASED, ReleaseError, release_notes, sections_of, version_of

from airflow_provider_gemini_files import __version__

ROOT = Path(__file__).parent.parent.parent
CHANGELOG = """# Changelog

Intro.

## Unreleased

## 1.2.0 - 2026-11-30

### Added

- Batches.

## 1.1.0 - 2026-01-31

- Files.
"""


def test_notes_are_the_section_of_the_version():
    assert release_notes("v1.2.0", "1.2.0", CHANGELOG) == "### Added\n\n- Batches."


@pytest.mark.parametrize(
    ("tag", "old", "new", "problem"),
    [
        ("1.2.0", "", "", r"tag is '1\.2\.0'.*expected 'v1\.2\.0'"),
        ("v1.1.0", "", "", r"version of the package is '1\.2\.0'"),
        ("v1.2.0", "## Unreleased\n", "## Unreleased\n\n- More.\n", "empty section '## Unreleased'"),
        ("v1.2.0", "## Unreleased\n", "", "empty section '## Unreleased'"),
        ("v1.2.0", "## 1.2.0 - 2026-11-30\n", "## 1.3.0 - 2026-11-30\n", r"Expected '## 1\.2\.0 - <day>'"),
        ("v1.2.0", " - 2026-11-30", "", r"Expected '## 1\.2\.0 - <day>'"),
        ("v1.2.0", "2026-11-30", "soon", r"'## 1\.2\.0 - soon' in CHANGELOG\.md has no day"),
        ("v1.2.0", "### Added\n\n- Batches.\n", "", r"'## 1\.2\.0 - 2026-11-30' of CHANGELOG\.md is empty"),
    ],
)
def test_reason_not_to_release_is_named(tag, old, new, problem):
    assert old in CHANGELOG
    with pytest.raises(ReleaseError, match=problem):
        release_notes(tag, "1.2.0", CHANGELOG.replace(old, new, 1))


def test_version_that_cannot_be_read_is_an_error():
    with pytest.raises(ReleaseError, match="__version__"):
        version_of("")


def test_script_knows_this_tree():
    version = version_of((ROOT / "airflow_provider_gemini_files" / "__init__.py").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    sections = sections_of(changelog)
    [first, *released] = sections

    assert version == __version__
    assert first == UNRELEASED
    assert [heading for heading in released if not re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading)] == []
    if changes := sections[UNRELEASED]:
        # As CONTRIBUTING.md says how a release is cut.
        changelog = changelog.replace(f"## {UNRELEASED}\n", f"## {UNRELEASED}\n\n## {version} - 2100-01-31\n", 1)
    assert release_notes(f"v{version}", version, changelog) == (changes or sections[released[0]])


def test_script_refuses_the_tag_of_another_version():
    command = [sys.executable, str(ROOT / "scripts" / "release.py"), "v0.0.0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("No release: The tag is 'v0.0.0', but the version of the package is ")
