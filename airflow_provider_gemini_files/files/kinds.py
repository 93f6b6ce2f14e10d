"""Who owns a file, in the kinds that the page shows and the history counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from airflow_provider_gemini_files.files.naming import is_shared
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.retention import RunKey
from airflow_provider_gemini_files.files.storage_usage import counted_bytes


class Kind(StrEnum):
    """The kinds of owners, in the order in which they are shown; ``KINDS`` in ``ui/static/files.js`` has the same."""

    RUNNING = "running"
    FINISHED = "finished"
    SHARED = "shared"
    FOREIGN = "foreign"


def kind_of(file: GeminiFile, runs: Mapping[RunKey, RunState], deployment: str | None) -> Kind:
    """
    Return the kind of a file's owner.

    :param runs: the states of the runs that own files; a run that is not in it is unknown, and counts as running.
    :param deployment: identity of this Airflow deployment; files of runs of any other are foreign.
    """
    owner = file.owner
    if owner is None:
        return Kind.SHARED if is_shared(file.display_name) else Kind.FOREIGN
    if owner.deployment != deployment:
        return Kind.FOREIGN
    has_ended = runs.get(owner.run, RunState.UNKNOWN) in (RunState.FINISHED, RunState.GONE)
    return Kind.FINISHED if has_ended else Kind.RUNNING


def bytes_by_kind(
    files: Iterable[GeminiFile], runs: Mapping[RunKey, RunState], deployment: str | None
) -> dict[Kind, int]:
    """Return the bytes of the quota that the files of each kind use; the parameters are those of :func:`kind_of`."""
    counted = dict.fromkeys(Kind, 0)
    for file in files:
        counted[kind_of(file, runs, deployment)] += counted_bytes(file)
    return counted
