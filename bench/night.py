"""A night, simulated: when each source becomes fresh, how busy each role is, and what to add where it does not fit.

    .venv/bin/python -m bench.night NIGHT.json [--until 6:00] [--seed 1] [--jitter 0.2]
    .venv/bin/python -m bench.night --example > NIGHT.json

A discrete-event simulation: tasks of sources queue for the servers of their role, first come, first served. Each costs
what was measured (bench/costs.json, with where from). Simplified: a task that waits for the embedder or the index holds
no core; machines do not fail; nothing waits for a person. The same seed gives the same night.
"""

import argparse
import heapq
import json
import math
import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

COSTS: dict[str, float] = {
    name: float(one["value"]) for name, one in json.loads(Path(__file__).with_name("costs.json").read_text())["costs"].items()
}  # fmt: skip
ROLES = ("scheduler", "worker", "embedder", "index")
FAMILIES = 9  # tasks of the gate
MOST_BATCHES = 64  # MOAT_MAX_BATCHES
BATCH = 2_350  # chunks: MOAT_BATCH_MB of text, 852 bytes each (bench.footprint)
PIECES = 8  # of a load, which writes and proves one window after the other
SPREAD = 8  # groups of index nodes that take parts of a window at once, at the most

Step = list[list[tuple[str, float]]]  # chains that run side by side; each a row of (role, seconds); "" is a delay


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as one night meets it."""

    name: str
    documents: int
    chunks_a_document: float = 5.0
    changed: float = 0.01  # share of its documents that the night brings
    kind: Literal["text", "pdf"] = "text"
    start_s: float = 0.0  # after the night's begin

    def __post_init__(self) -> None:
        if self.documents < 0 or not 0 <= self.changed <= 1:
            raise ValueError(f"{self.name}: documents from 0, changed from 0 to 1")

    @property
    def chunks(self) -> float:
        """Chunks that the night brings."""
        return self.documents * self.changed * self.chunks_a_document


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """How many servers each role has, and what the index holds."""

    schedulers: int = 1
    worker_cores: int = 4
    embedders: int = 1
    card: Literal["minilm", "bge-large", "none"] = "minilm"  # none: a CPU's embedder of four cores
    index_nodes: int = 3
    index_cores: int = 4
    shards: int = 2
    replicas: int = 3
    indexed: float = 1e6  # chunks in the index
    preloaded: bool = False  # Celery's workers import before they fork

    def __post_init__(self) -> None:
        for name in ("schedulers", "worker_cores", "embedders", "index_nodes", "index_cores", "shards", "replicas"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it takes one at the least")

    def servers(self) -> dict[str, int]:
        return {
            "scheduler": self.schedulers,
            "worker": self.worker_cores,
            "embedder": self.embedders,
            "index": min(SPREAD, self.index_nodes),
        }

    @property
    def task_s(self) -> float:
        return COSTS["task_preloaded_s" if self.preloaded else "task_s"] - COSTS["scheduled_s"]

    def more(self, role: str) -> "Cluster":
        """The same with a quarter more of a role, one at the least."""
        name = {"scheduler": "schedulers", "worker": "worker_cores", "embedder": "embedders", "index": "index_nodes"}[
            role
        ]
        return replace(self, **{name: math.ceil(getattr(self, name) * 1.25)})


def index_ms(in_shard: float) -> float:
    """CPU milliseconds of one replica for a chunk that joins so many in its shard: it grows with their logarithm."""
    low, high = COSTS["index_ms_at_1000"], COSTS["index_ms_at_30000"]
    return max(low, low + (high - low) * math.log(max(in_shard, 1.0) / 1e3) / math.log(30))


def prepare_ms(kind: str) -> float:
    """CPU milliseconds to parse, clean, judge and cut a chunk: the whole way less its end; a PDF's page beside."""
    text = COSTS["all_ms"] - COSTS["write_ms"] - COSTS["gate_ms"]
    return text + (COSTS["pdf_page_ms"] / COSTS["pdf_page_chunks"] if kind == "pdf" else 0.0)


def embed_s(card: str) -> float:
    """Seconds of an embedder for a chunk."""
    if card == "none":
        return 1 / (COSTS["cpu_core_chunks"] * 4)
    return COSTS["chunk_tokens"] / COSTS["gpu_tokens" if card == "minilm" else "gpu_large_tokens"]


