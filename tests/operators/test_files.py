from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.files.state import failed_event, ready_event
from airflow_provider_gemini_files.operators.files import (
    GeminiDeleteFileOperator,
    GeminiGetFileOperator,
    GeminiListFilesOperator,
    GeminiUploadFileOperator,
)


def upload(**arguments: object) -> GeminiUploadFileOperator:
    return GeminiUploadFileOperator(task_id="upload", **arguments)


def posts(emulator) -> int:
    return sum(entry["method"] == "POST" for entry in emulator.journal)


# --- upload --------------------------------------------------------------------------------------------------------


def test_one_source_gives_one_name_and_its_metadata(emulator, context, ti, text_file):
    name = upload(source=str(text_file)).execute(context)

    assert name.startswith("files/")
    assert ti.pushed["file"]["name"] == name
    assert ti.pushed["file"]["owner"] == {
        "dag_id": "a_dag",
        "run_id": "manual__1",
        "task_id": "upload",
        "map_index": -1,
    }


def test_many_sources_give_many_names_in_order(emulator, context, ti, text_file, video_file):
    names = upload(source=[str(text_file), str(video_file)]).execute(context)

    assert [file["name"] for file in ti.pushed["files"]] == names
    assert [file["mime_type"] for file in ti.pushed["files"]] == ["text/plain", "video/mp4"]


def test_one_file_in_a_list_gives_a_list(emulator, context, text_file):
    assert len(upload(source=[text_file]).execute(context)) == 1


def test_a_retry_of_the_same_run_sends_nothing(emulator, context, text_file):
    first = upload(source=str(text_file)).execute(context)
    sent = posts(emulator)

    assert upload(source=str(text_file)).execute(context) == first
    assert posts(emulator) == sent
    assert emulator.usage()["files"] == 1


def test_another_run_or_map_index_uploads_its_own(emulator, context, text_file):
    operator = upload(source=str(text_file))
    names = {operator.execute(context)}
    context["ti"].run_id = "manual__2"
    names.add(operator.execute(context))
    context["ti"].map_index = 1
    names.add(operator.execute(context))

    assert len(names) == 3


def test_a_source_that_changed_is_uploaded_anew(emulator, context, text_file):
    first = upload(source=str(text_file)).execute(context)
    text_file.write_text("something else")

    assert upload(source=str(text_file)).execute(context) != first


def test_reuse_project_shares_a_file_between_runs(emulator, context, ti, text_file, tmp_path):
    (tmp_path / "copy.txt").write_bytes(text_file.read_bytes())
    first = upload(source=str(text_file), reuse="project").execute(context)
    context["ti"].run_id = "manual__2"

    assert upload(source=str(tmp_path / "copy.txt"), reuse="project").execute(context) == first
    assert ti.pushed["file"]["owner"] is None
    assert ti.pushed["file"]["display_name"] == "note.txt [airflow shared]"
    assert emulator.usage()["files"] == 1


@pytest.mark.parametrize("ttl", [timedelta(hours=49), 49 * 3600])
def test_a_file_that_dies_too_soon_is_not_used_again(emulator, context, text_file, ttl):
    first = upload(source=str(text_file)).execute(context)

    assert upload(source=str(text_file)).execute(context) == first
    assert upload(source=str(text_file), min_remaining_ttl=ttl).execute(context) != first


def test_the_task_state_store_is_used_where_there_is_one(emulator, context, text_file, mocker):
    send = mocker.patch("airflow_provider_gemini_files.hooks.uploads.SessionMemory", autospec=True)
    send.return_value.recall.return_value = None
    mocker.patch("airflow_provider_gemini_files.hooks.uploads.WORTH_BYTES", 1)
    store = context["task_state_store"] = object()

    upload(source=str(text_file)).execute(context)

    assert send.call_args.args[0] is store
    send.return_value.forget.assert_called_once_with()


def test_a_private_url_needs_to_be_allowed(emulator, context):
    with pytest.raises(e.GeminiInputError, match="allow_private_urls=True"):
        upload(source=f"{emulator.base_url}/__emulator/health").execute(context)

    operator = upload(
        source=f"{emulator.base_url}/__emulator/health", allow_private_urls=True, mime_type="text/plain", reuse="never"
    )
    assert operator.execute(context).startswith("files/")


def test_reuse_never_uploads_at_every_try(emulator, context, text_file):
    assert len({upload(source=str(text_file), reuse="never").execute(context) for _ in range(2)}) == 2


def test_an_unknown_reuse_is_refused_when_the_dag_is_parsed(text_file):
    with pytest.raises(e.GeminiInputError, match="run, project, never; got 'always'"):
        upload(source=str(text_file), reuse="always")


def test_all_sources_are_looked_at_before_any_is_sent(emulator, context, text_file):
    with pytest.raises(e.GeminiInputError, match=r"missing\.txt"):
        upload(source=[str(text_file), str(text_file.with_name("missing.txt"))]).execute(context)

    assert emulator.journal == []


