"""The code in ``docs/content.md`` is code that works."""

from __future__ import annotations

import importlib
import json
import re
import textwrap
from pathlib import Path

import pytest
from support import EXAMPLE_DAGS

from airflow_provider_gemini_files import retry_policy

TEXT = (Path(__file__).parent.parent / "docs" / "content.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
WHOLE = [block for block in BLOCKS if block.startswith("from ")]


@pytest.mark.parametrize("block", WHOLE, ids=range(len(WHOLE)))
def test_each_dag_of_it_can_be_parsed(block):
    if "GeminiRetryPolicy" in block and retry_policy.RetryPolicy is object:
        pytest.skip("Airflow knows retry policies from 3.3 on")

    exec(compile(block, "docs/content.md", "exec"), {})


def test_many_prompts_over_one_file_send_it_once(emulator, text_file, tmp_path, airflow_db, monkeypatch):
    [block] = [block for block in WHOLE if "QUESTIONS" in block]
    assert block.count("/data/meeting.mp3") == 1
    (tmp_path / "minutes_of_docs.py").write_text(block.replace("/data/meeting.mp3", str(text_file)))
    monkeypatch.syspath_prepend(tmp_path)
    bundle = {"name": "docs", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(tmp_path)}}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))

    run = importlib.import_module("minutes_of_docs").minutes().test()

    assert run.state == "success"
    called = [entry["call"] for entry in emulator.journal]
    assert [called.count(call) for call in ("start", "generate", "delete")] == [1, 3, 1]


def test_the_rest_is_taken_from_the_examples():
    [excerpt] = set(BLOCKS) - set(WHOLE)
    source = (EXAMPLE_DAGS / "gemini_files_invoices.py").read_text()
    [marked] = re.findall(r"# \[START extract\]\n(.*?) *# \[END extract\]", source, re.DOTALL)

    assert textwrap.dedent(marked) == excerpt


def test_its_links_lead_somewhere():
    titles = {re.sub(r"[^a-z -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^## (.*)", TEXT, re.M)}

    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) == titles
