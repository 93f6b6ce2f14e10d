"""The storage calls against the emulator: what a sweep deletes, and what it does when the service refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest
from support import seed

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy, RunState
from airflow_provider_gemini_files.hooks.storage import Outcome

POLICY = RetentionPolicy(grace=timedelta())
MIB = 1024**2


def owned(name: str, run: str, **fields: object) -> dict[str, object]:
    """Return a file of a run, to be seeded."""
    label = display_name_for(name, Owner("dag", run, "task"))
    return {"name": f"files/{name}", "display_name": label, "age": 7200, "size": MIB, **fields}


def lookup(owners: Iterable[Owner]) -> dict[tuple[str, str], RunState]:
    """Answer with what the run is called."""
    return {(owner.dag_id, owner.run_id): RunState(owner.run_id) for owner in owners}


def names(hook) -> list[str]:
    return sorted(file.name for file in hook.list_files())


@pytest.fixture
def files(emulator):
    seed(
        emulator.base_url,
        owned("live", "running"),
        owned("asked", "unknown"),
        owned("done1", "finished"),
        owned("done2", "finished"),
        owned("orphan", "gone"),
        owned("bad", "finished", failed=True),
        {"name": "files/foreign", "display_name": "theirs.pdf", "age": 7200, "size": MIB},
    )


def test_usage_adds_up_the_complete_list(hook, emulator):
    emulator.settings.video_seconds = 1000
    seed(emulator.base_url, *[{"name": f"files/f{n}", "size": 10} for n in range(101)])

    usage = hook.usage()

    assert (usage.files, usage.used_bytes, usage.by_state) == (101, 1010, {"ACTIVE": 101})
    assert usage.quota_bytes == hook.connection.quota_bytes


def test_a_sweep_deletes_exactly_what_it_may_and_a_second_one_nothing(hook, files):
    report = hook.cleanup(POLICY, lookup)

    assert names(hook) == ["files/asked", "files/foreign", "files/live"]
    assert report.deleted == {
        "failed": {"files": 1, "bytes": MIB},
        "run finished": {"files": 2, "bytes": 2 * MIB},
        "run gone": {"files": 1, "bytes": MIB},
    }
    assert {reason: row["files"] for reason, row in report.kept.items()} == {
        "foreign": 1, "run running": 1, "run unknown": 1,
    }  # fmt: skip
    assert (report.before.files, report.after.files, report.after.used_bytes) == (7, 3, 3 * MIB)
    assert report.to_dict()["deleted_files"] == 4
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()

    assert hook.cleanup(POLICY, lookup).deleted == {}
    assert names(hook) == ["files/asked", "files/foreign", "files/live"]


def test_a_dry_run_deletes_nothing_and_says_the_same(hook, files, emulator):
    report = hook.cleanup(POLICY, lookup, dry_run=True)

    assert report.dry_run
    assert report.deleted_files == 4
    assert report.after.files == 3
    assert len(names(hook)) == 7
    assert "delete" not in {entry["call"] for entry in emulator.journal}


def test_the_table_can_be_read(hook, files):
    lines = hook.cleanup(POLICY, lookup).table()

    assert any(line.split() == ["deleted", "run", "finished", "2", "2.0", "MiB"] for line in lines)
    assert any(line.split() == ["kept", "run", "running", "1", "1.0", "MiB"] for line in lines)
    assert any(line.startswith("before: 7 files") for line in lines)
    assert "next expiry 20" in lines[-1]


def test_a_run_that_begins_again_after_the_plan_keeps_its_files(hook, files):
    asked = []

    def cleared_meanwhile(owners: Iterable[Owner]) -> dict[tuple[str, str], RunState]:
        asked.append(1)
        found = lookup(owners)
        return dict.fromkeys(found, RunState.RUNNING) if len(asked) > 1 else found

    report = hook.cleanup(POLICY, cleared_meanwhile)

    assert report.deleted_files == 0
    assert report.kept["run running"]["files"] == 5
    assert len(names(hook)) == 7


def test_a_question_that_fails_after_the_plan_keeps_the_files(hook, files):
    answers = [lookup, lambda owners: {}]

    report = hook.cleanup(POLICY, lambda owners: answers.pop(0)(owners))

    assert report.deleted_files == 0
    assert len(names(hook)) == 7


def test_a_file_that_is_gone_already_is_success(hook, files, emulator):
    emulator.faults.add("delete", "gone")

    report = hook.cleanup(POLICY, lookup)

    assert (report.deleted_files, report.gone, report.failed) == (4, 1, 0)


def test_the_result_of_a_batch_is_tolerated(hook, emulator):
    name = "files/batch-" + "a" * 36
    seed(emulator.base_url, {"name": name, "generated": True, "age": 7200}, owned("done", "finished"))

    report = hook.cleanup(RetentionPolicy(max_age=timedelta(hours=1), include_foreign=True), lookup)

    assert names(hook) == [name]
    assert (report.refused, report.failed, report.deleted_files) == (1, 0, 1)
    assert "refuses: 1" in "\n".join(report.table())


def test_a_key_that_may_not_delete_ends_the_sweep(hook, files, emulator):
    emulator.faults.add("delete", "forbidden")
    with pytest.raises(e.GeminiAuthError):
        hook.cleanup(POLICY, lookup)


def test_one_that_cannot_be_deleted_does_not_keep_the_others(hook, emulator):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(30)])
    emulator.faults.add("delete", "internal", times=2)
    # Two tries for each file; as threads race, which files fail is not said.
    hook.connection.__dict__["max_retries"] = 0

    report = hook.cleanup(POLICY, lookup)

    assert (report.failed, report.deleted_files) == (2, 28)
    assert len(names(hook)) == 2
    assert "Failed to convert" in report.errors[0]
    assert hook.cleanup(POLICY, lookup).deleted_files == 2
    assert names(hook) == []


def test_a_sweep_that_is_killed_and_run_again_ends_in_the_same_state(hook, emulator):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(700)], owned("live", "running"))
    killed_at_its = iter((lookup, lookup, None))

    def killed(owners: Iterable[Owner]) -> dict[tuple[str, str], RunState]:
        """Let the plan and the first batch pass."""
        if answer := next(killed_at_its):
            return answer(owners)
        raise SystemExit

    with pytest.raises(SystemExit):
        hook.cleanup(POLICY, killed)
    assert len(names(hook)) == 201

    report = hook.cleanup(POLICY, lookup)

    assert report.deleted_files == 200
    assert names(hook) == ["files/live"]


def test_where_nothing_can_be_deleted_the_sweep_fails(hook, emulator):
    seed(emulator.base_url, owned("a", "finished"))
    emulator.faults.add("delete", "internal", times=2)

    with pytest.raises(e.GeminiServiceError, match="None of 1 files could be deleted"):
        hook.cleanup(POLICY, lookup)


def test_after_a_429_all_rest(hook, emulator):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(300)])
    emulator.faults.add("delete", "rate_limit", nth=20, seconds=1)

    report = hook.cleanup(POLICY, lookup)

    assert report.deleted_files == 300
    deletions = [entry for entry in emulator.journal if entry["call"] == "delete"]
    [refused] = [number for number, entry in enumerate(deletions) if entry["status"] == 429]
    [again] = [number for number, entry in enumerate(deletions) if entry["path"] == deletions[refused]["path"]][1:]
    # Had the others gone on for that second, all of their files would have been deleted before this one.
    assert again < 200


def test_each_deletion_is_told_in_order(hook, files):
    deletions = hook.delete_files(["files/done1", "nobody", "files/batch-" + "b" * 36, "done2"])

    assert [deletion.outcome for deletion in deletions] == [
        Outcome.DELETED, Outcome.GONE, Outcome.REFUSED, Outcome.DELETED,
    ]  # fmt: skip
    assert "40 characters" in deletions[2].error
    assert hook.delete_files([]) == []
