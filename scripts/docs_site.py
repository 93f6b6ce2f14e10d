"""Hooks of MkDocs: add the pages that are not in docs/, and let links lead to the pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference import Reference
from template_page import TEMPLATE, anchor_of, template_page
from troubleshooting import with_messages

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
#: The page of docs/ that is completed from the code.
TROUBLESHOOTING = "troubleshooting.md"
REFERENCE = "reference"
#: A code block, a heading, a link or an image; or a name in code.
_NAME = re.compile(r"^```.*?^```|^#[^\n]*|!?\[[^\]]*\]\([^)]*\)|`(\w+)`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def site_path(path: str) -> str | None:
    """
    Return where a file of the repository is on the site, with an anchor if it is a part of a page.

    :param path: relative to the repository.
    """
    if path in OUTSIDE:
        return OUTSIDE[path]
    folder, _, rest = path.partition("/")
    if path == "docs/testing" or path.startswith("docs/testing/"):
        file = path.removeprefix("docs/testing").removeprefix("/")
        return TEMPLATE if file in {"", "README.md"} else f"{TEMPLATE}#{anchor_of(file)}"
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


def with_names_linked(text: str, page: str, addresses: Mapping[str, str]) -> str:
    """
    Return a page whose names of classes and functions lead to the reference.

    :param page: the page's path on the site.
    :param addresses: page and anchor of each name, within the reference.
    """

    def lead(found: re.Match[str]) -> str:
        address = addresses.get(found[1] or "")
        if address is None:
            return found[0]
        return f"[{found[0]}]({posixpath.relpath(f'{REFERENCE}/{address}', posixpath.dirname(page) or '.')})"

    return _NAME.sub(lead, text)


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


@cache
def _reference() -> Reference:
    return Reference((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))


def generated(reference: Reference) -> dict[str, str]:
    """Return the pages that no file of docs/ is, by their path on the site."""
    pages = {
        page: with_site_links((ROOT / path).read_text(encoding="utf-8"), path, page) for path, page in OUTSIDE.items()
    }
    pages |= {f"{REFERENCE}/{name}": text for name, text in reference.pages().items()}
    return pages | {
        EXAMPLES: examples_page(ROOT / "example_dags"),
        TEMPLATE: template_page(ROOT / "docs" / "testing"),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    from mkdocs.structure.files import File

    for path, content in generated(_reference()).items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links and names lead to pages of the site."""
    path = page.file.src_uri
    if path.startswith(f"{REFERENCE}/"):
        return markdown
    if path == TROUBLESHOOTING:
        markdown = with_messages(markdown, _reference(), REFERENCE)
    # Generated pages have links of the site.
    if page.file.generated_by is None:
        markdown = with_site_links(markdown, f"docs/{path}", path)
    return with_names_linked(markdown, path, _reference().addresses)
