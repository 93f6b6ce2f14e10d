"""
What the package uses of Airflow's internals is there, and is listed in docs/airflow_internals.md with what breaks else.

A test that fails on a new Airflow names what has gone: look it up on that page.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import source_scan
from airflow import __version__ as airflow_version
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
from cryptography.fernet import Fernet
from packaging.version import Version

import airflow_provider_gemini_files
from airflow_provider_gemini_files.operators.content import GeminiGenerateContentOperator
from airflow_provider_gemini_files.transfer.object_storage import connection_of
from airflow_provider_gemini_files.ui.plugin import GeminiFilesPlugin

ROOT = Path(__file__).parent.parent
PAGE = "docs/airflow_internals.md"
PACKAGE = "airflow_provider_gemini_files"
AIRFLOW = Version(airflow_version)
#: Airflow promises to keep these, and providers their own modules; names of `airflow.sdk` itself are public, too.
PUBLIC = ("airflow.providers.", "airflow.sdk.log.mask_secret", "airflow.triggers.base.")

#: A leading underscore; not two, nor what Python itself or a class for itself (`_Class__name`) puts into a class.
IS_PRIVATE = re.compile(r"_(?!_|abc_|[A-Z]\w*__)")


class Entry(NamedTuple):
    """A row of the page."""

    names: list[str]
    paths: list[str]
    since: Version
    tests: list[str]


def entries() -> Iterator[Entry]:
    for line in (ROOT / PAGE).read_text().splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == 6 and "`" in cells[0]:
            what, where, _, _, since, test = cells
            yield Entry(
                quoted(what), quoted(where), Version("3.1" if since == "all" else since.split()[0]), quoted(test)
            )


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


ENTRIES = list(entries())
#: What is imported, with the modules that do and the Airflow version that has it.
LISTED = {name: entry for entry in ENTRIES for name in entry.names if name.startswith("airflow.")}
INSTALLED = [name for name, entry in LISTED.items() if entry.since <= AIRFLOW]


def get(name: str) -> Any:
    """Return a module of Airflow, or what is in it."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None) or importlib.import_module(name)
    except ImportError as error:
        gone(f"{name} cannot be imported ({error})")


def gone(what: str) -> Any:
    pytest.fail(f"Airflow {airflow_version}: {what}. {PAGE} says what breaks without it.", pytrace=False)


def check_call(function: Callable[..., Any], *args: object, **kwargs: object) -> None:
    """Check that a function still takes what the package passes."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        gone(f"{function.__qualname__} is called in another way ({error})")


def check_has(owner: Any, *names: str) -> None:
    for name in names:
        if not hasattr(owner, name):
            gone(f"{getattr(owner, '__name__', type(owner).__name__)} has no {name}")


def since(version: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(Version(version) > AIRFLOW, reason=f"Airflow {version} is the first to have it")


# The page.


def is_public(name: str) -> bool:
    if re.fullmatch(r"airflow\.sdk\.\w+", name):
        # Its modules are not, apart from those above.
        return importlib.util.find_spec(name) is None
    return name.startswith(PUBLIC)


def test_every_import_is_public_or_on_the_page():
    imported = {
        name: {f"{module.replace('.', '/')}.py" for module in modules}
        for name, modules in source_scan.imports().items()
        if name.split(".")[0] == "airflow" and not is_public(name)
    }

    listed = {name: set(entry.paths) for name, entry in LISTED.items()}
    assert imported == listed, f"what is imported is not as in {PAGE}"


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(airflow_provider_gemini_files.__path__, f"{PACKAGE}."):
        if not module.name.startswith((f"{PACKAGE}.emulator", f"{PACKAGE}.dags.bundled")):
            for one in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(one) and one.__module__ == module.name:
                    yield one


def test_every_private_name_of_airflow_that_is_replaced_is_on_the_page():
    replaced = {
        name
        for one in classes()
        for base in one.__mro__
        for name in vars(one)
        if base.__module__.startswith("airflow.") and IS_PRIVATE.match(name) and name in vars(base)
    }

    listed = {name.partition(".")[2] for entry in ENTRIES for name in entry.names if "._" in name}
    # Replaced on purpose, or because Airflow has begun to use a name of ours.
    assert replaced == listed, f"what is replaced is not as in {PAGE}"


def test_no_other_private_attribute_is_read():
    # Of a named tuple, whose public methods begin with an underscore.
    assert source_scan.private_attributes() - {"_make", "_replace"} == set(), f"not in {PAGE}"


def test_every_entry_has_a_test_and_modules_that_exist():
    tests = (ROOT / "tests" / "in_airflow" / "test_page.py").read_text() + Path(__file__).read_text()

    assert len(ENTRIES) > 25
    for entry in ENTRIES:
        assert entry.tests, entry
        assert [test for test in entry.tests if f"\ndef {test}(" not in tests] == []
        assert [path for path in entry.paths if not (ROOT / PACKAGE / path).is_file()] == []


@pytest.mark.parametrize("name", INSTALLED)
def test_name_exists(name):
    get(name)


# Tasks and triggers.

TOLD = """
from airflow.sdk import BaseOperatorLink, dag
from airflow_provider_gemini_files import deployment
from airflow_provider_gemini_files.operators.base import GeminiOperator

