"""
Check that a tag may be released, and print what the changelog says about it: ``python scripts/release.py v0.1.0``.

The tag is that of the package's version, the newest section of CHANGELOG.md is that of the version and names a day, and
"Unreleased" is empty. ``.github/workflows/release.yml`` publishes nothing otherwise.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)
UNRELEASED = "Unreleased"


class ReleaseError(Exception):
    """Why a tag may not be released."""


def version_of(package: str) -> str:
    """
    Return the version of the package.

    :param package: the source of its ``__init__.py``.
    """
    found = _VERSION.search(package)
    if found is None:
        raise ReleaseError('airflow_provider_gemini_files/__init__.py has no line __version__ = "...".')
    return found[1]


def sections_of(changelog: str) -> dict[str, str]:
    """Return what stands below each heading of the changelog, in its order."""
    _, *parts = _HEADING.split(changelog)
    return {heading.strip(): text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def release_notes(tag: str, version: str, changelog: str) -> str:
    """
    Return what the changelog says about a release.

    :param tag: the tag in git.
    :param version: the version of the package.
    :raises ReleaseError: if the tag is that of another version, or the changelog is not ready for it.
    """
    if tag != f"v{version}":
        raise ReleaseError(f"The tag is {tag!r}, but the version of the package is {version!r}: expected 'v{version}'.")
    sections = sections_of(changelog)
    if sections.get(UNRELEASED) != "":
        raise ReleaseError(f"Expected an empty section '## {UNRELEASED}' in CHANGELOG.md: a release has all changes.")
    heading = next((heading for heading in sections if heading != UNRELEASED), "")
    if not heading.startswith(f"{version} - "):
        raise ReleaseError(f"Expected '## {version} - <day>' below '## {UNRELEASED}' in CHANGELOG.md.")
    try:
        date.fromisoformat(heading.removeprefix(f"{version} - "))
    except ValueError:
        raise ReleaseError(f"'## {heading}' in CHANGELOG.md has no day like 2026-01-31.") from None
    if not sections[heading]:
        raise ReleaseError(f"The section '## {heading}' of CHANGELOG.md is empty.")
    return sections[heading]


def main(tag: str) -> None:
    """Print the notes of a release, or exit with the reason why there is none."""
    version = version_of((ROOT / "airflow_provider_gemini_files" / "__init__.py").read_text(encoding="utf-8"))
    try:
        print(release_notes(tag, version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    except ReleaseError as error:
        sys.exit(f"No release: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/release.py <tag>")
    main(sys.argv[1])
