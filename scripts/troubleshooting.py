"""Complete the page about errors on the site: add the class and the messages to the section of each code."""

from __future__ import annotations

import re
from collections import defaultdict

import source_scan
from reference import Reference, is_permanent
from tables import advice_of

_HEADING = re.compile(r"^## (GF\d{3})\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_INTRODUCTION = """\
Its messages; what varies is in angle brackets, or is an ellipsis:"""


def with_messages(text: str, reference: Reference, folder: str) -> str:
    """
    Return the page with the class and the messages of each error.

    :param folder: where the reference is.
    """
    messages = source_scan.messages()
    by_error: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for message in messages:
        # Modules say the same in places.
        by_error[message.error][message.text] = None
    errors = {entry.value.code: entry for entry in reference.entries if entry.module == "exceptions"}

    def complete(section: re.Match[str]) -> str:
        entry = errors[section[1]]
        retried = "Airflow does not retry it." if is_permanent(entry.value) else "Airflow retries it as the task says."
        facts = f"[`{entry.name}`]({folder}/{entry.address}). {retried}\n" if entry.name in advice_of() else ""
        parts = [f"## {section[1]}\n", facts, section[2].strip() + "\n"]
        if texts := by_error[entry.name]:
            parts += [_INTRODUCTION + "\n", "\n".join(f"- `{text}`" for text in texts) + "\n"]
        return "\n".join(part for part in parts if part) + "\n"

    return _HEADING.sub(complete, text)
