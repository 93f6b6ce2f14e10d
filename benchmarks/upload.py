"""Compare uploads with the SDK's ``client.files.upload`` and with a single POST."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MIB = 1024**2
ROUND_TRIPS_MS = (0, 20, 100)
RESETS = 5
SMALL_FILES, SMALL_BYTES, SMALL_ROUND_TRIP_MS = 1000, 10_000, 20
_HOME = tempfile.TemporaryDirectory(prefix="gemini-files-bench-")
KEY = "bench"
#: Large files are sparse. Their zeros are not text, so the type has to be given.
TYPE = "text/plain"

# Before Airflow is imported, because it reads its configuration at import.
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    NO_PROXY="127.0.0.1",
)


class Context(dict[str, Any]):
    """The parts of a task's context that the operator uses."""

    dag_id, run_id, task_id, map_index = "bench", "one", "upload", -1

    def __init__(self) -> None:
        super().__init__(ti=self)

    def xcom_push(self, key: str, value: object) -> None:
        """Discard the value."""


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with some arguments until the block ends."""
    with subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@contextlib.contextmanager
def emulator() -> Iterator[int]:
    """Run the emulator and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quota = str(1 << 50)
    with process("-m", "airflow_provider_gemini_files.emulator", "--port", str(port), "--quota-bytes", quota):
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the emulator did not start")
            time.sleep(0.1)
        yield port


class Relay:
    """A relay in its own process."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running
        self.port = int(self._read_line())

    def _read_line(self) -> str:
        return self._running.stdout.readline() if self._running.stdout else ""

    def uploaded(self) -> int:
        """Return the bytes uploaded since the previous call."""
        print(file=self._running.stdin, flush=True)
        return int(self._read_line())


@contextlib.contextmanager
def relay_to(port: int, round_trip_ms: float, resets: tuple[int, ...] = ()) -> Iterator[Relay]:
    """
    Run a relay in front of a port.

    :param resets: uploaded bytes at which the connection is reset.
    """
    with process(str(HERE / "relay" / "relay.py"), str(port), str(round_trip_ms), *map(str, resets)) as running:
        yield Relay(running)


# --- the three ways to upload --------------------------------------------------------------------------------------


def hook_for(port: int) -> Any:
    """Return a hook that has made its client."""
    from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

    fields = {"conn_type": "gemini", "host": f"http://127.0.0.1:{port}", "password": KEY}
    os.environ["AIRFLOW_CONN_GEMINI_DEFAULT"] = json.dumps(fields)
    hook = GeminiFilesHook()
    # The first call creates the client, whatever it is.
    hook.delete_file("files/none")
    return hook


def ours(port: int) -> Callable[[Path], object]:
    """Return a function that uploads through the hook."""
    hook = hook_for(port)
    return lambda path: hook.upload_file(path, mime_type=TYPE)


def sdk(port: int) -> Callable[[Path], object]:
    """Return a function that uploads through google-genai."""
    from google import genai

    client = genai.Client(api_key=KEY, http_options={"base_url": f"http://127.0.0.1:{port}"})
    return lambda path: client.files.upload(file=path, config={"mime_type": TYPE})


def one_post(port: int) -> Callable[[Path], object]:
    """Return a function that uploads with a start request and one POST, without hash, verification or resuming."""
    import httpx

    def upload(path: Path) -> object:
        size = str(path.stat().st_size)
        headers = {
            "x-goog-api-key": KEY, "X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": size, "X-Goog-Upload-Header-Content-Type": TYPE,
        }  # fmt: skip
        with httpx.Client(timeout=300) as client, path.open("rb") as stream:
            start = client.post(f"http://127.0.0.1:{port}/upload/v1beta/files", headers=headers)
            command = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0", "Content-Length": size}
            return client.post(start.headers["x-goog-upload-url"], headers=command, content=stream).raise_for_status()

    return upload


def seconds(upload: Callable[[Path], object], path: Path) -> float:
    """Upload once; return the seconds it took."""
    began = time.monotonic()
    upload(path)
    return time.monotonic() - began


def sparse(name: str, size: int) -> Path:
    """Create a sparse file of ``size`` bytes."""
    path = Path(_HOME.name, name)
    with path.open("wb") as file:
        file.truncate(size)
    return path


# --- measurements ----------------------------------------------------------------------------------------------


def throughput(port: int, size: int, rounds: int) -> None:
    """Print ratios for one large file, each from its best round, because other processes share the machine."""
    path = sparse("large.txt", size)
    print(f"\nthroughput, {size // MIB} MiB, best of {rounds}:  ours / SDK   one POST / SDK   ours / one POST (>= 0.9)")
    for round_trip in ROUND_TRIPS_MS:
        with relay_to(port, round_trip) if round_trip else contextlib.nullcontext() as relay:
            at = relay.port if relay else port
            best: dict[str, float] = {}
            ways = {"ours": ours(at), "sdk": sdk(at), "post": one_post(at)}
            for _ in range(rounds):
                for name, way in ways.items():
                    # One round is enough for the SDK, which is the slowest by far.
                    if name != "sdk" or name not in best:
                        best[name] = min(best.get(name, 1e9), seconds(way, path))
        took, of_sdk, of_post = best["ours"], best["sdk"], best["post"]
        print(
            f"  {round_trip:3d} ms round trip: {size / MIB / took:7.0f} MiB/s"
            f"  {of_sdk / took:9.2f} {of_sdk / of_post:15.2f} {of_post / took:15.2f}",
            flush=True,
        )


def memory(port: int, size: int) -> None:
    """Print the peak memory of a process that uploads a large file, minus its memory when idle."""
    path = sparse("huge.txt", size)
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import upload as b\n"
        "way = b.ours(int(sys.argv[2])); small = b.sparse('small.txt', 1000); way(small)\n"
        "pathlib.Path('/proc/self/clear_refs').write_text('5'); idle = b.peak()\n"
        "way(pathlib.Path(sys.argv[3])); print((b.peak() - idle) / 2**20)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(HERE), str(port), str(path)], capture_output=True, text=True, check=True
    )
    print(
        f"\npeak memory over idle, {size // MIB} MiB (<= 40 MiB): {float(run.stdout.split()[-1]):.1f} MiB", flush=True
    )


def peak() -> int:
    """Return the peak memory of this process since the last reset of the counter, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def resets(port: int, size: int) -> None:
    """Print how many bytes are sent if the connection is reset at random offsets."""
    path = sparse("large.txt", size)
    seed = random.randrange(10_000)
    offsets = tuple(sorted(random.Random(seed).sample(range(MIB, size), RESETS)))
    with relay_to(port, 0, offsets) as relay:
        ours(relay.port)(path)
        uploaded = relay.uploaded()
    allowed = 1.02 + RESETS * 8 * MIB / size
    print(f"\nbytes sent / size, {RESETS} random resets (seed {seed}; <= {allowed:.3f}): {uploaded / size:.3f}")
    with relay_to(port, 0, offsets) as relay:
        try:
            sdk(relay.port)(path)
            print("  the SDK succeeds")
        except Exception as error:
            print(f"  the SDK fails with {type(error).__name__}", flush=True)


