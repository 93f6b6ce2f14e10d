"""The display name of a cache: a text for people, and the fingerprint by which a later attempt finds it."""

from __future__ import annotations

import re

from airflow_provider_gemini_files.common.redaction import shown_text

#: Characters of a display name (Google's reference of CachedContent).
_MAX_DISPLAY_NAME = 128
_MARK = re.compile(r" \[cache (?P<fingerprint>[0-9a-f]{24})\]")


def marked_name(label: str, fingerprint: str) -> str:
    """
    Return the display name of a cache.

    :param label: a text for people; it is cut.
    """
    mark = f" [cache {fingerprint}]"
    return shown_text(label, limit=_MAX_DISPLAY_NAME - len(mark)) + mark


def fingerprint_in(display_name: str | None) -> str | None:
    """Return the fingerprint in a display name; None if it is not one of this package."""
    found = _MARK.search(display_name or "")
    return found["fingerprint"] if found else None
