"""
What a deferred upload leaves for the task that is resumed, as records in Airflow's database.

They travel with the trigger and come back in its event; the arguments of a deferral are lost in ``dag.test()`` of
Airflow 3.3.2. Version 1 kept them in those arguments: ``origins`` of files that were waited for, and the fields of
:class:`QuotaResume` for uploads that waited for free space. Tasks that were deferred before an upgrade end with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from airflow_provider_gemini_files.files.events import Event, resume_of
from airflow_provider_gemini_files.files.reference import GeminiFile, UploadedFrom

VERSION = 2


@dataclass(frozen=True)
class UploadResume:
    """
    The past of an upload that waits for its files to become ACTIVE.

    :param many: whether a list is returned; None if the record is too old to know it.
    :param origins: of the files, in their order; the service does not know them.
    """

    many: bool | None
    origins: tuple[UploadedFrom | None, ...] = ()

    @classmethod
    def of(cls, files: Sequence[GeminiFile], *, many: bool) -> UploadResume:
        """Return the record of uploaded files."""
        return cls(many, tuple(file.uploaded_from for file in files))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        origins = [origin and asdict(origin) for origin in self.origins]
        return {"version": VERSION, "many": self.many, "origins": origins}

    @classmethod
    def read(cls, event: Event | None, arguments: Mapping[str, Any]) -> UploadResume:
        """
        Read the record of an event, or of a deferral of version 1.

        :param arguments: what the deferral gave the resumed method besides the event.
        """
        record = resume_of(event) or arguments
        origins = tuple(UploadedFrom.from_dict(origin) if origin else None for origin in record.get("origins") or ())
        return cls(record.get("many"), origins)

    def restored(self, files: Sequence[GeminiFile]) -> list[GeminiFile]:
        """Return files with their origins."""
        if len(self.origins) != len(files):
            return list(files)
        return [replace(file, uploaded_from=origin) for file, origin in zip(files, self.origins, strict=True)]


@dataclass(frozen=True)
class QuotaResume:
    """
    The past of an upload that waits for free space.

    :param began: when its first attempt began, in seconds since the epoch, as is ``deadline``.
    :param tries: how often the service has said that the storage is full.
    :param evicted_bytes: bytes that were deleted for this upload.
    :param names: random file names by source, so that no source is uploaded twice.
    """

    began: float
    deadline: float
    tries: int = 0
    evicted_bytes: int = 0
    names: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def read(cls, event: Event | None, arguments: Mapping[str, Any]) -> QuotaResume | None:
        """Read the record, as :meth:`UploadResume.read` does; None if there is none."""
        record = resume_of(event) or arguments
        if "began" not in record or "deadline" not in record:
            return None
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})
