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


def test_our_requests_stay_out_of_the_log(hook, text_file, logged):
    file = hook.upload_file(text_file)
    hook.generate_content("what?", [file])

    assert logged == []


def test_the_requests_of_others_stay_in_it(hook, logged, emulator):
    hook.list_files()

    httpx.get(emulator.base_url.replace("127.0.0.1", "localhost") + "/__emulator/health")

    assert len(logged) == 1
