from __future__ import annotations

import asyncio
import base64
import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import ObjectStoragePath
from support import FakeClock, logged_by, seed
from transfer_store import AirflowFernet, ObjectStorage, Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.events import error_event, files_event
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks.rest import FilesClient
from airflow_provider_gemini_files.operators.base import GeminiOperator
from airflow_provider_gemini_files.operators.files import (
    GeminiDeleteFileOperator,
    GeminiDownloadFileOperator,
    GeminiGetFileOperator,
    GeminiListFilesOperator,
    GeminiUploadFileOperator,
)
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES

HOUR = 3600


@pytest.fixture
def clock(emulator, monkeypatch) -> FakeClock:
    """Return the clock of all operators; the emulator's follows it."""
    clock = FakeClock(emulator)
    monkeypatch.setattr(GeminiOperator, "clock", clock)
    return clock


@pytest.fixture
def videos(tmp_path, video_file) -> Path:
    """Return a directory with two videos, which the service has to process."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(video_file, folder / name)
    return folder


def upload(source: object, **arguments: object) -> GeminiUploadFileOperator:
    return GeminiUploadFileOperator(task_id="upload", source=source, **arguments)


def posts(emulator) -> int:
    return sum(entry["method"] == "POST" for entry in emulator.journal)


def calls(emulator) -> list[str]:
    return [entry["call"] for entry in emulator.journal]


def deferral(operator: GeminiUploadFileOperator, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def run_trigger(deferred: TaskDeferred, clock: FakeClock) -> dict[str, Any]:
    """Run the trigger of a deferral as a triggerer does; it and its event pass through Airflow's database."""
    _, arguments = deferred.trigger.serialize()
    trigger = type(deferred.trigger)(**json.loads(json.dumps(arguments)), clock=clock)

    async def first() -> Any:
        return (await anext(trigger.run())).payload

    return json.loads(json.dumps(asyncio.run(first())))


# --- upload --------------------------------------------------------------------------------------------------------


def test_one_source_returns_one_name_and_pushes_its_metadata(emulator, context, ti, text_file):
    name = upload(str(text_file)).execute(context)

    assert name.startswith("files/")
    assert ti.pushed["file"]["name"] == name
    assert ti.pushed["file"]["conn_id"] == "gemini_default"
    assert ti.pushed["file"]["owner"] == {
        "dag_id": "a_dag",
        "run_id": "manual__1",
        "task_id": "upload",
        "map_index": -1,
        "deployment": "tests",
    }


def test_many_sources_return_many_names_in_order(emulator, context, ti, text_file, video_file):
    names = upload([str(text_file), str(video_file)]).execute(context)

    assert [file["name"] for file in ti.pushed["files"]] == names
    assert [file["mime_type"] for file in ti.pushed["files"]] == ["text/plain", "video/mp4"]


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file://{}/", "{}/*.txt"])
def test_a_directory_or_glob_of_one_file_returns_a_list(emulator, context, ti, text_file, form):
    assert len(upload(form.format(text_file.parent)).execute(context)) == 1
    assert set(ti.pushed) == {"files"}


def test_a_list_of_one_file_returns_a_list(emulator, context, text_file):
    assert len(upload([text_file]).execute(context)) == 1
    assert len(upload((text_file,)).execute(context)) == 1


def test_objects_are_uploaded_with_their_connection(emulator, context, ti):
    storage = ObjectStorage()
    storage.put(**{"in/a.txt": b"a", "in/b.txt": b"bb", "in/_SUCCESS": b""})

    upload(storage.uri("in/")).execute(context)

    assert [file["uploaded_from"] for file in ti.pushed["files"]] == [
        {"uri": f"memory:///bucket/in/{name}.txt", "conn_id": storage.conn_id, "complete": True} for name in "ab"
    ]


def test_airflows_object_storage_path_is_a_source(emulator, context, ti):
    storage = ObjectStorage()
    storage.put(**{"a.txt": b"a"})

    upload(ObjectStoragePath(storage.uri("a.txt"))).execute(context)
    upload("memory:///bucket/a.txt", source_conn_id=storage.conn_id).execute(context)

    assert ti.pushed["file"]["uploaded_from"]["conn_id"] == storage.conn_id
    assert emulator.usage()["files"] == 1


