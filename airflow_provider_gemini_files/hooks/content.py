"""The hook's calls for content: send one request to a model, or count its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.backoff import Backoff
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.content.answer import Answer
from airflow_provider_gemini_files.content.pieces import joined, token_of
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiFileNotActiveError,
    GeminiFilesError,
    GeminiInputError,
    GeminiUrlNotFetchedError,
)
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.service import GeminiService

if TYPE_CHECKING:
    from google.genai import types  # noqa: TID251 - for type checkers only

T = TypeVar("T")
#: Attempts before an ACTIVE file that the model refuses is treated as unusable: 15 seconds in total, as users report
#: that a file is refused for a moment after it has become ACTIVE.
_JUST_ACTIVE_ATTEMPTS = 5
_JUST_ACTIVE_BACKOFF = Backoff(initial=2.0, maximum=8.0)
#: Attempts before a URL counts as one that the service cannot fetch: users report that it comes and goes.
_FETCH_ATTEMPTS = 3
#: Pieces of one answer, the most: each is a request that is paid for.
_MAX_PIECES = 100
#: All that the service says about many requests that it does not accept.
NO_REASON = "Request contains an invalid argument"


class ContentCalls:
    """The calls to a model."""

    def __init__(self, service: GeminiService) -> None:
        self._service = service
        self._log = service.log

    def config_of(self, request: ModelRequest) -> types.GenerateContentConfig:
        """
        Return the configuration of a request, checked with the SDK's own types; nothing is sent.

        :raises GeminiInputError: naming each field that is wrong.
        """
        from airflow_provider_gemini_files.hooks import sdk

        json_schema = request.schema.json_schema if request.schema else None
        # Without these, the connection need not be read for this.
        given = request.generation_config
        if request.file_search or request.cache:
            given = request.configuration(request.model or self._service.connection.model)
        return sdk.content_config(given, request.system_instruction, json_schema)

    def generate(
        self,
        request: ModelRequest,
        files: Sequence[GeminiFile],
        *,
        config: types.GenerateContentConfig | None = None,
        repeat_unanswered: bool = False,
    ) -> Answer:
        """
        Send a request to a model.

        :param files: the files of the request's contents, in the order of their names.
        :param config: as :meth:`config_of` returns it, if it was needed before.
        :param repeat_unanswered: repeat a request that was sent but not answered, which may be billed twice.
        """
        from airflow_provider_gemini_files.hooks import sdk

        checked = config or self.config_of(request)
        model = request.model or self._service.connection.model
        turns = request.turns(files)
        connection = self._service.connection

        def send(config: types.GenerateContentConfig) -> dict[str, Any]:
            return self.once_readable(
                lambda: sdk.generate_content(self._service.client, connection, model, turns, config), repeat_unanswered
            )

        with suspects_named(request, files):
            response = send(checked)
            if sdk.can_continue(checked):
                response = self._complete(response, lambda token: send(sdk.continued(checked, token)))
        lineage.shown(self._service.hook, self._service.conn_id, files)
        return Answer.from_api(response)

    def _complete(self, piece: dict[str, Any], next_piece: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """
        Return the response with all pieces of an answer that the model returns in pieces.

        :param piece: the first, and mostly the only one.
        :param next_piece: asks for the next one, by the token of the last one.
        """
        response, number = piece, 1
        while number < _MAX_PIECES and (token := token_of(piece)):
            number += 1
            self._log.info("The answer comes in pieces: asking for piece %d", number)
            try:
                piece = next_piece(token)
            except GeminiFilesError:
                text = Answer.from_api(response).text or ""
                # Paid for, and perhaps of use to a person.
                self._log.warning("The answer so far: %s", shown_text(text, limit=100_000))
                raise
            response = joined(response, piece)
        return response

    def count_tokens(self, request: ModelRequest, files: Sequence[GeminiFile]) -> int:
        """
        Return the number of tokens of a request, which costs nothing.

        The system instruction is counted as one more text. Tools and a schema are not counted: the SDK does not count
        them with an API key.
        """
        from airflow_provider_gemini_files.hooks import sdk

        connection = self._service.connection
        model = request.model or connection.model
        turns = request.turns(files)
        if request.system_instruction:
            turns = [{"role": "user", "parts": [{"text": request.system_instruction}]}, *turns]
        with suspects_named(request, files):
            return self.once_readable(lambda: sdk.count_tokens(self._service.client, connection, model, turns), True)

    def once_readable(self, function: Callable[[], T], repeat_unanswered: bool) -> T:
        """
        Call about ACTIVE files and URLs, of which the service cannot read some for a moment.

        :param repeat_unanswered: as for :meth:`GeminiService.call`.
        """
        clock = self._service.clock
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(tuple(_READABLE_SOON)),
            stop=_is_last_attempt,
            wait=lambda state: _JUST_ACTIVE_BACKOFF.pause(state.attempt_number, clock.uniform),
            sleep=clock.sleep,
            before_sleep=lambda state: self._log.warning(
                "%s Asking again in %.0f s.", state.outcome and state.outcome.exception(), state.upcoming_sleep
            ),
            reraise=True,
        )  # fmt: skip
        return retrying(lambda: self._service.call(function, repeat_unanswered=repeat_unanswered))


#: Errors of files and URLs that may pass within seconds, and how often they are asked about.
_READABLE_SOON = {
    GeminiFileNotActiveError: _JUST_ACTIVE_ATTEMPTS,
    GeminiFileGoneError: _JUST_ACTIVE_ATTEMPTS,
    GeminiUrlNotFetchedError: _FETCH_ATTEMPTS,
}


def _is_last_attempt(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return state.attempt_number >= next((most for kind, most in _READABLE_SOON.items() if isinstance(error, kind)), 1)


@contextmanager
def suspects_named(request: ModelRequest, files: Sequence[GeminiFile]) -> Iterator[None]:
    """Add to an error without a reason what in the request could be it."""
    try:
        yield
    except GeminiInputError as error:
        if NO_REASON not in str(error):
            raise
        raise GeminiInputError(f"{error} {request.suspects(files)}") from error
