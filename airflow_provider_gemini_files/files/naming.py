"""The names this provider gives to files, and the mark that says which task instance owns one."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from urllib.parse import quote, unquote

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME, MAX_ID

_MARK = re.compile(r" \[airflow dag=(?P<dag>\S+) run=(?P<run>\S+) task=(?P<task>\S+)(?: map=(?P<map>\d+))?\]$")
_SHARED_MARK = " [airflow shared]"
#: What is put behind a name where the file that has it is left alone, as it expires soon.
_SLOTS = ("", "b", "c")
#: A label keeps at least this many characters when a long mark wants its room.
_MIN_LABEL = 12


@dataclass(frozen=True)
class Owner:
    """
    The task instance that uploaded a file.

    :param map_index: -1 for a task that is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def run(self) -> tuple[str, str]:
        """Return ``(dag_id, run_id)``."""
        return self.dag_id, self.run_id

    @classmethod
    def parse(cls, display_name: str | None) -> Owner | None:
        """Read the owner out of a display name; None where no owner is written."""
        match = _MARK.search(display_name or "")
        if match is None:
            return None
        dag_id, run_id, task_id = (unquote(match[key]) for key in ("dag", "run", "task"))
        return cls(dag_id, run_id, task_id, int(match["map"] or -1))

    def mark(self) -> str:
        """Return the text that :meth:`parse` reads, to stand at the end of a display name."""
        dag_id, run_id, task_id = (quote(part, safe=":+") for part in (self.dag_id, self.run_id, self.task_id))
        mapped = f" map={self.map_index}" if self.map_index >= 0 else ""
        return f" [airflow dag={dag_id} run={run_id} task={task_id}{mapped}]"


def is_shared(display_name: str | None) -> bool:
    """Tell whether a file is shared by all runs, and so belongs to none."""
    return (display_name or "").endswith(_SHARED_MARK)


def label_of(display_name: str | None) -> str:
    """Return a display name without what says who owns the file."""
    return _MARK.sub("", display_name or "").removesuffix(_SHARED_MARK)


def display_name_for(label: str, owner: Owner | None, *, shared: bool = False) -> str:
    """
    Return a display name: the label, and who owns the file; or that all runs share it.

    A label that leaves no room for the owner is cut; an owner that does not fit at all (ids of hundreds of
    characters) is left out, and the file then counts as not owned.

    :param label: at most 512 characters, usually the name of the source.
    :raises GeminiInputError: for a longer label.
    """
    if len(label) > MAX_DISPLAY_NAME:
        raise GeminiInputError(
            f"A display name has at most {MAX_DISPLAY_NAME} characters, got {len(label)}: {label[:60]!r}..."
        )
    mark = _SHARED_MARK if shared else owner.mark() if owner else ""
    room = MAX_DISPLAY_NAME - len(mark)
    if len(label) <= room:
        return label + mark
    return label[: room - 1] + "…" + mark if room > _MIN_LABEL else label


def run_file_name(conn_id: str, owner: Owner, fingerprint: tuple[str, ...]) -> str:
    """
    Return the one name that a source has within a task instance of a run, whatever the try.

    :param conn_id: two connections can be two projects.
    :param fingerprint: what tells one version of the source from another.
    """
    return _name("af", conn_id, owner.dag_id, owner.run_id, owner.task_id, str(owner.map_index), *fingerprint)


def shared_file_name(conn_id: str, sha256: str, mime_type: str) -> str:
    """
    Return the one name that bytes have for all runs.

    :param conn_id: two connections can be two projects.
    :param sha256: hex digest of the bytes.
    """
    return _name("as", conn_id, sha256, mime_type)


def new_file_name() -> str:
    """Return a name that no file has: chosen here, a lost answer never leads to a second file."""
    return f"files/an{secrets.token_hex(12)}"


def is_new_file_name(name: str) -> bool:
    """Tell whether a name was chosen by chance, so that no later try of a task finds the file by it."""
    return name.startswith("files/an")


def slots_of(name: str) -> list[str]:
    """Return the names that a file and its successors have, first the one to be looked for first."""
    return [name + slot for slot in _SLOTS if len(name + slot) <= len("files/") + MAX_ID]


def _name(kind: str, *identity: str) -> str:
    # Letters and digits only, as the SDK cuts a URI at a dash. NUL cannot be part of an id, so none run together.
    return f"files/{kind}" + hashlib.sha256("\0".join(identity).encode()).hexdigest()[:24]
