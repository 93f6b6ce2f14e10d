"""Take the screenshots of ``docs/ui.md`` with a local Airflow and the emulator, which has files of several runs."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from browser import chromium, missing
from demo import DAGS
from local_airflow import LocalAirflow, connection
from processes import without_proxy
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.deployment import VARIABLE
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.file_search.metadata import Origin, to_api
from airflow_provider_gemini_files.files.kinds import Kind
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.usage_history import Deleted, History, Sample
from airflow_provider_gemini_files.hooks.extras import DEFAULT_MODEL
from airflow_provider_gemini_files.usage_history import PREFIX

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
KEY = "demo-key"
HOUR = 3600
MIB = 1024**2
#: Dag id, task id, name and MIME type of its files, largest size in MiB, files per run.
STORY = (
    ("product_videos", "upload", "product-{:04}.mp4", "video/mp4", 260, 22),
    ("invoice_extraction", "upload_scans", "invoice-2026-{:05}.pdf", "application/pdf", 18, 40),
    ("podcast_summaries", "fetch_episode", "episode-{:03}.mp3", "audio/mpeg", 90, 14),
)
#: Display name, task, name of the documents, how many there are, and seconds until they are ACTIVE.
STORES = (
    ("Employee handbook", "handbook_sync/sync", "handbook", 64, 0),
    ("Product manuals", "product_manuals/sync", "manual", 38, 0),
    ("Support answers", "support_answers/sync", "answer", 12, HOUR),
)
#: Display name, task, requests, seconds until the job ends, and what goes wrong.
JOBS = (
    ("summaries", "summarize", 120, 0, None),
    ("captions", "caption", 48, 0, "batch_failed"),
    ("invoices", "extract", 900, HOUR, None),
)
#: Prices of nobody: they show what the tab looks like.
PRICES = {
    "currency": "USD",
    "valid_from": "2026-01-01",
    "source": "an example",
    "models": {f"{DEFAULT_MODEL}*": {"input": 0.5, "output": 3.0, "cached_input": 0.05}},
}
DAG_FILE = '''
"""### {name}

