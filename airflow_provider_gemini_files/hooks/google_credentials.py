"""Google credentials, for requests that act on Cloud Storage: of an Airflow connection, or of the environment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.exceptions import GeminiAuthError, GeminiInputError, GeminiServiceError
from airflow_provider_gemini_files.hooks.requests import Bearer
from airflow_provider_gemini_files.transfer.memory import Log

DEFAULT_GCP_CONN_ID = "google_cloud_default"
#: What Google's page on registration asks of the caller; the second is part of the first for most of its services.
SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/devstorage.read_only",
)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_BOTH_WAYS = (
    "Either add an Airflow connection of type google_cloud_platform (the extra gcs installs its provider) and name it "
    "in gcp_conn_id, or give the workers application default credentials, such as the variable "
    "GOOGLE_APPLICATION_CREDENTIALS or a service account of their machine."
)


@dataclass(frozen=True)
class GoogleIdentity:
    """
    Who a request to Google is made by.

    :param gcp_conn_id: a connection of type ``google_cloud_platform``; if the default one does not exist, the
        application default credentials of the worker are used.
    :param quota_project: the project that requests are made for; the credentials decide if None.
    :param impersonation_chain: service accounts: the last one makes the request, and each may act for the next.
    :raises GeminiInputError: if the quota project is not the id or number of one.
    """

    gcp_conn_id: str = DEFAULT_GCP_CONN_ID
    quota_project: str | None = None
    impersonation_chain: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.quota_project is not None and not _PROJECT.fullmatch(self.quota_project):
            raise GeminiInputError(
                f"quota_project must be the id or number of a Google Cloud project; got {self.quota_project!r}."
            )

    @classmethod
    def of(
        cls, gcp_conn_id: str | None, quota_project: str | None, impersonation_chain: str | Sequence[str] | None
    ) -> GoogleIdentity:
        """Return the identity of an author's arguments."""
        chain = [impersonation_chain] if isinstance(impersonation_chain, str) else list(impersonation_chain or ())
        return cls(gcp_conn_id or DEFAULT_GCP_CONN_ID, quota_project or None, tuple(chain))


class GoogleCredentials:
    """
    Credentials in use.

    :param credentials: google-auth's object.
    :param quota_project: the project that requests are made for; that of the credentials if None.
    :param described: where they come from, for errors.
    """

    def __init__(self, credentials: Any, quota_project: str | None, described: str) -> None:
        self._credentials = credentials
        self.quota_project: str | None = quota_project or getattr(credentials, "quota_project_id", None)
        self.described = described

    def bearer(self) -> Bearer:
        """
        Return a token that is still valid; a new one is requested from Google if needed.

        :raises GeminiAuthError: if Google gives none for these credentials.
        :raises GeminiServiceError: if Google cannot be reached, or asks for a retry.
        """
        if not self._credentials.valid:
            self._refresh()
        token: str = self._credentials.token
        mask_secret(token)
        return Bearer(token, self.quota_project)

    def _refresh(self) -> None:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            self._credentials.refresh(Request())
        except GoogleAuthError as error:
            told = f"Google issues no token for the credentials of {self.described}: {shown_text(error)}."
            # The metadata server of a machine is asked inside of a refresh.
            if error.retryable or isinstance(error, TransportError) or isinstance(error.__cause__, TransportError):
                raise GeminiServiceError(f"{told} A retry can succeed.", unreachable=True) from error
            raise GeminiAuthError(told) from error


def connection_in_use(gcp_conn_id: str) -> str | None:
    """
    Return the connection whose credentials are used; None for the environment's, if there is no default connection.

    :raises GeminiInputError: if there is no such connection, and it is not the default one.
    """
    try:
        BaseHook.get_connection(gcp_conn_id)
    except AirflowNotFoundException as error:
        if gcp_conn_id == DEFAULT_GCP_CONN_ID:
            return None
        raise GeminiInputError(
            f"gcp_conn_id: there is no connection {gcp_conn_id!r}: add one of type google_cloud_platform, or leave "
            "gcp_conn_id out to use the application default credentials of the workers."
        ) from error
    return gcp_conn_id


def find_credentials(identity: GoogleIdentity, log: Log) -> GoogleCredentials:
    """
    Return the credentials of an identity; no token is requested yet.

    :raises GeminiInputError: if the connection does not exist, or needs a provider that is not installed.
    :raises GeminiAuthError: if there are no credentials, or some that cannot be used.
    """
    from google.auth.credentials import AnonymousCredentials, Scoped

    conn_id = connection_in_use(identity.gcp_conn_id)
    credentials: Any = _of_connection(conn_id, identity, log) if conn_id else None
    described = f"connection {conn_id!r}"
    if credentials is None:
        log.info("Using the application default credentials of this worker: there is no Google connection to use.")
        credentials, described = _of_environment(identity), "this worker's environment (application default)"
    if isinstance(credentials, AnonymousCredentials):
        raise GeminiAuthError(f"The credentials of {described} are anonymous, which Google does not accept here.")
    if isinstance(credentials, Scoped):
        credentials = _with_both_scopes(credentials)
    return GoogleCredentials(credentials, identity.quota_project, described)


def _with_both_scopes(credentials: Any) -> Any:
    # google-auth's method has no types.
    return credentials.with_scopes(SCOPES)


def _of_connection(conn_id: str, identity: GoogleIdentity, log: Log) -> Any:
    """Return the credentials of a connection; None if it is the default one, and its provider is not installed."""
    try:
        from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    except ImportError as error:
        if conn_id == DEFAULT_GCP_CONN_ID:
            log.warning("Connection %r is not used: apache-airflow-providers-google is not installed.", conn_id)
            return None
        raise GeminiInputError(
            f"gcp_conn_id: connection {conn_id!r} needs apache-airflow-providers-google, which cannot be imported "
            f"({shown_text(error)}): install the extra gcs of this package."
        ) from error
    try:
        return GoogleBaseHook(conn_id, list(identity.impersonation_chain) or None).get_credentials()
    except Exception as error:
        raise _no_credentials(f"Connection {conn_id!r} gives no Google credentials", error) from error


def _of_environment(identity: GoogleIdentity) -> Any:
    """Return the application default credentials, or those of the accounts that they impersonate."""
    import google.auth
    from google.auth import impersonated_credentials

    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
        if not identity.impersonation_chain:
            return credentials
        *delegates, target = identity.impersonation_chain
        impersonate: Any = impersonated_credentials.Credentials
        return impersonate(credentials, target, target_scopes=SCOPES, delegates=delegates)
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_credentials("There are no Google credentials in the environment of this worker", error) from error


def _no_credentials(what: str, error: Exception) -> GeminiAuthError:
    return GeminiAuthError(f"{what}: {type(error).__name__}: {shown_text(error).rstrip('.')}. {_BOTH_WAYS}")
