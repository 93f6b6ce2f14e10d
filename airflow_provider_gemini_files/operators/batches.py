"""Operators for batch jobs: ask a model in a batch, get, list, cancel, delete."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files.batches.events import batches_of
from airflow_provider_gemini_files.batches.job import BatchJob, BatchLike, parse_batch_names, parse_state
from airflow_provider_gemini_files.batches.requests import BatchRequests, Words
from airflow_provider_gemini_files.caches.cached_request import model_for
from airflow_provider_gemini_files.caches.recipe import CacheRecipe
from airflow_provider_gemini_files.common.durations import Duration, seconds_of
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.source_parts import source_from_data
from airflow_provider_gemini_files.exceptions import (
    GeminiBatchCancelledError,
    GeminiBatchExpiredError,
    GeminiBatchFailedError,
    GeminiBatchGoneError,
    GeminiBatchInterruptedError,
    GeminiFilesError,
    GeminiInputError,
    GeminiPermanentError,
    GeminiWaitTimeoutError,
)
from airflow_provider_gemini_files.files.events import Event
from airflow_provider_gemini_files.hooks.ask import FindUpload, OnMaxTokens
from airflow_provider_gemini_files.hooks.batch_input import BatchSpec
from airflow_provider_gemini_files.hooks.shown_sources import ShownSources
from airflow_provider_gemini_files.links import GeminiBatchLink
from airflow_provider_gemini_files.operators.base import (
    GeminiOperator,
    deadline_of,
    output_of,
    owner_of,
    switch_of,
    text_of,
    whole_number_of,
)
from airflow_provider_gemini_files.operators.batch_resume import BatchResume
from airflow_provider_gemini_files.operators.batch_task import BatchSettings, BatchTask, cancel_late
from airflow_provider_gemini_files.operators.batch_words import BatchWords
from airflow_provider_gemini_files.operators.caches import RecordedCaches
from airflow_provider_gemini_files.operators.content import ModelOperator, check_citations
from airflow_provider_gemini_files.operators.mapped_outputs import check_own_output
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata
from airflow_provider_gemini_files.operators.written_sources import count_sources
from airflow_provider_gemini_files.transfer.object_storage import location
from airflow_provider_gemini_files.transfer.output import Output

if TYPE_CHECKING:
    from airflow.sdk import Context

OnRowError = Literal["fail", "keep"]
OnBatchQuota = Literal["wait", "fail"]
#: Seconds; the service works on a job for hours.
_LEAST_POLL_INTERVAL = 1.0
#: Seconds that ending a job may take while the task's process is being ended.
_KILL_SECONDS = 20.0
_ENDED_IN_AIRFLOW = {"success", "failed", "skipped", "removed"}
_ENDED_BADLY = (
    GeminiBatchFailedError,
    GeminiBatchInterruptedError,
    GeminiBatchExpiredError,
    GeminiBatchCancelledError,
)


class GeminiBatchGenerateContentOperator(ModelOperator):
    """
    Send many requests to a model in batch jobs, at half the price and within a day, and return the URI of the answers.

    The file of answers has one JSON object on each line, in the order of the requests: ``{"key", "value", "error",
    "finish_reason", "usage", "files"}``. XCom ``batch`` has the manifest: name, state, model, counts of rows, token
    usage, times, the files that the requests use, and the files with the requests and the results. XCom ``batch_name``
    has the name of the job, or a list of names, as soon as it is submitted. The events of the assets among the task's
    outlets have ``{"gemini": {"model_version", "usage"}}`` in their extra, with ``cost`` and ``currency`` if the worker
    has prices. See ``docs/batches.md``.

    A job is submitted only once, even after failures: a retried or cleared task finds the job with the same requests.

    :param prompt: default for requests that have none of their own (templated). So are ``contents``,
        ``system_instruction``, ``generation_config`` and ``response_schema``, which have the same meaning as for
        :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`.
    :param files: without ``requests`` and ``source``: one request for each file, whose key is the name of the file's
        source (templated). Otherwise, the default for requests that have none of their own.
    :param requests: a list of prompts, or of dicts with ``key`` and any of the arguments above (templated).
    :param source: a file with one such dict on each line: any source that an upload accepts (templated).
    :param source_conn_id: connection of the object storage of ``source``, and of sources in requests (templated).
    :param via: how to send sources in requests, as for
        :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`.
    :param response_schema: an answer that does not follow it gives a row of kind ``invalid``.
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig`` (templated).
    :param on_max_tokens: ``"keep"`` counts a text that was truncated at the token limit as a success.
    :param file_search: file search stores that the model may search, as for
        :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator` (templated).
    :param require_citations: an answer that cites no document of these stores gives a row without a value.
    :param cached_content: a cache that all requests use, as for
        :class:`~airflow_provider_gemini_files.operators.content.GeminiGenerateContentOperator`. It must live for at
            least another ``min_remaining_ttl`` when a job is submitted (templated).
    :param output_path: where to write the answers: a local path, or a URI for Airflow's ObjectStoragePath (templated).
    :param output_conn_id: connection of the object storage; its provider's default if None (templated).
    :param on_row_error: ``"fail"``: if a row has no value, fail the task after all rows are written. ``"keep"``:
        succeed; the rows have the errors, and the manifest counts them.
    :param retry_rows: how often to repeat requests whose row is missing or has a transient error, in a further job.
    :param max_requests: maximum number of requests in one job; more are split into several jobs.
    :param min_remaining_ttl: how long files must still live when a job is submitted, in seconds or as a timedelta. A
        file that expires sooner is uploaded again if ``reupload_expired`` is set and an upload task of this run has
        recorded its source; otherwise the task fails before a job is submitted.
    :param on_quota: ``"wait"``: if the service accepts no further job because too many jobs or tokens are queued, try
        again later; in the triggerer if ``deferrable``. ``"fail"``: fail.
    :param quota_timeout: seconds until the task fails if the service still accepts no further job.
    :param timeout: seconds from the submission of a job within which it must end; jobs expire after 48 hours.
    :param cancel_on_timeout: cancel a job that has not ended by then, so that a retry submits a new one.
    :param cancel_on_kill: cancel the job if Airflow ends this task for good while a worker is waiting: if the task is
        marked as failed or success, or its run is ended. In all other cases, such as after a clear or the loss of a
        worker, the job continues, and the next attempt uses it.
    :param deferrable: wait in the triggerer, without a worker.
    :param poll_interval: minimum seconds between two polls; they grow to a tenth of the time waited.
    :param max_poll_interval: maximum seconds between two polls.
    """

    template_fields: Sequence[str] = (
        *ModelOperator.template_fields,
        "requests",
        "source",
        "generation_config",
        "file_search",
        "cached_content",
        "output_path",
        "output_conn_id",
    )
    template_fields_renderers = {  # noqa: RUF012
        **ModelOperator.template_fields_renderers,
        "requests": "json",
        "generation_config": "json",
        "file_search": "json",
    }
    operator_extra_links = (GeminiBatchLink(),)
    source_arguments = (*ModelOperator.source_arguments, "requests")

    def __init__(  # noqa: DOC102, DOC103 - documents the arguments of the base class, too
        self,
        *,
        output_path: Any,
        requests: Any = None,
        source: Any = None,
        source_conn_id: str | None = None,
        response_schema: Any = None,
        generation_config: Mapping[str, Any] | None = None,
        on_max_tokens: OnMaxTokens = "fail",
        file_search: Mapping[str, Any] | None = None,
        require_citations: bool = False,
        cached_content: Any = None,
        output_conn_id: str | None = None,
        on_row_error: OnRowError = "fail",
        retry_rows: int = 0,
        max_requests: int | None = None,
        min_remaining_ttl: Duration = 26 * 3600,
        on_quota: OnBatchQuota = "wait",
        quota_timeout: Duration = 24 * 3600,
        timeout: Duration = 49 * 3600,
        cancel_on_timeout: bool = True,
        cancel_on_kill: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Duration = 60,
        max_poll_interval: Duration = 300,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_choice(on_row_error, OnRowError, "on_row_error")
        _check_choice(on_quota, OnBatchQuota, "on_quota")
        _check_choice(on_max_tokens, OnMaxTokens, "on_max_tokens")
        # Requests can have a file_search of their own.
        if requests is None and source is None:
            check_citations(file_search, require_citations)
        self.output_path = output_path
        # As it is before its template is rendered.
        self._written_output = output_path
        self.requests = requests
        self.source = source
        self.source_conn_id = source_conn_id
        self.response_schema = response_schema
        self.generation_config = generation_config
        self.on_max_tokens = on_max_tokens
        self.file_search = file_search
        self.require_citations = switch_of(require_citations, "require_citations")
        self.cached_content = cached_content
        self._uses_cache = cached_content is not None
        self.output_conn_id = output_conn_id
        self.on_row_error = on_row_error
        self.retry_rows = whole_number_of(retry_rows, "retry_rows")
        self.max_requests = None if max_requests is None else whole_number_of(max_requests, "max_requests", least=1)
        self.min_remaining_ttl = seconds_of(min_remaining_ttl, "min_remaining_ttl")
        self.on_quota = on_quota
        self.quota_timeout = seconds_of(quota_timeout, "quota_timeout")
        self.timeout = seconds_of(timeout, "timeout", least=1.0)
        self.cancel_on_timeout = switch_of(cancel_on_timeout, "cancel_on_timeout")
        self.cancel_on_kill = switch_of(cancel_on_kill, "cancel_on_kill")
        self.deferrable = switch_of(deferrable, "deferrable")
        self.poll_interval = seconds_of(poll_interval, "poll_interval", least=_LEAST_POLL_INTERVAL)
        self.max_poll_interval = seconds_of(max_poll_interval, "max_poll_interval", least=_LEAST_POLL_INTERVAL)
        self._written_sources += count_sources(requests)
        self._was_given = {name for name in ("requests", "source", "file_search") if getattr(self, name) is not None}
        # What on_kill needs of the running attempt.
        self._waited_for: list[str] = []
        self._airflow_state: Callable[[], str | None] = lambda: None

    def execute(self, context: Context) -> str:
        """Submit the jobs, or find them; wait, and write the answers."""
        return self._batch_task(context, self._new_resume()).execute()

    def execute_complete(self, context: Context, event: Event | None, **_: Any) -> str:
        """Write the answers of jobs that have ended, or submit what has been refused before."""
        resume = BatchResume.read(event) or self._new_resume()
        cancel_after = self.timeout if self.cancel_on_timeout else None
        ended: list[BatchJob] = []
        timed_out = None
        try:
            ended = batches_of(event)
        except GeminiWaitTimeoutError as error:
            timed_out = error
            # At once, whatever becomes of the arguments and the output.
            cancel_late(self.hook, self.log, resume.names(), cancel_after)
        except _ENDED_BADLY as error:
            # The jobs are read again, so that what others of them have answered is not lost.
            self.log.warning("%s", error)
        return self._batch_task(context, resume, ended, timed_out).execute()

    def on_kill(self) -> None:
        """Cancel the jobs if a person has ended this task; otherwise, the next attempt needs them."""
        if not self.cancel_on_kill or not self._waited_for:
            return

        # In a thread with an end: the process is being ended, and its connection to Airflow may be in use.
        thread = threading.Thread(target=self._cancel_if_marked, args=(self._waited_for,), daemon=True)
        thread.start()
        thread.join(_KILL_SECONDS)

    def _cancel_if_marked(self, names: Sequence[str]) -> None:
        try:
            state = self._airflow_state()
        except Exception as error:
            # A job that goes on costs nothing more; one that is cancelled has to be paid for again.
            self.log.warning("The task's state cannot be read (%s): %s continues.", error, ", ".join(names))
            return
        if state not in _ENDED_IN_AIRFLOW:
            self.log.info("The task is %s: %s continues.", state or "not known to have ended", ", ".join(names))
            return
        for name in names:
            try:
                if self.hook.cancel_batch(name):
                    self.log.info("The task was marked as %s: cancelling %s.", state, name)
            except GeminiFilesError as error:
                self.log.warning("%s was not cancelled: %s", name, error)

    def _batch_task(
        self,
        context: Context,
        resume: BatchResume,
        ended: Sequence[BatchJob] = (),
        timed_out: GeminiWaitTimeoutError | None = None,
    ) -> BatchTask:
        """Read the arguments; nothing is sent but what names files."""
        uploaded = UploadedMetadata(context).of
        run_after = getattr(context.get("dag_run"), "run_after", None)
        output = self._output(context["ti"].map_index)
        options = self._source_options(context, in_batch=True, min_remaining_ttl=self.min_remaining_ttl)
        allowed = self._allowed_sources()
        sources = self.hook.shown_sources(options) if allowed else None
        recipe, model = self._recipe(context), text_of(self.model, "model")
        if recipe:
            model = model_for(recipe, model)
        spec = BatchSpec(
            requests=self._read(uploaded, recipe, sources, allowed, must_succeed=not resume.names()),
            owner=owner_of(context),
            model=model,
            label=self.task_id,
            timeout=self.timeout,
            max_requests=self.max_requests,
            min_remaining_ttl=self.min_remaining_ttl,
            find_upload=uploaded if self.reupload_expired else None,
            gives_up=self.cancel_on_timeout,
            require_citations=self.require_citations,
            keep_cut=self.on_max_tokens == "keep",
            since=run_after.timestamp() if run_after else None,
            is_retry=(getattr(context["ti"], "try_number", None) or 1) > 1,
            store=options.store,
            sources=sources,
            check=functools.partial(self._check_cache, recipe.name, model) if recipe and recipe.name else None,
        )
        run = self.hook.batch_run(spec)
        settings = self._settings(context, is_volatile=spec.requests.is_volatile)
        return BatchTask(self, settings, context, run, output, resume, ended, timed_out)

    def _recipe(self, context: Context) -> CacheRecipe | None:
        recipe = RecordedCaches(context).recipe_of(self.cached_content) if self._uses_cache else None
        if recipe:
            recipe.check_connection(self.gemini_conn_id)
            if doubt := recipe.doubt():
                self.log.warning("%s", doubt)
        return recipe

    def _check_cache(self, name: str, model: str | None) -> None:
        """Refuse a cache that a job may not find any more; called before a job is submitted."""
        self.hook.caches.check_lasts(name, model or self.hook.connection.model, self.min_remaining_ttl)

    def _read(
        self,
        uploaded: FindUpload,
        recipe: CacheRecipe | None,
        sources: ShownSources | None,
        allowed: float,
        *,
        must_succeed: bool,
    ) -> BatchRequests:
        """
        Read what is asked.

        :param must_succeed: if False, what cannot be read any more is an error only when it is needed: the jobs have
            been submitted, and their answers are to be written all the same.
        """
        try:
            self._refuse_nothing()
            if sum(map(count_sources, (self.files, self.contents, self.requests))) > allowed:
                raise source_from_data("One of files, contents and requests")
            return self._words(uploaded, recipe, sources).read()
        except GeminiPermanentError as error:
            # Anything else may pass, and a retry finds the jobs.
            if must_succeed:
                raise
            return BatchRequests(functools.partial(_fail, error))

    def _settings(self, context: Context, *, is_volatile: bool) -> BatchSettings:
        def on_wait(names: list[str]) -> None:
            self._waited_for, self._airflow_state = names, lambda: _state_of(context["ti"])

        return BatchSettings(
            retry_rows=self.retry_rows,
            on_row_error=self.on_row_error,
            on_quota=self.on_quota,
            timeout=self.timeout,
            quota_timeout=self.quota_timeout,
            cancel_after=self.timeout if self.cancel_on_timeout else None,
            is_volatile=is_volatile and not self.deferrable,
            deferrable=self.deferrable,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
            on_wait=on_wait,
        )

    def _words(self, uploaded: FindUpload, recipe: CacheRecipe | None, sources: ShownSources | None) -> BatchWords:
        words = Words(
            prompt=text_of(self.prompt, "prompt"),
            files=self.files,
            # A null Param in a template is the text "None".
            contents=None if self.contents in ("", "None") else self.contents,
            system_instruction=text_of(self.system_instruction, "system_instruction"),
            generation_config=None if str(self.generation_config) == "None" else self.generation_config,
            response_schema=self.response_schema,
            file_search=self.file_search,
            model=text_of(self.model, "model"),
            recipe=recipe,
        )
        conn_id = text_of(self.source_conn_id, "source_conn_id")
        return BatchWords(words, self.requests, self.source, conn_id, self.hook.files.look_up, uploaded, sources)

    def _new_resume(self) -> BatchResume:
        return BatchResume(deadline_of(self, self.clock.now(), self.quota_timeout))

    def _refuse_nothing(self) -> None:
        """
        Refuse arguments for which the task that they come from, or their template, gave nothing.

        :raises GeminiInputError: naming the argument.
        """
        if self._was_given_files and self.files in (None, "None"):
            raise GeminiInputError("files is None: the task that it comes from has pushed nothing.")
        for name in self._was_given:
            if is_unset(getattr(self, name)):
                raise GeminiInputError(f"{name} is empty: the task or template that it comes from gave nothing.")

    def _output(self, map_index: int | None) -> Output:
        check_own_output(self, self._written_output, map_index)
        output = output_of(self.output_path, self.output_conn_id)
        if location(self.source) == output.uri or location(self.source) == location(self.output_path):
            raise GeminiInputError("output_path is source: the answers would replace the requests.")
        return output


def _fail(error: GeminiFilesError) -> NoReturn:
    raise error


def _state_of(ti: Any) -> str | None:
    """Return the state of this task instance in Airflow."""
    map_index = None if ti.map_index is None or ti.map_index < 0 else ti.map_index
    states = ti.get_task_states(dag_id=ti.dag_id, map_index=map_index, task_ids=[ti.task_id], run_ids=[ti.run_id])
    of_run = states.get(ti.run_id) or {}
    return next((str(state) for state in of_run.values()), None)


def _check_choice(value: Any, choices: Any, name: str) -> None:
    if value not in get_args(choices):
        allowed = ", ".join(repr(choice) for choice in get_args(choices))
        raise GeminiInputError(f"{name} must be one of {allowed}; got {value!r}.")


class GeminiGetBatchOperator(GeminiOperator):
    """
    Return a batch job as the service has it now: ``{"name", "state", "counts", "error", "output_file", ...}``.

    :param batch_name: its name, its id, or a dict with ``name`` (templated).
    """

    template_fields: Sequence[str] = ("batch_name", "gemini_conn_id")
    operator_extra_links = (GeminiBatchLink(),)

    def __init__(self, *, batch_name: BatchLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_name = batch_name

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the job."""
        job = self.hook.get_batch(self.batch_name)
        self.log.info("%s: %s", job.name, job.progress())
        return job.to_dict()


class GeminiListBatchesOperator(GeminiOperator):
    """
    Return the names of the project's batch jobs, newest first; the log shows them as a table.

    :param state: only jobs in this state, such as ``RUNNING`` (templated).
    :param display_name: only jobs whose display name contains this (templated).
    """

    template_fields: Sequence[str] = ("state", "display_name", "gemini_conn_id")
    operator_extra_links = (GeminiBatchLink(),)

    def __init__(self, *, state: str | None = None, display_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.display_name = display_name

    def execute(self, context: Context) -> list[str]:
        """Read every page of the list, and filter."""
        state, part = parse_state(text_of(self.state, "state")), text_of(self.display_name, "display_name")
        jobs = [
            job
            for job in self.hook.list_batches()
            if (state is None or job.state == state) and (part is None or part in (job.display_name or ""))
        ]
        self.log.info("::group::%d batch jobs", len(jobs))
        for job in jobs:
            self.log.info("%s  %s  %s", job.name, job.progress(), shown_text(job.display_name or ""))
        self.log.info("::endgroup::")
        return [job.name for job in jobs]


class _BatchesOperator(GeminiOperator):
    """
    Do something with one batch job or several.

    :param batch_name: a job in any form (name, id, dict with ``name``), or a list of them (templated). None is no job,
        as after a task that has submitted none.
    :param ignore_missing: if False, a job that does not exist is an error.
    """

    template_fields: Sequence[str] = ("batch_name", "gemini_conn_id")
    operator_extra_links = (GeminiBatchLink(),)

    def __init__(
        self,
        *,
        batch_name: BatchLike | Sequence[BatchLike | None] | None,
        ignore_missing: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_name = batch_name
        self.ignore_missing = switch_of(ignore_missing, "ignore_missing")

    def _each(self, outcomes: Sequence[str], action: Callable[[str], str]) -> dict[str, list[str]]:
        """Call for each job; one that fails does not stop the others."""
        result: dict[str, list[str]] = {outcome: [] for outcome in (*outcomes, "missing")}
        errors: list[GeminiFilesError] = []
        for name in self._names():
            try:
                outcome = action(name)
            except GeminiBatchGoneError as error:
                outcome = "missing"
                errors += [] if self.ignore_missing else [error]
            except GeminiFilesError as error:
                errors.append(error)
                continue
            result[outcome].append(name)
            self.log.info("%s: %s", name, outcome)
        if errors:
            raise errors[0] if len(errors) == 1 else combined(errors, "; ".join(map(str, errors)))
        return result

    def _names(self) -> list[str]:
        named: Any = self.batch_name
        several = isinstance(named, Iterable) and not isinstance(named, str | Mapping)
        given = list(named) if several else [named]
        present = [batch for batch in given if not is_unset(batch)]
        return parse_batch_names(present) if present else []


class GeminiCancelBatchOperator(_BatchesOperator):
    """
    Cancel batch jobs, and return ``{"cancelled": [names], "ended": [names], "missing": [names]}``.

    A job ends a while later, and may still end in another state: to find out, wait with a ``GeminiBatchSensor``.

    :param batch_name: a job in any form (name, id, dict with ``name``), or a list of them (templated).
    :param ignore_missing: if False, a job that does not exist is an error.
    """

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Cancel the jobs that have not ended."""
        return self._each(["cancelled", "ended"], self._cancel)

    def _cancel(self, name: str) -> str:
        if self.hook.get_batch(name).has_ended:
            return "ended"
        return "cancelled" if self.hook.cancel_batch(name, ignore_missing=False) else "ended"


class GeminiDeleteBatchOperator(_BatchesOperator):
    """
    Delete batch jobs that have ended, and return ``{"deleted": [names], "missing": [names]}``.

    A job that has not ended is an error: cancel it first. Result files stay: the service does not delete them.

    :param batch_name: a job in any form (name, id, dict with ``name``), or a list of them (templated).
    :param ignore_missing: if False, a job that does not exist is an error.
    """

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the jobs."""
        return self._each(["deleted"], self._delete)

    def _delete(self, name: str) -> str:
        self.hook.delete_batch(name, ignore_missing=False)
        return "deleted"
