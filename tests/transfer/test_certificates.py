"""Certificates are loaded once, and again when what the environment names has changed."""

from __future__ import annotations

import os
from pathlib import Path

import certifi
import pytest

from airflow_provider_gemini_files.transfer.certificates import ssl_context


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_all_clients_share_a_context_with_the_usual_certificates():
    assert ssl_context() is ssl_context()
    assert ssl_context().get_ca_certs()


def test_file_of_the_environment_is_read_again_when_it_is_replaced(monkeypatch, tmp_path):
    end = "-----END CERTIFICATE-----\n"
    certificates = [part + end for part in Path(certifi.where()).read_text().split(end)]
    file = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    trusted = []
    for count in (1, 2):
        file.write_text("".join(certificates[:count]))
        os.utime(file, ns=(count, count))
        assert ssl_context() is ssl_context()
        trusted.append(len(ssl_context().get_ca_certs()))

    assert trusted == [1, 2]


def test_file_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    with pytest.raises(FileNotFoundError):
        ssl_context()
