from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import airflow
import jsonschema
import pytest

from airflow_provider_gemini_files import __version__
from airflow_provider_gemini_files.hooks.connection import ConnectionExtras
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow-provider-gemini-files"
[CONNECTION_TYPE] = get_provider_info()["connection-types"]


def test_airflow_lists_the_provider_with_its_metadata(airflow_db):
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


def test_every_named_module_exists():
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers", "bundles")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]

    assert len(modules) == 16
    for module in modules:
        importlib.import_module(module)


def test_metadata_are_of_airflows_schema():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(get_provider_info())] == []


def test_named_guides_and_logo_exist():
    [integration] = get_provider_info()["integrations"]
    paths = [*integration["how-to-guide"], integration["logo"]]

    assert len(paths) == 15
    # Airflow's own providers name them by such paths.
    assert all(path.startswith("/docs/") for path in paths)
    assert [path for path in paths if not (ROOT / path.removeprefix("/")).is_file()] == []


def test_logo_is_that_of_the_site():
    [integration] = get_provider_info()["integrations"]
    site = re.findall(r"^  (?:logo|favicon): (\S+)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)

    assert [f"/docs/{path}" for path in site] == [integration["logo"]] * 2
    assert ElementTree.parse(ROOT / "docs" / site[0]).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_named_notifier_exists():
    [name] = get_provider_info()["notifications"]
    module, _, name = name.rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))


def test_named_decorator_exists():
    [decorator] = get_provider_info()["task-decorators"]
    module, _, name = decorator["class-name"].rpartition(".")

    assert decorator["name"] == "gemini"
    assert callable(getattr(importlib.import_module(module), name))


def test_connection_type_names_the_hook():
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")

    assert getattr(importlib.import_module(module), name) is GeminiFilesHook
    assert CONNECTION_TYPE["connection-type"] == GeminiFilesHook.conn_type
    assert CONNECTION_TYPE["hook-name"] == GeminiFilesHook.hook_name


def test_form_has_every_extra_and_no_other():
    assert list(CONNECTION_TYPE["conn-fields"]) == list(ConnectionExtras.model_fields)


@pytest.mark.parametrize("name", ["api_version", "quota_bytes", "timeout", "max_retries", "upload_via_host"])
def test_form_shows_the_defaults_that_hold(name):
    assert CONNECTION_TYPE["conn-fields"][name]["schema"]["default"] == getattr(ConnectionExtras(), name)


def test_form_leaves_the_model_empty_so_that_its_default_can_move():
    assert "default" not in CONNECTION_TYPE["conn-fields"]["model"]["schema"]


def test_bounds_of_the_form_are_those_of_the_connection():
    fields = CONNECTION_TYPE["conn-fields"]

    assert fields["timeout"]["schema"]["minimum"] == 10
    assert fields["quota_bytes"]["schema"]["minimum"] == 1
    assert (fields["max_retries"]["schema"]["minimum"], fields["max_retries"]["schema"]["maximum"]) == (0, 100)
    assert fields["upload_via_host"]["schema"]["type"] == "boolean"


def test_hook_gives_airflow_3_1_the_same_labels():
    behaviour = GeminiFilesHook.get_ui_field_behaviour()

    assert behaviour["relabeling"] == {"password": "API key", "host": "Base URL"}
    assert behaviour["hidden_fields"] == ["schema", "port", "login"]
