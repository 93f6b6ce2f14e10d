"""
Run the google-genai SDK's own tests, in their live mode, against the emulator.

The installed package ships its tests (an unpacked sdist or a checkout: ``--package DIR``, the folder that is
``google/genai``). They are copied aside, so that the installation stays as it is. What they need of the recording
project is seeded: every resource a test module names. Their data files are not in the package; small stand-ins of the
same names take their place, as the emulator does not look into them.

It needs pytest, pytest-asyncio and aiohttp beside the SDK: ``python scripts/sdk_conformance.py [pytest arguments]``.
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
# What only the other product can do, or what no local service can answer for: see docs/emulator.md.
ELSEWHERE = ("bigquery", "with_gcs", "vertex_dataset", "custom_url")
#: What cannot pass anywhere but at Google's desks, and why.
CANNOT = {
    "test_register_table": "wants a person's own Google credentials",
    "googleai_file_expire_time": "names a date that has passed",
    "test_register.py::test_async": "a mock of the SDK's own that is never awaited; no request is made",
}
RESOURCE = re.compile(
    r"(?:files|batches|cachedContents)/[a-z0-9]{10,40}|fileSearchStores/[a-z0-9-]+(?:/documents/[a-z0-9-]+)?"
)
MADE_UP = re.compile(r"non-existent|batches/input|/\d+$")


def main() -> int:
    """Copy the tests aside, serve the emulator, run pytest."""
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
        _stand_ins(copy / "tests")
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


def _stand_ins(tests: Path) -> None:
    """Make the data files that the tests name and the package does not ship."""
    text = "".join(path.read_text() for folder in FOLDERS for path in (tests / folder).glob("*.py"))
    (tests / "data").mkdir(exist_ok=True)
    for name in set(re.findall(r"(?:tests|\.\.)/data/([\w.-]+)", text)):
        if not (tests / "data" / name).exists():
            (tests / "data" / name).write_bytes(b"stand-in for " + name.encode() + b"\n")


def _post(path: str, body: dict[str, Any]) -> None:
    url = f"{os.environ['GOOGLE_GEMINI_BASE_URL']}/__emulator/{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST")).close()


def pytest_configure(config: pytest.Config) -> None:
    """Point even those tests at the emulator that name a host of their own."""
    from google.genai import _replay_api_client, types

    client = _replay_api_client.ReplayApiClient
    original = client.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        options = types.HttpOptions.model_validate(kwargs.get("http_options") or {})
        options.base_url = os.environ["GOOGLE_GEMINI_BASE_URL"]
        original(self, *args, **{**kwargs, "http_options": options})

    client.__init__ = init


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of this API, and what the SDK's authors say cannot run live."""
    kept = [item for item in items if not any(word in item.nodeid for word in ELSEWHERE)]
    kept = [item for item in kept if not getattr(item, "callspec", None) or not item.callspec.params.get("use_vertex")]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    for item in kept:
        for words, reason in CANNOT.items():
            if words in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    """Empty the emulator, then make what the test's module and its constants name."""
    path = request.path
    constants = path.with_name("constants.py")
    source = path.read_text() + (constants.read_text() if constants.exists() else "")
    names = {name for name in RESOURCE.findall(source) if not MADE_UP.search(name)}
    seeds = [_seed(name, source) for name in sorted(names)]
    if "download_uri" in source:
        film = base64.b64encode(b"\0\0\0\x18ftypmp42").decode()
        seeds.append({"name": "files/film", "mime_type": "video/mp4", "generated": True, "content": film})
    _post("reset", {})
    _post("seed", {"api_key": KEY, "resources": seeds})


def _seed(name: str, source: str) -> dict[str, Any]:
    """Tell the emulator what a name stands for, as far as the source's own constant tells."""
    constant = re.search(rf"(\w+) = \(?\s*'{re.escape(name)}'", source)
    words = constant[1] if constant else ""
    seed: dict[str, Any] = {"name": name, "from_file": "BATCH_FILE" in words}
    if "EMBEDDING_BATCH" in words:
        seed["answer"] = {"embedding": {"values": [0.5]}}
    return seed


if __name__ == "__main__":
    raise SystemExit(main())
