"""When an alert is given, what it says, and that it never fails a task."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.sdk import BaseNotifier
from support import FakeClock, logged_by, seed

from airflow_provider_gemini_files import usage_history
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.usage_history import Sample
from airflow_provider_gemini_files.notifications.storage import GeminiStorageAlert

QUOTA = 1000
HOUR = 3600
#: What was told, and to whom.
told: list[Any] = []


@pytest.fixture(autouse=True)
def quota(emulator, connect, variables) -> None:
    connect(host=emulator.base_url, extra={"quota_bytes": QUOTA, "max_retries": 0})
    told.clear()


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(GeminiStorageAlert, "clock", clock)
    return clock


@pytest.fixture
def fill(emulator, hook) -> Callable[[int], None]:
    """Return a function that lets the project have one file of some bytes."""

    def fill(size: int) -> None:
        hook.delete_files(hook.list_files())
        seed(emulator.base_url, {"name": "files/a", "size": size})

    return fill


@pytest.fixture
def warnings(mocker) -> Callable[[], list[str]]:
    """Return a function that returns the warnings of alerts."""
    log = mocker.patch.object(GeminiStorageAlert, "log", autospec=True)
    return lambda: logged_by(log.warning)


def tell(context: dict[str, Any]) -> None:
    told.append(context["gemini_storage"])


def tell_team(team: str, context: dict[str, Any]) -> None:
    told.append(team)


class Mail(BaseNotifier):
    """A notifier with a template."""

    template_fields = ("subject",)

    def __init__(self, subject: str) -> None:
        super().__init__()
        self.subject = subject

    def notify(self, context: Any) -> None:
        told.append(self.subject)


def give(context: dict[str, Any], **options: Any) -> None:
    """Give an alert as the callback of a task does; each task has parsed the Dag for itself."""
    GeminiStorageAlert(**{"notifier": tell, **options})(dict(context))


@pytest.mark.parametrize(("used", "count"), [(899, 0), (900, 1), (1000, 1), (1500, 1)])
def test_notifier_is_called_from_the_share_on(context, fill, used, count):
    fill(used)
    give(context)

    assert len(told) == count


def test_context_of_the_notifier_has_the_facts(context, fill, clock):
    for back in (3, 2, 1):
        usage_history.of_task.record("gemini_default", Sample(int(clock.now()) - back * HOUR, 1, 950 - 25 * back))
    fill(950)
    give(context, at=0.5)

    assert told == [
        {
            "conn_id": "gemini_default",
            "percent": 95.0,
            "used": "950 B",
            "quota": "1000 B",
            "used_bytes": 950,
            "quota_bytes": 1000,
            "files": 1,
            "full_in_hours": 2.0,
            "message": "The storage of gemini_default is 95.0 % full: 950 B of 1000 B in 1 files. "
            "It is full in about 2.0 hours at this rate.",
        }
    ]


def test_templates_of_a_notifier_are_rendered_anew_each_time(context, fill):
    alert = GeminiStorageAlert(notifier=Mail("{{ gemini_storage.percent }} %"), repeat_every=timedelta(seconds=1))
    fill(950)
    alert(dict(context))
    fill(980)
    alert.clock.sleep(1)
    alert(dict(context))

    assert told == ["95.0 %", "98.0 %"]


def test_alert_is_given_once_until_the_storage_was_below(context, fill):
    fill(950)
    for _ in range(3):
        give(context)
    assert len(told) == 1
    fill(100)
    give(context)
    fill(950)
    for _ in range(3):
        give(context)

    assert len(told) == 2


@pytest.mark.parametrize("repeat_every", [2, 2.0, timedelta(hours=2)])
def test_alert_is_repeated_after_the_time_given(context, fill, clock, repeat_every):
    fill(950)
    for _ in range(5):
        give(context, repeat_every=repeat_every)
        clock.advance(HOUR)

    assert len(told) == 3


def test_each_notifier_and_each_share_is_told_for_itself(context, fill):
    fill(950)
    for _ in range(2):
        give(context, notifier=[Mail("one"), Mail("two"), partial(tell_team, "three"), partial(tell_team, "four")])
        give(context, notifier=Mail("one"), at=0.8)

    assert told == ["one", "two", "three", "four", "one"]


def test_notifier_that_fails_stops_no_other_and_is_called_again(context, fill, warnings):
    fill(950)
    failing = iter([True, False])

    def sometimes(context: dict[str, Any]) -> None:
        if next(failing):
            raise ConnectionError("no mail today")
        tell(context)

    give(context, notifier=[sometimes, Mail("well")])
    assert told == ["well"]
    [warning] = warnings()
    assert "sometimes failed: The storage of gemini_default is 95.0 % full" in warning
    give(context, notifier=[sometimes, Mail("well")])

    assert len(told) == 2


def test_service_that_fails_is_a_warning(context, emulator, warnings):
    emulator.faults.add("list", "bad_key")
    give(context)

    assert told == []
    [warning] = warnings()
    assert warning.startswith("The storage of 'gemini_default' cannot be checked: Cannot list files: API key not valid")


def test_alert_is_given_although_airflow_cannot_keep_that_it_was(context, fill, variables, warnings):
    fill(950)
    variables.error = ConnectionError("no API server")
    give(context)

    assert len(told) == 1
    assert warnings() == [
        "Cannot read when this alert was last sent (ConnectionError).",
        "Cannot record that this alert was sent (ConnectionError).",
    ]


def test_alert_is_a_sample_of_the_history(context, fill, clock, variables):
    fill(100)
    for _ in range(4):
        give(context)

    assert usage_history.of_task.load("gemini_default").samples == (Sample(int(clock.now()), 1, 100),)
    assert variables.writes == 1


def test_connection_may_be_a_template(context, fill):
    fill(950)
    give(context | {"params": {"to": "gemini_default"}}, gemini_conn_id="{{ params.to }}")

    assert len(told) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": 90}, "at must be a share of the quota, over 0 and at most 1, such as 0.9; got 90"),
        ({"at": 0}, "got 0"),
        ({"at": "0.9"}, "got '0.9'"),
        ({"at": True}, "got True"),
        ({"notifier": "me@example.com"}, "notifier must be a notifier, a function .* got 'me@example.com'"),
        ({"notifier": []}, "notifier must be"),
        ({"repeat_every": 0}, "repeat_every must be a timedelta or hours, over 0, or None; got 0"),
        ({"repeat_every": "2"}, "got '2'"),
        ({"repeat_every": timedelta(-1)}, "repeat_every must be"),
        ({"repeat_every": float("nan")}, "got nan"),
    ],
)
def test_value_that_cannot_be_used_is_refused_when_the_dag_is_parsed(options, message):
    with pytest.raises(GeminiInputError, match=message):
        GeminiStorageAlert(**{"notifier": tell, **options})
