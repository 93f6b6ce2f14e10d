"""The cleanup plan: a row for each rule, and properties that hold for all files and policies."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.batches.mark import BatchMark, files_in_use
from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.policy import Reason, RetentionPolicy, RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import Decision, plan, plan_eviction
from airflow_provider_gemini_files.files.storage_usage import counted_bytes

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUOTA = 1000
RUNS = {("dag", state.value): state for state in RunState if state is not RunState.UNKNOWN}


def file(name: str = "a", owner: str | None = None, hours: float = 2, size: int = 10, **fields) -> GeminiFile:
    """Return a file: ``owner`` is the state of the run that owns it, ``shared``, or None for another tool's."""
    label = fields.pop("label", "a.pdf")
    run = Owner("dag", owner, "task") if owner and owner != "shared" else None
    created = NOW - hours * HOUR
    return GeminiFile(
        name=f"files/{name}",
        size_bytes=size,
        create_time=created.isoformat(),
        expiration_time=(created + 48 * HOUR).isoformat(),
        display_name=display_name_for(label, run, shared=owner == "shared"),
        owner=run,
        **{"state": "ACTIVE", "mime_type": "application/pdf", **fields},
    )


def decide(one: GeminiFile, policy: RetentionPolicy | None = None) -> Decision:
    [only] = plan([one], RUNS, NOW, policy or RetentionPolicy(), QUOTA).decisions
    return only


@pytest.mark.parametrize(
    ("one", "policy", "delete", "reason"),
    [
        # The defaults: a consumer may still need what a run left a few hours ago.
        (file(owner="finished"), {}, False, Reason.NOT_DUE),
        (file(owner="gone"), {}, False, Reason.NOT_DUE),
        (file(owner="finished", hours=25), {}, True, Reason.RUN_FINISHED),
        (file(owner="gone", hours=25), {}, True, Reason.RUN_GONE),
        (file(owner="finished", state="FAILED"), {}, True, Reason.FAILED),
        (file(owner="shared", hours=47, state="FAILED"), {}, False, Reason.SHARED),
        (file(owner="shared", hours=47), {}, False, Reason.SHARED),
        (file(hours=47), {}, False, Reason.FOREIGN),
        # With fields of the policy.
        (file(owner="finished"), {"max_age_finished": timedelta()}, True, Reason.RUN_FINISHED),
        (file(owner="gone"), {"max_age_finished": timedelta()}, True, Reason.RUN_GONE),
        (file(owner="gone", hours=25), {"include_orphans": False}, False, Reason.ORPHAN),
        (file(owner="shared", state="FAILED"), {"include_shared": True}, True, Reason.FAILED),
        (file(owner="shared", hours=25), {"include_shared": True}, True, Reason.TOO_OLD),
        (file(hours=25), {"include_foreign": True}, True, Reason.TOO_OLD),
        (file(hours=47.5), {"include_foreign": True}, True, Reason.EXPIRES_SOON),
        (file(owner="finished", hours=5), {"max_age_finished": 4 * HOUR}, True, Reason.RUN_FINISHED),
        (file(owner="finished", hours=25), {"max_age_finished": None}, True, Reason.RUN_FINISHED),
        (file(owner="finished", hours=3), {"max_age_finished": 4 * HOUR}, False, Reason.NOT_DUE),
        (file(owner="shared", hours=25), {"include_shared": False}, False, Reason.SHARED),
        (file(owner="running", hours=47), {}, False, Reason.RUN_RUNNING),
        (file(owner="running", state="FAILED"), {}, False, Reason.RUN_RUNNING),
        (file(owner="unknown", hours=47), {}, False, Reason.RUN_UNKNOWN),
        (file(owner="never-asked", hours=47), {}, False, Reason.RUN_UNKNOWN),
        (file(owner="gone"), {"include_orphans": False}, False, Reason.ORPHAN),
        (file(hours=47, state="FAILED"), {}, False, Reason.FOREIGN),
        (file(owner="finished", hours=0.1), {}, False, Reason.TOO_YOUNG),
        (file(owner="finished", hours=-1), {"grace": timedelta()}, False, Reason.TOO_YOUNG),
        (GeminiFile("files/a", size_bytes=1), {"include_foreign": True}, False, Reason.TOO_YOUNG),
        (file(owner="finished", label="book.pdf"), {"keep": ["book.*"]}, False, Reason.KEEP_LIST),
        (file(owner="finished"), {"keep": [file(owner="finished").display_name]}, False, Reason.KEEP_LIST),
        (file("abc", owner="finished"), {"keep": ["files/abc"]}, False, Reason.KEEP_LIST),
        (file(owner="finished", hours=25), {"keep": ["b*"]}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"dag_ids": ["other"]}, False, Reason.NOT_SELECTED),
        (file(owner="finished", hours=25), {"dag_ids": ["dag"]}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"display_name": "b.pdf"}, False, Reason.NOT_SELECTED),
        (file(owner="finished"), {"mime_type": "video/"}, False, Reason.NOT_SELECTED),
        (file(owner="finished", hours=25), {"mime_type": "application/"}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"min_bytes": 11}, False, Reason.NOT_SELECTED),
    ],
)  # fmt: skip
def test_rule_decides(one, policy, delete, reason):
    found = decide(one, RetentionPolicy(**policy))

    assert (found.delete, found.reason) == (delete, reason)
    assert found.why


