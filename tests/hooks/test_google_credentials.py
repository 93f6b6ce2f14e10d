from __future__ import annotations

import json
import logging
import sys
from types import ModuleType
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account as accounts
from google_accounts import TOKEN, service_account

from airflow_provider_gemini_files import exceptions as e
from airflow_provider_gemini_files.hooks import google_credentials
from airflow_provider_gemini_files.hooks.google_credentials import SCOPES, GoogleIdentity, find_credentials

log = logging.getLogger(__name__)
PROVIDER = "airflow.providers.google.common.hooks.base_google"


class ProviderHook:
    """Stands in for the Google provider's hook: that provider cannot be installed with google-genai 3.x."""

    credentials: Any = None
    #: The chain of the last hook.
    chain: Any = None

    def __init__(self, gcp_conn_id: str, impersonation_chain: Any = None) -> None:
        ProviderHook.chain = impersonation_chain

    def get_credentials(self) -> Any:
        if isinstance(self.credentials, Exception):
            raise self.credentials
        return self.credentials


@pytest.fixture
def connection(monkeypatch, no_google):
    """Return a function that adds a Google connection."""

    def add(conn_id: str = "google_cloud_default") -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "google_cloud_platform"}))

    return add


@pytest.fixture
def provider(monkeypatch, google_tokens):
    """Install the Google provider's hook; its credentials are those of a service account."""
    module = ModuleType(PROVIDER)
    module.GoogleBaseHook = ProviderHook
    monkeypatch.setitem(sys.modules, PROVIDER, module)
    key = service_account(google_tokens.url)
    monkeypatch.setattr(ProviderHook, "credentials", accounts.Credentials.from_service_account_info(key))
    return google_tokens


@pytest.fixture
def no_provider(monkeypatch):
    monkeypatch.setitem(sys.modules, PROVIDER, None)


def identity(*arguments: Any) -> GoogleIdentity:
    return GoogleIdentity.of(*(*arguments, None, None, None)[:3])


class TestConnection:
    def test_of_a_connection(self, connection, provider):
        connection("stores")

        found = find_credentials(identity("stores"), log)

        assert found.bearer().token == TOKEN
        assert found.described == "connection 'stores'"

    def test_of_a_connection_of_the_google_provider(self, google_tokens, no_google, monkeypatch):
        pytest.importorskip(PROVIDER)
        extra = {"keyfile_dict": json.dumps(service_account(google_tokens.url)), "quota_project_id": "their-project"}
        fields = {"conn_type": "google_cloud_platform", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_STORES", json.dumps(fields))

        found = find_credentials(identity("stores"), log)

        assert (found.bearer().token, found.bearer().quota_project) == (TOKEN, "their-project")
        assert found._credentials.scopes == SCOPES

    def test_both_scopes_are_asked_for(self, connection, provider):
        connection()

        assert find_credentials(identity(), log)._credentials.scopes == SCOPES

    def test_the_chain_reaches_the_provider(self, connection, provider):
        connection()

        find_credentials(identity(None, None, ["a@p.iam", "b@p.iam"]), log)

        assert ProviderHook.chain == ["a@p.iam", "b@p.iam"]

    def test_a_connection_that_gives_none_is_an_error(self, connection, provider, monkeypatch):
        connection()
        monkeypatch.setattr(ProviderHook, "credentials", ValueError("Invalid key JSON."))

        with pytest.raises(e.GeminiAuthError, match=r"'google_cloud_default'.*Invalid key JSON\. Either add"):
            find_credentials(identity(), log)

    def test_anonymous_credentials_are_an_error(self, connection, provider, monkeypatch):
        connection()
        monkeypatch.setattr(ProviderHook, "credentials", AnonymousCredentials())

        with pytest.raises(e.GeminiAuthError, match="anonymous"):
            find_credentials(identity(), log)

    def test_another_connection_needs_the_provider(self, connection, no_provider):
        connection("stores")

        with pytest.raises(e.GeminiInputError, match=r"'stores' needs apache-airflow-providers-google.*extra gcs"):
            find_credentials(identity("stores"), log)

    def test_another_connection_must_exist(self, google):
        with pytest.raises(e.GeminiInputError, match="there is no connection 'stores'"):
            find_credentials(identity("stores"), log)


class TestEnvironment:
    def test_without_the_default_connection(self, google, caplog):
        caplog.set_level(logging.INFO, log.name)

        found = find_credentials(identity(), log)

        assert found.bearer().token == TOKEN
        assert found._credentials.scopes == SCOPES
        assert "application default credentials" in caplog.text

    def test_without_the_provider(self, google, connection, no_provider, caplog, monkeypatch, tmp_path):
        connection()
        # The fixture of connections removes them.
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "service-account.json"))

        assert find_credentials(identity(), log).bearer().token == TOKEN
        assert "'google_cloud_default' is not used" in caplog.text

    def test_none_says_both_ways(self, no_google):
        with pytest.raises(e.GeminiAuthError, match=r"google_cloud_platform.*GOOGLE_APPLICATION_CREDENTIALS"):
            find_credentials(identity(), log)

    def test_a_key_file_that_is_none_is_an_error(self, google, monkeypatch, tmp_path):
        (tmp_path / "service-account.json").write_text("{}")

        with pytest.raises(e.GeminiAuthError, match="There are no Google credentials in the environment"):
            find_credentials(identity(), log)

    def test_impersonates_the_last_account_of_a_chain(self, google):
        found = find_credentials(identity(None, None, ["a@p.iam", "b@p.iam"]), log)._credentials

        assert (found._target_principal, found._delegates, found._target_scopes) == ("b@p.iam", ["a@p.iam"], SCOPES)


class TestToken:
    def test_is_kept_until_it_expires(self, google):
        found = find_credentials(identity(), log)
        assert (found.bearer(), google.requests) == (found.bearer(), 1)

    def test_is_not_in_a_repr(self, google):
        assert TOKEN not in repr(find_credentials(identity(), log).bearer())

    def test_a_refusal_is_permanent(self, google):
        google.failure = 400, {"error": "invalid_grant", "error_description": "account not found"}

        with pytest.raises(e.GeminiAuthError, match=r"issues no token for the credentials of .*account not found"):
            find_credentials(identity(), log).bearer()

    def test_a_failure_of_google_may_pass(self, google, mocker):
        mocker.patch("time.sleep", autospec=True)
        google.failure = 503, {"error": "unavailable"}

        with pytest.raises(e.GeminiServiceError, match="A retry can succeed"):
            find_credentials(identity(), log).bearer()

    def test_google_out_of_reach_may_pass(self, google, mocker, monkeypatch):
        key = service_account("http://127.0.0.1:9/token")
        found = google_credentials.GoogleCredentials(
            accounts.Credentials.from_service_account_info(key, scopes=SCOPES), None, "a test"
        )

        with pytest.raises(e.GeminiServiceError, match="issues no token for the credentials of a test"):
            found.bearer()


@pytest.mark.parametrize("project", ["two words", "a\nb", "../x", "-"])
def test_a_quota_project_must_look_like_one(project):
    with pytest.raises(e.GeminiInputError, match="quota_project must be the id or number"):
        identity(None, project)


@pytest.mark.parametrize("project", ["my-project", "example.com:my-project", "123456"])
def test_a_quota_project_is_an_id_or_a_number(project):
    assert identity(None, project).quota_project == project
