"""The hook's calls that look for a file which can be used again, before anything is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiServiceError
from airflow_provider_gemini_files.files.naming import shared_file_name, slots_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.storage import StorageCalls
from airflow_provider_gemini_files.transfer.stream import SourceBrokenError, sha256_of

if TYPE_CHECKING:
    from airflow_provider_gemini_files.hooks.uploads import Upload


class ReuseCalls(StorageCalls):
    """How a file is found that can stand for a source."""

    def _names(self, upload: Upload) -> list[str]:
        """Return the names by which the file is looked for."""
        if not upload.share:
            return slots_of(upload.name) if upload.name else []
        try:
            sha256 = sha256_of(upload.source)
        except SourceBrokenError as error:
            raise GeminiServiceError(f"Cannot upload {upload.source.uri}: {error}. A retry reads it again.") from error
        return slots_of(shared_file_name(self.gemini_conn_id, sha256, str(upload.mime_type)))

    def _find(self, names: list[str], upload: Upload) -> tuple[GeminiFile | None, str | None]:
        """
        Look for a file that can stand for the source; one of the wrong kind is removed.

        :return: the file, or a name that is free; neither where all names have files that expire soon.
        """
        free = None
        for name in names:
            try:
                existing = self.get_file(name)
            except GeminiFileGoneError:
                free = free or name
                if upload.share:
                    # The first may have expired while its successor lives.
                    continue
                break
            if existing.state == "FAILED" or existing.size_bytes != upload.source.size:
                self.log.info("%s is %s with %s bytes: replacing it.", name, existing.state, existing.size_bytes)
                self.delete_file(name)
                free = free or name
            elif _remaining_seconds(existing) >= upload.min_remaining_ttl:
                return existing, None
            else:
                self.log.info("%s expires at %s: it is left alone.", name, existing.expiration_time)
        return None, free


def _remaining_seconds(file: GeminiFile) -> float:
    expires = file.expires()
    return float("inf") if expires is None else expires - time.time()
