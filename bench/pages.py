"""What the pages cost at scale: p95 of each route, over a ledger of many sources.

    .venv/bin/python -m bench.pages [--sources 1000] [--documents 100000] [--chunks 1000000] [--loads 30] [--times 40]
                                    [--url postgresql+psycopg2://…]

The ledger is made in a folder that goes in the end, or in the empty database of --url. Routes are asked in this process, as
somebody who may do everything: what Airflow's own checks and the network take comes on top. A load's page of a source
with a learned history is among them. The first answer of the page of sources reads every history and is given apart.
"""

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median, quantiles
from typing import Any

import httpx
from sqlalchemy import insert

from bench.results import put, ran_on
from moat.access.policy import Policy
from moat.batching import windows
from moat.connections import EnvironmentConnections
from moat.ledger import Ledger
from moat.ledger.policies import keep
from moat.ledger.tables import chunk, document, incident, load, measure, presence, quarantine, revision, source, spent
from moat.pages.app import build
from moat.pages.person import Person

KINDS = ("text/markdown", "application/pdf", "text/html")
ROWS = 5_000  # written at a time


def fill(ledger: Ledger, n_sources: int, n_documents: int, n_chunks: int, n_loads: int) -> None:
    """Sources with a load a day, the newest held in one of fifty; documents spread over them, all added in the first."""
    random, tenant, now = Random(17), ledger.tenant, datetime.now(UTC)
    names = [f"source-{n:04}" for n in range(n_sources)]
    with ledger.write() as connection:
        policies = [Policy.of([f"group:g{n}"]) for n in range(200)] + [Policy.of([], public=True)]
        digests = list(keep(connection, tenant, set(policies)).values())

    def write(table: Any, rows: Iterator[dict[str, Any]]) -> None:
        for window in windows(rows, ROWS):
            with ledger.write() as connection:
                connection.execute(insert(table), list(window))

    write(source, ({"tenant": tenant, "name": name, "fence": n_loads, "access_seq": 0} for name in names))
    loads = [
        {
            "id": 1 + s * n_loads + n,
            "tenant": tenant,
            "source": names[s],
            "state": "held" if n == n_loads - 1 and s % 50 == 0 else "promoted",
            "fence": n + 1,
            "run": f"airflow:{names[s]}:run-{n}",
            "options": {},
            "counts": {"listed": 100 + n, "changed": 3, "unchanged": 97 + n},
            "opened_at": now - timedelta(days=n_loads - n),
            "ended_at": now - timedelta(days=n_loads - n) + timedelta(minutes=9),
        }
        for s in range(n_sources)
        for n in range(n_loads)
    ]
    write(load, iter(loads))
    ids = [uuid.UUID(int=random.getrandbits(128), version=4) for _ in range(n_documents)]
    first = [1 + (n % n_sources) * n_loads for n in range(n_documents)]
    whole = {"tenant": tenant, "access_version": 1, "access_seen": 0, "first_seen": now}
    write(
        document,
        (
            {
                **whole,
                "id": str(ids[n]),
                "source": names[n % n_sources],
                "key": f"folder/{n:06}.md",
                "policy": random.choice(digests),
            }
            for n in range(n_documents)
        ),
    )
    made = {
        "uri": "u",
        "fingerprint": "f",
        "content_hash": "c",
        "recipe": "r",
        "metadata": [],
        "n_pages": 0,
        "language": "en",
    }
    each = n_chunks // n_documents
    write(
        revision,
        (
            {
                **made,
                "document_id": str(ids[n]),
                "added_in": first[n],
                "title": f"Title {n}",
                "media_type": KINDS[n % 3],
                "n_chunks": each,
            }
            for n in range(n_documents)
        ),
    )
    text = {
        "text": "A passage of some words. " * 8,
        "heading": "A › B",
        "kind": "text",
        "n_tokens": 50,
        "text_hash": "h",
    }
    chunks = [
        (str(uuid.UUID(int=random.getrandbits(128), version=4)), n) for n in range(n_documents) for _ in range(each)
    ]
    write(chunk, ({**text, "id": c, "document_id": str(ids[n])} for c, n in chunks))
    write(presence, ({"chunk_id": c, "added_in": first[n], "position": at % each} for at, (c, n) in enumerate(chunks)))
    write(
        measure,
        (
            {"load_id": one["id"], "name": name, "family": "volume", "value": 100.0 + random.gauss(0, 3)}
            for one in loads
            for name in ("volume.listed", "volume.changed", "chunks.each", "parsing.characters", "access.readers")
        ),
    )
    write(spent, ({"load_id": one["id"], "stage": "embed", "part": 0, "seconds": 2.0, "tokens": 900} for one in loads))
    aside = {
        "tenant": tenant,
        "uri": "u",
        "stage": "parse",
        "error": "ParseFailed",
        "reason": "damaged",
        "fingerprint": "f",
    }
    aside |= {"recipe": "r", "attempts": 1, "state": "set aside", "first_at": now, "last_at": now}
    write(
        quarantine,
        ({**aside, "source": names[n], "key": f"k{n}", "load_id": 1 + n * n_loads} for n in range(0, n_sources, 2)),
    )
    bad = {
        "tenant": tenant,
        "stage": "gate",
        "state": "open",
        "severity": "hold",
        "title": "t",
        "detail": {},
        "run": "r",
    }
    write(
        incident, ({**bad, "source": names[n], "happened_at": now, "opened_at": now} for n in range(0, n_sources, 10))
    )


