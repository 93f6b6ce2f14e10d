"""
Object stores on this machine: Cloud Storage, S3 and Azure Blob Storage, each behind its Airflow provider.

A store whose packages are not installed is skipped, or fails its tests if REQUIRE_OBJECT_STORES is set. ``make stores``
installs all of them; the development environment has what google-genai 3.x can be installed with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

# gcsfs has another class for buckets of a kind that no emulator knows; it reads this when it is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

#: The account of Azurite, which its documentation names.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#: Each prints its port, and ends with this process, whose pipe is its input.
_GCS = """
import sys; from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True); server.start()
print("listens on", f"http://127.0.0.1:{server._api._httpd.server_port}", flush=True); sys.stdin.read(); server.stop()
"""
_S3 = """
import sys; from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False); server.start()
print("listens on", "http://{}:{}".format(*server.get_host_and_port()), flush=True); sys.stdin.read(); server.stop()
"""
_AZURE = ("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", "0")


class Bucket:
    """
    A bucket, or container, of its own.

    :param scheme: of its URIs.
    :param conn_id: the Airflow connection that leads to it.
    :param fs: another file system than the one that the code under test uses, as of another process.
    """

    def __init__(self, scheme: str, conn_id: str, fs: Any) -> None:
        self.scheme = scheme
        self.conn_id = conn_id
        self.fs = fs
        self.name = f"bucket-{uuid.uuid4().hex}"

    def put(self, **objects: bytes) -> None:
        """Store objects, by their keys."""
        for key, content in objects.items():
            self.fs.pipe_file(f"{self.name}/{key}", content)

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        self.fs.invalidate_cache()
        content: bytes = self.fs.cat_file(f"{self.name}/{key}")
        return content

    def keys(self, folder: str = "") -> list[str]:
        """Return the keys in a folder."""
        self.fs.invalidate_cache()
        return sorted(key.removeprefix(f"{self.name}/") for key in self.fs.find(f"{self.name}/{folder}"))

    def uri(self, key: str = "", *, conn_id: str = "") -> str:
        """Return the URI of an object, with a connection if there is one."""
        return f"{self.scheme}://{conn_id and f'{conn_id}@'}{self.name}/{key}"


def _missing(*modules: str) -> str:
    """Return the modules that are not installed, as a reason; an empty text if there are none."""
    missing = [module for module in modules if not _is_installed(module)]
    return f"{', '.join(missing)} not installed" if missing else ""


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _require(reason: str) -> None:
    if reason:
        (pytest.fail if os.environ.get("REQUIRE_OBJECT_STORES") else pytest.skip)(reason)


def _run(*command: str) -> Iterator[str]:
    """Run a server, and yield its URL, which is the first one that it prints."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield next(found[0] for line in process.stdout if (found := re.search(r"(?<=listens on )http://\S+", line)))
    finally:
        process.terminate()
        process.wait()


def connect_store(patch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    """Add an Airflow connection."""
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Start a Cloud Storage for this process, and return its URL."""
    yield from _run(sys.executable, "-c", _GCS)


@pytest.fixture
def gcs(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Return an empty bucket of Cloud Storage; ``gs://`` leads to it without a connection, too."""
    from airflow.sdk.io import store
    from gcsfs import GCSFileSystem

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    extra = {"is_anonymous": True, "gcs.endpoint": gcs_server}
    connect_store(monkeypatch, "store_gs", conn_type="google_cloud_platform", extra=extra)
    _serve_gs(monkeypatch)
    bucket = Bucket("gs", "store_gs", GCSFileSystem(endpoint_url=gcs_server, token="anon", skip_instance_cache=True))
    httpx.post(f"{gcs_server}/storage/v1/b", json={"name": bucket.name}).raise_for_status()
    yield bucket
    # Airflow keeps file systems, and other tests expect that there is none.
    for alias in [alias for alias in store._STORE_CACHE if alias.partition("-")[0] == "gs"]:
        del store._STORE_CACHE[alias]


def _serve_gs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``gs://`` be a scheme without the Google provider, which google-genai 3.x cannot be installed with."""
    from airflow.sdk import BaseHook
    from airflow.sdk.io import has_fs
    from airflow.sdk.io.fs import _register_filesystems
    from gcsfs import GCSFileSystem

    def connected(conn_id: str | None, _: Any) -> Any:
        extra = BaseHook.get_connection(conn_id).extra_dejson if conn_id else {}
        return GCSFileSystem(endpoint_url=extra.get("gcs.endpoint"), token="anon")

    if not has_fs("gs"):
        monkeypatch.setitem(_register_filesystems(), "gs", connected)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Start an S3 for this process, and return its URL."""
    _require(_missing("airflow.providers.amazon", "s3fs", "moto.server"))
    yield from _run(sys.executable, "-c", _S3)


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return an empty bucket of S3."""
    from s3fs import S3FileSystem

    extra = {"endpoint_url": s3_server, "region_name": "us-east-1"}
    connect_store(monkeypatch, "store_s3", conn_type="aws", login="testing", password="testing", extra=extra)
    fs = S3FileSystem(endpoint_url=s3_server, key="testing", secret="testing", skip_instance_cache=True)
    bucket = Bucket("s3", "store_s3", fs)
    fs.mkdir(bucket.name)
    return bucket


@pytest.fixture(scope="session")
def azure_server() -> Iterator[str]:
    """Start an Azure Blob Storage for this process, and return its URL."""
    executable = Path(__file__).parent.parent / "node_modules" / ".bin" / "azurite-blob"
    found = str(executable) if executable.exists() else shutil.which("azurite-blob")
    _require(_missing("airflow.providers.microsoft.azure", "adlfs"))
    _require("" if found else "azurite not installed: make page installs it")
    yield from _run(str(found), *_AZURE)


@pytest.fixture
def azure(azure_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return an empty container of Azure Blob Storage."""
    from adlfs import AzureBlobFileSystem

    account = azure_account(azure_server)
    connect_store(monkeypatch, "store_abfs", conn_type="adls", extra={"connection_string": account})
    bucket = Bucket("abfs", "store_abfs", AzureBlobFileSystem(connection_string=account, skip_instance_cache=True))
    bucket.fs.mkdir(bucket.name)
    return bucket


def azure_account(url: str, key: str = AZURE_KEY) -> str:
    """Return the connection string of Azurite's account."""
    account = "devstoreaccount1"
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint={url}/{account};"


@pytest.fixture(params=["gcs", "s3", "azure"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """Return an empty bucket of each store."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
