"""The code of an error: stable, one for each class, and the end of its text."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_gemini_files import exceptions as e

ERRORS = [kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.GeminiFilesError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_code_says_whether_airflow_retries(kind):
    half = "1" if issubclass(kind, AirflowFailException) else "2"

    assert kind is e.GeminiFilesError or re.fullmatch(rf"GF{half}\d\d", kind.code)


def test_each_class_has_a_code_of_its_own():
    assert len({kind.code for kind in ERRORS}) == len(ERRORS) > 20


def test_text_ends_with_the_code_and_message_does_not():
    error = e.GeminiStorageFullError("The storage is full.", missing_bytes=7)

    assert str(error) == "The storage is full. [GF201]"
    assert error.message == "The storage is full."
    assert str(e.GeminiServiceError()) == "[GF203]"


def test_error_that_quotes_others_has_one_code():
    first, second = e.GeminiInputError("a is empty."), e.GeminiServiceError("b broke.")

    assert str(e.GeminiInputError(f"2 failed: {first}; {second}")) == "2 failed: a is empty.; b broke. [GF101]"


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
@pytest.mark.parametrize("kind", ERRORS)
def test_copy_has_the_same_text(kind, copied):
    error = kind("What happened.")

    assert (type(copied(error)), str(copied(error))) == (kind, str(error))
