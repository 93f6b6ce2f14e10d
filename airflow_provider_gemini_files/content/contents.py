"""The contents of a request, as authors write them, read into turns of parts; documented in ``docs/content.md``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_gemini_files.common.limits import MAX_INLINE_BYTES
from airflow_provider_gemini_files.common.redaction import shown_url
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.content import source_parts
from airflow_provider_gemini_files.content.source_parts import SOURCE, Resolve, SourceFile, SourcePart
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, is_many_files, parse_name

_ROLES = ("user", "model")
_RESOLUTIONS = ("LOW", "MEDIUM", "HIGH", "ULTRA_HIGH")
_FORMS = (
    "a part is a text, {'file': a Gemini file}, {'source': a path or URI}, {'url': ...} or {'data': bytes or base64, "
    "'mime_type': ...}, a turn is {'role': 'user' or 'model', 'parts': [...]}"
)
#: A text that consists of a file name is a file: XCom contains names, and no prompt looks like one.
_FILE_NAME = re.compile(r"(https?://\S+/)?files/[a-z0-9][a-z0-9-]*")
_URL_SCHEMES = ("https://", "gs://")
#: Key of a part whose file is not looked up yet.
_FILE = "file"


@dataclass(frozen=True)
class Contents:
    """
    The contents of a request: turns of parts, in the service's spelling, with names in place of files.

    :param files: every file of the contents, as it was given, by its name; in order.
    :param inline_bytes: inline data of the contents.
    """

    _turns: tuple[dict[str, Any], ...]
    files: dict[str, FileLike]
    inline_bytes: int = field(default=0, compare=False)

    @classmethod
    def parse(
        cls,
        prompt: str | None = None,
        files: Any = None,
        contents: Any = None,
        *,
        max_inline_bytes: int = MAX_INLINE_BYTES,
    ) -> Contents:
        """
        Read contents, files and prompt, which are sent in this order.

        :param prompt: a text.
        :param files: a file in any form, a part, or a list of these.
        :param contents: a part, a turn, or a list of these.
        :param max_inline_bytes: inline data, the most.
        :raises GeminiInputError: for anything else, with its place, as in ``contents[0].parts[1]``.
        """
        if prompt is None and contents is None:
            raise GeminiInputError("There is nothing to send: pass prompt or contents.")
        if prompt is not None and (not isinstance(prompt, str) or not prompt.strip()):
            raise GeminiInputError(f"prompt must be a text that is not empty, got {prompt!r}.")
        reader = _Reader(max_inline_bytes)
        for at, item in enumerate(flattened([] if contents is None else contents)):
            reader.read(item, f"contents[{at}]")
        flat_files = [] if files is None else list(flattened(files))
        if files is not None and not flat_files:
            raise GeminiInputError("files is an empty list: leave it out for a prompt without files.")
        for at, item in enumerate(flat_files):
            reader.add(_part_of_file(item, f"files[{at}]"))
        if prompt is not None:
            reader.add({"text": prompt})
        if not reader.turns:
            raise GeminiInputError("contents is empty: there is nothing to send.")
        return cls(tuple(reader.turns), reader.files, reader.inline_bytes)

    @property
    def sources(self) -> list[SourcePart]:
        """Return the sources that are to be shown, in order; none are left once they are :meth:`resolved`."""
        return [part[SOURCE] for turn in self._turns for part in turn["parts"] if SOURCE in part]

    def resolved(self, resolve: Resolve) -> Contents:
        """
        Return these contents with other parts in place of each source.

        :param resolve: returns the parts; a file is ``{"file": ...}``, anything else is in the service's spelling.
        """
        reader = _Reader(max_inline_bytes=None)
        for turn in self._turns:
            reader.begin_turn()
            for part in turn["parts"]:
                for one in resolve(part[SOURCE]) if SOURCE in part else [part]:
                    reader.add(one, turn["role"])
        return Contents(tuple(reader.turns), reader.files, reader.inline_bytes)

    @property
    def names(self) -> list[str]:
        """Return the names of the files, in order and without duplicates."""
        return list(self.files)

    @property
    def shown(self) -> list[str]:
        """Return the names of the files; of a source that has none yet, its URI."""
        return [
            given.uploaded_from.uri if isinstance(given, SourceFile) and given.uploaded_from else name
            for name, given in self.files.items()
        ]

    def by_name(self) -> list[dict[str, Any]]:
        """Return the turns with names in place of files, whatever else is known about these."""
        return [{**turn, "parts": [_named(part) for part in turn["parts"]]} for turn in self._turns]

    @classmethod
    def of_turns(cls, turns: Iterable[Mapping[str, Any]]) -> Contents:
        """Return the contents of which :meth:`by_name` has returned the turns."""
        listed = tuple(dict(turn) for turn in turns)
        return cls(listed, {part[_FILE]: part[_FILE] for turn in listed for part in turn["parts"] if _FILE in part})

    def without_files_of(self, other: Contents) -> Contents:
        """Return these contents without the files that others show in the same way."""
        shown = [part for turn in other.by_name() for part in turn["parts"] if _FILE in part]
        kept = [
            {**turn, "parts": [part for part in turn["parts"] if _named(part) not in shown]} for turn in self._turns
        ]
        names = {parse_name(part[_FILE]) for turn in kept for part in turn["parts"] if _FILE in part}
        files = {name: file for name, file in self.files.items() if name in names}
        return replace(self, _turns=tuple(turn for turn in kept if turn["parts"]), files=files)

    def after(self, others: Contents) -> Contents:
        """Return other contents, followed by these."""
        return replace(self, _turns=(*others._turns, *self._turns), files={**others.files, **self.files})

    def continued(self, answer: str, prompt: str) -> Contents:
        """Return these contents extended by the model's answer and a follow-up prompt."""
        added = ({"role": "model", "parts": [{"text": answer}]}, {"role": "user", "parts": [{"text": prompt}]})
        return Contents((*self._turns, *added), self.files, self.inline_bytes)

    def turns(self, files: Mapping[str, GeminiFile]) -> list[dict[str, Any]]:
        """
        Return the turns in the service's form.

        :param files: the file of each of :attr:`names`; its URI and MIME type are used.
        :raises GeminiInputError: if there are sources, which have to be :meth:`resolved` first.
        """
        if sources := self.sources:
            raise GeminiInputError(f"{sources[0].where} is a source, which this call does not upload.")
        return [{**turn, "parts": [_resolved(part, files) for part in turn["parts"]]} for turn in self._turns]


