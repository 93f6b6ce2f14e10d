"""
One poller for all files that are waited for over one connection in one event loop.

A thousand deferred tasks cost the service hardly more calls than one: their looks are brought together into rounds, and
a round reads the project's list where that takes fewer calls than asking for each file.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import time
from collections.abc import Mapping

from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import FileWaits
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

#: Calls of one connection that are under way at once.
_MAX_CALLS_AT_ONCE = 8
#: Seconds in which the first waiters of a connection gather before the first look.
_GATHER_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 60.0
#: Waits that are told or judged before other tasks of the event loop get their turn.
_AT_A_TIME = 100

Waiter = asyncio.Future[None]

_pollers: dict[tuple[asyncio.AbstractEventLoop, str], FilePoller] = {}


async def wait_for_files(gemini_conn_id: str, waits: FileWaits) -> list[GeminiFile]:
    """
    Wait until files are ACTIVE, together with all others who wait over the connection in this event loop.

    :raises GeminiFilesError: as :meth:`FileWaits.check` does, or where the connection is of no use.
    """
    key = (asyncio.get_running_loop(), gemini_conn_id)
    poller = _pollers.get(key) or FilePoller(key)
    await poller.join(waits)
    return waits.ready()


class FilePoller:
    """
    The looks of one connection; it lives as long as somebody waits.

    :param key: the event loop and the id of the connection.
    """

    def __init__(self, key: tuple[asyncio.AbstractEventLoop, str]) -> None:
        self._key = key
        self._waiting: dict[Waiter, FileWaits] = {}
        self._due: dict[Waiter, float] = {}
        self._by_name: dict[str, set[Waiter]] = {}
        self._changed = asyncio.Event()
        self._not_before = time.time() + _GATHER_SECONDS
        #: Pages of the project's list, as far as known.
        self._pages = 1
        self._failed_rounds = 0
        self._began = time.time()
        _pollers[key] = self
        # An empty context: what is logged here belongs to no single task of those who wait.
        self._task = key[0].create_task(self._run(), context=contextvars.Context())

    async def join(self, waits: FileWaits) -> None:
        """Wait until all files are ACTIVE, or the wait is over otherwise."""
        waiter: Waiter = self._key[0].create_future()
        names = waits.pending
        self._waiting[waiter] = waits
        self._due[waiter] = time.time()
        for name in names:
            self._by_name.setdefault(name, set()).add(waiter)
        self._changed.set()
        try:
            await waiter
        finally:
            self._leave(waiter, names)

    def _leave(self, waiter: Waiter, names: list[str]) -> None:
        del self._waiting[waiter], self._due[waiter]
        for name in names:
            self._by_name[name].discard(waiter)
            if not self._by_name[name]:
                del self._by_name[name]
        if not self._waiting:
            self._changed.set()

    async def _run(self) -> None:
        hook = GeminiFilesHook(self._key[1])
        try:
            await hook.aconnect()
            while self._waiting:
                if await self._time_has_come():
                    await self._round(hook)
        except Exception as error:
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_exception(error)
        finally:
            # At once, so that who comes from now on gets a poller of its own.
            if _pollers.get(self._key) is self:
                del _pollers[self._key]
            await hook.aclose()

    async def _time_has_come(self) -> bool:
        """Sleep until somebody is due; False where something changed in between."""
        wait = max(min(self._due.values()), self._not_before) - time.time()
        if wait <= 0:
            return True
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), wait)
        except TimeoutError:
            return True
        return False

    async def _round(self, hook: GeminiFilesHook) -> None:
        """Look at the files of all who are due, or nearly, and judge every wait."""
        began = self._began = time.time()
        gap = min(waits.interval(began) for waits in self._waiting.values())
        due = {waiter for waiter in self._waiting if self._due[waiter] <= began + gap / 2}
        unseen = {name for waiter in due for name in self._waiting[waiter].pending}
        try:
            await self._look(hook, unseen)
            self._failed_rounds = 0
            self._not_before = began + gap
        except (GeminiRateLimitError, GeminiServiceError) as error:
            self._not_before = time.time() + self._pause(error)
            # Who was not seen in this round learns why.
            await self._tell(dict.fromkeys(unseen, error))
        for count, waiter in enumerate(list(self._waiting)):
            await _breathe(count)
            self._judge(waiter)

    def _pause(self, error: GeminiFilesError) -> float:
        """Return the seconds for which all calls of the connection rest after one that the service did not want."""
        self._failed_rounds += 1
        asked = error.retry_after if isinstance(error, GeminiRateLimitError) else None
        backoff = 2.0 ** min(self._failed_rounds - 1, 6) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
        return min(max(asked or 0.0, backoff), _MAX_PAUSE_SECONDS)

    async def _look(self, hook: GeminiFilesHook, unseen: set[str]) -> None:
        """
        Ask for files, in the list or one by one, whichever is fewer calls.

        :param unseen: the files to look at; those that were seen are taken out, also when this ends with an error.
        :raises GeminiFilesError: where the service does not answer the connection.
        """
        if len(unseen) > self._pages:
            await self._read_list(hook, unseen)
        await self._ask_singly(hook, unseen)

    async def _read_list(self, hook: GeminiFilesHook, unseen: set[str]) -> None:
        """Read the list until all are seen, or it has taken as many calls as asking singly would have."""
        most, pages = len(unseen), 0
        async with contextlib.aclosing(hook.alist_pages(frozenset(unseen))) as listing:
            async for page in listing:
                pages += 1
                unseen -= {file.name for file in page}
                # Page by page, so that nobody waits for the end of a long list.
                await self._tell({file.name: file for file in page})
                if not unseen or pages == most:
                    break
        self._pages = pages + 1 if unseen and pages == most else pages

    async def _ask_singly(self, hook: GeminiFilesHook, unseen: set[str]) -> None:
        unwanted: list[GeminiFilesError] = []
        queue = list(unseen)

        async def ask() -> None:
            while queue and not unwanted:
                name = queue.pop()
                try:
                    seen: GeminiFile | GeminiFilesError = await hook.aget_file(name)
                except GeminiFilesError as error:
                    seen = error
                if isinstance(seen, GeminiRateLimitError | GeminiServiceError):
                    unwanted.append(seen)
                else:
                    unseen.discard(name)
                    await self._tell({name: seen})

        await asyncio.gather(*(ask() for _ in range(min(_MAX_CALLS_AT_ONCE, len(queue)))))
        if unwanted:
            raise unwanted[0]

    async def _tell(self, seen: Mapping[str, GeminiFile | GeminiFilesError]) -> None:
        """Tell everybody who waits for these files; a wait that has seen all of its files is judged at once."""
        for count, (name, what) in enumerate(seen.items()):
            await _breathe(count)
            now = time.time()
            for waiter in list(self._by_name.get(name, ())):
                waits = self._waiting[waiter]
                waits.see(name, what, now)
                # From the beginning of the round: who stands late in a long list is due again with the others.
                self._due[waiter] = waits.next_look(self._began)
                if not waits.pending:
                    self._judge(waiter)

    def _judge(self, waiter: Waiter) -> None:
        if waiter.done() or waiter not in self._waiting:
            return
        try:
            if self._waiting[waiter].check(time.time()):
                waiter.set_result(None)
        except GeminiFilesError as error:
            waiter.set_exception(error)


async def _breathe(count: int) -> None:
    """Give the other tasks of the event loop their turn now and then."""
    if count % _AT_A_TIME == _AT_A_TIME - 1:
        await asyncio.sleep(0)
