from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_gemini_files.common.limits import MAX_INLINE_BYTES
from airflow_provider_gemini_files.content.contents import Contents
from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.reference import GeminiFile


def file(name: str) -> GeminiFile:
    return GeminiFile(name, uri=f"https://host/v1beta/{name}", mime_type="video/mp4")


def turns_of(**given_: object) -> list[dict]:
    contents = Contents.parse(**given_)
    return contents.turns({name: file(name) for name in contents.names})


def data_of(name: str) -> dict:
    return {"fileUri": f"https://host/v1beta/files/{name}", "mimeType": "video/mp4"}


def test_contents_come_before_files_and_files_before_the_prompt():
    assert turns_of(prompt="why?", files=["files/a", {"name": "files/b"}], contents="first") == [
        {"role": "user", "parts": [{"text": "first"}, {"fileData": data_of("a")}, {"fileData": data_of("b")},
                                   {"text": "why?"}]}
    ]  # fmt: skip


def test_turns_keep_their_roles_and_examples_come_before_the_prompt():
    examples = [
        {"role": "user", "parts": [{"file": "files/a"}, "what?"]},
        {"role": "model", "parts": "a cat"},
        "and",
        "now",
    ]

    assert turns_of(contents=examples, files="files/b", prompt="what?") == [
        {"role": "user", "parts": [{"fileData": data_of("a")}, {"text": "what?"}]},
        {"role": "model", "parts": [{"text": "a cat"}]},
        {"role": "user", "parts": [{"text": "and"}, {"text": "now"}, {"fileData": data_of("b")}, {"text": "what?"}]},
    ]


def test_turns_of_the_same_role_are_not_merged():
    turns = turns_of(contents=[{"parts": ["a"]}, {"role": "user", "parts": ["b"]}], prompt="c")

    assert [turn["parts"] for turn in turns] == [[{"text": "a"}], [{"text": "b"}], [{"text": "c"}]]


@pytest.mark.parametrize(
    "form",
    [
        "files/a",
        "https://host/v1beta/files/a",
        {"name": "files/a"},
        {"file": "files/a"},
        {"file": "a"},
        {"file": {"name": "files/a"}},
        ["files/a"],
        (["files/a"],),
        file("files/a"),
    ],
)
@pytest.mark.parametrize("where", ["files", "contents"])
def test_file_is_accepted_in_any_form(form, where):
    assert turns_of(prompt="?", **{where: form})[0]["parts"][0] == {"fileData": data_of("a")}


