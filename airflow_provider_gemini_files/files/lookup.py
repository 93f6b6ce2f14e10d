"""Whether to read the project's list of files or to get each file: the fewer calls, decided once for all callers."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_gemini_files.files.reference import GeminiFile


class Lookup:
    """
    The way to look up some files; it sends nothing itself.

    While :meth:`wants_page`, read the next page of the list and report it with :meth:`page_read`; then get each of
    :attr:`missing`. A file that is not in the list is not known to be gone: only getting it tells.

    :param names: ``files/...``.
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

    def page_read(self, files: Iterable[GeminiFile], *, is_last: bool) -> list[GeminiFile]:
        """
        Take the files of the next page.

        :return: those that are looked for.
        """
        self._read += 1
        wanted = set(self.missing)
        found = [file for file in files if file.name in wanted]
        seen = {file.name for file in found}
        self.missing = [name for name in self.missing if name not in seen]
        if is_last or self._read >= self._most:
            self._reads_list = False
            self.pages = self._read if is_last else self._read + 1
        elif not self.missing:
            self.pages = self._read
        return found
