from __future__ import annotations

import pytest

from airflow_provider_gemini_files.common.unset import is_unset


@pytest.mark.parametrize("value", [None, "", "None"])
def test_what_a_template_makes_of_nothing_is_unset(value):
    assert is_unset(value)


@pytest.mark.parametrize("value", [0, False, [], {}, "none", " ", "cachedContents/a", ["None"]])
def test_any_other_value_is_set(value):
    assert not is_unset(value)