@pytest.mark.parametrize(
    ("one", "policy", "why"),
    [
        (file(owner="finished", hours=30), {}, "run finished of dag has ended; 30.0 h old"),
        (file(owner="gone", hours=30), {}, "run gone of dag does not exist any more; 30.0 h old"),
        (file(owner="shared", hours=30), {"include_shared": True}, "selected by age only; 30.0 h old"),
        (
            file(owner="shared"),
            {"include_shared": True},
            "selected by age only; 2.0 h old; not due yet, and no space is needed",
        ),
        (file(owner="shared", state="FAILED"), {"include_shared": True}, "the service could not process it; 2.0 h old"),
        (file(hours=30), {}, "not uploaded by an Airflow task"),
        (file(hours=30, source="REGISTERED"), {}, "registered: it has no owner, and uses no space"),
        (file(owner="running"), {}, "run running of dag is still running"),
        (file(owner="unknown"), {}, "Airflow could not say whether run unknown of dag has ended"),
        (file(owner="finished", hours=0.1), {}, "6 min old, younger than the grace period (1.0 h)"),
        (file(owner="finished"), {"keep": ["a.pdf"]}, "on the keep list"),
        (file(owner="finished"), {"min_bytes": 11}, "not selected by the filters of the policy"),
        (GeminiFile("files/a"), {"include_foreign": True}, "its age is unknown, as the service gives no creation time"),
    ],
)
def test_reason_is_explained_in_words(one, policy, why):
    assert decide(one, RetentionPolicy(**policy)).why == why


