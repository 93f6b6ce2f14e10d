from __future__ import annotations

import json
import re

import pytest
from airflow.sdk import Connection

from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiInputError
from airflow_provider_gemini_files.hooks.connection import ConnectionExtras, GeminiConnection


def read(environ: dict[str, str] | None = None, **fields: object) -> GeminiConnection:
    extra = fields.pop("extra", None)
    defaults = {"conn_id": "c", "conn_type": "gemini", "password": "key"}
    conn = Connection(**{**defaults, **fields}, extra=json.dumps(extra) if extra else None)
    return GeminiConnection.from_airflow(conn, environ or {})


def test_defaults_are_googles():
    connection = read()

    assert connection.upload_url == "https://generativelanguage.googleapis.com/upload/v1beta/files"
    assert connection.quota_bytes == 21474836480
    assert connection.model == "gemini-3.8-flash"


@pytest.mark.parametrize("as_given", [lambda value: value, str])
def test_every_extra_is_read_also_from_the_text_of_a_form(as_given):
    extra = {
        "api_version": "v1",
        "model": "m",
        "quota_bytes": 7,
        "timeout": 12.5,
        "max_retries": 0,
        "upload_via_host": True,
    }

    connection = read(extra={name: as_given(value) for name, value in extra.items()})

    assert {name: getattr(connection, name) for name in extra} == extra
    assert set(extra) == set(ConnectionExtras.model_fields)


def test_empty_extras_count_as_not_set():
    assert read(extra={"model": "", "timeout": None}) == read()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"modell": "x"}, "extra modell is unknown; there are api_version, model, quota_bytes, timeout"),
        ({"timeout": 9}, "extra timeout must be a number of seconds, at least 10; got 9."),
        ({"timeout": "soon"}, "extra timeout must be a number of seconds, at least 10; got 'soon'."),
        ({"timeout": float("nan")}, "extra timeout must be a number of seconds, at least 10; got nan."),
        ({"timeout": "inf"}, "extra timeout must be a number of seconds, at least 10; got 'inf'."),
        ({"timeout": 1e300}, "extra timeout must be a number of seconds, at least 10; got 1e+300."),
        ({"timeout": True}, "extra timeout must be a number of seconds, at least 10; got True."),
        ({"quota_bytes": 1.5}, "extra quota_bytes must be a whole number of bytes, at least 1; got 1.5."),
        ({"quota_bytes": "many"}, "extra quota_bytes must be a whole number of bytes, at least 1; got 'many'."),
        ({"quota_bytes": ["a list"]}, "extra quota_bytes must be a whole number of bytes, at least 1; got ['a list']."),
        ({"quota_bytes": True}, "extra quota_bytes must be a whole number of bytes, at least 1; got True."),
        ({"max_retries": -1}, "extra max_retries must be a whole number from 0 to 100; got -1."),
        ({"max_retries": False}, "extra max_retries must be a whole number from 0 to 100; got False."),
        ({"max_retries": 10**9}, "extra max_retries must be a whole number from 0 to 100; got 1000000000."),
        ({"api_version": "beta"}, "extra api_version must be a version like 'v1beta'; got 'beta'."),
        ({"api_version": "v1/../v2"}, "extra api_version must be a version like 'v1beta'; got 'v1/../v2'."),
        ({"model": 3}, "extra model must be the name of a model; got 3."),
        ({"upload_via_host": "perhaps"}, "extra upload_via_host must be true or false; got 'perhaps'."),
    ],
)
def test_unusable_extra_is_named_with_what_is_expected_and_what_was_given(extra, says):
    with pytest.raises(GeminiInputError, match=re.escape(says)):
        read(extra=extra)


@pytest.mark.parametrize("extra", ['{"quota_bytes": 5', "timeout=600", "[1]", "5", '"secret"'])
def test_extra_that_is_no_json_object_is_refused_without_being_shown(extra):
    conn = Connection(conn_id="c", conn_type="gemini", password="key", extra=extra)

    with pytest.raises(GeminiInputError, match="Connection 'c': the extra must be a JSON object") as refused:
        GeminiConnection.from_airflow(conn, {})

    assert extra not in str(refused.value)


