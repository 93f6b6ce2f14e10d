"""
Compare the tokens of ten prompts about one video with and without a cache.

Run ``python benchmarks/caches.py [--prompts 10] [--minutes 10]``. Tokens are counted by the emulator, which takes them
from the length of the video as Google documents it; nothing leaves this machine. The first request of a cache is its
creation, which is billed in full; tokens from a cache are billed at a fraction of the price, and are counted apart. The
exit code is 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# First, because it sets up Airflow's environment.
import upload as uploading

PROMPTS = 10
MINUTES = 10
MODEL = "gemini-3.5-flash"
VIDEO = Path(__file__).parent.parent / "example_dags" / "media" / "unloading.mp4"


@dataclass(frozen=True)
class Tokens:
    """
    The input tokens of one way to ask.

    :param full: billed in full, the creation of a cache included.
    :param cached: from a cache.
    """

    full: int
    cached: int

    def __str__(self) -> str:
        return f"{self.full:12,} billed in full, {self.cached:12,} from a cache"


def video_of(minutes: float) -> bytes:
    """Return the example's video with another length in its header; what is seen does not matter here."""
    content = bytearray(VIDEO.read_bytes())
    at = content.index(b"mvhd") + 16
    struct.pack_into(">II", content, at, 1000, round(minutes * 60_000))
    return bytes(content)


def tokens_of(usages: Sequence[dict[str, Any]], created: int = 0) -> Tokens:
    """
    Return the tokens of some requests.

    :param created: tokens of the request that has created their cache.
    """
    cached = sum(usage["cached"] for usage in usages)
    return Tokens(created + sum(usage["prompt"] for usage in usages) - cached, cached)


def compare(port: int, prompts: int, minutes: float) -> bool:
    """Print the tokens of both ways and how they compare; return whether the limits are kept."""
    hook = uploading.hook_for(port)
    file = hook.wait_for_file(hook.upload_bytes(video_of(minutes), "video.mp4"), poll_interval=0.1)
    asked = [f"What happens in minute {number}?" for number in range(prompts)]

    without = tokens_of([hook.ask(prompt, file, model=MODEL).response["usage"] for prompt in asked])
    cache = hook.create_cache(file, model=MODEL)
    usages = [hook.ask(prompt, cached_content=cache).response["usage"] for prompt in asked]
    cached = tokens_of(usages, cache.tokens)
    hook.delete_cache(cache)

    print(f"\n{prompts} prompts about a video of {minutes:g} minutes, {cache.tokens:,} tokens; input tokens:")
    print(f"  without a cache {without}")
    print(f"  with a cache    {cached}")
    print(
        f"  without / with a cache: tokens billed in full {without.full / cached.full:.1f}; from the cache: "
        f"{cached.cached / (cached.cached + cached.full):.0%} of the tokens",
        flush=True,
    )
    kept = cached.cached == prompts * cache.tokens and cached.full * prompts <= without.full * 1.01
    print(
        "  limits: each request takes the video from the cache, and it is billed in full once: "
        f"{'kept' if kept else 'MISSED'}"
    )
    return kept


def main() -> int:
    """Run the comparison; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="number of prompts (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="length of the video (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("GEMINI_API_KEY", None)
    os.environ["GEMINI_EMULATOR_VIDEO_SECONDS"] = "0"
    with uploading.emulator() as port:
        return 0 if compare(port, args.prompts, args.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
