"""The results of batch jobs in local files, joined with the requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from airflow_provider_gemini_files.batches.requests import BatchRequest
from airflow_provider_gemini_files.batches.rows import Row, row_of
from airflow_provider_gemini_files.content.schema import Schema


class Results:
    """
    The lines of result files, found by key; only their places are in memory.

    A file that is added later has the later word: it has the answers to requests that were repeated.
    """

    def __init__(self) -> None:
        self._places: dict[str, tuple[BinaryIO, int, int]] = {}
        self._counted: set[BinaryIO] = set()
        #: Lines that are no result, or repeat a key within their file.
        self.odd_lines = 0

    def add(self, file: BinaryIO, *, is_counted: bool = False) -> None:
        """
        Read a result file once. It has to stay open and unchanged.

        :param is_counted: whether the metrics have its tokens.
        """
        if is_counted:
            self._counted.add(file)
        seen: set[str] = set()
        offset = 0
        for line in file:
            key = _key(line)
            if key is not None and key not in seen:
                self._places[key] = (file, offset, len(line))
                seen.add(key)
            elif line.strip():
                self.odd_lines += 1
            offset += len(line)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the result of a request; None if there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        file, offset, length = place
        file.seek(offset)
        result = _read(file.read(length))
        return result if isinstance(result, Mapping) else None

    def rows(
        self,
        requests: Iterable[BatchRequest] | None,
        schema: Schema | None = None,
        *,
        keep_cut: bool = False,
        require_citations: bool = False,
        secrets: Sequence[str] = (),
    ) -> Iterator[Row]:
        """
        Yield the row of each request, in the order of the requests.

        :param requests: None if they are not known any more: the rows then come in the order of the results.
        :param schema: for requests that are not known.
        :param keep_cut: see :func:`~airflow_provider_gemini_files.batches.rows.row_of`, also for the next two.
        """
        rules: dict[str, Any] = {"keep_cut": keep_cut, "require_citations": require_citations, "secrets": secrets}
        if requests is None:
            for key in self._places:
                yield self._marked(row_of(key, self.get(key), None, schema, **rules), key)
            return
        for one in requests:
            yield self._marked(row_of(one.key, self.get(one.sent_key), one, schema, **rules), one.sent_key)

    def _marked(self, row: Row, key: str) -> Row:
        place = self._places.get(key)
        return replace(row, is_counted=True) if place and place[0] in self._counted else row


def _key(line: bytes) -> str | None:
    """Return the key of a line; None if it is no result."""
    result = _read(line)
    key = result.get("key") if isinstance(result, Mapping) else None
    return str(key) if isinstance(key, str | int) and not isinstance(key, bool) else None


def _read(line: bytes) -> Any:
    """Return the JSON value of a line, whatever bytes are in its texts; None if it is none."""
    try:
        return json.loads(line.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
