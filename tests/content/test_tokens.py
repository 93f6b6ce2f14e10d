from __future__ import annotations

from airflow_provider_gemini_files.content.tokens import counts, in_words, sum_of, usage_of

FULL = usage_of(
    {
        "promptTokenCount": 100,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "VIDEO", "tokenCount": 90}],
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 90,
        "cacheTokensDetails": [{"modality": "VIDEO", "tokenCount": 90}],
        "toolUsePromptTokenCount": 4,
        "totalTokenCount": 114,
    }
)


def test_usage_counts_tokens_by_kind_and_modality():
    assert FULL == {
        "prompt": 100,
        "answer": 7,
        "thoughts": 3,
        "cached": 90,
        "tools": 4,
        "total": 114,
        "by_modality": {"prompt": {"TEXT": 10, "VIDEO": 90}, "cached": {"VIDEO": 90}},
    }


def test_missing_counts_are_zero():
    nothing = usage_of({})

    assert nothing == {
        "prompt": 0, "answer": 0, "thoughts": 0, "cached": 0, "tools": 0, "total": 0, "by_modality": {},
    }  # fmt: skip
    assert list(counts(nothing)) == []
    assert sum_of(nothing, FULL) == FULL


def test_counts_in_another_form_are_read_or_left_out():
    usage = usage_of(
        {
            "promptTokenCount": "12",
            "candidatesTokenCount": 7.0,
            "thoughtsTokenCount": True,
            "cachedContentTokenCount": -1,
            "totalTokenCount": None,
        }
    )

    assert [usage[kind] for kind in ("prompt", "answer", "thoughts", "cached", "total")] == [12, 7, 0, 0, 0]


def test_counts_of_a_modality_that_comes_twice_are_added():
    split = [{"modality": "TEXT", "tokenCount": 3}, {"modality": "TEXT", "tokenCount": 4}, None, {"modality": "AUDIO"}]

    assert usage_of({"promptTokensDetails": split})["by_modality"] == {"prompt": {"TEXT": 7, "AUDIO": 0}}


def test_usage_of_two_calls_is_their_sum():
    both = sum_of(FULL, FULL)

    assert both["total"] == 228
    assert both["by_modality"] == {"prompt": {"TEXT": 20, "VIDEO": 180}, "cached": {"VIDEO": 180}}


def test_counts_are_split_by_modality_if_the_service_splits_them():
    assert list(counts(FULL)) == [
        ("prompt", "TEXT", 10),
        ("prompt", "VIDEO", 90),
        ("answer", "UNSPECIFIED", 7),
        ("thoughts", "UNSPECIFIED", 3),
        ("cached", "VIDEO", 90),
        ("tools", "UNSPECIFIED", 4),
    ]


def test_log_line_names_every_kind_that_was_counted():
    assert in_words(FULL) == (
        "100 tokens in (TEXT 10, VIDEO 90), 7 out, 3 of thoughts, 90 of the input from a cache, 4 from tools"
    )


def test_log_line_omits_kinds_that_were_not_counted():
    assert in_words(usage_of({"promptTokenCount": 3, "candidatesTokenCount": 1})) == "3 tokens in, 1 out"
