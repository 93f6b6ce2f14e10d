"""Google's own clients: the documented curl commands, and the JavaScript SDK."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from airflow_provider_gemini_files.emulator import GeminiEmulator

SCRIPT = Path(__file__).parents[2] / "scripts" / "js_conformance.mjs"
# The commands of Google's page on files, with only the host changed.
CURL = r"""
MIME_TYPE=$(file -b --mime-type "${AUDIO_PATH}" 2>/dev/null || echo audio/mpeg)
NUM_BYTES=$(wc -c < "${AUDIO_PATH}")
DISPLAY_NAME=AUDIO
tmp_header_file=upload-header.tmp

curl "${BASE_URL}/upload/v1beta/files" \
  -H "x-goog-api-key: $GEMINI_API_KEY" \
  -D "${tmp_header_file}" \
  -H "X-Goog-Upload-Protocol: resumable" \
  -H "X-Goog-Upload-Command: start" \
  -H "X-Goog-Upload-Header-Content-Length: ${NUM_BYTES}" \
  -H "X-Goog-Upload-Header-Content-Type: ${MIME_TYPE}" \
  -H "Content-Type: application/json" \
  -d "{'file': {'display_name': '${DISPLAY_NAME}'}}" 2> /dev/null

upload_url=$(grep -i "x-goog-upload-url: " "${tmp_header_file}" | cut -d" " -f2 | tr -d "\r")
rm "${tmp_header_file}"

curl "${upload_url}" \
  -H "Content-Length: ${NUM_BYTES}" \
  -H "X-Goog-Upload-Offset: 0" \
  -H "X-Goog-Upload-Command: upload, finalize" \
  --data-binary "@${AUDIO_PATH}" 2> /dev/null > file_info.json

file_uri=$(grep -o '"uri": *"[^"]*"' file_info.json | cut -d'"' -f4)

curl "${BASE_URL}/v1beta/models/gemini-3.8-flash:generateContent" \
    -H "x-goog-api-key: $GEMINI_API_KEY" \
    -H 'Content-Type: application/json' \
    -X POST \
    -d '{
      "contents": [{
        "parts":[
          {"text": "Describe this audio clip"},
          {"file_data":{"mime_type": "audio/mpeg", "file_uri": "'$file_uri'"}}]
        }]
      }' 2> /dev/null > response.json

name=$(grep -o '"name": *"[^"]*"' file_info.json | cut -d'"' -f4)
curl "${BASE_URL}/v1beta/$name" -H "x-goog-api-key: $GEMINI_API_KEY" > get.json 2> /dev/null
curl "${BASE_URL}/v1beta/files" -H "x-goog-api-key: $GEMINI_API_KEY" > list.json 2> /dev/null
curl --request "DELETE" "${BASE_URL}/v1beta/$name" -H "x-goog-api-key: $GEMINI_API_KEY" 2> /dev/null > delete.json
"""


# Older pages have the key in the query; the upload URL then has it, too.
WITH_KEY_IN_QUERY = re.sub(
    r' ?(\\\n +)?-H "x-goog-api-key: \$GEMINI_API_KEY"',
    "",
    re.sub(r'("\$\{BASE_URL\}[^"]*)"', r'\1?key=$GEMINI_API_KEY"', CURL),
)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("lines", [CURL, WITH_KEY_IN_QUERY], ids=["header", "query"])
def test_documented_curl_commands(emulator, tmp_path, lines):
    # Over 1 MB, so that curl asks with "Expect: 100-continue" first.
    content = os.urandom(3_000_000)
    (tmp_path / "sample.mp3").write_bytes(content)
    settings = {"AUDIO_PATH": "sample.mp3", "BASE_URL": emulator.base_url, "GEMINI_API_KEY": "k", "no_proxy": "*"}
    subprocess.run(["bash", "-eu", "-c", lines], cwd=tmp_path, env=os.environ | settings, check=True, timeout=30)
    results = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("get", "list", "delete")}
    assert results["get"]["displayName"] == "AUDIO"
    assert results["list"]["files"] == [results["get"]]
    assert results["delete"] == {}
    text = json.loads((tmp_path / "response.json").read_text())["candidates"][0]["content"]["parts"][0]["text"]
    sha256 = hashlib.sha256(content).hexdigest()
    assert re.search(rf"1\. files/\w+ audio/mpeg, 3000000 bytes, sha256 {sha256}", text)
    assert emulator.usage()["files"] == 0
    assert ("?key=" in lines) != ("x-goog-api-key" in lines)


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")
def test_javascript_sdk_works_with_only_the_host_changed(pytestconfig):
    folder = Path(pytestconfig.cache.mkdir("javascript-sdk"))
    if not (folder / "node_modules" / "@google" / "genai").is_dir():
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        done = subprocess.run([*install, "@google/genai"], cwd=folder, capture_output=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip("@google/genai cannot be installed here")
    with GeminiEmulator(video_seconds=0.5, job_seconds=0.2) as emulator:
        command = ["node", str(SCRIPT), emulator.base_url]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
