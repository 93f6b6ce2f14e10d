"""Time, sleep and randomness as one object, so that tests hand in their own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """
    The passing of time.

    :param now: seconds since the epoch.
    :param monotonic: seconds that never go back, for durations.
    :param sleep: block for some seconds.
    :param sleep_async: the same in an event loop.
    :param uniform: a random number between two others.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform


SYSTEM_CLOCK = Clock()
