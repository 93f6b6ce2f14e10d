"""Docstrings are read in Sphinx's style and written as Markdown."""

from __future__ import annotations

from docstrings import parse

DOCSTRING = """
    Return a :class:`~package.files.Thing`, or ``ERROR``.

    It spans
    two ``Lines``.

    :param name: ``"a"``
        or ``"b"``.
    :param size: in bytes.
    :return: the thing.
    :raises ValueError: for an unknown name.
    """


def shown(name: str) -> str:
    return f"<{name}>"


def test_docstring_is_split_into_body_and_fields():
    parsed = parse(DOCSTRING, shown)

    assert parsed.summary == "Return a <package.files.Thing>, or `ERROR`."
    assert parsed.body == "Return a <package.files.Thing>, or `ERROR`.\n\nIt spans\ntwo <Lines>."
    assert parsed.params == {"name": '`"a"` or `"b"`.', "size": "in bytes."}
    assert parsed.returns == "the thing."
    assert parsed.raises == [("ValueError", "for an unknown name.")]


def test_block_is_shown_as_it_is():
    parsed = parse("Tree.\n\n::\n\n    a ``x``\n    └── b\n\nEnd.", shown)

    assert parsed.body == "Tree.\n\n```text\na ``x``\n└── b\n```\n\nEnd."


def test_nothing_is_an_empty_docstring():
    assert parse(None, shown).summary == ""
