"""Arguments of triggers as Airflow's database holds them, in every version that was ever written."""

from __future__ import annotations

#: What version 1 wrote for a deferred sensor; an upload had True for ``delete_on_kill``.
FILES_V1 = {
    "gemini_conn_id": "gemini_default",
    "file_names": ["files/a", "files/b"],
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "poll_interval": 5,
    "max_poll_interval": 30,
    "not_before": 1_800_000_006.0,
    "delete_on_kill": False,
}
FILES_V1_OF_UPLOAD = {**FILES_V1, "delete_on_kill": True}
FILES_V2 = {
    "version": 2,
    "gemini_conn_id": "gemini_default",
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "not_before": 1_800_000_006.0,
    "poll_interval": 5,
    "max_poll_interval": 30,
    "resume": {"version": 2, "many": True, "origins": [{"uri": "/data/a", "conn_id": None, "complete": True}, None]},
    "file_names": ["files/a", "files/b"],
}

CAPACITY_V1 = {
    "gemini_conn_id": "gemini_default",
    "needed_bytes": 100,
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "not_before": 1_800_000_006.0,
    "poll_interval": 5,
    "max_poll_interval": 30,
}
CAPACITY_V2 = {
    "version": 2,
    "gemini_conn_id": "gemini_default",
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "not_before": 1_800_000_006.0,
    "poll_interval": 5,
    "max_poll_interval": 30,
    "resume": {
        "version": 2,
        "began": 1_800_000_000.0,
        "deadline": 1_800_003_600.0,
        "tries": 2,
        "evicted_bytes": 10,
        "names": {"/data/a": "files/a"},
    },
    "needed_bytes": 100,
}

DOCUMENTS_V2 = {
    "version": 2,
    "gemini_conn_id": "gemini_default",
    "began": 1_800_000_000.0,
    "deadline": 1_800_003_600.0,
    "not_before": 1_800_000_006.0,
    "poll_interval": 5,
    "max_poll_interval": 30,
    "resume": {
        "version": 1,
        "began": 1_800_000_000.0,
        "deadline": 1_800_003_600.0,
        "rounds": 1,
        "unchanged": 10,
        "replaced": 2,
        "deleted": 3,
    },
    "document_names": ["fileSearchStores/a/documents/b", "fileSearchStores/a/documents/c"],
    "failed_grace": 300.0,
}
