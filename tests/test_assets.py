from __future__ import annotations

import pytest
from airflow.sdk import Asset

from airflow_provider_gemini_files.assets import storage_asset


def test_the_asset_is_the_one_that_an_author_writes():
    assert storage_asset("gemini_default") == Asset("gemini-files://gemini_default")
    assert storage_asset("gemini_default").uri == Asset("gemini-files://gemini_default/").uri


@pytest.mark.parametrize("uri", ["gemini-files://", "gemini-files://a/b", "gemini-files://a?b=c"])
def test_what_names_no_connection_is_refused(uri):
    with pytest.raises(ValueError, match="gemini-files://<connection id>"):
        Asset(uri)
