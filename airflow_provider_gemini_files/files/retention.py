"""Which files are deleted, which are kept, and why: one plan for cleanup, eviction, command and page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from airflow_provider_gemini_files.files.in_use import FilesInUse
from airflow_provider_gemini_files.files.naming import Owner, deployment_of, is_shared, label_of
from airflow_provider_gemini_files.files.policy import Reason, RetentionPolicy, RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.storage_usage import counted_bytes

__all__ = ["Decision", "Plan", "RunKey", "plan", "plan_eviction"]

_NOT_IN_USE = FilesInUse()
#: ``(dag_id, run_id)``.
RunKey = tuple[str, str]
#: A file that expires sooner is no longer reused: the default of an upload's ``min_remaining_ttl``.
_EXPIRES_SOON = timedelta(hours=1)


@dataclass(frozen=True)
class Decision:
    """
    Whether one file is deleted, and why.

    :param reason: the rule, for counting.
    :param why: a sentence for people.
    """

    file: GeminiFile
    delete: bool
    reason: Reason
    why: str


@dataclass(frozen=True)
class Plan:
    """
    The decisions on all files of a project.

    :param decisions: one for each file: first the deletions, least harmful first; then the kept files, oldest first.
    """

    decisions: Sequence[Decision]

    @property
    def deletions(self) -> list[Decision]:
        """Return the decisions to delete, in the order of deletion."""
        return [decision for decision in self.decisions if decision.delete]

    @property
    def freed_bytes(self) -> int:
        """Return how many bytes of the quota the deletions free."""
        return sum(counted_bytes(decision.file) for decision in self.decisions if decision.delete)


def plan(
    files: Iterable[GeminiFile],
    runs: Mapping[RunKey, RunState],
    now: datetime,
    policy: RetentionPolicy,
    quota_bytes: int,
    deployment: str | None = None,
    in_use: FilesInUse = _NOT_IN_USE,
) -> Plan:
    """
    Plan a cleanup. The same files give the same plan in any order.

    :param files: all files of the project: the watermarks are compared with their sum.
    :param runs: the states of the runs that own files; a run that is not in it is unknown.
    :param now: aware, by the service's clock.
    :param deployment: identity of this Airflow deployment; files of any other are foreign.
    :param in_use: files that batch jobs still need.
    """
    candidates = [_candidate(file, runs, now, policy, deployment, in_use) for file in files]
    used = sum(counted_bytes(candidate.file) for candidate in candidates)
    is_too_full = used >= policy.high_watermark * quota_bytes
    excess = used - policy.low_watermark * quota_bytes if is_too_full else 0
    return _choose(candidates, excess, policy)


def plan_eviction(
    files: Iterable[GeminiFile],
    runs: Mapping[RunKey, RunState],
    now: datetime,
    needed_bytes: int,
    quota_bytes: int,
    deployment: str | None = None,
    in_use: FilesInUse = _NOT_IN_USE,
) -> Plan:
    """
    Plan which files of finished or deleted runs an upload evicts, no more than it needs.

    :param needed_bytes: the size that the service has just refused. If the list says that it fits, as many bytes are
        evicted all the same, since the service counts more than the list shows.
    """
    candidates = [_candidate(file, runs, now, _EVICTION, deployment, in_use) for file in files]
    missing = sum(counted_bytes(candidate.file) for candidate in candidates) + needed_bytes - quota_bytes
    return _choose(candidates, missing if missing > 0 else needed_bytes, _EVICTION)


#: Policy of evictions: no file is due by its age, and files that other runs may use are kept.
_EVICTION = RetentionPolicy(max_age=None, max_age_finished=None, max_age_failed=None, grace=timedelta(minutes=10))
#: Reasons to delete, in the order of deletion; files of the same place are deleted oldest first.
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
    A file, judged without regard to the others.

    :param reason: why it may be deleted, or why it is kept.
    :param due: it is deleted even if no space is needed.
    """

    file: GeminiFile
    reason: Reason
    why: str
    created: float
    due: bool = False

    @property
    def is_deletable(self) -> bool:
        """Return whether the rules permit deletion."""
        return self.reason in _PLACES

    @property
    def order(self) -> tuple[int, float, str]:
        """Return the sort key: deletable files first, least harmful first, then oldest first."""
        return _PLACES.get(self.reason, len(_PLACES)), self.created, self.file.name


def _candidate(
    file: GeminiFile,
    runs: Mapping[RunKey, RunState],
    now: datetime,
    policy: RetentionPolicy,
    deployment: str | None,
    in_use: FilesInUse,
) -> _Candidate:
    created = file.created_at()
    age = None if created is None else now.timestamp() - created
    # Of another deployment's runs, this one knows nothing, even if they have the same names.
    owner = file.owner if file.owner and file.owner.deployment == deployment else None
    state = runs.get(owner.run, RunState.UNKNOWN) if owner else RunState.UNKNOWN
    kept = _kept_by_policy(file, policy) or _kept_by_owner(file, state, policy, deployment)
    if kept is None and (why := in_use.reason(file)):
        kept = Reason.IN_BATCH, why
    if kept is None and age is None:
        kept = Reason.TOO_YOUNG, "its age is unknown, as the service gives no creation time"
    elif kept is None and age is not None and age < policy.grace.total_seconds():
        kept = (
            Reason.TOO_YOUNG,
            f"{_hours(age)} old, younger than the grace period ({_hours(policy.grace.total_seconds())})",
        )
    if kept:
        return _Candidate(file, *kept, created or 0.0)
    return _deletable(file, owner, state, created or 0.0, now, policy)


