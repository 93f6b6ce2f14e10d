from __future__ import annotations

import pytest
from airflow.sdk import Asset
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_gemini_files.assets import create_asset, storage_asset, to_openlineage


def test_storage_asset_equals_the_asset_of_its_uri():
    asset = Asset("gemini-files://gemini_default")

    assert storage_asset("gemini_default") == asset
    assert asset == storage_asset("gemini_default")
    assert storage_asset("gemini_default").uri == Asset("gemini-files://gemini_default/").uri


@pytest.mark.parametrize("conn_id", ["gemini_default", "with space/and@more"])
def test_storage_asset_is_stored_in_a_dag_as_the_asset_of_its_uri(conn_id):
    asset = storage_asset(conn_id)

    assert BaseSerialization.serialize(asset) == BaseSerialization.serialize(Asset(asset.name))


def test_storage_asset_without_a_connection_is_refused():
    with pytest.raises(ValueError, match="gemini-files://<connection>"):
        storage_asset("")


def test_file_asset_can_be_used_in_a_dag():
    asset = create_asset(conn_id="a/b", name="files/abc", extra={"x": 1})

    assert asset.uri == "gemini-files://a%2Fb/files/abc"
    assert Asset(asset.uri).uri == asset.uri


@pytest.mark.parametrize(
    "uri",
    ["gemini-files://", "gemini-files:///files/abc", "gemini-files://c/abc", "gemini-files://c/files/a?key=x"],
)
def test_uri_of_another_form_is_refused(uri):
    with pytest.raises(ValueError, match="gemini-files://<connection>/files/<id>"):
        Asset(uri)


@pytest.mark.parametrize(("uri", "name"), [("gemini-files://c/files/abc", "files/abc"), ("gemini-files://c", "files")])
def test_asset_becomes_an_openlineage_dataset(uri, name):
    dataset = to_openlineage(Asset(uri), None)

    assert (dataset.namespace, dataset.name) == ("gemini-files://c", name)
