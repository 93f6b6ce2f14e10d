"""What an author may show to a model, read into turns of parts; documented in ``docs/content.md``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_gemini_files.common.limits import MAX_INLINE_BYTES
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, is_many_files, parse_name

_ROLES = ("user", "model")
_RESOLUTIONS = ("LOW", "MEDIUM", "HIGH", "ULTRA_HIGH")
_FORMS = (
    "a part is a text, {'file': a Gemini file}, {'url': ...} or {'data': bytes or base64, 'mime_type': ...}, a turn is "
    "{'role': 'user' or 'model', 'parts': [...]}"
)
#: A text that is nothing but this is a file: XCom brings names, and nobody asks such a question.
_FILE_NAME = re.compile(r"(https?://\S+/)?files/[a-z0-9][a-z0-9-]*")
#: Where a part waits for its file to be looked up.
_FILE = "file"


@dataclass(frozen=True)
class Contents:
    """
    What is shown to a model: turns of parts, in the service's spelling, with names in the place of files.

    :param files: every file that is shown, as it was given, by its name; in order.
    """

    _turns: tuple[dict[str, Any], ...]
    files: dict[str, FileLike]

    @classmethod
    def parse(cls, prompt: str | None = None, files: Any = None, contents: Any = None) -> Contents:
        """
        Read what an author wrote: the contents, then the files, then the prompt.

        :param prompt: a text.
        :param files: a file in any form, a part, or a list of these.
        :param contents: a part, a turn, or a list of these.
        :raises GeminiInputError: for what is none of this, with the place where it stands.
        """
        if prompt is None and contents is None:
            raise GeminiInputError("There is nothing to ask: give a prompt, or contents.")
        if prompt is not None and (not isinstance(prompt, str) or not prompt.strip()):
            raise GeminiInputError(f"prompt is a text that is not empty, got {prompt!r}.")
        reader = _Reader()
        for at, item in enumerate(_flat([] if contents is None else contents)):
            reader.read(item, f"contents[{at}]")
        shown = [] if files is None else list(_flat(files))
        if files is not None and not shown:
            raise GeminiInputError("files is an empty list: leave it out where nothing is to be shown.")
        for at, item in enumerate(shown):
            reader.add(_part_of_file(item, f"files[{at}]"))
        if prompt is not None:
            reader.add({"text": prompt})
        if not reader.turns:
            raise GeminiInputError("contents is empty: there is nothing to ask.")
        return cls(tuple(reader.turns), reader.files)

    @property
    def names(self) -> list[str]:
        """Return the names of the files, in order and without repetition."""
        return list(self.files)

    def continued(self, answer: str, prompt: str) -> Contents:
        """Return the same with a model's answer behind it, and what is said to that."""
        said = ({"role": "model", "parts": [{"text": answer}]}, {"role": "user", "parts": [{"text": prompt}]})
        return Contents((*self._turns, *said), self.files)

    def turns(self, files: Mapping[str, GeminiFile]) -> list[dict[str, Any]]:
        """
        Return the turns as the service wants them.

        :param files: what stands for each of :attr:`names`; their URIs and MIME types are used.
        """
        return [{**turn, "parts": [_resolved(part, files) for part in turn["parts"]]} for turn in self._turns]


class _Reader:
    """Collects parts into turns; parts outside of a turn are the user's."""

    def __init__(self) -> None:
        self.turns: list[dict[str, Any]] = []
        self.files: dict[str, FileLike] = {}
        self._open = False
        self._inline = 0

    def read(self, item: Any, where: str) -> None:
        if not isinstance(item, Mapping) or not {"role", "parts"} & item.keys():
            self.add(_part(item, where))
            return
        _only(item, {"role", "parts"}, where)
        if item.get("role", "user") not in _ROLES:
            raise GeminiInputError(f"{where}: a role is one of {', '.join(_ROLES)}; got {item['role']!r}.")
        parts = [_part(one, f"{where}.parts[{at}]") for at, one in enumerate(_flat(item.get("parts", [])))]
        if not parts:
            raise GeminiInputError(f"{where}: a turn has at least one part; {_FORMS}.")
        self._open = False
        for part in parts:
            self.add(part, item.get("role", "user"))
        self._open = False

    def add(self, part: dict[str, Any], role: str = "user") -> None:
        if not self._open:
            self.turns.append({"role": role, "parts": []})
            self._open = True
        self.turns[-1]["parts"].append(part)
        if _FILE in part:
            name = parse_name(part[_FILE])
            known = self.files.get(name)
            # What says most about a file is kept.
            self.files[name] = part[_FILE] if known is None or isinstance(known, str) else known
        self._inline += len(part["inlineData"]["data"]) if "inlineData" in part else 0
        if self._inline > MAX_INLINE_BYTES:
            raise GeminiInputError(
                f"The inline data has more than {human_bytes(MAX_INLINE_BYTES)}: upload it with "
                "GeminiUploadFileOperator, and show the file."
            )


