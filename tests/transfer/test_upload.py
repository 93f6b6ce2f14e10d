from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.naming import Owner, is_shared
from airflow_provider_gemini_files.transfer.source import bytes_source
from airflow_provider_gemini_files.transfer.upload import Upload

OWNER = Owner("d", "r", "t", deployment="prod")


def settled(content: bytes = b"text", source_name: str = "a.txt", **options: object) -> Upload:
    return Upload(bytes_source(content, source_name), **options).settled()


def test_type_and_display_name_come_from_the_source():
    upload = settled()

    assert (upload.mime_type, upload.display_name, upload.name) == ("text/plain", "a.txt", None)


def test_what_was_asked_for_wins_over_the_source():
    upload = settled(mime_type="text/csv", display_name="A note", name="af01")

    assert (upload.mime_type, upload.display_name, upload.name) == ("text/csv", "A note", "files/af01")


def test_content_decides_type_of_wrong_name():
    assert settled(b"%PDF-1.7 ...", "report.docx").mime_type == "application/pdf"


def test_owner_is_written_after_display_name():
    assert settled(owner=OWNER).display_name == "a.txt [airflow in=prod dag=d run=r task=t]"


def test_shared_file_has_deployment_and_no_owner():
    name = settled(share=True, owner=OWNER).display_name

    assert is_shared(name)
    assert name == "a.txt [airflow in=prod shared]"


def test_long_name_is_cut_beside_owner():
    name = settled(source_name="x" * 500 + ".txt", owner=OWNER).display_name

    assert len(name) == 512
    assert Owner.parse(name) == OWNER


@pytest.mark.parametrize("owner", [OWNER, None])
def test_long_name_of_bytes_that_are_no_utf8_is_cut(owner):
    name = settled(source_name="\udce9" * 250 + ".txt", owner=owner).display_name

    assert len(name) == 512
    assert name.startswith(r"\xe9\xe9")
    assert Owner.parse(name) == owner


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"display_name": "x" * 513}, "at most 512 characters, got 513"),
        ({"name": "files/" + "a" * 43}, "is not a Gemini file"),
        ({"mime_type": "pdf"}, "is a type like"),
        ({"mime_type": "text/plain\n"}, "is a type like"),
        ({"content": b"PK\x03\x04" + bytes(30), "source_name": "a.docx"}, "models do not read"),
    ],
)
def test_impossible_upload_is_refused(options, says):
    with pytest.raises(GeminiInputError, match=says):
        settled(**options)
