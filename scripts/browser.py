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
#: The values of Blink for a pointer that is fine and can hover.
_MOUSE = "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"


def missing() -> list[str]:
    """Return the required programs that are not installed."""
    return [name for name in ("chromium", "chromedriver", "npm") if shutil.which(name) is None]


@contextlib.contextmanager
def chromium(width: int = 1440, height: int = 900, *, mouse: bool = False) -> Iterator[webdriver.Chrome]:
    """
    Yield a browser with an empty profile; its console log can be read.

    :param mouse: whether pages find a mouse, with which they hide what appears when it is over an element.
    """
    with tempfile.TemporaryDirectory(prefix="gemini-files-chromium-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = str(shutil.which("chromium"))
        flags = (*_FLAGS, *([_MOUSE] if mouse else []))
        for flag in (*flags, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With an explicit path, Selenium does not search for or download a driver.
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def axe(folder: Path) -> str:
    """Return the script of axe-core, which checks accessibility; install it into a folder first if it is missing."""
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-save", "--silent", "--prefix", str(folder), _AXE], check=True)
    return script.read_text()
