"""
The errors of this provider, split by what the caller should do.

::

    GeminiFilesError
    ├── GeminiPermanentError          a retry does not help: Airflow fails the task at once
    │   ├── GeminiInputError          fix the Dag or the arguments (also a ValueError)
    │   │   └── GeminiCacheTooSmallError  the contents have too few tokens for a cache: send them with each request
    │   ├── GeminiAuthError           fix the connection, the key or its project
    │   ├── GeminiFileGoneError       the file was deleted, has expired, or is another project's: upload it again
    │   ├── GeminiFileFailedError     the service could not process the file: read its reason
    │   ├── GeminiNoAnswerError       the model gave no usable answer: change the prompt, the files or the limits
    │   ├── GeminiCacheGoneError      the cache was deleted, has expired, or is another project's: create it again
    │   ├── GeminiStoreGoneError      the store or document was deleted, or is another project's
    │   ├── GeminiDocumentFailedError the service could not index the document
    │   ├── GeminiBatchGoneError      the batch job was deleted, or is another project's
    │   ├── GeminiBatchFailedError    the service ended the batch job without results: read its reason
    │   ├── GeminiBatchCancelledError somebody cancelled the batch job
    │   └── GeminiBatchRowsError      all rows were written, but some have no usable answer
    ├── GeminiFileNotActiveError      the file is still PROCESSING: wait for it
    ├── GeminiUrlNotFetchedError      the service could not fetch a URL: retry, or upload what it leads to
    ├── GeminiNameTakenError          another file has the requested name
    ├── GeminiUnusableAnswerError     the answer cannot be used, but another attempt may succeed: retry
    ├── GeminiStorageFullError        the project's storage is full: free some space, then retry
    ├── GeminiRateLimitError          too many requests, or the daily quota is used up: retry later
    ├── GeminiBatchInterruptedError   the service failed while processing the batch job: retry
    ├── GeminiBatchExpiredError       the service did not finish the batch job in time: retry
    ├── GeminiIntegrityError          the remote file differs from the source: retry
    ├── GeminiWaitTimeoutError        the deadline of a wait has passed
    └── GeminiServiceError            the service, a gateway or the network failed: retry

Permanent errors are also ``AirflowFailException``, so Airflow does not retry them.
Each message says what happened, to which file, and what to do. The text of an error ends with the code of its class.
Codes of permanent errors begin with GF1, those of all others with GF2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

_CODE = re.compile(r" ?\[GF\d{3}\]")


class GeminiFilesError(Exception):
    """
    Base class of all errors. ``code`` is the code of the class, and ``message`` is the text without the code.

    :param retry_after: seconds that the service asks to wait before a retry; None if it does not say, infinite if
        waiting does not help.
    :param errors: the errors of the individual items, if this error combines several.
    """

    #: Stable, and the heading of the error on the page about troubleshooting. It ends the text of the error.
    code: ClassVar[str] = "GF000"

    def __init__(
        self, message: str = "", retry_after: float | None = None, *, errors: Sequence[GeminiFilesError] = ()
    ) -> None:
        # A message that quotes another error ends with the code of its own.
        super().__init__(_CODE.sub("", message))
        self.retry_after = retry_after
        self.errors = tuple(errors)
        #: Status of the response that the error comes from; None if it comes from none.
        self.http_status: int | None = None

    @property
    def message(self) -> str:
        """Return the message without the code."""
        return super().__str__()

    def __str__(self) -> str:
        """Return the message and the code."""
        return f"{self.message} [{self.code}]".lstrip()


class GeminiPermanentError(GeminiFilesError, AirflowFailException):
    """The same step would fail in the same way again; Airflow does not retry it."""

    code = "GF100"


class GeminiInputError(GeminiPermanentError, ValueError):
    """An argument, a connection field or a source cannot be used."""

    code = "GF101"


class GeminiCacheTooSmallError(GeminiInputError):
    """
    The contents of a cache have too few tokens.

    :param tokens: of the contents; None if the service does not say.
    :param minimum: tokens that a cache needs; None if the service does not say.
    """

    code = "GF103"

    def __init__(
        self,
        message: str = "",
        tokens: int | None = None,
        minimum: int | None = None,
        *,
        retry_after: float | None = None,
        errors: Sequence[GeminiFilesError] = (),
    ) -> None:
        super().__init__(message, retry_after, errors=errors)
        self.tokens = tokens
        self.minimum = minimum


class GeminiAuthError(GeminiPermanentError):
    """The key is missing or invalid, or its project lacks a permission or billing."""

    code = "GF102"


class GeminiFileGoneError(GeminiPermanentError):
    """The file no longer exists, or does not exist for this key."""

    code = "GF111"


class GeminiFileFailedError(GeminiPermanentError):
    """
    The service could not process files.

    :param file_names: the files in state FAILED.
    """

    code = "GF121"

    def __init__(
        self,
        message: str = "",
        file_names: Sequence[str] = (),
        *,
        retry_after: float | None = None,
        errors: Sequence[GeminiFilesError] = (),
    ) -> None:
        super().__init__(message, retry_after, errors=errors)
        self.file_names = tuple(file_names)


class GeminiNoAnswerError(GeminiPermanentError):
    """The model gave no usable answer, and would not give one to the same request."""

    code = "GF131"


class GeminiCacheGoneError(GeminiPermanentError):
    """The cache no longer exists, or does not exist for this key."""

    code = "GF112"


class GeminiStoreGoneError(GeminiPermanentError):
    """The file search store or document no longer exists, or does not exist for this key."""

    code = "GF113"


class GeminiDocumentFailedError(GeminiPermanentError):
    """The service could not index a document."""

    code = "GF122"


class GeminiBatchGoneError(GeminiPermanentError):
    """The batch job no longer exists, or does not exist for this key."""

    code = "GF114"


class GeminiBatchFailedError(GeminiPermanentError):
    """The service ended a batch job as FAILED."""

    code = "GF123"


class GeminiBatchCancelledError(GeminiPermanentError):
    """A batch job was cancelled."""

    code = "GF124"


class GeminiBatchRowsError(GeminiPermanentError):
    """Some rows of a batch have no usable answer; all rows were written nevertheless."""

    code = "GF132"


class GeminiFileNotActiveError(GeminiFilesError):
    """The file cannot be used yet."""

    code = "GF211"


class GeminiUrlNotFetchedError(GeminiFilesError):
    """The service could not fetch a URL of the request; the same request often succeeds."""

    code = "GF212"


class GeminiNameTakenError(GeminiFilesError):
    """The name for a new file is in use."""

    code = "GF213"


class GeminiUnusableAnswerError(GeminiFilesError):
    """The model's answer cannot be used; another attempt may succeed."""

    code = "GF231"