def test_a_retry_sends_only_what_is_missing(emulator, context, text_file, video_file):
    emulator.settings.quota_bytes = 30
    sources = [str(text_file), str(video_file)]
    with pytest.raises(e.GeminiStorageFullError):
        upload(source=sources).execute(context)
    assert emulator.usage()["files"] == 1
    emulator.settings.quota_bytes = 10**6
    sent = posts(emulator)

    assert len(upload(source=sources).execute(context)) == 2
    assert posts(emulator) - sent == 2


def test_waiting_in_the_worker_ends_active(emulator, context, ti, video_file):
    emulator.settings.video_seconds = 0.3

    upload(source=str(video_file), wait_for_active=True, deferrable=False, poll_interval=0.1).execute(context)

    assert ti.pushed["file"]["state"] == "ACTIVE"
    assert ti.pushed["file"]["uploaded_from"] == {"uri": str(video_file), "conn_id": None, "complete": True}


def test_waiting_defers_only_what_is_still_processing(emulator, context, ti, text_file, video_file):
    upload(source=str(text_file), wait_for_active=True, deferrable=True).execute(context)

    with pytest.raises(TaskDeferred) as deferred:
        upload(source=str(video_file), wait_for_active=True, deferrable=True).execute(context)

    name = ti.pushed["file"]["name"]
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["file_names"] == [name]
    # The name is known before the wait is over.
    assert ti.pushed["file"]["state"] == "PROCESSING"
    assert "test-key" not in json.dumps(arguments)


def test_where_a_file_came_from_is_known_after_a_deferral(emulator, context, ti, hook, video_file):
    with pytest.raises(TaskDeferred) as deferred:
        upload(source=str(video_file), wait_for_active=True, deferrable=True).execute(context)
    origin = ti.pushed["file"]["uploaded_from"]
    event = ready_event([hook.get_file(ti.pushed["file"])])
    ti.pushed.clear()

    upload(source=str(video_file)).execute_complete(context, event, **deferred.value.kwargs)

    assert ti.pushed["file"]["uploaded_from"] == origin == {"uri": str(video_file), "conn_id": None, "complete": True}


def test_the_end_of_the_wait_is_pushed(context, ti):
    file = GeminiFile("files/a", state="ACTIVE")

    assert upload(source="a.mp4").execute_complete(context, ready_event([file])) == "files/a"
    assert ti.pushed["file"]["state"] == "ACTIVE"


def test_the_end_of_a_wait_that_failed_is_the_error(context):
    with pytest.raises(e.GeminiFileFailedError, match="codec"):
        upload(source="a.mp4").execute_complete(context, failed_event(e.GeminiFileFailedError("bad codec")))


# --- get, list -----------------------------------------------------------------------------------------------------


def test_get_returns_the_metadata(emulator, hook, context, text_file):
    file = hook.upload_file(text_file)

    assert GeminiGetFileOperator(task_id="get", file_name=file.uri).execute(context) == {
        **file.to_dict(),
        "uploaded_from": None,
    }


def test_list_filters(emulator, hook, context, text_file, video_file):
    text, video = hook.upload_file(text_file), hook.upload_file(video_file)

    def listed(**filters: str) -> list[str]:
        return GeminiListFilesOperator(task_id="list", **filters).execute(context)

    assert sorted(listed()) == sorted([text.name, video.name])
    assert listed(state="PROCESSING") == [video.name]
    assert listed(mime_type="text/") == [text.name]
    assert listed(display_name="unload") == [video.name]


# --- delete --------------------------------------------------------------------------------------------------------


def delete(file_name: object, **arguments: object) -> GeminiDeleteFileOperator:
    return GeminiDeleteFileOperator(task_id="delete", file_name=file_name, **arguments)


def test_delete_takes_every_form_and_says_what_was_gone(emulator, hook, context, text_file, video_file):
    text, video = hook.upload_file(text_file), hook.upload_file(video_file)

    result = delete([text.to_dict(), video.uri, "files/gone", None]).execute(context)

    assert result == {"deleted": [text.name, video.name], "missing": ["files/gone"]}
    assert emulator.usage()["files"] == 0


@pytest.mark.parametrize("nothing", [None, [], [None]])
def test_delete_of_nothing_does_nothing(context, nothing):
    assert delete(nothing).execute(context) == {"deleted": [], "missing": []}


def test_delete_can_insist(emulator, context):
    with pytest.raises(e.GeminiFileGoneError):
        delete("files/gone", ignore_missing=False).execute(context)


def test_a_file_that_cannot_be_deleted_does_not_keep_the_others(emulator, hook, context, text_file):
    name = hook.upload_file(text_file).name
    result_file = "files/batch-" + "0" * 36

    with pytest.raises(e.GeminiFilesError, match=result_file):
        delete([result_file, name]).execute(context)

    assert emulator.usage()["files"] == 0


def test_several_that_cannot_be_deleted_are_all_named(emulator, context):
    names = ["files/batch-" + digit * 36 for digit in "01"]

    with pytest.raises(e.GeminiServiceError, match=f"2 files could not be deleted.*{names[0]}.*{names[1]}"):
        delete(names).execute(context)


def test_a_lazy_sequence_as_mapped_tasks_give_it_is_a_list(emulator, hook, context, text_file):
    name = hook.upload_file(text_file).name

    assert delete(item for item in [name]).execute(context)["deleted"] == [name]
