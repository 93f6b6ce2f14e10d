"""Sizes as people read them."""

from __future__ import annotations


def human_bytes(count: float) -> str:
    """Return a size in binary units: ``1536`` is ``"1.5 KiB"``."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
