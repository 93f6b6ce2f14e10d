"""The display name of a batch job: a text for people, what identifies the job, and which files it reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_gemini_files.batches.job import BatchJob
from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME
from airflow_provider_gemini_files.files.in_use import FilesInUse, run_of
from airflow_provider_gemini_files.files.naming import Owner, label_of

#: The service may shorten a display name, whose greatest length is not published: the fingerprint alone is enough.
_MARK = re.compile(r" \[batch (?P<fingerprint>[0-9a-f]{24})(?: input=(?P<input>\S+) files=(?P<files>\S+)\])?")
#: The files of a job: all belong to its run; or it is not said which they are.
_OF_RUN, _ANY = "run", "any"
#: Characters of a label that are kept beside the marks.
_LABEL = 40
_PREFIX = "files/"


@dataclass(frozen=True)
class BatchMark:
    """
    What this package writes into the display name of a job.

    :param fingerprint: of the task instance, the connection and everything that is asked.
    :param input: the file with the requests, ``files/...``; None if the display name was shortened.
    :param files: the files that the requests name; None if they are not listed.
    :param of_run: whether all of them belong to the run of ``owner``.
    """

    fingerprint: str
    owner: Owner | None
    input: str | None
    files: tuple[str, ...] | None = None
    of_run: bool = False

    @classmethod
    def parse(cls, display_name: str | None) -> BatchMark | None:
        """Read a display name; return None if it is not one of this package."""
        match = _MARK.search(display_name or "")
        if match is None:
            return None
        told = match["files"] or _ANY
        listed = None if told in (_OF_RUN, _ANY) else tuple(_PREFIX + one for one in told.split(",") if one != "-")
        owner = Owner.parse(display_name)
        return cls(
            match["fingerprint"],
            owner,
            match["input"] and _PREFIX + match["input"],
            listed,
            told == _OF_RUN and owner is not None,
        )

    def display_name(self, label: str) -> str:
        """
        Return the display name of a job.

        It never exceeds the length of a file's display name, as the limit for jobs is not published. What does not fit
        is left out: first the list of files, then the owner, whose identity the fingerprint contains.

        :param label: a text for people; it is cut.
        """
        label = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
        files = _OF_RUN if self.of_run else _ANY if self.files is None else ",".join(map(_id, self.files)) or "-"
        owner = self.owner.mark() if self.owner else ""
        ways = [(files, owner), (_ANY, owner), (_ANY, "")]
        return next(
            name
            for listed, mark in ways
            if len(name := f"{label} [batch {self.fingerprint} input={_id(self.input or '-')} files={listed}]{mark}")
            <= MAX_DISPLAY_NAME
        )


def label_of_job(display_name: str | None) -> str:
    """Return the display name of a job without the marks of this package."""
    return _MARK.sub("", label_of(display_name))


def files_in_use(jobs: Iterable[BatchJob]) -> FilesInUse:
    """
    Return the files that jobs still need.

    The service does not say which files the requests of a job name. Jobs of this package say it in their display name.
    Any other job may read each file that is older than it.
    """
    return FilesInUse.of_all(_needed_by(job) for job in jobs if not job.has_ended)


def _needed_by(job: BatchJob) -> FilesInUse:
    mark = BatchMark.parse(job.display_name)
    names: Sequence[str] = () if mark is None else tuple(filter(None, (mark.input, *(mark.files or ()))))
    if mark and mark.files is not None:
        return FilesInUse(frozenset(names))
    if mark and mark.of_run and mark.owner:
        return FilesInUse(frozenset(names), frozenset({run_of(mark.owner)}))
    created = job.created_at()
    before = float("inf") if created is None else created
    return FilesInUse(
        frozenset(names),
        before=before,
        # A job of this package reads files of this package, even if there was no space to list them.
        certain_before=before if mark else float("-inf"),
        why=f"{job.name} has not ended, is younger than the file, and does not say which files it needs",
    )


def _id(name: str) -> str:
    return name.removeprefix(_PREFIX)
