"""What the emulator remembers: projects, their files, their unfinished uploads."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import Clock, rfc3339
from airflow_provider_gemini_files.emulator.media import video_seconds

LIFETIME_SECONDS = 48 * 3600
MAX_FILE_BYTES = 2 * 1024**3
DEFAULT_QUOTA_BYTES = 20 * 1024**3
#: Bytes of a file that are kept for the models to look at; a longer file keeps its size and hash only.
KEPT_BYTES = 16 * 1024**2

_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_KNOWN_KINDS = {"application", "audio", "font", "image", "message", "model", "multipart", "text", "video"}


@dataclass
class StoredFile:
    """A file as the service holds it; its state is worked out from the time, never stored."""

    id: str
    display_name: str | None
    mime_type: str
    content: bytes
    size: int
    sha256: str
    created: float
    processed: float

    def state(self, now: float) -> str:
        """Return PROCESSING or ACTIVE."""
        return "PROCESSING" if now < self.processed else "ACTIVE"

    def expires(self) -> float:
        """Return when the file goes away; the service counts from a moment before the creation."""
        return self.created - 0.018 + LIFETIME_SECONDS

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the File resource; what is not set is absent."""
        state = self.state(now)
        body: dict[str, Any] = {
            "name": f"files/{self.id}",
            "displayName": self.display_name,
            "mimeType": self.mime_type,
            "sizeBytes": str(self.size),
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(self.processed if state == "ACTIVE" else self.created, 6),
            "expirationTime": rfc3339(self.expires(), 9),
            # The service encodes the hex digest, not the digest.
            "sha256Hash": base64.b64encode(self.sha256.encode()).decode(),
            "uri": f"https://generativelanguage.googleapis.com/v1beta/files/{self.id}",
            "state": state,
            "source": "UPLOADED",
        }
        if self.mime_type.startswith("video/") and state == "ACTIVE":
            thumbnail = base64.b64encode(b"\xff\xd8\xff\xe0 emulated thumbnail \xff\xd9").decode()
            seconds = video_seconds(self.content, self.size)
            body["videoMetadata"] = {"videoDuration": f"{seconds:g}s", "videoThumbnailBytes": thumbnail}
        return {key: value for key, value in body.items() if value is not None}


@dataclass
class Upload:
    """A resumable upload: what has been received so far, and the file it became."""

    id: str
    project: Project
    requested_id: str | None
    display_name: str | None
    mime_type: str
    declared_size: int | None
    received: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    content: bytearray = field(default_factory=bytearray)
    status: str = "active"
    file: StoredFile | None = None

    def append(self, data: bytes) -> None:
        """Take the next bytes."""
        self.hasher.update(data)
        self.received += len(data)
        if len(self.content) < KEPT_BYTES:
            self.content += data[: KEPT_BYTES - len(self.content)]

    def keep(self) -> tuple[int, Any, int]:
        """Return a mark to which :meth:`rewind` can go back."""
        return self.received, self.hasher.copy(), len(self.content)

    def rewind(self, mark: tuple[int, Any, int]) -> None:
        """Forget the bytes after a mark."""
        self.received, self.hasher, kept = mark
        del self.content[kept:]


class Project:
    """The files and uploads of one API key."""

    def __init__(self, clock: Clock, quota_bytes: int, processing_seconds: Callable[[str, int], float]) -> None:
        self._clock = clock
        self._quota_bytes = quota_bytes
        self._processing_seconds = processing_seconds
        self._files: dict[str, StoredFile] = {}

    def files(self) -> list[StoredFile]:
        """Return the files that still live, newest first as the service lists them."""
        now = self._clock.now()
        for file in [f for f in self._files.values() if f.expires() <= now]:
            del self._files[file.id]
        return sorted(self._files.values(), key=lambda f: (f.created, f.id), reverse=True)

    def used_bytes(self) -> int:
        """Return what the living files take."""
        return sum(file.size for file in self.files())

    def get(self, file_id: str, request: str) -> StoredFile:
        """
        Find a file.

        :param request: the name of the request, which the service puts into its validation errors.
        :raises ApiError: 400 for an id that cannot be, 403 for one that is not here.
        """
        check_id(file_id, request)
        for file in self.files():
            if file.id == file_id:
                return file
        raise errors.no_permission(file_id)

    def delete(self, file_id: str) -> None:
        """Remove a file at once."""
        self.get(file_id, "DeleteFileRequest")
        del self._files[file_id]

    def check_room(self, size: int, requested_id: str | None) -> None:
        """Refuse what is too large, does not fit, or wants a name that is taken."""
        if size > MAX_FILE_BYTES:
            raise errors.invalid(f"File size {size} exceeds the maximum of {MAX_FILE_BYTES} bytes.")
        if self.used_bytes() + size > self._quota_bytes:
            raise errors.storage_full(self._quota_bytes)
        if requested_id in self._files:
            raise errors.already_exists()

    def finish(self, upload: Upload) -> StoredFile:
        """Turn a complete upload into a file."""
        if upload.mime_type.partition("/")[0] not in _KNOWN_KINDS and "/" in upload.mime_type:
            raise errors.unsupported_mime(upload.mime_type)
        self.check_room(upload.received, upload.requested_id)
        now = self._clock.now()
        file = StoredFile(
            id=upload.requested_id or new_id(),
            display_name=upload.display_name,
            mime_type=upload.mime_type,
            content=bytes(upload.content),
            size=upload.received,
            sha256=upload.hasher.hexdigest(),
            created=now,
            processed=now + self._processing_seconds(upload.mime_type, upload.received),
        )
        self._files[file.id] = file
        return file


def check_id(file_id: str, request: str, field_name: str = "name") -> None:
    """Refuse an id that breaks the rules: up to 40 of ``[a-z0-9-]``, no dash at either end."""
    if len(file_id) > 40:
        raise errors.id_too_long(request, field_name)
    if not _ID.fullmatch(file_id):
        raise errors.id_malformed(request, field_name)


def new_id() -> str:
    """Return an id as the service makes them: 12 letters and digits."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=12))  # noqa: S311 - not a secret
