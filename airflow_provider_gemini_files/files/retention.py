"""Which files go, which stay, and why: decided here for the sweep, the eviction, the command and the page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from airflow_provider_gemini_files.files.naming import is_shared, label_of
from airflow_provider_gemini_files.files.policy import Reason, RetentionPolicy, RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import counted_bytes

__all__ = ["Plan", "Reason", "RetentionPolicy", "RunKey", "RunState", "Verdict", "plan", "plan_room"]

#: ``(dag_id, run_id)``.
RunKey = tuple[str, str]
#: A file that is about to expire is no longer handed to anybody: the default of an upload's ``min_remaining_ttl``.
_EXPIRES_SOON = timedelta(hours=1)


@dataclass(frozen=True)
class Verdict:
    """
    What becomes of a file.

    :param why: a sentence for people; ``reason`` is for counting.
    """

    file: GeminiFile
    delete: bool
    reason: Reason
    why: str


@dataclass(frozen=True)
class Plan:
    """
    What becomes of each file of a project.

    :param verdicts: one for each file: first those that go, least harmful first, then those that stay, oldest first.
    """

    verdicts: Sequence[Verdict]

    @property
    def deletions(self) -> list[Verdict]:
        """Return the verdicts on the files that go, in the order in which they go."""
        return [verdict for verdict in self.verdicts if verdict.delete]

    @property
    def freed_bytes(self) -> int:
        """Return what the deletions free."""
        return sum(counted_bytes(verdict.file) for verdict in self.verdicts if verdict.delete)


def plan(
    files: Iterable[GeminiFile],
    runs: Mapping[RunKey, RunState],
    now: datetime,
    policy: RetentionPolicy,
    quota_bytes: int,
) -> Plan:
    """
    Decide what becomes of each file; the same input gives the same plan, in whatever order the files come.

    :param files: all files of the project, as the watermarks are about their sum.
    :param runs: the states of the runs that own files; one that is not named is unknown.
    :param now: aware.
    """
    candidates = [_judge(file, runs, now, policy) for file in files]
    used = sum(counted_bytes(candidate.file) for candidate in candidates)
    makes_room = used >= policy.high_watermark * quota_bytes
    excess = used - policy.low_watermark * quota_bytes if makes_room else 0
    return _choose(candidates, excess, policy)


def plan_room(
    files: Iterable[GeminiFile], runs: Mapping[RunKey, RunState], now: datetime, needed_bytes: int, quota_bytes: int
) -> Plan:
    """
    Decide what goes so that a new file fits: files of runs that are finished or gone, and no more than needed.

    :param needed_bytes: what the service has just refused; where the list says that it fits, so much goes all the same.
    """
    candidates = [_judge(file, runs, now, _ROOM) for file in files]
    missing = sum(counted_bytes(candidate.file) for candidate in candidates) + needed_bytes - quota_bytes
    return _choose(candidates, missing if missing > 0 else needed_bytes, _ROOM)


#: What goes where an upload makes room for itself: nothing is due, and nothing goes that others may use.
_ROOM = RetentionPolicy(
    max_age=None, max_age_finished=None, max_age_failed=None, grace=timedelta(), include_shared=False
)
#: The order in which files go; those of the same place go oldest first.
_PLACES = {
    Reason.FAILED: 0,
    Reason.RUN_FINISHED: 1,
    Reason.RUN_GONE: 1,
    Reason.EXPIRES_SOON: 2,
    Reason.TOO_OLD: 3,
    Reason.OLDEST: 3,
}


@dataclass(frozen=True)
class _Candidate:
    """
    A file, judged by itself.

    :param reason: why it would go, or why it may not.
    :param due: it goes whether room is needed or not.
    """

    file: GeminiFile
    reason: Reason
    why: str
    created: float
    due: bool = False

    @property
    def may_go(self) -> bool:
        """Tell whether the rules allow that it goes."""
        return self.reason in _PLACES

    @property
    def order(self) -> tuple[int, float, str]:
        """Return its place: what may go first, least harmful first, then oldest first."""
        return _PLACES.get(self.reason, len(_PLACES)), self.created, self.file.name


def _judge(file: GeminiFile, runs: Mapping[RunKey, RunState], now: datetime, policy: RetentionPolicy) -> _Candidate:
    created = file.created()
    age = None if created is None else now.timestamp() - created
    state = RunState.UNKNOWN
    if file.owner:
        state = runs.get((file.owner.dag_id, file.owner.run_id), RunState.UNKNOWN)
    kept = _kept_by_rules(file, policy) or _kept_by_owner(file, state, policy)
    if kept is None and age is None:
        kept = Reason.TOO_YOUNG, "the service does not say how old it is"
    elif kept is None and age is not None and age < policy.grace.total_seconds():
        kept = Reason.TOO_YOUNG, f"it is {_hours(age)} old, within the grace of {_hours(policy.grace.total_seconds())}"
    if kept:
        return _Candidate(file, *kept, created or 0.0)
    return _candidate(file, state, created or 0.0, now, policy)


def _kept_by_rules(file: GeminiFile, policy: RetentionPolicy) -> tuple[Reason, str] | None:
    """Return why a file stays by what was said about it."""
    names = (file.name, file.display_name or "", label_of(file.display_name))
    # A bracket is a bracket: the display names of our files have some.
    patterns = [pattern.replace("[", "[[]") for pattern in policy.keep]
    if any(fnmatchcase(name, pattern) for pattern in patterns for name in names):
        return Reason.KEEP_LIST, "it is on the keep list"
    selected = (
        (policy.dag_ids is None or (file.owner is not None and file.owner.dag_id in policy.dag_ids))
        and (policy.display_name or "") in (file.display_name or "")
        and (file.mime_type or "").startswith(policy.mime_type or "")
        and (file.size_bytes or 0) >= policy.min_bytes
    )
    return None if selected else (Reason.NOT_SELECTED, "the policy's filters leave it out")


def _kept_by_owner(file: GeminiFile, state: RunState, policy: RetentionPolicy) -> tuple[Reason, str] | None:
    """Return why a file stays by whose it is."""
    if file.owner is None:
        if is_shared(file.display_name):
            return None if policy.include_shared else (Reason.SHARED, "all runs share it")
        return None if policy.include_foreign else (Reason.FOREIGN, "no task of Airflow has uploaded it")
    run = _run_of(file)
    if state is RunState.RUNNING:
        return Reason.RUN_RUNNING, f"{run} has not ended"
    if state is RunState.UNKNOWN:
        return Reason.RUN_UNKNOWN, f"whether {run} has ended could not be found out"
    if state is RunState.GONE and not policy.include_orphans:
        return Reason.ORPHAN, f"{run} is not known here; it may be another Airflow's"
    return None


def _candidate(file: GeminiFile, state: RunState, created: float, now: datetime, policy: RetentionPolicy) -> _Candidate:
    """Judge a file that may go: why it would, and whether it is due by its age."""
    age = now.timestamp() - created
    limits = [
        policy.max_age,
        policy.max_age_finished if file.owner else None,
        policy.max_age_failed if file.state == "FAILED" else None,
    ]
    due = any(limit is not None and age >= limit.total_seconds() for limit in limits)
    expires = file.expires()
    if file.state == "FAILED":
        reason, why = Reason.FAILED, "the service could not process it"
    elif file.owner:
        finished = state is RunState.FINISHED
        reason = Reason.RUN_FINISHED if finished else Reason.RUN_GONE
        why = f"{_run_of(file)} {'has ended' if finished else 'is not there any more'}"
    elif expires is not None and expires - now.timestamp() < _EXPIRES_SOON.total_seconds():
        reason, why = Reason.EXPIRES_SOON, f"it expires at {file.expiration_time}"
    else:
        reason, why = Reason.TOO_OLD if due else Reason.OLDEST, "nothing speaks for it but its age"
    return _Candidate(file, reason, f"{why}; it is {_hours(age)} old", created, due)


def _choose(candidates: Iterable[_Candidate], excess: float, policy: RetentionPolicy) -> Plan:
    """
    Choose what goes: what is due, then as much as room is needed.

    :param excess: bytes to be freed, what is due included.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.order)
    wanted = [candidate for candidate in ordered if candidate.may_go and candidate.due]
    freed = sum(counted_bytes(candidate.file) for candidate in wanted)
    for candidate in ordered:
        if freed >= excess:
            break
        size = counted_bytes(candidate.file)
        if candidate.may_go and not candidate.due and size:
            wanted.append(candidate)
            freed += size
    going = {candidate.file.name for candidate in wanted[: policy.max_deletions]}
    over_limit = {candidate.file.name for candidate in wanted} - going
    verdicts = [_verdict(candidate, going, over_limit) for candidate in ordered]
    return Plan(sorted(verdicts, key=lambda verdict: not verdict.delete))


def _verdict(candidate: _Candidate, going: Collection[str], over_limit: Collection[str]) -> Verdict:
    file, why = candidate.file, candidate.why
    if file.name in going:
        return Verdict(file, True, candidate.reason, why if candidate.due else f"{why}, and room is needed")
    if file.name in over_limit:
        return Verdict(file, False, Reason.LIMIT, f"it would go ({why}), but max_deletions is reached")
    if candidate.may_go:
        return Verdict(file, False, Reason.NOT_DUE, f"it may go ({why}), but is not due, and no room is needed")
    return Verdict(file, False, candidate.reason, why)


def _run_of(file: GeminiFile) -> str:
    return f"run {file.owner.run_id} of {file.owner.dag_id}" if file.owner else "no run"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if abs(seconds) >= 3600 else f"{seconds / 60:.0f} min"
