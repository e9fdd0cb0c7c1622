"""Client of Airflow's REST API, to answer a load that waits there."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from moat.errors import AirflowUnavailable, FatalError
from moat.ledger.loads import Load
from moat.settings import Settings

TASKS = {"gate": "decide", "budget": "batch.budget"}  # tasks of a source's DAG that ask a person about a load

GOING = ("queued", "running", "restarting")  # states of a run that goes on
MARK, NOTE = "Moat: ", 1_000  # what Moat's part of a run's note begins with; characters that Airflow keeps
ENDED = ("failed", "upstream_failed", "skipped", "removed")  # states of a task after which its run does not load


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """The Airflow run that makes a load: its own state and that of the task that asks about the load."""

    dag: str
    run: str
    state: str  # as Airflow has it; empty: Airflow does not know the run any more
    task: str
    task_state: str  # as Airflow has it; empty: it has not come to this task

    @property
    def ended(self) -> bool:
        """Whether nothing goes on there by itself."""
        return self.state not in GOING or self.task_state in ENDED

    @property
    def told(self) -> str:
        """The run and its state in words."""
        if not self.state:
            return f"Airflow does not know its run {self.run} of {self.dag} any more"
        task = f", its task {self.task} is {self.task_state}" if self.task_state else ""
        return f"its Airflow run {self.run} of {self.dag} is {self.state}{task}"


def making(settings: Settings, load: Load) -> Making | None:
    """Ask Airflow how the run that makes a load stands; None for a load that no Airflow run makes.

    Raises:
        AirflowUnavailable: Airflow did not answer, or not with a state.
        FatalError: MOAT_AIRFLOW_URL is not set, or the login is refused.
    """
    if not load.run.startswith("airflow:"):
        return None
    _, dag, run = load.run.split(":", 2)
    where, task = f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}", _task_of(load)
    with client(settings) as http:
        state = _state(http, where)
        task_state = _state(http, f"{where}/taskInstances/{task}") if state else ""
        return Making(dag=dag, run=run, state=state, task=task, task_state=task_state)


def _state(http: httpx.Client, where: str) -> str:
    answer = http.get(where)
    if answer.status_code == 404:
        return ""
    if not answer.is_success:
        raise AirflowUnavailable(f"Airflow did not say how {where} stands: {answer.status_code}")
    return str(answer.json().get("state") or "")


def _task_of(load: Load) -> str:
    """The task that asks, or asked, a person about a load."""
    return TASKS[load.held_for or ("budget" if load.budget_by and not load.decided_by else "gate")]


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
    answer = _answer(settings, dag, run=run, task=_task_of(load), option=option, reason=reason)
    if not answer.is_success and answer.status_code != 409:  # 409: already answered in Airflow
        raise AirflowUnavailable(
            f"run {run} of {dag} did not take the answer: {answer.status_code}; answer it in Airflow under Required Actions"
        )
    return True


def answer_hold(settings: Settings, hold: int, option: str, reason: str) -> bool:
    """Answer the `held_access` run that asks about a hold; False if there is none."""
    return _answer(settings, "held_access", run=f"hold-{hold}", task="decide", option=option, reason=reason).is_success


def ill(settings: Settings) -> str:
    """Parts of Airflow that are not healthy, in words, and where they write if `make run` started them.

    Empty if all are healthy. Raises AirflowUnavailable, FatalError.
    """
    with client(settings) as http:
        parts = http.get("/api/v2/monitor/health").raise_for_status().json()
    # A part without a status runs nowhere, which may be meant so.
    found = {name: part["status"] for name, part in parts.items() if part.get("status") not in (None, "healthy")}
    folder = settings.home / "logs"
    where = f"; its log is in {folder}" if found and any(folder.glob("airflow-*.log")) else ""
    return ", ".join(f"{name} is {status}" for name, status in found.items()) + where


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


def note(settings: Settings, dag: str, run: str, text: str) -> bool:
    """Put a text into a run's note, in the place of Moat's last one; what people wrote there stays.

    Returns False where Airflow's address is not set or it refuses. Raises AirflowUnavailable, FatalError.
    """
    if not settings.airflow_url:
        return False
    where = f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}"
    with client(settings) as http:
        answer = http.get(where)
        if not answer.is_success:
            return False
        body = {"note": noted(answer.json().get("note") or "", text)}
        return http.patch(where, params={"update_mask": "note"}, json=body).is_success


def noted(before: str, text: str) -> str:
    """A note with Moat's text before what people wrote, for a list shows the first line; what Moat wrote before goes."""
    people = before.partition("\n\n")[2] if before.startswith(MARK) else before
    behind = f"\n\n{people}" if people else ""
    return MARK + text.replace("\n\n", "\n")[: max(0, NOTE - len(MARK) - len(behind))] + behind


def _answer(settings: Settings, dag: str, run: str, task: str, option: str, reason: str) -> httpx.Response:
    with client(settings) as http:
        return http.patch(
            f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{task}/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {"reason": reason or "no reason was given"}},
        )
