"""Hooks of MkDocs: add the pages that are not in docs/, and let links lead to the pages of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: Pages of the site that are files of the repository outside of docs/.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
EXAMPLES = "examples.md"
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def site_path(path: str) -> str | None:
    """
    Return where a file of the repository is on the site, with an anchor if it is a part of a page.

    :param path: relative to the repository.
    """
    if path in OUTSIDE:
        return OUTSIDE[path]
    folder, _, rest = path.partition("/")
    if folder == "docs":
        return rest
    if folder == "example_dags":
        return f"{EXAMPLES}#{Path(rest).stem}" if rest else EXAMPLES
    return None


def with_site_links(text: str, path: str, page: str) -> str:
    """
    Return a page whose links to files of the repository lead to pages of the site.

    :param path: the page's file, relative to the repository.
    :param page: the page's path on the site.
    """

    def lead(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        found = site_path(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        if found is None:
            return link[0]
        found, _, part = found.partition("#")
        anchor = f"#{part}" if part else anchor
        return f"]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(lead, text)


def examples_page(folder: Path) -> str:
    """Return the page of the example Dags: what each of them says about itself, and its source."""
    parts = ["# Example Dags\n\nThese Dags are in `example_dags/` of the repository. `make up` runs them.\n"]
    for path in sorted(folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        docstring = re.match(r'"""\n?(.*?)"""\n*', source, re.DOTALL)
        if docstring is None:
            raise ValueError(f"{path} has no docstring")
        # The page has headings of its own.
        text = re.sub(r"^#+ .*\n+", "", docstring[1])
        parts.append(f"## {path.stem}\n\n{text}\n```python\n{source[docstring.end() :]}```\n")
    return "\n".join(parts)


def generated() -> dict[str, str]:
    """Return the pages that no file of docs/ is, by their path on the site."""
    pages = {
        page: with_site_links((ROOT / path).read_text(encoding="utf-8"), path, page) for path, page in OUTSIDE.items()
    }
    return pages | {EXAMPLES: examples_page(ROOT / "example_dags")}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    from mkdocs.structure.files import File

    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links lead to pages of the site."""
    return with_site_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
