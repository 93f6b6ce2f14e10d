from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_gemini_files.common.settings import read_settings
from airflow_provider_gemini_files.exceptions import GeminiInputError


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    timeout: float = Field(60, gt=0, json_schema_extra={"expected": "a number of seconds, over 0"})
    retries: int = Field(5, ge=0)

    @model_validator(mode="after")
    def _together(self) -> Settings:
        if self.retries > self.timeout:
            raise ValueError("retries must be at most timeout")
        return self


def test_given_values_and_defaults_are_read():
    assert read_settings(Settings, {"timeout": "7"}, "here") == Settings(timeout=7.0, retries=5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": "soon"}, "Extra: timeout must be a number of seconds, over 0; got 'soon'."),
        ({"timeout": [1]}, "Extra: timeout must be a number of seconds, over 0; got [1]."),
        ({"timeout": 0}, "Extra: timeout must be a number of seconds, over 0; got 0."),
        ({"retires": 1}, "Extra: retires is unknown; there are timeout, retries."),
        ({"timeout": 1, "retries": 2}, "Extra: retries must be at most timeout."),
        (
            {"timeout": None, "x": 1},
            "Extra: timeout must be a number of seconds, over 0; got None; x is unknown; there are timeout, retries.",
        ),
    ],
)
def test_error_names_each_wrong_field_what_is_expected_and_what_was_given(given, message):
    with pytest.raises(GeminiInputError) as caught:
        read_settings(Settings, given, "Extra:")
    assert caught.value.message == message


def test_error_without_an_expectation_has_a_reason():
    with pytest.raises(GeminiInputError, match=r"retries .*; got -1\. \[GF101\]$"):
        read_settings(Settings, {"retries": -1}, "Extra:")
