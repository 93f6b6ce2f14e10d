"""The page "Gemini Files" in a real browser, served by real Airflow to users with different permissions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import browser
import httpx
import pytest
from in_airflow.page import Page, Store
from local_airflow import LocalAirflow
from processes import free_port
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from support import until

from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.usage_history import Deleted, History, Sample
from airflow_provider_gemini_files.usage_history import PREFIX

pytestmark = pytest.mark.airflow

CACHE = Path(__file__).parent.parent.parent / ".cache" / "axe"
SCRIPT = "<script>document.title='taken over'</script><img src=x onerror=alert(1)>"
OWNER = Owner("many_waits", "manual__1", "wait", 3)


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    if lacking := browser.missing():
        reason = (
            f"{', '.join(lacking)} not installed: THE PAGE IS NOT TESTED (apt-get install chromium chromium-driver)"
        )
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(reason)
    with browser.chromium() as running:
        yield running


@pytest.fixture
def page(driver: Chrome, airflow: LocalAirflow) -> Page:
    """Return the page in a browser, logged in as admin."""
    page = Page(driver, airflow)
    page.login("admin")
    return page


@pytest.fixture
def store(airflow: LocalAirflow, service: GeminiEmulator, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Return an empty project for this test."""
    store = Store(airflow, service, re.sub(r"\W", "_", request.node.name))
    yield store
    airflow.api("DELETE", f"/connections/{store.conn_id}")


@pytest.fixture
def three(deployment: str) -> list[dict]:
    """Return the seeds of a new file of a run that does not exist, of one of another tool, and of a shared one."""
    alpha = display_name_for("alpha.mp4", replace(OWNER, deployment=deployment))
    gamma = display_name_for("=gamma.pdf", None, shared=True, deployment=deployment)
    return [
        {"name": "files/alpha", "display_name": alpha, "mime_type": "video/mp4", "size": 3 << 30, "age": 60},
        {"name": "files/beta", "display_name": SCRIPT, "mime_type": "text/csv", "size": 5 << 20, "age": 47.5 * 3600},
        {"name": "files/gamma", "display_name": gamma, "size": 9, "age": 7200, "failed": True},
    ]


def test_viewer_can_sort_filter_and_search_files(page: Page, store: Store, three: list[dict]):
    store.seed(*three)
    page.login("viewer")
    page.open(store.conn_id)
    page.one("#files tbody tr")

    # Newest first.
    assert page.files() == ["files/alpha", "files/gamma", "files/beta"]
    [alpha, gamma, beta] = [row.text for row in page.all("#files tbody tr")]
    assert "alpha.mp4" in alpha
    assert "many_waits \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} wait [3]" in alpha
    assert "Not found" in alpha
    assert "3.0 GiB" in alpha
    assert "FAILED\nThe file could not be processed." in gamma
    assert "Shared by all runs" in gamma
    # A display name is text, even if it looks like markup.
    assert SCRIPT in beta
    assert page.driver.title == "Gemini Files"
    assert page.all("#files img, #files script") == []
    assert page.one(".meter").get_attribute("aria-valuetext").startswith("3.0 GiB of 20.0 GiB, 15.0%.")

    page.press("Size")
    assert page.files() == ["files/gamma", "files/beta", "files/alpha"]
    page.press("Size")
    assert page.files() == ["files/alpha", "files/beta", "files/gamma"]
    assert page.one("th.size").get_attribute("aria-sort") == "descending"
    # All files were uploaded, so there is no column for their sources.
    assert page.all("#files .source") == []
    page.press("FAILED.*")
    assert page.files() == ["files/gamma"]
    page.press("All.*")
    page.one("input[type=search]").send_keys("MANY_waits alpha")
    assert page.files() == ["files/alpha"]
    # The address keeps the search.
    page.driver.refresh()
    page.until(lambda: page.files() == ["files/alpha"])
    page.one("input[type=search]").send_keys(" nothing")
    assert "No matching files" in page.one("#files .state").text
    assert page.console() == []


def test_files_are_grouped_exported_and_their_names_copied(page: Page, store: Store, three: list[dict]):
    store.seed(*three)
    page.login("viewer")
    page.open(store.conn_id, by="dag")
    page.one("#files tbody tr")

    # The Dag with the most bytes comes first.
    assert page.files() == ["group many_waits", "group (foreign)", "group (shared)"]
    page.one("#files tbody a").click()
    page.until(lambda: page.files() == ["files/alpha"])
    assert "1 matching file " in page.one("#files").text
    page.driver.back()
    page.until(lambda: page.files()[:1] == ["group many_waits"])
    page.open(store.conn_id)
    page.one("#files tbody tr")
    page.press("Copy")
    page.until(lambda: page.buttons("Copied|Selected"))
    exported = page.driver.execute_async_script(
        "const create = URL.createObjectURL, done = arguments[0];"
        "URL.createObjectURL = (blob) => { blob.text().then(done); return create.call(URL, blob); };"
        "[...document.querySelectorAll('#files button')].find(({textContent}) => textContent === 'CSV').click();"
    )
    header, alpha, gamma, beta = csv.reader(io.StringIO(exported))
    assert header[:4] == ["name", "display_name", "owner", "dag_id"]
    assert alpha[:4] == ["files/alpha", "alpha.mp4", "Finished runs", "many_waits"]
    # A spreadsheet would take it for a formula.
    assert gamma[1] == "'=gamma.pdf"
    assert beta[1] == SCRIPT
    assert page.console() == []


