from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.providers.common.compat.sdk import HookLineageCollector

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


@pytest.fixture
def collector(mocker) -> HookLineageCollector:
    """Return Airflow's collector, as it is if a plugin reads lineage."""
    mocker.patch.object(lineage, "is_read", autospec=True, return_value=True)
    collector = HookLineageCollector()
    mocker.patch.object(lineage, "get_hook_lineage_collector", autospec=True, return_value=collector)
    return collector


def collected(collector) -> tuple[list[str], list[str]]:
    found = collector.collected_assets
    return [one.asset.uri for one in found.inputs], [one.asset.uri for one in found.outputs]


def test_upload_leads_from_its_source_to_the_file(emulator, context, collector, tmp_path):
    path = tmp_path / "Tür.txt"
    path.write_text("text")

    name = GeminiUploadFileOperator(task_id="upload", source=str(path)).execute(context)

    assert collected(collector) == (
        [f"file://{tmp_path}/T%C3%BCr.txt"],
        [f"gemini-files://gemini_default/{name}"],
    )


def test_answer_leads_from_the_file_to_the_output(emulator, hook, context, collector, text_file, tmp_path):
    lineage.is_read.return_value = False
    file = hook.upload_file(text_file)
    lineage.is_read.return_value = True

    GeminiGenerateContentOperator(
        task_id="ask", files=file.name, prompt="x", output_path=tmp_path / "answer.txt"
    ).execute(context)

    assert collected(collector) == (
        [f"gemini-files://gemini_default/{file.name}"],
        [f"file://{tmp_path}/answer.txt"],
    )


def test_failing_collector_does_not_fail_the_task(emulator, context, collector, text_file, mocker):
    broken = mocker.create_autospec(HookLineageCollector, instance=True)
    broken.add_input_asset.side_effect = broken.add_output_asset.side_effect = ValueError("no such asset")
    lineage.get_hook_lineage_collector.return_value = broken

    assert GeminiUploadFileOperator(task_id="upload", source=str(text_file)).execute(context)
    assert broken.add_output_asset.call_count == 1


READ_BY_OPENLINEAGE = """
import json, sys
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

hook = GeminiFilesHook()
file = hook.upload_file(sys.argv[1])
hook.generate_content("x", [file])
found = ExtractorManager().get_hook_lineage()
print(json.dumps([[[one.namespace, one.name] for one in side] for side in (found.inputs, found.outputs)] + [file.name]))
"""


def test_provider_of_openlineage_reads_it(emulator, text_file, monkeypatch):
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    done = subprocess.run(
        [sys.executable, "-c", READ_BY_OPENLINEAGE, str(text_file)], capture_output=True, text=True, check=True
    )

    inputs, outputs, name = json.loads(done.stdout.splitlines()[-1])
    file = ["gemini-files://gemini_default", name]
    assert inputs == [["file", str(text_file)], file]
    assert outputs == [file]


def test_collector_is_not_created_if_nobody_reads_lineage(emulator, context, collector, text_file):
    lineage.is_read.return_value = False

    GeminiUploadFileOperator(task_id="upload", source=str(text_file)).execute(context)

    lineage.get_hook_lineage_collector.assert_not_called()


def test_lineage_is_not_read_without_a_plugin_for_it(monkeypatch):
    plugins_manager = pytest.importorskip("airflow.sdk.plugins_manager")
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", list)

    assert not lineage.is_read()
