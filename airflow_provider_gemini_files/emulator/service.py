"""One emulated service: its settings, projects, faults, scripted replies and journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_gemini_files.emulator import errors
from airflow_provider_gemini_files.emulator.clock import Clock
from airflow_provider_gemini_files.emulator.faults import Faults
from airflow_provider_gemini_files.emulator.projects import Project
from airflow_provider_gemini_files.emulator.replies import Script
from airflow_provider_gemini_files.emulator.session import Upload
from airflow_provider_gemini_files.emulator.settings import Settings

_JOURNAL_ENTRIES = 10_000
#: Keys of the new style, which the service refuses together with a bearer token.
_NEW_KEY_PREFIX = "AQ."


@dataclass
class Emulator:
    """
    An emulated service.

    :param methods: names of its methods, for faults.
    """

    settings: Settings
    methods: Collection[str]
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Remove all resources, uploads, faults, scripted replies and journal entries; the clock stays."""
        self.faults = Faults(self.methods)
        self.replies = Script()
        self.projects: dict[str, Project] = {}
        self.uploads: dict[str, Upload] = {}
        #: Project and id of the file that the token of a redirected download stands for.
        self.downloads: dict[str, tuple[Project, str]] = {}
        self.journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_ENTRIES)
        self._keys: set[str] = set()

    def usage(self) -> dict[str, int]:
        """Return ``{"files": count, "bytes": sum}`` over all projects."""
        projects = list(self.projects.values())
        return {"files": sum(len(p.files()) for p in projects), "bytes": sum(p.used_bytes() for p in projects)}

    def secrets(self, *given: str | None) -> frozenset[str]:
        """
        Return all credentials that the journal must hide: valid keys, keys that were used, and the given ones.

        :param given: credentials of the current request.
        """
        return frozenset(secret for secret in (*self.settings.api_keys, *self._keys, *given) if secret)

    def authenticate(self, key: str | None, bearer: str | None, user_project: str | None) -> Project:
        """
        Return the project of a request's credentials.

        Each key is a project of its own. A bearer token without a key acts for the project of the key that
        ``x-goog-user-project`` names.

        :raises ApiError: 403 without credentials, 400 for an invalid key, 401 for a new-style key and a token.
        """
        if bearer and key and key.startswith(_NEW_KEY_PREFIX):
            raise errors.overloaded_credentials()
        if not key and not bearer:
            raise errors.no_key()
        if key and self.settings.api_keys and key not in self.settings.api_keys:
            raise errors.bad_key()
        if key:
            self._keys.add(key)
        return self.project(key or user_project or "default")

    def project(self, name: str) -> Project:
        """Return the project of this name; it is created empty at its first use."""
        if name not in self.projects:
            self.projects[name] = Project(name, self.clock, self.settings)
        return self.projects[name]
