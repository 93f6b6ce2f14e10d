"""The input of a batch job: the files that it reads, and the file with its requests."""

from __future__ import annotations

import pytest
from batch_attempts import (
    HOUR,
    JOB_SECONDS,
    MODEL,
    OWNER,
    calls,
    owned_file,
    rows_of,
    spec_of,
)

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.batches.mark import BatchMark
from airflow_provider_gemini_files.batches.requests import BatchRequests, from_list
from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.reference import GeminiFile
from airflow_provider_gemini_files.hooks import batch_input

pytestmark = pytest.mark.usefixtures("slow_jobs")


class TestFiles:
    @pytest.fixture
    def asked(self, hook, tmp_path) -> GeminiFile:
        return owned_file(hook, tmp_path / "a.txt")

    def test_files_of_the_run_are_marked_as_such(self, attempt, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})

        assert BatchMark.parse(job.display_name).of_run

    @pytest.mark.parametrize(
        "owner",
        [
            None,
            Owner("dag", "other", "up", deployment="here"),
            Owner("dag", "run", "up", deployment="elsewhere"),
            Owner("dag", "run", "up"),
        ],
    )
    def test_other_files_are_listed(self, attempt, hook, asked, tmp_path, owner):
        other = owned_file(hook, tmp_path / "b.txt", owner)

        [job] = attempt({"files": [asked.name, other.name], "prompt": "x"})

        mark = BatchMark.parse(job.display_name)
        assert (mark.of_run, mark.files) == (False, (asked.name, other.name))

    def test_files_are_protected_from_the_moment_of_the_submission(self, attempt, hook, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})

        in_use = hook.batches.files_in_use()
        assert in_use.is_certain(hook.get_file(asked.name))
        assert in_use.is_certain(hook.get_file(BatchMark.parse(job.display_name).input))

    def test_file_that_is_gone_fails_before_a_job_is_submitted(self, attempt, emulator):
        with pytest.raises(e.GeminiFileGoneError, match=r"Upload it again, or set reupload_expired=True"):
            attempt({"files": "files/unknown", "prompt": "x"})

        assert calls(emulator, "start", "create_batch") == []

    def test_file_that_expires_too_soon_fails_before_a_job_is_submitted(self, attempt, asked, clock, emulator):
        clock.advance(23 * HOUR)
        emulator.clear_journal()

        with pytest.raises(e.GeminiInputError, match=r"expires at .* \(min_remaining_ttl is 26 hours\)"):
            attempt({"files": asked.name, "prompt": "x"})

        assert calls(emulator, "start", "create_batch") == []

    def test_file_that_lives_long_enough_is_asked_about(self, attempt, asked, clock):
        clock.advance(23 * HOUR)

        assert attempt({"files": asked.name, "prompt": "x"}, min_remaining_ttl=24 * HOUR)

    def test_expiring_file_is_uploaded_again_and_left_alone(self, attempt, hook, asked, clock):
        clock.advance(23 * HOUR)

        [job] = attempt({"files": asked.name, "prompt": "x"}, find_upload={asked.name: asked}.get)

        new = next(file for file in hook.list_files() if file.name != asked.name and file.mime_type == "text/plain")
        assert new.owner == OWNER
        assert hook.get_file(asked.name)
        assert BatchMark.parse(job.display_name).of_run
        clock.advance(JOB_SECONDS)
        assert rows_of(hook, [job])[0]["response"]["candidates"][0]["content"]["parts"][0]["text"].count(new.name) == 1

    def test_file_that_is_gone_is_uploaded_again(self, attempt, hook, asked):
        hook.delete_file(asked.name)

        [job] = attempt({"files": asked.name, "prompt": "x"}, find_upload={asked.name: asked}.get)

        assert job.state == "PENDING"
        assert sum(file.mime_type == "text/plain" for file in hook.list_files()) == 1

    def test_file_whose_source_is_not_known_fails_before_a_job_is_submitted(self, attempt, asked, hook, emulator):
        hook.delete_file(asked.name)
        emulator.clear_journal()

        with pytest.raises(e.GeminiFileGoneError, match="No upload task of this run has recorded its source"):
            attempt({"files": asked.name, "prompt": "x"}, find_upload={}.get)

        assert calls(emulator, "start", "create_batch") == []

    def test_replaced_file_keeps_the_fingerprint(self, attempt, hook, asked):
        [job] = attempt({"files": asked.name, "prompt": "x"})
        hook.delete_file(asked.name)

        assert attempt({"files": asked.name, "prompt": "x"}, is_retry=True) == [job]

    def test_file_that_is_still_processed_is_not_asked_about(self, attempt, hook, video_file, emulator):
        emulator.settings.video_seconds = 600
        video = hook.upload_file(video_file)

        with pytest.raises(e.GeminiFileNotActiveError):
            attempt({"files": video.name, "prompt": "x"})

        assert calls(emulator, "create_batch") == []


class TestInput:
    def test_requests_beyond_the_limit_of_a_file_are_refused(self, attempt, emulator, monkeypatch):
        monkeypatch.setattr(batch_input, "MAX_FILE_BYTES", 300)

        with pytest.raises(
            e.GeminiInputError, match=r"The 20 requests of one job have more than 300 B.* set max_requests"
        ):
            attempt(*map(str, range(20)))

        assert calls(emulator, "start", "create_batch") == []
        assert len(attempt(*map(str, range(20)), max_requests=2)) == 10

    def test_requests_beyond_the_storage_of_the_project_are_refused(self, attempt, connect, emulator):
        connect(host=emulator.base_url, extra={"quota_bytes": 100})

        with pytest.raises(
            e.GeminiInputError, match=r"more than the whole storage of the project \(100 B; quota_bytes"
        ):
            attempt()

        assert calls(emulator, "start", "create_batch") == []

    def test_requests_that_change_while_they_are_read_are_not_submitted(self, hook, emulator):
        prompts = ["one", "two"]
        run = hook.batch_run(spec_of(requests=BatchRequests(lambda: from_list(prompts)())))
        [plan] = run.plan()
        prompts[1] = "three"

        with pytest.raises(e.GeminiIntegrityError, match="The requests changed while they were read"):
            run.submit(plan)

        assert calls(emulator, "start", "create_batch") == []

    def test_text_that_cannot_be_sent_is_refused_with_its_key(self, attempt, emulator):
        with pytest.raises(e.GeminiInputError, match=r"Request 'b' contains a lone surrogate"):
            attempt("x", {"key": "b", "prompt": "\ud800"})

        assert calls(emulator, "start", "create_batch") == []

    def test_requests_can_each_have_a_configuration_of_their_own(self, attempt):
        asked = [{"prompt": "x", "generation_config": {"seed": number}} for number in range(150)]

        [job] = attempt(*asked)

        assert job.counts["total"] == 150

    def test_each_request_is_sent_with_its_configuration(self, attempt, hook, clock):
        [job] = attempt(
            "one",
            {"key": "b", "prompt": "two", "system_instruction": "Be brief."},
            {"key": "c", "contents": ["Grüße 🎬"]},
            words={"prompt": None, "model": MODEL},
        )
        clock.advance(JOB_SECONDS)

        rows = rows_of(hook, [job])

        assert [row["key"] for row in rows] == ["0", "b", "c"]
        texts = [row["response"]["candidates"][0]["content"]["parts"][0]["text"] for row in rows]
        assert ["one" in texts[0], "Be brief." in texts[1], "Grüße 🎬" in texts[2]] == [True] * 3
