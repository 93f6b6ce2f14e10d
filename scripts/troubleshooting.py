"""Write the page about errors: what each of them means, what to do, and the words of its messages."""

from __future__ import annotations

from collections import defaultdict

import source_scan
from markdown_text import table
from reference import Reference, advice_of, is_permanent

_INTRODUCTION = """\
Search this page for the words of a message. What varies in a message is in angle brackets, or is an ellipsis. The
message says what was wrong, with which value, and what would be right; the class of the error says what to do."""


def troubleshooting_page(reference: Reference, folder: str) -> str:
    """
    Return the page of all errors.

    :param folder: where the reference is.
    """
    advice = advice_of()
    messages: defaultdict[str, list[str]] = defaultdict(list)
    for message in source_scan.messages():
        # Modules say the same in places.
        if message.text not in messages[message.error]:
            messages[message.error].append(message.text)
    errors = [entry for entry in reference.entries if entry.name in advice]
    rows = [
        (f"[`{entry.name}`](#{entry.name.lower()})", advice[entry.name], "no" if is_permanent(entry.value) else "yes")
        for entry in errors
    ]
    parts = ["# Troubleshooting", _INTRODUCTION, table(("error", "meaning and what to do", "Airflow retries"), rows)]
    for entry in errors:
        parts += [
            f"## {entry.name}",
            reference.summary(entry).replace("](", f"]({folder}/"),
            f"**In short**: {advice[entry.name]}.",
        ]
        if texts := messages[entry.name]:
            parts += ["Its messages:", "\n".join(f"- `{text}`" for text in texts)]
    return "\n\n".join(parts) + "\n"
