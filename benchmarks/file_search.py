"""
Compare a sync of 2,000 documents with deleting and uploading all of them through google-genai.

Run ``python benchmarks/file_search.py [--documents 2000]``. A store is filled by a sync, synced again with nothing to
do, and again after one document has changed. Then the usual way does the last step. Calls and bytes are counted by the
emulator, whose documents are ACTIVE at once; nothing leaves this machine. The exit code is 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# First, because it sets up Airflow's environment.
import upload as uploading

DOCUMENTS = 2_000
#: Documents on a page of a list, the most that the service gives.
PAGE = 20
_PARAGRAPH = "The crates of this order arrive at ten, and the driver counts them before he signs. "


@dataclass(frozen=True)
class Cost:
    """The calls and bytes of one way to sync."""

    calls: Counter[str]
    document_bytes: int
    seconds: float

    @property
    def total(self) -> int:
        """Return the number of calls."""
        return self.calls.total()

    def __str__(self) -> str:
        return f"{self.total:6} calls, {self.document_bytes / uploading.MIB:7.3f} MiB, {self.seconds:5.1f} s"


def control(port: int, method: str, path: str) -> Any:
    """Call one of the emulator's control paths."""
    import httpx

    return httpx.request(method, f"http://127.0.0.1:{port}/__emulator/{path}", timeout=60).json()


def cost_of(port: int, step: Callable[[], object]) -> Cost:
    """Return what a step sends."""
    control(port, "DELETE", "journal")
    began = time.monotonic()
    step()
    took = time.monotonic() - began
    requests = control(port, "GET", "journal")["requests"]
    sent = sum(entry["body"]["bytes"] for entry in requests if "bytes" in (entry.get("body") or {}))
    return Cost(Counter(entry["call"] for entry in requests), sent, took)


def write(folder: Path, number: int, text: str) -> None:
    """Write one document of about 2 KB."""
    (folder / f"order-{number:05}.md").write_text(f"# Order {number}\n\n{text * 24}\n")


def sync(store: str, folder: Path) -> dict[str, int]:
    """Bring the store into step with the folder, as a task does."""
    from airflow_provider_gemini_files.operators.file_search import GeminiSyncFileSearchStoreOperator

    operator = GeminiSyncFileSearchStoreOperator(
        task_id="sync", store=store, source=str(folder), deferrable=False, poll_interval=0.1
    )
    counts: dict[str, int] = operator.execute(uploading.Context())  # type: ignore[arg-type]
    return counts


def replace_all(port: int, store: str, folder: Path) -> None:
    """Delete all documents and upload all files, through google-genai; it does not wait until they are ACTIVE."""
    from google import genai

    client: Any = genai.Client(api_key=uploading.KEY, http_options={"base_url": f"http://127.0.0.1:{port}"})
    for document in list(client.file_search_stores.documents.list(parent=store, config={"page_size": PAGE})):
        client.file_search_stores.documents.delete(name=document.name, config={"force": True})
    for path in sorted(folder.iterdir()):
        client.file_search_stores.upload_to_file_search_store(
            file_search_store_name=store, file=path, config={"display_name": path.name, "mime_type": "text/markdown"}
        )


def compare(port: int, documents: int) -> bool:
    """Print what each step costs and how it compares; return whether the limits are kept."""
    folder = Path(uploading._HOME.name, "orders")
    folder.mkdir()
    for number in range(documents):
        write(folder, number, _PARAGRAPH)
    hook = uploading.hook_for(port)
    store, other = (hook.create_file_search_store(name).name for name in ("Ours", "Theirs"))
    # The usual way begins with a full store as well.
    replace_all(port, other, folder)

    filled = cost_of(port, lambda: sync(store, folder))
    nothing = cost_of(port, lambda: sync(store, folder))
    write(folder, documents // 2, "This order was cancelled, and its crates stay where they are. ")
    changed = cost_of(port, lambda: sync(store, folder))
    usual = cost_of(port, lambda: replace_all(port, other, folder))

    print(f"\n{documents} documents of 2 KB; calls, bytes of documents, and time on this machine:")
    for title, cost in (("first sync", filled), ("nothing to do", nothing), ("one changed", changed)):
        print(f"  {title:14} {cost}")
    print(f"  {'usual way':14} {usual}")
    print(
        f"  usual way / ours, one changed: calls {usual.total / changed.total:.0f}, "
        f"bytes {usual.document_bytes / changed.document_bytes:.0f}, time {usual.seconds / changed.seconds:.0f}; "
        f"nothing to do: calls {usual.total / nothing.total:.0f}",
        flush=True,
    )
    kept = (
        nothing.total <= 1 + documents / PAGE
        and nothing.document_bytes == 0
        and changed.calls["start_document"] == 1
        and filled.calls["start_document"] == documents
    )
    print(
        f"  limits: nothing to do at most {1 + documents // PAGE} calls and no byte, one upload for one changed "
        f"document: {'kept' if kept else 'MISSED'}"
    )
    return kept


def main() -> int:
    """Run the comparison; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="number of documents (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("GEMINI_API_KEY", None)
    os.environ["GEMINI_EMULATOR_JOB_SECONDS"] = "0"
    with uploading.emulator() as port:
        return 0 if compare(port, args.documents) else 1


if __name__ == "__main__":
    sys.exit(main())
