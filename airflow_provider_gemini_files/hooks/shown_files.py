"""The files that a model is about to be shown: looked up, and uploaded again if they are gone."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.exceptions import GeminiFileGoneError
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, check_connection
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService

#: Finds the metadata of a file that is gone, by its name; None if it is not known.
FindUpload = Callable[[str], GeminiFile | None]


class ShownFiles:
    """
    Looks up the files of contents.

    :param reupload: uploads the source of a file that is gone again, and returns the new file.
    :param find_upload: finds the metadata of a file that is gone; None: such a file is an error.
    """

    def __init__(
        self,
        service: GeminiService,
        files: FileCalls,
        reupload: Callable[[GeminiFile], GeminiFile],
        find_upload: FindUpload | None,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._reupload = reupload
        self._find_upload = find_upload

    def look_up(self, contents: Contents) -> list[GeminiFile]:
        """
        Return the files, in the order of their names.

        :raises GeminiFilesError: if one is not ACTIVE, or is gone and cannot be uploaded again.
        """

        def restored(name: str, error: GeminiFileGoneError) -> GeminiFile:
            return self._restored(name, contents.files[name], error)

        shown = self._files.active_files(contents.names, restored)
        for file in shown:
            self._log.info("Showing %s (%s, %s)", file.name, file.mime_type, shown_text(file.display_name or ""))
        return shown

    def _restored(self, name: str, given: FileLike, error: GeminiFileGoneError) -> GeminiFile:
        """Return the file that takes the place of one that is gone."""
        find = self._find_upload
        gone = find(name) if find else None
        # A new copy would end up in the project of the wrong connection.
        check_connection(gone or given, self._service.conn_id)
        if find is None:
            raise error
        if gone is None:
            raise GeminiFileGoneError(
                f"{error} No upload task of this run has recorded where it came from, so it cannot be uploaded again "
                "from here: clear the task that uploaded it."
            ) from error
        return self._reupload(gone)
