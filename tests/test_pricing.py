"""The prices of the configuration, and what a task tells of cost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_gemini_files import pricing
from airflow_provider_gemini_files.costs.entry import BATCH_KEY, RESPONSE_KEY
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.pricing import Pricing, configured_prices

PRICES = {
    "currency": "EUR",
    "valid_from": "2020-01-01",
    "models": {"flash*": {"input": 0.3, "output": 2.5, "batch_share": 0.5}},
}
ANSWER = {"model": "flash", "model_version": "flash-001", "usage": {"prompt": 10, "answer": 2}}


class Log:
    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, text: str, /, *values: object) -> None:
        self.infos.append(text % values)

    def warning(self, text: str, /, *values: object) -> None:
        self.warnings.append(text % values)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the prices in Airflow's configuration."""
    path = tmp_path / "prices.json"
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__PRICES_FILE", str(path))
    return path


@pytest.fixture
def incr(mocker: Any) -> Any:
    return mocker.patch.object(pricing.Stats, "incr", autospec=True)


def test_prices_are_read_from_the_configured_file(path):
    path.write_text(json.dumps(PRICES))
    prices = configured_prices()

    assert prices
    assert prices.currency == "EUR"


def test_there_are_no_prices_without_a_file():
    assert configured_prices() is None


def test_file_that_cannot_be_read_is_an_error_that_says_why(path, monkeypatch):
    def error() -> str:
        with pytest.raises(GeminiInputError) as caught:
            configured_prices()
        return caught.value.message

    where = f"[gemini_files] prices_file: '{path}' cannot be read"
    assert error() == f"{where} (No such file or directory)."
    path.mkdir()
    assert error() == f"{where} (it is not a file)."
    path.rmdir()
    os.mkfifo(path)
    assert error() == f"{where} (it is not a file)."
    path.unlink()
    path.write_bytes(b" " * (1024**2 + 1))
    assert error() == f"{where} (it is larger than 1,048,576 bytes)."
    path.write_bytes(b"\xff")
    assert "not valid JSON" in error()
    monkeypatch.setattr(pricing.conf, "get", lambda *_, **__: "a\0b")
    assert "cannot be read (" in error()


def test_cost_of_an_answer_is_told_and_counted_in_billionths(path, incr):
    path.write_text(json.dumps(PRICES))
    of_task = Pricing(Log())

    # 10 x 0.3 + 2 x 2.5 for a million tokens.
    assert of_task.told(RESPONSE_KEY, ANSWER) == {"cost": 0.000008, "currency": "EUR"}
    of_task.count(RESPONSE_KEY, ANSWER)
    tags = {"model": "flash-001", "kind": "answer", "currency": "EUR"}
    incr.assert_called_once_with("gemini_files.cost", 8000, tags=tags)


def test_batch_and_cache_have_their_own_prices_and_kinds(path, incr):
    path.write_text(json.dumps(PRICES))
    of_task = Pricing(Log())

    of_task.count(BATCH_KEY, {**ANSWER, "counts": {"success": 2}})
    of_task.count_cache("flash-001", 1000)
    told = [(call.args[1], call.kwargs["tags"]["kind"]) for call in incr.call_args_list]
    assert told == [(4000, "batch"), (300_000, "cache")]


def test_nothing_is_told_without_prices_and_no_cost_without_a_price(path, incr, monkeypatch):
    path.write_text(json.dumps(PRICES))
    of_task = Pricing(Log())
    other = {**ANSWER, "model_version": "pro"}

    assert of_task.told(RESPONSE_KEY, other) == {"cost": None, "currency": "EUR"}
    assert of_task.told(RESPONSE_KEY, {"usage": None}) == {}
    of_task.count(RESPONSE_KEY, other)
    monkeypatch.delenv("AIRFLOW__GEMINI_FILES__PRICES_FILE")
    without = Pricing(Log())
    assert without.told(RESPONSE_KEY, ANSWER) == {}
    without.count(RESPONSE_KEY, ANSWER)
    incr.assert_not_called()


def test_prices_that_cannot_be_used_are_one_warning(path, incr):
    path.write_text("{")
    log = Log()
    of_task = Pricing(log)

    for _ in range(3):
        of_task.count(RESPONSE_KEY, ANSWER)
        assert of_task.told(RESPONSE_KEY, ANSWER) == {}
    [warning] = log.warnings
    assert f"The prices in {path} are not valid JSON" in warning
    incr.assert_not_called()


def test_worker_without_the_file_is_no_warning(path, incr):
    log = Log()
    of_task = Pricing(log)

    assert of_task.told(RESPONSE_KEY, ANSWER) == of_task.told(RESPONSE_KEY, ANSWER) == {}
    assert log.warnings == []
    [info] = log.infos
    assert "No such file or directory" in info


def test_whatever_fails_while_prices_are_read_fails_no_task(mocker):
    mocker.patch.object(pricing, "configured_prices", autospec=True, side_effect=MemoryError("no room"))
    log = Log()

    assert Pricing(log).told(RESPONSE_KEY, ANSWER) == {}
    assert len(log.warnings) == 1
