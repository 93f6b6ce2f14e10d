"""Operators for content: ask a model, count the tokens of a request."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.common.failures import combined
from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.common.unset import is_unset
from airflow_provider_gemini_files.content.answer import Media
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.source_parts import source_from_data
from airflow_provider_gemini_files.content.ways import Via, is_via
from airflow_provider_gemini_files.costs.entry import RESPONSE_KEY
from airflow_provider_gemini_files.exceptions import GeminiFilesError, GeminiInputError
from airflow_provider_gemini_files.hooks.ask import Asked, AskOptions, OnMaxTokens
from airflow_provider_gemini_files.hooks.cached_request import CachedRequest
from airflow_provider_gemini_files.hooks.google_credentials import DEFAULT_GCP_CONN_ID
from airflow_provider_gemini_files.hooks.shown_sources import SourceOptions
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import output_of, owner_of, switch_of, text_of, whole_number_of
from airflow_provider_gemini_files.operators.caches import RecordedCaches
from airflow_provider_gemini_files.operators.mapped_outputs import check_own_output
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata
from airflow_provider_gemini_files.operators.outlets import tell_outlets
from airflow_provider_gemini_files.operators.rendered import AskingOperator
from airflow_provider_gemini_files.operators.written_sources import count_sources, written_in_mapped
from airflow_provider_gemini_files.transfer.output import Output

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Bytes of JSON; XCom is a row of Airflow's database, and 64 KiB is the least that a column of it holds.
MAX_XCOM_BYTES = 48 * 1024
#: Characters of an answer that XCom repeats if the answer itself is elsewhere.
_HEAD = 200


class ModelOperator(AskingOperator):
    """The arguments that are common to asking a model and counting tokens."""

    template_fields: Sequence[str] = (
        "prompt",
        "files",
        "contents",
        "model",
        "system_instruction",
        "source_conn_id",
        "gcp_conn_id",
        "gemini_conn_id",
    )
    operator_extra_links: Collection[BaseOperatorLink] = (GeminiFileLink(),)
    cached_content: Any = None
    _uses_cache = False
    #: The arguments that can show sources.
    source_arguments: Sequence[str] = ("files", "contents")
    template_fields_renderers = {"prompt": "md", "contents": "json", "system_instruction": "md"}  # noqa: RUF012

    def __init__(
        self,
        *,
        prompt: str | None = None,
        files: Any = None,
        contents: Any = None,
        model: str | None = None,
        system_instruction: str | None = None,
        reupload_expired: bool = True,
        via: Via = "auto",
        source_conn_id: str | None = None,
        gcp_conn_id: str = DEFAULT_GCP_CONN_ID,
        keep_files: bool = False,
        allow_private_urls: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not is_via(via):
            raise GeminiInputError(f"via must be auto, inline, upload, register or url; got {via!r}.")
        self.prompt = prompt
        self.files = files
        self.contents = contents
        self.model = model
        self.system_instruction = system_instruction
        self.reupload_expired = switch_of(reupload_expired, "reupload_expired")
        self.via = via
        self.source_conn_id = source_conn_id
        self.gcp_conn_id = gcp_conn_id
        self.keep_files = switch_of(keep_files, "keep_files")
        self.allow_private_urls = switch_of(allow_private_urls, "allow_private_urls")
        # Taken before templates are rendered: a task that was given files must not ask without any, and a run's data
        # must not decide that a worker reads a source.
        self._was_given_files = files is not None
        self._written_sources = count_sources(files) + count_sources(contents)

    def _default_model(self, context: Context) -> str | None:
        recipe = RecordedCaches(context).recipe_of(self.cached_content) if self._uses_cache else None
        return recipe.model if recipe else super()._default_model(context)

    def _request(
        self, generation_config: Any = None, response_schema: Any = None, file_search: Any = None
    ) -> ModelRequest:
        """Read the arguments; nothing is sent."""
        if self._was_given_files and self.files in (None, "None"):
            raise GeminiInputError("files is None: the task that it comes from has pushed nothing.")
        request = ModelRequest.of(
            prompt=text_of(self.prompt, "prompt"),
            files=self.files,
            contents=None if self.contents in ("", "None") else self.contents,
            model=text_of(self.model, "model"),
            system_instruction=text_of(self.system_instruction, "system_instruction"),
            # A null Param in a template is the text "None".
            generation_config=None if str(generation_config) == "None" else generation_config,
            response_schema=response_schema,
            file_search=file_search,
        )
        sources = request.contents.sources
        if len(sources) > self._allowed_sources():
            raise source_from_data(sources[-1].where)
        return request

    def _allowed_sources(self) -> float:
        """Return how many sources the Dag itself shows."""
        task: Any = self.dag.get_task(self.task_id) if self.has_dag() else self  # type: ignore[no-untyped-call]
        return written_in_mapped(task, self.source_arguments) if task.is_mapped else self._written_sources

    def _options(self, context: Context, **options: Any) -> AskOptions:
        find_upload = UploadedMetadata(context).of if self.reupload_expired else None
        return AskOptions(find_upload=find_upload, sources=self._source_options(context), **options)

    def _source_options(self, context: Context, **options: Any) -> SourceOptions:
        return SourceOptions(
            via=self.via,
            conn_id=text_of(self.source_conn_id, "source_conn_id"),
            gcp_conn_id=text_of(self.gcp_conn_id, "gcp_conn_id") or DEFAULT_GCP_CONN_ID,
            keep_files=self.keep_files,
            allow_private_urls=self.allow_private_urls,
            owner=owner_of(context),
            # Exists from Airflow 3.3 on.
            store=context.get("task_state_store"),
            **options,
        )


class GeminiGenerateContentOperator(ModelOperator):
    """
    Send files and texts to a model, and return its answer: the text, the JSON value (with a schema), or the URI.

    XCom ``response`` has ``{"conn_id", "model", "model_version", "finish_reason", "calls", "usage", "files"}``, even if
    the answer cannot be used and the task fails. ``usage`` counts the tokens of all calls, including a repair. With
    ``output_path``, it also has ``output`` (the URI) and ``head`` (the first 200 characters); with search tools,
    ``sources``; and with ``file_search``, ``citations``. The events of the assets among the task's outlets have
    ``{"gemini": {"model_version", "usage"}}`` in their extra, with ``cost`` and ``currency`` if the worker has prices.
    See ``docs/content.md``.

    :param prompt: the prompt; it follows the files (templated).
    :param files: a file in any form (name, id, URI, metadata dict), or a list of them, each ACTIVE; or parts, to set
        how the model reads a file: ``{"file": ..., "video": {"start": 10, "end": 25, "fps": 2}}``, or to send a source
        that is not uploaded yet: ``{"source": "s3://films/clip.mp4"}`` (templated). MIME types and URIs are looked up.
    :param contents: texts, files and turns in any order; sent before files and prompt (templated).
    :param model: the connection's if None (templated).
    :param system_instruction: how the model should behave (templated).
    :param response_schema: the schema of the answer: a pydantic model class, a dotted path to one, or a JSON schema.
        The answer is validated and returned as plain JSON. Not templated, because Airflow would call a class.
    :param repair_answer: if the answer does not follow the schema, ask the model once more and include the validation
        errors.
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig``, as in
        ``{"temperature": 0, "max_output_tokens": 2000}`` (templated).
    :param on_max_tokens: ``"keep"`` returns the text of an answer that was truncated at the token limit; with a schema,
        such an answer is always an error.
    :param max_input_tokens: fail before anything is billed if the request has more tokens (templated).
    :param file_search: file search stores that the model may search, such as ``{"stores": [names], "metadata_filter":
        'team = "ops"', "top_k": 5}``; only ``stores`` is required (templated).
    :param require_citations: fail if the answer cites no document of these stores: the model has then answered from its
        own knowledge.
    :param cached_content: the output of a ``GeminiCreateCacheOperator``, its XCom ``cache``, or the name of a cache.
        Its contents come before contents, files and prompt, and files that it holds are not sent again. If it is None,
        as for a skipped cache, the request sends everything itself (templated).
    :param recreate_cache: if the cache is gone, create it again, provided that a task of this run has recorded what it
        held.
    :param output_path: where to write the answer, as UTF-8 text or as JSON: a local path, or a URI for Airflow's
        ObjectStoragePath. An existing file is replaced. Media in the answer are written next to its text; if there is
        no text, the first of them is written to the path itself (templated).
    :param output_conn_id: connection of the object storage; its provider's default if None (templated).
    :param reupload_expired: if a file is gone, upload it again from the source that its upload task in this run has
        recorded.
    :param via: how to send sources: ``"inline"``, ``"upload"``, ``"register"`` or ``"url"``; ``"auto"`` chooses for
        each source, see ``docs/ways_in.md``.
    :param source_conn_id: connection of the object storage of sources; its provider's default if None (templated).
    :param gcp_conn_id: Google Cloud connection that registers ``gs://`` sources (templated).
    :param keep_files: keep files that were uploaded from sources, instead of deleting them after the answer.
    :param allow_private_urls: allow sources whose URL leads to an address that is not public.
    :param repeat_unanswered: within the attempt, repeat a request that was sent but not answered; it may be billed
        twice.
    :param with_source: return ``{"answer", "files", "map_index"}``, so that answers of mapped tasks can be matched with
        their files even if some of the tasks have failed.
    """

    template_fields: Sequence[str] = (
        *ModelOperator.template_fields,
        "generation_config",
        "file_search",
        "cached_content",
        "max_input_tokens",
        "output_path",
        "output_conn_id",
    )
    template_fields_renderers = {  # noqa: RUF012
        **ModelOperator.template_fields_renderers,
        "generation_config": "json",
        "file_search": "json",
    }

    def __init__(  # noqa: DOC102, DOC103 - documents the arguments of the base class, too
        self,
        *,
        response_schema: Any = None,
        repair_answer: bool = False,
        generation_config: Mapping[str, Any] | None = None,
        on_max_tokens: OnMaxTokens = "fail",
        max_input_tokens: int | str | None = None,
        file_search: Mapping[str, Any] | None = None,
        require_citations: bool = False,
        cached_content: Any = None,
        recreate_cache: bool = True,
        output_path: Any = None,
        output_conn_id: str | None = None,
        repeat_unanswered: bool = False,
        with_source: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        AskOptions(on_max_tokens=on_max_tokens)
        self.response_schema = response_schema
        self.repair_answer = switch_of(repair_answer, "repair_answer")
        self.generation_config = generation_config
        self.on_max_tokens = on_max_tokens
        self.max_input_tokens = max_input_tokens
        self.file_search = file_search
        self.require_citations = switch_of(require_citations, "require_citations")
        check_citations(file_search, require_citations)
        self._searches = file_search is not None
        self.cached_content = cached_content
        self.recreate_cache = switch_of(recreate_cache, "recreate_cache")
        self._uses_cache = cached_content is not None
        self.output_path = output_path
        self.output_conn_id = output_conn_id
        self.repeat_unanswered = switch_of(repeat_unanswered, "repeat_unanswered")
        self.with_source = switch_of(with_source, "with_source")
        # As it is before its template is rendered.
        self._written_output = output_path

    def execute(self, context: Context) -> Any:
        """Ask, and return the answer or write it."""
        # Everything that can be refused is refused before anything is sent.
        refuse_empty_search(self.file_search, was_given=self._searches)
        request = self._request(self.generation_config, self.response_schema, self.file_search)
        ti = context["ti"]
        output = self._output(ti.map_index)
        cached = self._cached(context, request)
        request = cached.to_send() if cached else request

        def account(response: dict[str, Any]) -> None:
            self.display_names = {one["name"]: one["display_name"] for one in response["shown"]}
            ti.xcom_push("response", response)

        options = self._options(
            context,
            on_cache_gone=cached.recreated if cached else None,
            repair_answer=self.repair_answer,
            on_max_tokens=self.on_max_tokens,
            max_input_tokens=self._most_tokens(),
            repeat_unanswered=self.repeat_unanswered,
            require_citations=self.require_citations,
            on_response=account,
            media_suffice=output is not None,
        )
        with self.hook.asking(request, options) as asking:
            asked = asking.run()
            if output is None:
                answer = self._fitting(asked.value)
            else:
                answer = output.uri
                ti.xcom_push("response", asked.response | self._written(asked, output))
        tell_outlets(self, context, RESPONSE_KEY, asked.response)
        if not self.with_source:
            return answer
        return {"answer": answer, "files": asked.response["shown"], "map_index": ti.map_index}

    def _cached(self, context: Context, request: ModelRequest) -> CachedRequest | None:
        """Return the request with its cache; None if there is none."""
        recipe = RecordedCaches(context).recipe_of(self.cached_content) if self._uses_cache else None
        if recipe is None:
            return None
        find_upload = UploadedMetadata(context).of if self.reupload_expired else None
        return self.hook.cached_request(request, recipe, find_upload, recreate=self.recreate_cache)

    def _written(self, asked: Asked, output: Output) -> dict[str, Any]:
        """Write an answer, and return what XCom ``response`` says about it."""
        text, media = _as_text(asked.value), asked.media
        # An answer without text has only media, and the first of them takes its place.
        beside = media if text else media[1:]
        places = [output, *(output.beside(f"-{at}{_suffix_of(one)}") for at, one in enumerate(beside, 1))]
        contents = [text or media[0].data, *(one.data for one in beside)]
        failed: dict[str, GeminiFilesError] = {}
        for place, content in zip(places, contents, strict=True):
            try:
                place.write(content)
            except GeminiFilesError as error:
                # The others have been paid for, too.
                failed[place.uri] = error
                continue
            lineage.written(self.hook, place.uri)
            size = len(content.encode() if isinstance(content, str) else content)
            self.log.info("The answer, %s, is in %s", human_bytes(size), place.uri)
        if failed:
            raise self._not_written(failed, [place.uri for place in places], text)
        told: dict[str, Any] = {"output": output.uri, "head": text[:_HEAD]}
        if media:
            told["media"] = [place.uri for place in places[-len(media) :]]
        return told

    def _not_written(self, failed: Mapping[str, GeminiFilesError], uris: Sequence[str], text: str) -> GeminiFilesError:
        """Return the error of an answer of which not everything was written; a text is kept in the log."""
        lost = list(failed)
        in_log = ""
        if text and uris[0] in failed:
            self._rescue(text)
            lost.remove(uris[0])
            in_log = " The text is in the log above."
        if lost:
            in_log += f" Media that are lost: {', '.join(lost)}."
        written = ", ".join(uri for uri in uris if uri not in failed) or "nothing"
        reasons = " ".join(dict.fromkeys(str(error) for error in failed.values()))
        return combined(list(failed.values()), f"{reasons} Written: {written}.{in_log}")

    def _output(self, map_index: int | None) -> Output | None:
        if self._written_output is None:
            return None
        check_own_output(self, self._written_output, map_index)
        return output_of(self.output_path, self.output_conn_id)

    def _most_tokens(self) -> int | None:
        # An empty template sets no limit.
        if is_unset(self.max_input_tokens):
            return None
        return whole_number_of(self.max_input_tokens, "max_input_tokens", least=1)

    def _fitting(self, answer: Any) -> Any:
        """Return an answer that fits into XCom."""
        size = len(json.dumps(answer).encode())
        if size <= MAX_XCOM_BYTES or not self.do_xcom_push or not _is_xcom_in_database():
            return answer
        self._rescue(_as_text(answer))
        raise GeminiInputError(
            f"The answer has {human_bytes(size)}, more than the {human_bytes(MAX_XCOM_BYTES)} that XCom in Airflow's "
            "database should hold: set output_path. The full answer was written to this attempt's log above."
        )

    def _rescue(self, text: str) -> None:
        """Write an answer that was paid for and that nothing else holds to the log."""
        self.log.warning("::group::The answer")
        for line in text.splitlines():
            self.log.warning("%s", shown_text(line, limit=100_000))
        self.log.warning("::endgroup::")


def check_citations(file_search: Any, require_citations: bool) -> None:
    """
    Reject required citations if nothing is searched.

    :raises GeminiInputError: when the Dag is parsed.
    """
    if switch_of(require_citations, "require_citations") and file_search is None:
        raise GeminiInputError("require_citations needs file_search: the stores that are to be cited.")


def refuse_empty_search(file_search: Any, *, was_given: bool) -> None:
    """
    Reject a search whose template rendered to nothing: the model would answer from its own knowledge.

    :raises GeminiInputError: if it is empty.
    """
    if was_given and is_unset(file_search):
        raise GeminiInputError("file_search is empty: the task or template that it comes from gave nothing.")


class GeminiCountTokensOperator(ModelOperator):
    """
    Return the number of tokens of a request, which costs nothing.

    The count includes the system instruction, but not tools and a schema.

    :param prompt: as for :class:`GeminiGenerateContentOperator`, as are ``files``, ``contents``, ``model``,
        ``system_instruction``, ``source_conn_id`` and ``gcp_conn_id`` (templated), and ``reupload_expired``, ``via``,
        ``keep_files`` and ``allow_private_urls``.
    """

    def execute(self, context: Context) -> int:
        """Look up the files, and count."""
        with self.hook.asking(self._request(), self._options(context)) as asking:
            tokens = asking.count()
        self.log.info("The request has %d tokens", tokens)
        return tokens


def _as_text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _suffix_of(media: Media) -> str:
    # Python's own table, which is the same on every worker.
    return mimetypes.MimeTypes().guess_extension(media.mime_type.partition(";")[0]) or ".bin"


def _is_xcom_in_database() -> bool:
    """Return whether XCom is Airflow's own, whose values are rows; a backend of object storage has no such limit."""
    from airflow.providers.common.compat.sdk import XCom
    from airflow.sdk.bases.xcom import BaseXCom

    return XCom is BaseXCom
