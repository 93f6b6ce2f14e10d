"""
Compare batch jobs with the way of Google's Airflow operator, which holds all results in memory.

Run ``python benchmarks/batches.py``. Each way runs in a process of its own, against an emulator of its own: it uploads
10,000 requests about one file, submits them as one job, and writes the answers. Then it writes the answers of the same
job once more, as a cleared task does; that is the time compared, since the time before is mostly the emulator's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# First, because it sets up Airflow's environment.
import upload as uploading

ROWS = 10_000
MODEL = "gemini-3.8-flash"
#: Characters of a short answer.
SHORT = 400
#: Sizes of the results that both ways write, and of those that only ours does, in MiB.
LARGE_MIB, HUGE_MIB = 300, 1024
#: A piece of an answer, with what JSON has to escape.
_PIECE = 'The crates arrive at ten, "fragile"; até logo.\n'
_HERE = str(uploading.HERE)
_LIMIT_SECONDS = 900


def serve(rows: int, characters: int) -> None:
    """Run an emulator whose answers have some characters; print its URL, and stop when stdin ends."""
    from airflow_provider_gemini_files.emulator import GeminiEmulator

    text = (_PIECE * (characters // len(_PIECE) + 1))[:characters]
    with GeminiEmulator(quota_bytes=1 << 50, job_seconds=1) as emulator:
        emulator.answers.load([{"text": text} for _ in range(rows)])
        print(emulator.base_url, flush=True)
        sys.stdin.read()


def prompts(rows: int) -> Iterator[tuple[str, str]]:
    """Yield keys and prompts."""
    for number in range(rows):
        yield f"row-{number:06}", f"Which of the crates has the number {number}?"


# --- the two ways --------------------------------------------------------------------------------------------------


class Context(uploading.Context):
    """The parts of a task's context that the batch operator uses."""

    task_id, try_number = "batch", 1


def ours(url: str, folder: Path, rows: int) -> Callable[[], object]:
    """Return a function that submits the requests, or finds their job, and writes the answers."""
    from airflow_provider_gemini_files.operators.batches import GeminiBatchGenerateContentOperator

    hook = uploading.hook_for(int(url.rpartition(":")[2]))
    name = hook.upload_bytes(b"a list of crates", "crates.txt").name
    with (folder / "requests.jsonl").open("w") as file:
        for key, prompt in prompts(rows):
            file.write(json.dumps({"key": key, "prompt": prompt, "files": [name]}) + "\n")
    operator = GeminiBatchGenerateContentOperator(
        task_id="batch",
        source=str(folder / "requests.jsonl"),
        model=MODEL,
        output_path=str(folder / "answers.jsonl"),
        deferrable=False,
        poll_interval=1,
    )
    return lambda: operator.execute(Context())


def in_memory(url: str, folder: Path, rows: int) -> Callable[[], object]:
    """Return a function that does the same through google-genai, with all results in memory."""
    from google import genai

    client: Any = genai.Client(api_key=uploading.KEY, http_options={"base_url": url})
    (folder / "crates.txt").write_text("a list of crates")
    file = client.files.upload(file=folder / "crates.txt")
    part = {"fileData": {"fileUri": file.uri, "mimeType": file.mime_type}}
    path = folder / "requests.jsonl"
    with path.open("w") as lines:
        for key, prompt in prompts(rows):
            request = {"contents": [{"role": "user", "parts": [part, {"text": prompt}]}]}
            lines.write(json.dumps({"key": key, "request": request}) + "\n")
    jobs: list[Any] = []

    def run() -> None:
        if not jobs:
            requests = client.files.upload(file=path, config={"mime_type": "application/jsonl"})
            jobs.append(client.batches.create(model=MODEL, src=requests.name, config={"display_name": "bench"}))
        while (job := client.batches.get(name=jobs[0].name)).state.name != "JOB_STATE_SUCCEEDED":
            time.sleep(1)
        results = client.files.download(file=job.dest.file_name).decode()
        answers = [json.loads(line) for line in results.splitlines()]
        with (folder / "answers.jsonl").open("w") as output:
            for answer in answers:
                text = answer["response"]["candidates"][0]["content"]["parts"][0]["text"]
                output.write(json.dumps({"key": answer["key"], "value": text}) + "\n")

    return run


WAYS = {"ours": ours, "in_memory": in_memory}


def measure(way: str, url: str, folder: str, rows: str) -> None:
    """Print the peak memory over an interpreter that has imported Airflow, and the seconds of the second writing."""
    import airflow.sdk  # noqa: F401 - what every task has imported

    Path("/proc/self/clear_refs").write_text("5")
    idle = uploading.peak()
    run = WAYS[way](url, Path(folder), int(rows))
    run()
    began = time.monotonic()
    run()
    took = time.monotonic() - began
    print(json.dumps({"mib": (uploading.peak() - idle) / 2**20, "seconds": took}))


# --- measurements ----------------------------------------------------------------------------------------------


def result_of(way: str, rows: int, characters: int) -> dict[str, float]:
    """Run one way in a process, against a new emulator; return what it has measured."""
    folder = Path(uploading._HOME.name, f"{way}-{characters}")
    folder.mkdir()
    load = f"import sys; sys.path.insert(0, {_HERE!r}); import batches as b; "
    with uploading.process("-c", f"{load} b.serve({rows}, {characters})") as service:
        url = service.stdout.readline().strip() if service.stdout else ""
        run = subprocess.run(
            [sys.executable, "-c", f"{load} b.measure(*sys.argv[1:])", way, url, str(folder), str(rows)],
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    answers = folder / "answers.jsonl"
    with answers.open("rb") as lines:
        written = sum(1 for line in lines if len(line) > characters)
    if written != rows:
        raise RuntimeError(f"{way} has written {written} answers of {rows}")
    measured: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            path.unlink()
    return measured


def compare(rows: int, characters: int, title: str, ways: tuple[str, ...] = tuple(WAYS)) -> None:
    """Print the memory and the rate of some ways, and their ratios."""
    found = {way: result_of(way, rows, characters) for way in ways}
    mine = found["ours"]
    line = f"  {title}: ours {mine['mib']:.0f} MiB (<= 100), {rows / mine['seconds']:.0f} rows/s"
    if other := found.get("in_memory"):
        line += (
            f"; in memory {other['mib']:.0f} MiB, {rows / other['seconds']:.0f} rows/s; in memory / ours: "
            f"memory {other['mib'] / mine['mib']:.1f}, time {other['seconds'] / mine['seconds']:.2f}"
        )
    print(line, flush=True)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="number of requests (default: %(default)s)")
    parser.add_argument("--mib", type=int, default=LARGE_MIB, help="size of large results (default: %(default)s)")
    parser.add_argument("--huge-mib", type=int, default=HUGE_MIB, help="size for us alone (default: %(default)s)")
    args = parser.parse_args()
    print(f"\n{args.rows} requests about one file; peak memory over Airflow's own, and rows written per second:")
    compare(args.rows, SHORT, "short answers")
    compare(args.rows, args.mib * uploading.MIB // args.rows, f"{args.mib} MiB of answers")
    compare(args.rows, args.huge_mib * uploading.MIB // args.rows, f"{args.huge_mib} MiB of answers", ("ours",))


if __name__ == "__main__":
    main()