class _Reader:
    """Collects parts into turns; parts outside of a turn belong to the user."""

    def __init__(self, max_inline_bytes: int | None) -> None:
        self.turns: list[dict[str, Any]] = []
        self.files: dict[str, FileLike] = {}
        self.inline_bytes = 0
        self._most = max_inline_bytes
        self._open = False

    def read(self, item: Any, where: str) -> None:
        if not isinstance(item, Mapping) or not {"role", "parts"} & item.keys():
            self.add(_part(item, where))
            return
        _only(item, {"role", "parts"}, where)
        if item.get("role", "user") not in _ROLES:
            raise GeminiInputError(f"{where}: role must be one of {', '.join(_ROLES)}; got {item['role']!r}.")
        parts = [_part(one, f"{where}.parts[{at}]") for at, one in enumerate(flattened(item.get("parts", [])))]
        if not parts:
            raise GeminiInputError(f"{where}: a turn must have at least one part; {_FORMS}.")
        self.begin_turn()
        for part in parts:
            self.add(part, item.get("role", "user"))
        self.begin_turn()

    def begin_turn(self) -> None:
        self._open = False

    def add(self, part: dict[str, Any], role: str = "user") -> None:
        if not self._open:
            self.turns.append({"role": role, "parts": []})
            self._open = True
        self.turns[-1]["parts"].append(part)
        if _FILE in part:
            name = parse_name(part[_FILE])
            known = self.files.get(name)
            # Metadata says more about a file than its name.
            self.files[name] = part[_FILE] if known is None or isinstance(known, str) else known
        self.inline_bytes += len(part["inlineData"]["data"]) if "inlineData" in part else 0
        if self._most is not None and self.inline_bytes > self._most:
            raise GeminiInputError(
                f"The inline data has more than {human_bytes(self._most)}: upload it with GeminiUploadFileOperator, "
                "and pass the file."
            )


def flattened(given: Any) -> Iterator[Any]:
    """
    Yield single items, also from nested lists: a task that uploads many files returns a list.

    :raises GeminiInputError: for a set, whose order differs in each process.
    """
    if isinstance(given, Set):
        raise GeminiInputError(f"The order of files and texts counts: pass a list, not a set; got {given!r:.200}.")
    if is_many_files(given) and isinstance(given, Iterable) and not isinstance(given, bytes):
        for item in given:
            yield from flattened(item)
    else:
        yield given


def _part(item: Any, where: str) -> dict[str, Any]:
    if isinstance(item, str):
        if not item.strip():
            raise GeminiInputError(f"{where} is an empty text.")
        if not _FILE_NAME.fullmatch(item):
            return {"text": item}
    return _part_of_file(item, where)


def _part_of_file(item: Any, where: str) -> dict[str, Any]:
    """Read a part that is not a text; a file in any form is a part, too."""
    if isinstance(item, Mapping) and "name" not in item:
        for key, read in _PARTS.items():
            if key in item:
                return read(item, where)
        raise GeminiInputError(f"{where} is {_keys(item)}; {_FORMS}.")
    if not isinstance(item, str | Mapping | GeminiFile):
        raise GeminiInputError(f"{where} is {item!r}; {_FORMS}.")
    try:
        parse_name(item)
    except GeminiInputError as error:
        if isinstance(item, str) and (advice := source_parts.advice_for(item)):
            raise GeminiInputError(f"{where}: {shown_url(item)!r} is not a Gemini file.{advice}") from error
        raise
    return {_FILE: item}


