"""Airflow's REST API from outside: create the pool, start runs, follow them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from rich.markup import escape

from moat.airflow_api import client
from moat.errors import AirflowUnavailable, FatalError
from moat.foreign import said
from moat.local.progress import Progress
from moat.settings import Settings

ENDED = {"success", "failed"}
TOLD = {
    "success": "[green]done[/]",
    "failed": "[red]failed[/]",
    "up_for_retry": "is tried again",
    "awaiting_input": "waits for a person: answer under Required Actions in Airflow",
}
LONGEST = 300  # characters of a reason
PARSING_S = 300.0  # time limit for finding the DAG files


def asked(airflow: httpx.Client, method: str, path: str, **given: Any) -> Any:
    """Call Airflow and return its JSON, with retries: a busy machine's Airflow may not answer for a while.

    Raises AirflowUnavailable, FatalError.
    """
    for attempt in range(6):
        try:
            answer = airflow.request(method, f"/api/v2{path}", **given)
        except httpx.TransportError as error:
            if attempt == 5:
                raise AirflowUnavailable(f"Airflow did not answer to {method} {path}: {said(error)}") from error
        else:
            if answer.status_code == 409 and attempt and method == "POST":
                return {}  # an earlier try was heard
            if answer.status_code < 500:
                break
        time.sleep(0.5 * 2**attempt)
    if not answer.is_success:
        raise FatalError(f"Airflow answers {answer.status_code} to {method} {path}: its log says why")
    return answer.json()


@contextmanager
def logged_in(settings: Settings) -> Iterator[httpx.Client]:
    """A client of Airflow that is logged in, with patience: on a busy machine it may not answer for a while.

    Raises AirflowUnavailable, FatalError.
    """
    until = time.monotonic() + PARSING_S
    with ExitStack() as opened:
        while True:
            try:
                http = opened.enter_context(client(settings))
                break
            except AirflowUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(1.0)
        yield http


def make_pool(airflow: httpx.Client, slots: int) -> None:
    """Create the pool `gpu` with this many slots, or resize it."""
    about = "Embed tasks at a time, over all sources"
    body = {"name": "gpu", "slots": slots, "description": about, "include_deferred": False}
    there = {pool["name"] for pool in asked(airflow, "GET", "/pools")["pools"]}
    asked(airflow, *(("PATCH", "/pools/gpu") if "gpu" in there else ("POST", "/pools")), json=body)


def follow(
    airflow: httpx.Client, sources: Sequence[str], say: Progress, look: Callable[[], None] = lambda: None
) -> bool:
    """Run some sources and report each task's end, with its reason where it failed; True if every run succeeded.

    Args:
        airflow: A client that is logged in.
        sources: Names of the sources, which are their DAGs' too.
        say: Takes the lines; where nothing happens for a while it says which tasks run.
        look: Called every second, such as to start servers again.
    """
    with say.during("Airflow reads the DAG files"):
        _wait_for(airflow, sources)
        runs = {source: _begun(airflow, source, say) for source in sources}
    told: set[tuple[str, str, int]] = set()
    states: dict[str, str] = {}
    with say.during("Airflow begins the runs"):
        while len(states) < len(runs):
            going = list[str]()
            for source, run in runs.items():
                for ti in asked(airflow, "GET", f"{run}/taskInstances", params={"limit": 500})["task_instances"]:
                    if ti["state"] in ("queued", "running"):
                        going.append(f"{source}: {_named(ti)}")
                    if ti["state"] in TOLD and (ti["id"], ti["state"], ti["try_number"]) not in told:
                        told.add((ti["id"], ti["state"], ti["try_number"]))
                        say(f"{source}: {_named(ti)} {TOLD[ti['state']]}{_why(airflow, run, ti)}")
                state = asked(airflow, "GET", run)["state"]
                if state in ENDED:
                    states[source] = state
            say.doing = f"at work: {', '.join(going)}" if going else "Airflow looks for what comes next"
            look()
            time.sleep(1.0)
    return set(states.values()) == {"success"}


def _named(ti: Mapping[str, Any]) -> str:
    """A task instance as people know it, with the label of its batch."""
    label = f" {ti['rendered_map_index']}" if ti["rendered_map_index"] else ""
    return escape(ti["task_display_name"].removeprefix("batch.") + label)


def _why(airflow: httpx.Client, run: str, ti: Mapping[str, Any]) -> str:
    """Why a try of a task failed, by its log; empty for one that did not fail."""
    if ti["state"] not in ("failed", "up_for_retry"):
        return ""
    where = f"{run}/taskInstances/{ti['task_id']}/logs/{ti['try_number']}"
    answer = airflow.get(
        f"/api/v2{where}", params={"map_index": ti["map_index"]}, headers={"accept": "application/json"}
    )
    reason = reason_in(answer.json().get("content") or ()) if answer.is_success else ""
    return f": {escape(reason)}" if reason else ": its log in Airflow says why"


def reason_in(content: Sequence[Any]) -> str:
    """The error that a task's log ends with: its type and its message, on one line. Empty if there is none."""
    for entry in reversed(content):
        for error in (entry.get("error_detail") or ())[:1] if isinstance(entry, Mapping) else ():
            line = " ".join(f"{error.get('exc_type', '')}: {error.get('exc_value', '')}".split())
            return line if len(line) <= LONGEST else line[:LONGEST] + " …"
    return ""


def _wait_for(airflow: httpx.Client, sources: Sequence[str]) -> None:
    deadline = time.monotonic() + PARSING_S
    while missing := [source for source in sources if not airflow.get(f"/api/v2/dags/{source}").is_success]:
        if time.monotonic() > deadline:
            errors = asked(airflow, "GET", "/importErrors")["import_errors"]
            said = "; ".join(error["stack_trace"].strip().splitlines()[-1] for error in errors)
            raise FatalError(
                f"Airflow has not found the DAGs {', '.join(missing)}: {said or 'no import error is reported'}"
            )
        time.sleep(1.0)


def _begun(airflow: httpx.Client, source: str, say: Callable[[str], None]) -> str:
    """The run to watch: the scheduled one after unpausing, else a new one."""
    paused = asked(airflow, "GET", f"/dags/{source}")["is_paused"]
    asked(airflow, "PATCH", f"/dags/{source}", json={"is_paused": False})
    deadline = time.monotonic() + (20.0 if paused else 0.0)
    while time.monotonic() < deadline:
        newest = asked(airflow, "GET", f"/dags/{source}/dagRuns", params={"order_by": "-id", "limit": 1})["dag_runs"]
        if newest and newest[0]["state"] not in ENDED:
            say(f"{source}: Airflow has scheduled a run")
            return f"/dags/{source}/dagRuns/{newest[0]['dag_run_id']}"
        time.sleep(0.5)
    # An id of our own, so that one that was asked for and not answered is not asked for twice.
    name = f"make-run-{time.time():.0f}"
    body = {"dag_run_id": name, "logical_date": None, "note": "make run"}
    asked(airflow, "POST", f"/dags/{source}/dagRuns", json=body)
    say(f"{source}: triggered")
    return f"/dags/{source}/dagRuns/{name}"
