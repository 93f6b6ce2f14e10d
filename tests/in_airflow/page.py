"""Helpers for the tests of the page: a browser that shows it, and a Gemini project for each test."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
from local_airflow import LocalAirflow
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from airflow_provider_gemini_files.emulator import GeminiEmulator

SECONDS = 20


class Store:
    """A project of the emulator and its connection, one for each test: the page caches listings by connection."""

    def __init__(self, airflow: LocalAirflow, service: GeminiEmulator, conn_id: str) -> None:
        self.conn_id = conn_id
        self.key = f"key-of-{conn_id}-that-no-browser-may-see"
        self._service = service
        connection = {"connection_id": conn_id, "conn_type": "gemini", "host": service.base_url, "password": self.key}
        airflow.api("POST", "/connections", json=connection)

    def seed(self, *files: dict[str, Any]) -> None:
        """Create files in the project."""
        body = {"api_key": self.key, "resources": list(files)}
        httpx.post(f"{self._service.base_url}/__emulator/seed", json=body, timeout=60).raise_for_status()

    def add_document(self, store: str, name: str, metadata: dict[str, str]) -> None:
        """Upload a document into a file search store, with custom metadata."""
        begin = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        send = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        entries = [{"key": key, "stringValue": value} for key, value in metadata.items()]
        with httpx.Client(base_url=self._service.base_url, headers={"x-goog-api-key": self.key}) as client:
            url = f"/upload/v1beta/{store}:uploadToFileSearchStore"
            start = client.post(url, headers=begin, json={"displayName": name, "customMetadata": entries})
            client.post(start.headers["x-goog-upload-url"], headers=send, content=b"words").raise_for_status()

    def submit_job(self, display_name: str) -> str:
        """Submit a batch job with one request; return its name."""
        request = {"request": {"contents": [{"parts": [{"text": "?"}]}]}}
        batch = {"displayName": display_name, "inputConfig": {"requests": {"requests": [request]}}}
        url = f"{self._service.base_url}/v1beta/models/gemini-2.5-flash:batchGenerateContent"
        created = httpx.post(url, headers={"x-goog-api-key": self.key}, json={"batch": batch})
        return str(created.raise_for_status().json()["name"])

    def names(self) -> set[str]:
        """Return the names of the project's files."""
        headers = {"x-goog-api-key": self.key}
        page = httpx.get(f"{self._service.base_url}/v1beta/files?pageSize=100", headers=headers)
        return {file["name"] for file in page.json().get("files", [])}


class Page:
    """A browser that shows the page."""

    def __init__(self, driver: Chrome, airflow: LocalAirflow) -> None:
        self.driver = driver
        self.url = airflow.url
        self._airflow = airflow

    def login(self, user: str | None) -> None:
        """Log in as a user, or log out (None)."""
        self.driver.get(f"{self.url}/api/v2/version")
        self.driver.delete_all_cookies()
        self.driver.execute_script("localStorage.clear()")
        if user:
            self.driver.add_cookie({"name": "_token", "value": self._airflow.token(user)})
        self.console()

    def open(self, conn_id: str, **query: Any) -> None:
        """Open the page outside of Airflow's frame."""
        self.driver.get(f"{self.url}/gemini-files/?{urlencode({'conn_id': conn_id, **query}, doseq=True)}")

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until a condition is true and return its value; it is checked again if an element was replaced."""
        wait = WebDriverWait(self.driver, SECONDS, 0.05, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def all(self, css: str) -> list[WebElement]:
        """Return the visible elements that match."""
        return [element for element in self.driver.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()]

    def one(self, css: str) -> WebElement:
        """Wait for a visible element that matches, and return it."""
        return self.until(lambda: self.all(css))[0]

    def buttons(self, text: str) -> list[WebElement]:
        """Return the visible, enabled buttons whose text matches a pattern."""
        return [button for button in self.all("button") if re.fullmatch(text, button.text) and button.is_enabled()]

    def press(self, text: str) -> None:
        """Wait for a button and click it."""
        self.until(lambda: [button.click() or button for button in self.buttons(text)[:1]])

    def files(self) -> list[str]:
        """Return the names of the files in the table, in order."""
        return self.rows("files")

    def rows(self, section: str) -> list[str]:
        """Return the names of what the table of a section shows, in order."""
        script = "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map(row => row.id)"
        return self.driver.execute_script(script, section)

    @contextlib.contextmanager
    def sized(self, width: int, height: int = 800) -> Iterator[None]:
        """Set the size of the page itself, as a window cannot be as narrow as a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def overflow(self) -> list[str]:
        """Return the elements that make the page scroll sideways, with their right edges."""
        script = """
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll("main *, dialog *")]
                .map((part) => [part.tagName, part.id, part.className, Math.ceil(part.getBoundingClientRect().right)])
                .filter((part) => part.at(-1) > width).map(String)"""
        return self.driver.execute_script(script)

    def small_targets(self) -> list[str]:
        """Return the controls that are hard to hit with a finger (WCAG 2.5.8); buttons within a text are exempt."""
        script = """
            return [...document.querySelectorAll("main :is(button:not(.text), input, select)")]
                .filter((part) => part.checkVisibility())
                .map((part) => [part.outerHTML.slice(0, 80), part.getBoundingClientRect()])
                .filter(([, {width, height}]) => Math.min(width, height) < 24 && innerWidth <= 700)
                .map(([html, {width, height}]) => `${width}x${height}: ${html}`)"""
        return self.driver.execute_script(script)

    def console(self) -> list[str]:
        """Return the errors in the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
