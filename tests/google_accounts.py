"""A service account of Google with its token endpoint, in the test process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN = "ya29.token-that-nobody-may-see"


class TokenEndpoint:
    """
    Gives tokens for the keys of service accounts.

    :param url: of the endpoint.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        #: Number of tokens that were asked for.
        self.requests = 0
        self.seconds = 3600
        #: Status and body of the next responses, instead of a token.
        self.failure: tuple[int, dict[str, Any]] | None = None

    def respond(self) -> tuple[int, dict[str, Any]]:
        self.requests += 1
        if self.failure:
            return self.failure
        return 200, {"access_token": TOKEN, "expires_in": self.seconds, "token_type": "Bearer"}


@pytest.fixture
def google_tokens() -> Iterator[TokenEndpoint]:
    """Start a token endpoint."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, body = endpoint.respond()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = TokenEndpoint(f"http://127.0.0.1:{server.server_port}/token")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield endpoint
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all Google credentials from the environment."""
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    # The metadata server of a machine is not asked.
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def google(
    google_tokens: TokenEndpoint, no_google: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> TokenEndpoint:
    """Give this process a service account as its application default credentials; return its token endpoint."""
    path = tmp_path / "service-account.json"
    path.write_text(json.dumps(service_account(google_tokens.url)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return google_tokens


def service_account(token_url: str) -> dict[str, str]:
    """Return the key file of a service account."""
    return {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "1",
        "private_key": _private_key(),
        "client_email": "airflow@test-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_url,
    }


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
