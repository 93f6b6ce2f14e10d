"""Reading the connection, the worker's environment, and the retries of calls."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from dataclasses import replace

import pytest
from support import API_KEY

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks import service as service_module
from airflow_provider_gemini_files.hooks.gemini_files import GeminiFilesHook
from airflow_provider_gemini_files.hooks.requests import FILES, PING
from airflow_provider_gemini_files.hooks.service import GeminiService

#: Whether google-genai is 3.x.
USES_HTTPX2 = importlib.util.find_spec("httpx2") is not None


@pytest.fixture
def service(emulator, clock) -> GeminiService:
    return GeminiService("gemini_default", clock=clock)


def connected_in_loop(conn_id: str) -> None:
    async def connect() -> None:
        service = GeminiService(conn_id)
        try:
            await service.connect_async()
        finally:
            await service.close_async()

    asyncio.run(connect())


def list_files(conn_id: str) -> None:
    GeminiFilesHook(conn_id).list_files()


BLOCKING_OR_IN_LOOP = pytest.mark.parametrize("use", [list_files, connected_in_loop])


class TestReadingTheConnection:
    def test_nothing_is_read_or_sent_before_the_first_call(self):
        GeminiFilesHook("no_such_connection")

    @BLOCKING_OR_IN_LOOP
    @pytest.mark.parametrize("conn_id", [None, "", "None", 5])
    def test_anything_but_an_id_names_the_argument(self, use, conn_id):
        with pytest.raises(e.GeminiInputError, match="gemini_conn_id must be the id of a connection"):
            use(conn_id)

    @BLOCKING_OR_IN_LOOP
    def test_missing_connection_says_how_to_create_one(self, use):
        with pytest.raises(e.GeminiInputError, match=r"no connection 'nope': add one .*AIRFLOW_CONN_NOPE='\{"):
            use("nope")

    @BLOCKING_OR_IN_LOOP
    def test_connection_that_airflow_cannot_read_is_not_one_that_is_missing(self, mocker, use):
        failure = ConnectionError("https://:s3cret@vault is down")
        for method in ("get_connection", "aget_connection"):
            mocker.patch.object(service_module.BaseHook, method, autospec=True, side_effect=failure)

        with pytest.raises(e.GeminiServiceError, match=r"cannot read connection 'nope' .* down") as told:
            use("nope")

        assert "s3cret" not in str(told.value)

    @BLOCKING_OR_IN_LOOP
    @pytest.mark.parametrize(
        "value", ["gemini://:s3cret#with/odd%characters@host", "gemini://:s3cret@host:port", '{"conn_type": "gemini"']
    )
    def test_connection_variable_that_airflow_cannot_read_is_named_with_the_json_form(self, monkeypatch, use, value):
        monkeypatch.setenv("AIRFLOW_CONN_ODD", value)

        with pytest.raises(e.GeminiInputError, match=r"AIRFLOW_CONN_ODD is set, but .*AIRFLOW_CONN_ODD='\{") as raised:
            use("odd")

        assert "s3cret" not in str(raised.value)

    def test_the_json_form_that_the_error_advises_can_be_read(self, monkeypatch):
        fields = {"conn_type": "gemini", "password": "odd#key/with%characters"}
        monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(fields))

        assert GeminiFilesHook("odd").connection.api_key == "odd#key/with%characters"

    def test_key_is_masked_in_logs(self, hook, mocker):
        mask = mocker.patch.object(service_module, "mask_secret", autospec=True)

        hook.list_files()

        mask.assert_called_once_with(API_KEY)

    def test_key_of_the_environment_is_masked_and_its_variable_logged(self, connect, monkeypatch, mocker):
        connect(password="")
        log = mocker.patch.object(GeminiFilesHook, "log", autospec=True)
        monkeypatch.setenv("GEMINI_API_KEY", "key-of-the-worker")
        mask = mocker.patch.object(service_module, "mask_secret", autospec=True)

        assert GeminiFilesHook().connection.api_key == "key-of-the-worker"

        mask.assert_called_once_with("key-of-the-worker")
        log.info.assert_called_once_with("Connection %r has no key: using %s.", "gemini_default", "GEMINI_API_KEY")

    def test_closing_in_a_loop_lets_the_next_call_read_a_rotated_key(self, connect, gemini_emulator):
        connect(host=gemini_emulator.base_url)

        async def keys() -> list[str]:
            service, found = GeminiService("gemini_default"), []
            for key in ("first-key", "second-key"):
                connect(host=gemini_emulator.base_url, password=key)
                found.append((await service.connect_async()).connection.api_key)
                await service.close_async()
            return found

        assert asyncio.run(keys()) == ["first-key", "second-key"]


class TestTheEnvironmentOfTheWorker:
    def test_variables_of_the_sdk_do_not_redirect_calls(self, hook, monkeypatch):
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")

        assert hook.list_files() == []
        assert hook.count_tokens("a question") > 0

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("ALL_PROXY", "socks5://127.0.0.1:9"),
            ("HTTPS_PROXY", "no-scheme://127.0.0.1:9"),
            ("NO_PROXY", "localhost,[::1]"),
            ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ],
    )
    @pytest.mark.parametrize("call", ["list_files", "count_tokens", "upload_bytes", "in_loop"])
    def test_unusable_variable_is_an_input_error_that_names_it(self, emulator, monkeypatch, variable, value, call):
        monkeypatch.setenv(variable, value)
        calls = {
            "list_files": lambda hook: hook.list_files(),
            "count_tokens": lambda hook: hook.count_tokens("x"),
            "upload_bytes": lambda hook: hook.upload_bytes(b"x", "x.txt"),
            "in_loop": lambda hook: connected_in_loop("gemini_default"),
        }

        if (variable, call) == ("NO_PROXY", "count_tokens") and USES_HTTPX2:
            pytest.skip("httpx2 reads this value")
        with pytest.raises(e.GeminiInputError, match=variable):
            calls[call](GeminiFilesHook())

        assert emulator.journal == []


class TestRetries:
    def test_passing_failures_are_repeated_with_growing_pauses(self, service, emulator, clock, connect):
        connect(host=emulator.base_url, extra={"max_retries": 3})
        emulator.faults.add("list", "overloaded", times=3)

        service.call(service.files_client.ping)

        assert [entry["status"] for entry in emulator.journal] == [503, 503, 503, 200]
        assert clock.slept == [1.0, 2.0, 4.0]

    def test_the_last_failure_is_raised_after_max_retries(self, service, emulator):
        emulator.faults.add("get", "reset", times=2)

        with pytest.raises(e.GeminiServiceError, match=r"Cannot get files/abc: http://127.* cannot be reached \("):
            service.call(lambda: service.files_client.get(FILES, "files/abc"))

        assert emulator.faults.unused() == []

    @pytest.mark.parametrize(("asked", "slept"), [("9", [9.0]), ("60", [60.0]), ("61", []), ("3600", [])])
    def test_retry_after_is_followed_up_to_a_minute(self, service, emulator, clock, asked, slept):
        emulator.faults.add("list", "status", status=503, body="", headers={"Retry-After": asked})

        if slept:
            service.call(service.files_client.ping)
        else:
            with pytest.raises(e.GeminiServiceError) as raised:
                service.call(service.files_client.ping)
            assert raised.value.retry_after == float(asked)

        assert clock.slept == slept

    def test_permanent_errors_are_not_repeated(self, service, emulator, clock):
        emulator.faults.add("list", "bad_key")

        with pytest.raises(e.GeminiAuthError):
            service.call(service.files_client.ping)

        assert clock.slept == []

    def test_call_that_begins_during_another_ones_rate_limit_waits_for_its_end(self, service, emulator, clock):
        emulator.faults.add("list", "rate_limit", seconds=7)
        clock.after(3, lambda: service.call(service.files_client.ping))

        service.call(service.files_client.ping)

        assert clock.slept == [7.0, 4.0]
        assert [entry["status"] for entry in emulator.journal] == [429, 200, 200]

    @pytest.mark.parametrize(("repeat", "calls"), [(True, 2), (False, 1)])
    def test_request_that_may_have_been_billed_is_only_repeated_if_allowed(self, service, repeat, calls):
        made = []

        def paid() -> None:
            made.append(1)
            raise e.GeminiServiceError("no answer", unanswered=True)

        with pytest.raises(e.GeminiServiceError):
            service.call(paid, repeat_unanswered=repeat)

        assert len(made) == calls


class TestWhetherARequestMayHaveBeenCarriedOut:
    def test_it_may_if_its_response_did_not_arrive(self, service, emulator):
        emulator.faults.add("list", "reset")

        with pytest.raises(e.GeminiServiceError) as raised:
            service.files_client.ping()

        assert raised.value.unanswered

    def test_it_may_if_its_own_timeout_has_passed(self, service, emulator):
        emulator.faults.add("list", "drip", seconds=0.05)

        with pytest.raises(e.GeminiServiceError, match=r"did not end within 0\.01 s|ReadTimeout") as raised:
            service.files_client.send(replace(PING, timeout=0.01))

        assert raised.value.unanswered

    def test_it_was_not_if_no_connection_could_be_opened(self, connect):
        connect(host="http://127.0.0.1:9")

        with pytest.raises(e.GeminiServiceError) as raised:
            GeminiService("gemini_default").files_client.ping()

        assert raised.value.unreachable
        assert not raised.value.unanswered


class TestTheClockOfTheService:
    def test_it_is_this_machines_before_any_response(self, service, clock):
        assert service.server_now() == clock.now()

    def test_it_is_read_from_the_date_of_responses(self, service, emulator, clock):
        emulator.clock.advance(3600)

        service.call(service.files_client.ping)

        assert service.server_now() == pytest.approx(emulator.clock.now(), abs=2)
        assert emulator.clock.now() - clock.now() == pytest.approx(3600, abs=1)
