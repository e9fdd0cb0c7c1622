"""The simulator of a night against what queueing theory says, and the page that is made of it against its sources."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import night, scale
from bench.night import COSTS, Cluster, Night, Source, advise, plan, run, simulate

PROJECT = Path(__file__).resolve().parents[1]


def jobs(n: int, seconds: float, role: str = "worker") -> list[Any]:
    return [(f"job {i}", 0.0, [[[(role, seconds)]]]) for i in range(n)]


def test_one_server_takes_the_sum_of_all_services() -> None:
    done = run(jobs(10, 3.0), {"worker": 1})
    assert done.ends == 30.0
    assert done.utilisation("worker") == 1.0
    assert done.fresh == {f"job {n}": 3.0 * (n + 1) for n in range(10)}, "first come, first served"
    assert done.pools["worker"].waited_s == sum(3.0 * n for n in range(10))


def test_as_many_servers_as_jobs_take_the_longest() -> None:
    assert run(jobs(10, 3.0), {"worker": 10}).ends == 3.0
    assert run(jobs(10, 3.0), {"worker": 4}).ends == 9.0


def test_a_step_waits_for_every_chain_of_the_one_before() -> None:
    steps = [[[("a", 2.0), ("b", 1.0)], [("a", 5.0)]], [[("", 0.5), ("b", 1.0)]]]
    done = run([("one", 10.0, steps)], {"a": 2, "b": 2})
    assert done.fresh == {"one": 16.5}
    assert done.took == {"one": 6.5}


def test_littles_law_holds() -> None:
    """The time integral of how many are in a system is the sum of the times that each spends in it."""
    chance = random.Random(3)
    plans = [(f"{i}", chance.uniform(0, 500), [[[("a", chance.expovariate(1)), ("b", chance.expovariate(2))]] * chance.randint(1, 4)]) for i in range(300)]  # fmt: skip
    for pool in run(plans, {"a": 2, "b": 1}).pools.values():
        assert pool.area == pytest.approx(pool.waited_s + pool.busy_s)
        assert pool.busy_s > 100


@pytest.mark.parametrize(("load", "servers"), [(0.5, 1), (0.8, 1)])
def test_the_wait_is_that_of_pollaczek_and_khinchine(load: float, servers: int) -> None:
    """One server, arrivals by chance, equal services: the mean wait is load / (2 (1 - load)) services."""
    chance, when, plans = random.Random(5), 0.0, []
    for i in range(40_000):
        when += chance.expovariate(load)
        plans.append((f"{i}", when, [[[("a", 1.0)]]]))
    pool = run(plans, {"a": servers}).pools["a"]
    assert pool.waited_s / pool.served == pytest.approx(load / (2 * (1 - load)), rel=0.06)


def sources(n: int = 12, changed: float = 0.2) -> list[Source]:
    return [Source(name=f"s{i}", documents=20_000, changed=changed) for i in range(n)]


def test_the_same_seed_gives_the_same_night_and_another_another() -> None:
    def fresh(seed: int) -> dict[str, float]:
        return simulate(sources(), Cluster(), seed, jitter=0.3).fresh

    assert fresh(1) == fresh(1)
    assert fresh(1) != fresh(2)
    calm = simulate(sources(), Cluster()).ends
    assert simulate(sources(), Cluster(), 4, jitter=0.3).ends == pytest.approx(calm, rel=0.1), "the mean stays"


def test_a_server_of_the_busiest_role_shortens_the_night_and_of_another_does_not() -> None:
    cluster = Cluster(worker_cores=4)
    before = simulate(sources(), cluster)
    assert before.utilisation("worker") > 0.8
    assert before.utilisation("embedder") < 0.1
    assert simulate(sources(), replace(cluster, worker_cores=5)).ends < before.ends * 0.9
    assert simulate(sources(), replace(cluster, embedders=2)).ends == pytest.approx(before.ends, rel=0.01)


def test_where_the_model_runs_on_a_cpu_it_is_the_embedder_that_helps() -> None:
    cluster = Cluster(worker_cores=64, card="none")
    before = simulate(sources(), cluster)
    assert before.utilisation("embedder") > 0.9
    assert simulate(sources(), replace(cluster, embedders=2)).ends < before.ends * 0.6
    assert advise(sources(), cluster, before.ends / 2).added.keys() == {"embedders"}


def test_every_chunk_is_paid_for_once() -> None:
    cluster, one = Cluster(), Source(name="s", documents=10_000, changed=0.3, kind="pdf")
    done = simulate([one], cluster)
    assert done.pools["embedder"].busy_s == pytest.approx(one.chunks * COSTS["chunk_tokens"] / COSTS["gpu_tokens"])
    tasks = sum(chain.count(("worker", cluster.task_s)) for step in plan(one, cluster) for chain in step)
    work = (
        one.chunks * (night.prepare_ms("pdf") + COSTS["gate_ms"] + COSTS["write_ms"])
        + one.documents * COSTS["listed_ms"]
    )
    assert done.pools["worker"].busy_s == pytest.approx(tasks * cluster.task_s + work / 1e3)
    index = one.chunks * cluster.replicas * night.index_ms((cluster.indexed + one.chunks) / cluster.shards) / 1e3
    assert done.pools["index"].busy_s * cluster.index_cores == pytest.approx(index)


def test_a_run_without_changes_is_a_listing_and_two_tasks() -> None:
    one, cluster = Source(name="s", documents=1_000, changed=0.0), Cluster()
    done = simulate([one], cluster)
    assert done.pools["worker"].busy_s == pytest.approx(2 * cluster.task_s + 1_000 * COSTS["listed_ms"] / 1e3)
    assert done.pools["scheduler"].served == 2
    assert done.pools["embedder"].served == done.pools["index"].served == 0


def test_a_night_that_fits_needs_nothing_and_one_that_does_not_is_made_to_fit() -> None:
    cluster = Cluster(worker_cores=4)
    ends = simulate(sources(), cluster).ends
    assert advise(sources(), cluster, ends).added == {}
    advice = advise(sources(), cluster, ends / 3)
    assert advice.added["worker_cores"] >= 8
    assert not advice.stuck
    assert simulate(sources(), advice.cluster).ends == advice.night.ends <= ends / 3


def test_a_source_that_no_machine_helps_is_named() -> None:
    huge = Source(name="everything", documents=10_000_000, changed=1.0)
    advice = advise([*sources(2, 0.0), huge], Cluster(worker_cores=16), 3_600.0)
    assert advice.stuck == "everything"
    assert advice.night.ends > huge.chunks * COSTS["write_ms"] / 1e3, "its load stage is one task"


def test_a_chunk_costs_the_index_more_the_more_there_are() -> None:
    assert night.index_ms(1_000) == COSTS["index_ms_at_1000"]
    assert night.index_ms(30_000) == pytest.approx(COSTS["index_ms_at_30000"])
    assert night.index_ms(10) == COSTS["index_ms_at_1000"], "never less than what was measured"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.night", *arguments], cwd=PROJECT, capture_output=True, text=True
    )


def test_the_command_takes_what_its_example_prints_and_names_what_is_wrong(tmp_path: Path) -> None:
    (file := tmp_path / "night.json").write_text(command("--example").stdout, "utf-8")
    said = command(str(file), "--until", "0:30").stdout
    assert "| wiki |" in said
    assert "it has 0:30" in said
    whole = file.read_text("utf-8")
    for right, wrong, said in (
        ("documents", "dokuments", "dokuments"),
        ('"worker_cores": 4', '"worker_cores": 0', "worker_cores is 0"),
        ('"changed": 0.02', '"changed": 2', "wiki: documents from 0, changed from 0 to 1"),
        ('"name": "wiki"', '"name": "tickets"', "two sources have one name"),
    ):
        file.write_text(whole.replace(right, wrong), "utf-8")
        done = command(str(file))
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


# --- the page


def test_the_tables_of_the_page_are_current() -> None:
    page = scale.PAGE.read_text("utf-8")
    assert set(re.findall(r"<!-- scale: (\w+) -->", page)) == set(scale.TABLES)
    assert scale.written(page) == page, "run `python -m bench.scale --write`"


def test_every_figure_says_where_it_is_from() -> None:
    for name, one in scale.MEASURED["costs"].items():
        assert one["unit"], name
        assert one["from"], name
        for module in re.findall(r"bench\.(\w+)", one["from"]):
            assert (PROJECT / "bench" / f"{module}.py").is_file(), name
    assert "example" in scale.MEASURED["prices_of"]


def test_the_bytes_of_a_chunk_are_those_of_the_results() -> None:
    results = (PROJECT / "bench" / "RESULTS.md").read_text("utf-8")
    section = results.partition("## footprint")[2].partition("\n## ")[0]
    for kind, found in scale.FOOTPRINT["kinds"].items():
        assert f"| {found['memory']:,.0f} | {found['disk']:,.0f} |" in section, kind
    assert f"{found['ledger']:,.0f} bytes a chunk" in section


def test_a_size_has_the_chunks_and_the_memory_that_it_says() -> None:
    for one in scale.SIZES:
        fleet = scale.fleet(one, 1.0, 1.0)
        assert sum(source.chunks for source in fleet) == pytest.approx(one.chunks, rel=0.001)
        needed = one.chunks * scale.FOOTPRINT["kinds"][one.kind]["memory"] * scale.REPLICAS
        assert needed <= one.cluster.index_nodes * one.node_gib * scale.GIB * scale.USED
        assert isinstance(scale.night(one), Night)
        assert scale.night(one).ends <= scale.NIGHT_S, "the machines that are proposed are enough"


def test_the_example_is_a_night() -> None:
    assert json.loads(json.dumps(night.EXAMPLE)) == night.EXAMPLE
