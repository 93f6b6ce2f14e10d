"""
Write the reference of the site from the code.

``docs/api.md`` says what is public. Each public name has an entry; one without a docstring is an error.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import examples
import source_scan
import tables
from argument_meanings import MEANINGS
from docstrings import Docstring, parse
from markdown_text import cell, codes, table
from pydantic import BaseModel
from settings_pages import cli_page, connection_page, faults_section, metrics_page

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "airflow_provider_gemini_files"
#: The pages for the modules that are not about one resource: title and modules.
_PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "decorators": ("Decorators", ("decorators.content",)),
    "hook": ("The hook", ("hooks.gemini_files",)),
    "dags": (
        "Dags, assets, policies and alerts",
        ("dags.cleanup", "dags.bundle", "files.policy", "assets", "retry_policy", "notifications.storage"),
    ),
    "objects": ("Files and runs", ("files.reference", "runs")),
    "exceptions": ("Exceptions", ("exceptions",)),
    "emulator": ("Emulator", ("emulator",)),
}
#: Pages of docs/ that are not guides.
_NO_GUIDES = frozenset({"api", "architecture", "comparison", "cost", "glossary", "troubleshooting", "upgrade"})
_INTRODUCTION = """\
Everything that is public, by its module below `airflow_provider_gemini_files`. These pages are written from the code.
The [connection and settings](connection.md), the [command line](cli.md) and the [metrics](metrics.md) have pages of
their own. [Public API](../api.md) says what public means, and how stable it is."""
#: The part of a guide about the errors of a resource.
_ERRORS = {
    "batches": "batches.md#errors",
    "caches": "caches.md#errors",
    "content": "content.md#errors-and-retries",
    "file_search": "file_search.md#errors",
    "files": "uploads.md#failures-and-resuming",
    "storage": "storage.md#uploading-when-the-storage-is-full",
}
#: Tests replace the clock.
_NOT_SHOWN = frozenset({"self", "cls", "clock"})
_XCOM_SENTENCE = re.compile(r"XCom .*?(?:\.\s|$)", re.DOTALL)
#: A guide that a docstring refers to.
_GUIDE = re.compile(r"`docs/([\w/]+\.md)`")
_CODE = re.compile(r"`(\w+)`")


class UndocumentedError(ValueError):
    """A public name that the reference cannot describe."""


@dataclass(frozen=True)
class Entry:
    """
    A public name.

    :param module: without the package.
    """

    module: str
    name: str

    @cached_property
    def value(self) -> Any:
        """Return what the name stands for."""
        return getattr(importlib.import_module(f"{_PACKAGE}.{self.module}"), self.name)

    @property
    def page(self) -> str:
        """Return the page that has the entry, without its folder."""
        kind, _, resource = self.module.partition(".")
        if kind == "operators":
            return f"operators_{resource}"
        if kind in ("sensors", "triggers"):
            return kind
        for page, (_, modules) in _PAGES.items():
            if self.module in modules:
                return page
        raise UndocumentedError(f"no page of the reference is for the module {self.module}: add it to _PAGES")

    @property
    def address(self) -> str:
        """Return page and anchor of the entry."""
        return f"{self.page}.md#{self.name.lower()}"


class Reference:
    """
    The pages of the reference.

    :param api: the text of ``docs/api.md``.
    """

    def __init__(self, api: str) -> None:
        _, modules, hook, _ = re.split(r"^## .*\n", api, flags=re.MULTILINE)
        self.entries = [
            Entry(module, name)
            for module, cell in re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|$", modules, re.MULTILINE)
            for name in _names_of(module, cell)
        ]
        self.hook_members: list[str] = re.findall(r"^\| `([a-z_]+)(?:\(.*\))?` \|", hook, re.MULTILINE)
        self.addresses = {entry.name: entry.address for entry in self.entries}
        self._xcom_keys = source_scan.xcom_keys()

    def pages(self) -> dict[str, str]:
        """
        Return the pages by their names in the folder of the reference.

        :raises UndocumentedError: for a public name without a docstring or a page.
        """
        pages = {"index.md": self._index()}
        for page in dict.fromkeys(entry.page for entry in self.entries):
            entries = [entry for entry in self.entries if entry.page == page]
            title = _PAGES[page][0] if page in _PAGES else page.replace("_", ": ", 1).replace("_", " ").capitalize()
            pages[f"{page}.md"] = "\n".join([f"# {title}\n", *(self._entry(entry) for entry in entries)])
        tree = parse(importlib.import_module(f"{_PACKAGE}.exceptions").__doc__, self.link).body
        pages["exceptions.md"] = pages["exceptions.md"].replace("\n", f"\n\n{tree}\n", 1)
        assets = parse(importlib.import_module(f"{_PACKAGE}.assets").__doc__, self.link).body
        pages["dags.md"] += f"\n## Assets\n\n{assets}\n"
        pages["hook.md"] += "\n" + "\n".join(self._hook_members())
        pages["emulator.md"] += "\n" + faults_section()
        pages["connection.md"] = connection_page()
        pages["cli.md"] = cli_page()
        pages["metrics.md"] = metrics_page(_guides_of)
        return {
            page: _GUIDE.sub(lambda named: f"[{_title_of(named[1])}](../{named[1]})", text)
            for page, text in pages.items()
        }

    def _index(self) -> str:
        parts = ["# Reference", _INTRODUCTION]
        for module, entries in groupby(self.entries, key=lambda entry: entry.module):
            rows = [(f"[`{entry.name}`]({entry.address})", self.summary(entry)) for entry in entries]
            parts += [f"## {module}", table(("name", "what it is"), rows)]
        return "\n\n".join(parts)

    def summary(self, entry: Entry) -> str:
        """Return the first sentence of a name's docstring."""
        return self._doc(entry).summary

    def _doc(self, entry: Entry) -> Docstring:
        value = entry.value
        text = value.__doc__ if inspect.isclass(value) or inspect.isroutine(value) else _comment(entry)
        # A class that documents nothing would inherit the docstring of its base.
        if inspect.isclass(value) and "__doc__" not in vars(value):
            text = None
        return self._parsed(text, f"{entry.module}.{entry.name}")

    def _parsed(self, text: str | None, name: str) -> Docstring:
        parsed = parse(text, self.link)
        if not parsed.summary:
            raise UndocumentedError(f"{name} is public and has no docstring")
        return parsed

    def link(self, name: str) -> str:
        """Return the Markdown of a name that a docstring refers to: a link if it is public."""
        short = name.rpartition(".")[2]
        address = f"hook.md#{short}" if short in self.hook_members else self.addresses.get(short)
        return f"[`{short}`]({address})" if address else f"`{short}`"

    def _entry(self, entry: Entry) -> str:
        value, doc = entry.value, self._doc(entry)
        parts = [f"## {entry.name}\n", f"```python\nfrom {_PACKAGE}.{entry.module} import {entry.name}\n```\n"]
        if entry.module == "exceptions":
            parts.append(self._exception_facts(value))
        parts.append(doc.body + "\n")
        if inspect.isclass(value) and issubclass(value, BaseModel):
            parts.append(tables.table(value))
        # Most errors have the arguments of the root.
        elif callable(value) and (entry.module != "exceptions" or "__init__" in vars(value)):
            parts += self._callable_parts(value, doc)
        parts += self._task_facts(value, doc.body)
        if entry.module in ("files.reference", "emulator"):
            parts += self._members(value)
        if example := examples.first(entry.name):
            parts.append(f"An example:\n\n```python\n{example}\n```\n")
        if guides := _guides_of(entry.name):
            parts.append(f"Guides and examples: {', '.join(guides)}\n")
        return "\n".join(parts)

    def _callable_parts(self, value: Any, doc: Docstring) -> Iterator[str]:
        meanings = self._explained | self._meanings_in(value.__module__) | self._meanings(value) | doc.params
        rows = [
            (
                f"`{_shown(parameter)}`",
                _type(parameter, value),
                _default(parameter),
                _for_value(meanings.get(name, ""), name, value),
            )
            for name, parameter in sorted(parameters_of(value).items(), key=lambda item: _rank(item[1], doc))
        ]
        if rows:
            yield table(("argument", "type", "default", "meaning"), rows)
        if _is_task(value):
            yield "It also takes the arguments of every Airflow task, such as `task_id` and `retries`.\n"
        if doc.returns:
            yield f"**Returns** {doc.returns}\n"
        if doc.raises:
            yield "\n".join(f"- **Raises** {self.link(name)} {cell(text)}" for name, text in doc.raises) + "\n"

    def _meanings(self, value: Any) -> dict[str, str]:
        """Return the meaning of the arguments that base classes document."""
        meanings: dict[str, str] = {}
        for base in reversed(_own_classes(value)):
            meanings |= parse(vars(base).get("__doc__"), self.link).params
        return meanings

    @cached_property
    def _explained(self) -> dict[str, str]:
        """Return what the argument of a name means, as far as it means the same wherever it is not explained."""
        meanings = dict(MEANINGS)
        for module in ("hooks.gemini_files", "operators.files", "operators.content"):
            meanings |= self._meanings_in(f"{_PACKAGE}.{module}")
        return meanings | MEANINGS

    def _meanings_in(self, module: str) -> dict[str, str]:
        """Return what the docstrings of a module's public names say about arguments; those of earlier names first."""
        meanings: dict[str, str] = {}
        for entry in self.entries:
            if f"{_PACKAGE}.{entry.module}" == module and inspect.isclass(entry.value):
                meanings = self._meanings(entry.value) | meanings
        if module.endswith("hooks.gemini_files"):
            for function in self._hook_functions().values():
                meanings = parse(function.__doc__, self.link).params | meanings
        return {name: meaning for name, meaning in meanings.items() if not meaning.startswith("as for ")}

    def _task_facts(self, value: Any, body: str) -> Iterator[str]:
        """Return what only operators and sensors have."""
        if not _is_task(value):
            return
        lines = [f"- **Templated fields**: {codes(value.template_fields)}"]
        sentences = " ".join(found[0] for found in _XCOM_SENTENCE.finditer(body))
        keys = [key for key in dict.fromkeys(_CODE.findall(sentences)) if key in self._xcom_keys]
        lines.append(f"- **XCom keys**: {codes(['return_value', *keys])}")
        resource = value.__module__.rpartition(".")[2]
        lines.append(
            f"- **Errors**: [{resource.replace('_', ' ')}](../{_ERRORS[resource]}), [all](../troubleshooting.md)"
        )
        if links := [link.name for link in value.operator_extra_links]:
            lines.append(f"- **Extra links**: {', '.join(links)}")
        yield "\n".join(lines) + "\n"

    def _exception_facts(self, value: Any) -> str:
        bases = ", ".join(self.link(base.__name__) for base in value.__bases__)
        retried = "fails at once" if is_permanent(value) else "is retried as it is configured"
        advice = tables.advice_of().get(value.__name__)
        code = f"Its code is [{value.code}](../troubleshooting.md#{value.code.lower()})."
        return (
            f"A subclass of {bases}. {code} The task {retried}."
            + (f" **In short**: {advice}." if advice else "")
            + "\n"
        )

    def _members(self, value: Any) -> Iterator[str]:
        for name, member in vars(value).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
                continue
            yield f"### {value.__name__}.{name}\n"
            yield from self._function(f"{value.__name__}.{name}", function, is_property=isinstance(member, property))

    def _hook_members(self) -> Iterator[str]:
        from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

        for name, function in self._hook_functions().items():
            yield f"## {name}\n"
            is_property = not inspect.isfunction(inspect.getattr_static(GeminiFilesHook, name))
            yield from self._function(name, function, is_property=is_property)
            if example := examples.first_of_hook(name):
                yield f"An example:\n\n```python\n{example}\n```\n"

    def _hook_functions(self) -> dict[str, Callable[..., Any]]:
        from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook

        members = {name: inspect.getattr_static(GeminiFilesHook, name) for name in self.hook_members}
        return {
            name: getattr(member, "fget", None) or getattr(member, "func", member) for name, member in members.items()
        }

    def _function(self, name: str, function: Callable[..., Any], *, is_property: bool) -> Iterator[str]:
        doc = self._parsed(function.__doc__, name)
        arguments = "" if is_property else _call(function)
        returned = inspect.signature(function).return_annotation
        shown = "" if returned is inspect.Signature.empty else f" -> {returned}"
        yield f"```python\n{name.rpartition('.')[2]}{arguments}{shown}\n```\n\n{doc.body}\n"
        if not is_property:
            yield from self._callable_parts(function, doc)


