"""The retention policy: its values, their forms in Dags, forms and templates, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pendulum
import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.files.policy import RetentionPolicy
from airflow_provider_gemini_files.files.selection import FileFilter

HOUR = timedelta(hours=1)


class TestDefaults:
    def test_files_of_others_and_shared_files_are_kept(self):
        policy = RetentionPolicy()

        assert not policy.include_foreign
        assert not policy.include_shared

    def test_young_files_are_kept(self):
        assert RetentionPolicy().grace >= HOUR

    def test_storage_is_freed_down_to_less_than_what_starts_it(self):
        assert RetentionPolicy().low_watermark < RetentionPolicy().high_watermark

    def test_no_filter_selects_all(self):
        assert RetentionPolicy().selection == FileFilter()


class TestValues:
    @pytest.mark.parametrize("hour", [HOUR, pendulum.duration(hours=1)])
    def test_durations_of_both_kinds_are_equal(self, hour):
        policy = RetentionPolicy(max_age=hour, max_age_finished=hour, max_age_failed=hour, grace=hour)

        assert policy == RetentionPolicy(max_age=HOUR, max_age_finished=HOUR, max_age_failed=HOUR, grace=HOUR)

    def test_policy_cannot_be_changed(self):
        with pytest.raises(ValueError, match="frozen"):
            RetentionPolicy().max_age = None

    @pytest.mark.parametrize(
        "keep",
        [["b", "a"], ("b", "a"), iter(["b", "a"]), {"b": 1, "a": 2}.keys()],
        ids=["list", "tuple", "iterator", "keys"],
    )
    def test_every_list_of_texts_is_read_in_its_order(self, keep):
        assert RetentionPolicy(keep=keep).keep == ("b", "a")

    def test_set_has_the_same_order_in_every_parse_of_a_dag(self):
        assert RetentionPolicy(keep={"c", "a", "b"}).keep == ("a", "b", "c")

    def test_filters_become_the_selection(self):
        policy = RetentionPolicy(mime_type="video/", display_name="clip", min_bytes=5)

        assert policy.selection == FileFilter(mime_type="video/", display_name="clip", min_bytes=5)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"max_age": -HOUR}, r"max_age must be a duration like .*, or None; got datetime\.timedelta"),
            ({"max_age": 24}, "max_age must be a duration .*got 24"),
            ({"max_age": "24"}, "max_age must be a duration .*got '24'"),
            ({"grace": None}, "grace must be a duration"),
            ({"keep": "files/a"}, "keep must be a list of texts; got 'files/a'"),
            ({"keep": 5}, "keep must be a list of texts; got 5"),
            ({"keep": ["a", 5]}, "keep must be a list of texts"),
            ({"dag_ids": "dag"}, "dag_ids must be a list of texts"),
            ({"keep": {"files/a": True}}, "keep must be a list of texts; got {'files/a': True}"),
            ({"dag_ids": {"dag": 1}}, "dag_ids must be a list of texts"),
            ({"display_name": 5}, "display_name must be a text, or None; got 5"),
            ({"mime_type": ["video/"]}, r"mime_type must be a text, or None; got \['video/'\]"),
            (
                {"low_watermark": 0.95},
                r"low_watermark must be at most high_watermark: set both; got 0\.95 and 0\.9 \(the default\)\.",
            ),
            (
                {"high_watermark": "0.5"},
                r"low_watermark must be at most high_watermark: set both; got 0\.7 \(the default\) and 0\.5\.",
            ),
            ({"high_watermark": True}, "high_watermark must be a share of the quota.*got True"),
            ({"low_watermark": True}, "low_watermark must be a share of the quota.*got True"),
            ({"min_bytes": True}, "min_bytes must be a number of bytes, at least 0; got True"),
            ({"max_deletions": True}, "max_deletions must be a whole number, at least 1, or None; got True"),
            ({"high_watermark": 1.5}, "high_watermark must be a share of the quota.*got 1.5"),
            ({"low_watermark": 0}, "low_watermark must be a share of the quota.*got 0"),
            ({"low_watermark": float("nan")}, "low_watermark must be a share of the quota"),
            ({"min_bytes": -1}, "min_bytes must be a number of bytes, at least 0; got -1"),
            ({"max_deletions": 0}, "max_deletions must be a whole number, at least 1, or None; got 0"),
            ({"include_foreign": "yes"}, "include_foreign must be true or false; got 'yes'"),
            ({"include_foreign": 1}, "include_foreign must be true or false; got 1"),
            ({"maxage": HOUR}, "maxage is unknown; there are max_age, "),
        ],
    )
    def test_unusable_value_is_refused_with_name_and_value(self, wrong, message):
        with pytest.raises(GeminiInputError, match=f"The retention policy's {message}"):
            RetentionPolicy(**wrong)

    def test_every_unusable_value_is_named(self):
        with pytest.raises(GeminiInputError, match=r"grace must.*; min_bytes must"):
            RetentionPolicy(grace=1, min_bytes="x")


class TestFormOrTemplate:
    @pytest.mark.parametrize("name", ["max_age", "max_age_finished", "max_age_failed", "grace"])
    @pytest.mark.parametrize("value", [1.5, "1.5", "1.50", timedelta(minutes=90)])
    def test_durations_are_hours(self, name, value):
        assert getattr(RetentionPolicy.of({name: value}), name) == timedelta(minutes=90)

    @pytest.mark.parametrize("empty", [None, "", "None"])
    @pytest.mark.parametrize("name", ["max_age", "display_name", "mime_type", "max_deletions"])
    def test_empty_field_is_none(self, name, empty):
        assert getattr(RetentionPolicy.of({name: empty}), name) is None

    @pytest.mark.parametrize(("text", "value"), [("True", True), ("false", False), (True, True)])
    def test_switches_are_read_from_text(self, text, value):
        assert RetentionPolicy.of({"include_foreign": text}).include_foreign is value

    def test_numbers_are_read_from_text(self):
        policy = RetentionPolicy.of(
            {"high_watermark": "0.8", "low_watermark": "0.5", "min_bytes": "7", "max_deletions": "9"}
        )

        assert (policy.high_watermark, policy.low_watermark) == (0.8, 0.5)
        assert (policy.min_bytes, policy.max_deletions) == (7, 9)

    @pytest.mark.parametrize("wrong", ["soon", -1, "-1", "nan", "inf", True, [1], 10**400, 1e300])
    def test_unusable_hours_are_refused(self, wrong):
        with pytest.raises(GeminiInputError, match="policy's max_age must be a number of hours, at least 0; got"):
            RetentionPolicy.of({"max_age": wrong})

    def test_empty_grace_is_refused(self):
        with pytest.raises(GeminiInputError, match="grace must be a duration"):
            RetentionPolicy.of({"grace": ""})

    def test_unknown_field_is_refused(self):
        with pytest.raises(GeminiInputError, match="max_ages is unknown"):
            RetentionPolicy.of({"max_ages": 5})
