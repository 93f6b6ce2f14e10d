"""The example Dags."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from cluster.deployment import Cluster
from scenario import PATIENCE, Services, calls
from support import EXAMPLE_DAGS

HANDBOOK = EXAMPLE_DAGS / "media" / "handbook"
RUNS = 3
#: Files of the Dags: the batch's three invoices and its requests, the cached video, and three each of the others.
FILES = 4 + 1 + 3 + 3 + 3 + 3
#: Requests to models of cached_video, invoices, mapped, quickstart, handbook and one_task.
QUESTIONS = 10 + 3 + 3 + 1 + 1 + 1


def test_examples(cluster: Cluster, services: Services, figures: Callable[[str], None]):
    """Example Dags, three runs of each at once:"""
    service = services.start("gemini_default", video_seconds=5)
    dags = sorted(path.stem for path in EXAMPLE_DAGS.glob("*.py"))
    began = time.monotonic()

    runs = [(dag, cluster.trigger(dag)) for _ in range(RUNS) for dag in dags]
    cluster.pause("gemini_files_cleanup", paused=False)
    states = [cluster.wait(dag, run_id, PATIENCE) for dag, run_id in runs]

    seconds = time.monotonic() - began
    tasks = [task for dag, run_id in runs for task in cluster.tasks(dag, run_id)]
    again = sum(task["try_number"] > 1 for task in tasks)
    done = calls(service)
    left = Counter(file.source for project in service.emulator.projects.values() for file in project.files())
    figures(
        f"{states.count('success')} of {len(runs)} runs succeed in {seconds:.0f} s, {len(tasks)} tasks, {again} "
        f"of them tried again; {done['start']} files sent, {done['delete']} deleted, {left['UPLOADED']} left"
    )
    assert set(states) == {"success"}
    assert (done["start"], done["delete"], left["UPLOADED"]) == (RUNS * FILES, RUNS * FILES, 0)
    # The results of batch jobs, which the service deletes after 48 hours.
    assert (done["create_batch"], left["GENERATED"]) == (RUNS, RUNS)
    assert (done["create_store"], done["start_document"]) == (1, len([*HANDBOOK.iterdir()]))
    assert done["generate"] == RUNS * QUESTIONS
    assert (done["create_cache"], done["delete_cache"]) == (RUNS, RUNS)
