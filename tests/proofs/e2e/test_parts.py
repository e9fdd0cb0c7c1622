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


def test_a_backfill_that_would_end_the_scheduler_is_refused(moat: Installation) -> None:
    """On SQLite Airflow answered 503, and its scheduler ended by a run that it read and that was gone again."""
    asked(moat.http, "PATCH", "/dags/handbook", json={"is_paused": False})
    days = {"from_date": "2026-08-01T00:00:00Z", "to_date": "2026-10-30T00:00:00Z"}
    more = {"reprocess_behavior": "failed", "max_active_runs": 2, "dag_run_conf": {"dry_run": False}}
    before = process_of(moat, "scheduler").pid
    answer = moat.http.post("/api/v2/backfills", json={"dag_id": "handbook", **days, **more})
    assert (answer.status_code, "one run brings it up to date" in answer.json()["detail"]) == (409, True)
    assert moat.http.post("/api/v2/backfills/dry_run", json={"dag_id": "handbook", **days, **more}).status_code == 200
    assert moat.ended(moat.trigger("anchor_audit")) == "success"
    assert process_of(moat, "scheduler").pid == before


def test_a_part_that_stays_down_is_named_by_health_and_doctor(moat: Installation) -> None:
    for n in (2, 3):
        os.kill(process_of(moat, "triggerer").pid, signal.SIGKILL)
        waited(moat, f"airflow-triggerer was killed (signal 9) and is started again ({n} of 3)")
    os.kill(process_of(moat, "triggerer").pid, signal.SIGKILL)
    waited(moat, "airflow-triggerer was killed (signal 9) once more and stays down")
    deadline = time.monotonic() + BACK_S  # Airflow itself believes in it for half a minute
    for command in ("health", "doctor"):
        while "triggerer is unhealthy" not in json.dumps(moat.moat(command)):
            assert time.monotonic() < deadline, moat.moat(command)
            time.sleep(2.0)
