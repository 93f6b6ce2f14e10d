"""The size of chunks."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.chunking import MAX_TOKENS, Chunking


def test_service_decides_if_nothing_is_given():
    assert Chunking().to_api() == {}


@pytest.mark.parametrize(
    ("size", "overlap", "sent"),
    [
        (200, 20, {"maxTokensPerChunk": 200, "maxOverlapTokens": 20}),
        (MAX_TOKENS, None, {"maxTokensPerChunk": MAX_TOKENS}),
        (None, MAX_TOKENS - 1, {"maxOverlapTokens": MAX_TOKENS - 1}),
        (1, 0, {"maxTokensPerChunk": 1, "maxOverlapTokens": 0}),
    ],
)
def test_given_sizes_are_sent(size, overlap, sent):
    assert Chunking(size, overlap).to_api() == {"chunkingConfig": {"whiteSpaceConfig": sent}}


@pytest.mark.parametrize("size", [0, -1, MAX_TOKENS + 1, 2.0, "200", True])
def test_size_out_of_range_is_refused(size):
    with pytest.raises(GeminiInputError, match="max_tokens_per_chunk must be a whole number from 1 to 512"):
        Chunking(size)


@pytest.mark.parametrize(
    ("size", "overlap"), [(None, -1), (None, MAX_TOKENS), (20, 20), (20, 21), (20, "2"), (20, True)]
)
def test_overlap_that_is_not_smaller_than_the_chunk_is_refused(size, overlap):
    with pytest.raises(GeminiInputError, match="max_overlap_tokens must be a whole number from 0"):
        Chunking(size, overlap)
