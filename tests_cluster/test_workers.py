"""Workers that differ."""

from __future__ import annotations

import re
from collections.abc import Callable

from cluster.deployment import Cluster
from scenario import PATIENCE, Services


def test_source_that_one_worker_lacks(cluster: Cluster, services: Services, figures: Callable[[str], None]):
    """A worker without the local directory of a source:"""
    service = services.start("gemini_local")
    data = cluster.directory("worker-1") / "data"
    data.mkdir()
    (data / "report.txt").write_text("only here")

    run_id = cluster.trigger("local_source")

    assert cluster.wait("local_source", run_id, PATIENCE) == "failed"
    assert cluster.states("local_source", run_id, "worker-1") == ["success"]
    assert cluster.states("local_source", run_id, "worker-2") == ["failed"]
    [failed] = [task for task in cluster.tasks("local_source", run_id) if task["task_id"] == "worker-2"]
    [log] = cluster.home.glob(f"logs/dag_id=local_source/run_id={run_id}/task_id=worker-2/*.log")
    [words] = re.findall(r"Source '\S+' does not exist on this worker\.", log.read_text())
    shown = words.replace(str(cluster.directory("worker-2")), "...")
    figures(f'its task fails in attempt {failed["try_number"]} of {failed["max_tries"] + 1}: "{shown}"')
    assert (failed["try_number"], failed["max_tries"]) == (1, 2)
    assert str(cluster.directory("worker-2") / "data" / "report.txt") in words
    assert service.usage()["files"] == 1
