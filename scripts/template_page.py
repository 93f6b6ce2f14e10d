"""The page of the project in docs/testing: its README, and each of its files."""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATE = "testing_template.md"
_LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml"}


def anchor_of(path: str) -> str:
    """Return the anchor of a file on the page, as the site makes it from the heading."""
    return re.sub(r"[^\w-]", "", path.lower())


def template_page(folder: Path) -> str:
    """Return the page; the files are shown in the order in which the README lists them."""
    readme = (folder / "README.md").read_text(encoding="utf-8")
    parts = [readme.rstrip()]
    for path in re.findall(r"^\| `(.+?)` \|", readme, re.MULTILINE):
        file = folder / path
        source = file.read_text(encoding="utf-8")
        parts.append(f"## `{path}`\n\n```{_LANGUAGES[file.suffix]}\n{source}```")
    return "\n\n".join(parts) + "\n"
