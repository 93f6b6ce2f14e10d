"""The cleanup operator against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from support import FakeClock, counting, seed

from airflow_provider_gemini_files import deployment, usage_history
from airflow_provider_gemini_files.assets import storage_asset
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.kinds import Kind
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
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
        label = display_name_for(f"{run}.pdf", Owner("dag", run, "task", deployment=deployment.of_task()))
        seed(emulator.base_url, {"name": f"files/{run}", "display_name": label, "age": 90_000, "size": 1000})


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


def test_cleanup_deletes_logs_and_returns_a_report(context, hook, logged):
    report = GeminiCleanupFilesOperator(task_id="cleanup").execute(context)

    assert left(hook) == ["files/live"]
    assert report["deleted"] == {
        "run finished": {"files": 1, "bytes": 1000}, "run gone": {"files": 1, "bytes": 1000},
    }  # fmt: skip
    assert report["after"]["used_bytes"] == 1000
    assert "deleted       run finished" in logged()


@pytest.mark.parametrize("dry_run", [True, "True", "true"])
def test_dry_run_deletes_nothing(context, hook, dry_run):
    report = GeminiCleanupFilesOperator(task_id="cleanup", dry_run=dry_run).execute(context)

    assert report["deleted_files"] == 2
    assert len(left(hook)) == 3


@pytest.mark.parametrize(
    "policy",
    [
        RetentionPolicy(include_orphans=False, grace=timedelta(minutes=5), max_age_finished=timedelta(hours=1)),
        {
            "include_orphans": "False",
            "grace": "0.1",
            "max_age": "None",
            "max_age_finished": "1",
            "high_watermark": "0.9",
            "keep": [],
        },
    ],
)
def test_policy_may_be_texts_as_templates_make_them(context, hook, policy):
    GeminiCleanupFilesOperator(task_id="cleanup", policy=policy, dry_run="False").execute(context)

    assert left(hook) == ["files/deleted", "files/live"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": {"max_agee": 1}}, "max_agee is unknown; there are max_age,"),
        ({"policy": {"max_age": "soon"}}, "max_age .*got 'soon'"),
        ({"policy": {"max_age": "inf"}}, "max_age .*got 'inf'"),
        ({"policy": {"include_foreign": "perhaps"}}, "include_foreign .*got 'perhaps'"),
        ({"policy": {"low_watermark": "0.95"}}, "low_watermark"),
        ({"policy": {"keep": "files/a"}}, "keep"),
        ({"policy": "max_age=1"}, "policy must be a RetentionPolicy or a dict of its fields"),
        ({"dry_run": "perhaps"}, "dry_run must be true or false; got 'perhaps'"),
    ],
)
def test_unusable_argument_is_refused_before_anything_is_listed(context, emulator, wrong, message):
    emulator.clear_journal()

    with pytest.raises(GeminiInputError, match=message):
        GeminiCleanupFilesOperator(task_id="cleanup", **wrong).execute(context)
    assert emulator.journal == []


def test_file_that_cannot_be_deleted_does_not_keep_the_others(context, hook, connect, emulator, logged):
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.faults.add("delete", "internal")

    report = GeminiCleanupFilesOperator(task_id="cleanup").execute(context)

    assert (report["failed"], report["deleted_files"]) == (1, 1)
    assert len(left(hook)) == 2
    assert "1 files could not be deleted" in logged()


def test_rate_limit_is_waited_for(context, emulator):
    emulator.faults.add("delete", "rate_limit", seconds=7)
    operator = GeminiCleanupFilesOperator(task_id="cleanup")
    clock = FakeClock(emulator)
    operator.hook = GeminiFilesHook(clock=clock)

    assert operator.execute(context)["deleted_files"] == 2
    assert clock.slept == [7.0]


def test_arguments_are_template_fields_so_that_mapped_tasks_can_expand_them():
    assert GeminiCleanupFilesOperator.template_fields == ("policy", "dry_run", "gemini_conn_id")
    operator = GeminiCleanupFilesOperator(task_id="cleanup", dry_run="{{ params.dry_run }}")
    operator.render_template_fields({"params": {"dry_run": True}})

    assert operator.dry_run == "True"


class ByAsset:
    """The events of outlets, which Airflow looks up by an asset."""

    def __init__(self, **found: object) -> None:
        self._found = found

    def __getitem__(self, asset):
        return self._found[asset.uri.rpartition("/")[2]]


@pytest.mark.parametrize(("dry_run", "usage"), [(False, "after"), (True, "before")])
def test_usage_is_the_extra_of_the_assets_event(context, dry_run, usage):
    asset = storage_asset("gemini_default")
    event = SimpleNamespace(extra={})
    context["outlet_events"] = ByAsset(gemini_default=event)

    report = GeminiCleanupFilesOperator(task_id="cleanup", outlets=[asset], dry_run=dry_run).execute(context)

    assert event.extra == report[usage]


@pytest.mark.parametrize("dry_run", [False, True])
def test_usage_and_what_was_deleted_are_recorded(context, variables, dry_run):
    report = GeminiCleanupFilesOperator(task_id="cleanup", dry_run=dry_run).execute(context)

    history = usage_history.of_task.load("gemini_default")
    [sample] = history.samples
    assert (sample.files, sample.used_bytes) == (3, 3000)
    # The usage before the cleanup, by owner: of a running run, and of runs that have ended.
    assert sample.by_kind == (1000, 2000, 0, 0, 0, 0)
    assert report["owned"] == dict.fromkeys(Kind, 0) | {"running": 1000, "finished": 2000}
    assert [(one.files, one.bytes) for one in history.cleanups] == ([] if dry_run else [(2, 2000)])


def test_cleanup_succeeds_if_its_usage_cannot_be_recorded(context, variables):
    variables.error = ConnectionError("no API server")

    assert GeminiCleanupFilesOperator(task_id="cleanup").execute(context)["deleted_files"] == 2
