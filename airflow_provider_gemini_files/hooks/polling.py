"""Polls of one kind of resource from a worker: get, list, look up several, and wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

from airflow_provider_gemini_files.common.concurrency import map_outcomes
from airflow_provider_gemini_files.common.lookup import Lookup
from airflow_provider_gemini_files.common.waiting import Wait
from airflow_provider_gemini_files.exceptions import GeminiFilesError
from airflow_provider_gemini_files.hooks.requests import Listing, Resource, T
from airflow_provider_gemini_files.hooks.service import GeminiService

#: Seconds before a second look for something that may have been created: how soon it is in the list is not documented.
LIST_LAG_SECONDS = 60.0


class Polling(Generic[T]):
    """The calls that read a kind of resource."""

    def __init__(self, service: GeminiService, resource: Resource[T]) -> None:
        self._service = service
        self._resource = resource
        #: Pages of the project's list, as far as known.
        self._pages = 1

    def get(self, name: str) -> T:
        """Return an item as the service has it now."""
        return self._service.call(lambda: self._service.files_client.get(self._resource, name))

    def list_all(self) -> list[T]:
        """Return all items of the key's project, every page, in the order of the service."""
        listing = Listing(self._resource, self._service.connection)
        items: list[T] = []
        while not listing.is_done:
            items += self.read_page(listing)
        if listing.unreadable:
            self._service.log.warning(
                "%d %s of the project cannot be read. They are left out of the list, the usage and all reports, and "
                "are not changed.",
                listing.unreadable, self._resource.plural,
            )  # fmt: skip
        return items

    def read_page(self, listing: Listing[T]) -> list[T]:
        """Read the next page of a list."""
        return self._service.call(lambda: self._service.files_client.read_page(listing))

    def finish(self, wait: Wait[T]) -> list[T]:
        """
        Block until a wait is over, and return its items in the order of their names.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        clock = self._service.clock
        while not self.poll(wait):
            now = clock.now()
            self._service.log.info(wait.describe(now))
            clock.sleep(wait.next_poll(now) - now)
        return wait.ready()

    def poll(self, wait: Wait[T]) -> bool:
        """
        Poll each pending item once, and return whether all are ready.

        :raises GeminiFilesError: as :meth:`Wait.check` does.
        """
        for name, seen in self.look_up(wait.pending).items():
            wait.see(name, seen, self._service.clock.now())
        return wait.check(self._service.clock.now())

    def look_up(self, names: Iterable[str]) -> dict[str, T | GeminiFilesError]:
        """Return the item of each name, or the error of getting it, with as few calls as there can be."""
        lookup = Lookup(names, self._pages)
        seen: dict[str, T | GeminiFilesError] = {}
        listing = Listing(self._resource, self._service.connection, frozenset(lookup.missing))
        try:
            while lookup.wants_page():
                page = self.read_page(listing)
                seen.update((item.name, item) for item in lookup.page_read(page, is_last=listing.is_done))
        except GeminiFilesError as error:
            return {**seen, **dict.fromkeys(lookup.missing, error)}
        self._pages = lookup.pages
        _ = self._service.files_client
        outcomes = map_outcomes(self.get, lookup.missing, name="gemini-get")
        stopped_by = next((outcome.error for outcome in reversed(outcomes) if outcome.error), None)
        for outcome in outcomes:
            found = outcome.result or outcome.error or stopped_by
            if found is not None:
                seen[outcome.item] = found
        return seen
