"""
The errors of this provider, split by what the caller should do.

::

    GeminiFilesError
    ├── GeminiPermanentError          no retry helps: Airflow fails the task at once
    │   ├── GeminiInputError          fix the Dag or the arguments (also a ValueError)
    │   ├── GeminiAuthError           fix the connection, the key or its project
    │   ├── GeminiFileGoneError       the file was deleted, has expired, or is another project's: upload again
    │   ├── GeminiFileFailedError     the service could not process the file: look at its reason
    │   └── GeminiNoAnswerError       the model answered nothing usable: change the prompt, the files or the limits
    ├── GeminiFileNotActiveError      the file is still PROCESSING: wait for it
    ├── GeminiNameTakenError          another file has the name that was asked for
    ├── GeminiStorageFullError        the project's storage is full: free some, then retry
    ├── GeminiRateLimitError          too many requests: retry later
    ├── GeminiIntegrityError          what arrived is not what was sent: retry
    ├── GeminiWaitTimeoutError        the deadline of a wait has passed
    └── GeminiServiceError            the service or the line failed: retry

The permanent half is also ``AirflowFailException``, so retries are not burnt on it.
Each message says what happened, to which file, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowFailException


class GeminiFilesError(Exception):
    """Root of the tree."""


class GeminiPermanentError(GeminiFilesError, AirflowFailException):
    """The same step must fail the same way again; Airflow does not retry it."""


class GeminiInputError(GeminiPermanentError, ValueError):
    """What the caller gave cannot be used."""


class GeminiAuthError(GeminiPermanentError):
    """The key or its project may not do this."""


class GeminiFileGoneError(GeminiPermanentError):
    """The file does not exist (any more), or not for this key."""


class GeminiFileFailedError(GeminiPermanentError):
    """
    The service has given up processing files.

    :param file_names: the files that are FAILED.
    """

    def __init__(self, message: str, file_names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.file_names = tuple(file_names)


class GeminiNoAnswerError(GeminiPermanentError):
    """The model gave no usable answer."""


class GeminiFileNotActiveError(GeminiFilesError):
    """The file cannot be used yet."""


class GeminiNameTakenError(GeminiFilesError):
    """The name for a new file is in use."""


class GeminiStorageFullError(GeminiFilesError):
    """
    The project's storage is full; only deletion or expiry frees it.

    :param missing_bytes: what did not fit, as far as known.
    """

    def __init__(self, message: str, missing_bytes: int = 0) -> None:
        super().__init__(message)
        self.missing_bytes = missing_bytes


class GeminiRateLimitError(GeminiFilesError):
    """
    The service wants fewer requests.

    :param retry_after: seconds the service asks to wait, None where it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GeminiIntegrityError(GeminiFilesError):
    """Size or hash of the remote file differ from the source's."""


class GeminiWaitTimeoutError(GeminiFilesError):
    """The file did not become usable in time."""


class GeminiServiceError(GeminiFilesError):
    """The service answered an error of its own, or not at all."""
