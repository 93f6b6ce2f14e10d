"""Tasks that are deferred while the package is upgraded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cluster.deployment import TRIGGERERS, Cluster
from scenario import PATIENCE, Services, calls, triggers, videos
from support import until


def test_deferred_tasks_of_version_1(
    cluster: Cluster, services: Services, tmp_path: Path, figures: Callable[[str], None]
):
    """Tasks that version 1 has deferred, after all triggerers were replaced:"""
    service = services.start("gemini_upgrade", video_seconds=100_000)
    run_id = cluster.trigger("upgrade", conf={"sources": videos(tmp_path, 2)})
    until(lambda: sum(triggers(cluster).values()) == 2, PATIENCE)
    for name in TRIGGERERS:
        cluster.supervisor.kill(name)
    cluster.run(Path(__file__).with_name("as_version_1.py"))

    cluster.restore()
    service.clock.advance(100_000)

    state = cluster.wait("upgrade", run_id, PATIENCE)
    states = [task["state"] for task in cluster.tasks("upgrade", run_id)]
    done = calls(service)
    figures(f"{states.count('success')} of {len(states)} succeed; {done['start']} files sent, {done['delete']} deleted")
    assert state == "success"
    assert (done["start"], done["delete"], len(states)) == (2, 0, 3)
    for task_id, key in (("wait", "return_value"), ("upload_and_wait", "file")):
        assert cluster.xcom("upgrade", run_id, task_id, key)
