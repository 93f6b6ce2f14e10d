from __future__ import annotations

import time

import pytest

from airflow_provider_gemini_files.common.redaction import origin_of, shown_text, shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s3cret@host:8443/a/b.pdf?token=t#part", "https://host:8443/a/b.pdf"),
        ("ftp://user:s3cret@host/x.pdf?token=t", "ftp://host/x.pdf"),
        ("s3://connection@bucket/key", "s3://bucket/key"),
        ("https://a@b@host/x", "https://host/x"),
        ("/data/a?b#c", "/data/a?b#c"),
        ("https://[broken?secret", "https://***"),
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


@pytest.mark.parametrize("text", ["x" * 200_000, "x." * 100_000, "a://" * 50_000])
def test_long_text_without_spaces_is_shown_at_once(text):
    began = time.process_time()

    shown_text(text)

    assert time.process_time() - began < 2


def test_url_with_a_scheme_of_any_length_is_redacted():
    assert "s3cret" not in shown_text(f"{'x' * 100}https://u:s3cret@host/a?key=s3cret")