def plan(source: Source, cluster: Cluster) -> list[Step]:
    """What a run of a source asks of the roles, step by step; a step waits for all of the one before."""
    n = source.chunks

    def task(*work: tuple[str, float]) -> list[tuple[str, float]]:
        return [("", COSTS["hop_s"]), ("scheduler", COSTS["scheduled_s"]), ("worker", cluster.task_s), *work]

    read = task(("worker", source.documents * COSTS["listed_ms"] / 1e3))
    if n < 1:
        return [[read], [task()]]
    batches = min(MOST_BATCHES, math.ceil(n / BATCH))
    batch = [
        *task(("worker", n / batches * prepare_ms(source.kind) / 1e3)),
        *task(("embedder", n / batches * embed_s(cluster.card))),
    ]
    gate = task(("worker", n * COSTS["gate_ms"] / 1e3 / FAMILIES))
    groups = cluster.servers()["index"]
    each_ms = index_ms((cluster.indexed + n) / cluster.shards) * cluster.replicas
    written = n / PIECES * each_ms / 1e3 / (cluster.index_nodes * cluster.index_cores)
    window: list[Step] = [
        [[("worker", n / PIECES * COSTS["write_ms"] / 1e3)]],
        [[("index", written)] for _ in range(groups)],
    ]
    return [[read], [task()], [batch] * batches, [gate] * FAMILIES, [task()], [task()], *window * PIECES, [task()]]


@dataclass(eq=False)
class Pool:
    """The servers of a role, their queue, and what they did."""

    servers: int
    waiting: deque[tuple[float, float, "Run"]] = field(default_factory=deque)
    busy: int = 0
    served: int = 0
    busy_s: float = 0.0
    waited_s: float = 0.0
    in_system: int = 0
    area: float = 0.0  # time integral of those in queue and in service
    since: float = 0.0

    def count(self, now: float, by: int) -> None:
        self.area += self.in_system * (now - self.since)
        self.in_system, self.since = self.in_system + by, now


@dataclass(eq=False)
class Run:
    """A chain of a source's step, with the work that is left of it."""

    source: "Progress"
    left: deque[tuple[str, float]]


@dataclass(eq=False)
class Progress:
    name: str
    steps: deque[Step]
    open: int = 0


@dataclass(frozen=True, kw_only=True)
class Night:
    """What came of a night; seconds are after its begin."""

    fresh: dict[str, float]
    took: dict[str, float]  # from its own start
    ends: float
    pools: dict[str, Pool]

    def utilisation(self, role: str) -> float:
        pool = self.pools[role]
        return pool.busy_s / (pool.servers * self.ends) if self.ends else 0.0


def simulate(sources: Sequence[Source], cluster: Cluster, seed: int = 1, jitter: float = 0.0) -> Night:
    """Let the night go by.

    Args:
        sources: What is loaded.
        cluster: What loads it.
        seed: Of the jitter.
        jitter: Standard deviation of the logarithm of each service time; its mean stays.

    Returns:
        When each source is fresh, and what each role did.
    """
    plans = [(source.name, source.start_s, plan(source, cluster)) for source in sources]
    return run(plans, cluster.servers(), seed, jitter)


