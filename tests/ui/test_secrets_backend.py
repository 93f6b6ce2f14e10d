"""The page of a connection that only a secrets backend knows: it is in no list, and the page is opened with its id."""

from __future__ import annotations

import pytest
from support import seed

from airflow_provider_gemini_files.ui.connections import connection_ids

CONNECTION = "/api/connections/in_a_vault/"
pytestmark = pytest.mark.usefixtures("in_a_vault")


def test_user_who_may_edit_connections_sees_the_files_and_deletes_them(page_of, in_a_vault):
    seed(in_a_vault.base_url, {"name": "files/a"}, {"name": "files/b"})
    assert "in_a_vault" not in connection_ids()

    listed = page_of("op").get(CONNECTION + "files").json()
    assert (listed["usage"]["files"], listed["error"], listed["can_edit"]) == (2, None, True)

    assert page_of("op").post(CONNECTION + "delete", json={"names": ["files/a"]}).status_code == 200
    assert in_a_vault.usage()["files"] == 1


def test_user_who_may_not_read_connections_is_refused(page_of):
    refused = page_of("viewer").get(CONNECTION + "files")

    assert refused.status_code == 403
    assert "permission to read the connection 'in_a_vault'" in refused.json()["detail"]


@pytest.mark.parametrize("resource", ["stores", "batches", "overview"])
def test_other_tabs_work_too(page_of, resource):
    shown = page_of("op").get(CONNECTION + resource).json()

    assert (shown["error"], shown["loading"]) == (None, False)
