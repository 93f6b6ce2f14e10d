"""Prompts: the texts and files that a model is shown, and their tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_gemini_files.emulator.chunks import Chunk

_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class ShownFile:
    """
    A file in a prompt.

    :param name: resource name, URL, or ``inline``.
    :param size: in bytes.
    """

    name: str
    mime_type: str
    size: int
    sha256: str
    tokens: int


@dataclass
class Prompt:
    """
    Everything a model is shown.

    :param system: the system instruction.
    :param cached: number of the tokens that come from a cache, by modality.
    :param found: what a search in file search stores found, the best first.
    """

    texts: list[str] = field(default_factory=list)
    files: list[ShownFile] = field(default_factory=list)
    system: str = ""
    cached: dict[str, int] = field(default_factory=dict)
    found: list[Chunk] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return all texts, one a line."""
        return "\n".join(self.texts)

    def tokens(self) -> int:
        """Return the number of all tokens."""
        return sum(self.tokens_by_modality().values())

    def tokens_by_modality(self) -> dict[str, int]:
        """Return the number of tokens by modality; zero counts are omitted."""
        counts = {"TEXT": text_tokens(self.text) + text_tokens(self.system)}
        for file in self.files:
            kind = file.mime_type.partition("/")[0].upper()
            modality = kind if kind in {"TEXT", "IMAGE", "VIDEO", "AUDIO"} else "DOCUMENT"
            counts[modality] = counts.get(modality, 0) + file.tokens
        return {modality: count for modality, count in counts.items() if count}


def text_tokens(text: str) -> int:
    """Return the number of tokens of a text: one for four characters."""
    return len(text) // _CHARACTERS_A_TOKEN
