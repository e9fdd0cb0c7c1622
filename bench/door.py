"""What the door costs over the library: the same questions by Retriever.search and through HTTP and MCP, in turns.

    .venv/bin/python -m bench.door [--questions 300]

A Weaviate and a ledger of its own with 5,000 made-up documents, real access rules and made vectors, so that no model is
in the figures. The door is a process of its own, on loopback. Each question is asked every way before the next, so what
else the machine does meets all alike.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np

from bench.results import put, ran_on
from moat.client import Bearer, Client
from moat.door.serve import door_of
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.settings import PROJECT, Settings
from tests.issuer import Issuer
from tests.proofs.access.harness import place, retriever, settle
from tests.proofs.access.organisation import organisation

TITLE = "door: HTTP and MCP over the library"
WARM = 20  # questions before the first that counts


def serve(settings: Settings) -> None:
    """Run the door, in a process of its own."""
    import uvicorn

    app: Any = door_of(settings, retriever(settings))
    uvicorn.run(app, host="127.0.0.1", port=settings.door_port, log_level="warning", proxy_headers=False)


def measured(n: int) -> dict[str, list[float]]:
    """Seconds of each question, by way."""
    org = organisation(4)
    people = [
        one[0] for one in org.askers if len(one) == 1 and one[0].startswith("user:") and org.oracle.stands_for(*one)
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moat-bench-")))
        keys, ports = servers.WeaviateKeys.new(), servers.free_ports(3)
        binary = program(WEAVIATE, PROJECT / ".moat" / "bin", print)
        stack.enter_context(servers.running(servers.weaviate(binary, folder / "weaviate", *ports[:2], keys)))
        server = Settings.model_validate(
            {
                "weaviate_port": ports[0],
                "weaviate_grpc_port": ports[1],
                "weaviate_operator_key": keys.operator,
                "weaviate_writer_key": keys.writer,
                "weaviate_reader_key": keys.reader,
            }
        )
        issuer = Issuer(folder)
        settings = issuer.trusted(stack.enter_context(place(server, folder / "home")))
        settings = settings.model_copy(update={"door_port": ports[2], "door_rate_per_minute": 1e6})
        settle(settings, org)
        door = multiprocessing.get_context("spawn").Process(target=serve, args=(settings,), daemon=True)
        door.start()
        stack.callback(door.join)
        stack.callback(door.terminate)
        url = f"http://127.0.0.1:{settings.door_port}"
        http = stack.enter_context(httpx.Client(base_url=url, timeout=60))
        _until_healthy(http)
        library, client = stack.enter_context(retriever(settings)), stack.enter_context(Client(url, timeout_s=60))

        def by_mcp(question: str, token: str) -> int:
            params = {"name": "search", "arguments": {"question": question, "limit": 10}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {token}"}
            return len(http.post("/mcp", json=body, headers=headers).json()["result"]["structuredContent"]["hits"])

        took: dict[str, list[float]] = {"library": [], "door, HTTP": [], "door, MCP": []}
        random = Random(4)
        for at in range(n + WARM):
            who, question = random.choice(people), " ".join(random.sample(org.vocabulary, 2))
            token = issuer.token(who.removeprefix("user:"))
            ways: list[tuple[str, Callable[[], int]]] = [
                ("library", lambda: len(library.search(question, Bearer(token)))),  # noqa: B023  called here
                ("door, HTTP", lambda: len(client.search(question, Bearer(token)))),  # noqa: B023
                ("door, MCP", lambda: by_mcp(question, token)),  # noqa: B023
            ]
            random.shuffle(ways)
            found = set()
            for way, ask in ways:
                began = time.perf_counter()
                found.add(ask())
                if at >= WARM:
                    took[way].append(time.perf_counter() - began)
            assert len(found) == 1, "every way finds as much"
        return took


def _until_healthy(http: httpx.Client) -> None:
    for _ in range(600):
        try:
            if http.get("/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the door did not start within a minute")


def report(took: dict[str, list[float]], load: float) -> str:
    """The section of RESULTS.md."""
    base = np.array(took["library"])
    rows = []
    for way, seconds in took.items():
        ms, over = 1000 * np.array(seconds), 1000 * (np.array(seconds) - base)
        added = "" if way == "library" else f"{np.median(over):.1f}"
        p95 = "" if way == "library" else f"{np.percentile(ms, 95) - np.percentile(1000 * base, 95):.1f}"
        rows.append(f"| {way} | {np.median(ms):.1f} | {np.percentile(ms, 95):.1f} | {added} | {p95} |")
    return f"""
Hybrid search for ten hits, {len(base):,} questions of people drawn at random, each by a JWT; made vectors, so no model is in the figures. The door is a process of its own on loopback; all ways take turns within each question.

| way | p50, ms | p95, ms | more than the library, median of the pairs, ms | p95 beyond its p95, ms |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

An MCP message is looked at twice: whether its token stands for anybody, then the question. Load of the machine meanwhile: {load:.1f} on {os.cpu_count()} cores.

{ran_on("fastapi", "uvicorn", "mcp", "weaviate-client")} By `python -m bench.door`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=300)
    took = measured(parser.parse_args().questions)
    put(TITLE, report(took, os.getloadavg()[0]))
    print(report(took, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
