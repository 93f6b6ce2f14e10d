"""Documents of file search stores: limits, failures, and what a prompt finds in them."""

from __future__ import annotations

import io
import zlib

import pytest

JOB_SECONDS = 60
MIB = 1024**2
MODEL = "gemini-3.8-flash"


@pytest.fixture
def store(api):
    return api.post("fileSearchStores", {"displayName": "Handbook"}).json()["name"]


def start(api, store, size=None, mime_type="text/plain", **fields):
    headers = {
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Type": mime_type,
    }
    if size is not None:
        headers["X-Goog-Upload-Header-Content-Length"] = str(size)
    return api.http.post(f"/upload/v1beta/{store}:uploadToFileSearchStore", headers=headers, json=fields)


def upload(api, store, content=b"poems", mime_type="text/plain", **fields):
    """Upload a document, and return the operation."""
    url = start(api, store, len(content), mime_type, **fields).headers["x-goog-upload-url"]
    return api.command(url, "upload, finalize", content, 0)


def add(api, emulator, store, content=b"poems", mime_type="text/plain", **fields):
    """Upload a document, wait until it is processed, and return its name."""
    operation = upload(api, store, content, mime_type, **fields).json()
    emulator.clock.advance(JOB_SECONDS)
    return operation["response"]["documentName"]


def ask(api, stores, prompt, model=MODEL, tools=(), **options):
    stores = [stores] if isinstance(stores, str) else stores
    search = {"fileSearch": {"fileSearchStoreNames": stores, **options}}
    return api.generate({"text": prompt}, model=model, tools=[search, *tools])


def found(api, stores, prompt, **options):
    """Return the chunks that a prompt finds."""
    response = ask(api, stores, prompt, **options)
    assert response.status_code == 200, response.text
    [candidate] = response.json()["candidates"]
    return [chunk["retrievedContext"] for chunk in candidate.get("groundingMetadata", {}).get("groundingChunks", [])]


def titles(api, stores, prompt, **options):
    return [chunk["title"] for chunk in found(api, stores, prompt, **options)]


def error_of(response):
    return response.status_code, response.json()["error"]["status"]


INVALID = (400, "INVALID_ARGUMENT")


