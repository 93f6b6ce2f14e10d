"""The file search of a request, and what an answer cites."""

from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import Origin, to_api
from airflow_provider_gemini_files.file_search.search import FileSearch, citations_of

STORE = "fileSearchStores/handbook-1"


class TestGiven:
    @pytest.mark.parametrize("stores", [STORE, [STORE], (STORE,), {"name": STORE}, [{"name": STORE}, STORE]])
    def test_stores_are_taken_in_every_form_without_duplicates(self, stores):
        assert FileSearch.of({"stores": stores}) == FileSearch((STORE,))

    def test_stores_of_a_set_are_in_one_order(self):
        stores = tuple(f"fileSearchStores/s{number}" for number in range(9))

        assert FileSearch.of({"stores": set(stores)}) == FileSearch(stores)

    def test_every_option_is_read(self):
        search = FileSearch.of({"stores": [STORE], "metadata_filter": 'team = "ops"', "top_k": 3})

        assert search.tool() == {
            "file_search": {"file_search_store_names": [STORE], "metadata_filter": 'team = "ops"', "top_k": 3}
        }

    @pytest.mark.parametrize("nothing", [None, "", "None", " ", "\n"])
    def test_option_for_which_a_template_gave_nothing_is_not_sent(self, nothing):
        search = FileSearch.of({"stores": STORE, "metadata_filter": nothing, "top_k": nothing})

        assert search.tool() == {"file_search": {"file_search_store_names": [STORE]}}

    def test_number_from_a_template_is_read(self):
        assert FileSearch.of({"stores": STORE, "top_k": "7"}).top_k == 7

    @pytest.mark.parametrize("top_k", [0, -1, 1.5, "many", True, "0", "\u00b2", [1]])
    def test_number_of_chunks_that_is_none_is_refused(self, top_k):
        with pytest.raises(GeminiInputError, match="top_k must be a whole number, at least 1"):
            FileSearch.of({"stores": STORE, "top_k": top_k})

    @pytest.mark.parametrize("metadata_filter", [{"team": "ops"}, 1, ["x"]])
    def test_filter_that_is_no_text_is_refused(self, metadata_filter):
        with pytest.raises(GeminiInputError, match="metadata_filter must be a text"):
            FileSearch.of({"stores": STORE, "metadata_filter": metadata_filter})

    @pytest.mark.parametrize("stores", [[], (), None, 1, iter(())])
    def test_no_store_is_refused(self, stores):
        with pytest.raises(GeminiInputError, match="nothing to search"):
            FileSearch.of({"stores": stores})

    @pytest.mark.parametrize("store", ["Handbook 1", "", None, 1, {}, {"name": None}, f"{STORE}/documents/a"])
    def test_anything_but_a_store_is_refused(self, store):
        with pytest.raises(GeminiInputError, match=r"file_search: .* is not the name of a file search store"):
            FileSearch.of({"stores": [STORE, store]})

    @pytest.mark.parametrize("given", [STORE, [STORE], None, 1])
    def test_anything_but_a_dict_is_refused(self, given):
        with pytest.raises(GeminiInputError, match="must be a dict"):
            FileSearch.of(given)

    def test_unknown_option_is_named(self):
        with pytest.raises(GeminiInputError, match="unknown 1, store; known are metadata_filter, stores, top_k"):
            FileSearch.of({"store": STORE, 1: 2})


class TestTools:
    SEARCH = FileSearch((STORE,))

    @pytest.mark.parametrize("config", [None, {}, {"tools": None}, {"tools": []}, {"temperature": 0}])
    def test_search_is_the_only_tool_if_there_is_no_other(self, config):
        assert self.SEARCH.tools(config) == [self.SEARCH.tool()]

    @pytest.mark.parametrize("functions", [{"function_declarations": []}, [{"functionDeclarations": []}], len])
    def test_functions_of_the_author_stay(self, functions):
        tools = self.SEARCH.tools({"tools": functions})

        assert tools == [*(functions if isinstance(functions, list) else [functions]), self.SEARCH.tool()]

    def test_configuration_of_the_author_is_not_changed(self):
        config = {"tools": [{"function_declarations": []}]}

        self.SEARCH.tools(config)

        assert config == {"tools": [{"function_declarations": []}]}

    @pytest.mark.parametrize("tool", ["google_search", "googleSearch", "url_context", "codeExecution", "file_search"])
    def test_other_tool_of_the_service_is_refused(self, tool):
        with pytest.raises(GeminiInputError, match=f"cannot be combined with {tool}"):
            self.SEARCH.tools({"tools": [{"function_declarations": []}, {tool: {}}]})


