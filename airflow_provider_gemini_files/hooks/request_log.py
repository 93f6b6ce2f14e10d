"""
Keeps our requests out of the task log.

The HTTP clients log a line for each request. Ours say less than the hook's own lines, and a 403 that only means
"not there yet" reads like a failure.
"""

from __future__ import annotations

import logging

#: The clients' loggers: google-genai 2.x and our own calls speak httpx, google-genai 3.x httpx2.
_LOGGERS = ("httpx", "httpx2")


class _OtherRequests(logging.Filter):
    """Passes what is not about one of our hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.base_urls: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(str(argument).startswith(url) for argument in arguments for url in self.base_urls)


_filter = _OtherRequests()


def keep_out(base_url: str) -> None:
    """
    Leave the lines about requests to a service out of the log; those of others stay.

    :param base_url: where the service's URLs begin.
    """
    _filter.base_urls.add(base_url)
    for name in _LOGGERS:
        # Adding a filter that is there already changes nothing.
        logging.getLogger(name).addFilter(_filter)
