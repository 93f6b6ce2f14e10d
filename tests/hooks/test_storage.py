"""The storage calls against the emulator: what a cleanup deletes, and what it does when the service refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from support import FakeClock, seed, submit_job

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import RetentionPolicy, RunState
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.runs import RunLookup

#: What can be deleted is deleted at once.
POLICY = RetentionPolicy(grace=timedelta(), max_age_finished=timedelta())
MIB = 1024**2
Runs = dict[tuple[str, str], RunState]


def owned(name: str, run: str, deployment: str = "here", **fields: object) -> dict[str, object]:
    """Return a file of a run, to be seeded."""
    label = display_name_for(name, Owner("dag", run, "task", deployment=deployment))
    return {"name": f"files/{name}", "display_name": label, "age": 7200, "size": MIB, **fields}


def states(owners: Iterable[Owner]) -> Runs:
    """Return the state that each run is named after."""
    return {(owner.dag_id, owner.run_id): RunState(owner.run_id) for owner in owners}


def asking(look_up: Callable[[Iterable[Owner]], Runs]) -> RunLookup:
    """Return a lookup of the deployment ``here``."""

    class Lookup:
        deployment = "here"

        def __call__(self, owners: Iterable[Owner], /) -> Runs:
            return look_up(owners)

    return Lookup()


lookup = asking(states)


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
        owned("theirs", "finished", "elsewhere"),
        {"name": "files/foreign", "display_name": "theirs.pdf", "age": 7200, "size": MIB},
    )


def test_usage_adds_up_the_complete_list(hook, emulator):
    seed(emulator.base_url, *[{"name": f"files/f{n}", "size": 10} for n in range(101)])

    usage = hook.usage()

    assert (usage.files, usage.used_bytes, usage.by_state) == (101, 1010, {"ACTIVE": 101})
    assert usage.quota_bytes == hook.connection.quota_bytes


def test_unreadable_file_does_not_stop_usage_and_cleanup(hook, files, emulator):
    emulator.faults.add("list", "edit_file", file_id="live", fields={"createTime": "yesterday"}, times=2)

    assert hook.usage().files == 7
    assert hook.cleanup(POLICY, lookup).deleted_files == 4

    assert "files/live" in names(hook)


def test_cleanup_deletes_exactly_what_it_may_and_a_second_one_nothing(hook, files):
    report = hook.cleanup(POLICY, lookup)

    assert names(hook) == ["files/asked", "files/foreign", "files/live", "files/theirs"]
    assert report.deleted == {
        "failed": {"files": 1, "bytes": MIB},
        "run finished": {"files": 2, "bytes": 2 * MIB},
        "run gone": {"files": 1, "bytes": MIB},
    }
    assert {reason: row["files"] for reason, row in report.kept.items()} == {
        "foreign": 2, "run running": 1, "run unknown": 1,
    }  # fmt: skip
    assert (report.before.files, report.after.files, report.after.used_bytes) == (8, 4, 4 * MIB)
    assert report.to_dict()["deleted_files"] == 4
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()

    assert hook.cleanup(POLICY, lookup).deleted == {}
    assert names(hook) == ["files/asked", "files/foreign", "files/live", "files/theirs"]


def test_dry_run_deletes_nothing_and_reports_the_same(hook, files, emulator):
    report = hook.cleanup(POLICY, lookup, dry_run=True)

    assert report.dry_run
    assert report.deleted_files == 4
    assert report.after.files == 4
    assert len(names(hook)) == 8
    assert "delete" not in {entry["call"] for entry in emulator.journal}


def test_report_is_a_table_in_the_log(hook, files):
    lines = hook.cleanup(POLICY, lookup).table()

    assert any(line.split() == ["deleted", "run", "finished", "2", "2.0", "MiB"] for line in lines)
    assert any(line.split() == ["kept", "run", "running", "1", "1.0", "MiB"] for line in lines)
    assert any(line.startswith("before: 8 files") for line in lines)
    assert "next expiry 20" in lines[-1]


def test_report_of_an_empty_storage_has_no_table(hook):
    assert [line.partition(":")[0] for line in hook.cleanup(POLICY, lookup).table()] == ["before", "after"]


def test_files_of_a_run_that_is_cleared_after_the_plan_are_kept(hook, files):
    asked = []

    def cleared_meanwhile(owners: Iterable[Owner]) -> dict[tuple[str, str], RunState]:
        asked.append(1)
        found = states(owners)
        return dict.fromkeys(found, RunState.RUNNING) if len(asked) > 1 else found

    report = hook.cleanup(POLICY, asking(cleared_meanwhile))

    assert report.deleted_files == 0
    assert report.kept["run running"]["files"] == 5
    assert len(names(hook)) == 8


def test_files_are_kept_if_runs_cannot_be_looked_up_after_the_plan(hook, files):
    answers = [states, lambda owners: {}]

    report = hook.cleanup(POLICY, asking(lambda owners: answers.pop(0)(owners)))

    assert report.deleted_files == 0
    assert len(names(hook)) == 8


def test_file_that_is_gone_already_counts_as_deleted(hook, files, emulator):
    emulator.faults.add("delete", "gone")

    report = hook.cleanup(POLICY, lookup)

    assert (report.deleted_files, report.gone, report.failed) == (4, 1, 0)


def test_result_of_a_batch_counts_as_refused(hook, emulator):
    name = "files/batch-" + "a" * 36
    seed(emulator.base_url, {"name": name, "generated": True, "age": 7200}, owned("done", "finished"))

    report = hook.cleanup(RetentionPolicy(max_age=timedelta(hours=1), include_foreign=True, grace=timedelta()), lookup)

    assert names(hook) == [name]
    assert (report.refused, report.failed, report.deleted_files) == (1, 0, 1)
    assert "refused by the service: 1" in "\n".join(report.table())


def test_key_without_the_right_to_delete_ends_the_cleanup(hook, files, emulator):
    emulator.faults.add("delete", "forbidden", times=None)

    with pytest.raises(e.GeminiAuthError):
        hook.cleanup(POLICY, lookup)


def test_file_that_cannot_be_deleted_does_not_keep_the_others(hook, emulator, connect):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(30)])
    emulator.faults.add("delete", "internal", times=2)
    # Without a second attempt; as threads race, any two files can fail.
    connect(host=emulator.base_url, extra={"max_retries": 0})

    report = hook.cleanup(POLICY, lookup)

    assert (report.failed, report.deleted_files) == (2, 28)
    assert len(names(hook)) == 2
    assert "Failed to convert" in report.errors[0]
    assert hook.cleanup(POLICY, lookup).deleted_files == 2
    assert names(hook) == []


def test_killed_cleanup_that_runs_again_ends_in_the_same_state(hook, emulator):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(700)], owned("live", "running"))
    killed_at_its = iter((states, states, None))

    def killed(owners: Iterable[Owner]) -> dict[tuple[str, str], RunState]:
        """Let the plan and the first batch pass."""
        if answer := next(killed_at_its):
            return answer(owners)
        raise SystemExit

    with pytest.raises(SystemExit):
        hook.cleanup(POLICY, asking(killed))
    assert len(names(hook)) == 201

    report = hook.cleanup(POLICY, lookup)

    assert report.deleted_files == 200
    assert names(hook) == ["files/live"]


def test_cleanup_that_can_delete_nothing_fails(hook, emulator):
    seed(emulator.base_url, owned("a", "finished"))
    emulator.faults.add("delete", "internal", times=2)

    with pytest.raises(e.GeminiServiceError, match="None of the 1 files could be deleted"):
        hook.cleanup(POLICY, lookup)


def test_false_404_of_a_gateway_is_not_a_deletion(hook, files, emulator):
    emulator.faults.add("delete", "status", status=404, body="<html>", content_type="text/html", times=None)

    with pytest.raises(e.GeminiServiceError, match="None of the 4 files could be deleted"):
        hook.cleanup(POLICY, lookup)

    assert len(names(hook)) == 8


def test_age_of_a_file_is_judged_by_the_clock_of_the_service(emulator):
    seed(emulator.base_url, owned("young", "finished", age=60))
    policy = RetentionPolicy(max_age_finished=timedelta(), grace=timedelta(hours=1))
    clock_a_day_ahead = FakeClock(now=emulator.clock.now() + 86_400)

    report = GeminiFilesHook(clock=clock_a_day_ahead).cleanup(policy, lookup)

    assert report.kept["too young"]["files"] == 1


def test_after_a_rate_limit_all_files_are_deleted_and_the_pause_is_kept(hook, emulator, clock):
    seed(emulator.base_url, *[owned(f"f{n}", "finished") for n in range(300)])
    emulator.faults.add("delete", "rate_limit", nth=20, seconds=7)

    report = hook.cleanup(POLICY, lookup)

    assert report.deleted_files == 300
    assert clock.slept[0] == 7.0
    statuses = [entry["status"] for entry in emulator.journal if entry["call"] == "delete"]
    assert statuses.count(429) == 1


class TestEviction:
    def test_files_of_ended_runs_are_evicted_no_more_than_needed(self, hook, files, emulator, connect):
        connect(host=emulator.base_url, extra={"quota_bytes": 8 * MIB})

        assert hook.storage.evict(2 * MIB, lookup).freed_bytes == 2 * MIB

        assert len(names(hook)) == 6
        assert {"files/asked", "files/foreign", "files/live", "files/theirs"} <= set(names(hook))

    def test_nothing_more_is_evicted_if_the_list_says_that_it_fits(self, hook, files):
        assert hook.storage.evict(MIB, lookup, evicted_before=True).freed_bytes == 0
        assert len(names(hook)) == 8

    def test_files_of_another_deployment_are_never_evicted(self, hook, emulator, connect):
        connect(host=emulator.base_url, extra={"quota_bytes": MIB})
        seed(emulator.base_url, owned("theirs", "finished", "elsewhere"))

        assert hook.storage.evict(MIB, lookup).freed_bytes == 0
        assert names(hook) == ["files/theirs"]


class TestFilesOfBatchJobs:
    """The files that a job which has not ended needs, of a run that has."""

    RUN = Owner("dag", "finished", "task", deployment="here")

    def job(self, hook, *files: str, **marked) -> None:
        mark = BatchMark("0" * 24, self.RUN, "files/input", files, **marked)
        submit_job(hook, mark.display_name("ask"))

    @pytest.fixture(autouse=True)
    def left(self, emulator):
        """Leave the files of a run that has ended, and let jobs take an hour."""
        emulator.settings.job_seconds = 3600
        seed(emulator.base_url, *[owned(name, "finished") for name in ("input", "a", "other")])

    @staticmethod
    def left_of_run(hook) -> list[str]:
        """Return the files of runs that are left; the requests of the job belong to none here."""
        return sorted(file.name for file in hook.list_files() if file.owner)

    def test_cleanup_keeps_what_a_job_reads_until_it_ends(self, hook, clock):
        self.job(hook, "files/a")

        report = hook.cleanup(POLICY, lookup)

        assert self.left_of_run(hook) == ["files/a", "files/input"]
        assert report.kept["in a batch"] == {"files": 2, "bytes": 2 * MIB}
        clock.advance(3600)
        hook.cleanup(POLICY, lookup)
        assert self.left_of_run(hook) == []

    def test_cleanup_keeps_all_files_of_the_run_of_a_job(self, hook):
        self.job(hook, of_run=True)

        assert hook.cleanup(POLICY, lookup).deleted_files == 0

    def test_job_of_another_tool_keeps_everything_that_is_older(self, hook):
        submit_job(hook, "theirs")

        report = hook.cleanup(POLICY, lookup)

        assert report.deleted_files == 0
        assert report.kept["in a batch"]["files"] == 3

    def test_cleanup_deletes_only_failed_files_if_the_jobs_cannot_be_listed(self, hook, emulator):
        seed(emulator.base_url, owned("bad", "finished", failed=True))
        emulator.faults.add("list_batches", "forbidden", times=None)

        report = hook.cleanup(POLICY, lookup)

        assert report.deleted == {"failed": {"files": 1, "bytes": MIB}}
        assert self.left_of_run(hook) == ["files/a", "files/input", "files/other"]

    def test_files_of_a_job_that_is_submitted_after_the_plan_are_kept(self, hook):
        asked = []

        def submitted_meanwhile(owners: Iterable[Owner]) -> Runs:
            asked.append(1)
            if len(asked) == 2:
                self.job(hook, "files/a")
            return states(owners)

        report = hook.cleanup(POLICY, asking(submitted_meanwhile))

        assert self.left_of_run(hook) == ["files/a", "files/input"]
        assert report.kept["in a batch"]["files"] == 2
        assert report.deleted_files == 1

    def test_jobs_that_cannot_be_listed_after_the_plan_keep_everything(self, hook, emulator):
        emulator.faults.add("list_batches", "forbidden", nth=2)

        assert hook.cleanup(POLICY, lookup).deleted_files == 0

    def test_eviction_spares_what_a_job_reads(self, hook, emulator, connect):
        connect(host=emulator.base_url, extra={"quota_bytes": 3 * MIB})
        self.job(hook, "files/a")

        assert hook.storage.evict(3 * MIB, lookup).freed_bytes == MIB
        assert self.left_of_run(hook) == ["files/a", "files/input"]

    def test_eviction_spares_files_of_a_job_that_is_submitted_after_the_plan(self, hook, emulator, connect):
        connect(host=emulator.base_url, extra={"quota_bytes": 3 * MIB})
        asked = []

        def submitted_meanwhile(owners: Iterable[Owner]) -> Runs:
            asked.append(1)
            if len(asked) == 2:
                self.job(hook, "files/a", "files/other")
            return states(owners)

        assert hook.storage.evict(3 * MIB, asking(submitted_meanwhile)).freed_bytes == 0

    def test_eviction_deletes_nothing_if_the_jobs_cannot_be_listed(self, hook, emulator, connect):
        connect(host=emulator.base_url, extra={"quota_bytes": 3 * MIB})
        emulator.faults.add("list_batches", "internal", times=None)

        assert hook.storage.evict(3 * MIB, lookup).freed_bytes == 0
        assert len(self.left_of_run(hook)) == 3

    def test_plan_asks_for_the_jobs_once(self, hook, emulator):
        hook.cleanup(POLICY, lookup, dry_run=True)

        assert [entry["call"] for entry in emulator.journal].count("list_batches") == 1