Uploads files, waits until they are ACTIVE, prompts a model with them, and deletes them.
"""
from airflow.sdk import dag, task

@dag(schedule=None, doc_md=__doc__, is_paused_upon_creation=True)
def {name}():
    @task
    def {task}(): ...
    @task
    def ask(): ...
    {task}() >> ask()

{name}()
'''
SECONDS = 120


def main() -> int:
    """Take all screenshots."""
    if programs := missing():
        print(f"{', '.join(programs)} not installed (apt-get install chromium chromium-driver npm)")
        return 1
    os.environ.update(without_proxy())
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gemini-files-screenshots-", ignore_cleanup_errors=True) as folder:
        dags = shutil.copytree(DAGS, Path(folder) / "dags")
        for name, task, *_ in STORY:
            (dags / f"{name}.py").write_text(DAG_FILE.format(name=name, task=task))
        with GeminiEmulator(video_seconds=2) as service:
            env = connection(host=service.base_url, key=KEY)
            prices = Path(folder) / "prices.json"
            prices.write_text(json.dumps(PRICES))
            env["AIRFLOW__GEMINI_FILES__PRICES_FILE"] = str(prices)
            with LocalAirflow(Path(folder) / "home", dags, env) as airflow, chromium(1280, 860, mouse=True) as driver:
                run_id = airflow.trigger("gemini_files_quickstart")
                airflow.wait("gemini_files_quickstart", run_id)
                # The uploads of the quickstart have created it.
                deployment = airflow.api("GET", f"/variables/{VARIABLE}")["value"]
                seeds = list(story(airflow, deployment))
                httpx.post(f"{service.base_url}/__emulator/seed", json={"api_key": KEY, "resources": seeds})
                airflow.api("POST", "/variables", json={"key": f"{PREFIX}gemini_default", "value": history()})
                record_calls(airflow, seeds)
                upload(service, deployment)
                create_stores(service, deployment)
                submit_jobs(service, deployment, run_id)
                take(driver, airflow, run_id)
    return 0


def story(airflow: LocalAirflow, deployment: str) -> Iterator[dict[str, Any]]:
    """Yield files of active and finished runs, shared files, and files of other tools."""
    chance = random.Random(7)
    for dag_id, task_id, name, mime_type, largest, count in STORY:
        for age, state in ((5 * HOUR, None), (14 * HOUR, "success"), (30 * HOUR, "success"), (42 * HOUR, "failed")):
            run_id = airflow.trigger(dag_id)
            if state:
                airflow.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})
            for index in range(count if age < 40 * HOUR else count // 3):
                owner = Owner(dag_id, run_id, task_id, index, deployment)
                yield {
                    "name": f"files/af{chance.getrandbits(96):024x}",
                    "display_name": display_name_for(name.format(chance.randrange(1000)), owner),
                    "mime_type": mime_type,
                    "size": chance.randint(largest // 6, largest) * MIB,
                    "age": age * chance.uniform(0.1, 1.1),
                    "failed": dag_id == "product_videos" and index in (1, 13) and age < 20 * HOUR,
                }
    for index, label in enumerate(("handbook.pdf", "style-guide.pdf", "glossary.txt")):
        shared = display_name_for(label, None, shared=True, deployment=deployment)
        yield {"name": f"files/as{index:024}", "display_name": shared, "size": 35 * MIB, "age": 30 * HOUR}
    for index in range(9):
        yield {
            "name": f"files/{chance.getrandbits(60):012x}",
            "display_name": f"notebook run {index}",
            "mime_type": "text/csv",
            "size": 90 * MIB,
            "age": chance.uniform(1, 46) * HOUR,
        }


def history() -> str:
    """Return the record of a storage that filled up by day and was cleaned up each night."""
    chance = random.Random(3)
    now = time.time()
    past = History()
    for hour in range(7 * 24, 0, -1):
        share = (7 * 24 - hour) % 24 / 24
        used = (4 + 9 * math.sin(share * math.pi / 2) + chance.uniform(-0.3, 0.3)) * 1024 * MIB
        parts = {Kind.RUNNING: 0.3, Kind.FINISHED: 0.6, Kind.SHARED: 0.03, Kind.FOREIGN: 0.07}
        by_kind = {kind: int(used * parts.get(kind, 0)) for kind in Kind}
        past = past.with_sample(Sample.of(now - hour * HOUR, int(used / MIB / 60), sum(by_kind.values()), by_kind))
    cleanups = [Deleted(int(now - day * 24 * HOUR), 150, 9 * 1024 * MIB) for day in range(6, 0, -1)]
    evictions = [Deleted(int(now - 62 * HOUR), 12, 800 * MIB)]
    return replace(past, cleanups=cleanups, evictions=evictions).to_json()


def record_calls(airflow: LocalAirflow, files: Sequence[Mapping[str, Any]]) -> None:
    """Record which files models were shown, and what it has cost, as tasks that ask a model do."""
    chance = random.Random(5)
    for dag_id, *_ in STORY:
        for run in airflow.api("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]:
            tokens = chance.randint(40_000, 900_000)
            usage = {
                "prompt": tokens,
                "answer": tokens // 90,
                "thoughts": tokens // 150,
                "cached": tokens // 3 if dag_id == "podcast_summaries" else 0,
                "tools": 0,
            }
            value = {
                "model": DEFAULT_MODEL,
                "conn_id": "gemini_default",
                "calls": chance.randint(14, 40),
                "usage": usage,
                "files": [file["name"] for file in files if f"run={run['dag_run_id']} " in file["display_name"]],
            }
            instance = f"/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'])}/taskInstances/ask"
            airflow.api("POST", f"{instance}/xcomEntries", json={"key": "response", "value": value})
            airflow.api("PATCH", instance, json={"new_state": "success"})


def upload(service: GeminiEmulator, deployment: str) -> None:
    """Upload a video that stays PROCESSING."""
    service.settings.video_seconds = HOUR
    headers = {
        "x-goog-api-key": KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-header-content-type": "video/mp4",
    }
    display_name = display_name_for("trade-fair-keynote.mp4", None, shared=True, deployment=deployment)
    metadata = {"file": {"displayName": display_name}}
    with httpx.Client(base_url=service.base_url, headers=headers, timeout=60) as client:
        start = client.post("/upload/v1beta/files", headers={"x-goog-upload-command": "start"}, json=metadata)
        send = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        client.post(start.headers["x-goog-upload-url"], headers=send, content=bytes(96 * MIB)).raise_for_status()


def create_stores(service: GeminiEmulator, deployment: str) -> None:
    """Create file search stores with documents of several tasks, and one that is still being filled."""
    begin = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    send = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    with httpx.Client(base_url=service.base_url, headers={"x-goog-api-key": KEY}, timeout=60) as client:
        for display_name, task, bucket, count, seconds in STORES:
            service.settings.job_seconds = seconds
            store = client.post("/v1beta/fileSearchStores", json={"displayName": display_name}).json()["name"]
            for index in range(count):
                name = f"{bucket}-{index:03}.pdf"
                origin = Origin(f"s3://company-documents/{bucket}/{name}", "1", f"{deployment}/{task}")
                body = {"displayName": name, "customMetadata": to_api(origin.entries())}
                url = f"/upload/v1beta/{store}:uploadToFileSearchStore"
                start = client.post(url, headers=begin, json=body)
                content = b"words " * (900 + 37 * index)
                client.post(start.headers["x-goog-upload-url"], headers=send, content=content).raise_for_status()


def submit_jobs(service: GeminiEmulator, deployment: str, run_id: str) -> None:
    """Submit batch jobs that have ended, that run, and that have failed."""
    with httpx.Client(base_url=service.base_url, headers={"x-goog-api-key": KEY}, timeout=60) as client:
        for label, task, count, seconds, fault in JOBS:
            if fault:
                service.faults.add("create_batch", fault)
            service.settings.job_seconds = seconds
            owner = Owner("gemini_files_quickstart", run_id, task, -1, deployment)
            mark = BatchMark(f"{count:024x}", owner, f"files/af{count:024x}", ())
            request = {"request": {"contents": [{"parts": [{"text": "?"}]}]}}
            requests = {"requests": [request] * count}
            batch = {"displayName": mark.display_name(label), "inputConfig": {"requests": requests}}
            url = f"/v1beta/models/{DEFAULT_MODEL}:batchGenerateContent"
            client.post(url, json={"batch": batch}).raise_for_status()


def take(driver: Chrome, airflow: LocalAirflow, run_id: str) -> None:
    """Take each screenshot and write it to the image folder."""
    driver.get(f"{airflow.url}/auth/token/login")
    page = f"{airflow.url}/plugin/gemini-files"
    for theme in ("light", "dark"):
        driver.execute_script("localStorage.theme = arguments[0]", theme)
        driver.get(page)
        inside(driver, lambda: find(driver, "#files tbody tr"))
        shoot(driver, f"page-{theme}")
    driver.execute_script("localStorage.theme = 'light'")
    driver.get(page)
    inside(driver, lambda: open_details(driver))
    shoot(driver, "details")
    for tab in ("stores", "batches", "costs"):
        driver.get(f"{page}?tab={tab}")
        inside(driver, lambda tab=tab: find(driver, f"#{tab} tbody tr"))
        shoot(driver, tab)
    driver.get(page)
    inside(driver, lambda: preview_cleanup(driver))
    shoot(driver, "cleanup")
    task = f"{airflow.url}/dags/gemini_files_quickstart/runs/{quote(run_id)}/tasks/upload"
    driver.get(f"{task}/details")
    wait(driver, lambda: driver.find_elements(By.LINK_TEXT, "Gemini file"))
    shoot(driver, "extra-link")
    driver.get(task)
    wait(driver, lambda: "Uploaded" in driver.page_source)
    shoot(driver, "task-log")
    fields = {"connection_id": "gemini_video_team", "conn_type": "gemini", "password": KEY, "extra": '{"timeout": 120}'}
    airflow.api("POST", "/connections", json=fields)
    driver.get(f"{airflow.url}/connections")
    find(driver, "[aria-label='Edit Connection']").click()
    wait(driver, lambda: "Base URL" in driver.page_source)
    shoot(driver, "connection")
    take_cleanup(driver, airflow)


def take_cleanup(driver: Chrome, airflow: LocalAirflow) -> None:
    """Run the cleanup Dag; take its report and its asset."""
    dag_id = "gemini_files_cleanup"
    airflow.trigger(dag_id)
    airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    # The schedule creates another run; one of the two deletes files.
    runs = lambda: [run["dag_run_id"] for run in airflow.api("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]]  # noqa: E731
    report = lambda run_id: airflow.xcom(dag_id, run_id, "cleanup_gemini_default") or {}  # noqa: E731
    run_id = wait(driver, lambda: [run_id for run_id in runs() if report(run_id).get("deleted_files")])[0]
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/cleanup_gemini_default/links"
    # The task writes its links after its result.
    link = wait(driver, lambda: airflow.api("GET", path)["extra_links"]["Cleanup report"])
    driver.get(f"{airflow.url}/{link}")
    # The first listing may be older than the cleanup.
    inside(driver, lambda: find(driver, "#report .reasons") and wait(driver, lambda: is_fresh(driver)))
    shoot(driver, "report")
    [asset] = airflow.api("GET", "/assets", params={"uri_pattern": "gemini-files://"})["assets"]
    driver.get(f"{airflow.url}/assets/{asset['id']}")
    wait(driver, lambda: unfold_event(driver))
    shoot(driver, "asset")


def unfold_event(driver: Chrome) -> bool:
    """Unfold the JSON of an event; return whether it is shown."""
    for folded in driver.find_elements(By.CSS_SELECTOR, ".codicon-folding-collapsed")[:1]:
        folded.click()
        time.sleep(1)
    return (
        bool(driver.find_elements(By.CSS_SELECTOR, ".codicon-folding-expanded")) and "used_bytes" in driver.page_source
    )


def open_details(driver: Chrome) -> None:
    """Open the details of a file, wait until they are loaded, and scroll to them."""
    # The first file is one that all runs share.
    find(driver, "#files tbody tr:nth-child(2) .toggle").click()
    wait(driver, lambda: "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ask" in find(driver, "tr.details").text)
    driver.execute_script("scrollTo(0, document.querySelector('#files').offsetTop)")


def preview_cleanup(driver: Chrome) -> None:
    """Open the cleanup dialog and wait for its preview."""
    find(driver, ".actions button").click()
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "dialog .danger") or press_preview(driver))


def press_preview(driver: Chrome) -> None:
    """Press the button if it is enabled: at first, and again if a busy machine has failed the request."""
    for button in driver.find_elements(By.CSS_SELECTOR, "dialog .primary:enabled"):
        button.click()


def is_fresh(driver: Chrome) -> bool:
    """Return whether the page has listed the files within the last seconds."""
    return find(driver, "#age").text == "Updated just now"


def inside(driver: Chrome, action: Callable[[], object]) -> None:
    """Call a function while the frame of the page is selected."""
    driver.switch_to.frame(find(driver, "iframe"))
    action()
    driver.switch_to.default_content()


def find(driver: Chrome, css: str):
    """Wait for an element and return it."""
    return wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, css))[0]


def wait(driver: Chrome, condition: Callable[[], object]):
    """Wait until a condition is true and return its value."""
    return WebDriverWait(driver, SECONDS).until(lambda _: condition())


def shoot(driver: Chrome, name: str) -> None:
    """Write a screenshot."""
    # Animations may still be running.
    time.sleep(1)
    driver.save_screenshot(str(IMAGES / f"{name}.png"))
    print(f"{name}: {(IMAGES / f'{name}.png').stat().st_size // 1024} KiB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
