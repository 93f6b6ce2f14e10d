"""The upload of one source into a file search store: sent, resumed and verified as the upload of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.common.redaction import shown_text
from airflow_provider_gemini_files.common.units import human_bytes
from airflow_provider_gemini_files.transfer.file_upload import Destination, Tools
from airflow_provider_gemini_files.transfer.memory import MIN_REMEMBERED_BYTES, SessionMemory
from airflow_provider_gemini_files.transfer.session import DOCUMENT, UploadSession
from airflow_provider_gemini_files.transfer.source import Source


@dataclass(frozen=True)
class NewDocument:
    """
    A document that is to be created.

    :param fields: ``displayName``, ``customMetadata`` and ``chunkingConfig``, as the service takes them.
    """

    source: Source
    mime_type: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class UploadedDocument:
    """
    A document that was created; it is often still PENDING.

    :param size_bytes: what the service says to have received; the size of the source if it does not say it.
    :param operation: name of the operation that indexes it; None if the service does not say it.
    """

    name: str
    size_bytes: int
    operation: str | None = None


def upload_document(document: NewDocument, destination: Destination, tools: Tools) -> UploadedDocument:
    """
    Upload a document, and return it; its size is not compared.

    :raises GeminiFilesError: if it cannot be uploaded. It may exist all the same, if the last answer was lost.
    """
    from airflow_provider_gemini_files.transfer import uploader

    source = document.source
    bound_to = (destination.upload_url, destination.conn_id, repr(document.fields), *source.fingerprint)
    store = tools.store if source.size > MIN_REMEMBERED_BYTES else None
    memory = SessionMemory(store, f"{destination.upload_url} {source.uri}", bound_to, tools.log)
    url = memory.recall()
    if url:
        tools.hide(url, source.size)
    session = UploadSession(
        start_url=destination.upload_url,
        api_key=destination.api_key,
        key_place=destination.key_place,
        metadata=document.fields,
        mime_type=document.mime_type,
        size=source.size,
        max_failures=destination.max_retries,
        url=url,
        via_host=destination.via_host,
        kind=DOCUMENT,
        clock=tools.clock,
    )

    def on_url(new: str) -> None:
        tools.hide(new, source.size)
        memory.keep(new)

    uploaded = uploader.send(
        tools.client,
        session,
        source,
        on_url=on_url,
        on_progress=tools.progress.moved,
        on_failure=tools.progress.interrupted,
        clock=tools.clock,
    )
    memory.forget()
    tools.progress.sent(uploaded.sent)
    name, operation = str(uploaded.resource["documentName"]), uploaded.resource.get("operation")
    received = str(uploaded.resource.get("sizeBytes", ""))
    tools.log.info("%s is %s: %s", shown_text(source.uri), name, human_bytes(source.size))
    size = int(received) if received.isdecimal() else source.size
    return UploadedDocument(name, size, str(operation) if operation else None)
