"""Batches: their states, results, limits and faults."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest
from emulator.api import Api

DAY = 86400
PATH = "models/gemini-3.8-flash:batchGenerateContent"


def prompt(text):
    return {"contents": [{"parts": [{"text": text}]}]}


def row(key, text=None):
    return {"key": key, "request": prompt(text or key)}


def jsonl(rows):
    return "".join(json.dumps(item) + "\n" for item in rows).encode()


def post(api, path=PATH, name="My batch", **config):
    return api.post(path, {"batch": {"displayName": name, "inputConfig": config}})


def create(api, *rows, **options):
    """Create a batch from a file of rows, and return its name."""
    file = api.file(jsonl(rows or [row("a"), row("b"), row("c")]), "application/jsonl")
    return post(api, fileName=file["name"], **options).json()["name"]


def state(operation):
    return operation["metadata"]["state"].removeprefix("BATCH_STATE_")


def stats(operation):
    return {name: int(count) for name, count in operation["metadata"]["batchStats"].items()}


def results(api, operation):
    content = api.get(f"{operation['response']['responsesFile']}:download", params={"alt": "media"}).text
    return [json.loads(line) for line in content.splitlines()]


def finish(emulator, api, name):
    emulator.clock.advance(60)
    return api.get(name).json()


class TestLife:
    def test_batch_is_pending_then_running_then_succeeded(self, emulator, api):
        rows = [row(str(number)) for number in range(10)]
        operation = post(api, file_name=api.file(jsonl(rows), "jsonl")["name"]).json()
        assert re.fullmatch(r"batches/[a-z0-9]{36}", operation["name"])
        assert (state(operation), "done" in operation) == ("PENDING", False)
        assert stats(operation) == {"requestCount": 10, "pendingRequestCount": 10}
        emulator.clock.advance(45)
        operation = api.get(operation["name"]).json()
        assert (state(operation), "done" in operation) == ("RUNNING", False)
        assert stats(operation) == {"requestCount": 10, "successfulRequestCount": 5, "pendingRequestCount": 5}
        emulator.clock.advance(15)
        operation = api.get(operation["name"]).json()
        assert (state(operation), operation["done"]) == ("SUCCEEDED", True)
        assert stats(operation) == {"requestCount": 10, "successfulRequestCount": 10}
        assert [result["key"] for result in results(api, operation)] == [item["key"] for item in rows]

    def test_cancelled_batch_has_an_error_and_no_results(self, emulator, api):
        name = create(api)
        assert api.post(f"{name}:cancel").json() == {}
        operation = finish(emulator, api, name)
        assert (state(operation), operation["done"], "response" in operation) == ("CANCELLED", True, False)
        assert (operation["error"]["code"], bool(operation["error"]["message"])) == (1, True)
        assert emulator.usage()["files"] == 1

    def test_cancelling_takes_the_set_time(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "cancel_seconds", 20)
        name = create(api)
        api.post(f"{name}:cancel")
        operation = api.get(name).json()
        assert (state(operation), "error" in operation) == ("PENDING", False)
        emulator.clock.advance(10)
        api.post(f"{name}:cancel")
        emulator.clock.advance(10)
        assert state(api.get(name).json()) == "CANCELLED"

    def test_cancel_that_comes_too_late_changes_nothing(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "cancel_seconds", 61)
        name = create(api)
        api.post(f"{name}:cancel")
        operation = finish(emulator, api, name)
        assert (state(operation), "error" in operation) == ("SUCCEEDED", False)
        emulator.clock.advance(10)
        assert api.get(name).json() == operation

    def test_batch_expires_without_results(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "batch_expiry_seconds", 50)
        operation = finish(emulator, api, create(api))
        assert (state(operation), operation["error"]["code"], operation["done"]) == ("EXPIRED", 4, True)
        assert "response" not in operation

    @pytest.mark.parametrize("stops", [True, False])
    def test_deleted_batch_stops_or_goes_on(self, emulator, api, monkeypatch, stops):
        monkeypatch.setattr(emulator.settings, "delete_stops_batch", stops)
        name = create(api)
        assert api.delete(name).json() == {}
        assert api.get(name).status_code == 404
        emulator.clock.advance(60)
        assert emulator.usage()["files"] == (1 if stops else 2)

    def test_list_is_newest_first_and_has_state_stats_error_and_file(self, emulator, api, monkeypatch):
        first = create(api)
        emulator.clock.advance(60)
        second = create(api)
        api.post(f"{second}:cancel")
        page = api.get("batches", params={"pageSize": 1}).json()
        assert [operation["name"] for operation in page["operations"]] == [second]
        assert (state(page["operations"][0]), page["operations"][0]["error"]["code"]) == ("CANCELLED", 1)
        rest = api.get("batches", params={"pageSize": 1, "pageToken": page["nextPageToken"]}).json()
        assert rest == {"operations": [api.get(first).json()]}
        assert "responsesFile" in rest["operations"][0]["response"]
        assert stats(rest["operations"][0])["successfulRequestCount"] == 3

    def test_inline_results_are_omitted_in_a_list(self, emulator, api):
        request = {"request": prompt("one"), "metadata": {"key": "m"}}
        name = post(api, requests={"requests": [request]}).json()["name"]
        operation = finish(emulator, api, name)
        assert operation["response"]["inlinedResponses"]["inlinedResponses"][0]["metadata"] == {"key": "m"}
        listed = api.get("batches").json()["operations"][0]
        assert (state(listed), "response" in listed, "output" in listed["metadata"]) == ("SUCCEEDED", False, False)


class TestResults:
    @pytest.mark.parametrize("prefix", ["", "/download"])
    def test_result_file_can_be_downloaded_but_not_deleted(self, emulator, api, prefix):
        done = finish(emulator, api, create(api, row("r1", "one"), {"key": "r2", "request": {"contents": []}}))
        name = done["response"]["responsesFile"]
        assert name == done["metadata"]["output"]["responsesFile"]
        assert len(name.removeprefix("files/")) == 42
        file = api.get(name).json()
        assert file["source"] == "GENERATED"
        assert file["downloadUri"].endswith(f"{name}:download?alt=media")
        response = api.http.get(f"{prefix}/v1beta/{name}:download?alt=media")
        good, bad = [json.loads(line) for line in response.text.splitlines()]
        assert good["key"] == "r1"
        assert good["response"]["candidates"][0]["content"]["parts"][0]["text"].endswith("one")
        assert (bad["key"], bad["error"]["status"]) == ("r2", "INVALID_ARGUMENT")
        assert stats(done) == {"requestCount": 2, "successfulRequestCount": 1, "failedRequestCount": 1}
        assert file["sizeBytes"] == str(len(response.content))
        refused = api.delete(name).json()["error"]
        rule = "* DeleteFileRequest.name: File ID (name excluding 'files/') cannot be more than 40 characters.\n"
        assert (refused["code"], refused["message"]) == (400, rule)
        assert emulator.usage()["files"] == 2
        assert api.http.get(f"{prefix}/v1beta/{name}:download").status_code == 400

    def test_row_whose_file_is_gone_has_an_error(self, emulator, api):
        kept, gone = api.file(b"kept"), api.file(b"gone")
        shown = [{"contents": [{"parts": [{"fileData": {"fileUri": file["uri"]}}]}]} for file in (kept, gone)]
        name = create(api, *({"key": str(number), "request": request} for number, request in enumerate(shown)))
        api.delete(gone["name"])
        good, bad = results(api, finish(emulator, api, name))
        assert "response" in good
        assert (bad["key"], bad["error"]["code"], bad["error"]["status"]) == ("1", 403, "PERMISSION_DENIED")

    def test_batch_sees_the_files_of_its_own_time(self, emulator, api):
        """If the clock jumps, files that expire later than the batch ends are still there for it."""
        file = api.file(b"shown")
        name = create(api, {"key": "1", "request": {"contents": [{"parts": [{"fileData": {"fileUri": file["uri"]}}]}]}})
        emulator.clock.advance(2 * DAY + 1)
        assert stats(api.get(name).json()) == {"requestCount": 1, "successfulRequestCount": 1}
        assert api.get(file["name"]).status_code == 403

    def test_batch_of_embeddings(self, emulator, api):
        request = {"request": {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4}}
        path = "models/gemini-embedding-001:asyncBatchEmbedContent"
        name = post(api, path, requests={"requests": [request]}).json()["name"]
        result = finish(emulator, api, name)["response"]["inlinedResponses"]["inlinedResponses"][0]
        assert len(result["response"]["embedding"]["values"]) == 4

    def test_duplicate_keys_have_a_result_each(self, emulator, api):
        name = create(api, row("a", "one"), row("a", "two"))
        assert [result["key"] for result in results(api, finish(emulator, api, name))] == ["a", "a"]

    def test_answers_are_scripted_by_prompt(self, emulator, api):
        emulator.answers.add(prompt="blocked", block_reason="SAFETY")
        emulator.answers.add("{", prompt="invalid")
        emulator.answers.add("so f", prompt="cut", finish_reason="MAX_TOKENS")
        name = create(api, row("cut"), row("other"), row("invalid"), row("blocked"))
        by_key = {result["key"]: result["response"] for result in results(api, finish(emulator, api, name))}
        assert by_key["cut"]["candidates"][0]["finishReason"] == "MAX_TOKENS"
        assert by_key["other"]["candidates"][0]["content"]["parts"][0]["text"].endswith("other")
        assert by_key["invalid"]["candidates"][0]["content"]["parts"] == [{"text": "{"}]
        assert by_key["blocked"]["promptFeedback"]["blockReason"] == "SAFETY"

    def test_answer_for_another_prompt_stays_queued(self, emulator, api):
        emulator.answers.add("Yes.", prompt="film")
        assert "Yes." not in api.generate({"text": "Is it a song?"}).text
        assert "Yes." in api.generate({"text": "Is it a film?"}).text
        assert "Yes." not in api.generate({"text": "Is it a film?"}).text

    def test_many_rows_take_time_in_proportion(self, emulator, api):
        def seconds(count):
            name = create(api, *(row(f"row {number}", "?" * 600) for number in range(count)))
            began = time.perf_counter()
            for _ in range(6):
                emulator.clock.advance(10)
                operation = api.get(name).json()
            assert len(results(api, operation)) == count
            return time.perf_counter() - began

        # More than the 4 MiB that are kept of other files.
        assert seconds(8000) < 4 * 8 * max(seconds(1000), 0.05)


class TestInput:
    def test_display_name_is_optional(self, api):
        requests = {"requests": [{"request": prompt("a")}]}
        operation = api.post(PATH, {"batch": {"inputConfig": {"requests": requests}}}).json()
        assert "displayName" not in operation["metadata"]
        response = api.post(PATH, {"batch": {"displayName": 5, "inputConfig": {"requests": requests}}})
        assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

    def test_invalid_input_is_refused(self, emulator, api):
        assert post(api).status_code == 400
        assert post(api, fileName="files/none").status_code == 404
        assert post(api, fileName="files/_").status_code == 400
        assert post(api, fileName=api.file(b"{oops", "jsonl")["name"]).status_code == 400
        other = Api(emulator.base_url, key="other")
        assert post(other, fileName=api.file(jsonl([row("a")]))["name"]).json()["error"]["status"] == "NOT_FOUND"
        film = api.file(mime_type="video/mp4")
        assert post(api, fileName=film["name"]).json()["error"]["status"] == "FAILED_PRECONDITION"
        assert api.get("batches").json() == {}

    def test_webhooks_and_priorities_are_ignored(self, api):
        requests = {"requests": [{"request": prompt("a")}]}
        batch = {"displayName": "b", "inputConfig": {"requests": requests}, "priority": "1"}
        batch["webhookConfig"] = {"uris": ["https://example.com/hook"]}
        assert api.post(PATH, {"batch": batch}).status_code == 200


def assert_names_no_limit(response):
    error = response.json()["error"]
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert [detail["@type"].rpartition(".")[2] for detail in error["details"]] == ["Help"]


class TestLimits:
    def test_too_many_batches_are_refused(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "max_batches", 2)
        names = [create(api), create(api)]
        file = api.file(jsonl([row("a")]), "application/jsonl")["name"]
        assert_names_no_limit(post(api, fileName=file))
        assert post(Api(emulator.base_url, key="other"), requests={"requests": [row("a")]}).status_code == 200
        api.post(f"{names[0]}:cancel")
        assert post(api, fileName=file).status_code == 200
        assert_names_no_limit(post(api, fileName=file))
        emulator.clock.advance(60)
        assert post(api, fileName=file).status_code == 200

    def test_too_many_tokens_of_a_model_are_refused(self, emulator, api, monkeypatch):
        create(api, row("a", "x" * 400), {"key": "invalid"})
        monkeypatch.setattr(emulator.settings, "batch_tokens", 150)
        large = {"requests": [{"request": prompt("x" * 400)}]}
        assert_names_no_limit(post(api, requests=large))
        assert post(api, requests={"requests": [{"request": prompt("x" * 200)}]}).status_code == 200
        assert post(api, "models/gemini-2.5-pro:batchGenerateContent", requests=large).status_code == 200
        emulator.clock.advance(60)
        assert post(api, requests=large).status_code == 200

    def test_tokens_of_embeddings_are_counted(self, emulator, api, monkeypatch):
        monkeypatch.setattr(emulator.settings, "batch_tokens", 150)
        requests = {"requests": [{"request": {"content": {"parts": [{"text": "x" * 400}]}}}]}
        path = "models/gemini-embedding-001:asyncBatchEmbedContent"
        assert [post(api, path, requests=requests).status_code for _ in range(2)] == [200, 429]

    @pytest.mark.parametrize("action", ["batches_full", "enqueued_full"])
    def test_full_quota_as_a_fault(self, emulator, api, action):
        emulator.faults.add("create_batch", action)
        assert_names_no_limit(post(api, requests={"requests": [row("a")]}))

    def test_free_tier_has_no_batches(self, emulator, api):
        emulator.faults.add("create_batch", "no_batches")
        error = post(api, requests={"requests": [row("a")]}).json()["error"]
        violation = error["details"][0]["violations"][0]
        assert (error["code"], "limit: 0" in error["message"]) == (429, True)
        assert (violation["quotaId"].endswith("-FreeTier"), violation["quotaValue"]) == (True, "0")
        assert error["details"][-1]["retryDelay"] == "28s"


class TestFaults:
    def test_lost_response_leaves_one_batch(self, emulator, api):
        emulator.faults.add("create_batch", "lose_answer")
        with pytest.raises(httpx.TransportError):
            create(api)
        [operation] = api.get("batches").json()["operations"]
        assert operation["metadata"]["displayName"] == "My batch"

    def test_error_after_the_batch_was_created(self, emulator, api):
        emulator.faults.add("create_batch", "created_then_internal", times=2)
        response = post(api, requests={"requests": [row("a")]})
        assert (response.status_code, response.json()["error"]["status"]) == (500, "INTERNAL")
        assert len(api.get("batches").json()["operations"]) == 1
        assert post(api).status_code == 400

    @pytest.mark.parametrize(
        ("action", "expected", "code"), [("batch_failed", "FAILED", 13), ("batch_expired", "EXPIRED", 4)]
    )
    def test_batch_ends_with_an_error_and_no_results(self, emulator, api, action, expected, code):
        emulator.faults.add("create_batch", action)
        name = create(api)
        emulator.clock.advance(40)
        assert state(api.get(name).json()) == "RUNNING"
        operation = finish(emulator, api, name)
        assert (state(operation), operation["error"]["code"], operation["done"]) == (expected, code, True)
        assert stats(operation) == {"requestCount": 3, "pendingRequestCount": 3}
        assert api.get("batches").json()["operations"] == [operation]
        assert emulator.usage()["files"] == 1

    def test_error_of_a_failed_batch_can_be_given(self, emulator, api):
        error = {"code": 3, "message": "The input is malformed.", "details": []}
        emulator.faults.add("create_batch", "batch_failed", error=error)
        assert finish(emulator, api, create(api))["error"] == error

    def test_cancelled_batch_that_would_fail_has_the_error_of_a_cancelled_one(self, emulator, api):
        emulator.faults.add("create_batch", "batch_failed", error={"code": 3, "message": "no"})
        name = create(api)
        api.post(f"{name}:cancel")
        assert api.get(name).json()["error"]["code"] == 1

    def test_stuck_batch_is_pending_until_it_expires(self, emulator, api):
        emulator.faults.add("create_batch", "batch_stuck")
        name = create(api)
        emulator.clock.advance(2 * DAY - 1)
        assert state(api.get(name).json()) == "PENDING"
        emulator.clock.advance(1)
        assert state(api.get(name).json()) == "EXPIRED"

    def test_stuck_batch_can_be_cancelled(self, emulator, api):
        emulator.faults.add("create_batch", "batch_stuck")
        name = create(api)
        api.post(f"{name}:cancel")
        assert state(api.get(name).json()) == "CANCELLED"

    def test_output_appears_later_than_the_state(self, emulator, api):
        emulator.faults.add("create_batch", "batch_output_late", seconds=30)
        name = create(api)
        operation = finish(emulator, api, name)
        assert (state(operation), operation["done"]) == ("SUCCEEDED", True)
        assert not {"response", "error"} & operation.keys()
        assert "output" not in operation["metadata"]
        emulator.clock.advance(29)
        assert api.get(name).json() == operation
        emulator.clock.advance(1)
        assert len(results(api, api.get(name).json())) == 3

    def test_all_rows_fail(self, emulator, api):
        emulator.faults.add("create_batch", "rows_failed")
        operation = finish(emulator, api, create(api))
        assert [result["error"]["status"] for result in results(api, operation)] == ["UNAVAILABLE"] * 3
        assert stats(operation) == {"requestCount": 3, "failedRequestCount": 3}
        assert state(operation) == "SUCCEEDED"

    def test_some_rows_fail_with_the_given_error(self, emulator, api):
        error = {"code": 429, "message": "later", "status": "RESOURCE_EXHAUSTED"}
        emulator.faults.add("create_batch", "rows_failed", keys=["b"], error=error)
        found = results(api, finish(emulator, api, create(api)))
        assert [result.get("error") for result in found] == [None, error, None]

    def test_rows_are_missing(self, emulator, api):
        emulator.faults.add("create_batch", "rows_missing", keys=["a", "c"])
        assert [result["key"] for result in results(api, finish(emulator, api, create(api)))] == ["b"]

    def test_rows_are_in_reverse_order(self, emulator, api):
        emulator.faults.add("create_batch", "rows_shuffled")
        assert [result["key"] for result in results(api, finish(emulator, api, create(api)))] == ["c", "b", "a"]

    def test_rows_of_inline_requests_have_their_key_in_the_metadata(self, emulator, api):
        emulator.faults.add("create_batch", "rows_failed", keys=["b"])
        items = [{"request": prompt(key), "metadata": {"key": key}} for key in "ab"]
        name = post(api, requests={"requests": items}).json()["name"]
        found = finish(emulator, api, name)["response"]["inlinedResponses"]["inlinedResponses"]
        assert ["error" in result for result in found] == [False, True]

    def test_keys_that_the_batch_lacks_are_an_error_of_the_emulator(self, emulator, api):
        emulator.faults.add("create_batch", "rows_missing", keys=["z"])
        response = post(api, requests={"requests": [row("a")]})
        assert (response.status_code, "no rows with the keys ['z']" in response.text) == (500, True)

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"method": "get_batch", "action": "batch_failed"}, "batch_failed is for create_batch"),
            ({"method": "generate", "action": "rows_failed"}, "rows_failed is for create_batch"),
            ({"action": "batch_output_late"}, "needs seconds"),
            ({"action": "batch_expired", "keys": ["a"]}, "keys is for action rows_failed, rows_missing"),
            ({"action": "rows_missing", "error": {}}, "error is for action fail_processing"),
            ({"action": "rows_missing", "keys": []}, "keys is a list of texts"),
            ({"action": "rows_missing", "keys": [1]}, "keys is a list of texts"),
        ],
    )
    def test_impossible_fault_is_refused(self, emulator, fault, words):
        with pytest.raises(ValueError, match=words):
            emulator.faults.load([{"method": "create_batch", **fault}])
