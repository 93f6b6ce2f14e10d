"""Workers that differ."""

from __future__ import annotations

from collections.abc import Callable

from cluster.deployment import Cluster
from scenario import Services


def test_source_that_one_worker_lacks(cluster: Cluster, services: Services, figures: Callable[[str], None]):
    """A worker without the local directory of a source:"""
    service = services.start("gemini_local")
    data = cluster.directory("worker-1") / "data"
    data.mkdir()
    (data / "report.txt").write_text("only here")

    run_id = cluster.trigger("local_source")

    assert cluster.wait("local_source", run_id) == "failed"
    assert cluster.states("local_source", run_id, "worker-1") == ["success"]
    assert cluster.states("local_source", run_id, "worker-2") == ["failed"]
    [log] = cluster.home.glob(f"logs/dag_id=local_source/run_id={run_id}/task_id=worker-2/*.log")
    words = "Source 'data/report.txt' does not exist on this worker."
    figures(f'its task fails without a retry: "{words}"')
    assert words in log.read_text()
    assert service.usage()["files"] == 1
