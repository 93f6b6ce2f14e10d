"""``make cluster``: run a distributed Airflow with the example Dags and the emulator until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import free_port, is_free, without_proxy

from airflow_provider_gemini_files.emulator import GeminiEmulator
from cluster import installation, stores
from cluster.deployment import USERS, Cluster

DAGS = installation.ROOT / "example_dags"
KEY = "demo-key"


def main() -> int:
    """Run until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of the first API server (default: %(default)s)")
    port = parser.parse_args().port
    if packages := stores.missing():
        print(f"Debian packages are missing: apt-get install {' '.join(packages)}")
        return 1
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    os.environ.update(without_proxy())
    if not is_free(port):
        taken, port = port, free_port()
        print(f"Port {taken} is in use; using {port} instead.")
    home = Path(tempfile.mkdtemp(prefix="gemini-files-cluster-"))
    try:
        print(f"Installing into {installation.ENVIRONMENT}...", flush=True)
        python = installation.install()
        print(installation.versions(python))
        with GeminiEmulator(video_seconds=8) as emulator:
            print("Starting PostgreSQL, Redis, 2 API servers, scheduler, dag-processor, 2 triggerers, 2 workers...")
            print(f"Logs, until it is stopped: {home}/logs (tasks), {home}/output (components)", flush=True)
            with Cluster(python, home, [DAGS], port) as cluster:
                body = {"connection_id": "gemini_default", "conn_type": "gemini"}
                cluster.api("POST", "/connections", json=body | {"host": emulator.base_url, "password": KEY})
                print(f"\n  Airflow:   {cluster.url} and {cluster.prefixed.url}")
                print(f"  Users:     {', '.join(USERS)}; each password is the user's name")
                print(f"  Service:   {emulator.base_url}")
                print(f"  Databases: 127.0.0.1:{cluster.postgres.port} (PostgreSQL), {cluster.redis.port} (Redis)")
                print("  Press Ctrl-C to stop.\n", flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(error)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