def test_groups_have_the_files_that_match_the_filters(page: Page, store: Store, three: list[dict], deployment: str):
    of_another_run = display_name_for("omega.csv", replace(OWNER, run_id="manual__2", deployment=deployment))
    store.seed(
        *three, {"name": "files/omega", "display_name": of_another_run, "mime_type": "text/csv", "size": 1 << 20}
    )
    page.open(store.conn_id, by="dag", state="ACTIVE")
    page.one("#files tbody tr")

    # The shared file has failed.
    sums = [re.search(r"\d.*? \wiB", row.text)[0] for row in page.all("#files tbody tr")]
    assert sums == ["2 3.0 GiB", "1 5.0 MiB"]
    Select(page.one("#files select[aria-label=Type]")).select_by_visible_text("text/*")
    assert page.files() == ["group (foreign)", "group many_waits"]
    assert "many_waits\n1 1.0 MiB" in page.all("#files tbody tr")[1].text
    assert "type=text" in page.driver.current_url
    assert "by=dag" in page.driver.current_url
    # Export and selection are of the files that match, not of all files of the groups.
    assert "Export 2 matching files" in page.one("#files").text
    page.all("#files tbody input")[1].click()
    assert page.one(".selection").text.startswith("1 file selected (1.0 MiB).")
    page.one("#files thead input").click()
    assert page.one(".selection").text.startswith("2 files selected (6.0 MiB).")
    page.until(lambda: page.buttons(r"Delete selected \(2\)"))
    Select(page.one("#files select[aria-label=Type]")).select_by_visible_text("All types")
    boxes = "return [...document.querySelectorAll('#files tbody input')].map((box) => [box.checked, box.indeterminate])"
    assert page.driver.execute_script(boxes) == [[False, True], [True, False]]

    page.driver.refresh()
    page.one("#files tbody tr")
    Select(page.one("#files select[aria-label=Age]")).select_by_visible_text("Older than 1 h")
    assert page.files() == ["group (foreign)"]
    Select(page.one("#files select[aria-label=Age]")).select_by_visible_text("Newer than 1 h")
    page.one("#files tbody a").click()
    page.until(lambda: page.files() == ["files/omega", "files/alpha"])
    Select(page.one("#files select[aria-label=Size]")).select_by_visible_text("Over 1 GiB")
    assert page.files() == ["files/alpha"]
    page.driver.back()
    page.until(lambda: page.files() == ["group many_waits"])
    page.one("#files input[type=search]").send_keys("nothing")
    assert page.one("#files .state").text.startswith("No matching files")
    page.press("Clear filters")
    assert page.files() == ["group many_waits", "group (foreign)", "group (shared)"]
    # The group of a bookmark can be gone.
    page.open(store.conn_id, by="dag", group="gone")
    assert page.one("#files .state").text.startswith("No matching files")
    page.one("#files .state button").click()
    assert len(page.files()) == 4
    assert page.console() == []


def test_filters_are_kept_in_the_address(page: Page, store: Store, three: list[dict], deployment: str):
    elsewhere = display_name_for("delta.mp4", replace(OWNER, deployment="another"))
    store.seed(*three, {"name": "files/delta", "display_name": elsewhere, "mime_type": "video/webm", "age": 10_000})
    page.login("viewer")
    page.open(store.conn_id)
    page.one("#files tbody tr")
    # Files of another deployment are neither ours nor those of other tools.
    assert page.one(".legend .elsewhere").text.endswith("1 file")

    def chosen(label: str, choice: str) -> list[str]:
        Select(page.one(f"#files select[aria-label={label}]")).select_by_visible_text(choice)
        return page.files()

    assert chosen("Owner", "Other deployments") == ["files/delta"]
    assert chosen("Owner", "All owners") == ["files/alpha", "files/gamma", "files/delta", "files/beta"]
    assert chosen("Type", "video/*") == ["files/alpha", "files/delta"]
    assert chosen("Dag", "many_waits") == ["files/alpha", "files/delta"]
    assert chosen("Size", "Over 1 GiB") == ["files/alpha"]
    assert chosen("Age", "Older than 1 h") == []
    assert chosen("Size", "Any size") == ["files/delta"]
    assert chosen("Expiration", "Expire after 24 h") == ["files/delta"]
    page.driver.refresh()
    page.until(lambda: page.files() == ["files/delta"])
    page.press("Clear filters")
    assert len(page.files()) == 4
    assert chosen("Expiration", "Expire within 1 h") == ["files/beta"]
    assert page.console() == []


def test_names_of_any_script_are_shown_and_found(page: Page, store: Store):
    names = (
        "x" * 396,
        "製品紹介ビデオ.mp4",
        "סיכום פגישה.pdf",
        "re\N{COMBINING ACUTE ACCENT}sume\N{COMBINING ACUTE ACCENT}.pdf",
    )
    store.seed(*({"name": f"files/f{number}", "display_name": name} for number, name in enumerate(names)))
    page.open(store.conn_id)
    page.one("#files tbody tr")
    for width in (390, 1280):
        page.driver.set_window_size(width, 900)
        assert page.driver.execute_script("return document.querySelector('#files').scrollWidth") <= width
    page.driver.set_window_size(1440, 900)

    for number, words in enumerate(("XXX", "紹介", "פגישה", "résumé")):
        search = page.one("#files input[type=search]")
        search.clear()
        search.send_keys(words)
        assert page.files() == [f"files/f{number}"]
        assert names[number] in page.one("#files th .name").get_attribute("textContent")