def _file_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"file", "video", "media_resolution"}, where)
    parse_name(item["file"])
    return {_FILE: item["file"], **_view_options(item, where)}


def _source_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, source_parts.KEYS | {"video", "media_resolution"}, where)
    return {SOURCE: SourcePart.read(item, where, _view_options(item, where))}


def _url_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"url", "mime_type", "video", "media_resolution"}, where)
    url = item["url"]
    try:
        parts = urlsplit(url) if isinstance(url, str) and url.startswith(_URL_SCHEMES) else None
    except ValueError:
        parts = None
    if parts is None or not parts.hostname:
        shown = shown_url(url) if isinstance(url, str) else url
        raise GeminiInputError(f"{where}: a url must begin with https:// or gs://, got {shown!r}.")
    data = {"fileUri": url}
    if mime_type := item.get("mime_type") or _type_of_path(parts.path):
        data["mimeType"] = mime_type
    return {"fileData": data, **_view_options(item, where)}


def _data_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"data", "mime_type", "media_resolution"}, where)
    data = item["data"]
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise GeminiInputError(
                f"{where}: data must be bytes, or base64 as text; this text is not base64: {error}."
            ) from error
    if not isinstance(data, bytes) or not data:
        raise GeminiInputError(f"{where}: data must be bytes, or base64 as text, and not empty.")
    mime_type = mime_type_of(where, item.get("mime_type"), lambda: data)
    return {"inlineData": {"data": data, "mimeType": mime_type}, **_view_options(item, where)}


_PARTS: dict[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "file": _file_part,
    SOURCE: _source_part,
    "url": _url_part,
    "data": _data_part,
}


def _view_options(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read which section of a video, and which resolution, the model processes."""
    options: dict[str, Any] = {}
    if (video := item.get("video")) is not None:
        options["videoMetadata"] = _video(video, f"{where}.video")
    if (resolution := item.get("media_resolution")) is not None:
        level = str(resolution).upper().removeprefix("MEDIA_RESOLUTION_")
        if level not in _RESOLUTIONS:
            allowed = ", ".join(name.lower() for name in _RESOLUTIONS)
            raise GeminiInputError(f"{where}: media_resolution must be one of {allowed}; got {resolution!r}.")
        options["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{level}"}
    return options


def _video(video: Any, where: str) -> dict[str, Any]:
    if not isinstance(video, Mapping):
        raise GeminiInputError(
            f"{where} must be {{'start': seconds, 'end': seconds, 'fps': frames per second}}, got {video!r}."
        )
    _only(video, {"start", "end", "fps"}, where)
    numbers = {
        key: _number(video[key], f"{where}.{key}") for key in ("start", "end", "fps") if video.get(key) is not None
    }
    if numbers.get("end", float("inf")) <= numbers.get("start", 0.0):
        raise GeminiInputError(f"{where}.end must be after start {video.get('start', 0)!r}, got {video['end']!r}.")
    # The range in Google's documentation.
    if not 0 < numbers.get("fps", 1.0) <= 24:
        raise GeminiInputError(
            f"{where}.fps must be more than 0 and at most 24 frames per second, got {video['fps']!r}."
        )
    metadata: dict[str, Any] = {f"{key}Offset": f"{numbers[key]:g}s" for key in ("start", "end") if key in numbers}
    return metadata | ({"fps": numbers["fps"]} if "fps" in numbers else {})


def _number(value: Any, where: str) -> float:
    try:
        number = float(str(value).removesuffix("s"))
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < 1e6:
        raise GeminiInputError(f"{where} must be a number like 10 or '10s', got {value!r}.")
    return number


def _type_of_path(path: str) -> str | None:
    try:
        return mime_type_of(path)
    except GeminiInputError:
        # A YouTube video, or a page without a suffix: the service detects the type.
        return None


def _named(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, _FILE: parse_name(part[_FILE])} if _FILE in part else part


def _resolved(part: dict[str, Any], files: Mapping[str, GeminiFile]) -> dict[str, Any]:
    if _FILE not in part:
        return part
    file = files[parse_name(part[_FILE])]
    rest = {key: value for key, value in part.items() if key != _FILE}
    return {"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}, **rest}


def _only(item: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(str(key) for key in item.keys() - known):
        raise GeminiInputError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}.")


def _keys(item: Mapping[str, Any]) -> str:
    return f"a dict with {', '.join(map(str, item))}" if item else "an empty dict"
