"""What holds for the arguments of every operator and sensor."""

from __future__ import annotations

import inspect

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.operators import batches, caches, content, file_search, files, storage
from airflow_provider_gemini_files.sensors import batches as batch_sensors
from airflow_provider_gemini_files.sensors import file_search as file_search_sensors
from airflow_provider_gemini_files.sensors import files as file_sensors
from airflow_provider_gemini_files.sensors import storage as storage_sensors

OPERATORS = sorted(
    {
        kind
        for module in (
            batches,
            caches,
            content,
            file_search,
            files,
            storage,
            batch_sensors,
            file_search_sensors,
            file_sensors,
            storage_sensors,
        )
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, BaseOperator)
        and kind.__name__.startswith("Gemini")
        and kind.__module__ == module.__name__
    },
    key=lambda kind: kind.__name__,
)


#: Their docstrings name the class that documents the rest.
DOCUMENTED_WITH_OTHERS = (file_search.GeminiAddDocumentsOperator, batches.GeminiBatchGenerateContentOperator)


def arguments_of(kind: type[BaseOperator]) -> set[str]:
    """Return the names of the arguments that the classes of this package take."""
    classes = [one for one in kind.__mro__ if one.__module__.startswith("airflow_provider_gemini_files")]
    return {name for one in classes for name in inspect.signature(one.__init__).parameters} - {"self", "args", "kwargs"}


def test_all_operators_are_walked():
    assert len(OPERATORS) >= 20


@pytest.mark.parametrize("kind", OPERATORS)
def test_template_field_attribute_and_argument_have_one_name(kind):
    # A mapped task finds the tasks it depends on by the arguments that are called like its template fields.
    assert set(kind.template_fields) <= arguments_of(kind)


@pytest.mark.parametrize("kind", OPERATORS)
def test_connection_is_templated(kind):
    assert "gemini_conn_id" in kind.template_fields


@pytest.mark.parametrize("kind", [kind for kind in OPERATORS if kind not in DOCUMENTED_WITH_OTHERS])
def test_arguments_are_documented(kind):
    documented = " ".join(one.__doc__ or "" for one in kind.__mro__[:3])
    inherited = {"poke_interval", "timeout"}

    undocumented = {name for name in arguments_of(kind) - inherited if f":param {name}:" not in documented}
    shared = {"files", "contents", "model", "system_instruction", "reupload_expired"}
    assert (
        not {name for name in undocumented if f"``{name}``" not in documented}
        - shared
        - {"gemini_conn_id", "deferrable"}
    )


def signatures_of(kind: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """Return the arguments that the classes of this package take."""
    # A class comes after those it extends, whose arguments it may require or set.
    classes = [one for one in reversed(kind.__mro__) if one.__module__.startswith("airflow_provider_gemini_files")]
    return {name: found for one in classes for name, found in inspect.signature(one.__init__).parameters.items()}


#: What a task is given besides the arguments that it cannot be without.
GIVEN = {
    batches.GeminiBatchGenerateContentOperator: {"requests": ["a"]},
    caches.GeminiCreateCacheOperator: {"files": "a"},
    content.GeminiCountTokensOperator: {"prompt": "a"},
    content.GeminiGenerateContentOperator: {"prompt": "a", "file_search": {"stores": "a"}},
    file_search.GeminiAddDocumentsOperator: {"source": "a"},
}
SWITCHES = [
    (kind, name)
    for kind in OPERATORS
    for name, found in signatures_of(kind).items()
    if found.annotation == "bool" and name not in kind.template_fields
]


def test_all_switches_are_found():
    assert len(SWITCHES) >= 30


@pytest.mark.parametrize(("kind", "name"), SWITCHES)
def test_switch_is_read_from_a_text_and_nothing_else_passes_for_true(kind, name):
    keywords = inspect.Parameter.KEYWORD_ONLY
    needed = [
        one.name
        for one in signatures_of(kind).values()
        if one.kind is keywords and one.default is inspect.Parameter.empty
    ]
    given = {**dict.fromkeys(needed, "a"), **GIVEN.get(kind, {})}

    def switch(value):
        return getattr(kind(task_id="t", **{**given, name: value}), name)

    assert [switch(value) for value in (True, "True", "false", False)] == [True, True, False, False]
    for value in ("no", 1, None, object()):
        with pytest.raises(GeminiInputError, match=f"{name} must be true or false; got"):
            switch(value)


@pytest.mark.parametrize("kind", [files.GeminiGetFileOperator, file_sensors.GeminiFileStateSensor])
@pytest.mark.parametrize(("template", "conn_id"), [("{{ params.number }}", "2026"), ("of_{{ params.team }}", "of_a")])
def test_connection_id_is_a_text_even_if_a_native_template_makes_it_a_number(kind, template, conn_id):
    assert rendered(kind, template).gemini_conn_id == conn_id


@pytest.mark.parametrize("kind", [files.GeminiGetFileOperator, file_sensors.GeminiFileStateSensor])
@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ params.null }}", "gemini_conn_id is empty after its template was rendered: None"),
        ("{{ params.list }}", r"gemini_conn_id must be a text; got \['a'\] \(list\)"),
    ],
)
def test_connection_id_that_is_none_is_named(kind, template, says):
    with pytest.raises(GeminiInputError, match=says):
        rendered(kind, template)


def rendered(kind, template):
    with DAG("d", render_template_as_native_obj=True):
        task = kind(task_id="t", file_name="a", gemini_conn_id=template)
    task.render_template_fields({"params": {"number": 2026, "team": "a", "null": None, "list": ["a"]}})
    return task


def test_iterator_is_read_once_and_a_set_has_one_order(tmp_path, emulator, context):
    for name in "cab":
        (tmp_path / f"{name}.txt").write_text(name)
    paths = [str(tmp_path / f"{name}.txt") for name in "cab"]

    def uploaded(source):
        upload = files.GeminiUploadFileOperator(task_id="upload", source=source)
        # As a Dag's representation shows it: never by its address in memory.
        assert not str(upload.source).startswith("<")
        return upload.execute(context)

    def active(file_name):
        sensor = file_sensors.GeminiFileStateSensor(task_id="sense", file_name=file_name)
        sensor.execute(context)
        return sensor.execute(context)

    names = uploaded(iter(paths))
    assert uploaded(set(paths)) == sorted(names, key=lambda name: paths[names.index(name)])
    assert active(iter(names)) == names
    assert active(frozenset(names)) == sorted(names)
    deleted = files.GeminiDeleteFileOperator(task_id="delete", file_name=iter(names)).execute(context)
    assert deleted == {"deleted": names, "missing": []}
