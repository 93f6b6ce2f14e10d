"""The requests of a batch: read in three ways, joined by keys, split into parts, and known by a digest."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from airflow_provider_gemini_files.batches.requests import (
    BatchRequest,
    BatchRequests,
    Words,
    from_files,
    from_lines,
    from_list,
    parts_of,
)
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile

MIB = 1024**2


class Count(BaseModel):
    crates: int


class Level(Enum):
    LOW = "low"
    HIGH = "high"


def of_list(*requests: Any, **words: Any) -> list[BatchRequest]:
    return list(BatchRequests(from_list(requests), Words(**words)))


def of_lines(text: str | bytes, **words: Any) -> list[BatchRequest]:
    data = text.encode() if isinstance(text, str) else text
    return list(BatchRequests(from_lines(lambda: io.BytesIO(data), "file:///in.jsonl"), Words(**words)))


def of_files(*labelled: tuple[str, str | None], **words: Any) -> list[BatchRequest]:
    """Return the requests for files with the names of their sources."""
    labels = dict(labelled)
    return list(BatchRequests(from_files(labels, labels.get), Words(**{"prompt": "what?", **words})))


def keys(requests: Iterable[BatchRequest]) -> list[str]:
    return [one.key for one in requests]


def prompt_of(one: BatchRequest) -> str:
    return one.request.contents.by_name()[-1]["parts"][-1]["text"]


class TestThreeWays:
    def test_one_request_for_each_file(self):
        requests = of_files(("files/a", "a.pdf"), ("files/b", "b.pdf"))

        assert keys(requests) == ["a.pdf", "b.pdf"]
        assert [one.request.contents.names for one in requests] == [["files/a"], ["files/b"]]
        assert [prompt_of(one) for one in requests] == ["what?", "what?"]

    def test_list_of_prompts_and_dicts(self):
        requests = of_list("one", {"prompt": "two"}, {"key": "third", "files": "files/c"}, prompt="what?")

        assert keys(requests) == ["0", "1", "third"]
        assert [prompt_of(one) for one in requests] == ["one", "two", "what?"]
        assert requests[2].request.contents.names == ["files/c"]

    def test_lines_of_json(self):
        requests = of_lines('{"prompt": "one"}\n\n  \r\n"two"\n{"key": 5, "contents": ["three"]}')

        assert keys(requests) == ["0", "1", "5"]
        assert [prompt_of(one) for one in requests] == ["one", "two", "three"]

    def test_byte_order_mark_and_windows_line_ends_are_accepted(self):
        assert keys(of_lines(b'\xef\xbb\xbf{"key": "a", "prompt": "x"}\r\n{"key": "b", "prompt": "x"}\r\n')) == [
            "a",
            "b",
        ]

    def test_each_iteration_reads_the_requests_again(self):
        opened = []

        def lines() -> Iterator[bytes]:
            opened.append(1)
            yield b'"x"\n'

        requests = BatchRequests(from_lines(lines, "in"))

        assert (keys(requests), keys(requests)) == (["0"], ["0"])
        assert len(opened) == 2

    def test_some_requests_are_chosen_by_key(self):
        requests = BatchRequests(from_list(["a", "b", "c"])).only(["2", "0", "unknown"])

        assert keys(requests) == ["0", "2"]


class TestSentKeys:
    def test_file_is_known_to_the_service_by_its_place(self):
        requests = of_files(("files/a", "a.pdf"), ("files/b", None), ("files/c", "#1"))

        assert [(one.key, one.sent_key) for one in requests] == [("a.pdf", "#0"), ("1", "#1"), ("#1", "#2")]

    def test_request_of_a_list_is_known_by_its_own_key_or_its_place(self):
        requests = of_list("one", {"key": "second", "prompt": "two"}, {"key": 7, "prompt": "three"})

        assert [(one.key, one.sent_key) for one in requests] == [("0", "0"), ("second", "second"), ("7", "7")]

    def test_line_is_known_by_its_own_key_or_its_place(self):
        requests = of_lines('"one"\n\n{"key": "second", "prompt": "two"}\n"three"')

        assert [(one.key, one.sent_key) for one in requests] == [("0", "0"), ("second", "second"), ("2", "2")]


class TestWords:
    def test_words_of_the_batch_hold_for_each_request(self):
        [one] = of_list(
            {},
            prompt="what?",
            files=["files/a"],
            system_instruction="Be brief.",
            generation_config={"temperature": 0},
            response_schema=Count,
            model="m",
        )

        assert (prompt_of(one), one.request.contents.names) == ("what?", ["files/a"])
        assert one.request.system_instruction == "Be brief."
        assert one.request.generation_config == {"temperature": 0}
        assert one.request.schema.json_schema == Count.model_json_schema()

    def test_words_of_a_request_have_priority(self):
        [one] = of_list(
            {
                "prompt": "own",
                "files": "files/b",
                "system_instruction": "Own.",
                "generation_config": {"seed": 1},
                "response_schema": {"type": "string"},
            },
            prompt="what?",
            files="files/a",
            system_instruction="Be brief.",
            generation_config={"temperature": 0},
            response_schema=Count,
        )

        assert (prompt_of(one), one.request.contents.names) == ("own", ["files/b"])
        assert (one.request.system_instruction, one.request.generation_config) == ("Own.", {"seed": 1})
        assert one.request.schema.json_schema == {"type": "string"}

    def test_null_in_a_request_means_that_nothing_is_said(self):
        [one] = of_list({"prompt": None, "files": None, "key": None, "model": None}, prompt="what?")

        assert (one.key, prompt_of(one)) == ("0", "what?")

    @pytest.mark.parametrize("nothing", ["", "None"])
    @pytest.mark.parametrize(
        "word", ["prompt", "files", "contents", "system_instruction", "generation_config", "response_schema"]
    )
    def test_empty_text_and_that_of_a_null_in_a_template_say_nothing(self, word, nothing):
        assert digest({word: nothing}, **BASE) == digest({}, **BASE)

    @pytest.mark.parametrize("given", ["None", "", {"prompt": "None"}, {"prompt": ""}])
    def test_prompt_that_says_nothing_is_no_request(self, given):
        with pytest.raises(GeminiInputError, match=r"requests\[0\]: There is nothing to send"):
            of_list(given)

    def test_schema_of_the_batch_is_read_once(self):
        first, second = of_list("a", "b", response_schema=Count)

        assert first.request.schema is second.request.schema

    @pytest.mark.parametrize("model", [None, "", "gemini-2.5-flash", "models/gemini-2.5-flash"])
    @pytest.mark.parametrize("prefix", ["", "models/"])
    def test_request_may_repeat_the_model_of_the_batch(self, model, prefix):
        assert keys(of_list({"prompt": "x", "model": model}, model=f"{prefix}gemini-2.5-flash")) == ["0"]


class TestRefusedRequests:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (5, "requests[1] must be a prompt or a dict with key, prompt"),
            (None, "requests[1] must be a prompt or a dict"),
            (["x"], "requests[1] must be a prompt or a dict"),
            (
                {"promt": "x", "custom_id": "a"},
                "requests[1]: unknown custom_id, promt; known are contents, file_search, files",
            ),
            ({"model": "other"}, "requests[1] asks for the model 'other': all requests of a batch go to one model"),
            ({"prompt": " "}, "requests[1]: prompt must be a text that is not empty"),
            ({"prompt": 5}, "requests[1]: prompt must be a text that is not empty"),
            ({"files": []}, "requests[1]: files is an empty list"),
            ({"files": "not/a/file"}, "requests[1]: files[0]: 'not/a/file' is not a Gemini file"),
            ({"generation_config": "hot"}, "requests[1]: generation_config must be a dict"),
            ({"system_instruction": 5}, "requests[1]: system_instruction must be a text"),
            ({"response_schema": {"type": "OBJECT"}}, "requests[1]: response_schema is not a valid JSON schema"),
            ({"generation_config": {"http_options": {}}}, "requests[1]: generation_config has http_options"),
            ({"key": ""}, "requests[1]: key must be a non-empty text without control characters"),
            ({"key": " "}, "requests[1]: key must be a non-empty text without control characters"),
            ({"key": "a\nb"}, "requests[1]: key must be a non-empty text without control characters"),
            ({"key": "\ud800"}, "requests[1]: key must be a non-empty text without control characters"),
            ({"key": True}, "requests[1]: key must be a non-empty text without control characters"),
            ({"key": 1.5}, "requests[1]: key must be a non-empty text without control characters"),
        ],
    )
    def test_request_that_cannot_be_used_is_named(self, given, words):
        with pytest.raises(GeminiInputError) as raised:
            of_list("first", given, prompt="what?", model="gemini-2.5-flash")

        assert words in str(raised.value)

    def test_request_that_asks_nothing_is_refused(self):
        with pytest.raises(GeminiInputError, match=r"requests\[0\]: There is nothing to send"):
            of_list({"key": "a"})

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('"a"\n\n{"prompt": }\n', "line 3 of file:///in.jsonl is not JSON: Expecting value"),
            (b'"a"\n"\xff"\n', "line 2 of file:///in.jsonl is not JSON: 'utf-8' codec can't decode"),
            ('"a"\n{"prompt": "x", "id": 1}', "line 2 of file:///in.jsonl: unknown id; known are"),
            ("5", "line 1 of file:///in.jsonl must be a prompt or a dict"),
            ("[" * 100_000, "line 1 of file:///in.jsonl is not JSON"),
        ],
    )
    def test_line_that_cannot_be_used_is_named_by_its_number(self, text, words):
        with pytest.raises(GeminiInputError) as raised:
            of_lines(text)

        assert words in str(raised.value)

    def test_error_quotes_no_more_than_the_beginning_of_a_large_request(self):
        with pytest.raises(GeminiInputError) as raised:
            of_list(["x" * 100_000])

        assert len(str(raised.value)) < 1000


class TestKeys:
    @pytest.mark.parametrize(
        ("requests", "words"),
        [
            ([{"key": "a"}, {"key": "a"}], "requests[1] has the key 'a', as has requests[0]: a key links an answer"),
            (["x", "y", {"key": "1"}], "requests[2] has the key '1', as has requests[1]"),
            ([{"key": 1}, "y"], "requests[1] has the key '1', as has requests[0]"),
        ],
    )
    def test_key_that_comes_twice_is_refused_with_both_places(self, requests, words):
        with pytest.raises(GeminiInputError) as raised:
            of_list(*requests, prompt="what?")

        assert words in str(raised.value)

    @pytest.mark.parametrize(
        "key",
        ["a  b.txt", " lead", "None", "請求書\u30001.txt", "👨\u200d👩\u200d👧.txt", "e\u0301", 'a"b\\c', "k" * 5000],
        ids=ascii,
    )
    def test_key_can_be_any_text_without_control_characters(self, key):
        assert keys(of_list({"key": key, "prompt": "x"})) == [key]

    def test_key_that_comes_twice_in_a_file_is_refused_with_both_lines(self):
        with pytest.raises(
            GeminiInputError, match=r"line 3 of file:///in.jsonl has the key 'a', as has line 1 of file"
        ):
            of_lines('{"key": "a", "prompt": "x"}\n\n{"key": "a", "prompt": "y"}')

    def test_key_is_the_name_of_the_source_or_the_place_of_the_file(self):
        assert keys(of_files(("files/a", "a.pdf"), ("files/b", None), ("files/c", ""))) == ["a.pdf", "1", "2"]

    def test_sources_of_the_same_name_have_numbered_keys(self):
        files = [("files/a", "a.pdf"), ("files/b", "a.pdf"), ("files/c", "a.pdf (2)"), ("files/d", "a.pdf")]

        assert keys(of_files(*files)) == ["a.pdf", "a.pdf (3)", "a.pdf (2)", "a.pdf (4)"]

    def test_place_of_a_file_does_not_collide_with_a_source_of_that_name(self):
        assert keys(of_files(("files/a", "1"), ("files/b", None))) == ["1", "1 (2)"]

    def test_keys_of_many_sources_of_one_name_are_found_fast(self):
        files = [(f"files/f{number}", "invoice.pdf") for number in range(20_000)]
        began = time.process_time()

        found = from_files([name for name, _ in files], dict(files).get)

        assert len({item.default_key for item in found()}) == 20_000
        assert time.process_time() - began < 5

    def test_order_of_the_sources_decides_the_keys(self):
        files = [("files/a", "x"), ("files/b", "x")]

        assert keys(of_files(*files)) == keys(of_files(*reversed(files))) == ["x", "x (2)"]


BASE: dict[str, Any] = {
    "prompt": "what?",
    "files": ["files/a"],
    "system_instruction": "Be brief.",
    "generation_config": {"temperature": 0.5, "seed": 1},
    "response_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
}


def digest(*requests: Any, **words: Any) -> str:
    [part] = parts_of(of_list(*(requests or ["x"]), **words))
    return part.digest


class TestDigest:
    @pytest.mark.parametrize(
        "change",
        [
            {"prompt": "what then?"},
            {"files": ["files/b"]},
            {"files": ["files/a", "files/b"]},
            {"files": [{"file": "files/a", "video": {"fps": 2}}]},
            {"contents": ["before"]},
            {"system_instruction": "Be long."},
            {"system_instruction": None},
            {"generation_config": {"temperature": 0.6, "seed": 1}},
            {"generation_config": None},
            {"response_schema": {"type": "object", "properties": {"b": {"type": "string"}}}},
            {"response_schema": None},
            {"key": "own"},
        ],
    )
    def test_digest_changes_with_everything_that_is_asked(self, change):
        assert digest({**BASE, **change}) != digest(BASE)

    def test_digest_changes_with_inline_data(self):
        asked = [{"contents": [{"data": data, "mime_type": "image/png"}]} for data in (b"one", b"two")]

        assert digest(asked[0]) != digest(asked[1])

    def test_digest_changes_with_the_order(self):
        one, two = {"key": "a", "prompt": "x"}, {"key": "b", "prompt": "y"}

        assert digest(one, two) != digest(two, one)

    def test_digest_is_the_same_wherever_a_word_was_written(self):
        assert digest(BASE) == digest({}, **BASE)

    def test_order_of_the_fields_of_a_configuration_does_not_count(self):
        reordered = {"generation_config": {"seed": 1, "temperature": 0.5}}

        assert digest({**BASE, **reordered}) == digest(BASE)

    @pytest.mark.parametrize(
        "form",
        [
            "files/a",
            GeminiFile("files/a", uri="https://host/v1beta/files/a", mime_type="text/plain", state="PROCESSING"),
            GeminiFile("files/a", uri="https://host/v1beta/files/a", display_name="a.txt", state="ACTIVE").to_dict(),
        ],
    )
    def test_metadata_of_a_file_does_not_count(self, form):
        assert digest({**BASE, "files": [form]}) == digest(BASE)

    @pytest.mark.parametrize("labels", [{}, {"files/a": "a.pdf"}, {"files/a": "x", "files/b": "x"}])
    def test_names_of_the_sources_do_not_count(self, labels):
        # They cannot be looked up any more once a file is gone, and its job has to be found all the same.
        read = from_files(["files/a", "files/b"], labels.get)
        [part] = parts_of(BatchRequests(read, Words(prompt="what?")))

        [known] = parts_of(of_files(("files/a", "a.pdf"), ("files/b", "b.pdf")))
        assert part == known

    def test_order_of_the_files_counts(self):
        assert len({part.digest for pair in ("ab", "ba") for part in parts_of(of_files(*((f, f) for f in pair)))}) == 2

    def test_digest_is_the_same_in_each_process(self):
        # The order of a set, and where an object is, differ from process to process.
        config = "{'stop_sequences': set('abcdefgh'), 'tools': [print, object()]}"
        code = (
            "from airflow_provider_gemini_files.batches.requests import *\n"
            f"print(parts_of(BatchRequests(from_list(['x']), Words(generation_config={config})))[0].digest)"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

        printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)

        assert printed.split()[-1] == digest("x", generation_config=eval(config))

    @pytest.mark.parametrize(
        ("value", "other"),
        [(Level.LOW, Level.HIGH), (Count(crates=1), Count(crates=2)), (b"one", b"two"), ({"a"}, {"b"}), (Count, Level)],
        ids=lambda value: type(value).__name__,
    )
    def test_digest_changes_with_values_that_are_no_json(self, value, other):
        known, changed = ({"generation_config": {"seed": one}} for one in (value, other))

        assert digest({**BASE, **known}) == digest({**BASE, **known}) != digest({**BASE, **changed})

    def test_digest_is_the_same_for_a_model_class_and_its_path(self):
        assert digest("x", response_schema=Count) == digest("x", response_schema=f"{__name__}.Count")


class TestParts:
    def test_all_requests_are_one_part_without_a_limit(self):
        [part] = parts_of(of_list("a", "b", "c"))

        assert (part.start, part.count, part.names) == (0, 3, ())

    @pytest.mark.parametrize(
        ("limit", "parts"),
        [
            (1, [(0, 1), (1, 1), (2, 1), (3, 1)]),
            (2, [(0, 2), (2, 2)]),
            (3, [(0, 3), (3, 1)]),
            (4, [(0, 4)]),
            (9, [(0, 4)]),
        ],
    )
    def test_requests_are_split(self, limit, parts):
        assert [(part.start, part.count) for part in parts_of(of_list(*"abcd"), limit)] == parts

    def test_each_part_names_its_files_in_order_without_duplicates(self):
        requests = of_list({"files": ["files/b", "files/a"]}, {"files": "files/a"}, {"files": "files/c"}, prompt="x")

        first, second = parts_of(requests, 2)

        assert (first.names, second.names) == (("files/b", "files/a"), ("files/c",))

    def test_digest_of_a_part_is_of_its_own_requests(self):
        whole, changed = parts_of(of_list(*"abcd"), 2), parts_of(of_list(*"abcx"), 2)

        assert whole[0].digest == changed[0].digest
        assert whole[1].digest != changed[1].digest

    def test_batch_without_requests_is_refused(self):
        with pytest.raises(GeminiInputError, match="The batch has no requests"):
            parts_of(of_list())


class TestMemory:
    def test_requests_are_read_one_by_one(self):
        # 100 MB, of which only the keys stay.
        line = json.dumps({"prompt": "x" * 5000}).encode() + b"\n"
        requests = BatchRequests(from_lines(lambda: (line for _ in range(20_000)), "in"), Words(files=["files/a"]))

        tracemalloc.start()
        [part] = parts_of(requests)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert (part.count, part.names) == (20_000, ("files/a",))
        assert peak < 6 * MIB
