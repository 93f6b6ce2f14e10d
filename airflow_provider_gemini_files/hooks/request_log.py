"""
Keeps our requests out of the task log.

The HTTP clients log a line for each request. The hook's own lines say more, and a 403 that only means "not there yet"
reads like a failure. At DEBUG, httpcore repeats the headers of responses, and with them the URL of an upload session,
which authorises anyone who has it. Only lines about our own requests are dropped; other packages' lines stay.
"""

from __future__ import annotations

import logging

#: The clients' loggers: google-genai 2.x and our own calls use httpx, google-genai 3.x uses httpx2.
_CLIENTS = ("httpx", "httpx2")
#: The transport's loggers; a filter of a logger is not asked about the lines of its children.
_TRANSPORTS = ("httpcore.http11", "httpcore.http2", "httpcore2.http11", "httpcore2.http2")
_URL_HEADER = "x-goog-upload-url"


class _OtherRequests(logging.Filter):
    """Passes lines that are not about one of our hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.base_urls: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(str(argument).startswith(url) for argument in arguments for url in self.base_urls)


class _NoSessionUrls(logging.Filter):
    """Passes lines without the URL of an upload session."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _URL_HEADER not in record.getMessage().lower()


_other_requests = _OtherRequests()
_no_session_urls = _NoSessionUrls()


def keep_out(base_url: str) -> None:
    """
    Keep the lines about requests to a service out of the log.

    :param base_url: the start of the service's URLs.
    """
    _other_requests.base_urls.add(base_url)
    # Adding a filter that is there already changes nothing.
    for name in _CLIENTS:
        logging.getLogger(name).addFilter(_other_requests)
    for name in _TRANSPORTS:
        logging.getLogger(name).addFilter(_no_session_urls)