def test_reason_says_that_space_is_needed():
    policy = RetentionPolicy(max_age=None, max_age_finished=None, max_deletions=1)
    files = [file(name, owner="finished", size=500) for name in ("a", "b")]

    assert [decision.why for decision in plan(files, RUNS, NOW, policy, QUOTA // 10).decisions] == [
        "run finished of dag has ended; 2.0 h old; space is needed",
        "run finished of dag has ended; 2.0 h old; kept because max_deletions is reached",
    ]


def test_registered_files_are_deleted_for_their_age_only_and_count_as_no_space():
    registered = file("registered", hours=40, size=10_000, source="REGISTERED")
    files = [registered, file("old", hours=40, size=600), file("new", owner="running", size=200)]

    def planned(**policy: object) -> tuple[list[str], int]:
        found = plan(files, RUNS, NOW, RetentionPolicy(**policy), QUOTA)
        return [one.file.name for one in found.deletions], found.freed_bytes

    assert planned() == ([], 0)
    # 800 bytes are used, so one file has to go to reach 500.
    watermarks = {"high_watermark": 0.6, "low_watermark": 0.5}
    assert planned(max_age=None, include_foreign=True, **watermarks) == (["files/old"], 600)
    assert planned(max_age=39 * HOUR, include_foreign=True) == (["files/old", "files/registered"], 600)


def test_registered_files_are_never_evicted():
    registered = file("registered", hours=40, size=10_000, source="REGISTERED")

    assert not plan_eviction([registered], RUNS, NOW, 100, QUOTA).deletions


def test_least_harmful_files_are_deleted_first_and_no_more_than_needed():
    policy = RetentionPolicy(
        max_age=None,
        max_age_finished=None,
        max_age_failed=None,
        include_foreign=True,
        include_shared=True,
        max_deletions=10,
    )
    files = [
        file("old", hours=40, size=200),
        file("older", hours=44, size=200),
        file("soon", hours=47.5, size=100),
        file("done", owner="finished", hours=3, size=100),
        file("bad", owner="shared", hours=1, size=100, state="FAILED"),
        file("empty", owner="finished", hours=47, size=0),
        file("live", owner="running", hours=47, size=200),
    ]

    found = plan(files, RUNS, NOW, policy, QUOTA)

    # 900 bytes are used: 200 are deleted to reach 700, and no file that frees nothing.
    assert [v.file.name for v in found.deletions] == ["files/bad", "files/done"]
    assert found.freed_bytes == 200
    rest = [v.file.name for v in plan(files, RUNS, NOW, policy, 500).deletions]
    assert rest == ["files/bad", "files/done", "files/soon", "files/older", "files/old"]


def test_max_deletions_limits_the_plan():
    files = [file(f"f{number}", owner="finished", hours=number + 1) for number in range(5)]

    found = plan(files, RUNS, NOW, RetentionPolicy(max_age_finished=timedelta(), max_deletions=2), QUOTA)

    assert [v.file.name for v in found.deletions] == ["files/f4", "files/f3"]
    assert [v.reason for v in found.decisions if not v.delete] == [Reason.LIMIT] * 3


FILES = st.lists(
    st.builds(
        file,
        owner=st.sampled_from([None, "shared", *RunState]),
        hours=st.floats(-1, 48),
        size=st.integers(0, 300),
        state=st.sampled_from(["ACTIVE", "FAILED", "PROCESSING"]),
        label=st.sampled_from(["a.pdf", "keep-me"]),
        source=st.sampled_from(["UPLOADED", "REGISTERED", None]),
    ),
    max_size=12,
).map(lambda files: [GeminiFile(**{**vars(one), "name": f"files/f{number}"}) for number, one in enumerate(files)])
AGES = st.none() | st.floats(0, 48).map(lambda hours: hours * HOUR)
POLICIES = st.builds(
    lambda low, high, **fields: RetentionPolicy(low_watermark=min(low, high), high_watermark=max(low, high), **fields),
    low=st.floats(0.01, 1),
    high=st.floats(0.01, 1),
    max_age=AGES,
    max_age_finished=AGES,
    max_age_failed=AGES,
    grace=st.floats(0, 5).map(lambda hours: hours * HOUR),
    keep=st.sampled_from([(), ("keep*",)]),
    include_shared=st.booleans(),
    include_foreign=st.booleans(),
    include_orphans=st.booleans(),
    max_deletions=st.none() | st.integers(1, 12),
)


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000))
def test_protected_file_is_never_deleted(files, policy, quota):
    found = plan(files, RUNS, NOW, policy, quota)

    assert sorted(v.file.name for v in found.decisions) == sorted(one.name for one in files)
    for one in [v.file for v in found.deletions]:
        assert one.owner is None or one.owner.run_id in ("finished", "gone")
        assert one.owner is None or one.owner.run_id != "gone" or policy.include_orphans
        shared = one.display_name.endswith("[airflow shared]")
        assert one.owner or (policy.include_shared if shared else policy.include_foreign)
        assert NOW.timestamp() - one.created_at() >= policy.grace.total_seconds()
        assert not (policy.keep and one.display_name.startswith("keep"))
    assert policy.max_deletions is None or len(found.deletions) <= policy.max_deletions


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000))
def test_cleanup_reaches_the_low_watermark_if_the_rules_permit(files, policy, quota):
    found = plan(files, RUNS, NOW, policy, quota)

    used = sum(map(counted_bytes, files))
    after = used - found.freed_bytes
    kept = [v for v in found.decisions if not v.delete]
    if used >= policy.high_watermark * quota and after > policy.low_watermark * quota:
        # Every deletable file that is left frees nothing, or the limit is reached.
        assert all(v.reason is not Reason.NOT_DUE or counted_bytes(v.file) == 0 for v in kept)
    if Reason.LIMIT in {v.reason for v in kept}:
        assert len(found.deletions) == policy.max_deletions


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000), seed=st.integers())
def test_plan_does_not_depend_on_the_order_of_files(files, policy, quota, seed):
    shuffled = random.Random(seed).sample(files, len(files))

    assert plan(files, RUNS, NOW, policy, quota) == plan(shuffled, RUNS, NOW, policy, quota)


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000))
def test_second_cleanup_at_the_same_time_deletes_nothing(files, policy, quota):
    if policy.max_deletions is None:
        first = plan(files, RUNS, NOW, policy, quota)
        left = [v.file for v in first.decisions if not v.delete]
        if sum(map(counted_bytes, left)) < policy.high_watermark * quota:
            assert plan(left, RUNS, NOW, policy, quota).deletions == []


