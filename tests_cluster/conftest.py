"""A distributed Airflow for all scenarios, one line of result for each, and an end after fifteen minutes."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import installation, stores
from cluster.deployment import Cluster
from scenario import Services
from support import EXAMPLE_DAGS

HERE = Path(__file__).parent
SECONDS = 15 * 60
LOGS = pytest.StashKey[Path]()
#: What matters most comes first, in case the time runs out. What searches all that was left behind comes last.
ORDER = ("examples", "crashes", "workers", "storage", "waits", "page", "upgrade", "traces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))


def pytest_sessionstart() -> None:
    def out_of_time(*_: object) -> None:
        pytest.exit(f"The scenarios have not ended within {SECONDS // 60} minutes.", returncode=1)

    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(SECONDS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call" or report.failed:
        figures = dict(report.user_properties).get("figures", "")
        line = f"{report.outcome} in {report.duration:.0f} s: {item.function.__doc__} {figures}"
        item.config.get_terminal_writer().line(f"\n{line}")
    return report


def pytest_terminal_summary(config: pytest.Config) -> None:
    home = config.stash.get(LOGS, None)
    if home and home.exists():
        config.get_terminal_writer().line(f"Logs of all components: {home}")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return the deployment, with the example Dags and those of this folder; its logs are kept if a scenario fails."""
    if packages := stores.missing():
        pytest.exit(f"Debian packages are missing: apt-get install {' '.join(packages)}", returncode=1)
    home = request.config.stash[LOGS] = Path(tempfile.mkdtemp(prefix="gemini-files-cluster-test-"))
    with Cluster(installation.install(), home, [EXAMPLE_DAGS, HERE / "dags"]) as running:
        yield running
    if not request.session.testsfailed:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def services(cluster: Cluster) -> Iterator[Services]:
    """Return the emulators of all scenarios, which end with the session."""
    with Services(cluster) as running:
        yield running


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that adds figures to the result of the scenario."""
    return lambda text: request.node.user_properties.append(("figures", text))


@pytest.fixture(autouse=True)
def _restored(cluster: Cluster) -> Any:
    """Begin each scenario with all components at work, whatever the last one has left."""
    cluster.restore()
