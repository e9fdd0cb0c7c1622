"""What every stage of the way works with, and what a run may ask for."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from moat.connections import Connections
from moat.ids import document_id
from moat.ledger import Ledger, spending
from moat.ledger.loads import Load, get
from moat.readers.reader import Reading
from moat.records import Batch
from moat.settings import PROJECT, Settings
from moat.source import Source
from moat.staging import Staging
from moat.tracing import counted, span

P = ParamSpec("P")
R = TypeVar("R")
Progress = Callable[[str], None]  # a line for the person who watches


@dataclass(frozen=True, slots=True)
class Options:
    """What one run asks for, beside what its source declares."""

    full: bool = False  # read and prepare everything again, changed or not
    only: tuple[str, ...] = ()  # these keys and no others
    limit: int | None = None  # new and changed documents at the most; the rest waits for the next run
    expected: str = ""  # why this run is out of the ordinary: learned bounds only warn, and nothing is learned from it

    @property
    def whole(self) -> bool:
        """Whether the run compares the whole source, so that what is not listed has vanished."""
        return not self.only


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's doors to settings, ledger, staging and connections."""

    settings: Settings
    ledger: Ledger
    staging: Staging
    connections: Connections
    progress: Progress = field(default=print)

    @classmethod
    def open(cls, connections: Connections, progress: Progress = print) -> "Runtime":
        """The way of this process's settings. Raises SettingsError, LedgerError with the way out."""
        settings = Settings.load()
        return cls(
            settings=settings,
            ledger=Ledger.open(settings),
            staging=staging_of(settings, connections),
            connections=connections,
            progress=progress,
        )

    @property
    def lease_s(self) -> float:
        return self.settings.lease_minutes * 60

    def reading(self, source: Source) -> Reading:
        """What the source's reader is opened with."""
        most = self.settings.max_document_mb << 20
        return Reading(
            source=source.name,
            rule=source.access,
            connections=self.connections,
            project=PROJECT,
            max_bytes=most,
            directory=source.directory,
        )

    def load(self, number: int) -> Load:
        return get(self.ledger, number)

    def close(self) -> None:
        self.ledger.close()


def staging_of(settings: Settings, connections: Connections) -> Staging:
    """The staging area of the settings; an s3:// one with keys and endpoint from its connection."""
    uri = settings.staging
    if not uri.startswith("s3://") or not settings.staging_conn_id:
        return Staging(uri)
    from pyarrow.fs import S3FileSystem

    found = connections.get(settings.staging_conn_id)
    endpoint = str(found.extra.get("endpoint_url") or "")
    return Staging(
        uri,
        S3FileSystem(
            access_key=found.login or None,
            secret_key=found.password or None,
            region=str(found.extra.get("region_name", "us-east-1")),
            endpoint_override=endpoint.partition("://")[2] or None,
            scheme=endpoint.partition("://")[0] or "https",
        ),
    )


def path(source: str, load: int, stage: str, name: str) -> str:
    """Where a stage of a load puts a file in staging."""
    return f"{source}/{load}/{stage}/{name}"


def batch_path(source: str, load: int, stage: str, batch: int) -> str:
    """Where a stage of a load puts the records of one batch in staging."""
    return path(source, load, stage, f"{batch:04}.parquet")


def raw_path(runtime: Runtime, source: str, key: str) -> str:
    """Where the bytes of a quarantined document stand in staging."""
    return f"{source}/quarantine/{document_id(runtime.settings.tenant, source, key)}"


def timed(stage: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Count the seconds of a stage into its load, by batch where it has batches, whether it succeeds or not.

    For a function of (way, source, number, …), whoever calls it: a task of Airflow, or `moat run`.
    """

    def of(work: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(work)

        @wraps(work)
        def counting(*args: P.args, **kwargs: P.kwargs) -> R:
            given = parameters.bind(*args, **kwargs).arguments
            load = given["runtime"].load(given["number"])  # raises LoadRefused where there is none
            with (
                spending.timed(given["runtime"].ledger, load.id, stage, given.get("batch", 0)),
                span(stage, load.source, load.id, given.get("batch")) as traced,
            ):
                made = work(*args, **kwargs)
                counted(traced, made)
                return made

        return counting

    return of


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What `read` found, and the batches that it staged."""

    load: int
    batches: tuple[Batch, ...]
    counts: Mapping[str, int]
    unchanged: bool  # nothing to do: the load has ended

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def nobodys(counts: Mapping[str, int]) -> bool:
    """Whether nothing of a source is visible yet, and of no listed document it is known who may read it."""
    return not counts.get("visible", 0) and 0 < counts.get("listed", 0) == counts.get("unknown", 0)