def _names_of(module: str, cell: str) -> list[str]:
    if names := re.findall(r"`(\w+)`", cell):
        # ``@task.gemini`` is not a name to import.
        return list(names)
    found = importlib.import_module(f"{_PACKAGE}.{module}")
    return [name for name, value in vars(found).items() if getattr(value, "__module__", "") == found.__name__]


def parameters_of(value: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, or of a class and its bases in this package."""
    functions = [vars(base)["__init__"] for base in _own_classes(value) if "__init__" in vars(base)]
    found: dict[str, inspect.Parameter] = {}
    for function in functions or [value]:
        for name, parameter in inspect.signature(function).parameters.items():
            # The other arguments of a class are those of its bases.
            if name not in _NOT_SHOWN and not (functions and parameter.kind is inspect.Parameter.VAR_KEYWORD):
                found.setdefault(name, parameter)
    return found


def _rank(parameter: inspect.Parameter, doc: Docstring) -> int:
    """Return the place of a parameter in a table: as the docstring has them, then those that it does not explain."""
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return 2 * len(doc.params) + 2
    documented = list(doc.params)
    if parameter.name in documented:
        return documented.index(parameter.name)
    return len(documented) + (parameter.default is not inspect.Parameter.empty)


def _for_value(meaning: str, name: str, value: Any) -> str:
    """Return a meaning that may come from another class: whether the field is a template is as for this one."""
    return meaning if name in getattr(value, "template_fields", ()) else meaning.replace(" (templated)", "")


def _own_classes(value: Any) -> list[type]:
    """Return a class and its bases in this package; nothing for a function."""
    return [base for base in getattr(value, "__mro__", ()) if base.__module__.startswith(_PACKAGE)]


def _is_task(value: Any) -> bool:
    # Notifiers have template fields, too.
    return inspect.isclass(value) and hasattr(value, "operator_extra_links")


def _call(function: Callable[..., Any]) -> str:
    """Return the parameters of a method as in its definition, without their types."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name not in _NOT_SHOWN
    ]
    return str(inspect.Signature(parameters))


