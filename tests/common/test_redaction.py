from __future__ import annotations

import json
import math
import time

import pytest

from airflow_provider_gemini_files.common.redaction import origin_of, shown_text, shown_url, storable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s3cret@host:8443/a/b.pdf?token=t#part", "https://host:8443/a/b.pdf"),
        ("ftp://user:s3cret@host/x.pdf?token=t", "ftp://host/x.pdf"),
        ("s3://connection@bucket/key", "s3://bucket/key"),
        ("https://a@b@host/x", "https://host/x"),
        ("/data/a?b#c", "/data/a?b#c"),
        ("https://[broken?secret", "https://***"),
        # Passwords whose special characters should have been encoded.
        ("https://user:s3/cret@host/x", "https://host/x"),
        ("https://user:s3#cret@host/x?y", "https://host/x"),
        ("https://user:s3?cr@et@host:81/x", "https://host:81/x"),
        ("https://user:s3 'cret@host/x", "https://host/x"),
        ("https://host:8443/a@b", "https://host:8443/a@b"),
    ],
)
def test_url_is_shown_as_scheme_host_and_path(url, shown):
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "origin"),
    [("https://u:p@host:1/x?y", "https://host:1"), ("/path", ""), ("https://[broken", ""), ("", "")],
)
def test_origin_has_no_user(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://u:s3cret@host/a?key=k, please", "see https://host/a please"),
        ("'https://host/a?key=k'", "'https://host/a'"),
        ("a\r\n\tb\x00c", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("::group::x ::endgroup::", "group x endgroup"),
        ("a\u202eb\u2028c", "ab c"),
        (ValueError("k/1 and k%2F1"), "*** and ***"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_text_from_outside_is_one_clean_line(text, shown):
    assert shown_text(text, ("k/1", "")) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://u:s3 cret@host/a now", "at https://host/a now"),
        ("at 'https://u:s3'cret@host/a' now", "at 'https://host/a' now"),
        ('{"proxy": "http://u:s3"cr<e(t)@host:1"}', '{"proxy": "http://host:1"}'),
        ("redis://:s3 cret@host/0", "redis://host/0"),
        # A port is no password, and an address of a person no host.
        ("https://host:8080 is down, ask bob@example.com", "https://host:8080 is down, ask bob@example.com"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("http://[::1]:8080/x, ask bob@example.com", "http://[::1]:8080/x, ask bob@example.com"),
        ("https://one and https://u:s3cret@two", "https://one and https://two"),
    ],
)
def test_password_with_spaces_quotes_and_brackets_is_removed(text, shown):
    assert shown_text(text) == shown


@pytest.mark.parametrize("form", ["a/b=c", "a%2Fb%3Dc", "a%2fb%3dc", "a%2Fb%3dc", "a/b%3Dc", "%61%2fb%3d%63"])
def test_secret_is_removed_in_every_encoding(form):
    assert shown_text(f"key={form}&x", ("a/b=c",)) == "key=***&x"


def test_long_text_without_a_url_is_shown_at_once():
    # Base64 of an image; searched for the scheme of a URL from each character to the end, it took minutes.
    assert shown_text("A" * 2_000_000).startswith("AAAA")


def test_storable_value_is_json_that_any_database_takes():
    value = {
        "key\0": "a\0b",
        "half": "a\ud800b",
        "list": [math.nan, math.inf, -math.inf, 1.5, 2, True, None, ("\udfff",)],
    }

    stored = storable(value)

    assert stored == {"key\ufffd": "a\ufffdb", "half": "a?b", "list": [None, None, None, 1.5, 2, True, None, ["?"]]}
    json.dumps(stored, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["", "Grüße \U0001f600", "\ufffd", "a\tb\n"])
def test_text_that_can_be_stored_stays_as_it_is(text):
    assert storable(text) == text


@pytest.mark.parametrize("text", ["x" * 200_000, "x." * 100_000, "a://" * 50_000])
def test_long_text_without_spaces_is_shown_at_once(text):
    began = time.process_time()

    shown_text(text)

    assert time.process_time() - began < 2


def test_url_with_a_scheme_of_any_length_is_redacted():
    assert "s3cret" not in shown_text(f"{'x' * 100}https://u:s3cret@host/a?key=s3cret")
