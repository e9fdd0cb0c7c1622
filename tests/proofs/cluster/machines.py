"""Moat on many machines, all of them on this one's loopback, driven from outside; and the same on one machine."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from dotenv import dotenv_values

from moat.local.airflow import asked
from tests.conftest import PROJECT
from tests.proofs.e2e.installation import READY, STARTING_S, Installation

BEGIN = """
import os
from pathlib import Path
from moat.local.__main__ import end_when_asked, sampled, say
from moat.local.cluster import cluster
end_when_asked()
home = Path(os.environ["MOAT_HOME"])
try:
    with cluster(home / "cluster", home / "bin", say) as held:
        sampled(held.home)[1].close()
        print("Ctrl-C stops all of it.", flush=True)
        held.watch()
except KeyboardInterrupt:
    pass
"""
ALONE = """
import os
from pathlib import Path
from moat.local.__main__ import end_when_asked, sampled, say
from moat.local.stack import stack
end_when_asked()
home = Path(os.environ["MOAT_HOME"])
try:
    with stack(home, say, airflow=False) as held:
        sampled(home)[1].close()
        print("Ctrl-C stops all of it.", flush=True)
        held.watch()
except KeyboardInterrupt:
    pass
"""
SAMPLES = ("handbook", "contracts", "tickets")
BULK = "bulk"
EVERYBODY, OURS, THEIRS = "group:everyone", "user:alice.martins@example.com", "user:bob.keller@example.com"
FOLDERS = {"all": EVERYBODY, "alice": OURS, "bob": THEIRS}  # of the source of many documents, and who reads them
WORDS = [
    "anchor",
    "berth",
    "cargo",
    "deck",
    "engine",
    "ferry",
    "gantry",
    "harbour",
    "inspector",
    "jetty",
    "keel",
    "ledger",
    "manifest",
    "notice",
    "order",
    "pallet",
    "quay",
    "rudder",
    "signal",
    "tariff",
    "unload",
    "vessel",
    "warehouse",
    "yard",
    "customs",
    "invoice",
    "seal",
    "permit",
    "crane",
    "container",
    "stack",
    "route",
    "driver",
    "dispatch",
    "shipment",
    "weight",
    "broker",
    "insurance",
    "claim",
    "damage",
    "repair",
    "schedule",
    "delay",
    "storm",
    "tide",
    "pilot",
    "tug",
    "rope",
]
DAG = '''"""Many small documents. (Airflow DAG)"""
from ingest import ingest

from include.source import AccessFiles, Limits, LocalFiles, Source

ingest(
    Source(
        name="bulk",
        reader=LocalFiles(path={path!r}, patterns=("*.md",)),
        access=AccessFiles(".access.yaml"),
        limits=Limits(max_duplicate_ratio=1.0, max_identical_vectors_ratio=1.0, max_vanished_ratio=1.0),
    )
)
'''
HEARTBEAT_S = "30"  # after which Airflow takes a task for dead whose worker was killed


class Machines(Installation):
    """The cluster, in a copy of the project with a source of many small documents."""

    def __init__(self, folder: Path, binaries: Path, begin: str = BEGIN, n: int = 60) -> None:
        super().__init__(folder, binaries, ("-c", begin))
        shutil.copy(PROJECT / "docker-compose.yaml", folder)
        (self.folder / "dags" / "bulk.py").write_text(DAG.format(path=str(folder / "documents")))
        self.n = n
        self.write("one")
        self.state = self.home / "cluster" if begin == BEGIN else self.home
        self.environment |= {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": HEARTBEAT_S}

    def write(self, edition: str) -> None:
        """Write every document of the source anew, with the number of its edition in its text."""
        for number in range(self.n):
            place = self.folder / "documents" / list(FOLDERS)[number % len(FOLDERS)]
            place.mkdir(parents=True, exist_ok=True)
            (place / ".access.yaml").write_text(f"allow: ['{FOLDERS[place.name]}']\n")
            of = random.Random(number)
            lines = [" ".join(of.choices(WORDS, k=9)).capitalize() + f" {of.randrange(10_000)}." for _ in range(4)]
            text = f"# Voyage {number}\n\nThis is edition {edition} of the report.\n\n{' '.join(lines)}\n"
            (place / f"voyage-{number:05}.md").write_text(text)

    def connect(self) -> None:
        env = dotenv_values(self.state / "env")
        self.http = httpx.Client(base_url=env["MOAT_AIRFLOW_URL"] or "", timeout=60.0, trust_env=False)
        password = Path(env["MOAT_AIRFLOW_PASSWORD_FILE"] or "").read_text()
        token = self.http.post("/auth/token", json={"username": "admin", "password": password}).json()["access_token"]
        self.http.headers["authorization"] = f"Bearer {token}"

    def moat(self, *arguments: str) -> Any:
        there, self.environment = self.environment, {**self.environment, "MOAT_HOME": str(self.state)}
        try:
            return super().moat(*arguments)
        finally:
            self.environment = there

    def fingerprints(self) -> dict[str, tuple[int, str]]:
        return {one["source"]: (one["chunks"], one["hash"]) for one in self.moat("fingerprint")}

    def roles(self) -> dict[str, psutil.Process]:
        """The process of each role, by the log that it writes: Airflow and Celery write over their own environment."""
        found = {}
        for child in psutil.Process(self.pid).children():
            with suppress(OSError):
                found[Path(os.readlink(f"/proc/{child.pid}/fd/1")).stem] = child
        return found

    def kill(self, name: str) -> float:
        """SIGKILL a role with all that it has started, as a container ends; returns when."""
        process = self.roles()[name]
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                os.kill(one.pid, signal.SIGKILL)
        return time.monotonic()

    def role_of(self, pid: int) -> str:
        """The role in which a task's process runs."""
        roles = {process.pid: name for name, process in self.roles().items()}
        return next(roles[one.pid] for one in psutil.Process(pid).parents() if one.pid in roles)

    def until_stage(self, run: str, stage: str, patience_s: float = 420.0) -> dict[str, Any]:
        """A task instance of a stage that runs now."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            found = asked(self.http, "GET", f"{run}/taskInstances", params={"limit": 200})["task_instances"]
            for ti in found:
                named = ti["task_id"].removeprefix("batch.")
                if stage in (named, named.partition(".")[0]) and ti["state"] == "running" and ti["pid"]:
                    return dict(ti)
            time.sleep(0.2)
        raise AssertionError(f"{stage} of {run} never ran: {self.tasks(run)}")

    def until_back(self, name: str, n: int, patience_s: float = 240.0) -> float:
        """Seconds until the supervisor says for the n-th time that a role answers again."""
        began = time.monotonic()
        while self.log.read_text().count(f"{name} answers again") < n:
            assert time.monotonic() < began + patience_s, self.log.read_text()[-3_000:]
            time.sleep(0.2)
        return time.monotonic() - began


@contextmanager
def running(made: Machines) -> Iterator[Machines]:
    """A cluster, or one machine, that is up; stopped as `make stop` does it, with nothing left."""
    process = made.start()
    begun = psutil.Process(process.pid)
    try:
        deadline = time.monotonic() + STARTING_S
        while READY not in made.log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(1.0)
        assert READY in made.log.read_text(), made.log.read_text()
        yield made
    finally:
        there = begun.children(recursive=True) if begun.is_running() else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(180)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    left = [one for one in psutil.wait_procs(there, 15)[1] if one.is_running()]
    assert [(one.pid, one.cmdline()) for one in left] == []
    assert process.returncode == 0, made.log.read_text()[-2_000:]


def loaded_alone(folder: Path, binaries: Path, n: int, edition: str) -> dict[str, tuple[int, str]]:
    """The fingerprints of the same documents, loaded on one machine."""
    alone = Machines(folder, binaries, ALONE, n)
    alone.write(edition)
    with running(alone):
        for source in (*SAMPLES, BULK):
            command = [sys.executable, "-c", "from moat.cli import main; main()", "run", f"dags/{source}.py"]
            done = subprocess.run(command, cwd=folder, env=alone.environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        return alone.fingerprints()