def test_details_of_a_file_open_by_keyboard(page: Page, store: Store, three: list[dict]):
    store.seed(*three)
    page.open(store.conn_id)
    page.one("#files tbody tr")
    page.driver.execute_script("localStorage.timezone = '\"Asia/Tokyo\"'")
    page.driver.execute_script("document.querySelector('#files .toggle').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)

    details = page.until(lambda: "SHA-256" in (text := page.one("tr.details").text) and text)
    assert "3,221,225,472 bytes" in details
    assert "Created (Asia/Tokyo)" in details
    assert "/v1beta/files/alpha" in details
    assert re.search(r"SHA-256\s+[0-9a-f]{64}", details)
    assert "Read by batch jobs\nNone known" in details
    # Its run does not exist, so neither does the XCom that says where the file came from.
    assert "Uploaded from\nNot known" in details
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("aria-expanded") == "true"
    focused.send_keys(Keys.ENTER)
    assert page.all("tr.details") == []
    assert page.driver.switch_to.active_element.get_attribute("aria-expanded") == "false"
    assert page.console() == []


def test_tasks_that_have_used_a_file_load_by_themselves(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow
):
    store.seed(*three)
    run_id = airflow.trigger("reported")
    assert airflow.wait("reported", run_id) == "success"
    value = {"conn_id": store.conn_id, "files": ["files/alpha"]}
    entries = f"/dags/reported/dagRuns/{run_id}/taskInstances/cleanup/xcomEntries"
    airflow.api("POST", entries, json={"key": "response", "value": value})
    page.login("viewer")
    page.open(store.conn_id)
    page.one("#files tbody tr")
    # Their request fails, and nothing else does.
    page.driver.execute_script(
        "window.real = fetch; window.fetch = (url, options) =>"
        " String(url).includes('/uses') ? Promise.reject(new TypeError()) : real(url, options)"
    )
    page.one("#files .toggle").click()
    page.until(lambda: "cannot be reached" in page.one(".uses").text)
    page.until(lambda: "SHA-256" in page.one("tr.details").text)
    page.driver.execute_script("window.fetch = window.real")
    page.press("Retry")

    [use] = page.until(lambda: page.all(".uses li"))
    task = "reported \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} cleanup"
    assert use.text.startswith(f"{task} Asked a model · success ·")
    assert use.text.endswith(f"run {run_id}")
    assert "Not known: uses by earlier attempts" in page.one(".uses").text
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []
    page.driver.set_window_size(390, 900)
    assert violations(page) == []
    page.driver.set_window_size(1440, 900)
    assert link_of(page, task).endswith(f"/dags/reported/runs/{quote(run_id)}/tasks/cleanup")
    # Another file is used by nobody.
    page.all("#files .toggle")[1].click()
    page.until(lambda: "None known" in page.all(".uses")[1].text)
    assert page.console() == []


def test_viewer_cannot_delete_files(page: Page, store: Store, three: list[dict], airflow: LocalAirflow):
    store.seed(*three)
    page.login("viewer")
    page.open(store.conn_id)
    page.one("#files tbody tr")

    assert page.one("#files .actions .note").text == "Read only"
    assert page.buttons("Clean up|Delete selected") == []
    assert page.all("input[type=checkbox]") == []
    for action in ("delete", "cleanup", "dry-run", "cancel-batches"):
        refused = change(airflow, store, action, user="viewer")
        assert refused.status_code == 403
        assert "permission to edit the connection" in refused.json()["detail"]
    assert len(store.names()) == 3


def test_every_route_requires_login_and_changes_require_same_origin(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow, service: GeminiEmulator
):
    store.seed(*three)
    files = f"/api/connections/{store.conn_id}/files"
    listings = ("history", "stores", "documents?store=fileSearchStores/a", "batches", "costs", "overview")
    resources = (*listings, "details?name=files/alpha", "uses?name=files/alpha")
    others = [f"/api/connections/{store.conn_id}/{resource}" for resource in resources]
    for path in ("/", "/docs", "/static/page.js", "/api/connections", files, *others):
        assert httpx.get(f"{airflow.url}/gemini-files{path}").status_code == 401
    for action in ("delete", "cancel-batches"):
        assert change(airflow, store, action, user=None).status_code == 401
    listed = httpx.get(f"{airflow.url}/gemini-files{files}", headers=airflow.headers)
    assert listed.status_code == 200
    assert store.key not in listed.text
    docs = httpx.get(f"{airflow.url}/gemini-files/docs", headers=airflow.headers)
    assert docs.headers["location"].startswith("https://")

    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": airflow.url},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"X-Gemini-Files": None},
    ):
        refused = change(airflow, store, "delete", user="admin", headers=headers)
        assert refused.status_code == 403
        assert "another origin" in refused.json()["detail"]
    # Another port is another origin on the same site, so the browser sends the cookie.
    page.driver.get(f"{service.base_url}/__emulator/health")
    url = f"{airflow.url}/gemini-files/api/connections/{store.conn_id}/delete"
    page.driver.execute_async_script(
        "const [url, body, done] = arguments;"
        "fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body}).catch(() => 0).then(() => done())",
        url,
        json.dumps({"names": ["files/alpha"]}),
    )
    assert len(store.names()) == 3
    assert change(airflow, store, "delete", user="admin").status_code == 200
    assert store.names() == {"files/beta", "files/gamma"}


def test_selected_files_are_deleted_and_audited(page: Page, store: Store, three: list[dict], airflow: LocalAirflow):
    store.seed(*three)
    page.open(store.conn_id)
    page.one("input[value='files/alpha']").click()
    page.one("input[value='files/beta']").click()
    page.press(r"Delete selected \(2\)")
    dialog = page.one("dialog").text
    assert "Not found" in dialog
    assert "These files belong to 1 Dag; 1 of them belong to none. There is no undo." in dialog
    page.press("Delete 2 files")
    page.until(lambda: "2 deleted." in page.one("dialog").text)
    assert [cell.text for cell in page.all("dialog td.result")] == ["Deleted", "Deleted"]
    page.press("Close")

    page.until(lambda: page.files() == ["files/gamma"])
    assert store.names() == {"files/gamma"}
    [of_alpha] = audit(airflow, store, "gemini_files_delete_file", dag_id="many_waits")
    assert of_alpha["owner"] == "admin"
    assert (of_alpha["run_id"], of_alpha["task_id"], of_alpha["map_index"]) == ("manual__1", "wait", 3)
    assert json.loads(of_alpha["extra"])["file"] == "files/alpha"
    [asked] = audit(airflow, store, "gemini_files_delete")
    assert "files/beta" in asked["extra"]
    assert page.console() == []


def test_cleanup_previews_files_before_it_deletes_them(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow
):
    store.seed(*three)
    page.open(store.conn_id)
    page.press("Clean up")
    page.press("Preview")
    # Alpha is within the grace period, beta belongs to another tool, and gamma to all runs.
    page.until(lambda: "Nothing to delete" in page.one("dialog").text)
    check(page, "Include files shared by all runs")
    page.press("Update preview")
    page.until(lambda: "1 file to delete" in page.one("dialog").text)
    assert len(store.names()) == 3
    check(page, "Include files of other tools and deployments")
    page.press("Update preview")
    page.until(lambda: "2 files to delete" in page.one("dialog").text)
    page.press("Delete 2 files")
    page.until(lambda: "2 deleted." in page.one("dialog").text)

    assert store.names() == {"files/alpha"}
    assert len(audit(airflow, store, "gemini_files_cleanup_file")) == 2
    assert page.console() == []


