"""Sources that a request shows, from where they are to the model and the files that are left."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest
from airflow.sdk import ObjectStoragePath
from support import API_KEY, logged_by, sent_to_models

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.content.request import ModelRequest
from airflow_provider_gemini_files.content.ways import Candidate, Choice
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.hooks import shown_sources
from airflow_provider_gemini_files.hooks.ask import AskOptions
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.registration import Registration
from airflow_provider_gemini_files.hooks.shown_sources import SourceOptions
from airflow_provider_gemini_files.transfer import web
from airflow_provider_gemini_files.transfer.source import bytes_source

OWNER = Owner("a_dag", "manual__1", "ask")
URL = "https://example.com/papers/report.pdf?X-Signature=abcdef0123456789"
MIB = 1024**2


@pytest.fixture
def on_the_web(mocker):
    """Return a function that puts a document at any URL."""

    def put(size: int, name: str = "report.pdf") -> None:
        found = bytes_source(b"%PDF-1.4" + b" " * (size - 8), name)
        mocker.patch.object(web, "find", autospec=True, return_value=found)

    return put


@pytest.fixture
def ask(hook):
    """Return a function that asks a model about files, as an attempt of a task does."""

    def asked(files, *, prompt="what?", **options):
        request = ModelRequest.of(prompt=prompt, files=files)
        with hook.asking(request, AskOptions(sources=SourceOptions(owner=OWNER, **options))) as asking:
            return asking.run().response

    return asked


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def parts(emulator) -> list[dict]:
    """Return the parts of the last request to a model, without the prompt."""
    return sent_to_models(emulator)[-1]["contents"][0]["parts"][:-1]


class TestInline:
    def test_small_source_is_sent_with_the_request(self, emulator, ask, text_file):
        response = ask({"source": str(text_file)})

        data = base64.b64encode(text_file.read_bytes()).decode()
        assert parts(emulator) == [{"inlineData": {"data": data, "mimeType": "text/plain"}}]
        assert calls(emulator) == ["generate"]
        assert response["shown"] == [{"name": None, "display_name": "note.txt", "uploaded_from": str(text_file)}]
        assert response["files"] == []

    def test_view_and_type_of_a_part_are_kept(self, emulator, ask, video_file):
        ask({"source": str(video_file), "mime_type": "video/quicktime", "video": {"start": 1}})

        [part] = parts(emulator)
        assert part["videoMetadata"] == {"startOffset": "1s"}
        assert part["inlineData"]["mimeType"] == "video/quicktime"

    def test_source_that_changes_while_it_is_read_is_not_shown(self, emulator, ask, text_file, mocker):
        # After it was found, before it is read.
        mocker.patch.object(shown_sources, "choose", autospec=True, side_effect=_growing(text_file))

        with pytest.raises(e.GeminiInputError, match="changed while it was read"):
            ask({"source": str(text_file)})

        assert calls(emulator) == []


class TestUpload:
    def test_source_is_uploaded_shown_and_deleted(self, emulator, ask, text_file, hook):
        response = ask({"source": str(text_file), "via": "upload"})

        [part] = parts(emulator)
        assert part["fileData"]["mimeType"] == "text/plain"
        assert response["shown"][0]["uploaded_from"] == str(text_file)
        assert response["files"] == [response["shown"][0]["name"]]
        assert hook.list_files() == []

    def test_source_that_is_to_be_kept_belongs_to_the_task(self, emulator, ask, text_file, hook):
        ask({"source": str(text_file)}, via="upload", keep_files=True)

        [file] = hook.list_files()
        assert file.owner == OWNER

    def test_directory_is_shown_file_by_file(self, emulator, ask, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.txt").write_text(f"text {name}")

        response = ask({"source": str(tmp_path)}, via="upload")

        assert len(parts(emulator)) == 2
        assert [one["display_name"] for one in response["shown"]] == ["a.txt", "b.txt"]

    def test_same_source_shown_twice_is_uploaded_once(self, emulator, ask, text_file):
        ask([{"source": str(text_file)}, {"source": str(text_file), "video": {"fps": 2}}])

        assert calls(emulator).count("finalize") == 1
        assert len(parts(emulator)) == 2

    def test_video_is_waited_for(self, emulator, ask, video_file):
        ask({"source": str(video_file), "via": "upload"})

        assert calls(emulator)[-2:] == ["generate", "delete"]

    def test_next_attempt_uses_what_an_attempt_that_failed_has_uploaded(self, emulator, ask, text_file, hook):
        emulator.faults.add("generate", "status", status=503, times=2)
        with pytest.raises(e.GeminiServiceError):
            ask({"source": str(text_file)}, via="upload")
        assert len(hook.list_files()) == 1

        ask({"source": str(text_file)}, via="upload")

        assert calls(emulator).count("finalize") == 1
        assert hook.list_files() == []

    def test_nothing_is_left_after_an_error_that_no_retry_mends(self, emulator, ask, text_file, hook):
        emulator.answers.add(finish_reason="SAFETY")

        with pytest.raises(e.GeminiNoAnswerError):
            ask({"source": str(text_file)}, via="upload")

        assert hook.list_files() == []

    def test_file_that_goes_while_it_is_shown_is_uploaded_again(self, emulator, ask, text_file):
        emulator.faults.add("generate", "gone", times=5)

        ask({"source": str(text_file)}, via="upload")

        assert sent_to_models(emulator)

    def test_missing_file_is_found_before_anything_is_uploaded(self, emulator, ask, text_file):
        with pytest.raises(e.GeminiFileGoneError):
            ask(["files/missing", {"source": str(text_file)}], via="upload")

        assert calls(emulator) == ["get"]

    def test_source_may_be_a_path_object_or_a_sequence_of_xcom(self, emulator, ask, text_file):
        class XComs(Sequence):
            """As the XCom of a mapped task: its text changes once it is read."""

            def __init__(self, values):
                self.values, self.is_read = values, False

            def __len__(self):
                self.is_read = True
                return len(self.values)

            def __getitem__(self, at):
                return self.values[at]

            def __repr__(self):
                return f"XComs({self.is_read})"

        ask([{"source": XComs([str(text_file)])}, {"source": ObjectStoragePath(f"file://{text_file}")}])

        assert len(parts(emulator)) == 2

    def test_other_uploads_are_deleted_if_one_fails_for_good(self, emulator, ask, hook, tmp_path):
        for name in "abc":
            (tmp_path / f"{name}.txt").write_text(f"text {name}")
        emulator.faults.add("finalize", "wrong_hash", times=9)

        with pytest.raises(e.GeminiFilesError):
            ask({"source": str(tmp_path)}, via="upload")
        emulator.faults.clear()
        emulator.answers.add(finish_reason="SAFETY")
        with pytest.raises(e.GeminiNoAnswerError):
            ask({"source": str(tmp_path)}, via="upload")

        assert hook.list_files() == []

    def test_error_of_the_request_is_told_although_the_file_cannot_be_deleted(self, emulator, ask, hook, text_file):
        emulator.answers.add(finish_reason="SAFETY")
        emulator.faults.add("delete", "status", status=503, times=2)

        with pytest.raises(e.GeminiNoAnswerError):
            ask({"source": str(text_file)}, via="upload")

        assert len(hook.list_files()) == 1

    @pytest.mark.parametrize(("etag", "uploads"), [("1", 1), ("", 2)])
    def test_next_attempt_finds_the_upload_of_a_url_with_another_signature(self, emulator, ask, mocker, etag, uploads):
        def find(url, allow_private):
            shown = url.partition("?")[0]
            return replace(bytes_source(b"%PDF-1.4", "a.pdf"), uri=shown, fingerprint=(url, "8", etag))

        mocker.patch.object(web, "find", autospec=True, side_effect=find)

        for signature in "ab":
            ask({"source": f"https://example.com/a.pdf?{signature}"}, via="upload", keep_files=True)

        assert calls(emulator).count("finalize") == uploads

    def test_outside_of_a_task_nothing_is_left_either(self, emulator, hook, text_file):
        asked = hook.ask("what?", {"source": str(text_file), "via": "upload"})

        assert len(asked.response["files"]) == 1
        assert hook.list_files() == []


class TestUrl:
    def test_public_document_is_handed_on(self, emulator, ask, on_the_web):
        on_the_web(9 * MIB)

        response = ask({"source": URL})

        assert parts(emulator) == [{"fileData": {"fileUri": URL, "mimeType": "application/pdf"}}]
        assert calls(emulator) == ["generate"]
        assert "abcdef" not in str(response)

    def test_url_that_is_not_fetched_is_asked_twice_more_and_then_uploaded(self, emulator, ask, on_the_web, hook):
        on_the_web(9 * MIB)
        emulator.faults.add("generate", "url_unfetchable", times=3)

        response = ask({"source": URL})

        assert calls(emulator).count("generate") == 4
        assert "fileUri" in str(parts(emulator))
        assert "example.com" not in str(parts(emulator))
        assert response["files"]
        assert hook.list_files() == []

    def test_pdf_of_which_a_url_shows_no_pages_is_uploaded(self, emulator, ask, on_the_web):
        on_the_web(9 * MIB)
        body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The document has no pages."}}
        emulator.faults.add("generate", "status", status=400, body=body)

        response = ask({"source": URL})

        assert calls(emulator).count("generate") == 2
        assert response["files"]

    def test_url_that_is_fetched_at_the_second_request_is_not_uploaded(self, emulator, ask, on_the_web):
        on_the_web(9 * MIB)
        emulator.faults.add("generate", "url_unfetchable", times=1)

        ask({"source": URL})

        assert calls(emulator) == ["generate", "generate"]

    def test_repair_after_the_upload_shows_the_file_too(self, emulator, hook, on_the_web):
        on_the_web(9 * MIB)
        emulator.faults.add("generate", "url_unfetchable", times=3)
        emulator.answers.add('{"crates": "many"}')
        emulator.answers.add('{"crates": 5}')
        schema = {"type": "object", "properties": {"crates": {"type": "integer"}}}

        asked = hook.ask("how many?", {"source": URL}, response_schema=schema, repair_answer=True)

        assert asked.value == {"crates": 5}
        first, second = sent_to_models(emulator)[-2:]
        assert first["contents"][0] == second["contents"][0]

    def test_url_that_was_chosen_is_not_uploaded(self, emulator, ask):
        emulator.faults.add("generate", "url_unfetchable", times=3)

        with pytest.raises(e.GeminiUrlNotFetchedError, match=r"Cannot fetch.*A retry often succeeds") as told:
            ask({"source": URL, "via": "url"})

        assert "abcdef" not in str(told.value)
        assert calls(emulator) == ["generate"] * 3

    def test_video_of_youtube_is_left_to_the_service(self, emulator, ask):
        ask({"source": "https://www.youtube.com/watch?v=9hE5-98ZeCg"})

        assert parts(emulator) == [{"fileData": {"fileUri": "https://www.youtube.com/watch?v=9hE5-98ZeCg"}}]


class TestRegister:
    @pytest.fixture(autouse=True)
    def _of_the_project(self, no_google, monkeypatch):
        # The emulator takes each API key for a project of its own.
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", API_KEY)

    @pytest.fixture
    def talk(self, gcs):
        gcs.put(**{"talk.mp4": b"\0" * (9 * MIB)})
        return gcs.uri("talk.mp4")

    def test_object_is_registered_where_there_are_credentials(self, emulator, ask, hook, google, talk):
        response = ask({"source": talk})

        [file] = hook.list_files()
        assert file.is_registered
        assert parts(emulator) == [{"fileData": {"fileUri": file.uri, "mimeType": "video/mp4"}}]
        assert response["shown"] == [{"name": file.name, "display_name": "", "uploaded_from": talk}]
        assert {"start", "delete"}.isdisjoint(calls(emulator))

    def test_no_token_is_sent_to_a_gateway_unasked(self, emulator, connect, google, talk):
        connect(host="http://gateway.example.com")
        sources = GeminiFilesHook().shown_sources(SourceOptions(owner=OWNER))

        contents = sources.resolve(ModelRequest.of(prompt="what?", files={"source": talk}).contents)

        assert [one.choice.way for one in sources._all()] == ["upload"]
        assert len(contents.names) == 1

    def test_credentials_are_looked_for_once_and_only_for_large_objects(self, emulator, ask, hook, gcs, mocker):
        gcs.put(**{"a.txt": b"a", "b.mp4": b"\0" * 9 * MIB, "c.mp4": b"\0" * 9 * MIB})
        has = mocker.patch.object(Registration, "has_credentials", autospec=True, return_value=False)

        ask({"source": gcs.uri("a.txt")})
        assert has.call_count == 0
        ask({"source": [gcs.uri("b.mp4"), gcs.uri("c.mp4")]})

        assert has.call_count == 1

    def test_object_is_uploaded_where_there_are_none(self, emulator, ask, hook, no_google, talk):
        ask({"source": talk})

        assert calls(emulator).count("finalize") == 1
        assert hook.list_files() == []

    def test_object_is_uploaded_if_the_service_may_not_read_it(self, emulator, ask, hook, google, gcs, talk):
        emulator.settings.forbidden_buckets = (gcs.name,)

        ask({"source": talk})

        assert calls(emulator).count("register") == 1
        assert calls(emulator).count("finalize") == 1
        assert hook.list_files() == []

    def test_object_that_is_to_be_registered_is_not_uploaded(self, emulator, ask, hook, google, gcs, talk):
        emulator.settings.forbidden_buckets = (gcs.name,)

        with pytest.raises(e.GeminiAuthError, match="Storage Object Viewer"):
            ask({"source": talk, "via": "register"})

        assert hook.list_files() == []


class TestRefused:
    @pytest.mark.parametrize(
        ("part", "told"),
        [
            ({"source": "/nowhere/a.pdf"}, "does not exist on this worker"),
            ({"source": ""}, r"files\[0\]: source must be a path"),
            ({"source": None}, "source must be a path"),
            ({"source": 5}, "source must be a path"),
            ({"source": []}, "source is an empty list"),
            ({"source": "/a", "via": "post"}, "via must be auto, inline, upload, register or url; got 'post'"),
            ({"source": "/a", "conn_id": "x"}, "unknown conn_id; known are.*source_conn_id"),
            ({"source": "http://example.com/a.pdf", "via": "url"}, "via='url': only an https:// URL"),
            ({"source": "https://example.com/a.mp3?t=1", "via": "url"}, r"a\.mp3 cannot.*does not fetch audio/mpeg"),
        ],
    )
    def test_source_is_refused_before_anything_is_sent(self, emulator, ask, part, told):
        with pytest.raises(e.GeminiInputError, match=told):
            ask(part)

        assert calls(emulator) == []

    def test_way_that_is_not_possible_is_refused(self, emulator, ask, text_file):
        with pytest.raises(
            e.GeminiInputError, match=r"files\[0\]: .*note\.txt cannot be sent with via='register': only gs"
        ):
            ask({"source": str(text_file)}, via="register")

        assert calls(emulator) == []

    @pytest.mark.parametrize("given", ["/data/report.pdf", "s3://bucket/report.pdf?versionId=secret"])
    def test_path_as_a_file_says_how_to_show_it(self, emulator, ask, given):
        with pytest.raises(e.GeminiInputError, match=r"pass \{'source': '.*report\.pdf'\}") as told:
            ask(given)

        assert "secret" not in str(told.value)


def test_log_says_which_way_and_why_without_secrets(emulator, clock, text_file, on_the_web, mocker):
    log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
    on_the_web(9 * MIB)

    GeminiFilesHook(clock=clock).ask("what?", [{"source": str(text_file)}, {"source": URL}])

    lines = logged_by(log.info)
    assert f"Sending {text_file} (20 B, text/plain) via inline: it is small and used once" in lines
    assert any(line.endswith("via url: the service fetches public URLs itself") for line in lines)
    assert "abcdef" not in "\n".join(lines)


def _growing(path):
    def choose(candidate: Candidate) -> Choice:
        path.write_text("a note of some words, and more of them")
        return Choice("inline", "")

    return choose
