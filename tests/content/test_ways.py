"""The way of a source into a request."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tables import WAYS_EXAMPLES

from airflow_provider_gemini_files.content.ways import Candidate, choose, obstacle_of

MIB = 1024**2
PDF = Candidate("file", 3 * MIB, "application/pdf")
REGISTRABLE = Candidate("gs", 900 * MIB, "video/mp4", can_register=True)
FETCHABLE = Candidate("https", 60 * MIB, "application/pdf")

#: The way of each row of the table in docs/ways_in.md, and what its reason says.
ROWS = {
    "a local PDF of 3 MiB": ("inline", "small and used once"),
    "the same, used in two parts": ("upload", "used 2 times"),
    "a local video of 400 MiB": ("upload", r"400\.0 MiB is more than the 8\.0 MiB"),
    "an `s3://` image of 5 MiB": ("inline", "small"),
    "the same, beside 68 MiB of inline data": ("upload", r"at most 70\.0 MiB.*would have 73\.0 MiB"),
    "a `gs://` PDF of 3 MiB": ("inline", "small"),
    "a `gs://` video of 1 GiB, with Google credentials": ("register", "Cloud Storage directly"),
    "the same without Google credentials": ("upload", r"more than.*; there are no Google credentials"),
    "an `https://` PDF of 2 MiB": ("inline", "small"),
    "an `https://` PDF of 60 MiB": ("url", "public URL"),
    "an `https://` PDF of 200 MiB": ("upload", r"fetches at most 95\.4 MiB from a URL, and this one has 200\.0 MiB"),
    "an `https://` video of 60 MiB": ("upload", "does not fetch video/mp4"),
    "an `http://` PDF of 60 MiB": ("upload", "more than"),
    "a local PDF of 3 MiB in one request of a batch": ("inline", "small"),
    "the same in 100 requests of a batch": ("upload", "used 100 times"),
    "an `https://` PDF of 60 MiB in a batch": ("upload", "a batch cannot ask again"),
}


def test_every_row_of_the_documented_table_is_tested():
    assert [description for description, _ in WAYS_EXAMPLES] == list(ROWS)


@pytest.mark.parametrize(("description", "facts"), WAYS_EXAMPLES)
def test_row_of_the_documented_table(description, facts):
    way, reason = ROWS[description]

    choice = choose(Candidate(**facts))

    assert choice.way == way
    assert re.search(reason, choice.reason)


@pytest.mark.parametrize("size", [8 * MIB, 8 * MIB + 1])
def test_a_small_source_has_at_most_8_mib(size):
    assert choose(replace(PDF, size=size)).way == ("inline" if size == 8 * MIB else "upload")


@pytest.mark.parametrize(
    ("way", "source"),
    [
        ("inline", replace(PDF, size=50 * 10**6)),
        ("inline", replace(PDF, size=70 * MIB, mime_type="video/mp4")),
        ("inline", replace(PDF, size=14 * MIB, in_batch=True)),
        ("inline", replace(PDF, uses=5)),
        ("inline", replace(PDF, uses=4, in_batch=True)),
        ("register", REGISTRABLE),
        ("url", FETCHABLE),
        ("url", replace(FETCHABLE, size=None, mime_type=None)),
        ("url", replace(FETCHABLE, in_batch=True)),
        ("upload", PDF),
    ],
)
def test_way_that_a_source_can_be_told_to_go(way, source):
    assert obstacle_of(way, source) is None


@pytest.mark.parametrize(
    ("way", "source", "told"),
    [
        ("inline", replace(PDF, size=50 * 10**6 + 1), "an inline PDF has at most 47.7 MiB"),
        ("inline", replace(PDF, size=70 * MIB + 1, mime_type="video/mp4"), "a request has at most 70.0 MiB"),
        ("inline", replace(PDF, size=14 * MIB + 1, in_batch=True), "a batch has at most 14.0 MiB"),
        ("inline", replace(PDF, uses=5, in_batch=True), "would have 15.0 MiB"),
        ("register", replace(REGISTRABLE, scheme="s3"), "only gs:// objects"),
        ("register", replace(REGISTRABLE, can_register=False), "no Google credentials"),
        ("url", replace(FETCHABLE, scheme="http"), "only an https:// URL"),
        ("url", replace(FETCHABLE, scheme="s3"), "only an https:// URL"),
        ("url", replace(FETCHABLE, mime_type="audio/mpeg"), "does not fetch audio/mpeg"),
        ("url", replace(FETCHABLE, size=100 * 10**6 + 1), "at most 95.4 MiB"),
    ],
)
def test_way_that_a_source_cannot_go(way, source, told):
    assert told in (obstacle_of(way, source) or "")
