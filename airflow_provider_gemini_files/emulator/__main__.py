"""Command line: ``python -m airflow_provider_gemini_files.emulator``."""

from __future__ import annotations

import argparse
import logging

from airflow_provider_gemini_files.emulator.server import GeminiEmulator
from airflow_provider_gemini_files.emulator.settings import DEFAULT_QUOTA_BYTES, DEFAULT_VIDEO_SECONDS


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_gemini_files.emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8085, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--api-key", action="append", default=[], metavar="K", help="a valid key, repeatable (default: every key is)"
    )
    parser.add_argument(
        "--quota-bytes", type=int, default=DEFAULT_QUOTA_BYTES, help="storage of a project (default: %(default)s)"
    )
    parser.add_argument(
        "--video-seconds",
        type=float,
        default=DEFAULT_VIDEO_SECONDS,
        help="how long a video is PROCESSING (default: %(default)s)",
    )
    parser.add_argument("--allow-remote", action="store_true", help="listen on an address that others can reach, too")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        emulator = GeminiEmulator(
            host=args.host,
            port=args.port,
            allow_remote=args.allow_remote,
            api_keys=tuple(args.api_key),
            quota_bytes=args.quota_bytes,
            video_seconds=args.video_seconds,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    logging.getLogger(__name__).info("Gemini Files API emulator on %s (Ctrl-C ends it)", emulator.base_url)
    emulator.run()


if __name__ == "__main__":
    main()
