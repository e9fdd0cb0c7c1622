"""Client of Airflow's REST API, to answer a load that waits there."""

from collections.abc import Iterator
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


def _answer(settings: Settings, dag: str, run: str, task: str, option: str, reason: str) -> httpx.Response:
    with client(settings) as http:
        return http.patch(
            f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{task}/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {"reason": reason or None}},
        )