class TestFailures:
    @pytest.mark.parametrize("method", ["start_document", "import_file"])
    def test_document_fails_after_its_processing(self, emulator, api, store, method):
        emulator.faults.add(method, "document_failed")
        if method == "start_document":
            operation = upload(api, store, displayName="poems").json()
        else:
            operation = api.post(f"{store}:importFile", {"fileName": api.file()["name"]}).json()
        [document] = api.get(f"{store}/documents").json()["documents"]
        assert document["state"] == "STATE_PENDING"
        emulator.clock.advance(JOB_SECONDS)
        done = api.get(operation["name"]).json()
        assert (done["done"], done["response"]["documentName"]) == (True, document["name"])
        assert "error" not in done
        emulator.clock.advance(1e6)
        assert api.get(document["name"]).json()["state"] == "STATE_FAILED"
        assert found(api, store, "poems hello") == []

    def test_failed_document_recovers_after_given_seconds(self, emulator, api, store):
        emulator.faults.add("start_document", "document_failed", seconds=110)
        name = add(api, emulator, store)
        failed = api.get(name).json()
        assert failed["state"] == "STATE_FAILED"
        emulator.clock.advance(109)
        assert api.get(name).json() == failed
        emulator.clock.advance(1)
        active = api.get(name).json()
        assert active["state"] == "STATE_ACTIVE"
        assert active["updateTime"] > failed["updateTime"] > failed["createTime"]
        assert len(found(api, store, "poems")) == 1

    @pytest.mark.parametrize("error", [None, {"code": 3, "message": "no"}])
    def test_operation_ends_with_an_error_and_without_a_document(self, emulator, api, store, error):
        emulator.faults.add("start_document", "operation_error", error=error)
        operation = upload(api, store).json()
        name = operation["response"]["documentName"]
        assert api.get(name).json()["state"] == "STATE_PENDING"
        emulator.clock.advance(JOB_SECONDS)
        assert api.get(operation["name"]).json() == {
            "name": operation["name"],
            "done": True,
            "error": error or {"code": 13, "message": "Failed to count tokens."},
        }
        assert error_of(api.get(name)) == (404, "NOT_FOUND")
        assert api.get(f"{store}/documents").json() == {}
        assert not {"activeDocumentsCount", "sizeBytes"} & api.get(store).json().keys()
        assert api.delete(store).json() == {}

    def test_import_operation_ends_with_an_error(self, emulator, api, store):
        emulator.faults.add("import_file", "operation_error")
        operation = api.post(f"{store}:importFile", {"fileName": api.file()["name"]}).json()
        assert not {"done", "error"} & operation.keys()
        [document] = api.get(f"{store}/documents").json()["documents"]
        assert document["name"].rpartition("/")[2] != operation["name"].rpartition("/")[2]
        emulator.clock.advance(JOB_SECONDS)
        assert api.get(operation["name"]).json()["error"]["code"] == 13

    @pytest.mark.parametrize("action", ["document_failed", "operation_error"])
    def test_fault_of_a_document_belongs_to_the_request_that_adds_it(self, emulator, action):
        with pytest.raises(ValueError, match=f"{action} is for import_file, start_document, not for finalize"):
            emulator.faults.add("finalize", action)

    def test_store_counts_documents_by_state(self, emulator, api, store):
        assert not {"pendingDocumentsCount", "failedDocumentsCount", "sizeBytes"} & api.get(store).json().keys()
        emulator.faults.add("start_document", "document_failed")
        for content in (b"1", b"22", b"333"):
            add(api, emulator, store, content)
        upload(api, store, b"4444")
        counts = {
            "activeDocumentsCount": "2",
            "pendingDocumentsCount": "1",
            "failedDocumentsCount": "1",
            "sizeBytes": "10",
        }
        assert counts.items() <= api.get(store).json().items()
        assert counts.items() <= api.get("fileSearchStores").json()["fileSearchStores"][0].items()

    @pytest.mark.parametrize(
        "method",
        ["start_document", "import_file", "get_document", "list_documents", "delete_document", "get_operation"],
    )
    def test_rate_limit_on_methods_of_documents(self, emulator, api, store, method):
        emulator.faults.add(method, "rate_limit")
        calls = {
            "start_document": lambda: start(api, store),
            "import_file": lambda: api.post(f"{store}:importFile", {}),
            "get_document": lambda: api.get(f"{store}/documents/d"),
            "list_documents": lambda: api.get(f"{store}/documents"),
            "delete_document": lambda: api.delete(f"{store}/documents/d"),
            "get_operation": lambda: api.get(f"{store}/operations/o"),
        }
        assert error_of(calls[method]()) == (429, "RESOURCE_EXHAUSTED")


