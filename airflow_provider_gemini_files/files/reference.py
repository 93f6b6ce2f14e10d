"""A reference to a Gemini file, small enough for XCom, and the parsing of every form a file is given in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_gemini_files.common.limits import MAX_ID
from airflow_provider_gemini_files.common.names import hint_of_text, name_in
from airflow_provider_gemini_files.common.redaction import shown_url, storable
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner

# Up to 42: a batch's result file has an id longer than the documented 40.
_ID = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{MAX_ID}}}[a-z0-9])?")
#: Path of a file at the service or a gateway: a bucket has no version of the API before ``files/``.
_API_PATH = re.compile(r"(?:/.*)?/v\d+[a-z0-9]*/files/(?P<id>[^/:]+)(?::download)?")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class UploadedFrom:
    """
    Where the bytes of a file came from.

    :param uri: absolute path or URI, without a user, password or query.
    :param conn_id: connection of the object storage; its provider's default if None.
    :param complete: False for a URL with a user or query, which may be secret and is not kept: it cannot be read again.
    """

    uri: str
    conn_id: str | None = None
    complete: bool = True

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UploadedFrom:
        """
        Read the JSON form; keys that another version of this package has written are ignored.

        :raises TypeError: if there is no URI.
        """
        origin: UploadedFrom = _known(cls, data)
        return origin


@dataclass(frozen=True)
class GeminiFile:
    """
    A file of the Gemini API.

    :param name: ``files/...``, the only handle used towards the service.
    :param state: ``PROCESSING``, ``ACTIVE``, ``FAILED``, or ``STATE_UNSPECIFIED`` if the service gives none.
    :param sha256: hex digest; None if the service gave none that can be read.
    :param create_time: RFC 3339, as is ``expiration_time``.
    :param display_name: as the service has it, including the owner.
    :param source: ``UPLOADED``, ``GENERATED`` or ``REGISTERED``.
    :param owner: the task instance that uploaded it, None for files of other tools.
    :param error: ``{"code", "message"}`` of a FAILED file.
    :param uploaded_from: known only from the upload itself; None for bytes that were in memory.
    :param conn_id: the Gemini connection through which the file was read; None if it is not known.
    """

    name: str
    uri: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    state: str = "STATE_UNSPECIFIED"
    create_time: str | None = None
    expiration_time: str | None = None
    display_name: str | None = None
    source: str | None = None
    owner: Owner | None = None
    error: dict[str, Any] | None = None
    # The service does not know these two, so they do not make two reads of a file differ.
    uploaded_from: UploadedFrom | None = field(default=None, compare=False)
    conn_id: str | None = field(default=None, compare=False)

    @classmethod
    def from_api(cls, resource: Mapping[str, Any], conn_id: str | None = None) -> GeminiFile:
        """
        Read the service's File resource (REST spelling); thumbnails and other bulk are left out.

        :raises ValueError: if it cannot be read (also as KeyError, TypeError, AttributeError or OverflowError).
        """
        if not isinstance(resource["name"], str):
            raise TypeError(f"name is {resource['name']!r}")
        for key in ("uri", "mimeType", "state", "displayName", "source", "sha256Hash"):
            if not isinstance(resource.get(key), str | None):
                raise TypeError(f"{key} is {resource[key]!r}")
        # Files of other tools can be called anything, and the metadata go into a database.
        display_name = storable(resource.get("displayName"))
        size = resource.get("sizeBytes")
        error = resource.get("error")
        return cls(
            name=parse_name(resource["name"]),
            uri=resource.get("uri"),
            mime_type=resource.get("mimeType"),
            size_bytes=None if size is None else _size(size),
            sha256=_hex_sha256(resource.get("sha256Hash")),
            state=resource.get("state") or "STATE_UNSPECIFIED",
            create_time=_rfc3339(resource.get("createTime")),
            expiration_time=_rfc3339(resource.get("expirationTime")),
            display_name=display_name,
            source=resource.get("source"),
            owner=Owner.parse(display_name),
            error=_error(error) if error else None,
            conn_id=conn_id,
        )

    @property
    def is_registered(self) -> bool:
        """Return whether the file's bytes stay in Cloud Storage: they do not count in the project's storage."""
        return self.source == "REGISTERED"

    def expires_at(self) -> float | None:
        """Return when the service removes the file, in seconds since the epoch; None if it does not say."""
        return _epoch(self.expiration_time)

    def created_at(self) -> float | None:
        """Return when the file was created, in seconds since the epoch; None if the service does not say."""
        return _epoch(self.create_time)

    def to_dict(self) -> dict[str, Any]:
        """Return the XCom form: JSON-native, every key present."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GeminiFile:
        """
        Read :meth:`to_dict` back; keys that another version of this package has written are ignored.

        :raises TypeError: if there is no name.
        """
        known = {key: value for key, value in data.items() if key in _FIELDS}
        owner, origin = known.get("owner"), known.get("uploaded_from")
        known["owner"] = _known(Owner, owner) if owner else None
        known["uploaded_from"] = UploadedFrom.from_dict(origin) if origin else None
        return cls(**known)


def _known(kind: Any, data: Mapping[str, Any]) -> Any:
    """Return a record of the fields that this version of the package knows."""
    if not isinstance(data, Mapping):
        raise TypeError(f"not a record: {data!r}")
    names = {one.name for one in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in names})


