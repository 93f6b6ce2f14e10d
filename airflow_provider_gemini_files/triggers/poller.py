"""
One poller for all files, or all batch jobs, that are waited for over one connection in one event loop.

A thousand deferred tasks cost the service hardly more calls than one: their polls are combined into rounds, and a round
reads the project's list if that takes fewer calls than getting each item.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from airflow_provider_gemini_files.common.backoff import MAX_WAIT_PAUSE, Backoff
from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.common.lookup import Lookup
from airflow_provider_gemini_files.common.waiting import Wait
from airflow_provider_gemini_files.exceptions import (
    GeminiAuthError,
    GeminiFilesError,
    GeminiRateLimitError,
    GeminiServiceError,
)
from airflow_provider_gemini_files.hooks.requests import Listing, Resource, T
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.triggers.connections import PatientConnection

if TYPE_CHECKING:
    from airflow_provider_gemini_files.hooks.rest import AsyncFilesClient

#: Calls of one connection that are under way at once.
_MAX_CALLS_AT_ONCE = 8
#: Seconds in which the first waits of a connection gather before the first round.
_GATHER_SECONDS = 0.2
_BACKOFF = Backoff(max_retry_after=MAX_WAIT_PAUSE)
#: Seconds between two rounds, the least; a deadline may bring the next round forward to that.
_MIN_GAP_SECONDS = 1.0
#: Waits that are handled before other tasks of the event loop get their turn.
_AT_A_TIME = 100
#: Errors of the connection, not of one item.
_OF_CONNECTION = (GeminiRateLimitError, GeminiServiceError, GeminiAuthError)

Waiter = asyncio.Future[None]

#: The event loop, the id of the connection, and the plural of the resource.
Key = tuple[asyncio.AbstractEventLoop, str, str]

_pollers: dict[Key, Poller[Any]] = {}


async def wait_until_ready(
    resource: Resource[T], gemini_conn_id: str, wait: Wait[T], clock: Clock = SYSTEM_CLOCK
) -> list[T]:
    """
    Wait until items are ready, together with all other waits of the connection in this event loop.

    :raises GeminiFilesError: as :meth:`Wait.check` does, or if the connection cannot be used.
    """
    key = (asyncio.get_running_loop(), gemini_conn_id, resource.plural)
    poller: Poller[T] = _pollers.get(key) or Poller(key, resource, clock)
    await poller.join(wait)
    return wait.ready()


class Poller(Generic[T]):
    """The polls of one resource over one connection; it lives as long as there are waits."""

    def __init__(self, key: Key, resource: Resource[T], clock: Clock = SYSTEM_CLOCK) -> None:
        self._key = key
        self._resource = resource
        self._clock = clock
        self._service = GeminiService(key[1])
        self._patience = PatientConnection(self._service)
        self._waits: dict[Waiter, Wait[T]] = {}
        self._due: dict[Waiter, float] = {}
        self._by_name: dict[str, set[Waiter]] = {}
        self._changed = asyncio.Event()
        self._not_before = clock.now() + _GATHER_SECONDS
        #: Pages of the project's list, as far as known.
        self._pages = 1
        self._failed_rounds = 0
        self._began = clock.now()
        _pollers[key] = self
        # An empty context: what is logged here belongs to no single waiting task.
        self._task = key[0].create_task(self._run(), context=contextvars.Context())

    async def join(self, wait: Wait[T]) -> None:
        """Wait until all items are ready, or the wait has failed."""
        waiter: Waiter = self._key[0].create_future()
        names = wait.pending
        self._waits[waiter] = wait
        self._due[waiter] = self._clock.now()
        for name in names:
            self._by_name.setdefault(name, set()).add(waiter)
        self._changed.set()
        try:
            await waiter
        finally:
            self._leave(waiter, names)

    def _leave(self, waiter: Waiter, names: list[str]) -> None:
        del self._waits[waiter], self._due[waiter]
        for name in names:
            self._by_name[name].discard(waiter)
            if not self._by_name[name]:
                del self._by_name[name]
        if not self._waits:
            self._changed.set()

    async def _run(self) -> None:
        try:
            while self._waits:
                if await self._is_due():
                    await self._round()
        except Exception as error:
            for waiter in self._waits:
                if not waiter.done():
                    waiter.set_exception(error)
        finally:
            # At once, so that later waits get a poller of their own.
            if _pollers.get(self._key) is self:
                del _pollers[self._key]
            await self._service.close_async()

    async def _is_due(self) -> bool:
        """Sleep until a round is due; return False if something changed, or a deadline has passed, in between."""
        now = self._clock.now()
        due = max(min(self._due.values()), self._not_before)
        if due <= now:
            return True
        # While the service wants no calls, deadlines are judged without a last poll.
        until = min(due, max(self._first_deadline(), now)) if self._failed_rounds else due
        if await self._is_changed_within(until - now):
            return False
        if until == due:
            return True
        await self._judge_all()
        return False

    async def _is_changed_within(self, seconds: float) -> bool:
        """Sleep, and return whether that was cut short because a wait has come or the last one has left."""
        self._changed.clear()
        tasks = {
            asyncio.ensure_future(self._clock.sleep_async(seconds)),
            asyncio.ensure_future(self._changed.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return self._changed.is_set()
        finally:
            for task in tasks:
                task.cancel()

    def _first_deadline(self) -> float:
        return min(
            float("inf") if wait.schedule.deadline is None else wait.schedule.deadline for wait in self._waits.values()
        )

    async def _round(self) -> None:
        """Poll the items of all waits that are due, or nearly, and judge every wait."""
        began = self._began = self._clock.now()
        gap = min(wait.schedule.interval(began) for wait in self._waits.values())
        due = {waiter for waiter in self._waits if self._due[waiter] <= began + gap / 2}
        lookup = Lookup((name for waiter in due for name in self._waits[waiter].pending), self._pages)
        try:
            await self._poll(lookup)
            self._failed_rounds = 0
            self._patience.succeeded()
            # The last poll of a wait is at its deadline, which may come before the others are due.
            self._not_before = max(min(began + gap, self._first_deadline()), began + min(gap, _MIN_GAP_SECONDS))
        except GeminiFilesError as error:
            self._not_before = self._clock.now() + self._pause(error)
            # Every wait whose item this round did not reach sees the error.
            await self._tell(dict.fromkeys(lookup.missing, await self._patience.failed(error)))
        await self._judge_all()

    def _pause(self, error: GeminiFilesError) -> float:
        """Return the seconds for which all calls of the connection pause after a failure of the connection."""
        self._failed_rounds += 1
        own = _BACKOFF.pause(self._failed_rounds, self._clock.uniform)
        return max(own, _BACKOFF.pause(self._failed_rounds, self._clock.uniform, error.retry_after or 0.0))

    async def _poll(self, lookup: Lookup) -> None:
        """
        Poll items, with the list or one by one: see :class:`Lookup`.

        :raises GeminiFilesError: if the service does not answer the connection; ``lookup.missing`` was not polled.
        """
        client = await self._service.connect_async()
        listing = Listing(self._resource, client.connection, frozenset(lookup.missing))
        while lookup.wants_page():
            page = await client.read_page(listing)
            # Page by page, so that no wait has to wait for the end of a long list.
            await self._tell({item.name: item for item in lookup.page_read(page, is_last=listing.is_done)})
        self._pages = lookup.pages
        await self._get_each(client, lookup)

    async def _get_each(self, client: AsyncFilesClient, lookup: Lookup) -> None:
        failures: list[GeminiFilesError] = []
        queue = lookup.missing

        async def work() -> None:
            while queue and not failures:
                name = queue.pop()
                try:
                    seen: T | GeminiFilesError = await client.get(self._resource, name)
                except GeminiFilesError as error:
                    seen = error
                if isinstance(seen, _OF_CONNECTION):
                    failures.append(seen)
                else:
                    lookup.gotten(name)
                    await self._tell({name: seen})

        await asyncio.gather(*(work() for _ in range(min(_MAX_CALLS_AT_ONCE, len(queue)))))
        if failures:
            raise failures[0]

    async def _tell(self, seen: Mapping[str, T | GeminiFilesError]) -> None:
        """Report items to every wait for them; a wait that has seen all of its items is judged at once."""
        for count, (name, what) in enumerate(seen.items()):
            await _yield_to_loop(count)
            for waiter in list(self._by_name.get(name, ())):
                self._see(waiter, name, what)

    def _see(self, waiter: Waiter, name: str, what: T | GeminiFilesError) -> None:
        """Report one item to one wait; what it raises is its own failure, and no other wait's."""
        if waiter.done():
            return
        wait = self._waits[waiter]
        try:
            wait.see(name, what, self._clock.now())
            # From the beginning of the round: an item late in a long list is due again with the others.
            self._due[waiter] = wait.schedule.next_poll(self._began)
            is_complete = not wait.pending
        except Exception as error:
            waiter.set_exception(error)
            return
        if is_complete:
            self._judge(waiter)

    async def _judge_all(self) -> None:
        for count, waiter in enumerate(list(self._waits)):
            await _yield_to_loop(count)
            self._judge(waiter)

    def _judge(self, waiter: Waiter) -> None:
        if waiter.done() or waiter not in self._waits:
            return
        try:
            if self._waits[waiter].check(self._clock.now()):
                waiter.set_result(None)
        except Exception as error:
            # Also one that nobody expected must not end the poller, and with it all other waits.
            waiter.set_exception(error)


async def _yield_to_loop(count: int) -> None:
    """Yield to the event loop after every hundredth item."""
    if count % _AT_A_TIME == _AT_A_TIME - 1:
        await asyncio.sleep(0)
