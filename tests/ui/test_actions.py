"""The page's deletions; its routes and permissions are tested with a browser, in ``in_airflow/test_page.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pydantic
import pytest
from airflow.models.log import Log
from airflow.utils.session import create_session
from support import API_KEY, seed

from airflow_provider_gemini_files.common.concurrency import CONCURRENCY
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.ui import actions, audit
from airflow_provider_gemini_files.ui.actions import CleanupOptions, CleanupRequest
from airflow_provider_gemini_files.ui.changes import MAX_NAMES, Selected
from airflow_provider_gemini_files.ui.files import FileListing
from airflow_provider_gemini_files.ui.owners import OwnerRuns

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN_ID = "gemini_default"
OWNER = Owner("a_dag", "a_run", "a_task", 4, "tests")
OWNED = "files/owned"
FOREIGN = "files/foreign"


@pytest.fixture
def listing(emulator, hook) -> FileListing:
    """Return a listing of a file of a finished run and a file of another tool."""
    owned = {"name": OWNED, "display_name": f"a.txt{OWNER.mark()}", "age": 90_000}
    seed(emulator.base_url, owned, {"name": FOREIGN, "age": 90_000})
    return FileListing(time.time(), CONN_ID, tuple(hook.list_files()), 20 << 30, OwnerRuns({}))


@pytest.fixture
def run_is(mocker) -> Callable[[RunState], None]:
    """Return a function that sets the state of the run that owns the file; it is finished at first."""
    lookup = mocker.patch.object(actions, "database_lookup", autospec=True)

    lookup.deployment = "tests"

    def set_state(state: RunState) -> None:
        lookup.return_value = {(OWNER.dag_id, OWNER.run_id): state}

    set_state(RunState.FINISHED)
    return set_state


@pytest.fixture
def audited() -> Callable[[str], list[Log]]:
    """Return a function that returns the entries of an event since the test started, in the order of their writing."""
    with create_session() as session:
        last = max((entry_id for (entry_id,) in session.query(Log.id)), default=0)

    def entries(event: str) -> list[Log]:
        with create_session() as session:
            found = session.query(Log).filter(Log.event == event, Log.id > last).order_by(Log.id).all()
            session.expunge_all()
        return found

    return entries


def cleanup_request(*names: str, **policy: object) -> CleanupRequest:
    return CleanupRequest(policy=actions.default_policy() | policy, names=list(names))


def test_dry_run_returns_reason_of_each_deletion_and_deletes_nothing(listing, hook, run_is):
    result = actions.dry_run(listing, CleanupOptions(policy=actions.default_policy()))

    [[name, reason]] = result["deletions"]
    assert name == OWNED
    assert "run a_run of a_dag has ended" in reason
    assert list(result["kept"]) == ["foreign"]
    assert json.loads(json.dumps(result)) == result
    assert len(hook.list_files()) == 2


def test_dry_run_of_thousands_of_files_is_small(hook, run_is):
    files = tuple(
        GeminiFile(
            f"files/af{number:024x}", display_name=f"a{OWNER.mark()}", owner=OWNER, create_time="2020-01-01T00:00:00Z"
        )
        for number in range(5000)
    )
    told = actions.dry_run(
        FileListing(time.time(), CONN_ID, files, 20 << 30, OwnerRuns({})),
        CleanupOptions(policy=actions.default_policy()),
    )

    assert len(json.dumps(told)) < 300_000
    assert len(told["deletions"]) == 200
    assert {name for name, _ in told["deletions"]} | set(told["others"]) == {file.name for file in files}


def test_default_policy_selects_files_of_our_finished_runs_only(emulator, hook, run_is):
    names = {
        OWNED: f"a{OWNER.mark()}",
        FOREIGN: None,
        "files/of-unknown-run": f"a{replace(OWNER, run_id='another_run').mark()}",
        "files/of-another-deployment": f"a{replace(OWNER, deployment='another').mark()}",
        "files/of-no-deployment": f"a{replace(OWNER, deployment=None).mark()}",
        "files/shared-elsewhere": "a [airflow in=another shared]",
        "files/shared": "a [airflow in=tests shared]",
    }
    seeds = [{"name": name, "display_name": label, "age": 90_000} for name, label in names.items()]
    seed(emulator.base_url, *({key: value for key, value in one.items() if value} for one in seeds))
    listing = FileListing(time.time(), CONN_ID, tuple(hook.list_files()), 20 << 30, OwnerRuns({}))
    # Space is needed, too.
    full = {"high_watermark": 1e-12, "low_watermark": 1e-12}
    told = actions.dry_run(listing, CleanupOptions(policy=actions.default_policy() | full))

    assert [name for name, _ in told["deletions"]] == [OWNED]
    kept = {reason: counts["files"] for reason, counts in told["kept"].items()}
    assert kept == {"foreign": 4, "run unknown": 1, "shared": 1}


def test_cleanup_keeps_file_whose_run_became_active_after_dry_run(listing, hook, run_is):
    run_is(RunState.RUNNING)
    results = actions.cleanup(CONN_ID, listing, cleanup_request(OWNED), "user")

    [kept] = results.to_json()
    assert (kept["name"], kept["outcome"]) == (OWNED, "kept")
    assert "is still running" in kept["error"]
    assert results.gone == set()
    assert len(hook.list_files()) == 2


def test_cleanup_deletes_only_files_of_dry_run(listing, hook, run_is):
    # The policy also selects the file of the other tool, which the dry run did not show.
    results = actions.cleanup(CONN_ID, listing, cleanup_request(OWNED, include_foreign=True), "user")

    assert [(deletion.name, deletion.outcome) for deletion in results.deletions] == [(OWNED, "deleted")]
    assert [file.name for file in hook.list_files()] == [FOREIGN]


def test_cleanup_reports_file_that_is_no_longer_listed_as_gone(listing, run_is):
    results = actions.cleanup(CONN_ID, listing, cleanup_request("files/unlisted"), "user")

    assert [(deletion.name, deletion.outcome) for deletion in results.deletions] == [("files/unlisted", "gone")]


def test_delete_of_file_that_is_already_gone_is_not_an_error(listing, hook):
    hook.delete_file(OWNED)
    results = actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "user")

    assert [deletion.outcome for deletion in results.deletions] == ["gone", "deleted"]
    assert results.gone == {OWNED, FOREIGN}


def test_audit_log_names_user_and_owner_of_each_file(listing, audited):
    actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "user")

    owned, foreign = audited("gemini_files_delete_file")
    assert owned.owner == owned.owner_display_name == "user"
    assert (owned.dag_id, owned.run_id, owned.task_id, owned.map_index) == ("a_dag", "a_run", "a_task", 4)
    assert foreign.dag_id is None
    extra = json.loads(owned.extra)
    assert (extra["connection"], extra["file"], extra["outcome"]) == (CONN_ID, OWNED, "deleted")


def test_each_deletion_is_written_to_audit_log_as_it_happens(emulator, hook, listing, audited, mocker):
    seen = []
    record = audit.record

    def record_and_observe(*arguments):
        record(*arguments)
        seen.append((len(audited("gemini_files_delete_file")), len(hook.list_files())))

    mocker.patch.object(audit, "record", side_effect=record_and_observe)
    actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "user")

    assert seen == [(1, 1), (2, 0)]


def test_deletion_stops_when_audit_log_cannot_be_written(emulator, hook, mocker):
    names = [f"files/f{number}" for number in range(3 * CONCURRENCY)]
    seed(emulator.base_url, *({"name": name} for name in names))
    mocker.patch.object(audit, "record", side_effect=RuntimeError("database is gone"))

    with pytest.raises(RuntimeError, match="database is gone"):
        actions.delete(CONN_ID, None, names, "user")
    assert {file.name for file in hook.list_files()} == set(names[1:])


def test_rejected_key_fails_remaining_files_and_keeps_results_of_deleted_ones(emulator, listing, audited):
    emulator.faults.add("delete", "bad_key", nth=2)
    results = actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "user")

    assert [(deletion.name, deletion.outcome) for deletion in results.deletions] == [
        (OWNED, "deleted"),
        (FOREIGN, "failed"),
    ]
    assert len(audited("gemini_files_delete_file")) == 2


def test_error_text_has_one_line_and_no_key_in_response_and_audit_log(listing, audited, mocker):
    error = f"Cannot delete: key {API_KEY} is wrong\r\n\x1b[31mred\x00"
    failed = [actions.Deletion(OWNED, actions.DeletionOutcome.FAILED, GeminiServiceError(error))]
    mocker.patch.object(actions.GeminiServerHook, "delete_files", autospec=True, return_value=failed)
    [result] = actions.delete(CONN_ID, listing, [OWNED], "user").to_json()
    [entry] = audited("gemini_files_delete_file")

    assert result["error"] == json.loads(entry.extra)["error"] == "Cannot delete: key *** is wrong red [GF203]"


def test_invalid_requests_are_rejected_before_anything_is_deleted(listing, hook):
    with pytest.raises(pydantic.ValidationError):
        Selected(names=[])
    with pytest.raises(pydantic.ValidationError):
        Selected(names=["files/a"] * (MAX_NAMES + 1))
    with pytest.raises(GeminiInputError, match="low_watermark"):
        actions.dry_run(listing, CleanupOptions(policy={"low_watermark": 2}))
    with pytest.raises(GeminiInputError):
        actions.delete(CONN_ID, listing, [OWNED, "files/../models"], "user")
    assert len(hook.list_files()) == 2