def test_a_retry_of_the_same_run_sends_nothing(emulator, context, text_file):
    first = upload(str(text_file)).execute(context)
    sent = posts(emulator)

    assert upload(str(text_file)).execute(context) == first
    assert posts(emulator) == sent
    assert emulator.usage()["files"] == 1


def test_another_run_or_map_index_uploads_its_own_file(emulator, context, text_file):
    operator = upload(str(text_file))
    names = {operator.execute(context)}
    context["ti"].run_id = "manual__2"
    names.add(operator.execute(context))
    context["ti"].map_index = 1
    names.add(operator.execute(context))

    assert len(names) == 3


def test_another_deployment_uploads_its_own_file(emulator, context, text_file, monkeypatch):
    first = upload(str(text_file)).execute(context)
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__DEPLOYMENT", "staging")

    assert upload(str(text_file)).execute(context) != first


def test_a_source_that_has_changed_is_uploaded_again(emulator, context, text_file):
    first = upload(str(text_file)).execute(context)
    text_file.write_text("something else")

    assert upload(str(text_file)).execute(context) != first


@pytest.mark.parametrize("corrected", [{"mime_type": "text/csv"}, {"display_name": "A note"}])
def test_a_task_that_is_cleared_after_a_correction_gets_what_it_asks_for_now(
    emulator, context, ti, text_file, corrected
):
    first = upload(str(text_file)).execute(context)

    assert upload(str(text_file), **corrected).execute(context) != first
    assert ti.pushed["file"]["mime_type"] == corrected.get("mime_type", "text/plain")
    assert ti.pushed["file"]["display_name"].startswith(corrected.get("display_name", "note.txt"))


def test_reuse_project_shares_a_file_between_runs(emulator, context, ti, text_file, tmp_path):
    (tmp_path / "copy.txt").write_bytes(text_file.read_bytes())
    first = upload(str(text_file), reuse="project").execute(context)
    context["ti"].run_id = "manual__2"

    assert upload(str(tmp_path / "copy.txt"), reuse="project").execute(context) == first
    assert ti.pushed["file"]["owner"] is None
    assert ti.pushed["file"]["display_name"] == "note.txt [airflow in=tests shared]"
    assert emulator.usage()["files"] == 1


def test_reuse_never_uploads_a_new_file_at_every_attempt(emulator, context, text_file):
    assert len({upload(str(text_file), reuse="never").execute(context) for _ in range(2)}) == 2


@pytest.mark.parametrize("ttl", [timedelta(hours=49), 49 * HOUR, str(49 * HOUR)])
def test_a_file_that_expires_too_soon_is_not_used_again(emulator, context, text_file, ttl):
    first = upload(str(text_file)).execute(context)

    assert upload(str(text_file)).execute(context) == first
    assert upload(str(text_file), min_remaining_ttl=ttl).execute(context) != first


def test_the_upload_of_a_killed_attempt_is_resumed_from_the_task_state_store(
    emulator, connect, context, tmp_path, mocker
):
    crypto = pytest.importorskip("airflow.sdk.crypto", reason="Airflow keeps no task state before 3.3")
    mocker.patch.object(crypto, "get_fernet", autospec=True, return_value=AirflowFernet())
    connect(host=emulator.base_url, extra={"max_retries": 0})
    emulator.settings.granularity = 1024**2
    emulator.faults.add("upload", "reset", after_bytes=4 * 1024**2)
    (tmp_path / "large.txt").write_bytes(b"x" * (MIN_REMEMBERED_BYTES + 1))
    context["task_state_store"] = Store()
    with pytest.raises(e.GeminiServiceError):
        upload(str(tmp_path / "large.txt")).execute(context)
    emulator.clear_journal()

    upload(str(tmp_path / "large.txt")).execute(context)

    assert calls(emulator) == ["get", "query", "finalize"]


def test_a_private_url_needs_to_be_allowed(emulator, context):
    url = f"{emulator.base_url}/__emulator/health"
    with pytest.raises(e.GeminiInputError, match="allow_private_urls=True"):
        upload(url).execute(context)

    operator = upload(url, allow_private_urls=True, mime_type="text/plain", reuse="never")
    assert operator.execute(context).startswith("files/")


