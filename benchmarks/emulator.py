"""
Measure the throughput of uploads to the emulator, compared with a bare sink, and the memory of its process.

Both run on the same server stack, each in a process of its own; the sink only hashes the bytes. The same client sends
the same bytes to both in turns: in one request, and in chunks as the SDK does.
Run: ``python benchmarks/emulator.py [--gib 2]``.
The exit code is 1 if a limit is missed: at least 0.7 of the sink's throughput, less than 150 MB of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import multiprocessing.connection
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

MIB = 1024**2
CHUNK = 8 * MIB
PIECE = bytes(range(256)) * 4096
MIN_RATIO = 0.7
MAX_MEMORY = 150 * 10**6


def settle_allocator() -> None:
    """Free a large block, so that glibc reuses buffers of this size instead of mapping new ones for each read."""
    bytearray(16 * MIB)


def serve_sink(ready: multiprocessing.connection.Connection) -> None:
    """Serve an application that only hashes the body."""
    import uvicorn

    settle_allocator()

    async def sink(scope: dict, receive, send) -> None:  # type: ignore[no-untyped-def, type-arg]
        hasher, more = hashlib.sha256(), True
        while more:
            message = await receive()
            hasher.update(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"64")]})
        await send({"type": "http.response.body", "body": hasher.hexdigest().encode()})

    listener = socket.create_server(("127.0.0.1", 0))
    # As the emulator does; otherwise each response of two packets waits 40 ms, and the sink is too slow.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ready.send(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        sink, http="httptools", loop="asyncio", log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    uvicorn.Server(config).run(sockets=[listener])


def serve_emulator(ready: multiprocessing.connection.Connection) -> None:
    """Serve the emulator."""
    from airflow_provider_gemini_files.emulator import GeminiEmulator

    settle_allocator()
    emulator = GeminiEmulator()
    ready.send(emulator.base_url)
    emulator.run()


@dataclass
class Peak:
    """Largest memory of a process, in bytes."""

    rss: int = 0


@contextmanager
def served(target: object) -> Iterator[tuple[str, Peak]]:
    """Run a server in a process of its own; yield its URL and its peak memory."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there,), daemon=True)  # type: ignore[arg-type]
    process.start()
    peak, over = Peak(), threading.Event()
    watched = psutil.Process(process.pid)

    def watch() -> None:
        while not over.wait(0.02):
            peak.rss = max(peak.rss, watched.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    try:
        url = here.recv()
        watcher.start()
        wait_for(url)
        yield url, peak
    finally:
        over.set()
        watcher.join()
        process.terminate()
        process.join(10)


def wait_for(url: str) -> None:
    """Wait until a server accepts connections."""
    parts = urlsplit(url)
    for _ in range(200):
        try:
            socket.create_connection((parts.hostname, parts.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not respond")


def post(connection: socket.socket, path: str, headers: dict[str, str], length: int) -> tuple[str, bytes]:
    """Send ``length`` bytes over a bare socket, the cheapest client; return head and body of the response."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    for at in range(0, length, len(PIECE)):
        connection.sendall(PIECE[: min(len(PIECE), length - at)])
    response = b""
    while b"\r\n\r\n" not in response:
        response += connection.recv(65536)
    head, _, body = response.partition(b"\r\n\r\n")
    text = head.decode()
    if not text.startswith("HTTP/1.1 200"):
        raise SystemExit(f"{path}: {text} {body!r}")
    wanted = int(text.lower().split("content-length: ")[1].split("\r\n")[0])
    while len(body) < wanted:
        body += connection.recv(65536)
    return text, body


def connect(url: str) -> socket.socket:
    """Open a connection to a server."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=120)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def to_sink(url: str, size: int, chunk: int) -> float:
    """Send bytes to the sink; return the seconds that it took."""
    with connect(url) as connection:
        started = time.perf_counter()
        for at in range(0, size, chunk):
            post(connection, "/", {}, min(chunk, size - at))
        return time.perf_counter() - started


def to_emulator(url: str, size: int, chunk: int) -> float:
    """Upload a file to the emulator, then remove it; return the seconds that the upload took."""
    with connect(url) as connection:
        start = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "x-goog-api-key": "k",
        }
        started = time.perf_counter()
        head, _ = post(connection, "/upload/v1beta/files", start, 0)
        address = urlsplit(head.lower().split("x-goog-upload-url: ")[1].split("\r\n")[0])
        session = head[head.lower().index(address.path) :].split("\r\n")[0]
        for at in range(0, size, chunk):
            command = "upload, finalize" if at + chunk >= size else "upload"
            headers = {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(at)}
            post(connection, session, headers, min(chunk, size - at))
        took = time.perf_counter() - started
        post(connection, "/__emulator/reset", {}, 0)
        return took


def measure(sink: str, emulator: str, size: int, chunk: int, turn: int) -> tuple[float, float]:
    """Return the seconds of sink and emulator; the first of a pair is slower, so they take turns to be first."""
    if turn % 2:
        own = to_emulator(emulator, size, chunk)
        return to_sink(sink, size, chunk), own
    return to_sink(sink, size, chunk), to_emulator(emulator, size, chunk)


def main() -> int:
    """Measure, print the table, and return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=2, help="size of an upload (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="how often each is measured (default: %(default)s)")
    args = parser.parse_args()
    size = int(args.gib * 1024) * MIB
    kept = True
    print(f"{'':16}{'bare sink':>12}{'emulator':>12}{'ratio':>8}{'peak memory':>14}")
    for name, chunk in (("one request", size), ("8 MiB chunks", CHUNK)):
        with served(serve_sink) as (sink, _), served(serve_emulator) as (emulator, peak):
            pairs = [measure(sink, emulator, size, chunk, turn) for turn in range(args.rounds)]
        fast, own = (size / MIB / statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        memory = peak.rss
        print(f"{name:16}{fast:7.0f} MiB/s{own:7.0f} MiB/s{own / fast:8.2f}{memory / 10**6:11.0f} MB")
        kept &= own / fast >= MIN_RATIO and memory < MAX_MEMORY
    print(
        f"limits: ratio at least {MIN_RATIO}, memory under {MAX_MEMORY / 10**6:.0f} MB: {'kept' if kept else 'MISSED'}"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
