"""
Run the google-genai SDK's own tests, in their live mode, against the emulator.

The installed package ships its tests (an unpacked sdist or a checkout: ``--package DIR``, the folder that is
``google/genai``). They are copied, so that the installation does not change. The resources that a test module expects
in Google's own project are seeded. The package does not contain the data files of the tests; small placeholders of the
same names replace them, because the emulator does not decode files.

It needs pytest, pytest-asyncio and aiohttp in addition to the SDK:
``python scripts/sdk_conformance.py [pytest arguments]``.
The exit code is that of pytest.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

KEY = "conformance-key"
FOLDERS = ("files", "file_search_stores", "documents", "caches", "batches", "operations")
FOLDERS += ("shared/files", "shared/caches", "shared/batches")
# Tests of Vertex AI, and of its resources: see docs/emulator.md.
DESELECTED = ("bigquery", "with_gcs", "vertex_dataset", "custom_url")
#: Tests that only Google can pass, and the reason.
EXPECTED_FAILURES = {
    "test_register_table": "requires Google credentials of a person",
    "googleai_file_expire_time": "names a date that has passed",
    "test_register.py::test_async": "mocks the SDK itself and awaits nothing; no request is sent",
}
RESOURCE = re.compile(
    r"(?:files|batches|cachedContents)/[a-z0-9]{10,40}|fileSearchStores/[a-z0-9-]+(?:/documents/[a-z0-9-]+)?"
)
NOT_SEEDED = re.compile(r"non-existent|batches/input|/\d+$")


def main() -> int:
    """Copy the tests, start the emulator, run pytest, and return its exit code."""
    from airflow_provider_gemini_files.emulator import GeminiEmulator

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="the SDK's folder google/genai (default: the installed one)")
    args, rest = parser.parse_known_args()
    package = args.package or _installed()
    if not (package / "tests").is_dir():
        parser.error(f"{package} has no tests; pass the folder of an unpacked sdist or a checkout with --package")
    with tempfile.TemporaryDirectory() as folder, GeminiEmulator(video_seconds=0, job_seconds=0) as emulator:
        root = Path(folder)
        copy = root / "google" / "genai"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        _write_placeholders(copy / "tests")
        (root / "tests").symlink_to(copy / "tests")
        folders = [str(copy / "tests" / name) for name in FOLDERS if (copy / "tests" / name).is_dir()]
        command = [sys.executable, "-m", "pytest", "-p", "sdk_conformance", "--mode=api", "-q", "-c", os.devnull]
        command += ["--import-mode=importlib", "-o", "consider_namespace_packages=true", "--rootdir", folder]
        command += ["-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider", *folders, *rest]
        return subprocess.run(command, cwd=root, env=_environment(root, emulator.base_url), check=False).returncode


def _installed() -> Path:
    spec = importlib.util.find_spec("google.genai")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("google-genai is not installed")
    return Path(spec.submodule_search_locations[0])


def _environment(root: Path, base_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GEMINI_"))},
        "PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        "GOOGLE_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": base_url,
        "GOOGLE_GENAI_REPLAYS_DIRECTORY": str(root / "replays"),
        "GOOGLE_GENAI_RUN_GEMINI_ONLY_IN_API_MODE": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _write_placeholders(tests: Path) -> None:
    """Create the data files that the tests name and the package does not contain."""
    text = "".join(path.read_text() for folder in FOLDERS for path in (tests / folder).glob("*.py"))
    (tests / "data").mkdir(exist_ok=True)
    for name in set(re.findall(r"(?:tests|\.\.)/data/([\w.-]+)", text)):
        if not (tests / "data" / name).exists():
            (tests / "data" / name).write_bytes(b"placeholder for " + name.encode() + b"\n")


def _post(path: str, body: dict[str, Any]) -> None:
    url = f"{os.environ['GOOGLE_GEMINI_BASE_URL']}/__emulator/{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST")).close()


def pytest_configure(config: pytest.Config) -> None:
    """Redirect tests that set a host of their own to the emulator."""
    from google.genai import _replay_api_client, types

    client = _replay_api_client.ReplayApiClient
    original = client.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        options = types.HttpOptions.model_validate(kwargs.get("http_options") or {})
        options.base_url = os.environ["GOOGLE_GEMINI_BASE_URL"]
        original(self, *args, **{**kwargs, "http_options": options})

    client.__init__ = init


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of Vertex AI, and mark those that only Google can pass."""
    kept = [item for item in items if not any(word in item.nodeid for word in DESELECTED)]
    kept = [item for item in kept if not getattr(item, "callspec", None) or not item.callspec.params.get("use_vertex")]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    for item in kept:
        for words, reason in EXPECTED_FAILURES.items():
            if words in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    """Reset the emulator, then seed the resources that the test's module and its constants name."""
    path = request.path
    constants = path.with_name("constants.py")
    source = path.read_text() + (constants.read_text() if constants.exists() else "")
    names = {name for name in RESOURCE.findall(source) if not NOT_SEEDED.search(name)}
    seeds = [_seed(name, source) for name in sorted(names)]
    if "download_uri" in source:
        film = base64.b64encode(b"\0\0\0\x18ftypmp42").decode()
        seeds.append({"name": "files/film", "mime_type": "video/mp4", "generated": True, "content": film})
    _post("reset", {})
    _post("seed", {"api_key": KEY, "resources": seeds})


def _seed(name: str, source: str) -> dict[str, Any]:
    """Return the seed of a name; the name of its constant in the source decides the kind of batch."""
    constant = re.search(rf"(\w+) = \(?\s*'{re.escape(name)}'", source)
    words = constant[1] if constant else ""
    seed: dict[str, Any] = {"name": name, "from_file": "BATCH_FILE" in words}
    if "EMBEDDING_BATCH" in words:
        seed["answer"] = {"embedding": {"values": [0.5]}}
    if name.startswith("files/") and "caches.create" in source:
        # A cache needs 1024 tokens.
        seed["size"] = 4096
    return seed


if __name__ == "__main__":
    raise SystemExit(main())
