from __future__ import annotations

import json
import logging

import pytest
from cryptography.fernet import Fernet
from transfer_store import Store

from airflow_provider_gemini_files.transfer import memory
from airflow_provider_gemini_files.transfer.memory import SessionMemory

crypto = pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
URL = "https://host/upload?upload_id=capability"
log = logging.getLogger(__name__)


@pytest.fixture(params=[True, False], ids=["key", "no key"])
def fernet(request, mocker):
    """Airflow with and without a Fernet key."""
    found = crypto._RealFernet(Fernet(Fernet.generate_key())) if request.param else crypto._NullFernet()
    mocker.patch.object(crypto, "get_fernet", autospec=True, return_value=found)
    return found


def remember(store: Store | None, fingerprint: str = "1", source: str = "/a.mp4") -> SessionMemory:
    return SessionMemory(store, source, (fingerprint,), log)


def test_next_attempt_gets_the_session(fernet):
    store = Store()
    remember(store).keep(URL)

    assert remember(store).recall() == URL
    assert remember(store, source="/b.mp4").recall() is None
    assert ("capability" in str(store.kept)) is not fernet.is_encrypted
    assert store.retention.total_seconds() == 48 * 3600
    assert "a.mp4" not in str(store.kept)


def test_changed_source_starts_a_new_session(fernet, caplog):
    store = Store()
    remember(store).keep(URL)

    with caplog.at_level(logging.INFO):
        assert remember(store, fingerprint="2").recall() is None

    assert "have changed since an earlier attempt" in caplog.text


def test_session_that_is_too_old_is_not_used(fernet, caplog, mocker):
    store = Store()
    remember(store).keep(URL)
    later = memory.time.time() + 48 * 3600 + 1
    mocker.patch.object(memory.time, "time", autospec=True, return_value=later)

    with caplog.at_level(logging.INFO):
        assert remember(store).recall() is None

    assert "too old" in caplog.text


def test_first_attempt_logs_nothing(fernet, caplog):
    with caplog.at_level(logging.DEBUG):
        assert remember(Store()).recall() is None

    assert caplog.text == ""


@pytest.mark.parametrize("kept", ["text", {}, {"url": "x", "encrypted": True, "fingerprint": "", "created": 1}])
def test_unreadable_session_is_logged(fernet, caplog, kept):
    store = Store()
    remember(store).keep(URL)
    store.kept = dict.fromkeys(store.kept, json.dumps(kept))

    assert remember(store).recall() is None
    if fernet.is_encrypted or kept in ("text", {}):
        assert "could not be read" in caplog.text


def test_failing_store_does_not_fail_the_upload(fernet, caplog):
    broken = remember(Store(broken=True))

    assert broken.recall() is None
    broken.keep(URL)
    broken.forget()

    assert [record.message for record in caplog.records] == [
        "The upload session of an earlier attempt could not be read (RuntimeError): uploading from the start.",
        "The upload session could not be kept for the next attempt (RuntimeError).",
        "The upload session could not be deleted (RuntimeError).",
    ]
    assert "capability" not in caplog.text


def test_finished_upload_leaves_nothing_in_the_store(fernet):
    store = Store()
    kept = remember(store)
    kept.keep(URL)
    kept.forget()

    assert store.kept == {}


def test_no_store_keeps_nothing(fernet):
    nothing = remember(None)
    nothing.keep(URL)

    assert nothing.recall() is None
    nothing.forget()
