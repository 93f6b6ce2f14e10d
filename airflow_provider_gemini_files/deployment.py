"""
The identity of this Airflow deployment, which is part of the mark and the name of each file that a run owns.

Several deployments can use one project of the Gemini API, such as staging and production with one key. Only its
identity keeps one from deleting the files of another whose Dags and runs have the same names.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from airflow.providers.common.compat.sdk import conf

from airflow_provider_gemini_files.common.clock import SYSTEM_CLOCK, Clock
from airflow_provider_gemini_files.exceptions import GeminiInputError, GeminiServiceError

#: The Airflow Variable that holds the identity if the configuration does not; created at its first use.
VARIABLE = "gemini_files_deployment"
#: The identity in a process without a supervisor and a database, such as a script or a test.
_LOCAL = "local"
#: Seconds in which all processes that create the identity at the same time have written theirs; the last one counts.
_SETTLE_SECONDS = 2.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


def of_task(clock: Clock = SYSTEM_CLOCK) -> str:
    """
    Return the identity, in a task.

    :raises GeminiServiceError: if Airflow cannot be asked; guessing could delete or share a file of another deployment.
    :raises GeminiInputError: if a person has set one with characters that it must not have.
    """
    configured = _configured()
    if configured or not has_supervisor():
        return configured or _LOCAL
    from airflow.sdk import Variable

    return _kept(lambda: Variable.get(VARIABLE, default=None), lambda value: Variable.set(VARIABLE, value), clock)


def of_database(clock: Clock = SYSTEM_CLOCK) -> str:
    """
    Return the identity, in a process with Airflow's database: the API server or the command line.

    :raises GeminiServiceError: if the database cannot be read.
    :raises GeminiInputError: as for :func:`of_task`.
    """
    if configured := _configured():
        return configured
    from airflow.models.variable import Variable

    return _kept(lambda: Variable.get(VARIABLE, default_var=None), lambda value: Variable.set(VARIABLE, value), clock)


def _configured() -> str | None:
    configured: str = (conf.get("gemini_files", "deployment", fallback="") or "").strip()
    return _checked(configured, "[gemini_files] deployment") if configured else None


def _checked(identity: str, where: str) -> str:
    """Return an identity that can be part of a file's mark; a person may have written it."""
    if not _ID.fullmatch(identity):
        raise GeminiInputError(
            f"{where} must be up to 32 letters, digits, dots, dashes and underscores, and must begin with a letter or "
            f"digit; got {identity!r}."
        )
    return identity


def has_supervisor() -> bool:
    """Return whether this process is a task, or ``dag.test()``, which can read Airflow Variables."""
    try:
        from airflow.sdk.execution_time import task_runner
    except ImportError:
        return False
    return hasattr(task_runner, "SUPERVISOR_COMMS")


def _kept(read: Callable[[], str | None], write: Callable[[str], None], clock: Clock) -> str:
    try:
        kept = (read() or "").strip()
        if not kept:
            write(secrets.token_hex(4))
            # Airflow has no way to create a Variable only if there is none, and the first tasks often start together.
            clock.sleep(_SETTLE_SECONDS)
            kept = (read() or "").strip()
    except Exception as error:
        raise GeminiServiceError(
            f"The identity of this Airflow deployment (Variable {VARIABLE!r}) cannot be read or created "
            f"({type(error).__name__}): set [gemini_files] deployment in Airflow's configuration, or retry."
        ) from error
    if not kept:
        raise GeminiServiceError(f"The Variable {VARIABLE!r} was created but cannot be read; a retry reads it again.")
    return _checked(kept, f"The Airflow Variable {VARIABLE!r}")
