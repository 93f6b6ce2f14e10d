"""How a document is cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.exceptions import GeminiInputError

#: Tokens of a chunk, the most: users have measured it; the documentation does not say it.
MAX_TOKENS = 512


@dataclass(frozen=True)
class Chunking:
    """
    The size of chunks, in tokens, which are words; the service's own default if None.

    :raises GeminiInputError: for a size that the service does not take.
    """

    max_tokens_per_chunk: int | None = None
    max_overlap_tokens: int | None = None

    def __post_init__(self) -> None:
        size, overlap = self.max_tokens_per_chunk, self.max_overlap_tokens
        if size is not None and not (_is_whole(size) and 1 <= size <= MAX_TOKENS):
            raise GeminiInputError(f"max_tokens_per_chunk must be a whole number from 1 to {MAX_TOKENS}; got {size!r}.")
        if overlap is not None and not (_is_whole(overlap) and 0 <= overlap < (size or MAX_TOKENS)):
            raise GeminiInputError(
                "max_overlap_tokens must be a whole number from 0 to one less than max_tokens_per_chunk; got "
                f"{overlap!r}."
            )

    def to_api(self) -> dict[str, Any]:
        """Return the fields of a request; none if nothing is set."""
        white_space = {
            name: value
            for name, value in (
                ("maxTokensPerChunk", self.max_tokens_per_chunk),
                ("maxOverlapTokens", self.max_overlap_tokens),
            )
            if value is not None
        }
        return {"chunkingConfig": {"whiteSpaceConfig": white_space}} if white_space else {}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
