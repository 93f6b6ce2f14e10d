from __future__ import annotations

import json
import subprocess
import sys

from airflow.providers.common.compat.sdk import HookLineageCollector
from transfer_store import ObjectStorage

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator


def collect(mocker) -> HookLineageCollector:
    """Return Airflow's collector, as it is if a plugin reads lineage."""
    collector = HookLineageCollector()
    mocker.patch.object(lineage, "get_hook_lineage_collector", autospec=True, return_value=collector)
    mocker.patch.object(lineage, "is_read", autospec=True, return_value=True)
    return collector


def collected(collector: HookLineageCollector) -> tuple[list[str], list[str]]:
    found = collector.collected_assets
    return [one.asset.uri for one in found.inputs], [one.asset.uri for one in found.outputs]


def test_an_upload_leads_from_the_source_to_the_file(emulator, context, mocker, tmp_path):
    collector = collect(mocker)
    path = tmp_path / "Tür.txt"
    path.write_text("text")

    name = GeminiUploadFileOperator(task_id="upload", source=str(path)).execute(context)

    assert collected(collector) == (
        [f"file://{tmp_path}/T%C3%BCr.txt"],
        [f"gemini-files://gemini_default/{name}"],
    )


def test_an_upload_of_an_object_leads_from_its_uri_without_the_connection(emulator, context, mocker):
    collector, storage = collect(mocker), ObjectStorage()
    storage.put(**{"in/a.txt": b"text"})

    GeminiUploadFileOperator(task_id="upload", source=storage.uri("in/a.txt")).execute(context)

    [source], _ = collected(collector)
    assert source.endswith("/bucket/in/a.txt")
    assert storage.conn_id not in source


def test_a_prompt_leads_from_the_file_to_the_output(emulator, hook, context, mocker, text_file, tmp_path):
    file = hook.upload_file(text_file)
    collector = collect(mocker)

    GeminiGenerateContentOperator(
        task_id="ask", files=file.name, prompt="x", output_path=tmp_path / "answer.txt"
    ).execute(context)

    assert collected(collector) == (
        [f"gemini-files://gemini_default/{file.name}"],
        [f"file://{tmp_path}/answer.txt"],
    )


def test_a_collector_that_fails_fails_no_task(emulator, context, text_file, mocker):
    broken = mocker.create_autospec(HookLineageCollector, instance=True)
    broken.add_input_asset.side_effect = broken.add_output_asset.side_effect = ValueError("no such asset")
    mocker.patch.object(lineage, "get_hook_lineage_collector", autospec=True, return_value=broken)
    mocker.patch.object(lineage, "is_read", autospec=True, return_value=True)

    assert GeminiUploadFileOperator(task_id="upload", source=str(text_file)).execute(context)
    assert broken.add_output_asset.call_count == 1


def test_nothing_is_collected_if_nobody_reads_it(emulator, context, text_file, mocker):
    mocker.patch.object(lineage, "is_read", autospec=True, return_value=False)
    get = mocker.patch.object(lineage, "get_hook_lineage_collector", autospec=True)

    GeminiUploadFileOperator(task_id="upload", source=str(text_file)).execute(context)

    get.assert_not_called()


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


def run(program: str, *arguments: str) -> str:
    """Run a program in a process of its own; return the last line that it prints."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_openlineage_s_own_provider_reads_it(emulator, text_file, monkeypatch):
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')

    inputs, outputs, name = json.loads(run(READ_BY_OPENLINEAGE, str(text_file)))

    file = ["gemini-files://gemini_default", name]
    assert inputs == [["file", str(text_file)], file]
    assert outputs == [file]
