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


def shown(**given_: object) -> list[dict]:
    contents = Contents.parse(**given_)
    return contents.turns({name: file(name) for name in contents.names})


def data_of(name: str) -> dict:
    return {"fileUri": f"https://host/v1beta/files/{name}", "mimeType": "video/mp4"}


def test_files_come_before_the_prompt_and_after_the_contents():
    assert shown(prompt="why?", files=["files/a", {"name": "files/b"}], contents="first") == [
        {"role": "user", "parts": [{"text": "first"}, {"fileData": data_of("a")}, {"fileData": data_of("b")},
                                   {"text": "why?"}]}
    ]  # fmt: skip


def test_turns_keep_their_roles_and_examples_stand_before_the_question():
    examples = [
        {"role": "user", "parts": [{"file": "files/a"}, "what?"]},
        {"role": "model", "parts": "a cat"},
        "and",
        "now",
    ]

    assert shown(contents=examples, files="files/b", prompt="what?") == [
        {"role": "user", "parts": [{"fileData": data_of("a")}, {"text": "what?"}]},
        {"role": "model", "parts": [{"text": "a cat"}]},
        {"role": "user", "parts": [{"text": "and"}, {"text": "now"}, {"fileData": data_of("b")}, {"text": "what?"}]},
    ]


def test_a_turn_ends_where_the_next_begins():
    turns = shown(contents=[{"parts": ["a"]}, {"role": "user", "parts": ["b"]}], prompt="c")

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
def test_a_file_is_taken_in_any_form(form, where):
    assert shown(prompt="?", **{where: form})[0]["parts"][0] == {"fileData": data_of("a")}


@pytest.mark.parametrize("text", ["files/a and files/b", "about files/a", "Files/A"])
def test_a_text_that_speaks_of_a_file_is_a_text(text):
    assert shown(contents=text) == [{"role": "user", "parts": [{"text": text}]}]


@pytest.mark.parametrize(
    ("asked", "sent"),
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
def test_each_file_says_how_it_is_looked_at(asked, sent, where):
    assert shown(prompt="?", **{where: [{"file": "files/a", **asked}]})[0]["parts"][0] == {
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
def test_urls_are_shown_and_their_type_is_told_from_the_path(url, mime_type):
    data = {"fileUri": url} | ({"mimeType": mime_type} if mime_type else {})

    assert shown(contents={"url": url}, prompt="?")[0]["parts"][0] == {"fileData": data}
    assert shown(files={"url": url, "mime_type": "text/html"}, prompt="?")[0]["parts"][0] == {
        "fileData": {"fileUri": url, "mimeType": "text/html"}
    }


@pytest.mark.parametrize("data", [b"%PDF-1.4 x", base64.b64encode(b"%PDF-1.4 x").decode()])
def test_inline_bytes_are_shown_and_their_type_is_looked_up(data):
    assert shown(contents=[{"data": data}], prompt="?")[0]["parts"][0] == {
        "inlineData": {"data": b"%PDF-1.4 x", "mimeType": "application/pdf"}
    }


def test_more_inline_bytes_than_a_request_takes_are_refused():
    half = {"data": b"x" * (MAX_INLINE_BYTES // 2 + 1), "mime_type": "text/plain"}

    assert shown(contents=[half])
    with pytest.raises(GeminiInputError, match=r"more than 14\.0 MiB: upload it"):
        shown(contents=[half, half])


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({}, "nothing to ask"),
        ({"files": "files/a"}, "nothing to ask"),
        ({"prompt": ""}, "prompt is a text"),
        ({"prompt": ["a"]}, "prompt is a text"),
        ({"contents": []}, "contents is empty"),
        ({"contents": [" "]}, r"contents\[0\] is an empty text"),
        ({"prompt": "?", "files": []}, "files is an empty list"),
        ({"prompt": "?", "files": [None]}, r"files\[0\] is None"),
        ({"prompt": "?", "files": "no file"}, "is not a Gemini file"),
        ({"prompt": "?", "files": {"file": None}}, "A Gemini file is given as"),
        ({"prompt": "?", "files": {}}, r"files\[0\] is a dict with nothing in it"),
        ({"contents": ["a", 5]}, r"contents\[1\] is 5"),
        ({"contents": b"bytes"}, r"contents\[0\] is b'bytes'"),
        ({"contents": {"text": "a"}}, r"contents\[0\] is a dict with text; a part is a text"),
        ({"contents": {"file": "files/a", "fps": 2}}, "unknown fps; there are file, media_resolution, video"),
        ({"contents": {"role": "system", "parts": "a"}}, "a role is one of user, model; got 'system'"),
        ({"contents": {"role": "user", "parts": []}}, "at least one part"),
        ({"contents": {"role": "user"}}, "at least one part"),
        ({"contents": {"role": "user", "parts": "a", "text": "b"}}, "unknown text"),
        ({"contents": {"role": "user", "parts": ["a", 7]}}, r"contents\[0\]\.parts\[1\] is 7"),
        ({"contents": {"file": "files/a", "video": 5}}, r"contents\[0\]\.video is"),
        ({"contents": {"file": "files/a", "video": {"from": 5}}}, r"\.video: unknown from"),
        ({"contents": {"file": "files/a", "video": {"start": "soon"}}}, r"\.video\.start is a number like 10"),
        ({"contents": {"file": "files/a", "video": {"start": -1}}}, r"\.video\.start is a number like 10"),
        ({"contents": {"file": "files/a", "video": {"start": 5, "end": 5}}}, "which is not after its start 5"),
        ({"contents": {"file": "files/a", "video": {"fps": 30}}}, r"at most 24 frames a second, got 30"),
        ({"contents": {"file": "files/a", "media_resolution": "best"}}, "low, medium, high, ultra_high; got 'best'"),
        ({"contents": {"url": "ftp://host/a?key=secret"}}, r"begins with https:// or gs://, got 'ftp://host/a'"),
        ({"contents": {"url": None}}, "begins with https:// or gs://"),
        ({"contents": {"data": "no base64!"}}, "this text is none"),
        ({"contents": {"data": b""}}, "not empty"),
        ({"contents": {"data": b"\x00\x01"}}, "pass mime_type"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_with_its_place(given_, told):
    with pytest.raises(GeminiInputError, match=told):
        Contents.parse(**given_)


def test_a_file_that_is_shown_twice_is_looked_up_once_and_its_metadata_kept():
    metadata = {"name": "files/a", "display_name": "x"}
    contents = Contents.parse("?", ["files/a", metadata, "files/a"])

    assert contents.files == {"files/a": metadata}
    assert len(contents.turns({"files/a": file("files/z")})[0]["parts"]) == 4


def test_a_talk_is_continued():
    talk = Contents.parse("why?", "files/a").continued("so", "really?")

    assert talk.names == ["files/a"]
    assert [turn["role"] for turn in talk.turns({"files/a": file("files/a")})] == ["user", "model", "user"]


texts = st.text(min_size=1).filter(lambda text: text.strip() and not text.strip().startswith(("files/", "http")))
turns = st.builds(lambda role, text: {"role": role, "parts": [text]}, st.sampled_from(["user", "model"]), texts)


@given(st.lists(texts | turns, min_size=1))
def test_no_text_is_lost_and_the_order_stays(items):
    read = Contents.parse(contents=items).turns({})

    flat = [(turn["role"], part["text"]) for turn in read for part in turn["parts"]]
    assert flat == [("user", item) if isinstance(item, str) else (item["role"], item["parts"][0]) for item in items]