def second_run(port: int, size: int) -> None:
    """Print how many bytes the second attempt of a task sends."""
    path = sparse("again.txt", size)
    with relay_to(port, 0) as relay:
        operator = operator_for(relay.port, str(path), mime_type=TYPE)
        first = operator.execute(Context())
        uploaded = relay.uploaded()
        again = operator.execute(Context())
        file = "same" if first == again else "another"
        print(
            f"\nsecond attempt of the same task: {file} file; uploaded {uploaded} bytes, then {relay.uploaded()} "
            "(the headers of one request, no byte of the file)",
            flush=True,
        )


def operator_for(port: int, source: str, **arguments: Any) -> Any:
    """Return an operator that uploads ``source``."""
    from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator

    hook_for(port)
    return GeminiUploadFileOperator(task_id="upload", source=source, **arguments)


def small_files(port: int, count: int) -> None:
    """Print the ratio for one task with many small files."""
    folder = Path(_HOME.name, "small")
    folder.mkdir()
    paths = [folder / f"{number}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%08d" % number + b"." * (SMALL_BYTES - 8))
    with relay_to(port, SMALL_ROUND_TRIP_MS) as relay:
        operator = operator_for(relay.port, str(folder))
        began = time.monotonic()
        names = operator.execute(Context())
        took = time.monotonic() - began
        way = sdk(relay.port)
        sdk_took = sum(seconds(way, path) for path in paths)
    print(
        f"\n{len(set(names))} files of {SMALL_BYTES} bytes at {SMALL_ROUND_TRIP_MS} ms: {took:.1f} s, "
        f"SDK in a loop {sdk_took:.1f} s, ratio {sdk_took / took:.1f} (>= 4)",
        flush=True,
    )


def main() -> None:
    """Run all measurements, or the one that is named."""
    parts = ("throughput", "memory", "resets", "second", "small")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file (default: %(default)s)")
    parser.add_argument("--huge-mib", type=int, default=2048, help="size of the file for memory (default: %(default)s)")
    parser.add_argument("--files", type=int, default=SMALL_FILES, help="number of small files (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of throughput (default: %(default)s)")
    parser.add_argument("--only", choices=parts, help="run one measurement only")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    with emulator() as port:
        measures: dict[str, Callable[[], None]] = {
            "throughput": lambda: throughput(port, args.mib * MIB, args.rounds),
            "memory": lambda: memory(port, args.huge_mib * MIB),
            "resets": lambda: resets(port, args.mib * MIB),
            "second": lambda: second_run(port, args.mib * MIB // 4),
            "small": lambda: small_files(port, args.files),
        }
        for name in [args.only] if args.only else parts:
            measures[name]()


if __name__ == "__main__":
    main()
