"""A client of a running Airflow: its REST API, its health, and its runs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx

#: Seconds within which Airflow has to be healthy, and a request to build the API server's routes has to be answered.
HEALTHY_SECONDS = 180
_SERVER_ERROR_SECONDS = 30


class AirflowApi:
    """
    A client of Airflow's REST API, and of the health of its components.

    :param url: URL of the API server, without a slash at the end.
    :param where: folder of the logs, which errors name.
    """

    def __init__(self, url: str, where: object) -> None:
        self.url = url
        self._where = where
        # All requests stay on this machine, so no proxy must be used.
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        #: Headers that authorise requests.
        self.headers: dict[str, str] = {}

    def login(self, user: str | None = None) -> None:
        """Send the following requests as a user, whose password is the name; None if nobody logs in."""
        self.headers = {"Authorization": f"Bearer {self.token(user)}"}
        self._client.headers.update(self.headers)

    def token(self, user: str | None) -> str:
        """Log a user in; return the token for the user's requests, valid as bearer token and as cookie ``_token``."""
        if user is None:
            login = self._client.get("/auth/token")
        else:
            login = self._client.post("/auth/token", json={"username": user, "password": user})
        return str(login.raise_for_status().json()["access_token"])

    def close(self) -> None:
        """Close the connections of this client."""
        self._client.close()

    def healthy(self) -> bool:
        """Return whether scheduler, triggerer and dag-processor are healthy."""
        try:
            health = self._client.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(
            (health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "triggerer", "dag_processor")
        )

    def ready_for_tasks(self) -> bool:
        """
        Return whether the API server responds to tasks.

        It builds the routes for tasks at the first request to them. That takes up to 30 seconds on a slow machine, and
        the first task would fail because of it.
        """
        try:
            return self._client.get("/execution/health", timeout=HEALTHY_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """
        Send a request to Airflow's REST API below ``/api/v2``; return the JSON.

        Server errors are retried for a while: Airflow responds with one when the database is locked or away, or when
        the run of an asset event has not started yet. A 409 after such an error means that the failed request took
        effect; None is returned then.
        """
        deadline = time.monotonic() + _SERVER_ERROR_SECONDS
        failed = False
        while (response := self._client.request(method, f"/api/v2{path}", **kwargs)).is_server_error:
            if time.monotonic() > deadline:
                break
            failed = True
            time.sleep(0.5)
        if failed and response.status_code == 409:
            return None
        response.raise_for_status()
        return response.json() if response.content else None

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a run as soon as Airflow knows the Dag; return the run id."""
        # We choose the id, so that a repeated request cannot start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        run = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            try:
                self.api("POST", f"/dags/{dag_id}/dagRuns", json=run)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
                continue
            return run_id

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause a Dag."""
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        return list(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def states(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """Return the states of a task's instances."""
        return [task["state"] for task in self.tasks(dag_id, run_id) if task["task_id"] == task_id]

    def wait(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """Wait until a run ends; return its state."""
        deadline = time.monotonic() + seconds
        while (state := self.run_state(dag_id, run_id)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                states = {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}
                raise TimeoutError(f"{dag_id} {run_id} is {state} after {seconds} s: {states}. Logs: {self._where}")
            time.sleep(0.5)
        return state

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom value, or None if there is none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            value = self.api("GET", path, params={"map_index": map_index})["value"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:
                return None
            raise
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value
