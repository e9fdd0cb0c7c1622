"""People with roles of their own in a real Airflow with the FAB auth manager: who answers, who may not, who is named."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from moat.ledger import Ledger, audit, holds
from moat.local.servers import free_ports
from moat.settings import PROJECT, Settings

WAIT_S = 900.0
PEOPLE = {
    "ann": "Moat approver",
    "cid": "Moat approver",
    "bob": "Moat operator",
    "eve": "Viewer",
    "rae": "Moat text reader",
}
MAKE = """
import json, sys
from airflow.utils.db import initdb
initdb()
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
import moat_people
with get_application_builder() as appbuilder:
    manager = appbuilder.sm
    for _ in range(2):  # at every start
        moat_people.make(manager, "secret-admin")
    role = manager.find_role("Moat operator")
    manager.add_permission_to_role(role, manager.create_permission(*moat_people.ANSWER))  # somebody's click
    moat_people.make(manager, "secret-admin")
    for name, of in json.loads(sys.argv[1]).items():
        manager.add_user(name, name, name, name + "@example.com", manager.find_role(of), password="secret-" + name)
    print("ANSWER" + json.dumps({r.name: sorted(p.action.name for p in r.permissions if p.resource.name == "HITL Detail")
                                 for r in manager.get_all_roles()}))
"""
ASK = """
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
folder = sys.argv[1]
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
run = bag.dags["held_access"].test(run_conf={"hold": int(sys.argv[2])})
print("ENDED " + run.state.value)
"""


def until(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what}: not after {WAIT_S:g} s")


@pytest.fixture
def airflow(settings: Settings, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """An API server with the FAB auth manager, a held change that a run asks about, and a client for each person."""
    ledger = Ledger(settings.ledger, settings.tenant)
    ledger.migrate()
    with ledger.write() as connection:
        hold, _ = holds.wait(
            connection, "default", "widening", "handbook", digest="d", reason="1 would be public", detail={"public": 1}
        )
    port = free_ports(1)[0]
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__API__SECRET_KEY": "y" * 64,
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'include'}:{PROJECT / 'plugins'}",
        "MOAT_HOME": str(settings.home),
        "MOAT_FOUR_EYES": "true",
        "MOAT_APPROVERS": "airflow:ann,airflow:cid",
    }

    def python(*arguments: str, **given: Any) -> Any:
        return [sys.executable, *arguments], {"env": env, "cwd": tmp_path, "text": True, **given}

    command, given = python("-c", MAKE, json.dumps(PEOPLE), capture_output=True)
    made = subprocess.run(command, **given)
    assert made.returncode == 0, made.stderr[-3_000:]
    answer = next(line for line in made.stdout.splitlines() if line.startswith("ANSWER"))
    with (tmp_path / "api.log").open("w") as api_log, (tmp_path / "run.log").open("w") as run_log:
        command, given = python(
            "-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"
        )
        server = subprocess.Popen(command, stdout=api_log, stderr=subprocess.STDOUT, start_new_session=True, **given)
        command, given = python("-c", ASK, str(PROJECT / "dags"), str(hold.id))
        run = subprocess.Popen(command, stdout=run_log, stderr=subprocess.STDOUT, start_new_session=True, **given)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: httpx.get(f"{url}/api/v2/version", timeout=30, trust_env=False).is_success, "the API server")
            with ExitStack() as open_clients:
                clients = {name: logged_in(url, name) for name in (*PEOPLE, "admin")}
                for client in clients.values():
                    open_clients.callback(client.close)
                yield {
                    "ledger": ledger,
                    "hold": hold.id,
                    "run": run,
                    "log": tmp_path / "run.log",
                    "roles": json.loads(answer.removeprefix("ANSWER")),
                    "as": clients,
                }
        finally:
            for process in (run, server):
                if process.poll() is None:
                    os.killpg(process.pid, 15)
                process.wait(60)
            ledger.close()


def logged_in(url: str, name: str) -> httpx.Client:
    http = httpx.Client(base_url=url, timeout=120, trust_env=False)
    token = http.post("/auth/token", json={"username": name, "password": f"secret-{name}"})
    assert token.is_success, (name, token.text)
    http.headers["authorization"] = f"Bearer {token.json()['access_token']}"
    return http


@pytest.mark.airflow
@pytest.mark.timeout(3_600)
def test_only_approvers_answer_two_of_them_make_public_and_the_audit_names_them(airflow: dict[str, Any]) -> None:
    ledger, people = airflow["ledger"], airflow["as"]
    assert airflow["roles"]["Moat approver"] == ["can_edit", "can_read", "menu_access"]
    assert airflow["roles"]["Moat operator"] == ["can_read"], "what was clicked in is taken away again"

    def on_the_pages() -> dict[str, tuple[int, ...]]:
        """What the pages answer each person: sources, the text of a document, a replay of a source that is not there."""
        meant, text, again = {"x-moat-request": "1"}, "document/text?source=handbook&key=x", {"source": "handbook"}
        return {
            who: (
                people[who].get("/moat-pages/api/sources").status_code,
                people[who].get(f"/moat-pages/api/{text}").status_code,
                people[who].post("/moat-pages/api/quarantine/replay", json=again, headers=meant).status_code,
            )
            for who in people
        }

    assert on_the_pages() == {
        "ann": (200, 403, 403),
        "cid": (200, 403, 403),
        "bob": (200, 403, 404),
        "eve": (200, 403, 403),
        "rae": (200, 200, 403),
        "admin": (200, 200, 404),
    }

    def waits() -> str | None:
        """The path of what waits for an answer now."""
        assert airflow["run"].poll() is None, airflow["log"].read_text()[-3_000:]
        found = people["ann"].get("/api/v2/dags/held_access/dagRuns/~/hitlDetails?response_received=false").json()
        for one in found.get("hitl_details", ()):
            ti = one["task_instance"]
            path = f"/api/v2/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}"
            if people["ann"].get(path).json().get("state") == "awaiting_input":
                return f"{path}/-1/hitlDetails"
        return None

    def answer(who: str) -> httpx.Response:
        body = {"chosen_options": ["Release"], "params_input": {"reason": f"{who} says so"}}
        path = until(waits, "the question")
        return people[who].patch(path, json=body)

    def said() -> list[tuple[str, str]]:
        return [
            (e.actor, e.action) for e in audit.tail(ledger, 50) if e.action in ("agree", "release", "decision refused")
        ]

    for who in ("bob", "eve"):
        assert answer(who).status_code == 403, who
    assert said() == []
    assert answer("admin").is_success, "Airflow's own Admin may answer anything"
    until(lambda: said() == [("airflow:admin", "decision refused")], "the refusal")
    assert answer("ann").is_success
    until(lambda: said()[1:] == [("airflow:ann", "agree")], "the first answer")
    assert answer("ann").is_success
    until(waits, "another person's answer")
    assert len(said()) == 2, "the same person again is nobody new"
    assert holds.get(ledger, airflow["hold"]).state == "waiting"
    assert answer("cid").is_success
    until(lambda: airflow["run"].poll() is not None, "the end")
    assert "ENDED success" in airflow["log"].read_text()
    assert said()[2:] == [("airflow:cid", "agree"), ("airflow:cid", "release")]
    detail = next(e.detail for e in audit.tail(ledger, 50, "release"))
    assert detail["because"] == "cid says so"
