"""The parts that all sensors of this provider share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK
from airflow_provider_gemini_files.common.durations import LEAST_POLL_INTERVAL, Duration, seconds_of
from airflow_provider_gemini_files.common.waiting import Schedule, Wait
from airflow_provider_gemini_files.exceptions import (
    GeminiFilesError,
    GeminiPermanentError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.events import Event, resume_of
from airflow_provider_gemini_files.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.operators.base import check_rendered_connection, deadline_of, switch_of
from airflow_provider_gemini_files.operators.labels import MapIndexLabel
from airflow_provider_gemini_files.operators.mapped_values import read_at_once
from airflow_provider_gemini_files.operators.resume import VERSION
from airflow_provider_gemini_files.triggers.base import GeminiTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class GeminiSensor(MapIndexLabel, BaseSensorOperator):
    """
    A sensor that polls in its worker or in the triggerer, with the same result.

    A permanent error fails the task at once; a rate limit never does. Five transient failures in a row fail the
    attempt; with ``silent_fail``, they are logged, and the wait continues. In ``mode="reschedule"``, each poke is a
    separate process that cannot count them, so transient failures are tolerated until the sensor's timeout.

    :param gemini_conn_id: a connection of type ``gemini`` (templated).
    :param deferrable: wait in the triggerer, without a worker. The first poll is always in the worker.
    """

    ui_color = "#d7e3fc"
    #: Seconds between two polls in the triggerer, the most, if ``max_wait`` is not set.
    longest_pause = 30.0
    #: The wait that the pokes of one process share, so that failures in a row are counted.
    _wait: Wait[Any] | None = None

    def __init__(
        self,
        *,
        poke_interval: Duration,
        timeout: Duration,
        gemini_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=seconds_of(poke_interval, "poke_interval", least=LEAST_POLL_INTERVAL),
            timeout=seconds_of(timeout, "timeout"),
            **kwargs,
        )
        self.gemini_conn_id = gemini_conn_id
        self.deferrable = switch_of(deferrable, "deferrable")

    @abstractmethod
    def new_wait(self, schedule: Schedule) -> Wait[Any]:
        """Return the wait that the pokes continue."""

    @abstractmethod
    def poll(self, wait: Any) -> PokeReturnValue:
        """Poll once for a wait of :meth:`new_wait`."""

    @abstractmethod
    def trigger(self, **common: Any) -> GeminiTrigger:
        """Return the trigger that continues the wait; ``common`` are the arguments of every trigger."""

    @abstractmethod
    def result_of(self, event: Event | None) -> Any:
        """Return the sensor's result from a trigger's event, or raise the error of the wait."""

    @cached_property
    def hook(self) -> GeminiFilesHook:
        """Return the hook."""
        return GeminiFilesHook(self.gemini_conn_id)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Any, *args: Any, **kwargs: Any
    ) -> None:
        super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)
        if parent is self:
            read_at_once(self, template_fields)
        check_rendered_connection(parent, template_fields)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once, and log what is waited for."""
        if self._wait is None:
            self._wait = self.new_wait(Schedule(self._began(context)))
        try:
            polled = self.poll(self._wait)
        except GeminiFilesError:
            # A wait that has failed stays so; with silent_fail, the next poke begins another one.
            self._wait = None
            raise
        if not polled.is_done:
            self.log.info(self._wait.describe(SYSTEM_CLOCK.now()))
        return polled

    def execute(self, context: Context) -> Any:
        """Poll; then wait in this worker, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        with self._same_outcome():
            polled = self._first_poll(context)
        if isinstance(polled, PokeReturnValue) and polled.is_done:
            return polled.xcom_value
        now = SYSTEM_CLOCK.now()
        return self._defer(now, deadline_of(self, now, self.timeout))

    def execute_complete(self, context: Context, event: Event | None, **_: Any) -> Any:
        """Return the result of the trigger's event."""
        resume = resume_of(event)
        with self._same_outcome():
            try:
                return self.result_of(event)
            except GeminiWaitTimeoutError as error:
                # Airflow's own error of a sensor's timeout, on which soft_fail and retries depend.
                raise AirflowSensorTimeout(str(error)) from error
            except GeminiFilesError as error:
                # Sensors that were deferred before an upgrade have left no past.
                if resume is None or not self._may_continue(error):
                    raise
        return self._defer(resume["began"], resume["deadline"])

    def _began(self, context: Context) -> float:
        """Return when the wait began, in seconds since the epoch: the first of the pokes that were rescheduled."""
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        return first.timestamp() if first else SYSTEM_CLOCK.now()

    def _defer(self, began: float, deadline: float) -> Any:
        trigger = self.trigger(
            gemini_conn_id=self.gemini_conn_id,
            began=began,
            deadline=deadline,
            poll_interval=self.poke_interval,
            max_poll_interval=self._longest_pause(),
            resume={"version": VERSION, "began": began, "deadline": deadline},
        )
        return self.defer(**trigger.deferral())

    def _first_poll(self, context: Context) -> PokeReturnValue | bool:
        try:
            return self.poke(context)
        except GeminiFilesError as error:
            if not self._may_continue(error):
                raise
            return False

    def _may_continue(self, error: GeminiFilesError) -> bool:
        """Return whether ``silent_fail`` lets the sensor continue after an error, which is then logged."""
        if isinstance(error, GeminiPermanentError) or not self.silent_fail:
            return False
        self.log.error("Polling failed, and is continued because of silent_fail: %s", error)
        return True

    @contextmanager
    def _same_outcome(self) -> Iterator[None]:
        """Skip the task for the errors and settings for which Airflow's own loop of pokes skips it."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                setting = "soft_fail" if self.soft_fail else "never_fail"
                raise AirflowSkipException(f"Skipping due to {setting} is set to True.") from error
            raise
        except GeminiFilesError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def _longest_pause(self) -> float:
        longest: Any = self.max_wait
        seconds = longest.total_seconds() if isinstance(longest, timedelta) else longest
        return float(seconds or self.longest_pause)
