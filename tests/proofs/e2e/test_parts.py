"""Each part of Airflow that ends, and what Airflow on SQLite does not stand, is seen and started again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from moat.local.airflow import asked
from moat.local.stack import PARTS
from tests.proofs.e2e.installation import Installation, running

pytestmark = pytest.mark.timeout(1_800)
BEGIN = """
import os
from pathlib import Path
from moat.local.__main__ import end_when_asked, say
from moat.local.stack import stack
end_when_asked()
try:
    with stack(Path(os.environ["MOAT_HOME"]), say) as held:
        print("Ctrl-C stops all of it.", flush=True)
        held.watch()
except KeyboardInterrupt:
    pass
"""
BACK_S = 180.0


@pytest.fixture(scope="module")
def moat(tmp_path_factory: pytest.TempPathFactory, binaries: Path) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("parts"), binaries, ("-c", BEGIN))
    with running(made):
        yield made


def process_of(moat: Installation, part: str) -> psutil.Process:
    """The main process of a part of Airflow in this installation."""
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or []).replace("_", "-")  # the API server writes its own
        if f"airflow {part}" in command and process.ppid() == moat.pid:
            return process
    raise AssertionError(f"no {part} runs")


def waited(moat: Installation, line: str, n: int = 1) -> None:
    deadline = time.monotonic() + BACK_S
    while moat.log.read_text().count(line) < n:
        assert time.monotonic() < deadline, moat.log.read_text()[-3_000:]
        time.sleep(0.5)


@pytest.mark.parametrize("part", [part[0] for part in PARTS])
def test_a_part_of_airflow_that_is_killed_is_started_again(moat: Installation, part: str) -> None:
    killed = process_of(moat, part)
    os.kill(killed.pid, signal.SIGKILL)
    waited(moat, f"airflow-{part} was killed (signal 9) and is started again (1 of 3)")
    waited(moat, f"airflow-{part} answers again")
    assert process_of(moat, part).pid != killed.pid


def test_a_backfill_through_the_api_leaves_every_part_alive(moat: Installation) -> None:
    """On SQLite its long write used to end the scheduler, which met a locked database."""
    parts = {part[0]: process_of(moat, part[0]).pid for part in PARTS}
    asked(moat.http, "PATCH", "/dags/handbook", json={"is_paused": False})
    days = {"from_date": "2026-08-01T00:00:00Z", "to_date": "2026-10-30T00:00:00Z"}
    more = {"reprocess_behavior": "failed", "max_active_runs": 2, "dag_run_conf": {"dry_run": False}}
    made = asked(moat.http, "POST", "/backfills", json={"dag_id": "handbook", **days, **more})
    run = moat.trigger("contracts")
    asked(moat.http, "PATCH", "/dags/contracts", json={"is_paused": False})
    assert moat.ended(run) == "success", "the scheduler goes on beside it"
    asked(moat.http, "PUT", f"/backfills/{made['id']}/cancel")
    assert {part: process_of(moat, part).pid for part in parts} == parts


def test_a_part_that_stays_down_is_named_by_health_and_doctor(moat: Installation) -> None:
    for n in (2, 3):
        os.kill(process_of(moat, "scheduler").pid, signal.SIGKILL)
        waited(moat, f"airflow-scheduler was killed (signal 9) and is started again ({n} of 3)")
    os.kill(process_of(moat, "scheduler").pid, signal.SIGKILL)
    waited(moat, "airflow-scheduler was killed (signal 9) once more and stays down")
    deadline = time.monotonic() + BACK_S  # Airflow itself believes in a scheduler for half a minute
    for command in ("health", "doctor"):
        while "scheduler is unhealthy" not in json.dumps(moat.moat(command)):
            assert time.monotonic() < deadline, moat.moat(command)
            time.sleep(2.0)