def test_page_is_fast_with_5000_files(page: Page, store: Store):
    store.seed(*({"name": f"files/f{number}", "display_name": f"{number:05}.txt"} for number in range(5000)))
    page.open(store.conn_id)
    page.one("#files tbody tr")
    paint = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert page.driver.execute_script(paint) < 2000
    sizes = "return performance.getEntriesByType('resource').map(({decodedBodySize}) => decodedBodySize)"
    assert max(page.driver.execute_script(sizes)) < 300_000
    assert "50 of 5,000 files" in page.one(".pager").text
    assert len(page.files()) == 50
    # The browser has kept everything but the page itself and its data.
    page.open(store.conn_id, sort="-label")
    assert page.one("#files tbody tr").get_attribute("id") == "files/f4999"
    sent = (
        "return performance.getEntriesByType('resource').filter(({transferSize}) => transferSize).map(({name}) => name)"
    )
    assert [url for url in page.driver.execute_script(sent) if "/static/" in url] == []

    # The head of the table stays visible.
    page.driver.execute_script("scrollTo(0, 1500)")
    assert page.driver.execute_script("return document.querySelector('#files th').getBoundingClientRect().top") == 0
    page.press("File")
    assert page.files()[0] == "files/f0"
    page.press("Next")
    assert page.files()[0] == "files/f50"
    page.one("input[type=search]").send_keys("04999")
    assert page.files() == ["files/f4999"]

    # All pages are selected, which can be reduced to this one.
    page.press("Clear filters")
    page.one("#files thead input").click()
    assert page.one(".selection").text.startswith("All 5,000 matching files on 100 pages are selected")
    page.press("Select only the 50 on this page")
    page.until(lambda: page.buttons(r"Delete selected \(50\)"))
    page.one("input[type=search]").send_keys("0499")
    assert page.one(".selection").text.startswith("50 files selected, 50 of them do not match the filters")
    page.one("#files thead input").click()
    # The number of many files has to be typed before they can be deleted.
    page.press(r"Delete selected \(61\)")
    [confirm] = [button for button in page.all("dialog button") if button.text.startswith("Delete")]
    assert not confirm.is_enabled()
    page.one("dialog input").send_keys(re.sub(r"\D", "", confirm.text))
    assert confirm.is_enabled()


def test_viewer_can_open_stores_and_see_where_their_documents_come_from(
    page: Page, store: Store, deployment: str, service: GeminiEmulator
):
    service.settings.job_seconds = 0
    handbook, notes = "fileSearchStores/handbook-1", "fileSearchStores/notes-2"
    store.seed({"name": f"{notes}/documents/a"}, {"name": handbook})
    kept_by = {"airflow_fingerprint": "1", "airflow_owner": f"{deployment}/handbook_sync/sync"}
    store.add_document(handbook, SCRIPT, {"airflow_source": "s3://handbook/first.pdf", **kept_by})
    page.login("viewer")
    page.open(store.conn_id, tab="stores", store=[notes, "fileSearchStores/gone"])
    page.one("#stores tbody tr")

    # The linked store comes first, and the other one is named.
    assert page.rows("stores") == [notes, handbook]
    assert page.one("tr.linked").get_attribute("id") == notes
    assert "fileSearchStores/gone not found" in page.one(".notice").text
    [of_notes, of_handbook] = [row.text for row in page.all("#stores tbody tr")]
    assert "1 active" in of_notes
    assert "Other tool" in of_notes
    assert "handbook_sync \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} sync" in of_handbook

    page.all("#stores tbody th a")[1].click()
    document = page.one("#documents tbody tr").text
    assert SCRIPT in document
    assert "s3://handbook/first.pdf" in document
    assert "documents=" in page.driver.current_url
    # The link was hidden with its table, so the focus is on the tab.
    assert page.driver.switch_to.active_element.text == "Stores"
    page.driver.refresh()
    page.one("#documents tbody tr")
    page.driver.find_element(By.PARTIAL_LINK_TEXT, "All stores").click()
    page.until(lambda: page.all("#stores tbody tr"))
    page.driver.back()
    page.one("#documents tbody tr")
    page.driver.find_element(By.LINK_TEXT, "Files").click()
    page.one("#files .state")
    page.open(store.conn_id, tab="stores", documents="fileSearchStores/gone")
    assert "'fileSearchStores/gone' was not found" in page.one(".notice.error").text


def test_selected_jobs_are_cancelled_and_audited(
    page: Page, store: Store, deployment: str, airflow: LocalAirflow, service: GeminiEmulator
):
    service.settings.job_seconds = 10_000
    owner = replace(OWNER, deployment=deployment)
    mark = BatchMark("0123456789abcdef01234567", owner, "files/input", ())
    running, other = store.submit_job(mark.display_name("films")), store.submit_job("other")
    store.seed({"name": "batches/ended"})
    page.open(store.conn_id, tab="batches", batch=running)
    page.one("#batches tbody tr.linked")

    assert page.rows("batches")[0] == running
    row = page.all("#batches tbody tr")[0].text
    assert "films" in row
    assert "many_waits \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} wait [3]" in row
    assert "PENDING" in row
    assert "1 request\n1 pending" in row
    # A job that has ended cannot be selected.
    assert {box.get_attribute("value") for box in page.all("#batches tbody input")} == {running, other}
    page.one(f"input[value='{running}']").click()
    page.press(r"Cancel selected \(1\)")
    page.press("Cancel 1 job")
    page.until(lambda: "1 cancelled." in page.one("dialog").text)
    page.press("Close")
    page.until(lambda: "CANCELLED" in page.all("#batches tbody tr")[0].text)
    assert not page.buttons(r"Cancel selected.*")

    [of_job] = audit(airflow, store, "gemini_batches_cancel_job", dag_id="many_waits")
    assert (of_job["owner"], of_job["run_id"], of_job["map_index"]) == ("admin", "manual__1", 3)
    assert json.loads(of_job["extra"])["job"] == running
    [asked] = audit(airflow, store, "gemini_batches_cancel")
    assert running in asked["extra"]
    page.driver.find_element(By.LINK_TEXT, "Requests").click()
    assert "files/input not found" in page.one(".notice").text
    assert page.console() == []

    page.login("viewer")
    page.open(store.conn_id, tab="batches")
    assert page.one("#batches .actions").text == "Read only"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_and_dialogs_have_no_accessibility_violations(page: Page, store: Store, three: list[dict], theme: str):
    store.seed(*three, {"name": "fileSearchStores/seeded/documents/a"}, {"name": "batches/a"})
    page.driver.execute_script("localStorage.theme = arguments[0]", theme)
    page.open(store.conn_id, file="files/beta")
    page.one("#files tbody tr.linked")
    page.driver.execute_script(browser.axe(CACHE))
    page.all("#files .toggle")[1].click()
    page.until(lambda: "SHA-256" in page.one("tr.details").text)
    page.one("tbody input").click()
    Select(page.one("#files select[aria-label=Age]")).select_by_visible_text("Older than 1 h")
    assert violations(page) == []
    page.press(r"Delete selected \(1\)")
    assert violations(page) == []
    page.press("Cancel")
    page.press("Clean up")
    check(page, "Include files shared by all runs")
    page.press("Preview")
    page.until(lambda: page.buttons("Delete 1 file"))
    assert violations(page) == []
    page.press("Cancel")
    for tab in ("All connections", "Batches", "Stores", "No display name"):
        page.driver.find_element(By.PARTIAL_LINK_TEXT, tab).click()
        page.one(":is(#overview, #batches, #stores, #documents) tbody tr")
        assert violations(page) == []
    with page.sized(390):
        # Rows are cards.
        assert violations(page) == []