def run(
    plans: Sequence[tuple[str, float, list[Step]]], servers: dict[str, int], seed: int = 1, jitter: float = 0.0
) -> Night:
    """Let plans queue for servers; each begins at its second. Raises ValueError if two have one name."""
    if len({name for name, _, _ in plans}) < len(plans):
        raise ValueError("two sources have one name")
    chance = random.Random(seed)
    pools = {role: Pool(n) for role, n in servers.items()}
    events: list[tuple[float, int, str, Any]] = []
    fresh, number = dict[str, float](), 0

    def at(when: float, what: str, of: Any) -> None:
        nonlocal number
        number += 1  # so that what happens at once happens in the order in which it was said
        heapq.heappush(events, (when, number, what, of))

    def begin(progress: Progress, now: float) -> None:
        if not progress.steps:
            fresh[progress.name] = now
            return
        step = progress.steps.popleft()
        progress.open = len(step)
        for chain in step:
            go(Run(progress, deque(chain)), now)

    def go(one: Run, now: float) -> None:
        if not one.left:
            one.source.open -= 1
            if one.source.open == 0:
                begin(one.source, now)
            return
        role, seconds = one.left.popleft()
        if jitter:
            seconds *= math.exp(chance.gauss(-jitter * jitter / 2, jitter))
        if not role:
            at(now + seconds, "goes on", one)
            return
        pool = pools[role]
        pool.count(now, 1)
        pool.waiting.append((now, seconds, one))
        serve(role, now)

    def serve(role: str, now: float) -> None:
        pool = pools[role]
        while pool.waiting and pool.busy < pool.servers:
            came, seconds, one = pool.waiting.popleft()
            pool.busy += 1
            pool.busy_s += seconds
            pool.waited_s += now - came
            at(now + seconds, role, one)

    for name, start_s, steps in plans:
        at(start_s, "starts", Progress(name, deque(steps)))
    now = 0.0
    while events:
        now, _, what, of = heapq.heappop(events)
        if what == "starts":
            begin(of, now)
        elif what == "goes on":
            go(of, now)
        else:
            pool = pools[what]
            pool.count(now, -1)
            pool.busy, pool.served = pool.busy - 1, pool.served + 1
            serve(what, now)
            go(of, now)
    return Night(fresh=fresh, took={name: fresh[name] - start for name, start, _ in plans}, ends=now, pools=pools)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What makes a night fit: the cluster that does, what was added to it, or the source that nothing helps."""

    cluster: Cluster
    added: dict[str, int]
    night: Night
    stuck: str = ""


def advise(sources: Sequence[Source], cluster: Cluster, until_s: float, seed: int = 1, jitter: float = 0.0) -> Advice:
    """Add a quarter of the role that shortens the night most, until it ends in time or nothing shortens it."""
    start, night, stuck = cluster, simulate(sources, cluster, seed, jitter), ""
    while night.ends > until_s and not stuck:
        tried = [(simulate(sources, cluster.more(role), seed, jitter), cluster.more(role)) for role in ROLES]
        best, more = min(tried, key=lambda one: one[0].ends)
        if best.ends > night.ends * 0.995:
            stuck = max(night.fresh, key=lambda name: night.fresh[name])
        else:
            night, cluster = best, more
    before, after = asdict(start), asdict(cluster)
    added = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    return Advice(cluster=cluster, added=added, night=night, stuck=stuck)


def clock(seconds: float) -> str:
    """Hours and minutes."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def report(sources: Sequence[Source], cluster: Cluster, until_s: float, seed: int = 1, jitter: float = 0.0) -> str:
    """The night in words and tables."""
    night = simulate(sources, cluster, seed, jitter)
    lines = ["| source | chunks | fresh after | took |", "|---|---:|---:|---:|"]
    lines += [
        f"| {one.name} | {one.chunks:,.0f} | {clock(night.fresh[one.name])} | {clock(night.took[one.name])} |"
        for one in sorted(sources, key=lambda s: night.fresh[s.name])
    ]
    lines += ["", "| role | servers | busy | wait of a task, s |", "|---|---:|---:|---:|"]
    for role, pool in night.pools.items():
        waited = pool.waited_s / pool.served if pool.served else 0.0
        lines.append(f"| {role} | {pool.servers} | {night.utilisation(role):.0%} | {waited:,.1f} |")
    lines += ["", f"The night ends after {clock(night.ends)}; it has {clock(until_s)}."]
    if night.ends > until_s:
        advice = advise(sources, cluster, until_s, seed, jitter)
        added = ", ".join(f"{n} more {name.replace('_', ' ')}" for name, n in advice.added.items())
        if added:
            lines.append(f"With {added} it ends after {clock(advice.night.ends)}.")
        if advice.stuck:
            lines.append(
                f"No machine helps {advice.stuck} any more: split it, start it earlier, or change less of it a night."
            )
    return "\n".join(lines)


EXAMPLE: dict[str, Any] = {
    "cluster": asdict(Cluster()),
    "sources": [
        asdict(Source(name="wiki", documents=40_000, changed=0.02)),
        asdict(Source(name="contracts", documents=8_000, chunks_a_document=40.0, kind="pdf", start_s=1800.0)),
        asdict(Source(name="tickets", documents=200_000, chunks_a_document=1.5, changed=0.005, start_s=3600.0)),
    ],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("night", nargs="?", type=Path, help="cluster and sources, as --example prints them")
    options.add_argument("--example", action="store_true", help="print a night to start from")
    options.add_argument("--until", default="6:00", help="hours and minutes that the night has")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jitter", type=float, default=0.2)
    given = options.parse_args()
    if given.example:
        print(json.dumps(EXAMPLE, indent=1))
        return
    try:
        hours, _, minutes = given.until.partition(":")
        until_s = int(hours) * 3600 + int(minutes or 0) * 60
        asked = json.loads(given.night.read_text("utf-8")) if given.night else EXAMPLE
        cluster, sources = Cluster(**asked["cluster"]), [Source(**one) for one in asked["sources"]]
        said = report(sources, cluster, until_s, given.seed, given.jitter)
    except (OSError, TypeError, KeyError, ValueError) as wrong:
        sys.exit(f"{given.night or given.until}: {wrong}; --example prints what it may hold")
    print(said)


if __name__ == "__main__":
    main()
