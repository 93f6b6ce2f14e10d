from __future__ import annotations

import pytest
from support import FakeClock, Variables

from airflow_provider_gemini_files import deployment
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError


@pytest.fixture
def unconfigured(monkeypatch) -> None:
    """Leave the identity to Airflow's Variables."""
    monkeypatch.delenv("AIRFLOW__GEMINI_FILES__DEPLOYMENT")


@pytest.fixture
def variables(unconfigured, variables: Variables) -> Variables:
    """Return the Variables of a process that keeps its identity in one."""
    return variables


def test_configured_identity_counts_everywhere(monkeypatch):
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__DEPLOYMENT", "production")

    assert deployment.of_task() == deployment.of_database() == "production"


@pytest.mark.parametrize("wrong", ["a b", "x" * 33, "-x", "ü"])
def test_identity_that_cannot_stand_in_a_mark_is_refused(wrong, monkeypatch):
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__DEPLOYMENT", wrong)

    with pytest.raises(GeminiInputError, match="deployment must be up to 32 letters"):
        deployment.of_task()


def test_identity_is_created_once_and_kept(variables):
    first = deployment.of_task(FakeClock())

    assert first
    assert deployment.of_task() == first
    assert variables.kept == {deployment.VARIABLE: first}


def test_identity_that_another_process_creates_at_the_same_time_counts_for_both(variables):
    clock = FakeClock()
    clock.after(1, lambda: variables.set(deployment.VARIABLE, "theirs"))

    assert deployment.of_task(clock) == "theirs"


@pytest.mark.parametrize("wrong", ["a b", "x" * 33, "-x", "ü", "prod]"])
def test_variable_that_a_person_has_set_to_something_else_is_refused(variables, wrong):
    variables.kept[deployment.VARIABLE] = wrong

    with pytest.raises(
        GeminiInputError, match=r"The Airflow Variable 'gemini_files_deployment' must be up to 32 letters.*got "
    ):
        deployment.of_task()
    assert variables.kept[deployment.VARIABLE] == wrong


def test_variable_may_have_a_line_break_around_it(variables):
    variables.kept[deployment.VARIABLE] = " production\n"

    assert deployment.of_task() == "production"


def test_blank_variable_counts_as_not_set(variables):
    variables.kept[deployment.VARIABLE] = " "

    assert deployment.of_task(FakeClock()) == variables.kept[deployment.VARIABLE] != " "


def test_identity_that_cannot_be_read_is_never_guessed(variables):
    variables.error = ConnectionError("no API server")

    with pytest.raises(GeminiServiceError, match=r"cannot be read or created .ConnectionError"):
        deployment.of_task()
    assert variables.kept == {}


def test_database_keeps_the_identity_for_all_processes(unconfigured, airflow_db):
    from airflow.models.variable import Variable

    first = deployment.of_database(FakeClock())
    try:
        assert deployment.of_database() == first == Variable.get(deployment.VARIABLE)
    finally:
        Variable.delete(deployment.VARIABLE)