def test_files_are_in_the_first_screen_and_no_tab_scrolls_sideways(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow, deployment: str
):
    long = replace(OWNER, dag_id="dag_" * 40, task_id="task_" * 30, map_index=1234, deployment=deployment)
    names = ("\N{CJK UNIFIED IDEOGRAPH-6587}" * 60, "no-spaces-" * 12, "words " * 30)
    store.seed(
        *three,
        *({"name": f"files/long{n}", "display_name": display_name_for(name, long)} for n, name in enumerate(names)),
        {"name": "files/elsewhere", "display_name": display_name_for("e", replace(OWNER, deployment="another"))},
        {"name": f"fileSearchStores/{'long' * 9}/documents/a"},
        {"name": "batches/a"},
    )
    # A forecast and the marks of the history need the most space.
    now, gib = int(time.time()), 1 << 30
    samples = tuple(Sample(now - hour * 3600, 1, 3 * gib - hour * gib // 2) for hour in range(5, 0, -1))
    history = History(samples, (Deleted(now - 9000, 1, gib),), (Deleted(now - 9000, 1, gib),)).to_json()
    airflow.api("POST", "/variables", json={"key": f"{PREFIX}{store.conn_id}", "value": history})
    with page.sized(1280, 800):
        page.open(store.conn_id)
        page.one("#history .forecast")
        third = page.all("#files tbody tr")[2]
        assert third.rect["y"] + third.rect["height"] < 800
        third.find_element(By.TAG_NAME, "input").click()
        # What is selected is shown at the lower edge: no row moves under the pointer.
        assert third.rect == page.all("#files tbody tr")[2].rect
        bar = page.one(".selection").rect
        assert 700 < bar["y"] + bar["height"] <= 800
    for tab in ("files", "stores", "batches", "costs", "overview"):
        for width in (390, 768, 1280):
            with page.sized(width):
                page.open(store.conn_id, tab=tab)
                page.one(f"#{tab} :is(tbody tr, .state)")
                assert page.overflow() == []
                assert page.small_targets() == []
    airflow.api("DELETE", f"/variables/{PREFIX}{store.conn_id}")


def test_history_is_shown_as_a_chart_and_as_a_table(page: Page, store: Store, three: list[dict], airflow: LocalAirflow):
    store.seed(*three)
    hour, now, gib = 3600, int(time.time()), 1 << 30
    key = f"{PREFIX}{store.conn_id}"
    page.login("viewer")
    page.open(store.conn_id)
    assert "The history has just begun." in page.one("#history").text
    assert page.buttons("7 days|30 days") == []
    # The page has recorded its first listing, with the owner of each file.
    [[_, *recorded]] = json.loads(airflow.api("GET", f"/variables/{key}")["value"])["samples"]
    assert recorded == [3, 0, 3 * gib, 9, 0, 0, 5 << 20]

    samples = tuple(Sample(now - back * hour, 1, 3 * gib - back * gib // 2) for back in range(5, 0, -1))
    old = Sample(now - 20 * 24 * hour, 7, 15 * gib, (gib, 4 * gib, 0, 0, 0, 10 * gib))
    history = History((old, *samples), (Deleted(now - 5 * hour, 12, 2 * gib),), (Deleted(old.at, 3, gib),))
    airflow.api("PATCH", f"/variables/{key}", json={"key": key, "value": history.to_json()})
    page.open(store.conn_id)
    plot = page.one("#history .plot")
    assert "at most 3.0 GiB (15.0% of the quota)" in plot.get_attribute("aria-label")
    assert page.one("#history .forecast").text == "Full in about 34 hours at this rate."
    # The legend of the present usage, which is beside the chart, has the other entries.
    assert [item.text for item in page.all("#history .legend li")] == ["Owner not recorded", "Cleanup"]
    present = [item.text.partition("\n")[0] for item in page.all("#usage .legend li")]
    assert present == ["Finished runs", "Shared by all runs", "Other tools"]
    titles = "[...document.querySelectorAll('#history title')].map(({textContent}) => textContent)"
    told = page.driver.execute_script(f"return {titles}")
    assert sum("Cleanup, 12 files, 2.0 GiB" in title for title in told) == 1

    page.press("30 days")
    assert "at most 15.0 GiB (75.0% of the quota)" in page.one("#history .plot").get_attribute("aria-label")
    assert "Eviction" in page.one("#history .legend").text
    page.driver.execute_script(browser.axe(CACHE))
    page.press("Show as a table")
    days = [row.text for row in page.all("dialog tbody tr")]
    assert "3.0 GiB (15.0%)" in days[0]
    assert days[-1].endswith("15.0 GiB (75.0%) \N{EN DASH} 3 files, 1.0 GiB")
    assert violations(page) == []
    page.press("Close")
    assert page.driver.switch_to.active_element.text == "Show as a table"
    # The days are those of the time zone of Airflow's UI; in one of these, it is another day than here.
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        page.driver.execute_script("localStorage.timezone = JSON.stringify(arguments[0])", zone)
        page.press("30 days")
        page.press("Show as a table")
        today = datetime.now(ZoneInfo(zone))
        assert page.one("dialog tbody th").text == f"{today:%b} {today.day}"
        page.press("Close")
    page.driver.execute_script("localStorage.removeItem('timezone')")
    for width in (1920, 1280, 1000):
        with page.sized(width):
            assert violations(page) == []
            assert page.overflow() == []
    with page.sized(390):
        # On a narrow screen, the chart is behind a button, but not the forecast.
        assert page.all("#history .plot") == []
        assert page.one("#history .forecast")
        page.press("Expiration and storage over time")
        assert page.one("#history .plot")
        assert violations(page) == []
        assert page.overflow() == []
    page.driver.execute_script("localStorage.theme = 'dark'")
    page.open(store.conn_id)
    page.one("#history .plot")
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []
    assert page.console() == []
    airflow.api("DELETE", f"/variables/{key}")


def test_empty_project_and_missing_permissions_are_explained(page: Page, store: Store):
    page.open(store.conn_id)
    assert page.one("#files .state").text.startswith("No files")
    # A first Dag.
    assert "GeminiGenerateContentOperator(" in page.one("#files pre").text
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []
    page.driver.find_element(By.LINK_TEXT, "Stores").click()
    assert page.one("#stores .state").text.startswith("No stores")
    page.driver.find_element(By.LINK_TEXT, "Batches").click()
    assert page.one("#batches .state").text.startswith("No batch jobs")
    page.driver.find_element(By.LINK_TEXT, "Costs").click()
    assert page.one("#costs .state").text.startswith("No calls")
    page.open("no_such_connection")
    assert "Connection not found" in page.one(".notice").text
    assert link_of(page, "Add connection").endswith("/connections?name_pattern=no_such_connection")
    assert "AIRFLOW_CONN_NO_SUCH_CONNECTION=" in page.one("#first-use").text
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []

    page.login("viewer")
    page.open("no_such_connection")
    assert "You do not have permission to read the connection" in page.one(".notice.error").text
    page.login(None)
    page.open(store.conn_id)
    page.until(lambda: "/auth/login" in page.driver.current_url)


def test_page_says_what_it_waits_for_and_for_how_long(page: Page, store: Store, airflow: LocalAirflow):
    # Requests never end by themselves, the notice comes at once, and the deadline is after two seconds.
    page.open(store.conn_id)
    never = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {
            "source": "const [later, deadline] = [setTimeout, AbortSignal.timeout];"
            "window.setTimeout = (callback, time) => later(callback, time === 7000 ? 0 : time);"
            "AbortSignal.timeout = () => deadline.call(AbortSignal, 2000);"
            "window.fetch = (url, {signal}) => new Promise((_, reject) => "
            "signal.addEventListener('abort', () => reject(signal.reason)));"
        },
    )
    page.driver.refresh()
    waiting = f"Waiting\nThe page waits for Airflow's API server at {airflow.url}, for up to 60 seconds."
    page.until(lambda: page.one(".notice").text == waiting)
    error = page.one(".notice.error").text
    assert f"Airflow's API server at {airflow.url} did not respond within 60 seconds." in error
    page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", never)
    page.driver.refresh()
    assert page.one("#files .state").text.startswith("No files")


def test_slow_service_does_not_block_the_api_server(
    page: Page, store: Store, airflow: LocalAirflow, service: GeminiEmulator
):
    service.faults.add("list", "stall", seconds=7, api_key=store.key)
    page.open(store.conn_id)
    began = time.monotonic()
    for _ in range(20):
        airflow.api("GET", "/version")
    assert time.monotonic() - began < 4

    assert "Loading files" in page.one(".notice").text
    assert page.one("#files .state").text.startswith("No files")


def test_rejected_key_is_explained_and_retry_lists_the_files(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow, service: GeminiEmulator
):
    store.seed(*three)
    service.faults.add("list", "bad_key", api_key=store.key)
    page.open(store.conn_id)

    assert "API key not valid" in page.one(".notice.error").text
    assert link_of(page, "Open connection") == f"{airflow.url}/connections?name_pattern={store.conn_id}"
    # The API server lists the files at most every two seconds.
    time.sleep(2)
    page.press("Retry")
    page.until(page.files)
    assert len(page.files()) == 3
    assert page.all(".notice") == []


def test_unreachable_service_is_named_with_retry_and_link_to_connection(page: Page, airflow: LocalAirflow):
    address = f"http://127.0.0.1:{free_port()}"
    connection = {"conn_type": "gemini", "host": address, "password": "k-e-y", "extra": '{"max_retries": 0}'}
    airflow.api("POST", "/connections", json={"connection_id": "unreachable", **connection})
    page.open("unreachable")

    error = page.one(".notice.error").text
    assert error.startswith(
        f"The Gemini API is unreachable\nCannot list files: {address} cannot be reached (ConnectError: "
    )
    assert page.buttons("Retry")
    assert link_of(page, "Open connection") == f"{airflow.url}/connections?name_pattern=unreachable"
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []
    airflow.api("DELETE", "/connections/unreachable")


@pytest.mark.parametrize(
    ("address", "section"),
    [
        ("conn_id={}&tab=constructor&sort=constructor", "files"),
        ("conn_id={}&tab=documents", "files"),
        ("conn_id={}&size=constructor&age=&by=constructor&group=a", "files"),
        ("conn_id={}&tab=stores&documents=&state=constructor", "stores"),
        ("conn_id={}&tab=costs&days=constructor&by=constructor", "costs"),
        ("conn_id=", "files"),
    ],
)
def test_address_that_means_nothing_shows_a_page_without_errors(
    page: Page, store: Store, three: list[dict], address: str, section: str
):
    store.seed(*three)
    page.driver.get(f"{page.url}/gemini-files/?{address.format(store.conn_id)}")

    page.one(f"#{section}")
    # An address without a connection is that of the first one, and not loaded again and again.
    page.driver.execute_script("window.isLoaded = true")
    page.until(lambda: page.one("#age").text.startswith("Updated"))
    assert page.driver.execute_script("return window.isLoaded")
    assert page.all(".notice.error") == []
    assert "native code" not in page.one("main").text
    assert page.console() == []


def test_user_who_is_logged_out_in_the_meantime_can_log_in_and_go_on(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow
):
    store.seed(*three)
    page.open(store.conn_id, kind="foreign")
    page.one("input[value='files/beta']").click()
    page.driver.delete_all_cookies()
    page.press(r"Delete selected \(1\)")
    page.press("Delete 1 file")
    page.until(lambda: "Failed: Your session has expired." in page.one("dialog").text)
    page.press("Close")

    page.until(lambda: "You are logged out" in page.one(".notice.error").text)
    shown = quote(page.driver.current_url, safe="")
    assert link_of(page, "Log in") == f"{airflow.url}/api/v2/auth/login?next={shown}"
    # What was listed stays.
    assert page.files() == ["files/beta"]
    # Another user, who may not delete, logs in in another tab.
    page.driver.add_cookie({"name": "_token", "value": airflow.token("viewer")})
    page.press(r"Delete selected \(1\)")
    page.press("Delete 1 file")
    page.until(lambda: "Failed: Changes require permission to edit the connection" in page.one("dialog").text)
    page.press("Close")
    page.until(lambda: page.all(".notice") == [] and page.one("#files .actions").text == "Read only")
    assert len(store.names()) == 3


def test_page_goes_on_by_itself_once_the_api_server_responds_again(page: Page, store: Store, three: list[dict]):
    store.seed(*three)
    page.open(store.conn_id)
    page.one("#files tbody tr")
    # The next try is after half a second instead of 30.
    page.driver.execute_script(
        "const [later, own] = [setTimeout, fetch];"
        "window.setTimeout = (callback, time) => later(callback, time === 30_000 ? 500 : time);"
        "window.answers = [() => { throw new TypeError() }, () => new Response('<!doctype html>')];"
        "window.fetch = async (...request) => (window.answers[0] ?? own)(...request);"
    )
    page.press("Refresh")
    page.until(lambda: "cannot be reached." in page.one(".notice.error").text)
    assert len(page.files()) == 3
    page.driver.execute_script("window.answers.shift()")
    # Such as the page on which a proxy asks the user to log in.
    page.until(lambda: "responded with a page instead of data." in page.one(".notice.error").text)
    page.driver.execute_script("window.answers.shift()")
    page.until(lambda: page.all(".notice") == [])
    # What was loaded is shown when the user comes back to a tab, however long the next response takes.
    page.driver.find_element(By.LINK_TEXT, "Stores").click()
    page.one("#stores .state")
    page.driver.execute_script("window.answers = [() => new Promise(() => 0)]")
    page.driver.find_element(By.LINK_TEXT, "Files").click()
    assert len(page.all("#files tbody tr")) == 3


def test_deletion_of_many_files_can_be_stopped(page: Page, store: Store, service: GeminiEmulator):
    store.seed(*({"name": f"files/f{number}"} for number in range(60)))
    service.faults.add("delete", "stall", seconds=2, api_key=store.key)
    page.open(store.conn_id)
    page.one("#files thead input").click()
    page.press(r"Delete selected \(60\)")
    page.one("dialog input").send_keys("60")
    page.press("Delete 60 files")
    page.press("Stop")

    # What was sent is finished.
    page.until(lambda: "50 deleted. Stopped: 10 files not processed." in page.one("dialog").text)
    page.press("Close")
    page.until(lambda: len(page.files()) == 10)
    assert len(store.names()) == 10


def test_overview_has_a_row_for_each_connection_and_waits_for_none(
    page: Page, store: Store, three: list[dict], airflow: LocalAirflow, service: GeminiEmulator
):
    service.settings.job_seconds = 10_000
    store.seed(*three)
    store.submit_job("running")
    slow = Store(airflow, service, "slow_one")
    service.faults.add("list", "stall", seconds=4, api_key=slow.key)
    unreachable = {"conn_type": "gemini", "host": f"http://127.0.0.1:{free_port()}", "extra": '{"max_retries": 0}'}
    airflow.api("POST", "/connections", json={"connection_id": "broken_one", "password": "k-e-y", **unreachable})
    page.login("viewer")
    page.open(store.conn_id, tab="overview")

    def row(conn_id: str) -> str:
        return page.one(f"#overview tr[id='connection {conn_id}']").text

    page.until(lambda: "3.0 GiB" in row(store.conn_id))
    page.until(lambda: "The Gemini API is unreachable" in row("broken_one"))
    assert "Loading" in row("slow_one")
    *cells, _ = [cell.text for cell in page.all(f"#overview tr[id='connection {store.conn_id}'] td")]
    # State, used, free, files, expiring, running jobs.
    assert cells == ["Fine", "3.0 GiB\n15.0% of 20.0 GiB", "17.0 GiB", "3", "5.0 MiB\n1 file", "1"]
    assert link_of(page, "Open connection").endswith("/connections?name_pattern=broken_one")
    page.until(lambda: "Fine" in row("slow_one"))
    page.driver.find_element(By.LINK_TEXT, store.conn_id).click()
    page.until(page.files)
    assert len(page.files()) == 3
    for conn_id in ("broken_one", "slow_one"):
        airflow.api("DELETE", f"/connections/{conn_id}")


def test_costs_are_grouped_and_link_to_their_tasks(page: Page, store: Store, airflow: LocalAirflow):
    run_id = airflow.trigger("reported")
    assert airflow.wait("reported", run_id) == "success"
    usage = {"prompt": 2_000_000, "cached": 500_000, "answer": 100_000, "thoughts": 50_000}
    entries = f"/dags/reported/dagRuns/{run_id}/taskInstances/cleanup/xcomEntries"
    for key, model in (("response", "gemini-3.8-flash"), ("batch", "gemini-of-a-batch")):
        value = {"conn_id": store.conn_id, "model": model, "usage": usage, "counts": {"success": 3}}
        airflow.api("POST", entries, json={"key": key, "value": value})
    created, expired = (f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (3, 2))
    cache = {"name": "cachedContents/a", "tokens": 1_000_000, "create_time": created, "expire_time": expired}
    for key, value in (
        ("cache", {"conn_id": store.conn_id, "model": "gemini-3.8-flash", **cache}),
        ("deleted_caches", {"deleted": ["cachedContents/a"], "missing": []}),
        ("indexed", {"conn_id": store.conn_id, "documents": 12, "bytes": 3 * 1024**2}),
    ):
        airflow.api("POST", entries, json={"key": key, "value": value})
    page.login("viewer")
    page.open(store.conn_id, tab="costs")

    page.one("#costs tbody tr")
    # Calls, tokens in, from caches, tokens out, in batches, failed, cost.
    tokens_in = "5,000,000\n1,000,000 into caches\nand 12 documents"
    tokens_out = "300,000\n100,000 of thoughts"
    cells = ["5", tokens_in, "20.0%", tokens_out, "40.6%", "\N{EN DASH}", "At least 6.05 EUR"]
    assert [cell.text for cell in page.all("#costs tbody td")] == cells
    totals = page.one("#costs .totals").text
    assert "Cost\nAt least 6.05 EUR\nCalls\n5" in totals
    assert "Into caches\n1,000,000\nStored in caches\n1,000,000 token-hours" in totals
    notes = page.one("#costs ul").text
    assert "Prices in EUR, valid from 2020-01-01 on, from us." in notes
    assert "The cost is incomplete: 3 of 5 calls have no price. Their models: gemini-of-a-batch." in notes
    assert "Documents indexed for file search: 12 (3.0 MiB). No total includes their cost" in notes
    page.one("#costs select[aria-label='Group by']").send_keys("By task")
    page.until(lambda: link_of(page, "reported \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} cleanup"))
    page.one("#costs tbody a").click()
    page.until(lambda: "/dags/reported/tasks/cleanup" in page.driver.current_url)
    page.driver.back()
    page.one("#costs select[aria-label='Group by']").send_keys("By model")
    # Of documents, the model is not known.
    page.until(lambda: len(page.rows("costs")) == 3)
    assert page.all("#costs tbody tr")[-1].text.split("\n")[-1].endswith("Not known")
    page.one("#costs select[aria-label='Days']").send_keys("Today")
    page.until(lambda: "days=1" in page.driver.current_url and "by=model" in page.driver.current_url)
    # A response that is later than the next one is not shown.
    page.driver.execute_script(
        "const own = fetch;"
        "window.fetch = async (url, ...options) => {"
        "  const response = await own(url, ...options);"
        "  if (url.includes('by=dag')) await new Promise((done) => { window.late = done });"
        "  return response;"
        "};"
    )
    Select(page.one("#costs select[aria-label='Group by']")).select_by_visible_text("By Dag")
    page.until(lambda: page.driver.execute_script("return Boolean(window.late)"))
    Select(page.one("#costs select[aria-label='Group by']")).select_by_visible_text("By task")
    page.until(lambda: len(page.rows("costs")) == 1)
    page.driver.execute_async_script("window.late(); setTimeout(arguments[0], 200)")
    assert page.rows("costs")[0] == "costs of reported \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} cleanup"
    page.driver.execute_script(browser.axe(CACHE))
    assert violations(page) == []
    with page.sized(390):
        assert violations(page) == []
    assert page.console() == []


def test_deferred_task_links_to_its_file_and_file_links_to_its_task(
    page: Page, airflow: LocalAirflow, service: GeminiEmulator, video_file: Path
):
    service.settings.video_seconds = 10_000
    run_id = airflow.trigger("upload_and_wait", conf={"video": str(video_file)})
    until(lambda: airflow.states("upload_and_wait", run_id, "upload") == ["deferred"])
    path = f"/dags/upload_and_wait/dagRuns/{run_id}/taskInstances/upload/links"
    link = until(lambda: airflow.api("GET", path)["extra_links"].get("Gemini file"))
    name = airflow.xcom("upload_and_wait", run_id, "upload", "file")["name"]
    assert link == f"plugin/gemini-files?conn_id=gemini_default&file={quote(name, safe='')}"

    # The way of a user: from the task to the page in Airflow's frame, and back to the task.
    page.driver.get(f"{airflow.url}/dags/upload_and_wait/runs/{run_id}/tasks/upload/details")
    page.until(lambda: page.driver.find_elements(By.LINK_TEXT, "Gemini file"))[0].click()
    page.until(lambda: window_with(page, "/plugin/gemini-files"))
    page.driver.switch_to.frame(page.one("iframe"))
    row = page.one("#files tbody tr.linked")
    assert row.get_attribute("id") == name
    assert "PROCESSING" in row.text
    assert "Active" in row.text
    row.find_element(By.CSS_SELECTOR, ".owner a").click()
    page.driver.switch_to.default_content()
    page.until(lambda: page.driver.current_url.endswith(f"/dags/upload_and_wait/runs/{quote(run_id)}/tasks/upload"))

    service.clock.advance(10_000)
    assert airflow.wait("upload_and_wait", run_id) == "success"
    assert airflow.api("GET", path)["extra_links"]["Gemini file"] == link


def test_cleanup_task_links_to_its_report(page: Page, airflow: LocalAirflow, service: GeminiEmulator):
    run_id = airflow.trigger("reported")
    assert airflow.wait("reported", run_id) == "success"
    links = airflow.api("GET", f"/dags/reported/dagRuns/{run_id}/taskInstances/cleanup/links")["extra_links"]

    page.driver.get(f"{airflow.url}/gemini-files/?{links['Cleanup report'].partition('?')[2]}")
    page.until(lambda: "Would delete 0 files" in page.one("#report").text)
    assert "Before: 0 B of 20.0 GiB (0.0%)" in page.one("#report").text
    assert page.console() == []


def test_page_is_in_browse_menu_and_follows_theme(page: Page, airflow: LocalAirflow):
    page.driver.get(airflow.url)
    page.press("Browse")
    page.until(lambda: page.driver.find_elements(By.PARTIAL_LINK_TEXT, "Gemini Files"))[0].click()

    page.driver.switch_to.frame(page.one("iframe"))
    assert page.one("h1").text == "Gemini Files"
    page.one("#storage, .notice")
    # Airflow sets the theme as a class of its document.
    page.driver.execute_script("window.parent.document.documentElement.className = 'dark'")
    page.until(lambda: page.driver.execute_script("return document.documentElement.dataset.theme") == "dark")


def change(
    airflow: LocalAirflow, store: Store, action: str, *, user: str | None, headers: dict[str, str | None] | None = None
) -> httpx.Response:
    """Send a change as the page does, with the cookie of a user."""
    cookies = {"_token": airflow.token(user)} if user else {}
    given = {"X-Gemini-Files": "1", "Sec-Fetch-Site": "same-origin"}
    given |= {"Sec-Fetch-Site": None} if headers and "Origin" in headers else {}
    sent = {key: value for key, value in {**given, **(headers or {})}.items() if value is not None}
    url = f"{airflow.url}/gemini-files/api/connections/{store.conn_id}/{action}"
    return httpx.post(url, cookies=cookies, headers=sent, json={"names": ["files/alpha"]}, timeout=30)


def audit(airflow: LocalAirflow, store: Store, event: str, **query: str) -> list[dict]:
    entries = airflow.api("GET", "/eventLogs", params={"event": event, "limit": 100, **query})["event_logs"]
    return [entry for entry in entries if entry["event"] == event and store.conn_id in entry["extra"]]


def check(page: Page, label: str) -> None:
    """Check a box of the cleanup dialog."""
    page.until(lambda: [box for box in page.all("dialog label.box") if box.text.strip() == label])[0].click()


def link_of(page: Page, text: str) -> str:
    return page.until(lambda: page.driver.find_elements(By.LINK_TEXT, text))[0].get_attribute("href")


def violations(page: Page) -> list[str]:
    found = page.driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def window_with(page: Page, path: str) -> bool:
    """Switch to the window that shows a path, as Airflow 3.1 opens links in a new one; return whether there is one."""
    for handle in page.driver.window_handles:
        page.driver.switch_to.window(handle)
        if path in page.driver.current_url:
            return True
    return False
