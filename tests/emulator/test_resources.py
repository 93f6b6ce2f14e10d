"""File search stores over files."""

from __future__ import annotations

import re

import pytest
from emulator.api import Api

STORE = r"fileSearchStores/[a-z0-9-]+"


@pytest.fixture
def store(api):
    return api.post("fileSearchStores", {"displayName": "My Store_1"}).json()


@pytest.fixture
def document(emulator, api, store):
    operation = put(api, store)
    emulator.clock.advance(60)
    return api.get(api.get(operation["name"]).json()["response"]["documentName"]).json()


def put(api, store, content=b"poems", mime_type="text/plain", **metadata):
    headers = {
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Type": mime_type,
        "X-Goog-Upload-File-Name": "A Survey.txt",
    }
    path = f"/upload/v1beta/{store['name']}:uploadToFileSearchStore"
    url = api.http.post(path, headers=headers, json=metadata).headers["x-goog-upload-url"]
    return api.command(url, "upload, finalize", content, 0).json()


class TestStores:
    def test_store_id_starts_with_display_name(self, api, store):
        assert re.fullmatch(r"fileSearchStores/my-store1-[a-z0-9]{12}", store["name"])
        unnamed = api.post("fileSearchStores").json()
        assert re.fullmatch(r"fileSearchStores/[a-z0-9]{12}-[a-z0-9]{12}", unnamed["name"])
        assert "displayName" not in unnamed
        long = api.post("fileSearchStores", {"displayName": "x" * 60}).json()
        assert re.fullmatch(r"fileSearchStores/x{27}-[a-z0-9]{12}", long["name"])

    def test_store_get_list_delete(self, api, store):
        assert api.get(store["name"]).json() == store
        assert api.get("fileSearchStores").json() == {"fileSearchStores": [store]}
        assert api.delete(store["name"]).json() == {}
        assert api.get("fileSearchStores").json() == {}
        response = api.get(store["name"])
        assert (response.status_code, response.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
        response = api.get("fileSearchStores/_invalid")
        assert response.json()["error"]["status"] == "INVALID_ARGUMENT"

    def test_upload_returns_an_operation_to_poll(self, emulator, api, store):
        operation = put(api, store, customMetadata=[{"key": "year", "numericValue": 1930}])
        assert re.fullmatch(STORE + r"/upload/operations/a-surveytxt-[a-z0-9]{12}", operation["name"])
        assert "done" not in operation
        response = operation["response"]
        assert (response["parent"], response["sizeBytes"]) == (store["name"], "5")
        document = api.get(response["documentName"]).json()
        assert (document["state"], document["displayName"]) == ("STATE_PENDING", "A Survey.txt")
        assert document["customMetadata"] == [{"key": "year", "numericValue": 1930}]
        assert "done" not in api.get(operation["name"]).json()
        emulator.clock.advance(60)
        assert api.get(operation["name"]).json()["done"] is True
        assert api.get(response["documentName"]).json()["state"] == "STATE_ACTIVE"
        current = api.get(store["name"]).json()
        assert (current["activeDocumentsCount"], current["sizeBytes"]) == ("1", "5")

    def test_import_copies_a_file(self, emulator, api, store):
        file = api.file(b"prose", displayName="Prose")
        operation = api.post(f"{store['name']}:importFile", {"fileName": file["name"]}).json()
        assert re.fullmatch(STORE + r"/operations/[a-z0-9-]+", operation["name"])
        assert not {"done", "response"} & operation.keys()
        api.delete(file["name"])
        emulator.clock.advance(60)
        done = api.get(operation["name"]).json()
        assert done["done"] is True
        assert api.get(done["response"]["documentName"]).json()["displayName"] == file["name"][6:]

    def test_import_of_unknown_or_processing_file_is_refused(self, api, store):
        path = f"{store['name']}:importFile"
        assert api.post(path, {"fileName": "files/none"}).status_code == 403
        film = api.file(mime_type="video/mp4")
        assert api.post(path, {"fileName": film["name"]}).json()["error"]["status"] == "FAILED_PRECONDITION"

    def test_document_size_and_metadata_limits(self, api, store):
        response = api.start(100 * 1024**2 + 1, path=f"{store['name']}:uploadToFileSearchStore")
        assert response.status_code == 400
        many = {"fileName": api.file()["name"], "customMetadata": [{"key": "k"}] * 21}
        assert api.post(f"{store['name']}:importFile", many).status_code == 400

    def test_document_list_and_delete(self, api, store, document):
        assert api.get(f"{store['name']}/documents").json() == {"documents": [document]}
        assert api.delete(store["name"]).json()["error"]["status"] == "FAILED_PRECONDITION"
        assert api.delete(document["name"]).json()["error"]["status"] == "FAILED_PRECONDITION"
        assert api.delete(document["name"], params={"force": "true"}).json() == {}
        assert "Documents does not exist" in api.get(document["name"]).text
        assert api.delete(store["name"]).json() == {}

    def test_force_deletes_a_store_with_documents(self, api, store, document):
        assert api.delete(store["name"], params={"force": "true"}).json() == {}
        assert api.get(document["name"]).status_code == 403

    def test_stores_of_another_key_are_hidden(self, emulator, store):
        other = Api(emulator.base_url, key="other")
        assert other.get(store["name"]).status_code == 403
        assert other.get("fileSearchStores").json() == {}
