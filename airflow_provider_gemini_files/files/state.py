"""The one decision about a file that is waited for: poll again, ACTIVE, or failed."""

from __future__ import annotations

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.waiting import Wait
from airflow_provider_gemini_files.exceptions import GeminiFileFailedError, GeminiFileGoneError, GeminiFilesError
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.files.reference import GeminiFile

#: What an author can do, by the code (google.rpc.Code) that the service gives for a file it could not process.
_ADVICE = {
    3: "Check that the source plays or opens, and that its MIME type is right; convert a video to H.264 in MP4.",
    8: "It may be too long or too large: cut it into parts.",
    11: "It may be too long or too large: cut it into parts.",
    4: "The service took too long: upload it again, or cut it into parts.",
    13: "The service failed: upload it again.",
    14: "The service failed: upload it again.",
}
_OTHER_ADVICE = "Check that the source plays or opens, and that its MIME type is right; then upload it again."


class FileWait(Wait[GeminiFile]):
    """The wait for files to become ACTIVE; their names are ``files/...``."""

    goal = "to become ACTIVE"
    advice = "The files still exist: a retry continues to wait. Or raise the timeout."

    def judge(self, seen: GeminiFile, now: float) -> bool | GeminiFilesError:
        """Return whether a file is ACTIVE, or the error of one that never will be."""
        if seen.state == "FAILED":
            return processing_failed(seen)
        if seen.state == "ACTIVE":
            return True
        expires = seen.expires_at()
        if expires is None or now < expires:
            return False
        return GeminiFileGoneError(
            f"{seen.name} expired at {seen.expiration_time} while it was still {seen.state}. Upload it again."
        )

    def state_of(self, seen: GeminiFile) -> str:
        """Return the file's state."""
        return seen.state


def processing_failed(file: GeminiFile) -> GeminiFileFailedError:
    """Return the error of a file that the service could not process: its reason, and what the author can do."""
    error = file.error or {}
    code = error.get("code")
    shown_code = f" (code {shown_text(code)})" if code else ""
    # Anything but a number is shown, but has no advice.
    advice = _ADVICE.get(code, _OTHER_ADVICE) if isinstance(code, int) else _OTHER_ADVICE
    reason = shown_text(error.get("message") or "it gave no reason").rstrip(". ")
    label = shown_text(label_of(file.display_name) or "no display name")
    return GeminiFileFailedError(
        f"The service could not process {file.name} ({label}, {shown_text(file.mime_type or 'no MIME type')}): "
        f"{reason}{shown_code}. {advice} "
        f"The file stays FAILED until it is deleted or expires at {file.expiration_time}.",
        [file.name],
    )
