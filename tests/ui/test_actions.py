"""What the page deletes; its routes and rights are tested with a browser, in ``in_airflow/test_page.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pydantic
import pytest
from airflow.models.log import Log
from airflow.utils.session import create_session
from support import API_KEY

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.ui import actions
from airflow_provider_gemini_files.ui.actions import ChosenFiles, SweepOptions, SweptFiles
from airflow_provider_gemini_files.ui.reading import Listing

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN_ID = "gemini_default"
OWNER = Owner("a_dag", "a_run", "a_task", 4)
OWNED = "files/owned"
FOREIGN = "files/foreign"


@pytest.fixture
def listing(emulator, hook) -> Listing:
    """Return a listing of a file of a run that has ended, and of one of another tool."""
    files = [{"name": OWNED, "display_name": f"a.txt{OWNER.mark()}", "age": 7200}, {"name": FOREIGN, "age": 7200}]
    body = {"api_key": API_KEY, "resources": files}
    httpx.post(f"{emulator.base_url}/__emulator/seed", json=body).raise_for_status()
    return Listing(time.time(), tuple(hook.list_files()), 20 << 30, {})


@pytest.fixture
def run_is(mocker) -> Callable[[RunState], None]:
    """Return a function that says in which state the run of the file is."""
    lookup = mocker.patch.object(actions, "database_lookup", autospec=True)

    def say(state: RunState) -> None:
        lookup.return_value = {(OWNER.dag_id, OWNER.run_id): state}

    say(RunState.FINISHED)
    return say


def logged(event: str) -> list[Log]:
    with create_session() as session:
        entries = session.query(Log).filter(Log.event == event).order_by(Log.id).all()
        session.expunge_all()
    return entries


def test_a_dry_run_says_of_each_file_why_it_would_go(listing, hook, run_is):
    told = actions.dry_run(listing, SweepOptions(policy=actions.default_policy()))

    [[name, reason, why]] = told["deletions"]
    assert (name, reason) == (OWNED, "run finished")
    assert "run a_run of a_dag has ended" in why
    assert list(told["kept"]) == ["foreign"]
    assert json.loads(json.dumps(told)) == told
    assert len(hook.list_files()) == 2


def test_a_sweep_deletes_no_more_than_was_shown_and_is_still_to_go(listing, hook, run_is):
    policy = actions.default_policy() | {"include_foreign": True}
    # Foreign would go, too, but was not shown; or a run has begun again since the dry run.
    asked = SweptFiles(policy=policy, names=[OWNED])
    run_is(RunState.RUNNING)
    [kept] = actions.sweep(CONN_ID, listing, asked, "somebody")
    assert (kept["name"], kept["outcome"]) == (OWNED, "kept")
    assert "has not ended" in kept["error"]
    assert len(hook.list_files()) == 2

    run_is(RunState.FINISHED)
    [deleted] = actions.sweep(CONN_ID, listing, asked, "somebody")
    assert (deleted["name"], deleted["outcome"]) == (OWNED, "deleted")
    assert [file.name for file in hook.list_files()] == [FOREIGN]


def test_what_is_gone_meanwhile_is_no_error(listing, hook):
    hook.delete_file(OWNED)
    results = actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "somebody")

    assert [result["outcome"] for result in results] == ["gone", "deleted"]
    assert actions.gone(results) == {OWNED, FOREIGN}


def test_the_audit_log_says_who_deleted_what_and_whose_it_was(listing):
    before = len(logged("gemini_files_delete_file"))
    actions.delete(CONN_ID, listing, [OWNED, FOREIGN], "somebody")

    owned, foreign = logged("gemini_files_delete_file")[before:]
    assert owned.owner == owned.owner_display_name == "somebody"
    assert (owned.dag_id, owned.run_id, owned.task_id, owned.map_index) == ("a_dag", "a_run", "a_task", 4)
    assert foreign.dag_id is None
    told = json.loads(owned.extra)
    assert (told["connection"], told["file"], told["outcome"]) == (CONN_ID, OWNED, "deleted")


def test_what_cannot_be_is_refused_before_anything_is_asked(listing):
    with pytest.raises(pydantic.ValidationError):
        ChosenFiles(names=[])
    with pytest.raises(pydantic.ValidationError):
        ChosenFiles(names=["files/a"] * (actions.MAX_FILES + 1))
    with pytest.raises(GeminiInputError, match="low_watermark"):
        actions.dry_run(listing, SweepOptions(policy={"low_watermark": 2}))