def _shown(parameter: inspect.Parameter) -> str:
    return f"**{parameter.name}" if parameter.kind is inspect.Parameter.VAR_KEYWORD else parameter.name


def _type(parameter: inspect.Parameter, value: Any) -> str:
    """Return the type of a parameter; of a name for some literals, the literals."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return ""
    for owner in _own_classes(value) or [value]:
        named = getattr(sys.modules.get(owner.__module__), str(annotation), None)
        if get_origin(named) is Literal:
            return ", ".join(f"`{option!r}`" for option in get_args(named))
    return f"`{annotation}`"


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return "" if parameter.kind is inspect.Parameter.VAR_KEYWORD else "required"
    if parameter.name == "deferrable":
        return "`[operators] default_deferrable`"
    if isinstance(default, timedelta | float):
        return tables.default_text(default)
    return f"`{default!r}`"


def _comment(entry: Entry) -> str:
    """Return the comment that documents a value."""
    module = importlib.import_module(f"{_PACKAGE}.{entry.module}")
    found = re.search(rf"((?:^#: .*\n)+){entry.name}\b", inspect.getsource(module), re.MULTILINE)
    return found[1].replace("#: ", "") if found else ""


def _title_of(guide: str) -> str:
    return (ROOT / "docs" / guide).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _guides_of(name: str) -> list[str]:
    """Return links to the guides and example Dags that use a name."""
    named = re.compile(rf"\b{re.escape(name)}\b")
    links = []
    for guide in [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]:
        if guide.stem not in _NO_GUIDES and named.search(guide.read_text(encoding="utf-8")):
            path = str(guide.relative_to(ROOT / "docs"))
            links.append(f"[{_title_of(path)}](../{path})")
    for path in sorted((ROOT / "example_dags").glob("*.py")):
        if named.search(path.read_text(encoding="utf-8")):
            links.append(f"[`{path.stem}`](../examples.md#{path.stem})")
    return links


def is_permanent(error: type[Exception]) -> bool:
    """Return whether Airflow fails a task at once for an error."""
    from airflow_provider_gemini_files.exceptions import GeminiPermanentError

    return issubclass(error, GeminiPermanentError)
