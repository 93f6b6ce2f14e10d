"""Stores and documents as the service reports them, and their names."""

from __future__ import annotations

import json

import pytest

from airflow_provider_gemini_files.exceptions import GeminiInputError
from airflow_provider_gemini_files.file_search.metadata import Origin, to_api
from airflow_provider_gemini_files.file_search.resources import (
    Document,
    FileSearchStore,
    parse_document,
    parse_documents,
    parse_store,
    store_of,
)

STORE = "fileSearchStores/handbook-1"
DOCUMENT = f"{STORE}/documents/returns-1"


class TestStore:
    def test_counts_and_size_come_as_texts_and_zeros_are_left_out(self):
        store = FileSearchStore.from_api(
            {"name": STORE, "activeDocumentsCount": "3", "failedDocumentsCount": 1, "sizeBytes": "2048"}
        )

        assert store.documents == {"active": 3, "pending": 0, "failed": 1}
        assert store.size_bytes == 2048

    @pytest.mark.parametrize("count", [None, "", "many", "-1", 1.5, [], "\u00b2"])
    def test_count_that_cannot_be_read_is_zero(self, count):
        assert FileSearchStore.from_api({"name": STORE, "activeDocumentsCount": count}).documents["active"] == 0

    def test_json_form_can_be_stored(self):
        store = FileSearchStore.from_api({"name": STORE, "displayName": "Handbook", "embeddingModel": "models/x"})

        assert json.loads(json.dumps(store.to_dict())) == store.to_dict()
        assert (store.display_name, store.embedding_model) == ("Handbook", "models/x")

    @pytest.mark.parametrize("value", [5, {"a": 1}, ["a"], True])
    def test_field_that_is_no_text_is_unknown(self, value):
        fields = dict.fromkeys(("displayName", "embeddingModel", "createTime", "updateTime"), value)
        store = FileSearchStore.from_api({"name": STORE, **fields})

        assert (store.display_name, store.embedding_model) == (None, None)
        assert (store.created_at(), store.updated_at()) == (None, None)

    @pytest.mark.parametrize("name", [None, "", "files/a", DOCUMENT, 1])
    def test_resource_of_another_kind_is_refused(self, name):
        with pytest.raises(ValueError, match="not the name of a file search store"):
            FileSearchStore.from_api({"name": name})


class TestDocument:
    def test_every_field_is_read(self):
        origin = Origin("/data/returns.md", "f1", "prod/dag/sync")
        document = Document.from_api(
            {
                "name": DOCUMENT,
                "state": "STATE_FAILED",
                "displayName": "returns.md",
                "mimeType": "text/markdown",
                "sizeBytes": "34",
                "createTime": "2026-09-22T10:00:00.123456Z",
                "updateTime": "2026-09-22T10:01:50Z",
                "customMetadata": to_api({"team": "ops", **origin.entries()}),
            }
        )

        assert (document.state, document.display_name, document.mime_type) == ("FAILED", "returns.md", "text/markdown")
        assert (document.size_bytes, document.origin, document.metadata["team"]) == (34, origin, "ops")
        assert document.changed_at() - document.created_at() == pytest.approx(109.876544)
        assert json.loads(json.dumps(document.to_dict())) == document.to_dict()

    def test_document_of_another_tool_has_no_origin(self):
        document = Document.from_api({"name": DOCUMENT})

        assert (document.origin, document.state, document.size_bytes) == (None, "UNSPECIFIED", None)

    @pytest.mark.parametrize("time", ["", None, "soon", "2026-99-99T00:00:00Z"])
    def test_time_that_cannot_be_read_is_unknown(self, time):
        document = Document.from_api({"name": DOCUMENT, "createTime": time, "updateTime": time})

        assert (document.created_at(), document.changed_at()) == (None, None)

    @pytest.mark.parametrize("value", [5, {"a": 1}, ["a"], True])
    def test_field_that_is_no_text_is_unknown(self, value):
        fields = dict.fromkeys(("displayName", "mimeType", "createTime", "updateTime"), value)
        document = Document.from_api({"name": DOCUMENT, **fields})

        assert (document.display_name, document.mime_type, document.changed_at()) == (None, None, None)

    @pytest.mark.parametrize("item_id", ["Returns_1", "01J.x", "a--"])
    def test_id_of_another_form_is_read(self, item_id):
        name = f"fileSearchStores/{item_id}/documents/{item_id}"

        assert Document.from_api({"name": name}).name == name
        assert parse_store(f"fileSearchStores/{item_id}") == f"fileSearchStores/{item_id}"

    def test_time_of_creation_stands_in_for_an_unknown_change(self):
        document = Document.from_api({"name": DOCUMENT, "createTime": "2026-09-22T10:00:00Z"})

        assert document.changed_at() == document.created_at() is not None

    def test_time_with_nanoseconds_is_read(self):
        document = Document.from_api({"name": DOCUMENT, "createTime": "1970-01-01T00:00:01.500000000Z"})

        assert document.created_at() == 1.5

    @pytest.mark.parametrize("name", [None, STORE, f"{STORE}/operations/a", f"{STORE}/documents/", "files/a", 1, {}])
    def test_resource_of_another_kind_is_refused(self, name):
        with pytest.raises(ValueError, match="not the name of a document"):
            Document.from_api({"name": name})


class TestNames:
    @pytest.mark.parametrize("given", [STORE, f" {STORE}\n", "handbook-1", {"name": STORE}, FileSearchStore(STORE)])
    def test_store_is_taken_in_every_form(self, given):
        assert parse_store(given) == STORE

    @pytest.mark.parametrize(
        "given", [None, "", "None", "None/x", "a b", "Handbook", f"{STORE}/", DOCUMENT, [STORE], {}, 1]
    )
    def test_anything_else_is_no_store(self, given):
        with pytest.raises(GeminiInputError, match=r"expected 'fileSearchStores/...'"):
            parse_store(given)

    def test_url_is_shown_without_its_query(self):
        with pytest.raises(GeminiInputError) as raised:
            parse_store("https://generativelanguage.googleapis.com/v1beta/fileSearchStores/a?key=secret")

        assert "secret" not in str(raised.value)

    def test_name_of_an_operation_is_no_document(self):
        with pytest.raises(GeminiInputError, match="not the name of a document"):
            parse_document(f"{STORE}/upload/operations/returns-1")

    def test_one_document_and_several_are_read_without_duplicates(self):
        other = f"{STORE}/documents/travel-1"

        assert parse_documents(DOCUMENT) == parse_documents({"name": DOCUMENT}) == [DOCUMENT]
        assert parse_documents(Document(DOCUMENT, "ACTIVE")) == [DOCUMENT]
        assert parse_documents([other, {"name": DOCUMENT}, other]) == [other, DOCUMENT]

    def test_documents_of_a_set_are_in_one_order(self):
        names = [f"{STORE}/documents/d{number}" for number in range(9)]

        assert parse_documents(set(names)) == parse_documents(frozenset(names)) == names

    @pytest.mark.parametrize("given", [[], (), None, [None], [""], ""])
    def test_no_document_is_refused(self, given):
        with pytest.raises(GeminiInputError):
            parse_documents(given)

    def test_documents_of_several_stores_are_refused(self):
        assert store_of([DOCUMENT, f"{STORE}/documents/b"]) == STORE
        with pytest.raises(GeminiInputError, match="several stores: fileSearchStores/b, fileSearchStores/handbook-1"):
            store_of([DOCUMENT, "fileSearchStores/b/documents/a"])