class TestLimits:
    def test_document_over_100_mib_is_refused(self, emulator, api, store):
        assert error_of(start(api, store, 100 * MIB + 1)) == INVALID
        assert start(api, store, 100 * MIB).status_code == 200
        seed = {"name": "files/large", "size": 100 * MIB + 1}
        api.http.post("/__emulator/seed", json={"api_key": "k", "resources": [seed]})
        assert error_of(api.post(f"{store}:importFile", {"fileName": "files/large"})) == INVALID

    def test_capitals_do_not_hide_a_video(self, api, store):
        assert error_of(upload(api, store, mime_type="Video/MP4")) == INVALID

    @pytest.mark.parametrize("mime_type", ["audio/mpeg", "video/mp4"])
    def test_audio_and_video_are_refused_at_the_end(self, emulator, api, store, mime_type):
        response = upload(api, store, mime_type=mime_type)
        assert error_of(response) == INVALID
        assert response.headers["x-goog-upload-status"] == "final"
        file = api.file(mime_type=mime_type)
        emulator.clock.advance(60)
        assert error_of(api.post(f"{store}:importFile", {"fileName": file["name"]})) == INVALID
        assert api.get(f"{store}/documents").json() == {}

    @pytest.mark.parametrize(
        "fields",
        [
            {"displayName": "x" * 513},
            {"customMetadata": [{"key": "k", "stringValue": "v"}] * 21},
            {"customMetadata": [{"key": "k"}]},
            {"customMetadata": [{"stringValue": "v"}]},
            {"customMetadata": [{"key": "k", "stringValue": "v", "numericValue": 1}]},
            {"customMetadata": [{"key": "k", "numericValue": "v"}]},
            {"customMetadata": [{"key": "k", "stringListValue": {"values": [1]}}]},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 0}}},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 513}}},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": "many"}}},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 1.5}}},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 200, "maxOverlapTokens": 200}}},
            {"chunkingConfig": {"whiteSpaceConfig": {"maxTokensPerChunk": 200, "maxOverlapTokens": -1}}},
        ],
    )
    def test_invalid_field_of_a_document_is_refused(self, api, store, fields):
        assert error_of(start(api, store, **fields)) == INVALID
        if "displayName" not in fields:
            assert error_of(api.post(f"{store}:importFile", {"fileName": api.file()["name"], **fields})) == INVALID

    @pytest.mark.parametrize(
        "body",
        [
            '{"displayName": "\\ud800"}',
            '{"customMetadata": [{"key": "k", "stringValue": "\\udfff"}]}',
            '{"customMetadata": [{"key": "k", "numericValue": NaN}]}',
            '{"customMetadata": [{"key": "k", "numericValue": 1e999}]}',
            "[" * 100_000,
        ],
    )
    def test_what_is_no_json_is_refused_and_breaks_no_list(self, api, store, body):
        file = api.file()["name"]
        given = {"content": body, "headers": {"Content-Type": "application/json"}}
        headers = {**given["headers"], "X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
        path = f"{store}:uploadToFileSearchStore"
        assert error_of(api.http.post(f"/upload/v1beta/{path}", content=body, headers=headers)) == INVALID
        assert error_of(api.call("POST", f"{store}:importFile?fileName={file}", **given)) == INVALID
        assert api.get(f"{store}/documents").json() == {}

    @pytest.mark.parametrize("name", [" Handbook ", "\u624b \u518a", "- x -", " ", "a  b", "x" * 26 + " y"])
    def test_store_of_any_display_name_can_be_got(self, api, name):
        created = api.post("fileSearchStores", {"displayName": name}).json()
        assert api.get(created["name"]).json() == created

    def test_largest_fields_are_accepted(self, api, store):
        chunking = {"whiteSpaceConfig": {"maxTokensPerChunk": 512, "maxOverlapTokens": "511"}}
        metadata = [{"key": f"k{n}", "stringValue": "v"} for n in range(20)]
        response = start(api, store, displayName="x" * 512, customMetadata=metadata, chunkingConfig=chunking)
        assert response.status_code == 200

    @pytest.mark.parametrize("fields", [{"embeddingModel": "models/gemini-3.8-flash"}, {"displayName": "x" * 513}])
    def test_invalid_field_of_a_store_is_refused(self, api, fields):
        assert error_of(api.post("fileSearchStores", fields)) == INVALID

    def test_both_embedding_models_are_accepted(self, api):
        for model in ("models/gemini-embedding-001", "models/gemini-embedding-2"):
            assert api.post("fileSearchStores", {"embeddingModel": model}).json()["embeddingModel"] == model

    def test_full_stores_refuse_documents(self, emulator, api, store):
        emulator.settings.store_bytes = 30
        try:
            other = api.post("fileSearchStores").json()["name"]
            name = add(api, emulator, store, b"x" * 6)
            full = start(api, other, 5)
            assert error_of(full) == (429, "RESOURCE_EXHAUSTED")
            assert "file_search_storage_bytes" in full.json()["error"]["message"]
            url = start(api, other).headers["x-goog-upload-url"]
            assert api.command(url, "upload, finalize", b"x" * 5, 0).status_code == 429
            assert api.post(f"{other}:importFile", {"fileName": api.file()["name"]}).status_code == 429
            assert upload(api, other, b"x" * 4).status_code == 200
            api.delete(name, params={"force": "true"})
            assert upload(api, other, b"x" * 6).status_code == 200
        finally:
            emulator.settings.store_bytes = None

    @pytest.mark.parametrize("method", ["start_document", "finalize", "import_file"])
    def test_store_full_fault(self, emulator, api, store, method):
        file = api.file()
        emulator.faults.add(method, "store_full")
        if method == "import_file":
            response = api.post(f"{store}:importFile", {"fileName": file["name"]})
        else:
            response = start(api, store) if method == "start_document" else upload(api, store)
        assert error_of(response) == (429, "RESOURCE_EXHAUSTED")
        assert "file_search_storage_bytes, limit: 1073741824" in response.json()["error"]["message"]


class TestSearch:
    def test_document_with_words_of_the_prompt_is_found(self, emulator, api, store):
        add(api, emulator, store, b"Returns are free within 30 days.", displayName="returns.txt")
        add(api, emulator, store, b"The canteen opens at noon.", displayName="canteen.txt")
        [chunk] = found(api, store, "How do we handle RETURNS?")
        assert chunk == {
            "fileSearchStore": store,
            "title": "returns.txt",
            "text": "Returns are free within 30 days.",
        }

    def test_model_answers_without_chunks_if_nothing_matches(self, emulator, api, store):
        add(api, emulator, store, b"The canteen opens at noon.")
        response = ask(api, store, "What is the weather?").json()
        [candidate] = response["candidates"]
        assert candidate["content"]["parts"][0]["text"].endswith("I was asked: What is the weather?")
        assert "groundingMetadata" not in candidate
        assert "toolUsePromptTokenCount" not in response["usageMetadata"]

    def test_best_chunks_come_first_and_top_k_limits_them(self, emulator, api, store):
        for title, content in (("a", b"red"), ("b", b"red green blue"), ("c", b"green red"), ("d", b"red")):
            add(api, emulator, store, content, displayName=title)
        assert titles(api, store, "red green blue") == ["b", "c", "a", "d"]
        assert titles(api, store, "red green blue", topK=2) == ["b", "c"]
        assert error_of(ask(api, store, "red", topK=-1)) == INVALID

    def test_several_stores_are_searched(self, emulator, api, store):
        other = api.post("fileSearchStores").json()["name"]
        add(api, emulator, store, b"red", displayName="a")
        add(api, emulator, other, b"red", displayName="b")
        assert titles(api, [store, other], "red") == ["a", "b"]

    def test_chunks_have_the_words_that_the_request_asked_for(self, emulator, api, store):
        chunking = {"whiteSpaceConfig": {"maxTokensPerChunk": 3, "maxOverlapTokens": 1}}
        add(api, emulator, store, b"one apple two pear\nthree plum four", chunkingConfig=chunking)
        texts = [chunk["text"] for chunk in found(api, store, "apple pear plum three")]
        assert texts == ["two pear\nthree", "three plum four", "one apple two"]

    def test_pending_document_is_not_found(self, emulator, api, store):
        upload(api, store)
        assert found(api, store, "poems") == []

    def test_custom_metadata_is_part_of_a_citation(self, emulator, api, store):
        metadata = [
            {"key": "team", "stringValue": "ops"},
            {"key": "year", "numericValue": 2024},
            {"key": "tags", "stringListValue": {"values": ["a", "b"]}},
        ]
        add(api, emulator, store, customMetadata=metadata)
        assert found(api, store, "poems")[0]["customMetadata"] == metadata

    @pytest.mark.parametrize("compress", [False, True])
    def test_citation_of_a_pdf_has_the_page(self, emulator, api, store, compress):
        streams = [b"BT (An apple) Tj ET", b"BT [(A ) (pear)] TJ ET"]
        if compress:
            streams = [zlib.compress(stream) for stream in streams]
        pages = b"".join(b"<< /Type /Page >> stream\n" + stream + b"\nendstream " for stream in streams)
        add(api, emulator, store, b"%PDF-1.7 /Type /Pages " + pages, "application/pdf")
        assert [chunk["pageNumber"] for chunk in found(api, store, "pear")] == [2]
        assert [chunk["pageNumber"] for chunk in found(api, store, "pear and apple")] == [1, 2]

    def test_pdf_without_text_streams_is_cut_at_its_page_objects(self, emulator, api, store):
        content = b"%PDF-1.7 /Type /Pages /Type /Page apple /Type /Page pear"
        add(api, emulator, store, content, "application/pdf")
        assert [(chunk["pageNumber"], chunk["text"]) for chunk in found(api, store, "pear")] == [(2, "pear")]

    def test_document_without_text_is_found_by_its_title(self, emulator, api, store):
        add(api, emulator, store, b"jpeg", "image/jpeg", displayName="dog.jpg")
        add(api, emulator, store, b"PK\0\1dog", "application/zip", displayName="dog.zip")
        image, archive = found(api, store, "A photo of the dog")
        assert image.keys() == {"fileSearchStore", "title", "mediaId"}
        assert api.get(image["mediaId"], params={"alt": "media"}).content == b"jpeg"
        assert archive == {"fileSearchStore": store, "title": "dog.zip"}

    def test_each_chunk_supports_its_line_of_the_answer(self, emulator, api, store):
        add(api, emulator, store, "für red".encode(), displayName="a")
        add(api, emulator, store, b"red", displayName="b")
        [candidate] = ask(api, store, "red").json()["candidates"]
        answer = candidate["content"]["parts"][0]["text"].encode()
        supports = candidate["groundingMetadata"]["groundingSupports"]
        assert [support["groundingChunkIndices"] for support in supports] == [[0], [1]]
        for support, line in zip(supports, ["I found in a: für red", "I found in b: red"], strict=True):
            segment = support["segment"]
            assert segment["text"] == line == answer[segment["startIndex"] : segment["endIndex"]].decode()

    def test_chunks_support_all_of_a_scripted_answer(self, emulator, api, store):
        add(api, emulator, store)
        emulator.answers.add("Grün.")
        [candidate] = ask(api, store, "poems").json()["candidates"]
        [support] = candidate["groundingMetadata"]["groundingSupports"]
        assert support["segment"] == {"endIndex": 6, "text": "Grün."}

    def test_batch_searches_stores(self, emulator, api, store):
        add(api, emulator, store)
        tools = [{"fileSearch": {"fileSearchStoreNames": [store]}}]
        request = {"contents": [{"parts": [{"text": "poems"}]}], "tools": tools}
        rows = {"requests": [{"request": request}]}
        body = {"batch": {"inputConfig": {"requests": rows}}}
        batch = api.post(f"models/{MODEL}:batchGenerateContent", body).json()
        emulator.clock.advance(JOB_SECONDS)
        [row] = api.get(batch["name"]).json()["response"]["inlinedResponses"]["inlinedResponses"]
        assert row["response"]["candidates"][0]["groundingMetadata"]["groundingChunks"]


class TestRefusals:
    @pytest.mark.parametrize("names", [[], None, "fileSearchStores/x"])
    def test_search_without_stores_is_refused(self, api, names):
        tools = [{"fileSearch": {"fileSearchStoreNames": names}}]
        assert error_of(api.generate({"text": "?"}, model=MODEL, tools=tools)) == INVALID
        assert error_of(api.generate({"text": "?"}, model=MODEL, tools=[{"fileSearch": {}}])) == INVALID

    @pytest.mark.parametrize("other", ["googleSearch", "google_search", "urlContext"])
    def test_search_with_another_grounding_tool_is_refused(self, api, store, other):
        assert error_of(ask(api, store, "?", tools=[{other: {}}])) == INVALID
        assert ask(api, store, "?", tools=[{"functionDeclarations": []}]).status_code == 200

    def test_search_with_a_model_without_it_is_refused(self, api, store):
        for model in ("gemini-2.5-pro", "gemini-2.5-flash-lite"):
            assert error_of(ask(api, store, "?", model=model)) == INVALID
        for model in ("gemini-2.5-flash", "gemini-3.8-flash", "gemini-flash-latest"):
            assert ask(api, store, "?", model=model).status_code == 200

    def test_missing_store_is_refused(self, api):
        assert error_of(ask(api, "fileSearchStores/none", "?")) == (403, "PERMISSION_DENIED")


#: Documents by title.
METADATA = {
    "ops": [
        {"key": "team", "stringValue": "ops"},
        {"key": "year", "numericValue": 2023},
        {"key": "tags", "stringListValue": {"values": ["red", "green"]}},
    ],
    "sales": [{"key": "team", "stringValue": 'say "hi"'}, {"key": "year", "numericValue": 2024.5}],
    "plain": [],
}


class TestFilter:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('team = "ops"', {"ops"}),
            ("team = ops", {"ops"}),
            ("team='ops'", {"ops"}),
            ('"team" = "ops"', {"ops"}),
            (r'team = "say \"hi\""', {"sales"}),
            ('team: "ops"', {"ops"}),
            ('team != "ops"', {"sales"}),
            ('team < "p"', {"ops"}),
            ("year = 2023", {"ops"}),
            ("year = 2.023e3", {"ops"}),
            ("year>=2023", {"ops", "sales"}),
            ("year > 2023 AND year <= 2024.5", {"sales"}),
            ("year < -1", set()),
            ('year = "2023"', set()),
            ("year = ops", set()),
            ('tags: "red"', {"ops"}),
            ('tags = "green"', {"ops"}),
            ('tags != "red"', set()),
            ('tags != "blue"', {"ops"}),
            ('tags > "a"', set()),
            ('unknown = "x"', set()),
            ('unknown != "x"', set()),
            ('NOT team = "ops"', {"sales", "plain"}),
            ('NOT (team = "ops" OR year = 2024.5)', {"plain"}),
            ('team = "ops" OR year = 2024.5', {"ops", "sales"}),
            ('year = 2024.5 AND team = "none" OR team = "ops"', set()),
            ('(year = 2023 AND team = "none") OR team = "ops"', {"ops"}),
            ("((team = ops))", {"ops"}),
            ("", {"ops", "sales", "plain"}),
        ],
    )
    def test_filter_chooses_documents(self, emulator, api, store, text, expected):
        for title, metadata in METADATA.items():
            add(api, emulator, store, b"poems", displayName=title, customMetadata=metadata)
        assert set(titles(api, store, "poems", metadataFilter=text)) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "team",
            "team =",
            "= 1",
            'team = "ops',
            "team = ops AND",
            "AND team = ops",
            "team = ops year = 1",
            "(team = ops",
            "team = ops)",
            "team == ops",
            "team ! ops",
            "team = (ops)",
            "NOT",
            "(" * 100,
            "x" * 5000,
        ],
    )
    def test_malformed_filter_is_refused(self, api, store, text):
        response = ask(api, store, "?", metadataFilter=text)
        assert error_of(response) == INVALID
        assert "metadata_filter" in response.json()["error"]["message"]


