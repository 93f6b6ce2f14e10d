from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiInputError
from airflow_provider_gemini_files.hooks.connection import GeminiConnection


def read(environ: dict[str, str] | None = None, **fields: object) -> GeminiConnection:
    extra = fields.pop("extra", None)
    defaults = {"conn_id": "c", "conn_type": "gemini", "password": "key"}
    conn = Connection(**{**defaults, **fields}, extra=json.dumps(extra) if extra else None)
    return GeminiConnection.from_airflow(conn, environ or {})


def test_the_defaults_are_googles():
    connection = read()

    assert connection.upload_url() == "https://generativelanguage.googleapis.com/upload/v1beta/files"
    assert connection.quota_bytes == 21474836480
    assert connection.model == "gemini-3.8-flash"


def test_every_extra_is_read_also_as_the_text_a_form_leaves():
    connection = read(
        extra={"api_version": "v1", "model": "m", "quota_bytes": "7", "timeout": "12.5", "max_retries": 0}
    )

    assert (connection.api_version, connection.model, connection.quota_bytes) == ("v1", "m", 7)
    assert (connection.timeout, connection.max_retries) == (12.5, 0)


def test_empty_extras_are_as_good_as_none():
    assert read(extra={"model": "", "timeout": None}) == read()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"modell": "x"}, "unknown extra modell; there are api_version, model"),
        ({"timeout": 9}, "extra timeout is seconds, at least 10.*got 9"),
        ({"timeout": "soon"}, "extra timeout .*got 'soon'"),
        ({"quota_bytes": 1.5}, "extra quota_bytes is a whole number, at least 1; got 1.5"),
        ({"max_retries": -1}, "extra max_retries is a whole number, at least 0"),
        ({"api_version": "beta"}, "extra api_version is a version like 'v1beta'"),
    ],
)
def test_an_extra_of_no_use_is_an_error_that_names_it(extra, says):
    with pytest.raises(GeminiInputError, match=says):
        read(extra=extra)


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
def test_a_host_that_is_no_url_is_refused(host):
    with pytest.raises(GeminiInputError, match=r"base URL like .*, got '(http|ftp)"):
        read(host=host)


@pytest.mark.parametrize("port", [99, 99999, -1])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(GeminiInputError, match="base URL like"):
        read(host="http://host:80" if port == 99 else "host", port=port)


@pytest.mark.parametrize("host", ["https://user:open-sesame@gateway.example", "gateway.example?key=open-sesame"])
def test_a_host_with_a_secret_is_refused_without_repeating_it(host):
    with pytest.raises(GeminiInputError, match="got one with a user or a query") as refused:
        read(host=host)

    assert "open-sesame" not in str(refused.value)


def test_the_key_of_the_connection_comes_first():
    assert read({"GEMINI_API_KEY": "other"}).api_key == "key"


def test_without_one_the_environment_is_asked_in_order():
    both = {"GOOGLE_API_KEY": "second", "GEMINI_API_KEY": "first"}

    assert read(both, password=None).api_key == "first"
    assert read({"GOOGLE_API_KEY": "second"}, password="").api_key == "second"


def test_no_key_says_where_to_put_one():
    with pytest.raises(GeminiAuthError, match=r"password \(API key\), or set GEMINI_API_KEY or GOOGLE_API_KEY"):
        read(password=None)


def test_a_key_pasted_with_a_line_end_is_cleaned():
    assert read(password="key\n").api_key == "key"


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\nb"])
def test_a_key_that_cannot_be_is_refused_without_being_shown(key):
    with pytest.raises(GeminiAuthError) as caught:
        read(password=key)
    assert key not in str(caught.value)


def test_another_type_of_connection_is_refused():
    with pytest.raises(GeminiInputError, match="has the type 'http'; choose 'gemini'"):
        read(conn_type="http")


def test_repr_hides_the_key():
    assert "key" not in repr(read(password="sekret")).replace("api_key", "")
    assert "sekret" not in repr(read(password="sekret"))
