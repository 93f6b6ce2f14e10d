"""Secrets of URLs are masked before Airflow shows rendered fields."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.operators import url_secrets
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.operators.files import GeminiUploadFileOperator

SIGNED = "https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Signature=0123456789abcdef"


@pytest.fixture
def masked(mocker) -> list[str]:
    """Return what Airflow was told to mask."""
    secrets: list[str] = []
    mocker.patch.object(url_secrets, "mask_secret", autospec=True, side_effect=secrets.append)
    return secrets


@pytest.mark.parametrize(
    "files", [SIGNED, {"url": SIGNED}, [{"source": SIGNED, "via": "url"}], [{"source": ["/a", "{{ params.url }}"]}]]
)
def test_query_of_a_url_is_masked_where_it_is_rendered(masked, files):
    operator = GeminiGenerateContentOperator(task_id="ask", prompt="what?", files=files)

    operator.render_template_fields({"params": {"url": SIGNED}})

    assert masked == ["X-Amz-Signature=0123456789abcdef"]


@pytest.mark.parametrize("source", [{SIGNED}, frozenset({SIGNED}), f"\n  {SIGNED}\n"])
def test_query_in_a_set_or_between_white_space_is_masked(masked, source):
    GeminiUploadFileOperator(task_id="up", source=source).render_template_fields({})

    assert masked == ["X-Amz-Signature=0123456789abcdef"]


def test_password_and_query_of_an_upload_are_masked(masked):
    operator = GeminiUploadFileOperator(task_id="up", source="HTTPS://ann:pass%20word@example.com/a?token=secret#top")

    operator.render_template_fields({})

    assert sorted(masked) == ["ann:pass%20word", "token=secret", "top"]


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://TOKEN@example.com/a.pdf", ["TOKEN"]),
        ("https://firebasestorage.googleapis.com/a.pdf?alt=media&token=secret", ["alt=media&token=secret"]),
        ("https://example.com/a.pdf?v=1&sig=secret", ["v=1&sig=secret"]),
        ("https://example.com/a.pdf#sig=secret", ["sig=secret"]),
    ],
)
def test_every_part_that_can_be_secret_is_masked(masked, url, secrets):
    url_secrets.mask_urls([url])

    assert masked == secrets


def test_only_what_airflow_shows_of_a_field_is_masked(masked):
    urls = [f"{SIGNED}{number:0400d}" for number in range(1000)]

    url_secrets.mask_urls([urls])

    # As many as there can be in the 4096 characters that are shown.
    assert len(masked) == 4096 // len(urls[0]) + 1


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a.pdf",
        "https://www.youtube.com/watch?v=9hE5-98ZeCg",
        "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media",
        "see https://example.com/a?b=c for more",
        "s3://bucket/what?.pdf",
    ],
)
def test_what_is_no_secret_is_shown(masked, text):
    url_secrets.mask_urls([text])

    assert masked == []
