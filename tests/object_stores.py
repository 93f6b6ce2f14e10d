"""Object stores that run in the test process, each behind the file system that Airflow's ObjectStoragePath uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

# gcsfs has another class for buckets of a kind that its emulators do not know; it reads this when it is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"


class GcsBucket:
    """
    A bucket of a local Cloud Storage.

    :param url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.name = f"bucket-{uuid.uuid4().hex}"
        self.fs = _gcs()
        httpx.post(f"{url}/storage/v1/b", json={"name": self.name}).raise_for_status()

    def put(self, **objects: bytes) -> None:
        """Store objects, by their keys."""
        for key, content in objects.items():
            self.fs.pipe_file(f"{self.name}/{key}", content)

    def uri(self, key: str = "") -> str:
        """Return the URI of an object."""
        return f"gs://{self.name}/{key}"


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Start a Cloud Storage for this process, and return its URL; ``gs://`` leads to it."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    url = f"http://127.0.0.1:{server._api._httpd.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        _serve_gs()
        yield url
    server.stop()


@pytest.fixture
def gcs(gcs_server: str) -> GcsBucket:
    """Return an empty bucket."""
    return GcsBucket(gcs_server)


def _serve_gs() -> None:
    """Let ``gs://`` be a scheme without the Google provider, which google-genai 3.x cannot be installed with."""
    from airflow.sdk.io import has_fs
    from airflow.sdk.io.fs import _register_filesystems

    if not has_fs("gs"):
        _register_filesystems()["gs"] = lambda conn_id, _: _gcs()


def _gcs() -> Any:
    from gcsfs import GCSFileSystem

    return GCSFileSystem()