@given(files=FILES, needed=st.integers(1, 500), quota=st.integers(500, 3000))
def test_eviction_deletes_only_files_of_ended_runs_and_no_more_than_needed(files, needed, quota):
    found = plan_eviction(files, RUNS, NOW, needed, quota)

    going = [v.file for v in found.deletions]
    assert all(one.owner and one.owner.run_id in ("finished", "gone") for one in going)
    used = sum(map(counted_bytes, files))
    excess = used + needed - quota
    aim = excess if excess > 0 else needed
    if going:
        assert found.freed_bytes - counted_bytes(going[-1]) < aim


def test_file_of_another_deployment_is_foreign_whatever_its_run_is_called():
    owner = Owner("dag", "finished", "task", deployment="staging")
    name = display_name_for("a.pdf", owner)
    one = GeminiFile("files/a", size_bytes=10, create_time="2026-05-30T13:00:00Z", display_name=name, owner=owner)

    [by_staging] = plan([one], RUNS, NOW, RetentionPolicy(), QUOTA, "staging").decisions
    [by_production] = plan([one], RUNS, NOW, RetentionPolicy(), QUOTA, "production").decisions

    assert (by_staging.delete, by_staging.reason) == (True, Reason.RUN_FINISHED)
    assert (by_production.delete, by_production.reason) == (False, Reason.FOREIGN)
    assert by_production.why == "uploaded by another Airflow deployment"


def test_file_marked_by_an_older_version_is_foreign():
    assert not plan([file(owner="finished", hours=47)], RUNS, NOW, RetentionPolicy(), 1, "production").deletions


def test_eviction_spares_files_of_another_deployment():
    files = [file("a", owner="finished", hours=40, size=900)]

    assert plan_eviction(files, RUNS, NOW, 500, QUOTA).deletions
    assert not plan_eviction(files, RUNS, NOW, 500, QUOTA, "production").deletions


# --- files that batch jobs need ---


def batch_job(state: str = "RUNNING", hours: float = 30, **marked: object) -> BatchJob:
    """Return a job of the run ``finished``; it names its input and ``files/a``, unless ``marked`` says otherwise."""
    mark = BatchMark("0" * 24, Owner("dag", "finished", "ask"), "files/input", **{"files": ("files/a",), **marked})
    created = (NOW - hours * HOUR).isoformat()
    return BatchJob("batches/b", state, display_name=mark.display_name("ask"), create_time=created)


