"""Which files go: a row for each rule, and what holds whatever the files are."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import Reason, RetentionPolicy, RunState, plan, plan_room
from airflow_provider_gemini_files.files.usage import counted_bytes

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUOTA = 1000
RUNS = {("dag", state.value): state for state in RunState if state is not RunState.UNKNOWN}
PATIENT = RetentionPolicy(max_age=None, max_age_finished=None, max_age_failed=None)


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


def verdict(one: GeminiFile, policy: RetentionPolicy = RetentionPolicy(), quota: int = QUOTA):  # noqa: B008
    [only] = plan([one], RUNS, NOW, policy, quota).verdicts
    return only


@pytest.mark.parametrize(
    ("one", "policy", "delete", "reason"),
    [
        (file(owner="finished"), {}, True, Reason.RUN_FINISHED),
        (file(owner="gone"), {}, True, Reason.RUN_GONE),
        (file(owner="finished", state="FAILED"), {}, True, Reason.FAILED),
        (file(owner="shared", state="FAILED"), {}, True, Reason.FAILED),
        (file(owner="shared", hours=25), {}, True, Reason.TOO_OLD),
        (file(hours=25), {"include_foreign": True}, True, Reason.TOO_OLD),
        (file(hours=47.5), {"include_foreign": True}, True, Reason.EXPIRES_SOON),
        (file(owner="finished", hours=5), {"max_age_finished": 4 * HOUR}, True, Reason.RUN_FINISHED),
        (file(owner="finished", hours=25), {"max_age_finished": None}, True, Reason.RUN_FINISHED),
        (file(owner="finished", hours=3), {"max_age_finished": 4 * HOUR}, False, Reason.NOT_DUE),
        (file(owner="shared"), {}, False, Reason.NOT_DUE),
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
        (file(owner="finished"), {"keep": ["b*"]}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"dag_ids": ["other"]}, False, Reason.NOT_SELECTED),
        (file(owner="finished"), {"dag_ids": ["dag"]}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"display_name": "b.pdf"}, False, Reason.NOT_SELECTED),
        (file(owner="finished"), {"mime_type": "video/"}, False, Reason.NOT_SELECTED),
        (file(owner="finished"), {"mime_type": "application/"}, True, Reason.RUN_FINISHED),
        (file(owner="finished"), {"min_bytes": 11}, False, Reason.NOT_SELECTED),
    ],
)  # fmt: skip
def test_each_rule(one, policy, delete, reason):
    found = verdict(one, RetentionPolicy(**policy))

    assert (found.delete, found.reason) == (delete, reason)
    assert found.why


def test_the_reason_can_be_read():
    assert verdict(file(owner="finished", hours=30)).why == "run finished of dag has ended; it is 30.0 h old"
    assert verdict(file(hours=30)).why == "no task of Airflow has uploaded it"


def test_the_least_harmful_go_first_and_no_more_than_needed():
    policy = RetentionPolicy(
        max_age=None, max_age_finished=None, max_age_failed=None, include_foreign=True, max_deletions=10
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

    # 900 bytes are used: 200 must go to come down to 700, and nothing goes that frees nothing.
    assert [v.file.name for v in found.deletions] == ["files/bad", "files/done"]
    assert found.freed_bytes == 200
    rest = [v.file.name for v in plan(files, RUNS, NOW, policy, 500).deletions]
    assert rest == ["files/bad", "files/done", "files/soon", "files/older", "files/old"]


def test_the_limit_is_kept():
    files = [file(f"f{number}", owner="finished", hours=number + 1) for number in range(5)]

    found = plan(files, RUNS, NOW, RetentionPolicy(max_deletions=2), QUOTA)

    assert [v.file.name for v in found.deletions] == ["files/f4", "files/f3"]
    assert [v.reason for v in found.verdicts if not v.delete] == [Reason.LIMIT] * 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_age": -HOUR}, "max_age is a duration"),
        ({"max_age": 24}, "got 24"),
        ({"grace": None}, "grace is a duration"),
        ({"low_watermark": 0.95}, "low_watermark=0.95"),
        ({"high_watermark": 1.5}, "high_watermark=1.5"),
        ({"low_watermark": 0}, "low_watermark=0"),
        ({"keep": "files/a"}, "keep is a list"),
        ({"dag_ids": "dag"}, "dag_ids is a list"),
        ({"max_deletions": 0}, "max_deletions"),
        ({"min_bytes": -1}, "min_bytes"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(GeminiInputError, match=message):
        RetentionPolicy(**wrong)


def test_durations_of_pendulum_and_of_the_standard_library_are_taken():
    assert RetentionPolicy(max_age=pendulum.duration(hours=1)).max_age == RetentionPolicy(max_age=HOUR).max_age


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
def test_a_protected_file_is_never_planned(files, policy, quota):
    found = plan(files, RUNS, NOW, policy, quota)

    assert sorted(v.file.name for v in found.verdicts) == sorted(one.name for one in files)
    for one in [v.file for v in found.deletions]:
        assert one.owner is None or one.owner.run_id in ("finished", "gone")
        assert one.owner is None or one.owner.run_id != "gone" or policy.include_orphans
        shared = one.display_name.endswith("[airflow shared]")
        assert one.owner or (policy.include_shared if shared else policy.include_foreign)
        assert NOW.timestamp() - one.created() >= policy.grace.total_seconds()
        assert not (policy.keep and one.display_name.startswith("keep"))
    assert policy.max_deletions is None or len(found.deletions) <= policy.max_deletions


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000))
def test_the_low_watermark_is_reached_wherever_the_rules_allow_it(files, policy, quota):
    found = plan(files, RUNS, NOW, policy, quota)

    used = sum(map(counted_bytes, files))
    after = used - found.freed_bytes
    kept = [v for v in found.verdicts if not v.delete]
    if used >= policy.high_watermark * quota and after > policy.low_watermark * quota:
        # All that could still go frees nothing, or the limit has been reached.
        assert all(v.reason is not Reason.NOT_DUE or counted_bytes(v.file) == 0 for v in kept)
    if Reason.LIMIT in {v.reason for v in kept}:
        assert len(found.deletions) == policy.max_deletions


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000), seed=st.integers())
def test_the_same_input_gives_the_same_plan_in_any_order(files, policy, quota, seed):
    shuffled = random.Random(seed).sample(files, len(files))

    assert plan(files, RUNS, NOW, policy, quota) == plan(shuffled, RUNS, NOW, policy, quota)


@given(files=FILES, policy=POLICIES, quota=st.integers(1, 3000))
def test_a_second_sweep_at_the_same_moment_finds_nothing_more(files, policy, quota):
    if policy.max_deletions is None:
        first = plan(files, RUNS, NOW, policy, quota)
        left = [v.file for v in first.verdicts if not v.delete]
        if sum(map(counted_bytes, left)) < policy.high_watermark * quota:
            assert plan(left, RUNS, NOW, policy, quota).deletions == []


@given(files=FILES, needed=st.integers(1, 500), quota=st.integers(500, 3000))
def test_an_upload_makes_room_with_files_of_ended_runs_only_and_no_more_than_needed(files, needed, quota):
    found = plan_room(files, RUNS, NOW, needed, quota)

    going = [v.file for v in found.deletions]
    assert all(one.owner and one.owner.run_id in ("finished", "gone") for one in going)
    used = sum(map(counted_bytes, files))
    excess = used + needed - quota
    aim = excess if excess > 0 else needed
    if going:
        assert found.freed_bytes - counted_bytes(going[-1]) < aim
