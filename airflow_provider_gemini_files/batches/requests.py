"""The requests of a batch, read from the arguments of an author in one of three ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from airflow_provider_gemini_files.caches.cached_request import with_cache
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.common.limits import MAX_BATCH_INLINE_BYTES
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.content.source_parts import Resolve, source_from_data
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.search import FileSearch

#: The words of ``GeminiGenerateContentOperator`` that a request of a batch may have, too.
_WORDS = ("prompt", "files", "contents", "system_instruction", "generation_config", "response_schema", "file_search")
_KNOWN = {"key", "model", *_WORDS}
#: Control characters and halves of characters (lone surrogates).
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class BatchRequest:
    """
    One request of a batch.

    :param key: joins the answer to it in the output; unique within the batch.
    :param sent_key: joins the two at the service. It is the key if the author has given one, else the place in the
        list: the name of a file's source, which is the key then, cannot be looked up any more once the file is gone.
    """

    key: str
    sent_key: str
    request: ModelRequest


@dataclass(frozen=True)
class Words:
    """
    What holds for each request that does not say it itself; see ``GeminiGenerateContentOperator``.

    :param model: of the whole job.
    :param recipe: the cache that all requests use; none if None.
    """

    prompt: str | None = None
    files: Any = None
    contents: Any = None
    system_instruction: str | None = None
    generation_config: Mapping[str, Any] | None = None
    response_schema: Any = None
    file_search: Any = None
    model: str | None = None
    recipe: CacheRecipe | None = None


@dataclass(frozen=True)
class Item:
    """
    A request as it was written.

    :param place: where it is, for error messages: ``requests[3]``.
    :param default_key: its key if it has none of its own; ``default_sent_key`` likewise.
    """

    place: str
    given: Any
    default_key: str
    default_sent_key: str


@dataclass(frozen=True)
class BatchRequests:
    """
    The requests of a batch; each iteration reads them again, so that they need no memory.

    :param read: returns the requests as they were written.
    :param keys: only requests with these keys; all if None.
    :param is_volatile: whether they may be others when they are read again.
    :param resolve: returns the parts in place of a source; None: sources are refused.
    """

    read: Callable[[], Iterable[Item]]
    words: Words = field(default_factory=Words)
    keys: Collection[str] | None = None
    is_volatile: bool = False
    resolve: Resolve | None = None

    def only(self, keys: Collection[str]) -> BatchRequests:
        """Return the requests with some keys, in the same order."""
        return replace(self, keys=frozenset(keys))

    def __iter__(self) -> Iterator[BatchRequest]:
        """
        Yield the requests in order.

        :raises GeminiInputError: for one that cannot be used, or a key that comes twice.
        """
        reader = _Reader(self.words, self.resolve)
        places: dict[str, str] = {}
        for item in self.read():
            one = reader.request(item)
            # Other keys than the sent ones are names of files, which are different already.
            if one.sent_key in places:
                raise GeminiInputError(
                    f"{item.place} has the key {one.key!r}, as has {places[one.sent_key]}: a key links an answer to "
                    "its request, so each must be unique."
                )
            places[one.sent_key] = item.place
            if self.keys is None or one.key in self.keys:
                yield one


def from_files(files: Iterable[Any], label: Callable[[Any], str | None]) -> Callable[[], Iterator[Item]]:
    """
    Return a reader of one request for each file.

    :param label: returns the name of a file's source, which becomes the key; None if it is not known.
    """
    listed = list(files)
    labels = [label(file) or str(at) for at, file in enumerate(listed)]
    keys = _distinct(labels)

    def read() -> Iterator[Item]:
        for at, (file, key) in enumerate(zip(listed, keys, strict=True)):
            yield Item(f"files[{at}]", {"files": [file]}, key, f"#{at}")

    return read


def _distinct(labels: Sequence[str]) -> list[str]:
    """Return labels of which no two are equal: sources in different folders can have the same name."""
    taken, keys = set(labels), dict[str, None]()
    counts: dict[str, int] = {}
    for label in labels:
        key = label
        # Each label counts on from its last number: thousands of sources can have one name.
        while key in keys or (key != label and key in taken):
            counts[label] = counts.get(label, 1) + 1
            key = f"{label} ({counts[label]})"
        keys[key] = None
    return list(keys)


def from_list(requests: Sequence[Any]) -> Callable[[], Iterator[Item]]:
    """Return a reader of a list of requests."""

    def read() -> Iterator[Item]:
        for at, given in enumerate(requests):
            yield Item(f"requests[{at}]", given, str(at), str(at))

    return read


def from_lines(lines: Callable[[], Iterable[bytes]], where: str) -> Callable[[], Iterator[Item]]:
    """
    Return a reader of JSON Lines; empty lines are skipped.

    :param lines: returns the lines, from the first.
    :param where: what is read, for error messages.
    """

    def read() -> Iterator[Item]:
        at = 0
        for number, line in enumerate(lines(), 1):
            if not line.strip():
                continue
            place = f"line {number} of {where}"
            try:
                given = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise GeminiInputError(f"{place} is not JSON: {error}.") from error
            yield Item(place, given, str(at), str(at))
            at += 1

    return read


class _Reader:
    """Reads single requests; what all of them share is read once."""

    def __init__(self, words: Words, resolve: Resolve | None) -> None:
        self._words = words
        self._resolve = resolve
        self._schema = _schema(words.response_schema)

    def request(self, item: Item) -> BatchRequest:
        """Read a request: a dict of words, or a text that is its prompt."""
        given = {"prompt": item.given} if isinstance(item.given, str) else item.given
        if not isinstance(given, Mapping):
            raise GeminiInputError(
                f"{item.place} must be a prompt or a dict with {', '.join(('key', *_WORDS))}; got "
                f"{shown_text(repr(item.given), limit=200)}."
            )
        if unknown := sorted(str(word) for word in given.keys() - _KNOWN):
            raise GeminiInputError(
                f"{item.place}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_KNOWN))}."
            )
        model, own = (str(one or "").removeprefix("models/") for one in (given.get("model"), self._words.model))
        if model not in ("", own):
            raise GeminiInputError(
                f"{item.place} asks for the model {given['model']!r}: all requests of a batch go to one model, the "
                "operator's. Use a batch for each model."
            )
        try:
            own_key = _key(given.get("key"))
            sent_key = own_key or item.default_sent_key
            return BatchRequest(own_key or item.default_key, sent_key, self._model_request(given))
        except GeminiInputError as error:
            raise GeminiInputError(f"{item.place}: {error}") from error

    def _contents(self, words: Mapping[str, Any]) -> Contents:
        contents = Contents.parse(
            words["prompt"], words["files"], words["contents"], max_inline_bytes=MAX_BATCH_INLINE_BYTES
        )
        if not contents.sources:
            return contents
        if self._resolve is None:
            raise source_from_data(contents.sources[0].where)
        return contents.resolved(self._resolve)

    def _model_request(self, given: Mapping[str, Any]) -> ModelRequest:
        # An empty text, or that of a null in a template, says nothing.
        own = {word: given[word] for word in _WORDS if word in given and not is_unset(given[word])}
        words = {word: own.get(word, getattr(self._words, word)) for word in _WORDS}
        own_schema = "response_schema" in own
        request = ModelRequest(
            self._contents(words),
            model=self._words.model or None,
            system_instruction=words["system_instruction"] or None,
            generation_config=words["generation_config"] or None,
            schema=_schema(words["response_schema"]) if own_schema else self._schema,
            file_search=None if is_unset(words["file_search"]) else FileSearch.of(words["file_search"]),
        ).checked()
        return with_cache(request, self._words.recipe) if self._words.recipe else request


def _schema(given: Any) -> Schema | None:
    return None if given is None else Schema.of(given)


def _key(given: Any) -> str | None:
    """Return the key that an author gives; None if there is none."""
    if given is None:
        return None
    key = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(key, str) or not key.strip() or _UNUSABLE.search(key):
        raise GeminiInputError(f"key must be a non-empty text without control characters; got {given!r:.200}.")
    return key


@dataclass(frozen=True)
class Part:
    """
    The requests of one job.

    :param start: place of its first request among all, counted from 0.
    :param count: number of its requests.
    :param digest: changes if anything of them does.
    :param names: the files that they name, in order.
    """

    start: int
    count: int
    digest: str
    names: tuple[str, ...]


def parts_of(requests: Iterable[BatchRequest], max_requests: int | None = None) -> list[Part]:
    """
    Read all requests once, and return the parts that they are split into.

    :param max_requests: requests of a part, the most; one part if None.
    :raises GeminiInputError: for a request that cannot be used, or if there is none.
    """
    parts: list[Part] = []
    digest, names, count = hashlib.sha256(), dict[str, None](), 0
    start = 0
    for one in requests:
        if max_requests is not None and count == max_requests:
            parts.append(Part(start, count, digest.hexdigest(), tuple(names)))
            digest, names, start, count = hashlib.sha256(), {}, start + count, 0
        digest.update(identity_of(one))
        names.update(dict.fromkeys(one.request.contents.names))
        count += 1
    if not count:
        raise GeminiInputError("The batch has no requests.")
    return [*parts, Part(start, count, digest.hexdigest(), tuple(names))]


def identity_of(one: BatchRequest) -> bytes:
    """
    Return bytes that change with the sent key of a request and everything that it asks, for a digest.

    The same request has the same bytes in each process, so that a retry finds its job.
    """
    request = one.request
    schema = request.schema.json_schema if request.schema else None
    search = asdict(request.file_search) if request.file_search else None
    asked = [one.sent_key, request.contents.by_name(), request.system_instruction, request.generation_config, schema]
    asked += [search] if search else []
    asked += [request.cache.identity] if request.cache else []
    return json.dumps(_plain(asked), sort_keys=True).encode()


def _plain(value: Any) -> Any:
    """Return a JSON value that stands for one of Python; a class is known by its name."""
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, map(_plain, value)))
    if isinstance(value, Enum):
        return _plain(value.value)
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return _plain(value.model_dump(exclude_none=True))
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return getattr(value, "__qualname__", type(value).__qualname__)
