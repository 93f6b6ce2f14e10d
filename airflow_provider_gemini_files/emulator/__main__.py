"""
Command line: ``python -m airflow_provider_gemini_files.emulator``.

Each flag has an environment variable: for ``--video-seconds``, it is ``GEMINI_EMULATOR_VIDEO_SECONDS``.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from airflow_provider_gemini_files.emulator.server import GeminiEmulator
from airflow_provider_gemini_files.emulator.settings import Settings

_PREFIX = "GEMINI_EMULATOR_"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def _switch(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in _TRUE


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


@dataclass(frozen=True)
class _Option:
    """
    An option of the command line and the environment.

    :param read: converts its text; raises ValueError.
    """

    flag: str
    read: Any
    default: Any
    help: str

    @property
    def variable(self) -> str:
        """Return the name of the environment variable."""
        return _PREFIX + self.flag.upper().replace("-", "_")


_DEFAULTS = {f.name: f.default for f in fields(Settings)}
_OPTIONS = [
    _Option("host", str, "127.0.0.1", "address to listen on"),
    _Option("port", int, 8085, "port to listen on; 0 takes a free one"),
    _Option("allow-remote", _switch, False, "allow an address that other machines can reach"),
    _Option("api-key", _list, (), "valid keys, separated by commas; none: all keys are valid"),
    _Option("quota-bytes", int, _DEFAULTS["quota_bytes"], "storage of one project in bytes"),
    _Option("granularity", int, _DEFAULTS["granularity"], "chunk granularity of uploads in bytes"),
    _Option("keep-partial", _switch, _DEFAULTS["keep_partial"], "keep the bytes before a broken connection"),
    _Option("video-seconds", float, _DEFAULTS["video_seconds"], "how long a video is PROCESSING"),
    _Option("large-seconds", float, _DEFAULTS["large_seconds"], "how long a large audio or PDF file is PROCESSING"),
    _Option("job-seconds", float, _DEFAULTS["job_seconds"], "how long an import or a batch takes"),
    _Option("freed-seconds", float, _DEFAULTS["freed_seconds"], "how long the bytes of a deleted file still count"),
    _Option("max-batches", int, _DEFAULTS["max_batches"], "number of batches of a project that have not ended"),
    _Option("batch-tokens", int, _DEFAULTS["batch_tokens"], "tokens in a model's batches that have not ended"),
    _Option("batch-expiry-seconds", float, _DEFAULTS["batch_expiry_seconds"], "age at which a batch expires"),
    _Option("cancel-seconds", float, _DEFAULTS["cancel_seconds"], "how long a cancelled batch goes on"),
    _Option("delete-stops-batch", _switch, _DEFAULTS["delete_stops_batch"], "stop a batch that is deleted"),
    _Option("store-bytes", int, _DEFAULTS["store_bytes"], "size of a project's documents, counted three times"),
    _Option("ranges", _switch, _DEFAULTS["ranges"], "support downloads of a part of a file"),
    _Option("redirect-downloads", _switch, _DEFAULTS["redirect_downloads"], "redirect downloads to another host"),
    _Option("forbidden-buckets", _list, _DEFAULTS["forbidden_buckets"], "buckets whose objects cannot be registered"),
]


def read_options(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the keyword arguments of :class:`GeminiEmulator`: flags win over variables, variables over defaults.

    :raises SystemExit: if one of them cannot be read, after printing why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_gemini_files.emulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option in _OPTIONS:
        parser.add_argument(f"--{option.flag}", **_parsing(option), help=f"{option.help} (default: {option.default})")
    given = vars(parser.parse_args(arguments))
    result: dict[str, Any] = {}
    for option in _OPTIONS:
        name = option.flag.replace("-", "_")
        result[name] = option.default
        try:
            if given[name] is not None:
                result[name] = tuple(given[name]) if option.read is _list else given[name]
            elif text := environment.get(option.variable):
                result[name] = option.read(text)
        except ValueError as error:
            parser.error(f"{option.variable}: {error}")
    result["api_keys"] = result.pop("api_key")
    return result


def _parsing(option: _Option) -> dict[str, Any]:
    if option.read is _switch:
        return {"action": argparse.BooleanOptionalAction, "default": None}
    metavar = option.flag.rpartition("-")[2].upper()
    if option.read is _list:
        return {"action": "extend", "type": _list, "metavar": metavar, "default": None}
    return {"type": option.read, "default": None, "metavar": metavar}


def main() -> None:
    """Serve until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = read_options(None, os.environ)
    try:
        emulator = GeminiEmulator(**options)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    logging.getLogger(__name__).info("Gemini Files API emulator on %s (Ctrl-C ends it)", emulator.base_url)
    emulator.run()


if __name__ == "__main__":
    main()
