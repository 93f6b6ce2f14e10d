"""Workers, triggerers and the database that end in the middle of something."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from cluster.deployment import TRIGGERERS, WORKERS, Cluster
from scenario import PATIENCE, Services, all_in_one, calls, triggers, videos
from support import until

MIB = 1024**2
LARGE, RECEIVED = 300 * MIB, 200 * MIB
WAITS = 30
RUNS, FILES = 3, 4
AWAY_SECONDS = 10


def test_killed_worker(cluster: Cluster, services: Services, tmp_path: Path, figures: Callable[[str], None]):
    """SIGKILL of the worker in the middle of an upload of 300 MB:"""
    service = services.start("gemini_large", granularity=MIB)
    source = tmp_path / "large.txt"
    source.write_bytes(b"".join(b"%063d\n" % number for number in range(LARGE // 64)))
    service.faults.add("upload", "stall", after_bytes=RECEIVED, seconds=300)
    run_id = cluster.trigger("large_upload", conf={"source": str(source)})
    until(
        lambda: max((upload.received for upload in service.emulator.uploads.values()), default=0) == RECEIVED, PATIENCE
    )
    [worker] = [
        name for name in WORKERS if any(_has_open(process, source) for process in cluster.supervisor.tree(name))
    ]

    cluster.supervisor.kill(worker)

    assert cluster.wait("large_upload", run_id, PATIENCE) == "success"
    sent = [entry for entry in service.journal if entry["call"] == "finalize"]
    figures(
        f"{RECEIVED // MIB} of {LARGE // MIB} MiB had arrived; the other worker sends "
        f"{sent[-1]['body']['bytes'] // MIB} MiB; {calls(service)['start']} upload session"
    )
    assert [entry["call"] for entry in service.journal if entry["method"] == "POST"] == [
        "start",
        "finalize",
        "query",
        "finalize",
    ]
    assert int(sent[-1]["offset"]) == RECEIVED
    assert sent[-1]["body"] == {"bytes": LARGE - RECEIVED}
    file = cluster.xcom("large_upload", run_id, "upload", "file")
    assert file["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert service.usage() == {"files": 1, "bytes": LARGE}


def _has_open(process: psutil.Process, path: Path) -> bool:
    try:
        return any(file.path == str(path) for file in process.open_files())
    except psutil.Error:
        return False


def test_suspended_and_killed_triggerers(
    cluster: Cluster, services: Services, tmp_path: Path, figures: Callable[[str], None]
):
    """SIGSTOP and SIGCONT of one triggerer and SIGKILL of the other, with 30 deferred uploads:"""
    service = services.start("gemini_triggerers", video_seconds=100_000)
    run_id = cluster.trigger("uploads_that_wait", conf={"sources": videos(tmp_path, WAITS)})
    until(lambda: sum(triggers(cluster).values()) == WAITS, PATIENCE)
    before = sorted(triggers(cluster).values())

    cluster.supervisor.signal(TRIGGERERS[0], signal.SIGSTOP)
    second = until(lambda: all_in_one(cluster, WAITS), PATIENCE)
    cluster.restore()
    cluster.supervisor.kill(TRIGGERERS[1])
    until(lambda: all_in_one(cluster, WAITS, but=second), PATIENCE)
    cluster.restore()
    service.clock.advance(100_000)

    state = cluster.wait("uploads_that_wait", run_id, PATIENCE)
    tasks = [task for task in cluster.tasks("uploads_that_wait", run_id) if task["task_id"] == "upload"]
    states = [task["state"] for task in tasks]
    done = calls(service)
    figures(
        f"waits by triggerer {before}, then all in one, then all in the other; {states.count('success')} of {WAITS} "
        f"end right; {done['finalize']} files sent, {done['delete']} deleted"
    )
    assert state == "success"
    assert states == ["success"] * WAITS
    assert [task["try_number"] for task in tasks] == [1] * WAITS
    assert (done["finalize"], done["delete"], service.usage()["files"]) == (WAITS, 0, WAITS)


def test_restarted_database(cluster: Cluster, services: Services, tmp_path: Path, figures: Callable[[str], None]):
    """PostgreSQL away for ten seconds in the middle of runs:"""
    service = services.start("gemini_outage", video_seconds=5)
    sources = videos(tmp_path, FILES)
    runs = [cluster.trigger("whole_life", conf={"sources": sources}) for _ in range(RUNS)]
    until(lambda: calls(service)["finalize"] >= FILES, PATIENCE)
    starts = cluster.supervisor.starts.copy()

    cluster.postgres.stop(crash=True)
    time.sleep(AWAY_SECONDS)
    cluster.postgres.start()

    cluster.restore()
    states = [cluster.wait("whole_life", run_id, PATIENCE) for run_id in runs]
    done = calls(service)
    again = ", ".join(sorted(cluster.supervisor.starts - starts)) or "nothing"
    figures(
        f"{states.count('success')} of {RUNS} runs succeed; {done['finalize']} files sent and {done['generate']} "
        f"questions asked for {RUNS * FILES}; {service.usage()['files']} files left; {again} started again"
    )
    assert states == ["success"] * RUNS
    assert done["finalize"] == RUNS * FILES
    assert service.usage()["files"] == 0
