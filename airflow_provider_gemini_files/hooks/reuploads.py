"""The hook's call that makes a file again which is gone, from where it came from."""

from __future__ import annotations

from airflow_provider_gemini_files.exceptions import GeminiFileGoneError, GeminiInputError
from airflow_provider_gemini_files.files.naming import is_shared, label_of
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.uploads import UploadCalls
from airflow_provider_gemini_files.transfer.sources import find_source

#: Seconds until a file that was uploaded again has to be ACTIVE; the upload operator's default.
_ACTIVE_WITHIN_SECONDS = 3600.0


class ReuploadCalls(UploadCalls):
    """How files that are gone are made again."""

    def reupload_file(self, gone: GeminiFile) -> GeminiFile:
        """
        Upload the source of a file that is gone once more, and wait until it is ACTIVE.

        The file has the owner it had, and the name, where the service allows it: what deletes it by name still does. A
        source that has changed is uploaded as it is now, with a warning.

        :param gone: the file's metadata, as its upload has returned it.
        :raises GeminiFileGoneError: where its source is not known or cannot be read; the message names it.
        """
        origin = gone.uploaded_from
        if origin is None:
            raise GeminiFileGoneError(_told(gone, "what it was uploaded from is not known"))
        if not origin.complete:
            raise GeminiFileGoneError(
                _told(gone, f"it came from {origin.uri!r}, whose user or query may be secret and was not kept")
            )
        try:
            source = find_source(origin.uri, origin.conn_id)
        except GeminiInputError as error:
            raise GeminiFileGoneError(_told(gone, f"its source cannot be read again: {error}")) from error
        self.log.warning("%s is gone: uploading %s again.", gone.name, origin.uri)
        made = self.upload_file(
            source,
            mime_type=gone.mime_type,
            display_name=label_of(gone.display_name or source.name),
            name=gone.name,
            owner=gone.owner,
            share=is_shared(gone.display_name),
        )
        if gone.sha256 and made.sha256 != gone.sha256:
            self.log.warning(
                "%s has changed since %s was uploaded from it: sha256 was %s, is %s. The model sees it as it is now.",
                origin.uri, gone.name, gone.sha256, made.sha256,
            )  # fmt: skip
        if made.name != gone.name:
            self.log.warning(
                "%s stands for %s, whose name could not be had again. What deletes files by name does not know it: it "
                "lives until a clean-up of the storage finds it by its owner, or for 48 hours.",
                made.name, gone.name,
            )  # fmt: skip
        return self.wait_for_file(made, timeout=_ACTIVE_WITHIN_SECONDS)


def _told(gone: GeminiFile, why: str) -> str:
    task = f"task {gone.owner.task_id!r}" if gone.owner else "the task that uploaded it"
    if gone.owner and gone.owner.map_index >= 0:
        task += f" (map index {gone.owner.map_index})"
    where = f" of run {gone.owner.run_id!r}" if gone.owner else ""
    return (
        f"{gone.name} ({label_of(gone.display_name or 'no display name')}) is gone and cannot be uploaded again: "
        f"{why}. Clear {task}{where}, which uploads it anew, and then this one."
    )
