"""Many machines, run for real: the samples and a source of many documents, with every role killed in the middle of it.

The short form kills each role once. `--full` takes 2,000 documents and kills a worker in each stage.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moat.errors import FatalError
from moat.local import databases
from moat.local.airflow import asked
from tests.proofs.cluster.asking import Asking, settings_of
from tests.proofs.cluster.machines import BULK, SAMPLES, Machines, loaded_alone, running

pytestmark = pytest.mark.timeout(7_200)
FEW, MANY = 120, 2_000
EDITIONS = ("two", "three", "four")  # of the source of many documents, after the first
WORKER = "worker"  # whichever runs the task


@dataclass(frozen=True)
class Kill:
    """A role that is killed while a task of this stage runs."""

    stage: str
    role: str


FIRST = (Kill("prepare", WORKER), Kill("embed", "embedder"), Kill("load", "weaviate-2"))
SECOND = (
    Kill("read", "redis"),
    Kill("prepare", "scheduler"),
    Kill("embed", "s3"),
    Kill("gate", "airflow-db"),
    Kill("load", "postgres"),
)
STAGES = tuple(Kill(stage, WORKER) for stage in ("read", "prepare", "embed", "gate", "decide", "load", "promote"))
NODES = (Kill("read", "api-server"), Kill("embed", "weaviate-1"), Kill("gate", "triggerer"), Kill("load", "weaviate-3"))


@pytest.fixture(scope="module")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="module", autouse=True)
def redis() -> Path:
    """Redis is the one server that no package of the project brings."""
    try:
        return databases.redis_program()
    except FatalError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, binaries: Path, full: bool) -> dict[str, tuple[int, str]]:
    return loaded_alone(tmp_path_factory.mktemp("alone"), binaries, MANY if full else FEW, EDITIONS[2 if full else 1])


@pytest.fixture(scope="module")
def moat(alone: object, tmp_path_factory: pytest.TempPathFactory, binaries: Path, full: bool) -> Iterator[Machines]:
    with running(Machines(tmp_path_factory.mktemp("cluster"), binaries, n=MANY if full else FEW)) as made:
        made.connect()
        asked(made.http, "PATCH", "/dags/sync_access", json={"is_paused": True})
        yield made
        made.http.close()


def struck(moat: Machines, run: str, kills: tuple[Kill, ...], asking: Asking) -> list[str]:
    """Kill one role after the other while a run goes on; the rows of the table of what became of it."""
    rows = []
    for kill in kills:
        ti = moat.until_stage(run, kill.stage)
        role = moat.role_of(ti["pid"]) if kill.role == WORKER else kill.role
        seen = moat.log.read_text().count(f"{role} answers again")
        at = moat.kill(role)
        print(f"{kill.stage}: {role} is killed", flush=True)
        back = moat.until_back(role, seen + 1)
        rows.append((kill, role, back, at))
        print(f"{kill.stage}: {role} is back after {back:.0f} s", flush=True)
    state = moat.ended(run)
    ends = [*(at for *_, at in rows[1:]), time.monotonic()][: len(rows)]
    tries = {
        ti["task_id"]: ti["try_number"]
        for ti in asked(moat.http, "GET", f"{run}/taskInstances", params={"limit": 200})["task_instances"]
    }
    again = ", ".join(f"{task} {n}" for task, n in tries.items() if n > 1)
    print(f"{run} ended: {state}; tries: {again or 'one each'}", flush=True)
    assert state == "success", moat.tasks(run)
    return [
        f"| {kill.stage} | {role} | {back:.0f} | {asking.gap_after(at, end):.0f} |"
        for (kill, role, back, at), end in zip(rows, ends, strict=True)
    ]


def begun(moat: Machines, source: str, **conf: object) -> str:
    asked(moat.http, "PATCH", f"/dags/{source}", json={"is_paused": False})
    return moat.trigger(source, **conf)


def test_every_role_is_killed_once_and_the_end_is_that_of_one_machine(
    moat: Machines, alone: dict[str, tuple[int, str]], full: bool
) -> None:
    rows = list[str]()
    with Asking(settings_of(moat.state)) as asking:
        first = begun(moat, BULK)
        samples = [begun(moat, source) for source in SAMPLES]
        rows += struck(moat, first, STAGES if full else (), asking)
        assert [moat.ended(run) for run in samples] == ["success"] * 3
        for edition, kills in zip(EDITIONS, (FIRST, SECOND, *((NODES,) if full else ())), strict=False):
            moat.write(edition)
            rows += struck(moat, begun(moat, BULK, expected=f"edition {edition}"), kills, asking)
        time.sleep(3.0)
    print("\n| stage | killed | back after s | longest gap of searches s |\n| --- | --- | ---: | ---: |")
    print("\n".join(rows))
    print(
        f"{asking.answered:,} searches answered with {asking.hits:,} hits, refused {asking.refused}, gaps {[round(s) for _, s in asking.gaps]}"
    )
    assert asking.answered > 50, "the searches ended before the kills did"
    assert asking.hits > 20 * asking.answered, "they did not look at what was loaded"
    assert asking.forbidden == []
    assert asking.mixed == []
    assert moat.fingerprints() == alone
