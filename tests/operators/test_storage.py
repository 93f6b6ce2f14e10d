"""The cleanup operator against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from support import counting, seed

from airflow_provider_gemini_files.assets import storage_asset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.operators.storage import GeminiCleanupFilesOperator

RUNS = {"done": "success", "live": "running"}


@pytest.fixture
def context(ti):
    """Return the context of a task whose Airflow knows the runs above."""
    ti.get_dr_count = counting(RUNS)
    return {"ti": ti}


@pytest.fixture(autouse=True)
def _files(emulator):
    for run in ("done", "live", "deleted"):
        label = display_name_for(f"{run}.pdf", Owner("dag", run, "task"))
        seed(emulator.base_url, {"name": f"files/{run}", "display_name": label, "age": 7200, "size": 1000})


@pytest.fixture
def logged(mocker) -> Callable[[], str]:
    """Return a function that says what the operator has logged."""
    log = mocker.patch.object(GeminiCleanupFilesOperator, "log", autospec=True)

    def text() -> str:
        calls = [*log.info.call_args_list, *log.warning.call_args_list]
        return "\n".join(call.args[0] % call.args[1:] for call in calls)

    return text


def left(hook) -> list[str]:
    return sorted(file.name for file in hook.list_files())


def test_it_deletes_and_reports(context, hook, logged):
    report = GeminiCleanupFilesOperator(task_id="sweep").execute(context)

    assert left(hook) == ["files/live"]
    assert report["deleted"] == {
        "run finished": {"files": 1, "bytes": 1000}, "run gone": {"files": 1, "bytes": 1000},
    }  # fmt: skip
    assert report["after"]["used_bytes"] == 1000
    assert "deleted       run finished" in logged()


@pytest.mark.parametrize("dry_run", [True, "True", "true"])
def test_a_dry_run_deletes_nothing(context, hook, dry_run):
    report = GeminiCleanupFilesOperator(task_id="sweep", dry_run=dry_run).execute(context)

    assert report["deleted_files"] == 2
    assert len(left(hook)) == 3


@pytest.mark.parametrize(
    "policy",
    [
        RetentionPolicy(include_orphans=False, grace=timedelta(minutes=5)),
        {"include_orphans": "False", "grace": "0.1", "max_age": "None", "high_watermark": "0.9", "keep": []},
    ],
)
def test_the_policy_may_be_texts_as_templates_make_them(context, hook, policy):
    GeminiCleanupFilesOperator(task_id="sweep", policy=policy, dry_run="False").execute(context)

    assert left(hook) == ["files/deleted", "files/live"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": {"max_agee": 1}}, "no max_agee; its fields are max_age,"),
        ({"policy": {"max_age": "soon"}}, "max_age of the retention policy cannot be 'soon'"),
        ({"policy": {"include_foreign": "perhaps"}}, "include_foreign of the retention policy cannot be 'perhaps'"),
        ({"policy": {"low_watermark": "0.95"}}, "low_watermark=0.95"),
        ({"policy": {"keep": "files/a"}}, "keep"),
        ({"dry_run": "perhaps"}, "dry_run is true or false, got 'perhaps'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_listed(context, emulator, wrong, message):
    emulator.clear_journal()

    with pytest.raises(GeminiInputError, match=message):
        GeminiCleanupFilesOperator(task_id="sweep", **wrong).execute(context)
    assert emulator.journal == []


def test_what_can_be_deleted_goes_also_where_something_cannot(context, hook, emulator, logged):
    emulator.faults.add("delete", "internal", times=2)
    hook.connection.__dict__["max_retries"] = 0
    operator = GeminiCleanupFilesOperator(task_id="sweep")
    operator.__dict__["hook"] = hook
    seed(
        emulator.base_url,
        {"name": "files/done2", "display_name": display_name_for("b", Owner("dag", "done", "task")), "age": 7200},
    )

    report = operator.execute(context)

    assert (report["failed"], report["deleted_files"]) == (2, 1)
    assert "2 files could not be deleted" in logged()


class ByAsset:
    """What Airflow looks up by an asset: the events of outlets, and from 3.3 on the state of assets."""

    def __init__(self, **found: object) -> None:
        self._found = found

    def __getitem__(self, asset):
        return self._found[asset.uri.rpartition("/")[2]]


def test_the_asset_is_told_the_usage(context):
    asset = storage_asset("gemini_default")
    event = SimpleNamespace(extra={})
    stored: dict[str, object] = {}
    store = SimpleNamespace(set=stored.__setitem__)
    context |= {
        "outlet_events": ByAsset(gemini_default=event),
        "asset_state_store": ByAsset(gemini_default=store),
    }

    report = GeminiCleanupFilesOperator(task_id="sweep", outlets=[asset]).execute(context)

    assert event.extra == report["after"]
    assert stored == {"usage": report["after"]}


def test_a_state_store_that_fails_does_not_fail_the_sweep(context, logged):
    asset = storage_asset("gemini_default")
    context |= {
        "outlet_events": ByAsset(gemini_default=SimpleNamespace(extra={})),
        "asset_state_store": ByAsset(),
    }

    assert GeminiCleanupFilesOperator(task_id="sweep", outlets=[asset]).execute(context)["deleted_files"] == 2
    assert "could not be kept" in logged()
