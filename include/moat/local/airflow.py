"""Airflow's REST API from outside: create the pool, start runs, follow them."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from moat.errors import FatalError

ENDED = {"success", "failed"}
TOLD = {
    "success": "[green]done[/]",
    "failed": "[red]failed[/]",
    "up_for_retry": "is tried again",
    "awaiting_input": "waits",
}
PARSING_S = 300.0  # time limit for finding the DAG files


def asked(airflow: httpx.Client, method: str, path: str, **given: Any) -> Any:
    """Call Airflow and return its JSON, with retries."""
    for attempt in range(6):
        answer = airflow.request(method, f"/api/v2{path}", **given)
        if answer.status_code < 500:
            break
        time.sleep(0.5 * 2**attempt)
    if not answer.is_success:
        raise FatalError(f"Airflow answers {answer.status_code} to {method} {path}: its log says why")
    return answer.json()


def make_pool(airflow: httpx.Client, slots: int) -> None:
    """Create the pool `gpu` with this many slots, or resize it."""
    about = "Embed tasks at a time, over all sources"
    body = {"name": "gpu", "slots": slots, "description": about, "include_deferred": False}
    there = {pool["name"] for pool in asked(airflow, "GET", "/pools")["pools"]}
    asked(airflow, *(("PATCH", "/pools/gpu") if "gpu" in there else ("POST", "/pools")), json=body)


def follow(airflow: httpx.Client, sources: Sequence[str], say: Callable[[str], None]) -> bool:
    """Run some sources and report each task's end; True if every run succeeded."""
    _wait_for(airflow, sources)
    runs = {source: _begun(airflow, source, say) for source in sources}
    told: set[tuple[str, str]] = set()
    states: dict[str, str] = {}
    while len(states) < len(runs):
        for source, run in runs.items():
            for ti in asked(airflow, "GET", f"{run}/taskInstances", params={"limit": 500})["task_instances"]:
                if ti["state"] in TOLD and (ti["id"], ti["state"]) not in told:
                    told.add((ti["id"], ti["state"]))
                    label = f" {ti['rendered_map_index']}" if ti["rendered_map_index"] else ""
                    say(f"{source}: {ti['task_display_name'].removeprefix('batch.')}{label} {TOLD[ti['state']]}")
            state = asked(airflow, "GET", run)["state"]
            if state in ENDED:
                states[source] = state
        time.sleep(1.0)
    return set(states.values()) == {"success"}


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
    run = asked(airflow, "POST", f"/dags/{source}/dagRuns", json={"logical_date": None, "note": "make run"})
    say(f"{source}: triggered")
    return f"/dags/{source}/dagRuns/{run['dag_run_id']}"
