"""
Measure how long the page takes until its first paint and until its table has rows, and what it loads for that.

Run ``python benchmarks/page.py [FILES]``; the default is 5,000. A real Airflow serves the page to Chromium, and the
emulator has the files. Everything runs on this machine, so a second part delays each request as a network would.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import httpx
from browser import chromium, missing
from local_airflow import LocalAirflow, connection
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from airflow_provider_gemini_files.deployment import VARIABLE
from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.files.naming import Owner, display_name_for

FILES = 5_000
KEY = "bench-key"
DEPLOYMENT = "of-the-benchmark"
FILES_OF_A_RUN = 50
RUNS_OF_A_DAG = 10
ROUNDS = 5
ROUND_TRIP_MS = 50
SECONDS = 120
#: Notes when the browser has drawn the first rows.
_OBSERVE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("#files tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.rowsAt = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""
_MEASURE = """
const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
// The others are from the browser's cache.
const responses = entries.filter(({ transferSize }) => transferSize > 0);
return [
  performance.getEntriesByName("first-contentful-paint")[0].startTime,
  window.rowsAt,
  responses.length,
  responses.reduce((sum, { transferSize }) => sum + transferSize, 0),
  Math.max(...responses.map(({ decodedBodySize }) => decodedBodySize)),
];
"""


@dataclass(frozen=True)
class View:
    """
    What opening the page has taken.

    :param paint: milliseconds until the first paint.
    :param rows: milliseconds until the table has rows.
    :param responses: how many the API server has sent.
    :param sent: their bytes, compressed and with their headers.
    :param largest: bytes of the largest one, not compressed.
    """

    paint: float
    rows: float
    responses: int
    sent: int
    largest: int


def seed(service: GeminiEmulator, count: int) -> None:
    """Create files of the runs of several Dags."""
    resources = []
    for number in range(count):
        run = number // FILES_OF_A_RUN
        owner = Owner(f"videos_{run // RUNS_OF_A_DAG}", f"scheduled__{run}", "upload", number, DEPLOYMENT)
        resources.append(
            {
                "name": f"files/af{number:022}",
                "display_name": display_name_for(f"product-{number:05}.mp4", owner),
                "mime_type": "video/mp4",
                "size": 1_000_000,
                "age": 3600 + number,
            }
        )
    body = {"api_key": KEY, "resources": resources}
    httpx.post(f"{service.base_url}/__emulator/seed", json=body, timeout=SECONDS, trust_env=False).raise_for_status()


def view(driver: Chrome, airflow: LocalAirflow, conn_id: str) -> View:
    """Open the page of a connection and measure it."""
    driver.get(f"{airflow.url}/gemini-files/?conn_id={conn_id}")
    WebDriverWait(driver, SECONDS, 0.1).until(lambda _: driver.execute_script("return window.rowsAt"))
    return View(*driver.execute_script(_MEASURE))


def cold(driver: Chrome, airflow: LocalAirflow, conn_id: str) -> View:
    """Open the page while neither the browser nor the API server has anything of it."""
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    return view(driver, airflow, conn_id)


def report(title: str, views: list[View]) -> None:
    """Print the medians of views, and the slowest one."""
    paint, rows = (sorted(getattr(one, name) for one in views) for name in ("paint", "rows"))
    last = views[-1]
    sent = f"{last.responses} responses of {last.sent // 1024} KiB"
    print(
        f"{title:28} first paint {statistics.median(paint):5.0f} ms (at most {paint[-1]:5.0f}), "
        f"rows {statistics.median(rows):5.0f} ms (at most {rows[-1]:5.0f}); "
        f"{sent}, the largest has {last.largest:,} bytes",
        flush=True,
    )


def measure(driver: Chrome, airflow: LocalAirflow) -> None:
    """Open the page in each state, and print what that has taken."""
    driver.get(f"{airflow.url}/auth/token/login")
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _OBSERVE})
    report("first view of an API server", [cold(driver, airflow, "gemini_default")])
    report("cold", [cold(driver, airflow, f"gemini_{number}") for number in range(ROUNDS)])
    report("warm", [view(driver, airflow, "gemini_default") for _ in range(ROUNDS)])
    driver.execute_cdp_cmd("Network.enable", {})
    away = {"offline": False, "latency": ROUND_TRIP_MS, "downloadThroughput": -1, "uploadThroughput": -1}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", away)
    apart = f", {ROUND_TRIP_MS} ms away"
    report(f"cold{apart}", [cold(driver, airflow, f"gemini_{ROUNDS + number}") for number in range(ROUNDS)])
    report(f"warm{apart}", [view(driver, airflow, "gemini_default") for _ in range(ROUNDS)])


def main() -> int:
    """Start a service, Airflow and a browser; measure the page; end them."""
    if programs := missing():
        print(f"not measured: {', '.join(programs)} not installed (apt-get install chromium chromium-driver npm)")
        return 0
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    with (
        tempfile.TemporaryDirectory(prefix="gemini-files-bench-", ignore_cleanup_errors=True) as folder,
        GeminiEmulator() as service,
        LocalAirflow(
            Path(folder) / "home", Path(folder) / "dags", connection(host=service.base_url, key=KEY)
        ) as airflow,
        chromium() as driver,
    ):
        airflow.api("POST", "/variables", json={"key": VARIABLE, "value": DEPLOYMENT})
        for number in range(2 * ROUNDS):
            fields = {"conn_type": "gemini", "host": service.base_url, "password": KEY}
            airflow.api("POST", "/connections", json={"connection_id": f"gemini_{number}", **fields})
        seed(service, count)
        print(f"{count:,} files, medians of {ROUNDS} views")
        measure(driver, airflow)
    return 0


if __name__ == "__main__":
    sys.exit(main())