def _kept_by_policy(file: GeminiFile, policy: RetentionPolicy) -> tuple[Reason, str] | None:
    """Return why the keep list or a filter of the policy keeps a file, or None."""
    names = (file.name, file.display_name or "", label_of(file.display_name))
    # Brackets are literal, as the display names of our files contain some.
    patterns = [pattern.replace("[", "[[]") for pattern in policy.keep]
    if any(fnmatchcase(name, pattern) for pattern in patterns for name in names):
        return Reason.KEEP_LIST, "on the keep list"
    of_dags = policy.dag_ids is None or (file.owner is not None and file.owner.dag_id in policy.dag_ids)
    selected = of_dags and policy.selection.selects(file)
    return None if selected else (Reason.NOT_SELECTED, "not selected by the filters of the policy")


def _kept_by_owner(
    file: GeminiFile, state: RunState, policy: RetentionPolicy, deployment: str | None
) -> tuple[Reason, str] | None:
    """Return why a file is kept because of its owner, or None."""
    shared = is_shared(file.display_name)
    if (file.owner or shared) and deployment_of(file.display_name) != deployment:
        return None if policy.include_foreign else (Reason.FOREIGN, "uploaded by another Airflow deployment")
    if shared:
        return None if policy.include_shared else (Reason.SHARED, "shared by all runs, one of which may use it")
    if file.owner is None:
        why = (
            "registered: it has no owner, and uses no space"
            if file.is_registered
            else "not uploaded by an Airflow task"
        )
        return None if policy.include_foreign else (Reason.FOREIGN, why)
    run = _run_of(file)
    if state is RunState.RUNNING:
        return Reason.RUN_RUNNING, f"{run} is still running"
    if state is RunState.UNKNOWN:
        return Reason.RUN_UNKNOWN, f"Airflow could not say whether {run} has ended"
    if state is RunState.GONE and not policy.include_orphans:
        return Reason.ORPHAN, f"{run} does not exist here; it may belong to another Airflow deployment"
    return None


def _deletable(
    file: GeminiFile, owner: Owner | None, state: RunState, created: float, now: datetime, policy: RetentionPolicy
) -> _Candidate:
    """Return a file that may be deleted: for which reason, and whether its age is enough for that."""
    age = now.timestamp() - created
    limits = [
        policy.max_age,
        policy.max_age_finished if owner else None,
        policy.max_age_failed if file.state == "FAILED" else None,
    ]
    due = any(limit is not None and age >= limit.total_seconds() for limit in limits)
    expires = file.expires_at()
    if file.state == "FAILED":
        reason, why = Reason.FAILED, "the service could not process it"
    elif owner:
        finished = state is RunState.FINISHED
        reason = Reason.RUN_FINISHED if finished else Reason.RUN_GONE
        why = f"{_run_of(file)} {'has ended' if finished else 'does not exist any more'}"
    elif expires is not None and expires - now.timestamp() < _EXPIRES_SOON.total_seconds():
        reason, why = Reason.EXPIRES_SOON, f"expires at {file.expiration_time}"
    else:
        reason, why = Reason.TOO_OLD if due else Reason.OLDEST, "selected by age only"
    return _Candidate(file, reason, f"{why}; {_hours(age)} old", created, due)


def _choose(candidates: Iterable[_Candidate], excess: float, policy: RetentionPolicy) -> Plan:
    """
    Delete what is due, then as many other deletable files as needed.

    :param excess: bytes to free, including those of files that are due.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.order)
    chosen = [candidate for candidate in ordered if candidate.is_deletable and candidate.due]
    freed = sum(counted_bytes(candidate.file) for candidate in chosen)
    for candidate in ordered:
        if freed >= excess:
            break
        size = counted_bytes(candidate.file)
        if candidate.is_deletable and not candidate.due and size:
            chosen.append(candidate)
            freed += size
    deleted = {candidate.file.name for candidate in chosen[: policy.max_deletions]}
    over_limit = {candidate.file.name for candidate in chosen} - deleted
    decisions = [_decide(candidate, deleted, over_limit) for candidate in ordered]
    return Plan(sorted(decisions, key=lambda decision: not decision.delete))


def _decide(candidate: _Candidate, deleted: Collection[str], over_limit: Collection[str]) -> Decision:
    file, why = candidate.file, candidate.why
    if file.name in deleted:
        return Decision(file, True, candidate.reason, why if candidate.due else f"{why}; space is needed")
    if file.name in over_limit:
        return Decision(file, False, Reason.LIMIT, f"{why}; kept because max_deletions is reached")
    if candidate.is_deletable:
        return Decision(file, False, Reason.NOT_DUE, f"{why}; not due yet, and no space is needed")
    return Decision(file, False, candidate.reason, why)


def _run_of(file: GeminiFile) -> str:
    return f"run {file.owner.run_id} of {file.owner.dag_id}" if file.owner else "no run"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if abs(seconds) >= 3600 else f"{seconds / 60:.0f} min"
