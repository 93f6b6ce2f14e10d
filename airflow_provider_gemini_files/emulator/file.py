"""The File resource, field by field as the service returns it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.emulator.clock import rfc3339
from airflow_provider_gemini_files.emulator.faults import Fault
from airflow_provider_gemini_files.emulator.media import THUMBNAIL, video_seconds

LIFETIME_SECONDS = 48 * 3600
#: The service counts the lifetime from a moment a little before the creation.
_HEAD_START_SECONDS = 0.018
#: First bytes of a file that are kept for the models to read; size and hash are those of all bytes. JSON is kept whole.
KEPT_BYTES = 4 * 1024**2
FAILED = {"code": 3, "message": "The file could not be processed."}


@dataclass
class StoredFile:
    """
    A file as the service stores it; its state follows from the time.

    :param size: in bytes.
    :param sha256: lower-case hex digest; None if the service never had the bytes.
    :param created: in seconds since the epoch.
    :param content: the first bytes, at most :data:`KEPT_BYTES` of an upload unless it is JSON.
    :param processed: end of its processing, in seconds since the epoch.
    :param lifetime: in seconds.
    :param error: the error that its processing ends with; None: it succeeds.
    :param stuck: whether its processing never ends.
    """

    id: str
    mime_type: str
    size: int
    sha256: str | None
    created: float
    content: bytes = b""
    display_name: str | None = None
    processed: float = 0.0
    lifetime: float = LIFETIME_SECONDS
    source: str = "UPLOADED"
    uri: str | None = None
    error: dict[str, Any] | None = None
    stuck: bool = False

    @property
    def expires(self) -> float:
        """Return the end of its life in seconds since the epoch."""
        return self.created - _HEAD_START_SECONDS + self.lifetime

    def state(self, now: float) -> str:
        """Return PROCESSING, ACTIVE or FAILED."""
        if self.stuck or now < self.processed:
            return "PROCESSING"
        return "FAILED" if self.error else "ACTIVE"

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the resource; unset fields are omitted."""
        state = self.state(now)
        updated = self.created if state == "PROCESSING" else max(self.created, self.processed)
        has_bytes = self.sha256 is not None
        body: dict[str, Any] = {
            "name": f"files/{self.id}",
            "displayName": self.display_name,
            "mimeType": self.mime_type,
            "sizeBytes": str(self.size) if has_bytes else None,
            "createTime": rfc3339(self.created, 6),
            "updateTime": rfc3339(updated, 6),
            "expirationTime": rfc3339(self.expires, 9),
            # The service encodes the hex digest, not the digest.
            "sha256Hash": base64.b64encode(self.sha256.encode()).decode() if self.sha256 else None,
            "uri": self.uri or f"https://generativelanguage.googleapis.com/v1beta/files/{self.id}",
            "downloadUri": self._download_uri(),
            "state": state,
            "source": self.source,
            "error": self.error if state == "FAILED" else None,
        }
        if self.mime_type.startswith("video/") and state == "ACTIVE" and has_bytes:
            seconds = video_seconds(self.content, self.size)
            body["videoMetadata"] = {"videoDuration": f"{seconds:g}s", "videoThumbnailBytes": THUMBNAIL}
        return {key: value for key, value in body.items() if value is not None}

    def _download_uri(self) -> str | None:
        if self.source != "GENERATED":
            return None
        return f"https://generativelanguage.googleapis.com/v1beta/files/{self.id}:download?alt=media"

    def apply_fault(self, fault: Fault | None) -> None:
        """Change the file for good, if the fault is one of a file."""
        action = fault.action if fault else None
        if action == "stuck_processing":
            self.stuck = True
        elif action == "fail_processing" and fault:
            self.error = fault.error or FAILED
        elif action == "wrong_hash":
            self.sha256 = hashlib.sha256(f"not {self.sha256}".encode()).hexdigest()
        elif action == "wrong_size":
            self.size += 1