def test_sources_are_confined_to_the_allowed_directories(emulator, context, text_file, monkeypatch):
    monkeypatch.setenv("AIRFLOW__GEMINI_FILES__ALLOWED_LOCAL_PATHS", "/no/such")

    with pytest.raises(e.GeminiInputError, match="outside of the directories"):
        upload([str(text_file)]).execute(context)

    assert emulator.journal == []


def test_all_sources_are_found_before_any_is_sent(emulator, context, text_file):
    with pytest.raises(e.GeminiInputError, match=r"missing\.txt"):
        upload([str(text_file), str(text_file.with_name("missing.txt"))]).execute(context)

    assert emulator.journal == []


@pytest.mark.parametrize("source", [None, "", "None", [], [None], ["a.txt", ""], 20260417, {"name": "a"}, b"a.txt"])
def test_a_source_that_a_template_left_empty_names_the_field(context, source):
    with pytest.raises(e.GeminiInputError, match="source must be a path, a URI, a URL or a list of these; got"):
        upload(source).execute(context)


def test_texts_that_native_templates_turn_into_numbers_are_texts(emulator, context, ti, text_file):
    upload(str(text_file), display_name=20260417).execute(context)

    assert ti.pushed["file"]["display_name"].startswith("20260417 [airflow")
    with pytest.raises(e.GeminiInputError, match=r"display_name must be a text; got \['a'\] \(list\)"):
        upload(str(text_file), display_name=["a"]).execute(context)


