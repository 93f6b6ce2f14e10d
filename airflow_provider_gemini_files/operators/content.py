"""Operators for content: ask a model, count what it would cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_gemini_files import lineage
from airflow_provider_gemini_files.content.answer import CUT, each_once
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.content.schema import Schema
from airflow_provider_gemini_files.content.usage import counts, in_words, sum_of
from airflow_provider_gemini_files.exceptions import (
    GeminiFileGoneError,
    GeminiInputError,
    GeminiUnusableAnswerError,
)
from airflow_provider_gemini_files.files.limits import human_bytes
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.content import content_config
from airflow_provider_gemini_files.links import GeminiFileLink
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.metadata import UploadedMetadata
from airflow_provider_gemini_files.transfer.output import Output

if TYPE_CHECKING:
    from airflow.sdk import Context

T = TypeVar("T")
OnMaxTokens = Literal["fail", "keep"]

#: Bytes of JSON; XCom is a row of Airflow's database, and 64 KiB is the least that a column of it holds.
MAX_XCOM_BYTES = 48 * 1024
#: Characters of an answer that is elsewhere.
_HEAD = 200
_REPAIR = (
    "Your answer is not valid. What is wrong with it:\n{wrong}\nAnswer the same again as JSON that follows the schema, "
    "and with nothing else."
)


class _QuestionOperator(GeminiOperator):
    """What asking a model and counting the tokens of a question have in common."""

    template_fields: Sequence[str] = (
        "prompt",
        "files",
        "contents",
        "model",
        "system_instruction",
        "gemini_conn_id",
    )
    operator_extra_links = (GeminiFileLink(),)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.files = files
        self.contents = contents
        self.model = model
        self.system_instruction = system_instruction
        self.reupload_expired = reupload_expired
        self._shows_files = files is not None

    def _question(self) -> Contents:
        """Read what was given; nothing is sent."""
        if self._shows_files and self.files is None:
            raise GeminiInputError("files is None: the task that it comes from has pushed nothing.")
        return Contents.parse(self.prompt, self.files, self.contents)

    def _files(self, question: Contents, context: Context) -> list[GeminiFile]:
        """Look up the files of a question; what is gone is uploaded again, where that can be done."""
        uploaded = UploadedMetadata(context)

        def again(name: str, error: GeminiFileGoneError) -> GeminiFile:
            if not self.reupload_expired:
                raise error
            gone = uploaded.of(name, question.files[name])
            if gone is None:
                raise GeminiFileGoneError(
                    f"{error} Neither what the task was given nor the XCom of a task upstream says where it came from, "
                    "so it cannot be uploaded again from here: clear the task that uploaded it."
                ) from error
            return self.hook.reupload_file(gone)

        files = self.hook.active_files(question.names, again)
        for file in files:
            self.log.info("Showing %s (%s, %s)", file.name, file.mime_type, file.display_name)
        return files

    def _count(self, question: Contents, files: list[GeminiFile], context: Context) -> int:
        count = partial(self.hook.count_tokens, question, model=self.model, system_instruction=self.system_instruction)
        return self._healing(files, count, question, context)

    def _healing(
        self, files: list[GeminiFile], call: Callable[[list[GeminiFile]], T], question: Contents, context: Context
    ) -> T:
        """Call about files; one that has gone since it was looked up is looked up, and so uploaded, once more."""
        try:
            return call(files)
        except GeminiFileGoneError:
            files[:] = self._files(question, context)
            return call(files)


class GeminiGenerateContentOperator(_QuestionOperator):
    """
    Show a model files and texts, and return its answer: the text; or the value, where a schema is given; or the URI.

    XCom ``response`` holds ``{"model_version", "finish_reason", "usage", "files"}``, also where the answer is of no
    use and the task fails; ``usage`` counts tokens, those of a repair included. With ``output_path`` it has ``output``
    (the URI) and ``head`` (the first 200 characters), too, and with tools that search, ``sources``. See
    ``docs/content.md``.

    :param prompt: the question; it follows the files (templated).
    :param files: a file in any form (name, id, URI, metadata dict), or a list of them, each ACTIVE; or parts, which
        say how a file is to be looked at: ``{"file": ..., "video": {"start": 10, "end": 25, "fps": 2}}`` (templated).
        MIME types and URIs are looked up.
    :param contents: texts, files and turns in any order, which come before files and prompt (templated).
    :param model: the connection's where None (templated).
    :param system_instruction: how the model is to behave (templated).
    :param response_schema: what the answer is to follow: a pydantic model class, the dotted path to one, or a JSON
        schema. The answer is validated, and its plain JSON value returned. Not templated: Airflow would call a class.
    :param repair_answer: show the model once what is wrong with an answer that does not follow the schema.
    :param generation_config: fields of ``google.genai.types.GenerateContentConfig``, as in
        ``{"temperature": 0, "max_output_tokens": 2000}`` (templated).
    :param on_max_tokens: ``"keep"`` returns the text of an answer that was cut at its limit of tokens; with a schema,
        a cut answer fails all the same.
    :param max_input_tokens: fail before anything is spent where the question has more tokens (templated).
    :param output_path: where the answer is written, as UTF-8 text or as JSON: a local path, or a URI that Airflow's
        ObjectStoragePath takes. What is there is replaced (templated).
    :param output_conn_id: connection of the object storage; its provider's default where None (templated).
    :param reupload_expired: upload a file again which is gone, from the source that its metadata names.
    """

    template_fields: Sequence[str] = (
        *_QuestionOperator.template_fields,
        "generation_config",
        "max_input_tokens",
        "output_path",
        "output_conn_id",
    )
    template_fields_renderers = {  # noqa: RUF012
        **_QuestionOperator.template_fields_renderers,
        "generation_config": "json",
    }

    def __init__(
        self,
        *,
        response_schema: Any = None,
        repair_answer: bool = False,
        generation_config: Mapping[str, Any] | None = None,
        on_max_tokens: OnMaxTokens = "fail",
        max_input_tokens: int | str | None = None,
        output_path: Any = None,
        output_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_max_tokens not in get_args(OnMaxTokens):
            raise GeminiInputError(f"on_max_tokens is 'fail' or 'keep'; got {on_max_tokens!r}.")
        self.response_schema = response_schema
        self.repair_answer = repair_answer
        self.generation_config = generation_config
        self.on_max_tokens = on_max_tokens
        self.max_input_tokens = max_input_tokens
        self.output_path = output_path
        self.output_conn_id = output_conn_id

    def execute(self, context: Context) -> Any:
        """Look up the files, ask, judge, and account."""
        # All that can be refused is refused before anything is sent.
        question = self._question()
        schema = None if self.response_schema is None else Schema.of(self.response_schema)
        content_config(self.generation_config, self.system_instruction, schema)
        output = Output(self.output_path, self.output_conn_id) if self.output_path else None
        files = self._files(question, context)
        self._check_input(question, files, context)
        response: dict[str, Any] = {}
        ask = partial(self._ask, files=files, schema=schema, response=response, context=context)
        answer = self._answer(question, schema, ask)
        if output is None:
            return self._fitting(answer)
        text = _as_text(answer)
        try:
            output.write(text)
        except Exception:
            self._rescue(text)
            raise
        lineage.written(self.hook, output.uri)
        self.log.info("The answer, %s, is in %s", human_bytes(len(text.encode())), output.uri)
        context["ti"].xcom_push("response", response | {"output": output.uri, "head": text[:_HEAD]})
        return output.uri

    def _check_input(self, question: Contents, files: list[GeminiFile], context: Context) -> None:
        # A template that is empty sets no limit.
        if self.max_input_tokens in (None, ""):
            return
        try:
            most = int(str(self.max_input_tokens))
        except ValueError as error:
            raise GeminiInputError(f"max_input_tokens is a whole number, got {self.max_input_tokens!r}.") from error
        tokens = self._count(question, files, context)
        if tokens > most:
            raise GeminiInputError(
                f"The question has {tokens} tokens, and max_input_tokens is {most}: nothing was asked, nothing spent. "
                "Show less, cut a video with start, end or fps, lower media_resolution, or raise the limit."
            )
        self.log.info("The question has %d tokens of at most %d", tokens, most)

    def _answer(self, question: Contents, schema: Schema | None, ask: Callable[[Contents], str]) -> Any:
        """Ask until there is an answer of use: once, or twice where an answer is to be repaired."""
        text = ask(question)
        if schema is None:
            return text
        value, wrong = schema.judge(text)
        if wrong and self.repair_answer:
            self.log.warning("The answer does not follow response_schema, asking once more: %s", wrong)
            text = ask(question.continued(text, _REPAIR.format(wrong=wrong)))
            value, wrong = schema.judge(text)
        if wrong:
            told = "; ".join(wrong.splitlines())
            raise GeminiUnusableAnswerError(
                f"The answer does not follow response_schema: {told}. It begins: {text[:_HEAD]!r}. A retry asks again."
            )
        return value

    def _ask(
        self,
        question: Contents,
        *,
        files: list[GeminiFile],
        schema: Schema | None,
        response: dict[str, Any],
        context: Context,
    ) -> str:
        """Ask once, and account for it before the answer is judged: a useless one has been paid for, too."""
        generate = partial(
            self.hook.generate_content,
            question,
            model=self.model,
            system_instruction=self.system_instruction,
            generation_config=self.generation_config,
            schema=schema,
        )
        answer = self._healing(files, generate, question, context)
        response["files"] = [file.name for file in files]
        response["model_version"] = answer.model_version
        response["finish_reason"] = answer.finish_reason
        response["usage"] = sum_of(response["usage"], answer.usage) if "usage" in response else answer.usage
        if answer.sources:
            response["sources"] = each_once([*response.get("sources", []), *answer.sources])
        context["ti"].xcom_push("response", response)
        self.log.info("%s answered (%s): %s", answer.model_version, answer.finish_reason, in_words(answer.usage))
        for kind, modality, count in counts(answer.usage):
            tags = {"model": str(answer.model_version), "modality": modality}
            Stats.incr(f"gemini_files.generate.{kind}_tokens", count, tags=tags)
        text = answer.usable_text(keep_cut=self.on_max_tokens == "keep" and schema is None)
        if answer.finish_reason == CUT:
            self.log.warning("The answer was cut at its limit of tokens; what there is of it is kept.")
        return text

    def _fitting(self, answer: Any) -> Any:
        """Return an answer that fits into XCom."""
        size = len(json.dumps(answer).encode())
        if size <= MAX_XCOM_BYTES or not self.do_xcom_push:
            return answer
        self._rescue(_as_text(answer))
        raise GeminiInputError(
            f"The answer has {human_bytes(size)}, more than the {human_bytes(MAX_XCOM_BYTES)} that XCom is to hold: "
            "give an output_path. The answer has been paid for; it stands in the log of this try."
        )

    def _rescue(self, text: str) -> None:
        """Keep an answer that has been paid for, and that nothing else holds."""
        self.log.warning("::group::The answer")
        for line in text.splitlines():
            self.log.warning("%s", line)
        self.log.warning("::endgroup::")


class GeminiCountTokensOperator(_QuestionOperator):
    """
    Return how many tokens a question has, which costs nothing.

    The system instruction is counted, tools and a schema are not.

    :param prompt: as for :class:`GeminiGenerateContentOperator`, as are ``files``, ``contents``, ``model``,
        ``system_instruction`` and ``reupload_expired`` (templated).
    """

    def execute(self, context: Context) -> int:
        """Look up the files, and count."""
        question = self._question()
        tokens = self._count(question, self._files(question, context), context)
        self.log.info("The question has %d tokens", tokens)
        return tokens


def _as_text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
