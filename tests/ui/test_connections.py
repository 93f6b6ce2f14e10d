from __future__ import annotations

import pytest
from airflow.models import Connection
from airflow.utils.session import create_session

from airflow_provider_gemini_files.ui.connections import connection_ids


@pytest.fixture
def in_database(airflow_db):
    connections = [Connection(conn_id="b_gemini", conn_type="gemini"), Connection(conn_id="a_http", conn_type="http")]
    with create_session() as session:
        session.add_all(connections)
    yield
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id.in_(["b_gemini", "a_http"])).delete()


def test_connections_of_database_and_environment_are_listed_default_first(in_database, connect, monkeypatch):
    connect()
    monkeypatch.setenv("AIRFLOW_CONN_A_GEMINI", "gemini://:key@")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "http://host")
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")

    assert connection_ids() == ["gemini_default", "a_gemini", "b_gemini"]


def test_page_of_a_connection_whose_id_has_slashes_is_found(page_of):
    error = page_of("op").get("/api/connections/team/gemini/files").json()["error"]

    assert error["kind"] == "missing_connection"
    assert "There is no connection 'team/gemini'" in error["message"]


def test_default_is_listed_if_no_connection_is_found(airflow_db, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_GEMINI_DEFAULT", raising=False)

    assert connection_ids() == ["gemini_default"]
