"""Client of Airflow's REST API, to answer a load that waits there."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx

from moat.errors import AirflowUnavailable, FatalError
from moat.ledger.loads import Load
from moat.settings import Settings

TASKS = {"gate": "decide", "budget": "batch.budget"}  # tasks of a source's DAG that ask a person about a load


@contextmanager
def client(settings: Settings) -> Iterator[httpx.Client]:
    """Open a client that is logged in.

    Raises:
        AirflowUnavailable: Airflow did not answer.
        FatalError: MOAT_AIRFLOW_URL is not set, or the login is refused.
    """
    if not settings.airflow_url:
        raise FatalError("MOAT_AIRFLOW_URL is not set: where does Airflow answer?")
    login = {"username": settings.airflow_user, "password": settings.airflow_password.get_secret_value()}
    with httpx.Client(base_url=settings.airflow_url.rstrip("/"), timeout=30.0, trust_env=False) as http:
        try:
            answer = http.post("/auth/token", json=login)
            if not answer.is_success:
                raise FatalError(
                    f"Airflow at {settings.airflow_url} refuses user {settings.airflow_user}: {answer.status_code}; "
                    "check MOAT_AIRFLOW_USER and MOAT_AIRFLOW_PASSWORD"
                )
            http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield http
        except httpx.TransportError as error:
            raise AirflowUnavailable(f"Airflow at {settings.airflow_url} did not answer: {error}") from error


def answer_held(settings: Settings, load: Load, option: str, reason: str) -> bool:
    """Answer the task that waits for a person's decision on a load.

    Args:
        settings: Settings with Airflow's address and login.
        load: The load as it was before the decision.
        option: `Release` or `Reject`.
        reason: Reason for the audit.

    Returns:
        False for a load that no Airflow run makes.

    Raises:
        AirflowUnavailable: Airflow did not accept the answer.
    """
    if not load.run.startswith("airflow:"):
        return False
    _, dag, run = load.run.split(":", 2)
    asked = load.held_for or ("budget" if load.budget_by and not load.decided_by else "gate")
    answer = _answer(settings, dag, run=run, task=TASKS[asked], option=option, reason=reason)
    if not answer.is_success and answer.status_code != 409:  # 409: already answered in Airflow
        raise AirflowUnavailable(
            f"run {run} of {dag} did not take the answer: {answer.status_code}; answer it in Airflow under Required Actions"
        )
    return True


def answer_hold(settings: Settings, hold: int, option: str, reason: str) -> bool:
    """Answer the `held_access` run that asks about a hold; False if there is none."""
    return _answer(settings, "held_access", run=f"hold-{hold}", task="decide", option=option, reason=reason).is_success


def ill(settings: Settings) -> str:
    """Parts of Airflow that are not healthy, in words; empty if all are. Raises AirflowUnavailable, FatalError."""
    with client(settings) as http:
        parts = http.get("/api/v2/monitor/health").raise_for_status().json()
    # A part without a status runs nowhere, which may be meant so.
    found = {name: part["status"] for name, part in parts.items() if part.get("status") not in (None, "healthy")}
    return ", ".join(f"{name} is {status}" for name, status in found.items())


def paused(settings: Settings, names: Iterable[str]) -> list[str]:
    """Which of these DAGs are paused, sorted. Raises AirflowUnavailable, FatalError."""
    found, total = list[str](), 1
    with client(settings) as http:
        while len(found) < total:
            some = {"paused": True, "limit": 100, "offset": len(found)}
            page = http.get("/api/v2/dags", params=some).raise_for_status().json()
            found += [dag["dag_id"] for dag in page["dags"]]
            total = page["total_entries"] if page["dags"] else 0
    return sorted(set(names) & set(found))


def ended(settings: Settings, runs: Iterable[str]) -> dict[str, str]:
    """What became of runs that go on no more, of those that loads name; `gone` where Airflow knows none."""
    found = dict[str, str]()
    with client(settings) as http:
        for run in runs:
            _, dag, number = run.split(":", 2)
            answer = http.get(f"/api/v2/dags/{dag}/dagRuns/{quote(number, safe='')}")
            state = "gone" if answer.status_code == 404 else answer.raise_for_status().json()["state"]
            if state in ("success", "failed", "gone"):
                found[run] = state
    return found


def _answer(settings: Settings, dag: str, run: str, task: str, option: str, reason: str) -> httpx.Response:
    with client(settings) as http:
        return http.patch(
            f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{task}/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {"reason": reason or None}},
        )
