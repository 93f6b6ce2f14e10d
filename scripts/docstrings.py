"""Read docstrings in Sphinx's style, and write them as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_FIELD = re.compile(r"^:(param|return|raises)(?: ([\w, ]+))?: ?(.*)$")
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_LITERAL = re.compile(r"``(.+?)``", re.DOTALL)
_CLASS = re.compile(r"[A-Z]\w*[a-z]\w*")
#: A paragraph that consists of ``::`` introduces a block that is shown as it is.
_BLOCK = re.compile(r"^::\n\n((?: {4}.*\n?|\n)+)", re.MULTILINE)


@dataclass
class Docstring:
    """
    A docstring, as Markdown.

    :param body: everything before the fields.
    :param params: the meaning of the documented parameters.
    :param raises: errors, each with its condition.
    """

    body: str = ""
    params: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    raises: list[tuple[str, str]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Return the first paragraph on one line."""
        return " ".join(self.body.partition("\n\n")[0].split())


def parse(docstring: str | None, link: Callable[[str], str]) -> Docstring:
    """
    Read a docstring.

    :param link: returns the Markdown of a name that the docstring refers to.
    """
    parsed = Docstring()
    body, fields = _split(inspect.cleandoc(docstring or ""))
    parsed.body = markdown("\n".join(body), link).strip()
    for kind, name, text in fields:
        meaning = markdown(" ".join(text.split()), link)
        if kind == "param":
            parsed.params[name] = meaning
        elif kind == "return":
            parsed.returns = meaning
        else:
            parsed.raises.append((name, meaning))
    return parsed


def _split(text: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Return the lines before the fields, and kind, name and text of each field."""
    body: list[str] = []
    fields: list[tuple[str, str, str]] = []
    for line in text.splitlines():
        if found := _FIELD.match(line):
            fields.append((found[1], found[2] or "", found[3]))
        elif fields:
            kind, name, before = fields[-1]
            fields[-1] = (kind, name, f"{before} {line}")
        else:
            body.append(line)
    return body, fields


def markdown(text: str, link: Callable[[str], str]) -> str:
    """Return text of a docstring as Markdown: references as links, literals as code."""
    parts = _BLOCK.split(text)
    # Every second part is a block.
    parts[::2] = [_inline(part, link) for part in parts[::2]]
    parts[1::2] = [f"```text\n{inspect.cleandoc(part)}\n```\n\n" for part in parts[1::2]]
    return "".join(parts)


def _inline(text: str, link: Callable[[str], str]) -> str:
    def code(literal: re.Match[str]) -> str:
        words = " ".join(literal[1].split())
        return link(words) if _CLASS.fullmatch(words) else f"`{words}`"

    return _ROLE.sub(lambda role: link(role[1]), _LITERAL.sub(code, text))
