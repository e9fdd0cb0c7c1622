"""Sizes, hours and costs of a knowledge base of a million, 100 million and ten billion chunks.

    .venv/bin/python -m bench.scale [--write]

Each figure is measured (bench/costs.json, bench/footprint.json) or follows from one by the arithmetic that
docs/scale.md shows. --write puts the tables into that page; tests/test_bench_night.py holds them current.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bench.night import COSTS, Advice, Cluster, Night, Source, advise, clock, embed_s, index_ms, prepare_ms, simulate

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "scale.md"
MEASURED = json.loads((HERE / "costs.json").read_text("utf-8"))
FOOTPRINT = json.loads((HERE / "footprint.json").read_text("utf-8"))
KINDS = {"float32": "HNSW, 32 bits", "rq-8": "HNSW, RQ 8 bits", "rq-1": "HNSW, RQ 1 bit"}
PRICES: dict[str, float] = {name: float(one["value"]) for name, one in MEASURED["prices"].items()}
REPLICAS = 3
USED = 0.7  # of a node's memory, so that Go's collector, filters and queries have the rest
MONTH_H, NIGHTS = 730, 30
NIGHT_S = 6 * 3600.0
PDF, CHANGING, CHANGED = 0.3, 0.5, 0.02  # of sources: PDFs; those with changes in a night; of their documents
GIB = 2**30
LEDGER_CHUNKS = 10**8  # of one ledger


@dataclass(frozen=True, kw_only=True)
class Size:
    """A knowledge base, and the machines that are proposed for it."""

    title: str
    chunks: int
    sources: int
    kind: str  # of Weaviate's index
    node_gib: int
    cluster: Cluster


def size(title: str, chunks: int, sources: int, kind: str, node: tuple[int, int], cluster: Cluster) -> Size:
    """A size whose Weaviate has as many nodes as its memory needs; `node` is GiB and cores of one."""
    gib, cores = node
    n = nodes(chunks, kind, gib)
    shards = 2 if n == 3 else n
    whole = replace(cluster, index_nodes=n, index_cores=cores, shards=shards, indexed=float(chunks), replicas=REPLICAS)
    return Size(title=title, chunks=chunks, sources=sources, kind=kind, node_gib=gib, cluster=whole)


def memory_gib(chunks: int, kind: str) -> float:
    """Memory of one copy of the index."""
    return float(chunks * FOOTPRINT["kinds"][kind]["memory"] / GIB)


def nodes(chunks: int, kind: str, gib: int) -> int:
    return max(REPLICAS, math.ceil(memory_gib(chunks, kind) * REPLICAS / USED / gib))


SIZES = (
    size("1 million", 10**6, 20, "float32", (8, 2), Cluster(worker_cores=8, card="none")),
    size("100 million", 10**8, 200, "rq-8", (64, 8), Cluster(worker_cores=64, embedders=1, schedulers=2)),
    size("10 billion", 10**10, 2_000, "rq-1", (256, 32), Cluster(worker_cores=2_048, embedders=10, schedulers=4)),
)


def fleet(one: Size, changed: float, changing: float) -> list[Source]:
    """Sources of a size: some large, many small; every third or so of PDFs, every second one with changes."""
    weights = [(rank + 1) ** -0.4 for rank in range(one.sources)]
    made = list[Source]()
    for rank, weight in enumerate(weights):
        documents = round(one.chunks * weight / sum(weights) / 5)
        made.append(
            Source(
                name=f"source {rank + 1:04}",
                documents=documents,
                changed=changed if rank % round(1 / changing) == 0 else 0.0,
                kind="pdf" if rank % 10 < PDF * 10 else "text",
                start_s=3_600.0 * rank / one.sources,
            )
        )
    return made


@cache
def first_load(one: Size) -> Night:
    return simulate(fleet(one, 1.0, 1.0), replace(one.cluster, indexed=one.chunks / 2))


@cache
def night(one: Size) -> Night:
    return simulate(fleet(one, CHANGED, CHANGING), one.cluster)


def gb(value: float) -> str:
    """Bytes, in the unit that suits."""
    for unit, of in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= of:
            return f"{value / of:,.1f} {unit}" if value < 100 * of else f"{value / of:,.0f} {unit}"
    return f"{value:,.0f} B"


def table(head: str, rows: list[list[str]]) -> str:
    columns = head.split("|")
    rule = "|".join(["---"] + ["---:"] * (len(columns) - 1))
    return "\n".join(
        [f"| {' | '.join(c.strip() for c in columns)} |", f"|{rule}|", *(f"| {' | '.join(r)} |" for r in rows)]
    )


# --- the tables of docs/scale.md, by name


def costs_table() -> str:
    rows = [
        [f"{one['value']:g}" if one["value"] < 1e4 else f"{one['value']:,.0f}", one["unit"], one["from"]]
        for one in MEASURED["costs"].values()
    ]
    lines = ["| figure | of | measured by |", "|---:|---|---|", *(f"| {' | '.join(r)} |" for r in rows)]
    return "\n".join(lines)


def machines_table() -> str:
    rows = []
    for one in SIZES:
        c = one.cluster
        card = "four cores" if c.card == "none" else "a card"
        embedder = f"1 with {card}" if c.embedders == 1 else f"{c.embedders} with {card} each"
        rows.append(
            [
                one.title, f"{one.sources:,}", f"{c.worker_cores:,}", embedder, str(c.schedulers),
                f"{c.index_nodes} of {one.node_gib} GiB and {c.index_cores} cores, {KINDS[one.kind]}, {c.shards} shards",
                gb(one.chunks * FOOTPRINT["kinds"][one.kind]["ledger"]),
            ]
        )  # fmt: skip
    return table("chunks|sources|cores of workers|embedders|schedulers|Weaviate|ledger", rows)


def index_table() -> str:
    rows = []
    for one in SIZES:
        for kind, name in KINDS.items():
            found = FOOTPRINT["kinds"][kind]
            rows.append(
                [
                    one.title, name, gb(one.chunks * found["memory"]), gb(one.chunks * found["memory"] * REPLICAS),
                    f"{nodes(one.chunks, kind, one.node_gib):,} of {one.node_gib} GiB",
                    gb(one.chunks * found["disk"] * REPLICAS),
                ]
            )  # fmt: skip
    return table("chunks|index|memory, one copy|three copies|nodes|disk, three copies", rows)


def dimensions_table() -> str:
    found, own = FOOTPRINT["kinds"], FOOTPRINT["dimensions"]
    rows = []
    for kind, bits in (("float32", 32), ("rq-8", 8), ("rq-1", 1)):
        graph = found[kind]["memory"] - own * bits / 8
        rows.append([KINDS[kind], f"{graph:,.0f}", *(f"{graph + d * bits / 8:,.0f}" for d in (384, 768, 1024, 3072))])
    return table("bytes a chunk|beside the vector|384 dimensions|768|1,024|3,072", rows)


def store_table() -> str:
    rows = []
    for one in SIZES:
        found = FOOTPRINT["kinds"][one.kind]
        a_night = one.chunks * CHANGED * CHANGING
        rows.append(
            [
                one.title, gb(one.chunks * found["ledger"]), gb(one.chunks * 4 * FOOTPRINT["dimensions"]),
                gb(a_night * found["staging"]), gb(one.chunks * found["staging"]),
            ]
        )  # fmt: skip
    return table("chunks|ledger|of it vectors|staging of a night|staging of a first load", rows)


def hours_table() -> str:
    rows = []
    for one in SIZES:
        for title, came in (("first load", first_load(one)), ("a night", night(one))):
            busy = [f"{came.utilisation(role):.0%}" for role in ("worker", "embedder", "index")]
            last = max(came.took, key=lambda name: came.took[name])
            rows.append([one.title, title, clock(came.ends), *busy, f"{last}, {clock(came.took[last])}"])
    return table("chunks|what|ends after|workers busy|embedders|index|the longest source", rows)


def growth_table() -> str:
    """The middle size, as more changes a night: where it stops to fit, and what to add."""
    one, rows = SIZES[1], []
    for share in (0.02, 0.05, 0.1, 0.2, 0.4):
        sources = fleet(one, share, CHANGING)
        came = simulate(sources, one.cluster)
        advice: Advice | None = advise(sources, one.cluster, NIGHT_S) if came.ends > NIGHT_S else None
        said = "fits"
        if advice is not None:
            added = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in advice.added.items()) or "nothing helps"
            said = f"add {added}: {clock(advice.night.ends)}" + (
                f"; then {advice.stuck} stays too long" if advice.stuck else ""
            )
        rows.append(
            [
                f"{share:.0%}",
                f"{sum(s.chunks for s in sources):,.0f}",
                clock(came.ends),
                f"{came.utilisation('worker'):.0%}",
                said,
            ]
        )
    return table("changed documents|chunks|ends after|workers busy|for six hours", rows)


def quiet_table() -> str:
    """Nights in which nothing changed: a run is two tasks and a listing."""
    rows = []
    for n in (200, 2_000):
        for cores in (2, 8, 32):
            row = [f"{n:,}", str(cores)]
            for preloaded in (False, True):
                sources = [Source(name=f"{i}", documents=1_000, changed=0.0) for i in range(n)]
                came = simulate(sources, Cluster(worker_cores=cores, preloaded=preloaded))
                spent = came.pools["worker"].busy_s + came.pools["scheduler"].busy_s
                row += [clock(came.ends), f"{spent / n:.2f}", f"{came.utilisation('scheduler'):.0%}"]
            rows.append(row)
    return table(
        "sources|cores of workers|all fresh after|CPU s a run|scheduler busy|with preload, after|CPU s|scheduler", rows
    )


def month_table() -> str:
    rows = []
    for one in SIZES:
        c, came, found = one.cluster, night(one), FOOTPRINT["kinds"][one.kind]
        spent_h = (came.pools["worker"].busy_s + NIGHT_S * 0.1 * 4) / 3600 * NIGHTS  # access sync keeps a worker by day
        workers = (spent_h + 8 * MONTH_H) * PRICES["vcpu_hour"]  # eight cores of Airflow's roles
        if c.card == "none":
            embedders = 4 * MONTH_H * PRICES["vcpu_hour"]
        else:
            busy_h = max(came.pools["embedder"].busy_s / 3600, 0.5) * NIGHTS
            embedders = busy_h * PRICES["card_hour"] + 4 * MONTH_H * PRICES["vcpu_hour"]  # searches stay on a CPU
        extra = max(0, one.node_gib - 2 * c.index_cores) * PRICES["gib_hour"]
        index = c.index_nodes * MONTH_H * (c.index_cores * PRICES["vcpu_hour"] + extra)
        index += one.chunks * found["disk"] * REPLICAS / GIB * PRICES["ssd_gib_month"]
        servers, cores = max(1, one.chunks // LEDGER_CHUNKS), 2 if one.chunks < LEDGER_CHUNKS else 8
        ledger = 2 * servers * cores * MONTH_H * PRICES["vcpu_hour"]
        ledger += 2 * one.chunks * found["ledger"] / GIB * PRICES["ssd_gib_month"]  # each with a standby
        s3 = one.chunks * found["staging"] / GIB * PRICES["s3_gib_month"]
        parts = [workers, embedders, index, ledger, s3]
        rows.append(
            [
                one.title,
                *(f"{p:,.0f}" for p in parts),
                f"**{sum(parts):,.0f}**",
                f"{sum(parts) / one.chunks * 1e6:,.2f}",
            ]
        )
    return table("chunks|Airflow and workers|embedders|Weaviate|ledger|S3|a month|a million chunks", rows)


def prices_table() -> str:
    rows = [[one["unit"], f"{one['value']:g}"] for one in MEASURED["prices"].values()]
    return table(f"{MEASURED['prices_of']}|", rows)


def arithmetic() -> str:
    """The core-hours of a first load, for whoever wants to follow by hand."""
    n = SIZES[1]
    mean = (1 - PDF) * prepare_ms("text") + PDF * prepare_ms("pdf")
    per_shard = n.chunks / 2 / n.cluster.shards
    lines = [
        f"- prepare, text: {COSTS['all_ms']:g} - {COSTS['write_ms']:g} - {COSTS['gate_ms']:g} = {prepare_ms('text'):.2f} ms a chunk; "
        f"PDF: + {COSTS['pdf_page_ms']:g} / {COSTS['pdf_page_chunks']:g} = {prepare_ms('pdf'):.1f} ms. "
        f"With {PDF:.0%} of PDFs {mean:.1f} ms, so {n.title}: {n.chunks * mean / 3.6e6:,.0f} core hours.",
        f"- embed: {COSTS['chunk_tokens']:g} / {COSTS['gpu_tokens']:,.0f} = {embed_s('minilm') * 1e6:.0f} µs a chunk by MiniLM, so "
        f"{n.chunks * embed_s('minilm') / 3600:,.1f} hours of one card; by bge-large {n.chunks * embed_s('bge-large') / 3600:,.1f}.",
        f"- index: {n.cluster.shards} shards hold {per_shard:,.0f} chunks each on average, {index_ms(per_shard):.1f} ms a chunk and replica, "
        f"so {n.chunks * index_ms(per_shard) * REPLICAS / 3.6e6:,.0f} core hours of Weaviate.",
        f"- one source alone: the load stage is one task, {COSTS['write_ms']:g} ms a chunk beside the index, so at most "
        f"{3.6e6 / COSTS['write_ms'] / 1e6:.1f} million chunks an hour, however many machines there are.",
    ]
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "costs": costs_table, "machines": machines_table, "index": index_table, "dimensions": dimensions_table,
    "store": store_table, "hours": hours_table, "growth": growth_table, "quiet": quiet_table, "month": month_table,
    "prices": prices_table, "arithmetic": arithmetic,
}  # fmt: skip


def written(page: str) -> str:
    """The page with each table between its marks."""

    def replaced(found: re.Match[str]) -> str:
        return f"<!-- scale: {found[1]} -->\n\n{TABLES[found[1]]()}\n\n<!-- end -->"

    return re.sub(r"<!-- scale: (\w+) -->\n.*?<!-- end -->", replaced, page, flags=re.DOTALL)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="write docs/scale.md")
    if options.parse_args().write:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
        sys.exit(f"{PAGE} is written")
    for name, made in TABLES.items():
        print(f"\n{name}\n\n{made()}", flush=True)


if __name__ == "__main__":
    main()
