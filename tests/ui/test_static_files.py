from __future__ import annotations

import os
import re

from airflow_provider_gemini_files.ui import static_files
from airflow_provider_gemini_files.ui.static_files import StaticFiles


def test_browser_keeps_the_files_but_not_the_page(page_of):
    page = page_of("viewer")
    html = page.get("/")
    linked = re.findall(r'(?:src|href)="(static/[^"]+)"', html.text)

    assert html.headers["cache-control"] == "no-cache"
    for path in linked:
        file = page.get(path)
        assert (path, file.status_code) == (path, 200)
        assert "immutable" in file.headers["cache-control"]
    assert page.get(linked[-1]).headers["content-type"].startswith("text/javascript")


def test_file_of_another_version_is_not_kept(page_of):
    page = page_of("viewer")
    # Such as the icons in Airflow's menu, and while API servers of two versions run during an upgrade.
    for path in ("/static/icon.svg", "/static/0123456789abcdef/page.js"):
        assert page.get(path).headers["cache-control"] == "no-cache"
    assert page.get("/static/0123456789abcdef/unknown.js").status_code == 404


def test_all_modules_are_loaded_at_once():
    files = StaticFiles.now()
    imported, pending = set(), {"page.js"}
    while pending:
        imported.add(name := pending.pop())
        pending |= set(re.findall(r' from "\./(.+)";$', files.contents[name].decode(), re.M)) - imported

    preloaded = re.findall(rf'modulepreload" href="static/{files.version}/(.+?)"', files.main_page())
    assert set(preloaded) == imported


def test_edited_file_has_a_new_address(tmp_path, monkeypatch):
    file = tmp_path / "page.js"
    file.write_text("1")
    monkeypatch.setattr(static_files, "_PATHS", [file])
    before = StaticFiles.now()
    assert StaticFiles.now() is before

    file.write_text("2")
    os.utime(file, ns=(1, 1))

    after = StaticFiles.now()
    assert after.contents == {"page.js": b"2"}
    assert after.version != before.version