@pytest.mark.parametrize("text", ["files/a and files/b", "about files/a", "Files/A"])
def test_text_that_mentions_a_file_is_a_text(text):
    assert turns_of(contents=text) == [{"role": "user", "parts": [{"text": text}]}]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (
            {"video": {"start": 10, "end": "25s", "fps": 2}},
            {"videoMetadata": {"startOffset": "10s", "endOffset": "25s", "fps": 2.0}},
        ),
        ({"video": {"start": "1.5"}}, {"videoMetadata": {"startOffset": "1.5s"}}),
        ({"video": {"fps": 0.5}}, {"videoMetadata": {"fps": 0.5}}),
        ({"media_resolution": "low"}, {"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}),
        ({"media_resolution": "MEDIA_RESOLUTION_HIGH"}, {"mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
    ],
)
@pytest.mark.parametrize("where", ["files", "contents"])
def test_video_section_and_resolution_are_sent_with_the_file(options, sent, where):
    assert turns_of(prompt="?", **{where: [{"file": "files/a", **options}]})[0]["parts"][0] == {
        "fileData": data_of("a"),
        **sent,
    }


@pytest.mark.parametrize(
    ("url", "mime_type"),
    [
        ("https://www.youtube.com/watch?v=9hE5-98ZeCg", None),
        ("https://host/report.pdf?signature=x", "application/pdf"),
        ("gs://bucket/clip.mp4", "video/mp4"),
    ],
)
def test_urls_are_sent_with_the_type_of_their_suffix(url, mime_type):
    data = {"fileUri": url} | ({"mimeType": mime_type} if mime_type else {})

    assert turns_of(contents={"url": url}, prompt="?")[0]["parts"][0] == {"fileData": data}
    assert turns_of(files={"url": url, "mime_type": "text/html"}, prompt="?")[0]["parts"][0] == {
        "fileData": {"fileUri": url, "mimeType": "text/html"}
    }


@pytest.mark.parametrize("data", [b"%PDF-1.4 x", base64.b64encode(b"%PDF-1.4 x").decode()])
def test_inline_bytes_are_sent_with_the_type_of_their_content(data):
    assert turns_of(contents=[{"data": data}], prompt="?")[0]["parts"][0] == {
        "inlineData": {"data": b"%PDF-1.4 x", "mimeType": "application/pdf"}
    }


def test_inline_bytes_over_the_limit_are_refused():
    half = {"data": b"x" * (MAX_INLINE_BYTES // 2 + 1), "mime_type": "text/plain"}

    assert turns_of(contents=[half])
    with pytest.raises(GeminiInputError, match=r"more than 70\.0 MiB: upload it"):
        turns_of(contents=[half, half])


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "nothing to send"),
        ({"files": "files/a"}, "nothing to send"),
        ({"prompt": ""}, "prompt must be a text"),
        ({"prompt": ["a"]}, "prompt must be a text"),
        ({"contents": []}, "contents is empty"),
        ({"contents": [" "]}, r"contents\[0\] is an empty text"),
        ({"prompt": "?", "files": []}, "files is an empty list"),
        ({"prompt": "?", "files": [None]}, r"files\[0\] is None"),
        ({"prompt": "?", "files": "no file"}, "is not a Gemini file"),
        ({"prompt": "?", "files": {"file": None}}, "A Gemini file must be"),
        ({"prompt": "?", "files": {}}, r"files\[0\] is an empty dict"),
        ({"contents": ["a", 5]}, r"contents\[1\] is 5"),
        ({"contents": b"bytes"}, r"contents\[0\] is b'bytes'"),
        ({"contents": {"text": "a"}}, r"contents\[0\] is a dict with text; a part is a text"),
        ({"contents": {"file": "files/a", "fps": 2}}, "unknown fps; known are file, media_resolution, video"),
        ({"contents": {"role": "system", "parts": "a"}}, "role must be one of user, model; got 'system'"),
        ({"contents": {"role": "user", "parts": []}}, "at least one part"),
        ({"contents": {"role": "user"}}, "at least one part"),
        ({"contents": {"role": "user", "parts": "a", "text": "b"}}, "unknown text"),
        ({"contents": {"role": "user", "parts": ["a", 7]}}, r"contents\[0\]\.parts\[1\] is 7"),
        ({"contents": {"file": "files/a", "video": 5}}, r"contents\[0\]\.video must be .*, got 5"),
        ({"contents": {"file": "files/a", "video": {"from": 5}}}, r"\.video: unknown from"),
        ({"contents": {"file": "files/a", "video": {"start": "soon"}}}, r"\.video\.start must be a number like 10"),
        ({"contents": {"file": "files/a", "video": {"start": -1}}}, r"\.video\.start must be a number like 10"),
        ({"contents": {"file": "files/a", "video": {"start": 5, "end": 5}}}, "end must be after start 5, got 5"),
        ({"contents": {"file": "files/a", "video": {"fps": 30}}}, r"at most 24 frames per second, got 30"),
        ({"contents": {"file": "files/a", "media_resolution": "best"}}, "low, medium, high, ultra_high; got 'best'"),
        ({"contents": {"url": "ftp://user:secret@host/a?key=secret#secret"}}, r"must begin with https:// or gs://, got 'ftp://host/a'"),
        ({"contents": {"url": "https://[host/a"}}, r"must begin with https:// or gs://"),
        ({"contents": {"url": None}}, "must begin with https:// or gs://"),
        ({"contents": {"data": "no base64!"}}, "this text is not base64"),
        ({"contents": {"data": b""}}, "not empty"),
        ({"contents": {"data": b"\x00\x01"}}, r"'contents\[0\]' cannot be detected.*set mime_type"),
        ({"prompt": "?", "files": "https://user:x@youtu.be/abc?t=1"}, "'https://youtu.be/abc' is not .*'url'"),
    ],
)  # fmt: skip
def test_invalid_contents_are_refused_with_their_place(given_, message):
    with pytest.raises(GeminiInputError, match=message):
        Contents.parse(**given_)


def test_repeated_file_is_looked_up_once_and_keeps_its_metadata():
    metadata = {"name": "files/a", "display_name": "x"}
    contents = Contents.parse("?", ["files/a", metadata, "files/a"])

    assert contents.files == {"files/a": metadata}
    assert len(contents.turns({"files/a": file("files/z")})[0]["parts"]) == 4


def test_contents_are_extended_by_answer_and_follow_up_prompt():
    contents = Contents.parse("why?", "files/a").continued("so", "really?")

    assert contents.names == ["files/a"]
    assert [turn["role"] for turn in contents.turns({"files/a": file("files/a")})] == ["user", "model", "user"]


texts = st.text(min_size=1).filter(lambda text: text.strip() and not text.strip().startswith(("files/", "http")))
turns = st.builds(lambda role, text: {"role": role, "parts": [text]}, st.sampled_from(["user", "model"]), texts)


@given(st.lists(texts | turns, min_size=1))
def test_all_texts_are_kept_in_order(items):
    read = Contents.parse(contents=items).turns({})

    flat = [(turn["role"], part["text"]) for turn in read for part in turn["parts"]]
    assert flat == [("user", item) if isinstance(item, str) else (item["role"], item["parts"][0]) for item in items]


class TestContentsBesideOthers:
    VIEW = {"file": "files/a", "video": {"start": 1}}  # noqa: RUF012

    def test_are_read_back_from_their_turns(self):
        contents = Contents.parse("What?", ["files/b"], [{"role": "model", "parts": [self.VIEW, "text"]}])

        again = Contents.of_turns(contents.by_name())

        assert again.by_name() == contents.by_name()
        assert again.names == ["files/a", "files/b"]

    def test_leave_out_files_that_others_show_in_the_same_way(self):
        contents = Contents.parse("What?", ["files/a", {"name": "files/b"}, self.VIEW, "files/c"])

        rest = contents.without_files_of(Contents.parse(None, ["files/b", "files/a"], ["What?"]))

        assert rest.by_name()[0]["parts"] == [
            {"file": "files/a", "videoMetadata": {"startOffset": "1s"}}, {"file": "files/c"}, {"text": "What?"},
        ]  # fmt: skip
        assert rest.names == ["files/a", "files/c"]

    def test_have_no_turn_without_parts(self):
        contents = Contents.parse("What?", None, [{"role": "model", "parts": ["files/a"]}])

        rest = contents.without_files_of(Contents.parse(None, "files/a", []))

        assert rest.by_name() == [{"role": "user", "parts": [{"text": "What?"}]}]

    def test_follow_others_with_the_files_of_both(self):
        both = Contents.parse("What?", "files/b").after(Contents.parse(None, "files/a", []))

        assert [part for turn in both.by_name() for part in turn["parts"]] == [
            {"file": "files/a"}, {"file": "files/b"}, {"text": "What?"},
        ]  # fmt: skip
        assert both.names == ["files/a", "files/b"]
