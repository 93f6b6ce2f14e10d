from __future__ import annotations

import pytest
from google_accounts import TokenEndpoint
from object_stores import Bucket
from support import API_KEY
from transfer_store import Store

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.google_credentials import GoogleIdentity
from airflow_provider_gemini_files.operators.files import (
    GeminiDeleteFileOperator,
    GeminiDownloadFileOperator,
    GeminiRegisterFilesOperator,
)


def register(source: object, **arguments: object) -> GeminiRegisterFilesOperator:
    # The emulator has a project for each key.
    return GeminiRegisterFilesOperator(task_id="register", source=source, **{"quota_project": API_KEY, **arguments})


@pytest.fixture
def bucket(gcs: Bucket) -> Bucket:
    gcs.put(**{"in/a.pdf": b"a", "in/b.pdf": b"bb", "in/c.txt": b"ccc"})
    return gcs


def registrations(emulator) -> list[list[str]]:
    return [entry["body"]["uris"] for entry in emulator.journal if entry["call"] == "register"]


def test_one_object_returns_one_name_and_pushes_its_metadata(emulator, google, bucket, context, ti):
    name = register(bucket.uri("in/a.pdf")).execute(context)

    assert ti.pushed["file"]["name"] == name
    assert ti.pushed["file"]["source"] == "REGISTERED"
    assert ti.pushed["file"]["conn_id"] == "gemini_default"
    assert ti.pushed["file"]["uploaded_from"] == {"uri": bucket.uri("in/a.pdf"), "conn_id": None, "complete": True}


@pytest.mark.parametrize(
    ("source", "keys"),
    [("in/", ["in/a.pdf", "in/b.pdf", "in/c.txt"]), ("in/*.pdf", ["in/a.pdf", "in/b.pdf"]), ("in/c*", ["in/c.txt"])],
)
def test_a_prefix_or_a_glob_returns_the_names_in_order(emulator, google, bucket, context, ti, source, keys):
    names = register(bucket.uri(source)).execute(context)

    assert [file["name"] for file in ti.pushed["files"]] == names
    assert [file["uploaded_from"]["uri"] for file in ti.pushed["files"]] == [bucket.uri(key) for key in keys]
    assert set(ti.pushed) == {"files"}


def test_a_list_of_one_returns_a_list(emulator, google, bucket, context):
    assert len(register([bucket.uri("in/a.pdf")]).execute(context)) == 1


def test_the_next_attempt_registers_only_what_is_new(emulator, google, bucket, context):
    context["task_state_store"] = Store()
    first = register(bucket.uri("in/")).execute(context)
    bucket.put(**{"in/aa.pdf": b"new", "in/b.pdf": b"changed"})

    second = register(bucket.uri("in/")).execute(context)

    assert registrations(emulator)[1:] == [[bucket.uri("in/aa.pdf"), bucket.uri("in/b.pdf")]]
    assert (second[0], second[3]) == (first[0], first[2])
    assert second[2] != first[1]


def test_arguments_may_come_from_templates(emulator, google, bucket, context, mocker):
    registered = mocker.patch(
        "airflow_provider_gemini_files.hooks.registration.Registration.register", autospec=True, return_value=[]
    )
    for project, chain in ((123, ["a@p.iam", "b@p.iam"]), ("123", "a@p.iam"), (None, None), ("None", "")):
        arguments = {"quota_project": project, "impersonation_chain": chain, "source_conn_id": "None"}
        register(bucket.uri("in/"), **arguments).execute(context)

    assert [call.args[2] for call in registered.call_args_list] == [
        GoogleIdentity(quota_project="123", impersonation_chain=("a@p.iam", "b@p.iam")),
        GoogleIdentity(quota_project="123", impersonation_chain=("a@p.iam",)),
        GoogleIdentity(),
        GoogleIdentity(),
    ]


@pytest.mark.parametrize("source", ["/data/a.pdf", "s3://bucket/a.pdf", ["gs://bucket/a", "https://host/a.pdf"]])
def test_anything_outside_of_cloud_storage_is_refused(emulator, google, context, source):
    with pytest.raises(e.GeminiInputError, match="GeminiUploadFileOperator uploads anything else"):
        register(source).execute(context)


@pytest.mark.parametrize("source", [None, "None", "", [], [None]])
def test_an_empty_source_is_refused(emulator, google, context, source):
    with pytest.raises(e.GeminiInputError, match="source must be"):
        register(source).execute(context)


def test_a_registered_file_is_not_downloaded(emulator, google: TokenEndpoint, bucket, context, tmp_path):
    name = register(bucket.uri("in/a.pdf")).execute(context)

    with pytest.raises(e.GeminiInputError, match="was registered"):
        GeminiDownloadFileOperator(task_id="download", file_name=name, output_path=str(tmp_path / "a")).execute(context)


def test_the_log_of_a_deletion_says_that_the_object_stays(emulator, google, bucket, context, ti, mocker):
    register(bucket.uri("in/")).execute(context)
    delete = GeminiDeleteFileOperator(task_id="delete", file_name=ti.pushed["files"])
    info = mocker.spy(delete.log, "info")

    assert len(delete.execute(context)["deleted"]) == 3
    assert "3 of them were registered: their objects stay in Cloud Storage" in [
        call.args[0] % call.args[1:] for call in info.call_args_list
    ]
    assert bucket.fs.ls(f"{bucket.name}/in") != []
    assert GeminiFilesHook().list_files() == []