def test_arguments_that_are_empty_count_as_not_given(emulator, context, ti, text_file):
    upload(str(text_file), mime_type="", display_name="None", source_conn_id="").execute(context)

    assert ti.pushed["file"]["mime_type"] == "text/plain"
    assert ti.pushed["file"]["display_name"].startswith("note.txt")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reuse": "always"}, "run, project, never; got 'always'"),
        ({"on_quota": "evicted"}, "fail, wait, evict; got 'evicted'"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"wait_timeout": float("nan")}, "wait_timeout"),
        ({"quota_timeout": "soon"}, "quota_timeout"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_when_the_dag_is_parsed(arguments, says):
    with pytest.raises(e.GeminiInputError, match=says):
        upload("a.txt", **arguments)


@pytest.mark.parametrize("value", [90, 90.0, "90", timedelta(seconds=90)])
def test_durations_are_taken_in_every_form(value):
    assert upload("a.txt", wait_timeout=value).wait_timeout == 90


def test_a_retry_sends_only_the_rest(emulator, context, text_file, video_file):
    emulator.settings.quota_bytes = 30
    sources = [str(text_file), str(video_file)]
    with pytest.raises(e.GeminiStorageFullError):
        upload(sources).execute(context)
    assert emulator.usage()["files"] == 1
    emulator.settings.quota_bytes = 10**6
    sent = posts(emulator)

    assert len(upload(sources).execute(context)) == 2
    assert posts(emulator) - sent == 2


# --- upload and wait -----------------------------------------------------------------------------------------------


def test_waiting_in_the_worker_ends_active(emulator, clock, context, ti, video_file):
    emulator.settings.video_seconds = 30

    upload(str(video_file), wait_for_active=True, deferrable=False).execute(context)

    assert ti.pushed["file"]["state"] == "ACTIVE"
    assert ti.pushed["file"]["uploaded_from"] == {"uri": str(video_file), "conn_id": None, "complete": True}
    assert 30 <= clock.passed < 40


@pytest.mark.parametrize("limit", [{"wait_timeout": 60}, {"execution_timeout": timedelta(minutes=1)}])
def test_a_wait_ends_with_the_nearer_of_its_timeout_and_the_tasks(emulator, clock, context, ti, video_file, limit):
    emulator.settings.video_seconds = HOUR

    with pytest.raises(e.GeminiWaitTimeoutError):
        upload(str(video_file), wait_for_active=True, deferrable=False, **limit).execute(context)

    assert 60 <= clock.passed < 70
    assert ti.pushed["file"]["state"] == "PROCESSING"
    assert emulator.usage()["files"] == 1


def test_only_files_that_are_still_processing_are_waited_for_in_the_triggerer(
    emulator, clock, context, ti, text_file, video_file
):
    upload(str(text_file), wait_for_active=True, deferrable=True).execute(context)

    deferred = deferral(upload(str(video_file), wait_for_active=True, deferrable=True), context)

    _, arguments = deferred.trigger.serialize()
    assert arguments["file_names"] == [ti.pushed["file"]["name"]]
    # The name is known before the wait is over.
    assert ti.pushed["file"]["state"] == "PROCESSING"
    assert "test-key" not in json.dumps(arguments)


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/*.mp4", "file://{}/"])
def test_a_resumed_upload_of_many_returns_all_names_though_the_directory_is_gone(
    emulator, clock, context, ti, videos, form
):
    operator = upload(form.format(videos), wait_for_active=True, deferrable=True)
    deferred = deferral(operator, context)
    names = [file["name"] for file in ti.pushed.pop("files")]
    event = run_trigger(deferred, clock)
    shutil.rmtree(videos)

    assert operator.execute_complete(context, event) == names
    assert len(names) == 2
    assert set(ti.pushed) == {"files"}
    assert [file["state"] for file in ti.pushed["files"]] == ["ACTIVE", "ACTIVE"]
    assert [file["uploaded_from"]["uri"] for file in ti.pushed["files"]] == [f"{videos}/a.mp4", f"{videos}/b.mp4"]


@pytest.mark.parametrize("one", ["directory", "list"])
def test_a_resumed_upload_of_a_directory_or_list_of_one_returns_a_list(emulator, clock, context, ti, videos, one):
    (videos / "b.mp4").unlink()
    operator = upload(str(videos) if one == "directory" else [videos / "a.mp4"], wait_for_active=True, deferrable=True)
    event = run_trigger(deferral(operator, context), clock)
    shutil.rmtree(videos)

    assert operator.execute_complete(context, event) == [file["name"] for file in ti.pushed["files"]]


def test_a_resumed_upload_of_one_source_returns_its_name_and_origin(emulator, clock, context, ti, video_file):
    operator = upload(str(video_file), wait_for_active=True, deferrable=True)
    event = run_trigger(deferral(operator, context), clock)
    before = ti.pushed.pop("file")

    assert operator.execute_complete(context, event) == before["name"]
    assert set(ti.pushed) == {"file"}
    assert ti.pushed["file"] == before | {"state": "ACTIVE"}


class TestDeferredByVersion1:
    """Tasks that were deferred before an upgrade of this package end with it."""

    FILES = (GeminiFile("files/a", state="ACTIVE"), GeminiFile("files/b", state="ACTIVE"))
    ORIGIN: ClassVar = {"uri": "/data/a.mp4", "conn_id": None, "complete": True}

    def event(self, count: int) -> dict[str, Any]:
        return {"files": [file.to_dict() for file in self.FILES[:count]]}

    def test_one_file_is_one_name_with_its_origin(self, context, ti):
        result = upload("/data/a.mp4").execute_complete(context, self.event(1), origins=[self.ORIGIN])

        assert result == "files/a"
        assert ti.pushed["file"]["uploaded_from"] == self.ORIGIN

    @pytest.mark.parametrize(("source", "count"), [("/data", 2), (["/data/a.mp4"], 1)])
    def test_several_files_and_lists_are_lists(self, context, ti, source, count):
        result = upload(source).execute_complete(context, self.event(count), origins=[None] * count)

        assert result == ["files/a", "files/b"][:count]
        assert set(ti.pushed) == {"files"}

    def test_the_error_keeps_its_class(self, context):
        event = {"error": "GeminiFileFailedError", "message": "bad codec", "file_names": ["files/a"]}

        with pytest.raises(e.GeminiFileFailedError, match="bad codec") as failed:
            upload("a.mp4").execute_complete(context, event, origins=[None])

        assert failed.value.file_names == ("files/a",)


def test_a_wait_that_ends_active_pushes_the_file(context, ti):
    assert upload("a.mp4").execute_complete(context, files_event([GeminiFile("files/a", state="ACTIVE")])) == "files/a"
    assert ti.pushed["file"]["state"] == "ACTIVE"


def test_a_wait_that_has_failed_raises_its_error(context):
    with pytest.raises(e.GeminiFileFailedError, match="codec"):
        upload("a.mp4").execute_complete(context, error_event(e.GeminiFileFailedError("bad codec")))


# --- get, list -----------------------------------------------------------------------------------------------------


def test_get_returns_the_metadata(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)

    assert GeminiGetFileOperator(task_id="get", file_name=file.uri).execute(context) == {
        **file.to_dict(),
        "uploaded_from": None,
    }


def test_list_filters(emulator, hook, context, text_file, video_file):
    text, video = hook.upload_file(text_file), hook.upload_file(video_file)

    def listed(**filters: object) -> list[str]:
        return GeminiListFilesOperator(task_id="list", **filters).execute(context)

    assert sorted(listed()) == sorted([text.name, video.name])
    assert listed(state="PROCESSING") == [video.name]
    assert listed(mime_type="text/") == [text.name]
    assert listed(display_name="unload") == [video.name]
    # As a template leaves it whose Param is null.
    assert len(listed(state="None", mime_type="", display_name=None)) == 2
    assert listed(state="processing") == [video.name]
    # An empty list would look as if no file had failed.
    with pytest.raises(e.GeminiInputError, match=r"state must be one of PROCESSING, ACTIVE, .*; got 'FALED'"):
        listed(state="FALED")


@pytest.mark.parametrize("field", ["displayName", "mimeType", "state"])
def test_list_is_logged_without_lines_or_folds_of_others(emulator, context, mocker, field):
    seed(emulator.base_url, {"name": "files/a"})
    emulator.faults.add("list", "edit_file", file_id="a", fields={field: "a\n::endgroup::\x1b[1mb"})
    listing = GeminiListFilesOperator(task_id="list")
    info = mocker.spy(listing.log, "info")

    assert listing.execute(context) == ["files/a"]

    [line] = [line for line in logged_by(info) if line.startswith("files/a")]
    assert "a endgroup b" in line
    assert "::" not in line


@pytest.mark.parametrize("mime_type", ["pdf", "text/plain\n", "text/plain; charset=utf-8"])
def test_wrong_type_is_refused_when_the_dag_is_parsed_unless_a_template_may_give_it(mime_type):
    with pytest.raises(e.GeminiInputError, match="mime_type is a type like"):
        upload("/a.txt", mime_type=mime_type)

    for given in ("{{ params.type }}", "", None, "None"):
        assert upload("/a.txt", mime_type=given).mime_type == given


# --- delete --------------------------------------------------------------------------------------------------------


def delete(file_name: object, **arguments: object) -> GeminiDeleteFileOperator:
    return GeminiDeleteFileOperator(task_id="delete", file_name=file_name, **arguments)


def test_delete_takes_every_form_and_returns_which_were_gone(emulator, hook, context, text_file, video_file):
    text, video = hook.upload_file(text_file), hook.upload_file(video_file)

    result = delete([text.to_dict(), video.uri, "files/gone", None]).execute(context)

    assert result == {"deleted": [text.name, video.name], "missing": ["files/gone"]}
    assert emulator.usage()["files"] == 0


@pytest.mark.parametrize("nothing", [None, [], [None], "", "None", ["None", "", None]])
def test_delete_of_nothing_does_nothing(context, nothing):
    assert delete(nothing).execute(context) == {"deleted": [], "missing": []}


def test_delete_fails_for_a_missing_file_if_asked_to(emulator, hook, context, text_file):
    name = hook.upload_file(text_file).name

    with pytest.raises(e.GeminiFileGoneError, match="files/gone"):
        delete(["files/gone", name], ignore_missing=False).execute(context)

    assert emulator.usage()["files"] == 0


def test_delete_sends_several_requests_at_once(connect, context, mocker):
    connect()
    together = threading.Barrier(16, timeout=30)

    def send(client, request):
        if request.method == "DELETE":
            together.wait()
        return {}

    mocker.patch.object(FilesClient, "send", autospec=True, side_effect=send)

    assert len(delete([f"files/f{number}" for number in range(32)]).execute(context)["deleted"]) == 32


def test_one_file_that_cannot_be_deleted_does_not_stop_the_others(emulator, hook, context, text_file):
    name = hook.upload_file(text_file).name
    result_file = "files/batch-" + "0" * 36

    with pytest.raises(e.GeminiInputError, match=result_file):
        delete([result_file, name]).execute(context)

    assert emulator.usage()["files"] == 0


def test_all_files_that_cannot_be_deleted_are_named(emulator, context):
    names = ["files/batch-" + digit * 36 for digit in "01"]

    with pytest.raises(e.GeminiInputError) as failed:
        delete(names).execute(context)

    assert all(name in str(failed.value) for name in names)
    assert len(failed.value.errors) == 2


def test_a_page_of_a_gateway_is_not_a_deletion(emulator, context):
    seed(emulator.base_url, "files/a")
    page = {"status": 404, "body": "<html>Not found", "content_type": "text/html"}
    emulator.faults.add("delete", "status", **page, times=2)

    with pytest.raises(e.GeminiServiceError):
        delete("files/a").execute(context)

    assert emulator.usage()["files"] == 1


def test_delete_takes_the_lazy_sequence_of_a_mapped_task(emulator, hook, context, text_file):
    name = hook.upload_file(text_file).name

    assert delete(item for item in [name]).execute(context)["deleted"] == [name]


def test_delete_of_the_template_of_an_upload_that_never_was_does_nothing(emulator, context):
    operator = delete("{{ params.nothing }}")
    operator.render_template_fields({"params": {"nothing": None}})

    assert operator.execute(context) == {"deleted": [], "missing": []}
    assert emulator.journal == []


@pytest.mark.parametrize("as_given", [dict, GeminiFile.from_dict])
def test_get_of_a_file_of_another_connection_sends_nothing(emulator, context, as_given):
    theirs = GeminiFile("files/a", conn_id="gemini_other").to_dict()

    with pytest.raises(e.GeminiInputError, match=r"connection 'gemini_other'.*goes through 'gemini_default'"):
        GeminiGetFileOperator(task_id="get", file_name=as_given(theirs)).execute(context)

    assert emulator.journal == []


class TestDownload:
    @pytest.fixture
    def generated(self, emulator) -> str:
        content = base64.b64encode(b"made by the service").decode()
        seed(emulator.base_url, {"name": "files/made", "generated": True, "content": content})
        return "files/made"

    def download(self, file_name, output_path, **arguments):
        return GeminiDownloadFileOperator(task_id="get", file_name=file_name, output_path=output_path, **arguments)

    @pytest.mark.parametrize("form", ["{}", "https://host/v1beta/{}", "https://host/v1beta/{}:download?alt=media"])
    def test_generated_file_is_written(self, generated, context, ti, tmp_path, form):
        uri = self.download(form.format(generated), str(tmp_path / "out" / "made.txt")).execute(context)

        assert uri == f"file://{tmp_path}/out/made.txt"
        assert (tmp_path / "out" / "made.txt").read_text() == "made by the service"
        assert ti.pushed["file"]["name"] == generated

    def test_uploaded_file_is_refused_before_anything_is_downloaded(self, emulator, hook, context, text_file, tmp_path):
        name = hook.upload_file(text_file).name

        with pytest.raises(e.GeminiInputError, match="was uploaded: only files that the service has generated"):
            self.download(name, str(tmp_path / "a")).execute(context)

        assert not (tmp_path / "a").exists()
        assert "download" not in [entry["call"] for entry in emulator.journal]

    def test_broken_download_leaves_what_was_there(self, emulator, generated, context, tmp_path):
        path = tmp_path / "a"
        path.write_text("before")
        emulator.faults.add("download", "cut_body", after_bytes=4, times=None)

        with pytest.raises(e.GeminiServiceError):
            self.download(generated, str(path)).execute(context)

        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_empty_output_path_is_refused(self, generated, context):
        with pytest.raises(e.GeminiInputError, match="output_path is empty"):
            self.download(generated, "None").execute(context)
