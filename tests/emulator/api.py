"""A plain HTTP client of the emulator; without an SDK, tests show the protocol itself."""

from __future__ import annotations

from typing import Any

import httpx


def http_client(**options: Any) -> httpx.Client:
    # Loading certificates takes longer than most tests here.
    return httpx.Client(**{"timeout": 10, "trust_env": False, "verify": False, **options})


KEYLESS = http_client()


class Api:
    """The requests of a client of the service."""

    def __init__(self, base_url: str, key: str = "k", version: str = "v1beta") -> None:
        self.base_url = base_url
        self.version = version
        self.http = http_client(base_url=base_url, headers={"x-goog-api-key": key})

    def call(self, verb: str, path: str, **options: Any) -> httpx.Response:
        return self.http.request(verb, f"/{self.version}/{path}", **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.call("POST", path, json=body, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.call("DELETE", path, **options)

    def start(self, size: int | None, mime_type: str = "text/plain", *, path: str = "files", **file: Any) -> Any:
        headers = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Type": mime_type,
        }
        if size is not None:
            headers["X-Goog-Upload-Header-Content-Length"] = str(size)
        return self.http.post(f"/upload/{self.version}/{path}", headers=headers, json={"file": file})

    def session(self, size: int | None, mime_type: str = "text/plain", **file: Any) -> str:
        return str(self.start(size, mime_type, **file).headers["x-goog-upload-url"])

    def command(self, url: str, command: str, body: Any = b"", offset: int | None = None, verb: str = "POST") -> Any:
        headers = {"X-Goog-Upload-Command": command}
        if offset is not None:
            headers["X-Goog-Upload-Offset"] = str(offset)
        return KEYLESS.request(verb, url, headers=headers, content=body)

    def upload(self, content: bytes, mime_type: str = "text/plain", **file: Any) -> httpx.Response:
        url = self.session(len(content), mime_type, **file)
        return self.command(url, "upload, finalize", content, 0)

    def file(self, content: bytes = b"hello", mime_type: str = "text/plain", **file: Any) -> dict[str, Any]:
        return dict(self.upload(content, mime_type, **file).json()["file"])

    def generate(self, *parts: Any, model: str = "gemini-3.8-flash", **body: Any) -> httpx.Response:
        return self.post(f"models/{model}:generateContent", {"contents": [{"parts": list(parts)}], **body})
