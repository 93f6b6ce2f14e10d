"""The description of one upload: source, type, names and owner."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_gemini_files.common.limits import MAX_DISPLAY_NAME
from airflow_provider_gemini_files.common.redaction import escaped
from airflow_provider_gemini_files.files.mime import mime_type_of
from airflow_provider_gemini_files.files.naming import Owner, display_name_for
from airflow_provider_gemini_files.files.reference import parse_name
from airflow_provider_gemini_files.transfer.source import Source
from airflow_provider_gemini_files.transfer.stream import head_of

#: Seconds; a file that expires sooner is not handed to a task that has yet to work with it.
DEFAULT_MIN_REMAINING_TTL = 3600.0


@dataclass(frozen=True)
class Upload:
    """
    What is to be uploaded, and as what.

    :param mime_type: told from the source's name, then from its content, if None.
    :param display_name: the source's name if None; the owner is written after it.
    :param name: ``files/...`` to create or to find; a new name if None.
    :param share: all runs that upload the same bytes as the same type share one file; the source is then read twice.
    :param owner: the task instance that the file belongs to; None if it belongs to nobody.
    :param min_remaining_ttl: seconds; an existing file that expires sooner is not used, and is left alone.
    :param deployment: identity of the Airflow deployment that the file belongs to; that of the owner if None.
    """

    source: Source
    mime_type: str | None = None
    display_name: str | None = None
    name: str | None = None
    share: bool = False
    owner: Owner | None = None
    min_remaining_ttl: float = DEFAULT_MIN_REMAINING_TTL
    deployment: str | None = None

    def settled(self) -> Upload:
        """
        Return the upload with name, type, display name and deployment decided, for which nothing is sent.

        :raises GeminiInputError: if one of them cannot be used.
        """
        source = self.source
        # A name of bytes that are no UTF-8 has up to four times as many characters, once they are escaped.
        label = self.display_name or escaped(source.name)[:MAX_DISPLAY_NAME]
        deployment = self.deployment or (self.owner.deployment if self.owner else None)
        return replace(
            self,
            deployment=deployment,
            name=self.name and parse_name(self.name),
            mime_type=mime_type_of(source.name, self.mime_type, lambda: head_of(source)),
            display_name=display_name_for(label, self.owner, shared=self.share, deployment=deployment),
        )
