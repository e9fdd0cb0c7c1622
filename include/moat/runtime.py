"""The runtime of a stage, the options of a run, and paths in staging."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from moat.connections import Connections
from moat.ledger import Ledger, reader_states, spending
from moat.ledger.former_names import document_ids
from moat.ledger.loads import Load, get
from moat.ledger.resume import told_if_overtaken
from moat.readers.reader import Reading
from moat.records import Batch
from moat.settings import PROJECT, Settings
from moat.source import Source
from moat.tracing import counted, span
from moat.waiting import STAGE_S, told

if TYPE_CHECKING:
    from moat.staging import Staging

P = ParamSpec("P")
R = TypeVar("R")
Progress = Callable[[str], None]  # takes one line of progress


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one run, beside what its source declares."""

    full: bool = False  # read and prepare everything again, changed or not
    only: tuple[str, ...] = ()  # keys to compare and load; empty: the whole source
    limit: int | None = None  # maximum number of new and changed documents; the rest waits for the next run
    expected: str = ""  # reason of an expected change: learned bounds only warn, and nothing is learned

    @property
    def whole(self) -> bool:
        """Whether the run compares the whole source, so that unlisted documents count as vanished."""
        return not self.only


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings, ledger, staging and connections of one process.

    Attributes:
        settings: Settings of this process.
        ledger: The tenant's ledger.
        staging: Staging area, where records travel between stages.
        connections: Connections to the systems that documents come from.
        progress: Called with each line of progress; the default prints it.

    Example:
        Run a source without Airflow:

            runtime = Runtime.open(EnvironmentConnections())
            try:
                print(run(runtime, source, Options(limit=20), by="me").passed)
            finally:
                runtime.close()
    """

    settings: Settings
    ledger: Ledger
    staging: "Staging"
    connections: Connections
    progress: Progress = field(default=print)

    @classmethod
    def open(cls, connections: Connections, progress: Progress = print) -> "Runtime":
        """Open a runtime on the settings of this process.

        Args:
            connections: Source of connections: Airflow's in a task, otherwise those of the environment.
            progress: Called with each line of progress.

        Returns:
            A runtime that the caller closes.

        Raises:
            SettingsError: A setting is missing or wrong.
            LedgerError: The ledger is not at the revision of this version.
            LedgerUnavailable: The ledger's database did not answer.
        """
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
        """Duration of a load's lease, in seconds."""
        return self.settings.lease_minutes * 60

    def reading(self, source: Source, stateful: bool = False) -> Reading:
        """Return what a source's reader is opened with.

        Args:
            source: The declared source.
            stateful: Whether the reader gets what it kept in the newest promoted load. Loads do so; access sync and
                whoever only looks read the whole source.

        Returns:
            The source's access rule and directory, with connections, project folder and size limit.
        """
        most = self.settings.max_document_mb << 20
        return Reading(
            source=source.name,
            rule=source.access,
            connections=self.connections,
            project=PROJECT,
            progress=self.progress,
            max_bytes=most,
            directory=source.directory,
            state=reader_states.newest(self.ledger, source.name) if stateful else "",
            listed_before=partial(reader_states.listed_before, self.ledger, source.name),
        )

    def load(self, number: int) -> Load:
        """Return a load of the ledger.

        Args:
            number: Number of the load.

        Returns:
            The load as the ledger has it now.

        Raises:
            LoadRefused: There is no load of this number.
        """
        return get(self.ledger, number)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()


def staging_of(settings: Settings, connections: Connections) -> "Staging":
    """Open the staging area of the settings."""
    return staging_at(settings.staging, settings.staging_conn_id, connections)


def staging_at(uri: str, conn_id: str, connections: Connections) -> "Staging":
    """Open an area for files: a folder, or s3:// with its keys and endpoint from a connection."""
    from moat.staging import Staging  # pyarrow: a quarter of a second, for who writes or reads files

    if not uri.startswith("s3://") or not conn_id:
        return Staging(uri)
    from pyarrow.fs import S3FileSystem

    found = connections.get(conn_id)
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
    """Path of a stage's file in staging."""
    return f"{source}/{load}/{stage}/{name}"


def batch_path(source: str, load: int, stage: str, batch: int) -> str:
    """Path of one batch's records in staging."""
    return path(source, load, stage, f"{batch:04}.parquet")


def raw_path(runtime: Runtime, source: str, key: str) -> str:
    """Path of a quarantined document's bytes in staging."""
    return f"{source}/quarantine/{document_ids(runtime.ledger, source, [key])[0]}"


def timed(stage: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a stage to record its seconds in its load and to trace it.

    Seconds are recorded whether the stage succeeds or not, and by batch where it has batches. The stage must
    name its parameters `runtime` and `number` (of the load), and `batch` if it has one.
    """

    def of(work: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(work)

        @wraps(work)
        def counting(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = parameters.bind(*args, **kwargs)
            given = bound.arguments
            runtime: Runtime = given["runtime"]
            load = runtime.load(given["number"])  # raises LoadRefused where there is none
            with (
                spending.timed(runtime.ledger, load.id, stage, given.get("batch", 0)),
                span(stage, load.source, load.id, given.get("batch")) as traced,
                told(runtime.progress, f"{load.source}: {stage} of load {load.id} goes on", STAGE_S) as heard,
                told_if_overtaken(runtime.ledger, load),
            ):
                given["runtime"] = replace(runtime, progress=heard or runtime.progress)
                made = work(*bound.args, **bound.kwargs)
                counted(traced, made)
                return made

        return counting

    return of


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Result of `read`: the load, its batches in staging, and its counts."""

    load: int
    batches: tuple[Batch, ...]
    counts: Mapping[str, int]
    unchanged: bool  # nothing to load: the load has ended

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dict of plain values."""
        return asdict(self)


def nobodys(counts: Mapping[str, int]) -> bool:
    """Whether nothing is visible yet and access is unknown for every listed document."""
    return not counts.get("visible", 0) and 0 < counts.get("listed", 0) == counts.get("unknown", 0)