class TestModels:
    @pytest.mark.parametrize(
        "model", ["gemini-2.5-pro", "models/gemini-2.0-flash", "gemini-1.5-pro-002", "gemini-2-flash", "gemini-1"]
    )
    def test_model_before_gemini_3_is_refused(self, model):
        with pytest.raises(GeminiInputError, match=f"{model} does not support file search"):
            FileSearch.check_model(model)

    @pytest.mark.parametrize(
        "model", ["gemini-3.8-flash", "models/gemini-3-pro", "gemini-flash-latest", "gemini-4-argon", "gemini-10"]
    )
    def test_later_and_unknown_models_are_left_to_the_service(self, model):
        FileSearch.check_model(model)


def grounding(*contexts: object) -> dict:
    return {"groundingChunks": [{"retrievedContext": context} for context in contexts]}


class TestCitations:
    def test_citation_has_the_source_that_the_sync_wrote_and_the_metadata_of_the_author(self):
        origin = Origin("s3://handbook/returns.pdf", "f1", "prod/dag/sync")
        context = {
            "title": "returns.pdf",
            "fileSearchStore": STORE,
            "text": "Parcels return within thirty days.",
            "pageNumber": 2,
            "customMetadata": to_api({"team": "ops", **origin.entries()}),
        }

        assert citations_of(grounding(context)) == (
            {
                "title": "returns.pdf",
                "store": STORE,
                "page": 2,
                "metadata": {"team": "ops"},
                "source": "s3://handbook/returns.pdf",
            },
        )

    def test_document_of_another_tool_is_cited_without_a_source(self):
        context = {"title": "a", "fileSearchStore": STORE, "mediaId": "m1"}

        assert citations_of(grounding(context)) == ({"title": "a", "store": STORE, "media_id": "m1"},)

    @pytest.mark.parametrize("context", [{}, {"text": "words"}, {"title": None, "pageNumber": None}, "x", None])
    def test_chunk_that_names_no_document_is_no_citation(self, context):
        assert citations_of(grounding(context)) == ()

    def test_several_chunks_of_one_page_are_one_citation(self):
        pages = [{"title": "a", "pageNumber": page, "text": text} for page, text in ((1, "x"), (1, "y"), (2, "z"))]

        assert [citation["page"] for citation in citations_of(grounding(*pages))] == [1, 2]

    @pytest.mark.parametrize(
        "odd",
        [
            None,
            "x",
            [],
            {},
            {"groundingChunks": None},
            {"groundingChunks": {}},
            {"groundingChunks": [None, "x", {}, {"web": {"uri": "https://example.com"}}, {"retrievedContext": None}]},
        ],
    )
    def test_answer_without_documents_cites_nothing(self, odd):
        assert citations_of(odd) == ()

    @pytest.mark.parametrize("metadata", [None, "x", {}, [None], [{"key": "team"}], [{"key": 1, "stringValue": "x"}]])
    def test_metadata_that_cannot_be_read_is_left_out(self, metadata):
        assert citations_of(grounding({"title": "a", "customMetadata": metadata})) == ({"title": "a"},)

    def test_citations_are_json(self):
        context = {"title": "a", "customMetadata": to_api({"n": 1.5, "tags": ["a"]})}

        assert json.loads(json.dumps(citations_of(grounding(context)))) == [
            {"title": "a", "metadata": {"n": 1.5, "tags": ["a"]}}
        ]
