"""The kinds of owners of files, for the page and the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from airflow_provider_gemini_files.files.naming import deployment_of, is_shared
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import RunKey
from airflow_provider_gemini_files.files.storage_usage import counted_bytes


class Kind(StrEnum):
    """The kinds of owners, in the order in which they are shown; ``PARTS`` in ``ui/static/history.js`` has the same."""

    RUNNING = "running"
    FINISHED = "finished"
    SHARED = "shared"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    FOREIGN = "foreign"


_KINDS = {
    RunState.RUNNING: Kind.RUNNING,
    RunState.FINISHED: Kind.FINISHED,
    RunState.GONE: Kind.FINISHED,
    RunState.UNKNOWN: Kind.UNKNOWN,
}


def kind_of(file: GeminiFile, runs: Mapping[RunKey, RunState], deployment: str | None) -> Kind:
    """
    Return the kind of a file's owner.

    :param runs: the states of the runs that own files; a run that is not in it is unknown.
    :param deployment: identity of this Airflow deployment.
    """
    owner = file.owner
    if owner is None and not is_shared(file.display_name):
        return Kind.FOREIGN
    if deployment_of(file.display_name) != deployment:
        return Kind.ELSEWHERE
    return Kind.SHARED if owner is None else _KINDS[runs.get(owner.run, RunState.UNKNOWN)]


def bytes_by_kind(
    files: Iterable[GeminiFile], runs: Mapping[RunKey, RunState], deployment: str | None
) -> dict[Kind, int]:
    """Return the bytes of the quota that the files of each kind use; the parameters are those of :func:`kind_of`."""
    counted = dict.fromkeys(Kind, 0)
    for file in files:
        counted[kind_of(file, runs, deployment)] += counted_bytes(file)
    return counted