told = {}


class Link(BaseOperatorLink):
    name = "Link"

    def get_link(self, operator, *, ti_key):
        told["pulled by a link"] = ti_key.xcom_pull(task_ids=ti_key.task_id, key="key", map_indexes=ti_key.map_index)
        return ""


class Tell(GeminiOperator):
    template_fields = ("file_name",)
    operator_extra_links = (Link(),)

    def __init__(self, *, file_name, **kwargs):
        super().__init__(**kwargs)
        self.file_name = file_name

    def execute(self, context):
        ti = context["ti"]
        ti.xcom_push("key", "value")
        told["supervisor"] = deployment.has_supervisor()
        told["runs"] = ti.get_dr_count(dag_id=ti.dag_id, run_ids=[ti.run_id], states=["running"])
        states = ti.get_task_states(dag_id=ti.dag_id, map_index=0, task_ids=[ti.task_id], run_ids=[ti.run_id])
        told["states"] = [str(state) for state in states[ti.run_id].values()]


@dag
def internals():
    Tell.partial(task_id="tell").expand(file_name=["files/a"])


internals()
"""


def test_running_task_finds_what_the_package_relies_on(run_dag):
    run = run_dag(TOLD, "internals")

    told = sys.modules["internals_of_docs"].told
    assert told["supervisor"], "task_runner.SUPERVISOR_COMMS is not set in a task"
    assert told["runs"] == 1, "get_dr_count does not count the run"
    assert told["states"] == ["running"], "get_task_states does not know the task"
    assert told["pulled by a link"] == "value", "a link is not given the running task instance"
    [ti] = run.get_task_instances()
    assert ti.rendered_map_index == "files/a", "the label of a mapped task instance is not set while it is rendered"


def test_task_instance_knows_when_it_was_first_rescheduled():
    task_instance = get("airflow.sdk.execution_time.task_runner.RuntimeTaskInstance")

    check_has(task_instance, "get_first_reschedule_date")
    check_call(task_instance.get_first_reschedule_date, "ti", {})
    check_has(BaseSensorOperator, "reschedule")


@pytest.fixture
def mapped() -> Any:
    """Return a mapped operator with a task upstream."""
    with DAG("mapped"):
        upstream = BaseOperator(task_id="upstream")
        task = GeminiGenerateContentOperator.partial(task_id="ask", prompt="Why?").expand(files=[["files/a"]])
        upstream >> task
    return task


def test_dag_knows_the_tasks_upstream_and_their_classes(mapped):
    check_has(mapped, "get_flat_relative_ids", "operator_class")
    check_call(mapped.get_flat_relative_ids, upstream=True)
    assert mapped.get_flat_relative_ids(upstream=True) == {"upstream"}
    assert mapped.operator_class is GeminiGenerateContentOperator


def test_mapped_operator_keeps_the_arguments_of_the_dag(mapped):
    check_has(mapped, "is_mapped", "expand_input", "partial_kwargs")
    check_has(mapped.expand_input, "value")
    assert mapped.expand_input.value == {"files": [["files/a"]]}
    assert mapped.partial_kwargs["prompt"] == "Why?"

    with DAG("mapped_result"):
        result = BaseOperator(task_id="upstream").output.map(str)
    assert type(result).__name__ == "MapXComArg", "the result of .map() has another class"


def test_path_of_object_storage_knows_its_file_system_and_connection():
    path = get("airflow.sdk.ObjectStoragePath")("file:///data/a.txt", conn_id="connection")

    check_has(path, "fs", "storage_options")
    assert connection_of(path) == "connection"


@since("3.3")
def test_state_store_takes_what_is_stored_in_it():
    store = get("airflow.sdk.execution_time.context.TaskStateStoreAccessor")

    check_has(store, "get", "set", "delete")
    check_call(store.get, "store", "key")
    check_call(store.set, "store", "key", {"a": 1}, retention=timedelta(hours=1))
    check_call(store.delete, "store", "key")
    assert "task_state_store" in get("airflow.sdk.Context").__annotations__, "no task_state_store in the context"


@since("3.2")
def test_fernet_encrypts_and_says_whether_it_does(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())

    # Without what it has cached.
    fernet = inspect.unwrap(get("airflow.sdk.crypto.get_fernet"))()

    check_has(fernet, "is_encrypted")
    assert fernet.is_encrypted
    assert fernet.decrypt(fernet.encrypt(b"text")) == b"text"


# Command line and Dag bundle.


def test_commands_can_be_described():
    config = get("airflow.cli.cli_config")

    check_call(config.Arg, ("--keep",), type=str, action="append", default=[], help="help")
    check_has(config.Arg, "add_to_parser")
    check_call(config.ActionCommand, name="list", help="help", func=print, args=())
    check_call(config.GroupCommand, name="gemini-files", help="help", subcommands=[])
    check_call(config.lazy_load_command, "module.function")


def test_console_prints_in_each_format():
    console = get("airflow.cli.simple_table.AirflowConsole")()

    check_has(console, "print_as", "print_as_json", "print_as_yaml")
    check_call(console.print_as, data=[], output="table")
    check_call(console.print_as_json, [])
    check_call(console.print_as_yaml, [])


def test_command_is_wrapped():
    wrap = get("airflow.utils.cli.suppress_logs_and_warning")

    check_call(wrap, print)
    arguments, ran = Namespace(verbose=False), []
    wrap(ran.append)(arguments)
    assert ran == [arguments], "suppress_logs_and_warning does not run the command"


def test_marked_process_reads_connections_from_the_database(airflow_db, monkeypatch):
    backends = get("airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded")

    def reads_database() -> bool:
        return "MetastoreBackend" in {type(backend).__name__ for backend in backends()}

    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)
    assert not reads_database(), "no mark is needed any more to read connections from the database"
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    if not reads_database():
        gone("_AIRFLOW_PROCESS_CONTEXT=server does not let a process read connections from the database")


def test_bundle_is_given_its_path(tmp_path):
    bundle = get("airflow.dag_processing.bundles.local.LocalDagBundle")(name="bundle", path=str(tmp_path))

    assert bundle.path == tmp_path


# API server.


def test_database_has_what_the_page_reads():
    check_has(get("airflow.models.dagrun.DagRun"), "dag_id", "run_id", "state")
    check_has(get("airflow.models.Connection"), "conn_id", "conn_type")
    of_task = ("dag_id", "run_id", "task_id", "map_index")
    check_has(get("airflow.models.xcom.XComModel"), *of_task, "dag_run_id", "key", "value", "timestamp")
    check_has(get("airflow.models.taskinstance.TaskInstance"), *of_task, "state")
    variable = get("airflow.models.variable.Variable")
    check_call(variable.get, "key", default_var=None)
    check_has(variable, "key", "get_val")
    check_call(variable.set, "key", "value", "description")
    check_has(get("airflow.utils.session.create_session")(), "__enter__", "__exit__")


@since("3.2")
def test_connection_of_a_team_can_be_read():
    connection = get("airflow.models.Connection")

    check_has(connection, "team_name")
    check_call(connection.get_team_name, "connection")
    check_call(connection.get_connection_from_secrets, "connection", team_name="team")


def test_audit_log_takes_what_the_page_writes():
    fields = {
        "event": "gemini_files_delete_file",
        "owner": "admin",
        "owner_display_name": "Admin",
        "extra": "{}",
        "dag_id": "a_dag",
        "task_id": "a_task",
        "run_id": "a_run",
        "map_index": 3,
    }

    entry = get("airflow.models.log.Log")(**fields)

    assert {name: getattr(entry, name) for name in fields} == fields, "Log does not keep what it is given"


def test_connections_in_the_environment_are_found(monkeypatch):
    prefix = get("airflow.secrets.environment_variables.CONN_ENV_PREFIX")
    monkeypatch.setenv(f"{prefix}OTHER", "http://host")

    connection = get("airflow.secrets.environment_variables.EnvironmentVariablesBackend")().get_connection("other")

    assert connection.conn_type == "http", "the environment has no connection by the prefix"


def test_permissions_can_be_required():
    security = get("airflow.api_fastapi.core_api.security")
    view = get("airflow.api_fastapi.auth.managers.models.resource_details.AccessView")
    log = get("airflow.api_fastapi.logging.decorators.action_logging")

    check_has(view, "PLUGINS")
    check_call(security.requires_access_view(view.PLUGINS), "request", "user")
    details = get("airflow.api_fastapi.auth.managers.models.resource_details.ConnectionDetails")
    check_call(get("airflow.api_fastapi.app.get_auth_manager"))
    manager = get("airflow.api_fastapi.auth.managers.base_auth_manager.BaseAuthManager")
    check_call(
        manager.is_authorized_connection,
        "manager",
        method="PUT",
        details=details(conn_id="id", team_name=None),
        user="user",
    )
    check_call(security.requires_authenticated)
    check_call(log, "event")
    # FastAPI reads both of them.
    assert security.GetUserDep.__metadata__, "GetUserDep is no dependency"


def test_plugin_is_accepted():
    [view], [app] = GeminiFilesPlugin.external_views, GeminiFilesPlugin.fastapi_apps

    for model, given in (("ExternalViewResponse", view), ("FastAPIAppResponse", {**app, "app": "app"})):
        kept = get(f"airflow.api_fastapi.core_api.datamodels.plugins.{model}").model_validate(given).model_dump()
        if lost := {name: value for name, value in given.items() if kept.get(name) != value}:
            gone(f"{model} does not keep {lost}")
