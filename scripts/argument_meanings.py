"""The meaning of arguments that no docstring explains, because their name does beside the code."""

from __future__ import annotations

#: Whatever takes them; what a docstring says comes first.
MEANINGS = {
    "batch": "a batch job: its name, its id, or a dict with `name`.",
    "cache": "a cache: its name, `cachedContents/...`, or what created it.",
    "conn_id": "the connection through which the file is read.",
    "dag_id": "of the Dag.",
    "data": "what is read.",
    "document": "a document: its name, `fileSearchStores/.../documents/...`, or a dict with `name`.",
    "embedding_model": "model that indexes the documents of a new store; the service's default if None.",
    "expiration_time": "when the file expires, as RFC 3339.",
    "file": "a file in any form: name, id, URI, metadata dict, or `GeminiFile`.",
    "files": "files in any form.",
    "gemini_conn_id": "a connection of type `gemini`.",
    "ignore_missing": "if False, one that does not exist is an error.",
    "include_foreign": "see `RetentionPolicy`.",
    "high_watermark": "see `RetentionPolicy`.",
    "low_watermark": "see `RetentionPolicy`.",
    "message": "what happened, to which file, and what to do.",
    "owners": "the task instances that own files.",
    "policy": "which files are deleted.",
    "resource": "the object of the API.",
    "schedule": "of the Dag; every half hour by default.",
    "size_bytes": "size of the file.",
    "store": "a store: its name, `fileSearchStores/...`, or a dict with `name`.",
    "uri": "address of the file at the service.",
}
