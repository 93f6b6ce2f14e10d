"""The custom metadata of documents: what an author gives, and what this package adds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text, storable
from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Entries of a document, as Google's documentation says.
MAX_ENTRIES = 20
#: Characters of a value that an error shows.
_MAX_SHOWN = 100
#: Names of our own entries begin with this.
OWN_PREFIX = "airflow_"
_SOURCE, _FINGERPRINT, _OWNER = f"{OWN_PREFIX}source", f"{OWN_PREFIX}fingerprint", f"{OWN_PREFIX}owner"

Value = str | int | float | list[str]


@dataclass(frozen=True)
class Origin:
    """
    Where a document comes from, as this package writes it into the document.

    :param source: URI of the source, without a user, password or query.
    :param fingerprint: changes when the source, or how it is indexed, does.
    :param owner: the task that keeps the document in step with its source.
    """

    source: str
    fingerprint: str
    owner: str

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Origin | None:
        """Read the origin from a document's metadata; None if this package has not written it."""
        values = [metadata.get(name) for name in (_SOURCE, _FINGERPRINT, _OWNER)]
        return cls(*map(str, values)) if all(isinstance(value, str) for value in values) else None

    def entries(self) -> dict[str, Value]:
        """Return the entries that :meth:`of` reads."""
        return {_SOURCE: self.source, _FINGERPRINT: self.fingerprint, _OWNER: self.owner}


@dataclass(frozen=True)
class TaskOwner:
    """
    A task that keeps documents: not one of its instances, as a document outlives its run.

    :param map_index: of a mapped task whose instances have sources of their own; else -1.
    """

    deployment: str
    dag_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def parse(cls, owner: str) -> TaskOwner | None:
        """Read the owner of an :class:`Origin`; return None if it is of another form."""
        deployment, *ids = owner.split("/")
        if len(ids) not in (2, 3) or not all((deployment, *ids)) or not "".join(ids[2:] or "0").isdecimal():
            return None
        return cls(deployment, ids[0], ids[1], int(ids[2]) if len(ids) > 2 else -1)

    def to_text(self) -> str:
        """Return the text that :meth:`parse` reads."""
        mapped = f"/{self.map_index}" if self.map_index >= 0 else ""
        return f"{self.deployment}/{self.dag_id}/{self.task_id}{mapped}"


def check_metadata(given: Any, *, own: int = 0) -> dict[str, Value]:
    """
    Return the custom metadata that an author gives, without entries that are not set, as from a null Param.

    :param own: entries that this package adds.
    :raises GeminiInputError: for anything but a dict of texts, numbers and lists of texts, and for too many entries.
    """
    if _is_unset(given) or given == "":
        return {}
    if not isinstance(given, Mapping):
        raise GeminiInputError(f"custom_metadata must be a dict like {{'team': 'ops'}}; got {_shown(given)}.")
    entries = {name: value for name, value in given.items() if not _is_unset(value)}
    for name, value in entries.items():
        if not isinstance(name, str) or not name or name.startswith(OWN_PREFIX):
            raise GeminiInputError(
                f"custom_metadata has the name {name!r}: a name is a text that does not begin with {OWN_PREFIX!r}."
            )
        if not _is_value(value):
            raise GeminiInputError(
                f"custom_metadata[{name!r}] must be a text, a number or a list of texts; got {_shown(value)}."
            )
    if len(entries) + own > MAX_ENTRIES:
        raise GeminiInputError(
            f"custom_metadata has {len(entries)} entries. A document has at most {MAX_ENTRIES}, and {own} of them are "
            "this package's."
        )
    return entries


def to_api(metadata: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Return metadata as the service takes them."""
    return [{"key": name, **_typed(value)} for name, value in metadata.items()]


def from_api(entries: Any) -> dict[str, Any]:
    """Return the metadata of a document or of a citation; entries that cannot be read are left out."""
    listed: Iterable[Any] = entries if isinstance(entries, list) else []
    metadata: dict[str, Any] = {}
    for entry in listed:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("key"), str):
            continue
        texts = entry.get("stringListValue")
        for value in (entry.get("stringValue"), entry.get("numericValue"), _values(texts)):
            if value is not None:
                metadata[entry["key"]] = value
                break
    return metadata


def _values(texts: Any) -> list[Any] | None:
    values = texts.get("values") if isinstance(texts, Mapping) else None
    return values if isinstance(values, list) else None


def _shown(given: Any) -> str:
    return shown_text(repr(given), limit=_MAX_SHOWN)


def _is_unset(given: Any) -> bool:
    """Return whether something is None, or the text that a template makes of it."""
    return given is None or given == "None"


def _is_value(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, str) and storable(one) == one for one in value)
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(storable(value) == value)
    # JSON has no infinity, and the service keeps numbers as floats.
    return isinstance(value, int | float) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _typed(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list | tuple):
        return {"stringListValue": {"values": list(value)}}
    return {"numericValue": value}
