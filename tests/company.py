"""A small company whose documents go the whole way on real servers."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from moat.checks import FAMILIES
from moat.embedding.client import model_of
from moat.index.collections import Collections
from moat.index.connected import Role
from moat.index.store import Store, WeaviateStore
from moat.ledger import Ledger, add
from moat.ledger.id_secret import id_secret
from moat.ledger.members import replace_members
from moat.maintenance.reconcile import Pending
from moat.retrieve import Retriever, SearchResult
from moat.runtime import Options, Progress, Runtime
from moat.settings import Settings
from moat.source import AccessFiles, Limits, LocalFiles, Source
from moat.stages.compare import next_runs
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.prepare import prepare
from moat.stages.read import read
from moat.stages.run import RunResult, run
from moat.staging import Staging
from tests.fresh_ledger import migrated

ANN, HUGO = "user:ann@example.com", "user:hugo@example.com"  # everyone; people team
LEAVE = "# Leave\n\nParental leave lasts twenty weeks.\n\n## Sick days\n\nCall before nine in the morning.\n"
PAY = "# Pay\n\nA crane driver earns four thousand a month.\n"
TRIPS = "# Trips\n\nTake the train for journeys under five hours.\n"


def keyed(runtime: Runtime, secret: str = "of the tests") -> None:
    """Give a ledger that has no load yet this secret, so that equal texts have equal ids in two ledgers."""
    with runtime.ledger.write() as connection:
        add(connection, id_secret, [{"tenant": runtime.settings.tenant, "value": secret}])


class Company:
    """Files in a folder: the root is everyone's, `people/` the people team's."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime, self.folder = runtime, folder
        self.source = self.declared()
        groups = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO]}
        replace_members(runtime.ledger, "test", groups, "test")
        self.write(".access.yaml", "allow: [group:everyone]")
        self.write("people/.access.yaml", "allow: [group:people]")
        for name, text in {"leave.md": LEAVE, "trips.md": TRIPS, "people/pay.md": PAY}.items():
            self.write(name, text)

    def declared(self, **changed: Any) -> Source:
        reader = LocalFiles(path=str(self.folder))
        limits = Limits(max_vanished_ratio=0.9, max_failed_ratio=1.0)
        return Source(**{"name": "docs", "reader": reader, "access": AccessFiles(), "limits": limits, **changed})

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def set(self, **changed: Any) -> None:
        """Other settings from now on."""
        object.__setattr__(self.runtime, "settings", self.runtime.settings.model_copy(update=changed))

    def run(self, source: Source | None = None, **options: Any) -> RunResult:
        return run(self.runtime, source or self.source, Options(**options), "test")

    def to_the_gate(self, run: str = "test", **options: Any) -> int:
        """A load with everything in staging, nothing checked; its number."""
        found = read(self.runtime, self.source, run, Options(**options))
        for batch in found.batches:
            prepare(self.runtime, self.source, found.load, batch.number)
            embed(self.runtime, self.source, found.load, batch.number)
        return found.load

    def to_the_load(self, run: str = "test") -> int:
        """A load that passed the gate, nothing of it in the index; its number."""
        number = self.to_the_gate(run)
        for family in FAMILIES:
            check(self.runtime, self.source, number, family.name)
        assert decide(self.runtime, self.source, number).outcome == "pass"
        return number

    def model(self) -> str:
        """The key of the embedder's model."""
        return model_of(self.runtime.settings, self.runtime.connections)

    def pending(self) -> Mapping[str, Pending]:
        """What its next run would do, for `reconcile` to ask."""
        return next_runs(self.runtime, {self.source.name: self.source})

    def index(self) -> WeaviateStore:
        return WeaviateStore.open(self.runtime.settings, "writer")

    def search(self, question: str, asker: str | None, **given: Any) -> SearchResult:
        with Retriever.from_settings(self.runtime.settings, self.runtime.connections) as retriever:
            return retriever.search(question, asker, **given)

    def keys(self, question: str, asker: str | None, **given: Any) -> list[str]:
        """Document keys of the hits, the best first, each once."""
        return list(dict.fromkeys(hit.document_key for hit in self.search(question, asker, **given)))

    def shows_pay_to(self, asker: str) -> bool:
        """Whether somebody finds what only the people team may read."""
        return "people/pay.md" in self.keys("What does a crane driver earn?", asker)


def stored(index: Store) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Everything in the index: text hash and access tokens by id."""
    return {o.id: (o.text_hash, o.allow) for o in index.every()}


@contextmanager
def collection_of_its_own(server: Settings, embedder_port: int, home: Path) -> Iterator[Settings]:
    """Settings of a fresh state folder, with a collection on the real servers that goes in the end."""
    changed = {"home": home, "embedder_port": embedder_port, "collection": f"T{uuid.uuid4().hex}"}
    made = server.model_copy(update=changed)
    yield made
    remove_collection(made)


def remove_collection(settings: Settings) -> None:
    """Remove a collection and its two roles: with each role that is left, Weaviate takes longer to grant the next."""
    collections = Collections.open(settings)
    for name in {collections.live() or "", *collections.others(), settings.collection_name} - {""}:
        collections.drop(name)
    collections._client.alias.delete(alias_name=settings.collection_name)
    collections.close()


def open_runtime(settings: Settings, progress: Progress = lambda line: None) -> Runtime:
    """The way of some settings, its ledger migrated, Airflow's connections at hand."""
    from moat_connections import AirflowConnections

    migrated(settings.ledger, settings.tenant).close()
    return Runtime(
        settings=settings,
        ledger=Ledger.open(settings),
        staging=Staging(settings.staging),
        connections=AirflowConnections(),
        progress=progress,
    )


def environment_of(settings: Settings, *roles: Role) -> dict[str, str]:
    """The settings of the real servers as a process's environment has them, with the keys of these roles, or of all."""
    names = ("home", "collection", "embedder_port", "weaviate_port", "weaviate_grpc_port")
    keys = {f"weaviate_{role}_key": getattr(settings, f"weaviate_{role}_key") for role in roles or get_args(Role)}
    given = {name: str(getattr(settings, name)) for name in names}
    given |= {name: key.get_secret_value() for name, key in keys.items()}
    return {f"MOAT_{name.upper()}": value for name, value in given.items()}
