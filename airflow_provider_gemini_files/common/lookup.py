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
    :attr:`missing`. An item that is not in the list is not known to be gone: only getting it tells.

    :param names: such as ``files/...``.
    :param pages: pages of the project's list, as far as known.
    """

    def __init__(self, names: Iterable[str], pages: int = 1) -> None:
        self.missing = list(dict.fromkeys(names))
        #: What the next lookup in the same project should assume.
        self.pages = pages
        self._most = len(self.missing)
        self._read = 0
        self._reads_list = self._most > pages

    def wants_page(self) -> bool:
        """Return whether to read a page of the list: not if that has taken as many calls as getting each file."""
        return self._reads_list and bool(self.missing)

    def page_read(self, items: Iterable[Item], *, is_last: bool) -> list[Item]:
        """
        Take the items of the next page.

        :return: those that are looked for.
        """
        self._read += 1
        wanted = set(self.missing)
        found = [item for item in items if item.name in wanted]
        seen = {item.name for item in found}
        self.missing = [name for name in self.missing if name not in seen]
        if is_last or self._read >= self._most:
            self._reads_list = False
            self.pages = self._read if is_last else self._read + 1
        elif not self.missing:
            self.pages = self._read
        return found
