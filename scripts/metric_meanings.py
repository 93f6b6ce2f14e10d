"""What each metric means; names, types and tags are read from the code that sends them."""

from __future__ import annotations

import source_scan

#: Unit and meaning of each metric. ``tests/scripts`` compare the names with those that are sent.
MEANINGS: dict[str, tuple[str, str]] = {
    "gemini_files.batch.jobs": ("jobs", "Submitted batch jobs; a job that a retry finds is not counted again."),
    "gemini_files.batch.requests": ("requests", "Requests in submitted jobs."),
    "gemini_files.batch.rows": (
        "rows",
        "Rows that batches have written, by kind, such as `success` or `blocked`. A cleared task counts them again.",
    ),
    "gemini_files.batch.<kind>_tokens": (
        "tokens",
        "Tokens of the answers of batches, with the kinds of `gemini_files.generate.<kind>_tokens`, counted once for "
        "each job, when its answers have been written. Before Airflow 3.3, they are missing if the job had already "
        "ended when the attempt that writes the answers found it.",
    ),
    "gemini_files.cleanup.deleted_bytes": ("bytes", "Size of the files that cleanups have deleted, without dry runs."),
    "gemini_files.cleanup.deleted_files": ("files", "Files that cleanups have deleted, without dry runs."),
    "gemini_files.cleanup.failed_files": (
        "files",
        "Files that a cleanup could not delete. The next cleanup tries again; investigate if the number persists.",
    ),
    "gemini_files.cost": (
        "billionths of the currency",
        "Cost of answers, batches and new caches, by kind (`answer`, `batch` or `cache`), if the worker has the file "
        "of prices. For example, 0.25 USD is 250,000,000. Calls without a price, the storage of caches, and documents "
        "of file search stores are not included.",
    ),
    "gemini_files.documents.added": ("documents", "Documents that were added to file search stores."),
    "gemini_files.documents.deleted": ("documents", "Documents that syncs have deleted or replaced."),
    "gemini_files.generate.<kind>_tokens": (
        "tokens",
        "Tokens of answers, including unusable ones. The kinds are `prompt` (including those from a cache), "
        "`answer`, `thoughts`, `cached` (those from a cache) and `tools`. Batches have their own metrics.",
    ),
    "gemini_files.storage.files": ("files", "Files in the project's storage after the last cleanup."),
    "gemini_files.storage.used_bytes": (
        "bytes",
        "Used storage of the project after the last cleanup. Compare it with the quota, 20 GiB.",
    ),
    "gemini_files.upload.bytes": (
        "bytes",
        "Bytes that uploads have sent, including bytes that were sent again; reused files send none.",
    ),
    "gemini_files.upload.files": ("files", "Uploaded files; reused files are not counted."),
    "gemini_files.upload.resumes": ("resumes", "How often an upload was resumed after an interruption."),
    "gemini_files.upload.seconds": (
        "milliseconds",
        "Duration of the uploads of a task, if all of them succeed. Timers of StatsD are in milliseconds.",
    ),
}


def rows() -> list[tuple[str, str, str, str, str]]:
    """
    Return name, type, unit, tags and meaning of each metric, as cells of a table.

    :raises ValueError: for a metric without a meaning.
    """
    cells = []
    for metric in source_scan.metrics():
        if metric.name not in MEANINGS:
            raise ValueError(f"{metric.name} is sent and has no meaning: add it to MEANINGS")
        unit, meaning = MEANINGS[metric.name]
        tags = ", ".join(f"`{tag}`" for tag in metric.tags)
        cells.append((f"`{metric.name}`", metric.kind, unit, tags, meaning))
    return cells
