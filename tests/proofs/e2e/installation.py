"""An installation of Moat with a real Airflow on real servers, driven by its REST API as a person drives it by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values

from moat.local.airflow import asked
from moat.local.servers import free_ports
from moat.local.stack import PORTS
from tests.conftest import PROJECT

STARTING_S, RUN_S = 840.0, 420.0
RUN = ("-m", "moat.local", "run")
READY = "Ctrl-C"  # what an installation prints when it is up


class Installation:
    """A copy of the project with a state folder of its own, so that its documents can be changed."""

    def __init__(self, folder: Path, binaries: Path, begin: Sequence[str] = RUN) -> None:
        self.folder, self.home, self.begin = folder, folder / ".moat", begin
        for part in ("dags", "plugins", "include"):
            shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        self.home.mkdir()
        # Ports of its own from the start: two installations that begin at once would both take the usual ones.
        ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
        (self.home / "env").write_text("".join(f"{name}={port}\n" for name, port in ports))
        (self.home / "bin").symlink_to(binaries, target_is_directory=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MOAT_", "AIRFLOW_"))},
            "PYTHONPATH": f"{folder}:{folder / 'include'}",
            "MOAT_HOME": str(self.home),
            # Runs begin when a test asks for them, also when it is two in the morning.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        }
        self.log = folder / "run.log"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *self.begin],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = process.pid
        return process

    def connect(self) -> None:
        """Log in to Airflow."""
        env = dotenv_values(self.home / "env")
        self.http = httpx.Client(base_url=env["MOAT_AIRFLOW_URL"] or "", timeout=60.0, trust_env=False)
        login = {"username": "admin", "password": env["MOAT_AIRFLOW_PASSWORD"]}
        token = self.http.post("/auth/token", json=login).json()["access_token"]
        self.http.headers["authorization"] = f"Bearer {token}"

    def moat(self, *arguments: str) -> Any:
        """What a `moat` command answers as JSON."""
        command = [sys.executable, "-c", "from moat.cli import main; main()", *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def found(self, question: str, asker: str, *arguments: str) -> list[str]:
        hits = self.moat("search", question, "--as", asker, *arguments)["hits"]
        return list(dict.fromkeys(hit["document_key"] for hit in hits))

    def trigger(self, dag: str, **conf: Any) -> str:
        run = asked(self.http, "POST", f"/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        return f"/dags/{dag}/dagRuns/{run['dag_run_id']}"

    def ended(self, run: str) -> str:
        """The state that a run ends in."""
        return self.until(lambda: asked(self.http, "GET", run)["state"], {"success", "failed"}, run)

    def until(self, look: Any, states: set[str], what: str) -> str:
        deadline, seen = time.monotonic() + RUN_S, None
        while time.monotonic() < deadline:
            if (seen := look()) in states:
                return str(seen)
            time.sleep(0.5)
        raise AssertionError(f"{what} is {seen} after {RUN_S:g} s; tasks: {self.tasks(what)}")

    def answered(self, run: str, option: str, reason: str) -> str:
        """The state that a run ends in when a person answers what its task `decide` asks.

        Where an answer comes within the moment in which Airflow lays the task aside, it may drop it and ask once more.
        """
        asks = f"{run}/taskInstances/decide/-1/hitlDetails"

        def state() -> str:
            found = str(asked(self.http, "GET", run)["state"])
            waits = self.tasks(run).get("decide") in ("awaiting_input", "deferred")
            if waits and not asked(self.http, "GET", asks)["response_received"]:
                answer = {"chosen_options": [option], "params_input": {"reason": reason}}
                asked(self.http, "PATCH", asks, json=answer)
            return found

        return self.until(state, {"success", "failed"}, run)

    def tasks(self, run: str) -> dict[str, str]:
        found = asked(self.http, "GET", f"{run}/taskInstances", params={"limit": 200})["task_instances"]
        return {ti["task_id"]: ti["state"] for ti in found}

    def log_of(self, run: str, task: str) -> list[str]:
        """The lines of a task's first try, as the UI shows them."""
        answer = self.http.get(f"/api/v2{run}/taskInstances/{task}/logs/1", headers={"accept": "application/json"})
        found = (str(entry.get("event", "")) for entry in answer.json()["content"])
        return [line for line in found if line.strip() and not line.startswith(("::", "Log message source"))]

    def kill_once(self, run: str, task: str) -> int:
        """SIGKILL a task's process while it runs; the number of its try."""
        deadline = time.monotonic() + RUN_S
        while time.monotonic() < deadline:
            for ti in asked(self.http, "GET", f"{run}/taskInstances", params={"limit": 200})["task_instances"]:
                if ti["task_id"] == task and ti["state"] == "running" and ti["pid"]:
                    with suppress(ProcessLookupError):
                        os.kill(ti["pid"], signal.SIGKILL)
                        return int(ti["try_number"])
            time.sleep(0.1)
        raise AssertionError(f"{task} of {run} never ran: {self.tasks(run)}")


@contextmanager
def running(made: Installation) -> Iterator[Installation]:
    """An installation that is up and logged in; stopped in the end as `make stop` does it."""
    process = made.start()
    try:
        deadline = time.monotonic() + STARTING_S
        while READY not in made.log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(1.0)
        assert READY in made.log.read_text(), made.log.read_text()
        made.connect()
        # Access sync runs by itself every five minutes; here it runs when a test asks for it.
        asked(made.http, "PATCH", "/dags/sync_access", json={"is_paused": True})
        yield made
        made.http.close()
    finally:
        process.send_signal(signal.SIGTERM)  # Ctrl-C reaches nothing that a shell has started in the background
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, made.log.read_text()[-2_000:]


def newest(moat: Installation, source: str) -> dict[str, Any]:
    load: dict[str, Any] = moat.moat("loads", source)[0]
    return load
