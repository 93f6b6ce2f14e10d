"""The task instances that own resources, as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_gemini_files.files.naming import Owner
from airflow_provider_gemini_files.files.policy import RunState
from airflow_provider_gemini_files.files.retention import RunKey
from airflow_provider_gemini_files.runs import database_lookup


@dataclass(frozen=True)
class OwnerRuns:
    """
    The states of the runs of some owners.

    :param deployment: identity of this Airflow deployment; of another's runs it knows nothing.
    """

    states: Mapping[RunKey, RunState]
    deployment: str | None = None

    @classmethod
    def of(cls, owners: Iterable[Owner | None]) -> OwnerRuns:
        """Look up the runs in Airflow's database."""
        deployment = database_lookup.deployment
        states = database_lookup(owner for owner in owners if owner and owner.deployment == deployment)
        return cls(states, deployment)

    def row(self, owner: Owner | None) -> list[Any] | None:
        """Return an owner as ``owners.js`` decodes it."""
        if owner is None:
            return None
        return [owner.dag_id, owner.run_id, owner.task_id, owner.map_index, self._state(owner)]

    def _state(self, owner: Owner) -> str:
        if owner.deployment != self.deployment:
            return "elsewhere"
        return str(self.states.get(owner.run, RunState.UNKNOWN))