_FIELDS = frozenset(field.name for field in fields(GeminiFile))


#: The forms in which a file is accepted: a name, a bare id, a URI, the metadata dict, the reference.
FileLike = str | Mapping[str, Any] | GeminiFile


def parse_name(file: FileLike) -> str:
    """
    Return ``files/<id>`` for a file in any form: a name, a bare id, a URI, the metadata dict.

    :raises GeminiInputError: for anything else.
    """
    given = name_in(file, GeminiFile)
    if isinstance(given, int) and not isinstance(given, bool):
        # A template with render_template_as_native_obj takes an id of digits for a number.
        given = str(given)
    if not isinstance(given, str):
        raise GeminiInputError(
            f"A Gemini file must be 'files/<id>', '<id>', its URI or its metadata dict with a 'name'; got {file!r}."
        )
    file_id = _id_of_uri(given) if "://" in given else given.removeprefix("files/")
    if not _ID.fullmatch(file_id):
        raise GeminiInputError(
            f"{shown_url(given)!r} is not a Gemini file: expected 'files/<id>', '<id>' or a URI that ends with one; an "
            f"id is up to {MAX_ID} lower-case letters, digits and inner dashes.{hint_of_text(given)}"
        )
    return f"files/{file_id}"


def _id_of_uri(uri: str) -> str:
    """Return the id in the URI of a file or of its download; an empty text for any other, such as of a bucket."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    found = _API_PATH.fullmatch(parts.path) if parts.scheme in ("http", "https") and parts.netloc else None
    return found["id"] if found else ""


def parse_names(files: Any) -> list[str]:
    """
    Return the names of one file or of a list of files, in order and without repetition.

    :raises GeminiInputError: for an empty list, or if an element is not a file.
    """
    given = listed_files(files)
    if not given:
        raise GeminiInputError("Expected at least one Gemini file, got an empty list.")
    return list(dict.fromkeys(parse_name(file) for file in given))


def check_connection(file: FileLike, conn_id: str) -> None:
    """
    Refuse a file whose metadata say that it was read through another connection.

    Its project can be another one, where a file of the same name is not there or is not the same. A name, an id or a
    URI says nothing of a connection.

    :param conn_id: the connection that the file is to be used with.
    :raises GeminiInputError: naming both connections.
    """
    theirs = file.get("conn_id") if isinstance(file, Mapping) else getattr(file, "conn_id", None)
    if theirs and theirs != conn_id:
        raise GeminiInputError(
            f"{parse_name(file)} was uploaded through connection {theirs!r}, and this request goes through "
            f"{conn_id!r}, whose key may belong to another project: give both tasks the same gemini_conn_id."
        )


def names_for(files: Any, conn_id: str) -> list[str]:
    """
    Return the names of one file or of a list of files that are to be used with a connection, as :func:`parse_names`.

    :raises GeminiInputError: also for the metadata of a file that was read through another connection.
    """
    # Once, as an iterator is empty afterwards.
    given = listed_files(files)
    for file in given:
        check_connection(file, conn_id)
    return parse_names(given)


def listed_files(files: Any) -> list[Any]:
    """Return a list of files: of one, of several, of lists as mapped uploads return them, or of none for None."""
    if files is None:
        return []
    given = in_order(files) if is_many_files(files) else [files]
    return [one for item in given for one in (listed_files(item) if isinstance(item, list) else [item])]


def in_order(several: Iterable[Any]) -> list[Any]:
    """Return several in their order; those of a set, whose order differs between processes, in that of the alphabet."""
    return sorted(several, key=str) if isinstance(several, set | frozenset) else list(several)


def is_many_files(files: Any) -> bool:
    """Return whether several files were given, so that several names are returned; None is not several."""
    return isinstance(files, Iterable) and not isinstance(files, str | bytes | Mapping | GeminiFile)


def _error(error: Any) -> dict[str, Any]:
    """Return the error of a FAILED file; some answer a text instead of an object."""
    if isinstance(error, Mapping):
        return {key: storable(error[key]) for key in ("code", "message") if key in error}
    return {"message": storable(str(error))}


def _size(value: Any) -> int:
    """Return a number of bytes; less than none would make room in the storage that is not there."""
    size = int(value)
    if isinstance(value, bool) or size < 0:
        raise ValueError(f"sizeBytes is {value!r}")
    return size


def _hex_sha256(encoded: str | None) -> str | None:
    """Decode the service's hash: base64 of the hex digest (as seen), or of the digest itself (as documented)."""
    if not encoded:
        return None
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    if len(raw) == 32:
        return raw.hex()
    text = raw.decode("ascii", errors="replace").lower()
    return text if _HEX_DIGEST.fullmatch(text) else None


def _epoch(moment: str | None) -> float | None:
    # Not pendulum: it takes ten times as long, which counts where a list has thousands of files.
    return datetime.fromisoformat(moment).timestamp() if moment else None


def _rfc3339(value: str | None) -> str | None:
    """Return a time in UTC with microseconds, or None if it is not set; the service writes 0 to 9 fractional digits."""
    if not value:
        return None
    moment = datetime.fromisoformat(value)
    # Without a zone, Python would take it for the local time of this worker.
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.timestamp() <= 0:
        # The zero of a gateway's programming language: a time that is not set.
        return None
    return moment.isoformat().replace("+00:00", "Z")
