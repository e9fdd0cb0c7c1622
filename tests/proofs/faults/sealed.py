"""A whole run of a source in a process that `confined.confine` moved to where no packet can leave the machine.

It starts Weaviate and the embedder there, loads documents, searches, and prints what came of it, with the number of
packets and connections for which the kernel found no route. Importing this starts threads, so that comes after the move.
"""

import json
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import get_args

from moat.connections import EnvironmentConnections
from moat.index.connected import Role
from moat.ledger import Ledger
from moat.ledger.members import replace_members
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.retrieve import Retriever
from moat.runtime import Options, Runtime
from moat.settings import Settings
from moat.source import LocalFiles
from moat.stages.run import run
from moat.staging import Staging
from tests.proofs.faults import corpus
from tests.proofs.faults.world import BINARIES

FAR = ("192.0.2.1", 443)  # of the addresses for documentation


def unrouted() -> int:
    """Connections and packets of this namespace that no route was found for, of both kinds of IP."""
    names, values = (
        line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    )
    six = dict(line.split() for line in Path("/proc/self/net/snmp6").read_text().splitlines())
    return int(values[names.index("OutNoRoutes")]) + int(six["Ip6OutNoRoutes"])


def main(folder: Path) -> None:
    """Run in a folder."""
    docs = folder / "docs"
    for key, content in corpus.BEFORE.items():
        (docs / key).parent.mkdir(parents=True, exist_ok=True)
        (docs / key).write_bytes(content)
    (port, grpc_port, embedder_port), keys = servers.free_ports(3), servers.WeaviateKeys.new()
    given = {
        "home": folder / "home",
        "weaviate_port": port,
        "weaviate_grpc_port": grpc_port,
        "embedder_port": embedder_port,
        **{f"weaviate_{role}_key": getattr(keys, role) for role in get_args(Role)},
    }
    settings = Settings.model_validate(given)
    env = {"MOAT_HOME": str(settings.home), "MOAT_EMBEDDER_PORT": str(embedder_port)}
    with servers.running(
        servers.weaviate(program(WEAVIATE, BINARIES, lambda _: None), folder / "weaviate", port, grpc_port, keys),
        servers.embedder(settings, Path(sys.executable), env),
    ):
        ledger, connections = Ledger(settings.ledger, settings.tenant), EnvironmentConnections({})
        ledger.migrate()
        replace_members(ledger, "test", corpus.GROUPS, "test")
        runtime = Runtime(
            settings=settings,
            ledger=ledger,
            staging=Staging(settings.staging),
            connections=connections,
            progress=lambda _: None,
        )
        loaded = run(runtime, corpus.source(LocalFiles(path=str(docs))), Options(), "test").load
        with Retriever.from_settings(settings, connections) as retriever:
            hits = len(retriever.search(corpus.QUESTIONS[0], corpus.ANN))
        runtime.close()
        tried = unrouted()
        with suppress(OSError):
            socket.create_connection(FAR, 5.0).close()
        print(json.dumps({"state": loaded.state, "hits": hits, "tried": tried, "control": unrouted() - tried}))