class GeminiStorageFullError(GeminiFilesError):
    """
    The project's storage is full; only deletion or expiry frees it.

    :param missing_bytes: bytes that did not fit, as far as known.
    """

    code = "GF201"

    def __init__(
        self,
        message: str = "",
        missing_bytes: int = 0,
        *,
        retry_after: float | None = None,
        errors: Sequence[GeminiFilesError] = (),
    ) -> None:
        super().__init__(message, retry_after, errors=errors)
        self.missing_bytes = missing_bytes


class GeminiRateLimitError(GeminiFilesError):
    """The service asks for fewer requests; see ``retry_after`` of :class:`GeminiFilesError`."""

    code = "GF202"


class GeminiBatchInterruptedError(GeminiFilesError):
    """The service failed while it was processing a batch job; another job may succeed."""

    code = "GF221"


class GeminiBatchExpiredError(GeminiFilesError):
    """The service did not finish a batch job in time; it has no results."""

    code = "GF222"


class GeminiIntegrityError(GeminiFilesError):
    """The size or hash of the remote file differs from that of the source."""

    code = "GF214"


class GeminiWaitTimeoutError(GeminiFilesError):
    """The deadline of a wait has passed."""

    code = "GF204"


class GeminiServiceError(GeminiFilesError):
    """
    The service, a gateway or the network failed, or the response cannot be read.

    :param unanswered: the request was sent completely but not answered, so it may have been carried out and billed.
    :param unreachable: no connection to the service could be opened, or it broke.
    """

    code = "GF203"

    def __init__(
        self,
        message: str = "",
        retry_after: float | None = None,
        *,
        unanswered: bool = False,
        unreachable: bool = False,
        errors: Sequence[GeminiFilesError] = (),
    ) -> None:
        super().__init__(message, retry_after, errors=errors)
        self.unanswered = unanswered
        self.unreachable = unreachable
