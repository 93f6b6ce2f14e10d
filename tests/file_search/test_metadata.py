"""The custom metadata of documents: what is taken, what is sent, and what is read back."""

from __future__ import annotations

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import (
    MAX_ENTRIES,
    OWN_PREFIX,
    Origin,
    TaskOwner,
    check_metadata,
    from_api,
    to_api,
)

ORIGIN = Origin("s3://handbook/returns.md", "f1", "prod/dag/sync")


class TestGiven:
    @pytest.mark.parametrize("given", [None, "None", "", {}])
    def test_nothing_given_is_no_metadata(self, given):
        assert check_metadata(given) == {}

    @pytest.mark.parametrize("value", ["ops", "", 3, 2.5, -1, 10**300, ["a", "b"], [], ("a",)])
    def test_texts_numbers_and_lists_of_texts_are_taken(self, value):
        assert check_metadata({"team": value}) == {"team": value}

    @pytest.mark.parametrize("value", [None, "None"])
    def test_entry_that_a_null_param_leaves_unset_is_left_out(self, value):
        assert check_metadata({"team": value, "year": 2026}) == {"year": 2026}

    @pytest.mark.parametrize(
        "value",
        [
            True,
            [1],
            ["a", None],
            {"a": 1},
            b"x",
            float("nan"),
            float("inf"),
            10**400,
            {"a"},
            "\0",
            "\ud800",
            ["\udfff"],
        ],
    )
    def test_any_other_value_is_refused(self, value):
        with pytest.raises(GeminiInputError, match=r"'team'.*a text, a number or a list of texts"):
            check_metadata({"team": value})

    @pytest.mark.parametrize("name", ["", 1, None, f"{OWN_PREFIX}source", OWN_PREFIX])
    def test_names_of_this_package_and_names_that_are_no_texts_are_refused(self, name):
        with pytest.raises(GeminiInputError, match="does not begin with 'airflow_'"):
            check_metadata({name: "ops"})

    @pytest.mark.parametrize("given", ["team=ops", [("team", "ops")], 1])
    def test_anything_but_a_dict_is_refused(self, given):
        with pytest.raises(GeminiInputError, match="must be a dict"):
            check_metadata(given)

    def test_error_shows_a_value_in_short_and_without_the_query_of_a_url(self):
        with pytest.raises(GeminiInputError) as raised:
            check_metadata({"link": {"url": "https://files.example/a?sig=secret", "text": "x" * 10_000}})

        assert len(str(raised.value)) < 300
        assert "secret" not in str(raised.value)

    def test_entries_of_this_package_count(self):
        own = len(ORIGIN.entries())
        most = {str(number): number for number in range(MAX_ENTRIES - own)}

        assert check_metadata(most, own=own) == most
        with pytest.raises(GeminiInputError, match=f"at most {MAX_ENTRIES}, and {own} of them are this package's"):
            check_metadata({**most, "one more": 1}, own=own)

    def test_given_dict_is_copied(self):
        given = {"team": "ops"}

        assert check_metadata(given) is not given


class TestOnTheWay:
    def test_what_is_sent_is_read_back(self):
        metadata = {"team": "ops", "year": 2026, "share": 0.5, "tags": ["a", "b"], "none": [], **ORIGIN.entries()}

        assert from_api(to_api(metadata)) == metadata
        assert Origin.of(from_api(to_api(metadata))) == ORIGIN

    def test_each_entry_is_sent_with_one_value(self):
        assert to_api({"team": "ops", "year": 2026, "tags": ("a",)}) == [
            {"key": "team", "stringValue": "ops"},
            {"key": "year", "numericValue": 2026},
            {"key": "tags", "stringListValue": {"values": ["a"]}},
        ]

    @pytest.mark.parametrize("entries", [None, {}, "x", 1, [None, 1, "x", [], {}, {"key": 1}, {"key": "k"}]])
    def test_entries_that_cannot_be_read_are_left_out(self, entries):
        assert from_api(entries) == {}

    def test_entry_of_an_unknown_kind_does_not_hide_the_others(self):
        entries = [
            {"key": "new", "dateValue": "2026"},
            {"key": "list", "stringListValue": {"values": "no list"}},
            {"key": "zero", "numericValue": 0},
            {"key": "empty", "stringValue": ""},
        ]

        assert from_api(entries) == {"zero": 0, "empty": ""}


class TestOrigin:
    @pytest.mark.parametrize("missing", ORIGIN.entries())
    def test_document_without_one_of_the_entries_has_no_origin(self, missing):
        entries = {name: value for name, value in ORIGIN.entries().items() if name != missing}

        assert Origin.of(entries) is None

    @pytest.mark.parametrize("value", [1, ["s3://handbook/returns.md"], None])
    def test_entry_that_is_no_text_is_no_origin(self, value):
        assert Origin.of({**ORIGIN.entries(), f"{OWN_PREFIX}source": value}) is None


class TestTaskOwner:
    @pytest.mark.parametrize("owner", [TaskOwner("prod", "a.dag", "a-task"), TaskOwner("prod", "dag", "group.task", 0)])
    def test_text_is_read_back(self, owner):
        assert TaskOwner.parse(owner.to_text()) == owner

    @pytest.mark.parametrize("text", ["", "a/b", "a//c", "/b/c", "a/b/c/d", "a/b/c/", "a/b/c/1/2", "a/b/c/-1"])
    def test_text_of_another_form_names_no_task(self, text):
        assert TaskOwner.parse(text) is None
