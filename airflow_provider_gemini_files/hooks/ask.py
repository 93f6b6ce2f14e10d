"""The use case "ask a model": look up the files, restore expired ones, ask, account, judge, repair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files.common.redaction import shown_text, storable
from airflow_provider_gemini_files.content.answer import Answer, Media, unique_sources
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.request import ModelRequest, UsedCache
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.content.tokens import counts, in_words, sum_of
from airflow_provider_gemini_files.costs.entry import RESPONSE_KEY
from airflow_provider_gemini_files.exceptions import (
    GeminiCacheGoneError,
    GeminiFileGoneError,
    GeminiInputError,
    GeminiUnusableAnswerError,
    GeminiUrlNotFetchedError,
)
from airflow_provider_gemini_files.files.naming import label_of
from airflow_provider_gemini_files.files.reference import FileLike, GeminiFile, check_connection
from airflow_provider_gemini_files.hooks.content import ContentCalls
from airflow_provider_gemini_files.hooks.files import FileCalls
from airflow_provider_gemini_files.hooks.service import GeminiService
from airflow_provider_gemini_files.hooks.shown_sources import ShownSources, SourceOptions

if TYPE_CHECKING:
    from google.genai import types  # noqa: TID251 - for type checkers only

T = TypeVar("T")
OnMaxTokens = Literal["fail", "keep"]
#: Finds the metadata of a file that is gone, by its name; None if it is not known.
FindUpload = Callable[[str], GeminiFile | None]

#: What the service says of some PDFs that it has fetched from a URL, and that it reads once they are uploaded.
_NO_PAGES = "document has no pages"
#: Characters of an answer that an error repeats.
_HEAD = 200
_REPAIR = (
    "Your answer is not valid. What is wrong with it:\n{wrong}\nAnswer the same again as JSON that follows the schema, "
    "and with nothing else."
)


@dataclass(frozen=True)
class AskOptions:
    """
    How a model is asked.

    :param repair_answer: show the model once what is wrong with an answer that does not follow the schema.
    :param on_max_tokens: ``"keep"`` returns the text of an answer that was cut at its limit of tokens; with a schema, a
        cut answer fails all the same.
    :param max_input_tokens: fail before anything is spent if the request has more tokens; no limit if None.
    :param repeat_unanswered: repeat a request that was sent but not answered, which may be billed twice.
    :param find_upload: finds the metadata of a file that is gone, so that its source is uploaded again; None: a file
        that is gone is an error.
    :param require_citations: refuse an answer that cites no document of the file search stores.
    :param sources: how sources are shown.
    :param media_suffice: accept an answer that has only media; a schema still requires text.
    :param on_cache_gone: called if the cache of the request is gone; returns the request that is sent instead. None:
        that is an error.
    :param on_response: called with the account of the call (see :class:`Asked`) after each response and before it is
        judged, as a useless answer has been paid for, too.
    """

    repair_answer: bool = False
    on_max_tokens: OnMaxTokens = "fail"
    max_input_tokens: int | None = None
    repeat_unanswered: bool = False
    find_upload: FindUpload | None = None
    on_response: Callable[[dict[str, Any]], None] | None = None
    media_suffice: bool = False
    require_citations: bool = False
    sources: SourceOptions = field(default_factory=SourceOptions)
    on_cache_gone: Callable[[GeminiCacheGoneError], ModelRequest] | None = None

    def __post_init__(self) -> None:
        if self.on_max_tokens not in get_args(OnMaxTokens):
            raise GeminiInputError(f"on_max_tokens must be 'fail' or 'keep'; got {self.on_max_tokens!r}.")


@dataclass(frozen=True)
class Asked:
    """
    A usable answer and its account.

    Both can be stored in any database: see :func:`~airflow_provider_gemini_files.common.redaction.storable`.

    :param value: the text, or the JSON value if a schema was given; an empty text if there are only media.
    :param response: ``{"files", "shown", "conn_id", "model", "model_version", "finish_reason", "calls", "usage"}``,
        ``sources`` if the model searched, and ``citations`` if it found documents of file search stores; ``usage`` is
        that of all ``calls``, of which a repair is the second; ``model`` was asked, and ``model_version`` has answered;
        ``shown`` says of each file what it is: ``{"name", "display_name", "uploaded_from"}``; the name of
        a source that was shown without a file is None. Of a request that uses a cache, ``cached_content`` is its name,
        and its files are in ``files`` and ``shown``; ``recreated_cache`` is the cache if it was created again.
    :param media: images, audio and other files of the answer.
    """

    value: Any
    response: dict[str, Any] = field(default_factory=dict)
    media: tuple[Media, ...] = ()


class Ask:
    """
    One use of a model, from its files to a usable answer.

    Use it as a context: what was uploaded for it alone is deleted when it ends, unless another attempt needs it.

    :param sources: shows the sources of the request.
    :param reupload: uploads the source of a file that is gone again, and returns the new file.
    """

    def __init__(
        self,
        service: GeminiService,
        files: FileCalls,
        content: ContentCalls,
        sources: ShownSources,
        reupload: Callable[[GeminiFile], GeminiFile],
        request: ModelRequest,
        options: AskOptions,
    ) -> None:
        self._service = service
        self._log = service.log
        self._files = files
        self._content = content
        self._sources = sources
        self._reupload = reupload
        self._given = request
        #: The request with what takes the place of its sources.
        self._request = request
        self._options = options
        self._shown: list[GeminiFile] = []
        self._response: dict[str, Any] = {}
        self._media: tuple[Media, ...] = ()

    def run(self) -> Asked:
        """
        Return a usable answer.

        :raises GeminiInputError: for a request that cannot be sent, before anything is sent.
        :raises GeminiNoAnswerError: if the same request would not be answered again.
        :raises GeminiUnusableAnswerError: if another attempt may be answered better.
        """
        try:
            return self._run()
        except GeminiCacheGoneError as error:
            # A request that was refused is not billed, but an answer that was to be repaired is.
            if self._options.on_cache_gone is None or self._response:
                raise
            self._given = self._request = self._options.on_cache_gone(error)
        return self._run()

    def _run(self) -> Asked:
        config = self._content.config_of(self._request)
        self._show_sources()
        self._look_up()
        self._check_input()
        schema = self._request.schema
        text = self._ask(lambda contents: contents, config)
        value = text if schema is None else self._judged(text, schema, config)
        return Asked(storable(value), storable(self._response), self._media)

    def files(self) -> list[GeminiFile]:
        """Return the files of the request, ACTIVE, in the order of their names; nothing is asked."""
        self._show_sources()
        self._look_up()
        return self._shown

    def count(self) -> int:
        """Return the number of tokens of the request."""
        self._show_sources()
        self._look_up()
        return self._count()

    def __enter__(self) -> Ask:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._sources.close(error)

    def _show_sources(self) -> None:
        """Put what is shown in the place of each source; nothing is sent."""
        contents = self._sources.resolve(self._given.contents)
        self._request = replace(self._given, contents=contents)

    def _look_up(self) -> None:
        names = self._request.contents.names
        own = self._sources.own(names)
        others = [name for name in names if name not in set(own)]
        # Before anything is uploaded: a file that is missing is found without it.
        files = dict(zip(others, self._files.active_files(others, self._restored), strict=True))
        files |= self._sources.files_of(own)
        self._shown = [files[name] for name in names]
        for file in self._shown:
            self._log.info("Sending %s (%s, %s)", file.name, file.mime_type, shown_text(label_of(file.display_name)))

    def _restored(self, name: str, error: GeminiFileGoneError) -> GeminiFile:
        """Return the file that takes the place of one that is gone."""
        find = self._options.find_upload
        gone = find(name) if find else None
        # A new copy would end up in the project of the wrong connection.
        check_connection(gone or self._request.contents.files[name], self._service.conn_id)
        if find is None:
            raise error
        if gone is None:
            raise GeminiFileGoneError(
                f"{error} No upload task of this run has recorded its source, so this task cannot upload it again: "
                "clear the task that uploaded it."
            ) from error
        return self._reupload(gone)

    def _with_files(self, call: Callable[[list[GeminiFile]], T]) -> T:
        """Call with the files; look up all once more if one has gone, and upload what cannot be fetched from URLs."""
        try:
            return call(self._shown)
        except (GeminiUrlNotFetchedError, GeminiInputError) as error:
            is_of_url = isinstance(error, GeminiUrlNotFetchedError) or _NO_PAGES in str(error)
            if not is_of_url or not self._sources.fall_back():
                raise
            self._show_sources()
        except GeminiFileGoneError:
            if self._options.find_upload is None and not self._sources.own(self._request.contents.names):
                raise
        self._look_up()
        return call(self._shown)

    def _count(self) -> int:
        return self._with_files(lambda files: self._content.count_tokens(self._request, files))

    def _check_input(self) -> None:
        most = self._options.max_input_tokens
        if most is None:
            return
        tokens = self._count()
        if tokens > most:
            raise GeminiInputError(
                f"The request has {tokens} tokens, and max_input_tokens is {most}: no model was asked, and nothing was "
                "billed. Send less, limit a video with start, end or fps, lower media_resolution, or raise the limit."
            )
        self._log.info("The request has %d tokens of at most %d", tokens, most)

    def _judged(self, text: str, schema: Schema, config: types.GenerateContentConfig) -> Any:
        """Return the answer's value; ask once more if it does not follow the schema and may be repaired."""
        value, wrong = schema.judge(text)
        if wrong and self._options.repair_answer:
            self._log.warning("The answer does not follow response_schema, asking once more: %s", wrong)
            # What UTF-8 cannot encode cannot be sent either.
            answer, prompt = storable(text), _REPAIR.format(wrong=wrong)
            text = self._ask(lambda contents: contents.continued(answer, prompt), config)
            value, wrong = schema.judge(text)
        if wrong:
            told = "; ".join(wrong.splitlines())
            # Paid for, and perhaps of use to a person.
            self._log.warning("The answer that does not follow response_schema: %s", shown_text(text, limit=100_000))
            raise GeminiUnusableAnswerError(
                f"The answer does not follow response_schema: {told}. It begins: {text[:_HEAD]!r}. A retry asks again."
            )
        return value

    def _ask(self, extended: Callable[[Contents], Contents], config: types.GenerateContentConfig) -> str:
        """
        Send one request, account for its response, and return the text if it is usable.

        :param extended: returns the contents that are sent, given those of the request.
        """

        def send(files: list[GeminiFile]) -> Answer:
            request = replace(self._request, contents=extended(self._request.contents))
            return self._content.generate(
                request, files, config=config, repeat_unanswered=self._options.repeat_unanswered
            )

        answer = self._with_files(send)
        self._account(answer)
        free_form = self._request.schema is None
        text = answer.usable_text(
            keep_cut=self._options.on_max_tokens == "keep" and free_form,
            media_suffice=self._options.media_suffice and free_form,
            require_citations=self._options.require_citations,
        )
        self._media = answer.media
        if answer.is_cut:
            self._log.warning("The answer was truncated at the token limit; the text so far is kept.")
        return text

    def _account(self, answer: Answer) -> None:
        response, cache = self._response, self._request.cache
        shown = [*map(GeminiFile, cache.files if cache else ()), *self._shown]
        response["files"] = [file.name for file in shown]
        described = [_described(file, self._request.contents.files.get(file.name)) for file in shown]
        response["shown"] = described + self._sources.described()
        response |= _told_of(cache) if cache else {}
        response["conn_id"] = self._service.conn_id
        response["model"] = self._request.model or self._service.connection.model
        response["model_version"] = answer.model_version
        response["finish_reason"] = answer.finish_reason
        response["calls"] = response.get("calls", 0) + 1
        response["usage"] = sum_of(response["usage"], answer.usage) if "usage" in response else answer.usage
        if answer.sources:
            response["sources"] = unique_sources([*response.get("sources", []), *answer.sources])
        if answer.citations:
            response["citations"] = unique_sources([*response.get("citations", []), *answer.citations])
        if self._options.on_response:
            try:
                self._options.on_response(storable(response))
            except Exception as error:
                # The account is worth less than the answer, which has been paid for.
                self._log.warning("The account of the answer could not be kept (%s): %s", type(error).__name__, error)
        self._tell(answer)
        self._service.pricing.count(RESPONSE_KEY, {**response, "calls": 1, "usage": answer.usage})

    def _tell(self, answer: Answer) -> None:
        """Log what an answer has besides its text, and count its tokens."""
        asked = str(self._response["model"])
        # A gateway may leave out which model has answered.
        model = answer.model_version or asked
        self._log.info("%s answered (%s): %s", model, answer.finish_reason, in_words(answer.usage))
        if _is_other_model(asked, model):
            self._log.warning(
                "%s answered instead of %s, and at its own price. The service does this once a model is shut down.",
                model, asked,
            )  # fmt: skip
        if answer.unreadable:
            self._log.warning("Media that cannot be decoded are left out: %s", ", ".join(answer.unreadable))
        if answer.unread:
            self._log.warning("The model could not read: %s", shown_text(", ".join(answer.unread)))
        if answer.citations:
            titles = (shown_text(str(citation.get("title"))) for citation in answer.citations)
            self._log.info("The answer cites %s", ", ".join(dict.fromkeys(titles)))
        if kinds := answer.other_kinds():
            self._log.info("Besides its text, the answer has: %s", kinds)
        for kind, modality, count in counts(answer.usage):
            tags = {"model": model, "modality": modality}
            Stats.incr(f"gemini_files.generate.{kind}_tokens", count, tags=tags)


def _is_other_model(asked: str, answered: str) -> bool:
    """Return whether another model has answered; a version of the same, or what an alias stands for, is no other."""
    name = asked.rpartition("/")[2]
    return "latest" not in name and name not in answered and answered not in asked


def _told_of(cache: UsedCache) -> dict[str, Any]:
    told: dict[str, Any] = {"cached_content": cache.name}
    return told | {"recreated_cache": dict(cache.recreated)} if cache.recreated else told


def _described(file: GeminiFile, given: FileLike | None) -> dict[str, Any]:
    """Return what a person needs to recognise a file, such as beside the answer about it."""
    known = given.get("uploaded_from") if isinstance(given, Mapping) else getattr(given, "uploaded_from", None)
    origin = file.uploaded_from or known
    return {
        "name": file.name,
        "display_name": label_of(file.display_name),
        "uploaded_from": origin.get("uri") if isinstance(origin, Mapping) else getattr(origin, "uri", None),
    }
