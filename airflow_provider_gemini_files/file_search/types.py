"""Which types a document can have: more than a file that is shown to a model, but neither audio nor video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.resources import FileSearchStore
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.signatures import HEAD_BYTES, is_pdf, is_text, type_of_binary

#: Limit of a document, as Google's documentation says.
MAX_DOCUMENT_BYTES = 100 * 1024**2
#: Formats that file search reads and models do not.
_OFFICE = {
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
}
#: What their content shows: often only the container, so that the name tells them apart. None: nothing that is known.
_OFFICE_CONTENTS = {"epub", "excel", "iwork", "office", "opendocument", "powerpoint", "word", "zip", None}
#: The embedding model that takes no images.
_TEXT_ONLY = "gemini-embedding-001"
_REFUSED = ("audio/", "video/")


def document_type_of(name: str, given: str | None, head: Callable[[], bytes]) -> str:
    """
    Return the MIME type of a document.

    A content that is unmistakable wins over a name that does not fit it, as for files.

    :param name: of the source.
    :param given: by the author; it is told from name and content if None.
    :param head: returns the first bytes of the source.
    :raises GeminiInputError: for a type that file search does not take, or that cannot be told.
    """
    office = None if given else _OFFICE.get(PurePosixPath(name).suffix.lower())
    mime_type = office if office and _may_be_office(head()) else mime_type_of(name, given, head)
    if mime_type.lower().startswith(_REFUSED):
        raise GeminiInputError(
            f"{name!r} is {mime_type}: file search supports neither audio nor video. Add a transcript instead."
        )
    return mime_type


def check_embedding(what: str, mime_type: str, store: Callable[[], FileSearchStore]) -> None:
    """
    Refuse an image for a store that indexes texts only: it would be FAILED, without a reason.

    :param what: the source or file, for the error.
    :param store: returns the store; it is asked for images only.
    :raises GeminiInputError: naming the model of the store.
    """
    if not mime_type.lower().startswith("image/"):
        return
    into = store()
    if (into.embedding_model or "").removeprefix("models/") == _TEXT_ONLY:
        raise GeminiInputError(
            f"{what} is {mime_type}, and {into.name} has the embedding model {_TEXT_ONLY}, which takes no images: add "
            "it to a store that was created with gemini-embedding-2."
        )


def _may_be_office(beginning: bytes) -> bool:
    """Return whether a source can be what the name of an office file or an archive says."""
    content = beginning[:HEAD_BYTES]
    if is_pdf(content) or is_text(content):
        return False
    return type_of_binary(content, bare_audio=False) in _OFFICE_CONTENTS
