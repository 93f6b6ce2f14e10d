"""A headless Chromium, for the tests of the page and for its screenshots."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_AXE = "axe-core@4"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
    "--hide-scrollbars",
    "--no-first-run",
)


def missing() -> list[str]:
    """Return the programs that are needed and not there."""
    return [name for name in ("chromium", "chromedriver", "npm") if shutil.which(name) is None]


@contextlib.contextmanager
def chromium(width: int = 1440, height: int = 900) -> Iterator[webdriver.Chrome]:
    """Yield a browser with an empty profile that keeps what its console says."""
    with tempfile.TemporaryDirectory(prefix="gemini-files-chromium-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Told where the driver is, Selenium looks for none elsewhere.
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def axe(folder: Path) -> str:
    """Install axe-core into a folder where it is not there; return its script, which checks accessibility."""
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-save", "--silent", "--prefix", str(folder), _AXE], check=True)
    return script.read_text()
