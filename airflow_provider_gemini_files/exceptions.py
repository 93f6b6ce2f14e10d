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
    │   └── GeminiBatchRowsError      the results were written, and rows of them have no usable answer
    ├── GeminiFileNotActiveError      the file is still PROCESSING: wait for it
    ├── GeminiUrlNotFetchedError      the service could not fetch a URL: retry, or upload what it leads to
    ├── GeminiNameTakenError          another file has the requested name
    ├── GeminiUnusableAnswerError     the answer cannot be used, but another attempt may succeed: retry
    ├── GeminiStorageFullError        the project's storage is full: free some, then retry
    ├── GeminiRateLimitError          too many requests, or the daily quota is used up: retry later
    ├── GeminiBatchInterruptedError   the service failed while it worked on the batch job: retry
    ├── GeminiBatchExpiredError       the service did not finish the batch job in time: retry
    ├── GeminiIntegrityError          the remote file differs from the source: retry
    ├── GeminiWaitTimeoutError        the deadline of a wait has passed
    └── GeminiServiceError            the service, a gateway or the network failed: retry

The permanent half is also ``AirflowFailException``, so Airflow does not spend retries on it.
Each message says what happened, to which file, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowFailException


class GeminiFilesError(Exception):
    """
    Root of the tree.

    :param retry_after: seconds that the service asks to wait before a retry; None if it does not say, infinite if no
        amount of time helps.
    :param errors: the errors of the single items, if this one stands for several.
    """

    def __init__(
        self, message: str = "", retry_after: float | None = None, *, errors: Sequence[GeminiFilesError] = ()
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.errors = tuple(errors)
        #: Status of the response that the error comes from; None if it comes from none.
        self.http_status: int | None = None


class GeminiPermanentError(GeminiFilesError, AirflowFailException):
    """The same step would fail in the same way again; Airflow does not retry it."""


class GeminiInputError(GeminiPermanentError, ValueError):
    """An argument, a connection field or a source cannot be used."""


class GeminiCacheTooSmallError(GeminiInputError):
    """
    The contents of a cache have too few tokens.

    :param tokens: of the contents; None if the service does not say.
    :param minimum: tokens that a cache has at least; None if the service does not say.
    """

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
    """The key is missing or invalid, or its project lacks a right or billing."""


class GeminiFileGoneError(GeminiPermanentError):
    """The file does not exist any more, or does not exist for this key."""


class GeminiFileFailedError(GeminiPermanentError):
    """
    The service could not process files.

    :param file_names: the files in state FAILED.
    """

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


class GeminiCacheGoneError(GeminiPermanentError):
    """The cache does not exist any more, or does not exist for this key."""


class GeminiStoreGoneError(GeminiPermanentError):
    """The file search store or document does not exist any more, or does not exist for this key."""


class GeminiDocumentFailedError(GeminiPermanentError):
    """The service could not index a document."""


class GeminiBatchGoneError(GeminiPermanentError):
    """The batch job does not exist any more, or does not exist for this key."""


class GeminiBatchFailedError(GeminiPermanentError):
    """The service ended a batch job as FAILED."""


class GeminiBatchCancelledError(GeminiPermanentError):
    """A batch job was cancelled."""


class GeminiBatchRowsError(GeminiPermanentError):
    """Rows of a batch have no usable answer; the results were written all the same."""


class GeminiFileNotActiveError(GeminiFilesError):
    """The file cannot be used yet."""


class GeminiUrlNotFetchedError(GeminiFilesError):
    """The service could not fetch a URL of the request; the same request often succeeds."""


class GeminiNameTakenError(GeminiFilesError):
    """The name for a new file is in use."""


class GeminiUnusableAnswerError(GeminiFilesError):
    """The model's answer cannot be used; another attempt may succeed."""


class GeminiStorageFullError(GeminiFilesError):
    """
    The project's storage is full; only deletion or expiry frees it.

    :param missing_bytes: bytes that did not fit, as far as known.
    """

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


class GeminiBatchInterruptedError(GeminiFilesError):
    """The service failed while it worked on a batch job; another job may end well."""


class GeminiBatchExpiredError(GeminiFilesError):
    """The service did not finish a batch job in time; it has no results."""


class GeminiIntegrityError(GeminiFilesError):
    """Size or hash of the remote file differ from the source's."""


class GeminiWaitTimeoutError(GeminiFilesError):
    """The deadline of a wait has passed."""


class GeminiServiceError(GeminiFilesError):
    """
    The service, a gateway or the network failed, or answered something that cannot be read.

    :param unanswered: the request was sent as a whole and got no answer, so it may have been carried out and billed.
    :param unreachable: no connection to the service could be opened, or it broke.
    """

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
