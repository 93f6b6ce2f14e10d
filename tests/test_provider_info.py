from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from airflow_provider_gemini_files import __version__
from airflow_provider_gemini_files.hooks import connection
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.provider_info import CONNECTION_TYPE, get_provider_info

PACKAGE = "airflow-provider-gemini-files"


def test_airflow_lists_the_provider_and_tells_its_metadata(airflow_db):
    command = [sys.executable, "-m", "airflow", "providers", "get", PACKAGE, "--full", "--output", "json"]
    listing = [sys.executable, "-m", "airflow", "providers", "list", "--output", "json"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as get,
        subprocess.Popen(listing, stdout=subprocess.PIPE, text=True) as listed,
    ):
        told = json.loads(get.communicate()[0])
        providers = json.loads(listed.communicate()[0])

    assert get.returncode == listed.returncode == 0
    assert PACKAGE in json.dumps(told)
    [ours] = [provider for provider in providers if provider["package_name"] == PACKAGE]
    assert ours["version"] == __version__


def test_every_module_it_names_is_there():
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers", "bundles")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]

    assert len(modules) == 9
    for module in modules:
        importlib.import_module(module)


def test_the_hook_of_the_connection_type_is_there():
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")

    assert getattr(importlib.import_module(module), name) is GeminiFilesHook
    assert CONNECTION_TYPE["connection-type"] == GeminiFilesHook.conn_type
    assert CONNECTION_TYPE["hook-name"] == GeminiFilesHook.hook_name


@pytest.mark.parametrize("name", ["api_version", "quota_bytes", "timeout", "max_retries"])
def test_the_form_shows_the_defaults_that_hold(name):
    field = {"timeout": "timeout_seconds"}.get(name, name)

    default = CONNECTION_TYPE["conn-fields"][name]["schema"]["default"]
    assert default == getattr(connection, f"DEFAULT_{field.upper()}")


def test_the_form_has_every_extra_that_is_read():
    assert set(CONNECTION_TYPE["conn-fields"]) == set(connection._EXTRAS)


def test_airflow_3_1_gets_the_same_labels_from_the_hook():
    behaviour = GeminiFilesHook.get_ui_field_behaviour()

    assert behaviour["relabeling"] == {"password": "API key", "host": "Base URL"}
    assert behaviour["hidden_fields"] == ["schema", "port", "login"]
