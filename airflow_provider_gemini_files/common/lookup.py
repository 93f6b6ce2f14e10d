"""Whether to read the project's list of a resource or to get each item: the fewer calls, decided once for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Named(Protocol):
    """Something of the service with a name."""

    @property
    def name(self) -> str:
        """Return the name, such as ``files/...``."""


Item = TypeVar("Item", bound=Named)


class Lookup:
    """
    The way to look up some items of a resource; it sends nothing itself.

    While :meth:`wants_page`, read the next page of the list and report it with :meth:`page_read`; then get each of
    :attr:`missing`, and report it with :meth:`gotten` if others may still ask. An item that is not in the list is not
    known to be gone: only getting it tells.

    :param names: such as ``files/...``.
    :param pages: pages of the project's list, as far as known.
    """

    def __init__(self, names: Iterable[str], pages: int = 1) -> None:
        # A dict, from which an item is removed without looking at the others: there may be ten thousand.
        self._missing = dict.fromkeys(names)
        #: What the next lookup in the same project should assume.
        self.pages = pages
        self._most = len(self._missing)
        self._read = 0
        self._reads_list = self._most > pages

    @property
    def missing(self) -> list[str]:
        """Return the names of the items that are still looked for."""
        return list(self._missing)

    def wants_page(self) -> bool:
        """Return whether to read a page of the list: not if that has taken as many calls as getting each file."""
        return self._reads_list and bool(self._missing)

    def gotten(self, name: str) -> None:
        """Take an item that was gotten by its name."""
        del self._missing[name]

    def page_read(self, items: Iterable[Item], *, is_last: bool) -> list[Item]:
        """
        Take the items of the next page.

        :return: those that are looked for.
        """
        self._read += 1
        found = [item for item in items if item.name in self._missing]
        for item in found:
            self._missing.pop(item.name, None)
        if is_last or self._read >= self._most:
            self._reads_list = False
            self.pages = self._read if is_last else self._read + 1
        elif not self._missing:
            self.pages = self._read
        return found
