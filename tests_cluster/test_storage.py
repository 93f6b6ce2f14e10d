"""A storage that is too small."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from cluster.deployment import Cluster
from scenario import PATIENCE, Services, calls, triggers
from support import until

MIB = 1024**2
QUOTA, SIZE, UPLOADS = 200 * MIB, 10 * MIB, 40


def test_uploads_into_a_full_storage(
    cluster: Cluster, services: Services, tmp_path: Path, figures: Callable[[str], None]
):
    """40 uploads of 10 MiB into a storage of 200 MiB, with a cleanup Dag:"""
    service = services.start("gemini_small", json.dumps({"quota_bytes": QUOTA}), quota_bytes=QUOTA)
    source = tmp_path / "source.txt"
    source.write_bytes(b"0123456789abcde\n" * (SIZE // 16))
    began = time.monotonic()
    runs = [cluster.trigger("small_storage", conf={"source": str(source)}) for _ in range(UPLOADS)]
    # Half of them fit; the others wait until the cleanup Dag begins.
    until(lambda: sum(triggers(cluster).values()) == UPLOADS - QUOTA // SIZE, PATIENCE)
    full = service.usage()["bytes"]
    cluster.pause("cleanup_small", paused=False)

    states = [cluster.wait("small_storage", run_id, PATIENCE) for run_id in runs]

    seconds = time.monotonic() - began
    cluster.pause("cleanup_small", paused=True)
    done = calls(service)
    figures(
        f"{UPLOADS - QUOTA // SIZE} wait while {full // MIB} MiB are used; {states.count('success')} of {UPLOADS} "
        f"runs succeed in {seconds:.0f} s; {done['finalize']} files sent, {done['delete']} deleted by the cleanup"
    )
    assert full == QUOTA
    assert states == ["success"] * UPLOADS
    assert done["finalize"] == UPLOADS
    assert done["delete"] >= UPLOADS - QUOTA // SIZE