#: What a run has left that ended a day ago: the requests of a job, a file that they name, and another one.
LEFT = [file(name, owner="finished", hours=40, size=300) for name in ("input", "a", "other")]


def kept(files: list[GeminiFile], in_use: FilesInUse, **policy: object) -> dict[str, tuple[Reason, str]]:
    """Return the files that a cleanup keeps, and why."""
    found = plan(files, RUNS, NOW, RetentionPolicy(**policy), QUOTA, in_use=in_use)
    return {one.file.name: (one.reason, one.why) for one in found.decisions if not one.delete}


def test_files_of_a_running_job_are_kept_after_the_end_of_their_run():
    needed = (Reason.IN_BATCH, "a batch job that has not ended needs it")

    assert kept(LEFT, files_in_use([batch_job()])) == {"files/input": needed, "files/a": needed}


def test_all_files_of_the_run_are_kept_if_the_job_says_so():
    of_run = files_in_use([batch_job(of_run=True)])
    other = file("b", owner="gone", hours=40)

    assert kept([*LEFT, other], of_run).keys() == {"files/input", "files/a", "files/other"}


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"])
def test_files_go_when_the_job_has_ended(state):
    assert kept(LEFT, files_in_use([batch_job(state)])) == {}


@pytest.mark.parametrize("marked", [{"files": None}, {"files": tuple(f"files/{n:040}" for n in range(40))}])
def test_job_that_does_not_list_its_files_keeps_all_older_ones(marked):
    in_use = files_in_use([batch_job(hours=30, **marked)])
    younger = file("younger", owner="finished", hours=29)

    assert kept([*LEFT, younger], in_use).keys() == {"files/input", "files/a", "files/other"}


def test_unknown_jobs_keep_everything_but_failed_files():
    in_use = FilesInUse.unknown("the batch jobs cannot be listed")
    failed = file("bad", owner="finished", hours=40, state="FAILED")

    found = kept([*LEFT, failed], in_use, include_foreign=True)

    assert found == dict.fromkeys(
        ("files/input", "files/a", "files/other"), (Reason.IN_BATCH, "the batch jobs cannot be listed")
    )


def test_other_reasons_to_keep_a_file_come_first():
    in_use = FilesInUse.unknown("the batch jobs cannot be listed")
    files = [file("a", owner="running", hours=40), file("b", hours=40), file("c", owner="shared", hours=40)]

    assert {reason for reason, _ in kept(files, in_use).values()} == {Reason.RUN_RUNNING, Reason.FOREIGN, Reason.SHARED}


def test_foreign_and_shared_files_of_a_job_are_kept_by_a_policy_that_includes_them():
    files = [file("input", hours=40), file("a", owner="shared", hours=40), file("b", hours=40)]

    found = kept(files, files_in_use([batch_job()]), include_foreign=True, include_shared=True)

    assert found.keys() == {"files/input", "files/a"}


def test_eviction_spares_files_that_a_job_needs():
    in_use = files_in_use([batch_job()])

    found = plan_eviction(LEFT, RUNS, NOW, 1000, QUOTA, in_use=in_use)

    assert [one.file.name for one in found.deletions] == ["files/other"]
    assert not plan_eviction(LEFT, RUNS, NOW, 1000, QUOTA, in_use=FilesInUse.unknown("?")).deletions


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000), seed=st.integers())
def test_file_in_use_is_never_deleted(files, policy, quota, seed):
    names = frozenset(one.name for one in files if random.Random(f"{seed}{one.name}").random() < 0.5)

    found = plan(files, RUNS, NOW, policy, quota, in_use=FilesInUse(names))

    assert all(one.file.state == "FAILED" for one in found.deletions if one.file.name in names)
