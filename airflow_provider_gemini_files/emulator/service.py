"""One emulated service: its settings, its projects, and what it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.answers import Script
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.faults import Faults
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.settings import Settings
from airflow_provider_gemini_files.emulator.uploads import Upload

_JOURNAL_ENTRIES = 10_000
#: Keys of the new style, which the service refuses beside a bearer token.
_NEW_KEY_PREFIX = "AQ."


@dataclass
class Emulator:
    """
    An emulated service.

    :param methods: the names of its methods, which faults are matched by.
    """

    settings: Settings
    methods: Collection[str]
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every resource, upload, fault, scripted answer and journal entry; the clock stays."""
        self.faults = Faults(self.methods)
        self.answers = Script()
        self.projects: dict[str, Project] = {}
        self.uploads: dict[str, Upload] = {}
        self.journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_ENTRIES)

    def usage(self) -> dict[str, int]:
        """Return ``{"files": count, "bytes": sum}`` over all projects."""
        projects = list(self.projects.values())
        return {"files": sum(len(p.files()) for p in projects), "bytes": sum(p.used_bytes() for p in projects)}

    def authenticate(self, key: str | None, bearer: str | None, user_project: str | None) -> Project:
        """
        Return the project of a request's credentials.

        A key is a project of its own. A bearer token alone acts for the project named by ``x-goog-user-project``, which
        is that of the key of the same name.

        :raises ApiError: 403 without credentials, 400 for a wrong key, 401 for a new-style key and a token.
        """
        if bearer and key and key.startswith(_NEW_KEY_PREFIX):
            raise errors.overloaded_credentials()
        if not key and not bearer:
            raise errors.no_key()
        if key and self.settings.api_keys and key not in self.settings.api_keys:
            raise errors.bad_key()
        return self.project(key or user_project or "default")

    def project(self, name: str) -> Project:
        """Return the project of that name, which begins empty."""
        if name not in self.projects:
            self.projects[name] = Project(name, self.clock, self.settings)
        return self.projects[name]