@pytest.mark.parametrize("extra", [None, "", "{}", "null"])
def test_empty_extra_sets_nothing(extra):
    conn = Connection(conn_id="c", conn_type="gemini", password="key", extra=extra)

    assert GeminiConnection.from_airflow(conn, {}) == read()


def test_every_unusable_extra_is_named_at_once():
    with pytest.raises(GeminiInputError, match=r"timeout must be .*; max_retries must be .*; modell is unknown"):
        read(extra={"timeout": "soon", "max_retries": -1, "modell": "x"})


@pytest.mark.parametrize(("value", "read_as"), [(True, True), ("true", True), ("False", False), (0, False)])
def test_upload_via_host_is_read_as_true_or_false(value, read_as):
    assert read(extra={"upload_via_host": value}).upload_via_host is read_as


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "http://127.0.0.1:8085/"}, "http://127.0.0.1:8085"),
        ({"host": "gateway.example/gemini"}, "https://gateway.example/gemini"),
        ({"host": "127.0.0.1", "port": 8085, "schema": "http"}, "http://127.0.0.1:8085"),
        ({"host": "http://my_gateway:80"}, "http://my_gateway:80"),
        ({"host": "http://[::1]:8085"}, "http://[::1]:8085"),
        ({"host": "gateway.example/gemini", "port": 8085}, "https://gateway.example:8085/gemini"),
        ({"host": "http://gateway/a@b"}, "http://gateway/a@b"),
    ],
)
def test_the_host_is_a_base_url(fields, url):
    assert read(**fields).base_url == url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://somewhere", "http://host:port", "http://host:99999", "http://host:0", "http://[::1", "http://a..b",
        "http:///v1", "http://999.1.1.1", "http://host\x7f", "http://a b", f"http://{'a' * 64}",
    ],
)  # fmt: skip
def test_host_that_is_not_a_url_is_refused(host):
    with pytest.raises(GeminiInputError, match=r"base URL like .*; got '(http|ftp)"):
        read(host=host)


@pytest.mark.parametrize("port", [99, 99999, -1])
def test_port_out_of_range_is_refused(port):
    with pytest.raises(GeminiInputError, match="base URL like"):
        read(host="http://host:80" if port == 99 else "host", port=port)


@pytest.mark.parametrize("host", ["https://user:open-sesame@gateway.example", "gateway.example?key=open-sesame"])
def test_host_with_a_secret_is_refused_without_repeating_it(host):
    with pytest.raises(GeminiInputError, match="got one with a user or a query") as refused:
        read(host=host)

    assert "open-sesame" not in str(refused.value)


def test_key_of_the_connection_comes_first():
    assert read({"GEMINI_API_KEY": "other"}).api_key == "key"


def test_key_of_the_environment_is_used_in_order_if_the_connection_has_none():
    both = {"GOOGLE_API_KEY": "second", "GEMINI_API_KEY": "first"}

    assert read(both, password=None).api_key == "first"
    assert read({"GOOGLE_API_KEY": "second"}, password="").api_key == "second"


def test_error_for_a_missing_key_says_where_to_put_one():
    with pytest.raises(GeminiAuthError, match=r"password \(API key\), or set GEMINI_API_KEY or GOOGLE_API_KEY"):
        read(password=None)


def test_line_end_after_a_pasted_key_is_removed():
    assert read(password="key\n").api_key == "key"


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\nb"])
def test_key_with_impossible_characters_is_refused_without_being_shown(key):
    with pytest.raises(GeminiAuthError) as caught:
        read(password=key)
    assert key not in str(caught.value)


def test_other_type_of_connection_is_refused():
    with pytest.raises(GeminiInputError, match="has the type 'http'; choose 'gemini'"):
        read(conn_type="http")


def test_repr_hides_the_key():
    assert "sekret" not in repr(read(password="sekret"))
