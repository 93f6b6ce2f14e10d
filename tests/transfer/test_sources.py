"""Finding sources on this machine and in object storage."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from transfer_store import ObjectStorage

from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.files.reference import UploadedFrom
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.sources import find_source, find_sources
from airflow_provider_gemini_files.transfer.stream import HashedStream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "c.pdf", ".hidden"):
        (tmp_path / name).write_text(name)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.txt").write_text("d")
    return tmp_path


@pytest.fixture
def storage() -> ObjectStorage:
    storage = ObjectStorage()
    storage.put(**{"in/b.txt": b"bb", "in/a.txt": b"a.txt", "in/c.pdf": b"c", "in/below/d.txt": b"d"})
    return storage


def names(source: object, **options: object) -> list[str]:
    """Return the names of the sources of an argument that stands for many."""
    found = find_sources(source, **options)
    assert found.many
    return [one.name for one in found.sources]


def content_of(source: Source, offset: int = 0) -> bytes:
    with contextlib.closing(source.open(offset)) as stream:
        return stream.read(100)


# --- one file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])
def test_local_file_is_found_with_size_and_bytes(folder, form):
    source = find_source(form.format(folder / "a.txt"))

    assert (source.uri, source.name, source.size) == (str(folder / "a.txt"), "a.txt", 5)
    assert content_of(source, 2) == b"txt"


def test_object_is_found_with_size_and_bytes(storage):
    source = find_source(storage.uri("in/a.txt"))

    assert (source.uri, source.name, source.size) == ("memory:///bucket/in/a.txt", "a.txt", 5)
    assert content_of(source, 2) == b"txt"


def test_path_objects_are_accepted(folder, storage):
    assert find_source(folder / "a.txt").name == "a.txt"
    assert find_source(ObjectStoragePath(f"file://{folder}/a.txt")).name == "a.txt"
    assert find_source(ObjectStoragePath(storage.uri("in/a.txt"))).origin.conn_id == storage.conn_id
    assert names([folder / "a.txt", ObjectStoragePath(storage.uri("in/b.txt"))]) == ["a.txt", "b.txt"]


def test_relative_path_becomes_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)

    assert find_source("a.txt").uri == str(folder / "a.txt")
    assert find_source("a.txt").origin == UploadedFrom(str(folder / "a.txt"))


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_fingerprint_changes_with_local_file(folder, form):
    where = form.format(folder / "a.txt")
    found = find_source(where)
    assert find_source(where).fingerprint == found.fingerprint == found.current()

    os.utime(folder / "a.txt", (1, 1))

    assert find_source(where).fingerprint == found.current() != found.fingerprint


def test_fingerprint_changes_with_object(storage):
    found = find_source(storage.uri("in/a.txt"))
    assert found.current() == found.fingerprint

    storage.put(**{"in/a.txt": b"A.TXT"})

    assert find_source(storage.uri("in/a.txt")).fingerprint == found.current() != found.fingerprint


def test_fingerprint_of_object_is_the_same_alone_and_in_a_list(storage):
    listed = find_sources(storage.uri("in/")).sources[0]

    assert listed.fingerprint == find_source(storage.uri("in/a.txt")).fingerprint == listed.current()


@pytest.mark.parametrize("source", [None, 5, b"/data/a.txt", {"name": "a"}, object(), [None], [["a"]]])
def test_anything_else_is_refused(source):
    with pytest.raises(GeminiInputError, match="source must be a path, a URI, a URL or a list of these"):
        find_sources(source)


@pytest.mark.parametrize("source", ["", " ", "\n", "file://", "LOCAL://file://", ["a.txt", ""]])
def test_empty_source_does_not_mean_the_working_directory(folder, monkeypatch, source):
    monkeypatch.chdir(folder)

    with pytest.raises(GeminiInputError, match="source is empty: expected a path, a URI or a URL"):
        find_sources(source)


# --- many files ----------------------------------------------------------------------------------------------------


def test_list_directory_and_glob_stand_for_their_files(folder):
    a, b = str(folder / "a.txt"), str(folder / "b.txt")

    assert names([b, a]) == ["b.txt", "a.txt"]
    assert names((folder / "a.txt",)) == ["a.txt"]
    assert names(iter([a])) == ["a.txt"]
    assert names(str(folder)) == ["a.txt", "b.txt", "c.pdf"]
    assert names(folder / "*.txt") == ["a.txt", "b.txt"]
    assert names([str(folder / "*.pdf"), a]) == ["c.pdf", "a.txt"]


@pytest.mark.parametrize("pattern", ["**", "**/*", "**/*.txt"])
def test_two_stars_are_any_number_of_directories_as_in_object_storage(tmp_path, pattern):
    for name in ("a.txt", "in/b.txt", "in/deep/c.txt", ".git/d.txt", "in/.e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    # Links that go round in circles, which a walk must not follow.
    for name in ("in/up", "in/again", "in/deep/more"):
        (tmp_path / name).symlink_to(tmp_path)

    assert names(tmp_path / pattern) == ["a.txt", "b.txt", "c.txt"]
    assert names(tmp_path / "in" / "**" / "*.txt") == ["b.txt", "c.txt"]
    assert names(tmp_path / "**" / "deep" / "*.txt") == ["c.txt"]


def test_objects_in_hidden_folders_are_found_only_if_these_are_named(storage):
    storage.put(**{"log/sub/d.txt": b"x", "log/.git/e.txt": b"x", "log/sub/.tmp/f.txt": b"x"})

    assert names(storage.uri("log/**/*.txt")) == ["d.txt"]
    assert names(storage.uri("log/*/*.txt")) == ["d.txt"]
    assert names(storage.uri("log/.git/*")) == ["e.txt"]
    assert names(storage.uri("log/**/.tmp/*")) == ["f.txt"]


def test_folder_and_glob_of_objects_stand_for_their_objects(storage):
    assert names(storage.uri("in/")) == ["a.txt", "b.txt", "c.pdf"]
    assert names(storage.uri("in/*.txt")) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file://{}/"])
def test_directory_is_many_files_however_it_is_written(folder, form):
    assert names(form.format(folder)) == ["a.txt", "b.txt", "c.pdf"]


@pytest.mark.parametrize("key", ["in", "in/"])
def test_folder_of_objects_is_many_however_it_is_written(storage, key):
    assert names(storage.uri(key)) == ["a.txt", "b.txt", "c.pdf"]


def test_directory_with_one_file_is_still_many(folder):
    assert names(folder / "below") == ["d.txt"]


@pytest.mark.parametrize("source", ["{}", "{}/*", "file://{}/"])
def test_directory_or_glob_is_not_one_source(folder, source):
    with pytest.raises(GeminiInputError, match="is a directory, a glob or a list, not one file"):
        find_source(source.format(folder))


@pytest.mark.parametrize("source", ["['/a.txt', '/b.txt']", "['https://example.com/a.txt?sig=secret']"])
def test_text_of_a_list_is_told_how_to_stay_a_list(source):
    with pytest.raises(GeminiInputError, match="render_template_as_native_obj=True") as told:
        find_sources(source)

    assert "secret" not in str(told.value)


def test_hidden_and_empty_files_of_a_directory_are_skipped_with_a_line_in_the_log(folder, caplog):
    with caplog.at_level(logging.INFO):
        names(folder)

    assert f"Skipped {folder}/.hidden: it is hidden" in caplog.messages
    assert f"Skipped {folder}/empty.txt: it is empty" in caplog.messages


def test_hidden_and_empty_objects_of_a_folder_are_skipped_with_a_line_in_the_log(storage, caplog):
    storage.put(**{"in/": b"", "in/_SUCCESS": b"", "in/.hidden": b"x"})

    with caplog.at_level(logging.INFO):
        assert names(storage.uri("in/")) == ["a.txt", "b.txt", "c.pdf"]

    assert sorted(caplog.messages) == [
        "Skipped /bucket/in/.hidden: it is hidden",
        "Skipped /bucket/in/: it is empty",
        "Skipped /bucket/in/_SUCCESS: it is empty",
    ]


@pytest.mark.parametrize("source", [[], "{}/none*.txt", "{}/none"])
def test_no_file_at_all_is_an_error(folder, source):
    (folder / "none").mkdir()

    with pytest.raises(GeminiInputError, match="No file matches source"):
        find_sources(source.format(folder) if isinstance(source, str) else source)


@pytest.mark.parametrize("source", [[], "{}/none*.txt", "{}/none"])
def test_no_file_at_all_is_taken_if_the_caller_allows_it(folder, source):
    (folder / "none").mkdir()
    given = source.format(folder) if isinstance(source, str) else source

    assert find_sources(given, allow_none=True).sources == []


# --- names that look like something else ---------------------------------------------------------------------------


def test_file_with_glob_characters_in_its_name_is_found(tmp_path):
    (tmp_path / "a[1].txt").write_text("x")

    found = find_sources(tmp_path / "a[1].txt")

    assert (found.many, found.sources[0].name) == (False, "a[1].txt")


def test_object_with_glob_characters_in_its_name_is_found(storage):
    storage.put(**{"odd/[1].txt": b"x"})

    found = find_sources(storage.uri("odd/[1].txt"))

    assert (found.many, found.sources[0].name) == (False, "[1].txt")


def test_directory_with_glob_characters_in_its_name_is_found(tmp_path):
    (tmp_path / "in[1]").mkdir()
    (tmp_path / "in[1]" / "a.txt").write_text("x")

    assert names(tmp_path / "in[1]") == ["a.txt"]
    assert names(tmp_path / "in[1]" / "*.txt") == ["a.txt"]


@pytest.mark.parametrize("uri", ["\n  {}", "{}", "MEMORY{}"])
def test_scheme_is_found_in_any_case_and_after_white_space(storage, uri):
    here = storage.uri("in/a.txt")
    where = uri.format(here.removeprefix("memory") if uri.startswith("MEMORY") else here)

    assert find_source(where).uri == find_source(here).uri


@pytest.mark.parametrize("key", ["in/report#1.txt", "in/what?.txt"])
def test_object_name_with_url_characters_is_kept(storage, key):
    storage.put(**{key: b"x"})

    source = find_source(storage.uri(key))

    assert source.uri == f"memory:///bucket/{key}"
    assert find_source(source.origin.uri, source.origin.conn_id).fingerprint == source.fingerprint


def test_name_that_is_not_utf8_is_escaped_and_others_are_found(tmp_path):
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(raw, "wb") as file:
        file.write(b"x")
    (tmp_path / "good.txt").write_text("y")

    bad, good = find_sources(tmp_path).sources

    assert (bad.name, good.name) == (r"caf\xe9.txt", "good.txt")
    assert content_of(bad) == b"x"
    # It cannot be found again by its escaped name.
    assert bad.origin == UploadedFrom(str(tmp_path / r"caf\xe9.txt"), complete=False)
    assert find_source(os.fsdecode(raw)).size == 1


# --- what cannot be uploaded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["{}/none.txt", "file://{}/none.txt", "{}/none/", "file://{}/none/", "{}/a.txt/"])
def test_nonexistent_local_file_is_refused(folder, where):
    with pytest.raises(GeminiInputError, match="does not exist"):
        find_sources(where.format(folder))


@pytest.mark.parametrize("key", ["none.txt", "none/"])
def test_nonexistent_object_is_refused(storage, key):
    with pytest.raises(GeminiInputError, match="does not exist"):
        find_sources(storage.uri(key))


def test_object_with_trailing_slash_is_not_a_folder(storage):
    with pytest.raises(GeminiInputError, match="No file matches"):
        find_sources(storage.uri("in/a.txt/"))


def test_empty_source_is_refused(folder, storage):
    storage.put(**{"in/empty.txt": b""})

    for where in (folder / "empty.txt", storage.uri("in/empty.txt")):
        with pytest.raises(GeminiInputError, match="is empty"):
            find_source(where)


def test_source_over_two_gib_is_refused(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * 1024**3 + 1)

    with pytest.raises(GeminiInputError, match=r"at most 2\.0 GiB"):
        find_source(tmp_path / "large")


def test_pipe_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(GeminiInputError, match="is not a regular file"):
        find_source(tmp_path / "pipe")


def test_link_that_leads_in_a_circle_is_refused(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")

    with pytest.raises(GeminiInputError, match=r"cannot be used: .*symbolic links"):
        find_source(tmp_path / "a.txt")


def test_link_that_takes_the_place_of_an_allowed_file_is_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("public")
    (tmp_path / "secret.txt").write_text("secret")
    source = find_source(tmp_path / "in" / "a.txt", roots=[str(tmp_path / "in")])
    (tmp_path / "in" / "a.txt").unlink()
    (tmp_path / "in" / "a.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(GeminiInputError, match="outside of the directories"):
        source.open(0)


def test_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    source = find_source(tmp_path / "a.txt")
    (tmp_path / "a.txt").unlink()
    os.mkfifo(tmp_path / "a.txt")

    with pytest.raises(GeminiInputError, match="became shorter"):
        b"".join(HashedStream(source, lambda _: None).read(0, 4))


def test_pipe_in_directory_is_skipped(folder):
    os.mkfifo(folder / "pipe")

    assert names(folder) == ["a.txt", "b.txt", "c.pdf"]


def test_link_that_leads_out_of_a_directory_is_not_followed(folder, tmp_path_factory, caplog):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("secret")
    (folder / "leak.txt").symlink_to(secret)
    (folder / "alias.txt").symlink_to(folder / "a.txt")

    assert names(folder) == ["a.txt", "alias.txt", "b.txt", "c.pdf"]
    assert names(folder / "*.txt") == ["a.txt", "alias.txt", "b.txt"]
    assert f"Skipped {folder}/leak.txt: it is a link that leads out of {folder}" in caplog.messages


def test_broken_link_is_refused(tmp_path):
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "none")

    with pytest.raises(GeminiInputError, match="does not exist"):
        find_source(tmp_path / "dangling.txt")


# --- allowed directories -------------------------------------------------------------------------------------------


def test_local_files_can_be_confined_to_directories(folder):
    roots = [str(folder / "below")]

    assert find_source(folder / "below" / "d.txt", roots=roots).name == "d.txt"
    for where in (folder / "a.txt", f"file://{folder}/a.txt", folder / "below" / ".." / "a.txt", folder):
        with pytest.raises(GeminiInputError, match="outside of the directories"):
            find_sources(where, roots=roots)


@pytest.mark.parametrize(
    "form",
    [
        "FILE://{}",
        "File://{}",
        "local://{}",
        "LOCAL://{}",
        "file://file://{}",
        "file://LOCAL://file://{}",
        "file:///..{}",
        "file://{}/below/../a.txt",
    ],
)
def test_no_form_of_a_local_uri_leads_out_of_the_allowed_directories(folder, form):
    where = form.format(folder if "below" in form else folder / "a.txt")

    with pytest.raises(GeminiInputError, match="outside of the directories"):
        find_source(where, roots=[str(folder / "below")])
    assert find_source(where, roots=[str(folder)]).name == "a.txt"


def test_chained_file_system_does_not_lead_to_the_local_disk(folder):
    with pytest.raises(GeminiInputError, match="no file system for simplecache::file"):
        find_source(f"simplecache::file://{folder}/a.txt", roots=[str(folder / "below")])


@pytest.mark.parametrize(
    "form", ["{}/leak.txt", "{}/up/a.txt", "FILE://{}/up/a.txt", "{}/up", "{}/up/*.txt", "{}/u*/*.txt"]
)
def test_link_does_not_lead_out_of_the_allowed_directories(folder, form):
    below = folder / "below"
    (below / "leak.txt").symlink_to(folder / "a.txt")
    (below / "up").symlink_to(folder, target_is_directory=True)

    with pytest.raises(GeminiInputError, match=r"outside of the directories|No file matches"):
        find_sources(form.format(below), roots=[str(below)])


@pytest.mark.parametrize("form", ["{}", "{}/.h*", "{}/n*", "{}/none.txt", "{}/nothing", "{}/*/d.txt"])
def test_nothing_is_told_about_what_is_outside_of_the_allowed_directories(folder, caplog, form):
    (folder / "other").mkdir()
    (folder / "other" / "d.txt").write_text("d")
    where = form.format(folder)

    with pytest.raises(GeminiInputError) as refused, caplog.at_level(logging.INFO):
        find_sources(where, roots=[str(folder / "below")])

    assert f"Source {where!r} is outside of the directories" in str(refused.value)
    assert caplog.messages == []


def test_pattern_from_above_may_match_allowed_files(folder):
    assert names(f"{folder}/b*w/*.txt", roots=[str(folder / "below")]) == ["d.txt"]


def test_directory_with_similar_name_is_not_allowed(folder):
    (folder / "below2").mkdir()
    (folder / "below2" / "a.txt").write_text("x")

    with pytest.raises(GeminiInputError, match="outside of the directories"):
        find_source(folder / "below2" / "a.txt", roots=[str(folder / "below")])


# --- object storage ------------------------------------------------------------------------------------------------


def test_connection_of_uri_stays_with_each_object(storage):
    # Reading without it would fail: the storage is attached under its connection only.
    for source in find_sources(storage.uri("in/")).sources + find_sources(storage.uri("in/*.txt")).sources:
        assert source.origin == UploadedFrom(source.uri, storage.conn_id)
        assert content_of(source)
        assert storage.conn_id not in source.uri


def test_connection_of_argument_stays_with_object(storage):
    source = find_source("memory:///bucket/in/a.txt", storage.conn_id)

    assert source.origin == UploadedFrom("memory:///bucket/in/a.txt", storage.conn_id)


def test_scheme_without_file_system_names_what_to_install():
    with pytest.raises(GeminiInputError, match=r"no file system for hdfs:// .* the extra gcs"):
        find_source("hdfs://bucket/object")


@pytest.mark.parametrize("key", ["in/a.txt", "in/", "in/*.txt"])
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (PermissionError("Forbidden"), GeminiInputError),
        (ConnectionError("down"), GeminiServiceError),
        (TimeoutError(), GeminiServiceError),
    ],
)
def test_storage_failure_raises_own_error(storage, key, failure, kind):
    storage.failure = failure

    with pytest.raises(kind) as failed:
        find_sources(storage.uri(key))

    assert f"Source 'memory:/bucket/{key}' (connection '{storage.conn_id}')" in str(failed.value)


def test_password_in_the_place_of_a_connection_is_not_shown(mocker):
    mocker.patch.object(ObjectStoragePath, "fs", new_callable=mocker.PropertyMock, return_value=ObjectStorage())

    with pytest.raises(GeminiInputError) as failed:
        find_sources("memory://user:secret@/bucket/a.txt")

    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("key", ["a.txt", "in/", "in/*.txt"])
def test_missing_bucket_is_an_error_even_if_a_source_may_be_empty(storage, key):
    with pytest.raises(GeminiInputError, match="there is no 'nothing' in this storage"):
        find_sources(f"memory:///nothing/{key}", storage.conn_id, allow_none=True)


def test_parts_that_have_no_files_are_named_as_their_files_would_be(folder, storage):
    storage.put(**{"forms/.keep": b"x"})

    found = find_sources([folder, folder / "*.doc", storage.uri("forms/"), storage.uri("in/*.doc")])

    assert found.empty == (str(folder / "*.doc"), "memory:///bucket/forms", "memory:///bucket/in/*.doc")


def test_anything_but_a_source_is_shown_without_the_query_of_its_url():
    with pytest.raises(GeminiInputError, match=r"got \{'url': 'https://files.example/a'\}") as failed:
        find_sources([{"url": "https://files.example/a?sig=secret"}])

    assert "secret" not in str(failed.value)


# --- names in logs -------------------------------------------------------------------------------------------------


def test_control_characters_of_a_name_are_escaped(tmp_path, storage):
    (tmp_path / "a\nERROR.txt").write_text("x")
    storage.put(**{"in/a\x1b[31m.txt": b"x"})

    local, remote = find_source(tmp_path / "a\nERROR.txt"), find_source(storage.uri("in/a\x1b[31m.txt"))

    assert (local.name, local.origin.complete) == (r"a\nERROR.txt", False)
    assert (remote.name, remote.uri) == (r"a\x1b[31m.txt", r"memory:///bucket/in/a\x1b[31m.txt")
    assert content_of(local) == content_of(remote) == b"x"
    # An object is found again by its exact key.
    assert find_source(remote.origin.uri, remote.origin.conn_id).fingerprint == remote.fingerprint