def _flat(given: Any) -> Iterator[Any]:
    """Yield what is given, alone or in lists: a task that uploads many files gives a list among others."""
    if is_many_files(given) and isinstance(given, Iterable) and not isinstance(given, bytes):
        for item in given:
            yield from _flat(item)
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
    """Read a part that is no text; a bare file, in any form, is one, too."""
    if isinstance(item, Mapping) and "name" not in item:
        for key, read in _PARTS.items():
            if key in item:
                return read(item, where)
        raise GeminiInputError(f"{where} is {_keys(item)}; {_FORMS}.")
    if not isinstance(item, str | Mapping | GeminiFile):
        raise GeminiInputError(f"{where} is {item!r}; {_FORMS}.")
    parse_name(item)
    return {_FILE: item}


def _file_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"file", "video", "media_resolution"}, where)
    parse_name(item["file"])
    return {_FILE: item["file"], **_viewed(item, where)}


def _url_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"url", "mime_type", "video", "media_resolution"}, where)
    url = item["url"]
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("https", "gs") or not parts.netloc:
        raise GeminiInputError(f"{where}: a url begins with https:// or gs://, got {_without_query(url)!r}.")
    data = {"fileUri": url}
    if mime_type := item.get("mime_type") or _type_of_path(parts.path):
        data["mimeType"] = mime_type
    return {"fileData": data, **_viewed(item, where)}


def _data_part(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(item, {"data", "mime_type", "media_resolution"}, where)
    data = item["data"]
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise GeminiInputError(f"{where}: data is bytes, or base64 as text; this text is none: {error}.") from error
    if not isinstance(data, bytes) or not data:
        raise GeminiInputError(f"{where}: data is bytes, or base64 as text, and not empty.")
    mime_type = mime_type_of("data", item.get("mime_type"), lambda: data)
    return {"inlineData": {"data": data, "mimeType": mime_type}, **_viewed(item, where)}


_PARTS: dict[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "file": _file_part,
    "url": _url_part,
    "data": _data_part,
}


def _viewed(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read how a part is to be looked at."""
    viewed: dict[str, Any] = {}
    if (video := item.get("video")) is not None:
        viewed["videoMetadata"] = _video(video, f"{where}.video")
    if (resolution := item.get("media_resolution")) is not None:
        level = str(resolution).upper().removeprefix("MEDIA_RESOLUTION_")
        if level not in _RESOLUTIONS:
            allowed = ", ".join(name.lower() for name in _RESOLUTIONS)
            raise GeminiInputError(f"{where}: media_resolution is one of {allowed}; got {resolution!r}.")
        viewed["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{level}"}
    return viewed


def _video(video: Any, where: str) -> dict[str, Any]:
    if not isinstance(video, Mapping):
        raise GeminiInputError(f"{where} is {{'start': seconds, 'end': seconds, 'fps': frames a second}}.")
    _only(video, {"start", "end", "fps"}, where)
    read = {key: _number(video[key], f"{where}.{key}") for key in ("start", "end", "fps") if video.get(key) is not None}
    if read.get("end", float("inf")) <= read.get("start", 0.0):
        raise GeminiInputError(
            f"{where} ends at {video['end']!r}, which is not after its start {video.get('start')!r}."
        )
    # Google's documentation gives this range.
    if not 0 < read.get("fps", 1.0) <= 24:
        raise GeminiInputError(f"{where}.fps is more than 0 and at most 24 frames a second, got {video['fps']!r}.")
    told: dict[str, Any] = {f"{key}Offset": f"{read[key]:g}s" for key in ("start", "end") if key in read}
    return told | ({"fps": read["fps"]} if "fps" in read else {})


def _number(value: Any, where: str) -> float:
    try:
        number = float(str(value).removesuffix("s"))
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < 1e6:
        raise GeminiInputError(f"{where} is a number like 10 or '10s', got {value!r}.")
    return number


def _type_of_path(path: str) -> str | None:
    try:
        return mime_type_of(path)
    except GeminiInputError:
        # YouTube, or a page without an ending: the service looks for itself.
        return None


def _resolved(part: dict[str, Any], files: Mapping[str, GeminiFile]) -> dict[str, Any]:
    if _FILE not in part:
        return part
    file = files[parse_name(part[_FILE])]
    rest = {key: value for key, value in part.items() if key != _FILE}
    return {"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}, **rest}


def _only(item: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(str(key) for key in item.keys() - known):
        raise GeminiInputError(f"{where}: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}.")


def _keys(item: Mapping[str, Any]) -> str:
    return f"a dict with {', '.join(map(str, item)) or 'nothing in it'}"


def _without_query(url: Any) -> Any:
    """Leave out what may authorise whoever has it."""
    return url.partition("?")[0] if isinstance(url, str) else url
