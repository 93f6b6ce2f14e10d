"""File names chosen by this provider, and the mark in a display name that says which task instance owns a file."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from urllib.parse import quote, unquote

from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME, MAX_ID
from airflow_provider_gemini_files.common.redaction import escaped
from airflow_provider_gemini_files.exceptions import GeminiInputError

_MARK = re.compile(
    r" \[airflow(?: in=(?P<in>\S+))? dag=(?P<dag>\S+) run=(?P<run>\S+) task=(?P<task>\S+)(?: map=(?P<map>\d+))?\]$"
)
_SHARED_MARK = re.compile(r" \[airflow(?: in=(?P<in>\S+))? shared\]$")
#: Suffixes of successors: a file that expires soon may be in use, so its successor needs another name.
_SLOTS = ("", "b", "c")
#: Characters of the label that must fit beside the mark; else the mark is left out.
_MIN_LABEL = 12


@dataclass(frozen=True)
class Owner:
    """
    The task instance that uploaded a file.

    :param map_index: -1 for a task that is not mapped.
    :param deployment: identity of the Airflow deployment; None for files of older versions of this package.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    deployment: str | None = None

    @property
    def run(self) -> tuple[str, str]:
        """Return ``(dag_id, run_id)``."""
        return self.dag_id, self.run_id

    @classmethod
    def parse(cls, display_name: str | None) -> Owner | None:
        """Read the owner from a display name; return None if it has none."""
        match = _MARK.search(display_name or "")
        if match is None:
            return None
        dag_id, run_id, task_id = (unquote(match[key]) for key in ("dag", "run", "task"))
        deployment = unquote(match["in"]) if match["in"] else None
        return cls(dag_id, run_id, task_id, int(match["map"] or -1), deployment)

    def mark(self) -> str:
        """Return the text for the end of a display name, which :meth:`parse` reads."""
        dag_id, run_id, task_id = (quote(part, safe=":+") for part in (self.dag_id, self.run_id, self.task_id))
        mapped = f" map={self.map_index}" if self.map_index >= 0 else ""
        return f" [airflow{_in(self.deployment)} dag={dag_id} run={run_id} task={task_id}{mapped}]"


def is_shared(display_name: str | None) -> bool:
    """Return whether all runs share the file, so that no run owns it."""
    return _SHARED_MARK.search(display_name or "") is not None


def deployment_of(display_name: str | None) -> str | None:
    """Return the deployment that has uploaded a file, owned or shared; None if the display name does not say."""
    match = _MARK.search(display_name or "") or _SHARED_MARK.search(display_name or "")
    return unquote(match["in"]) if match and match["in"] else None


def label_of(display_name: str | None) -> str:
    """Return a display name without the mark of its owner."""
    return _SHARED_MARK.sub("", _MARK.sub("", display_name or ""))


def _in(deployment: str | None) -> str:
    return f" in={quote(deployment, safe='')}" if deployment else ""


def display_name_for(label: str, owner: Owner | None, *, shared: bool = False, deployment: str | None = None) -> str:
    """
    Return a display name: the label and the mark of its owner, or the mark of a shared file.

    A label that is too long beside the mark is cut. A mark that does not fit at all (ids of hundreds of characters) is
    left out, and the file counts as foreign. What no database takes is escaped.

    :param label: at most 512 characters, usually the name of the source.
    :param deployment: identity of the Airflow deployment whose runs share the file.
    :raises GeminiInputError: if the label is longer.
    """
    label = escaped(label)
    # The owners of another file whose display name was taken over do not own this one.
    while (unmarked := label_of(label)) != label:
        label = unmarked
    if len(label) > MAX_DISPLAY_NAME:
        raise GeminiInputError(
            f"A display name has at most {MAX_DISPLAY_NAME} characters, got {len(label)}: {label[:60]!r}..."
        )
    mark = f" [airflow{_in(deployment)} shared]" if shared else owner.mark() if owner else ""
    space = MAX_DISPLAY_NAME - len(mark)
    if len(label) <= space:
        return label + mark
    return label[: space - 1] + "…" + mark if space > _MIN_LABEL else label


def run_file_name(conn_id: str, owner: Owner, fingerprint: tuple[str, ...]) -> str:
    """
    Return the name of a source within a task instance of a run, the same for each attempt.

    :param conn_id: part of the name, as two connections can be two projects.
    :param fingerprint: values that change when the source does.
    """
    task = (owner.dag_id, owner.run_id, owner.task_id, str(owner.map_index))
    return _name("af", *_identity(owner.deployment), conn_id, *task, *fingerprint)


def shared_file_name(conn_id: str, sha256: str, mime_type: str, deployment: str | None = None) -> str:
    """
    Return the name of a content that all runs share.

    :param conn_id: part of the name, as two connections can be two projects.
    :param sha256: hex digest of the bytes.
    :param deployment: part of the name, as another deployment's cleanup would delete the file.
    """
    return _name("as", *_identity(deployment), conn_id, sha256, mime_type)


def _identity(deployment: str | None) -> tuple[str, ...]:
    return (deployment,) if deployment else ()


def new_file_name() -> str:
    """Return an unused name. As it is chosen here, a response that is lost does not lead to a second file."""
    return f"files/an{secrets.token_hex(12)}"


def is_new_file_name(name: str) -> bool:
    """Return whether a name is random, so that a later attempt cannot find the file by it."""
    return name.startswith("files/an")


def slots_of(name: str) -> list[str]:
    """Return the name of a file and those of its successors, in the order of preference."""
    return [name + slot for slot in _SLOTS if len(name + slot) <= len("files/") + MAX_ID]


def _name(kind: str, *identity: str) -> str:
    # Letters and digits only, as the SDK cuts a URI at a dash. NUL separates, since no id contains it.
    return f"files/{kind}" + hashlib.sha256("\0".join(identity).encode("utf-8", "surrogatepass")).hexdigest()[:24]
