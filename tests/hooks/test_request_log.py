"""The log of the HTTP clients: our own requests stay out of it."""

from __future__ import annotations

import logging

import httpx
import pytest


@pytest.fixture
def logged():
    """Return what reaches the log of the HTTP clients."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("httpx", "httpx2")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield messages
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_own_requests_are_not_logged(hook, text_file, logged):
    file = hook.upload_file(text_file)
    hook.generate_content("what?", [file])

    assert logged == []


def test_requests_of_other_packages_are_logged(hook, logged, emulator):
    hook.list_files()

    httpx.get(emulator.base_url.replace("127.0.0.1", "localhost") + "/__emulator/health")

    assert len(logged) == 1


def test_url_of_an_upload_session_is_not_logged_at_debug(hook, text_file):
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    transport = logging.getLogger("httpcore.http11")
    level = transport.level
    transport.addHandler(handler)
    transport.setLevel(logging.DEBUG)
    try:
        hook.upload_file(text_file)
    finally:
        transport.removeHandler(handler)
        transport.setLevel(level)

    assert messages
    assert not [message for message in messages if "upload_id=" in message or "x-goog-upload-url" in message.lower()]