class TestList:
    def test_documents_are_newest_first_in_pages_of_at_most_20(self, emulator, api, store):
        names = [upload(api, store).json()["response"]["documentName"] for _ in range(25)]
        listed, token = [], ""
        while True:
            page = api.get(f"{store}/documents", params={"pageSize": 20, "pageToken": token}).json()
            listed += [document["name"] for document in page["documents"]]
            if not (token := page.get("nextPageToken")):
                break
        assert listed == names[::-1]
        assert len(api.get(f"{store}/documents").json()["documents"]) == 10
        assert error_of(api.get(f"{store}/documents", params={"pageSize": 21})) == INVALID

    def test_same_upload_twice_makes_two_documents(self, api, store):
        first, second = (upload(api, store, displayName="same").json()["response"] for _ in range(2))
        assert first["documentName"] != second["documentName"]
        assert len(api.get(f"{store}/documents").json()["documents"]) == 2


def test_python_sdk_reads_failures_and_citations(emulator):
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="k", http_options={"base_url": emulator.base_url})
    stores = client.file_search_stores
    store = stores.create(config={"display_name": "Handbook"})

    def put(text, **config):
        return stores.upload_to_file_search_store(
            file_search_store_name=store.name,
            file=io.BytesIO(text),
            config={"mime_type": "text/plain", **config},
        )

    emulator.faults.add("start_document", "document_failed", seconds=100)
    emulator.faults.add("start_document", "operation_error", nth=2)
    failing = put(b"red", custom_metadata=[{"key": "team", "string_value": "ops"}])
    broken = put(b"red")
    assert (failing.done, failing.response.document_name is not None) == (None, True)

    emulator.clock.advance(JOB_SECONDS)
    assert client.operations.get(broken).error["message"] == "Failed to count tokens."
    assert client.operations.get(failing).done is True
    assert stores.documents.get(name=failing.response.document_name).state == "STATE_FAILED"
    assert stores.get(name=store.name).failed_documents_count == 1

    emulator.clock.advance(100)
    assert [document.state for document in stores.documents.list(parent=store.name)] == ["STATE_ACTIVE"]
    tool = {"file_search": {"file_search_store_names": [store.name], "metadata_filter": 'team = "ops"', "top_k": 1}}
    answer = client.models.generate_content(model=MODEL, contents="Is it red?", config={"tools": [tool]})
    [chunk] = answer.candidates[0].grounding_metadata.grounding_chunks
    [metadata] = chunk.retrieved_context.custom_metadata
    assert (chunk.retrieved_context.file_search_store, metadata.string_value) == (store.name, "ops")
    [support] = answer.candidates[0].grounding_metadata.grounding_supports
    assert support.segment.text == f"I found in {chunk.retrieved_context.title}: red"
