"""The connection as the UI shows and tests it."""

from __future__ import annotations

import httpx
import pytest
from local_airflow import LocalAirflow
from support import API_KEY

from airflow_provider_gemini_files.emulator import GeminiEmulator
from airflow_provider_gemini_files.hooks.extras import ConnectionExtras

pytestmark = pytest.mark.airflow


def test_connection_form_has_a_label_for_each_field(airflow: LocalAirflow):
    # The route behind the form of the UI; it is not part of the public API.
    forms = httpx.get(f"{airflow.url}/ui/connections/hook_meta", headers=airflow.headers).json()
    [form] = [form for form in forms if form["connection_type"] == "gemini"]

    assert form["hook_name"] == "Google Gemini API"
    assert form["standard_fields"]["password"]["title"] == "API key"
    assert form["standard_fields"]["host"]["placeholder"] == "https://generativelanguage.googleapis.com"
    if airflow.version >= (3, 2):
        assert set(form["extra_fields"]) == set(ConnectionExtras.model_fields)
        assert form["extra_fields"]["upload_via_host"]["schema"]["type"] == "boolean"


def test_button_tests_the_connection(airflow: LocalAirflow, service: GeminiEmulator):
    body = {"connection_id": "tried", "conn_type": "gemini", "host": service.base_url, "password": API_KEY}

    assert airflow.api("POST", "/connections/test", json=body) == {
        "status": True,
        "message": f"The Gemini API at {service.base_url} accepts the key and lists files (v1beta).",
    }
