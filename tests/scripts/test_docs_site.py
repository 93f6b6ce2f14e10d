"""The documentation site consists of docs/, other files of the repository, and generated pages."""

from __future__ import annotations

import re
from pathlib import Path

import docs_site
import pytest
from reference import Reference

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("link", "path", "page", "expected"),
    [
        ("docs/ui.md#errors", "README.md", "index.md", "ui.md#errors"),
        ("docs/images/page-light.png", "README.md", "index.md", "images/page-light.png"),
        ("../README.md#install", "docs/api.md", "api.md", "index.md#install"),
        ("../../README.md", "docs/tutorials/a.md", "tutorials/a.md", "../index.md"),
        ("../example_dags/gemini_files_batch.py", "docs/batches.md", "batches.md", "examples.md#gemini_files_batch"),
        ("example_dags", "README.md", "index.md", "examples.md"),
        ("testing/README.md", "docs/testing.md", "testing.md", "testing_template.md"),
        ("testing/dags/a_b.py", "docs/testing.md", "testing.md", "testing_template.md#dagsa_bpy"),
        ("storage.md", "docs/ui.md", "ui.md", "storage.md"),
        ("https://example.com/a", "docs/ui.md", "ui.md", "https://example.com/a"),
        ("#top", "docs/ui.md", "ui.md", "#top"),
        # The strict build reports it.
        ("Makefile", "README.md", "index.md", "Makefile"),
    ],
)
def test_link_leads_to_a_page_of_the_site(link, path, page, expected):
    assert docs_site.with_site_links(f"See [here]({link}).", path, page) == f"See [here]({expected})."


def test_each_page_outside_of_docs_exists():
    assert [path for path in docs_site.OUTSIDE if not (ROOT / path).is_file()] == []


def test_examples_are_shown_with_docstring_and_source(tmp_path):
    (tmp_path / "one.py").write_text('"""\n### Title\n\nWhat it does.\n"""\n\nimport json\n')

    page = docs_site.examples_page(tmp_path)

    assert page.endswith("## one\n\nWhat it does.\n\n```python\nimport json\n```\n")


def test_example_without_docstring_is_refused(tmp_path):
    (tmp_path / "one.py").write_text("import json\n")

    with pytest.raises(ValueError, match=r"one\.py has no docstring"):
        docs_site.examples_page(tmp_path)


def test_template_is_shown_with_each_file_that_its_readme_lists(tmp_path):
    (tmp_path / "README.md").write_text("# Title\n\n| file | |\n|---|---|\n| `dags/one.py` | a Dag |\n")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text("import json\n")

    page = docs_site.template_page(tmp_path)

    assert page.endswith("| a Dag |\n\n## `dags/one.py`\n\n```python\nimport json\n```\n")


def test_name_in_code_leads_to_the_reference():
    text = "# `Thing`\n\nA `Thing`, [`Thing`](x.md), `other`.\n\n```python\n# `Thing`\n```\n"

    linked = docs_site.with_names_linked(text, "tutorials/a.md", {"Thing": "objects.md#thing"})

    assert linked == text.replace("A `Thing`", "A [`Thing`](../reference/objects.md#thing)")


def test_each_page_is_in_the_navigation():
    navigation = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text()))
    reference = Reference((ROOT / "docs" / "api.md").read_text())

    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    # Shown by a generated page.
    pages.remove("testing/README.md")

    assert navigation == pages | docs_site.generated(reference).keys()