def routes(n_loads: int) -> dict[str, str]:
    return {
        "sources": "/api/sources",
        "load": f"/api/loads/{n_loads}",
        "documents of a load": "/api/loads/1/documents?kind=new",
        "document": "/api/document?source=source-0007&key=folder/000007.md",
        "text of a document": "/api/document/text?source=source-0007&key=folder/000007.md",
        "documents by words": "/api/documents?words=folder/0999",
        "quarantine": "/api/quarantine",
        "incidents": "/api/incidents",
        "access": "/api/access",
    }


async def asked(paths: dict[str, str], times: int) -> dict[str, list[float]]:
    app = build(lambda: Person("airflow:bench", lambda right, of: True), lambda: EnvironmentConnections({}))
    found: dict[str, list[float]] = {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=600) as client:
        for name, path in paths.items():
            found[name] = []
            for _ in range(times + 1):
                began = time.perf_counter()
                answer = await client.get(path)
                found[name].append(time.perf_counter() - began)
                assert answer.status_code == 200, (name, answer.text[:500])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (
        ("sources", 1_000),
        ("documents", 100_000),
        ("chunks", 1_000_000),
        ("loads", 30),
        ("times", 40),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--url", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moat-bench-") as home:
        os.environ["MOAT_HOME"] = home
        os.environ["MOAT_LEDGER_URL"] = given.url or f"sqlite:///{home}/ledger.db"
        ledger = Ledger(os.environ["MOAT_LEDGER_URL"], "default")
        ledger.migrate()
        fill(ledger, given.sources, given.documents, given.chunks, given.loads)
        found = asyncio.run(asked(routes(given.loads), given.times))
        ran = ran_on("fastapi", "sqlalchemy")
        lines = [
            f"{ledger.engine.dialect.name}: {given.sources:,} sources, {given.documents:,} documents, {given.chunks:,} chunks, "
            f"{given.sources * given.loads:,} loads; {ran}",
            "",
            "| route | first, ms | median, ms | p95, ms |",
            "| --- | ---: | ---: | ---: |",
        ]
        for name, (first, *rest) in found.items():
            p95 = quantiles(rest, n=20)[-1]
            lines.append(f"| {name} | {1000 * first:,.0f} | {1000 * median(rest):,.0f} | {1000 * p95:,.0f} |")
        ledger.close()
    print("\n".join(lines))
    if given.sources >= 1_000:
        put(f"Pages of Airflow's UI, {ledger.engine.dialect.name}", "\n".join(lines))


if __name__ == "__main__":
    main()
