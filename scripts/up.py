"""``make up``: run Airflow with its UI, the example Dags and the emulator until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from demo import DAGS
from local_airflow import LocalAirflow, connection
from processes import free_port, is_free, without_proxy

from airflow_provider_gemini_files.emulator import GeminiEmulator


def main() -> int:
    """Run until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of the UI (default: %(default)s)")
    port = parser.parse_args().port
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    os.environ.update(without_proxy())
    if not is_free(port):
        taken, port = port, free_port()
        print(f"Port {taken} is in use; using {port} instead.")
    home = Path(tempfile.mkdtemp(prefix="gemini-files-up-"))
    try:
        with GeminiEmulator(video_seconds=8) as emulator:
            print(f"Gemini Files API emulator on {emulator.base_url}")
            print("Starting Airflow: api-server, scheduler, dag-processor, triggerer...")
            print(f"Logs, until it is stopped: {home}/logs (tasks), {home}/output (components)", flush=True)
            env = connection(host=emulator.base_url, key="demo-key")
            with LocalAirflow(home, DAGS, env, port) as airflow:
                dags = ", ".join(sorted(path.stem for path in DAGS.glob("*.py")))
                print(f"\n  Airflow:  {airflow.url}   (no login required; Dags: {dags})")
                print("  Press Ctrl-C to stop.\n", flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except RuntimeError as error:
        print(error)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
