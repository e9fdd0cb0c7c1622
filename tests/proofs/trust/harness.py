"""A company under Moat: its nights the whole way on real servers, and one defect at a time on the night after."""

import datetime
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import time_machine
import yaml

from moat.checks import FAMILIES
from moat.incidents.freshness import stale
from moat.incidents.lifecycle import late, task_failed
from moat.ledger import incidents, loads
from moat.ledger.members import replace_members
from moat.readers.reader import Reading
from moat.runtime import Options, Runtime
from moat.settings import Settings
from moat.source import AccessFiles, Columns, Golden, Limits, LocalFiles, Risks, Source, WarehouseRows
from moat.stages.budget import judge
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.load import load
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from moat.stages.read import read
from tests.company import open_runtime
from tests.proofs.trust.company import Company, Size
from tests.proofs.trust.defect import Defect, World
from tests.proofs.trust.endpoint import Endpoint, mailbox, serving
from tests.proofs.trust.folders import folder_kept

Outcome = Literal["unchanged", "passed", "warned", "held", "blocked"]
HOURS = {"papers": 4, "cases": 5}  # of the night, UTC
ROW = (
    "# {subject}\n\n{body}\n\nOpened {opened}, due {due}. Amount {amount} {currency}, priority {priority}, by {author}."
)
FIRST_GOLDEN = 12


@dataclass(frozen=True)
class Night:
    """What a night came to for one source."""

    source: str
    day: int
    outcome: Outcome
    failed: tuple[tuple[str, str, str], ...] = ()  # name, severity, seen
    error: str = ""
    number: int = 0

    @property
    def flagged(self) -> bool:
        return self.outcome in ("warned", "held", "blocked")

    @property
    def stopped(self) -> bool:
        return self.outcome in ("held", "blocked")


@dataclass(frozen=True)
class Found:
    """What became of one defect."""

    defect: str
    strength: int
    night: Night
    causes: tuple[str, ...]  # of its incident, the likeliest first
    n_incidents: int
    n_messages: int


class Rows(WarehouseRows):
    """Rows whose query stands in the company's own project folder."""

    def open(self, reading: Reading) -> Any:
        return super().open(replace(reading, project=Path(os.environ["TRUST_PROJECT"])))


class Simulation:
    """One company, its sources as Moat has them declared, and the calendar."""

    def __init__(self, settings: Settings, company: Company, endpoint: Endpoint, post: list[Any]) -> None:
        self.settings, self.company, self.endpoint, self.post = settings, company, endpoint, post
        self.runtime = open_runtime(settings, self._hear)
        self.lines: list[str] = []
        self.golden = tuple(sorted(company.papers)[:: max(1, len(company.papers) // FIRST_GOLDEN)][:FIRST_GOLDEN])
        company.kept.update(self.golden)
        papers = {key: f"{company.papers[key].title}: {company.papers[key].sentences[0]}" for key in self.golden}
        limits = Limits(min_documents=20, max_widened_documents=20, max_tokens=60_000)
        self.sources = {
            "papers": Source(
                name="papers",
                reader=LocalFiles(path=str(company.folder)),
                access=AccessFiles(),
                limits=limits,
                risks=Risks(personal="hold", secrets="hold", hidden="hold", injection="hold"),
                golden=Golden(str(self._questions("papers", papers)), k=5),
            ),
            "cases": Source(
                name="cases",
                reader=Rows(
                    conn_id="trust_warehouse", sql="cases.sql", key="id", text=ROW, metadata=("region", "currency")
                ),
                access=Columns(allow="team"),
                limits=limits,
                risks=Risks(personal="allow", secrets="hold", hidden="hold", injection="hold"),
                golden=Golden(str(self._questions("cases", company.questions_of_rows())), k=5),
            ),
        }
        everyone = [f"user:p{n}@example.com" for n in range(40)]
        teams = {
            f"group:{t}": everyone[i::5] for i, t in enumerate(["legal", "sales", "engineering", "finance", "support"])
        }
        with time_machine.travel(self._moment("papers", -1), tick=True):
            replace_members(self.runtime.ledger, "test", {"group:everyone": everyone, **teams}, "test")

    def _questions(self, name: str, asked: Mapping[str, str]) -> Path:
        """A file of golden questions, each with the one document that answers it."""
        file = self.company.home / f"{name}.yaml"
        file.write_text(yaml.safe_dump([{"question": q, "documents": [key]} for key, q in asked.items()]))
        return file

    def _hear(self, line: str) -> None:
        self.lines.append(line)

    def _moment(self, source: str, day: int) -> datetime.datetime:
        date = self.company.start + datetime.timedelta(days=day + 1)
        return datetime.datetime.combine(date, datetime.time(HOURS[source]), datetime.UTC)

    def live(self, days: int) -> list[Night]:
        """Clean days, each with its night: what passes is loaded and promoted, what is held is let through by a person."""
        nights = []
        for _ in range(days):
            self.company.next_day()
            for source in self.sources:
                night = self.night(source, self.company.announced(self.company.today))
                nights.append(night)
                self._finish(source, night)
            self.lines.clear()
        return nights

    def night(self, name: str, expected: str = "") -> Night:
        """One night of one source, up to the gate's verdict."""
        with time_machine.travel(self._moment(name, self.company.today), tick=True):
            return self._night(self.sources[name], Options(expected=expected))

    def _night(self, source: Source, options: Options) -> Night:
        day, number, step = self.company.today, 0, "read"
        run = f"cli:night {day}"
        try:
            plan = read(self.runtime, source, run, options)
            number = plan.load
            if plan.unchanged:
                if quiet := stale(self.runtime, source.name):
                    late(self.runtime, source.name, quiet)
                    return Night(source.name, day, "warned", (("freshness", "warn", quiet),))
                return Night(source.name, day, "unchanged", number=number)
            for step, work in self._steps(source, plan.load, [b.number for b in plan.batches]):  # noqa: B007  told below
                if work() == "stop":
                    reason = self.runtime.load(number).reason or ""
                    return Night(source.name, day, "held", (("budget", "hold", reason),), number=number)
            step = "decide"
            verdict = decide(self.runtime, source, plan.load)
        except Exception as error:  # noqa: BLE001  whatever a task raises, its failure is what Airflow tells
            self._task_failed(source, step, f"{type(error).__name__}: {error}", number, run)
            return Night(source.name, day, "blocked", (), f"{step}: {type(error).__name__}: {error}", number)
        failed = tuple((r.name, r.severity, r.seen) for r in verdict.failed)
        passed: Outcome = "warned" if failed else "passed"
        outcome: Outcome = {"hold": "held", "block": "blocked"}.get(verdict.outcome, passed)  # type: ignore[assignment]
        return Night(source.name, day, outcome, failed, number=number)

    def _steps(self, source: Source, number: int, batches: Sequence[int]) -> Iterator[tuple[str, Any]]:
        """The tasks of a load between read and decide, as its DAG has them."""

        def budget() -> str:
            judge(self.runtime, source, number)
            return "stop" if self.runtime.load(number).state == "held" else ""

        for batch in batches:
            yield "prepare", lambda batch=batch: prepare(self.runtime, source, number, batch)
        if source.limits.budget and batches:
            yield "budget", budget
        for batch in batches:
            yield "embed", lambda batch=batch: embed(self.runtime, source, number, batch)
        for family in FAMILIES:
            yield "gate", lambda family=family: check(self.runtime, source, number, family.name)

    def _task_failed(self, source: Source, step: str, error: str, number: int, run: str) -> None:
        task_failed(self.runtime, source.name, step, step, error, number or None, run)

    def _finish(self, name: str, night: Night) -> None:
        """Promote what a clean night brought; a false alarm is released, as the person on duty would."""
        if not night.number or night.outcome == "unchanged":
            return
        source = self.sources[name]
        assert night.outcome != "blocked", f"a clean night was blocked: {night}"
        with time_machine.travel(self._moment(name, self.company.today) + datetime.timedelta(minutes=20), tick=True):
            if night.outcome == "held":
                loads.release(self.runtime.ledger, night.number, "test", "it is as it should be")
            load(self.runtime, source, night.number)
            promote(self.runtime, source, night.number, "test")

    def keep(self, to: Path) -> "Kept":
        """Keep everything as it is, so that defects can be tried one after another."""
        return Kept(self, to)

    def try_out(self, defect: Defect, strength: int, kept: "Kept") -> Found:
        """One defect on the next night; then all is as before."""
        self.endpoint.mend()
        world = World(self.company, self.endpoint, self.golden)
        before = len(self.post)
        with ExitStack() as stack:
            stack.callback(kept.back)
            stack.callback(self.endpoint.mend)
            kept.settle()
            if not defect.still:
                self.company.next_day()
            defect.seed(world, strength, self.company.seed)
            for undo in world.undo:
                stack.callback(undo)
            night = self._quiet(defect.source, world) if defect.still else self._defective(defect.source, world)
            mine = [i for i in incidents.listing(self.runtime.ledger, defect.source) if i.id not in kept.incidents]
            causes = tuple(str(c["name"]) for c in (mine[0].detail.get("causes") or ())) if mine else ()
            return Found(defect.name, strength, night, causes, len(mine), len(self.post) - before)

    def _defective(self, name: str, world: World) -> Night:
        if world.fill_disk:
            number = max((one.id for one in loads.recent(self.runtime.ledger)), default=0) + 1
            draft = Path(f"{self.settings.staging}/{name}/{number}/read/plan.parquet.{os.getpid()}.draft")
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.symlink_to("/dev/full")  # a device on which no space is ever left
        return self.night(name)

    def _quiet(self, name: str, world: World) -> Night:
        """Nights in which nothing is new; such a load has nothing that could be held, so an incident is all there is."""
        for _ in range(world.quiet_nights):
            self.company.today += 1
            night = self.night(name)
            if night.flagged:
                break
        return night

    def copied(self, to: Path) -> Callable[[], None]:
        """Keep the company's files and rows; calling the answer brings them back."""
        return copied(self.company, to)

    def close(self) -> None:
        self.runtime.close()


def copied(company: Company, to: Path) -> Callable[[], None]:
    """Keep a company's files and rows as they are now; calling the answer brings them back."""
    files_back = folder_kept(company.folder)
    shutil.copy2(company.database, to / "warehouse.duckdb")
    papers, numbers = dict(company.papers), (company.today, company._next_row, company._next_paper)

    def back() -> None:
        files_back()
        shutil.copy2(to / "warehouse.duckdb", company.database)
        company.papers = dict(papers)
        company.today, company._next_row, company._next_paper = numbers

    return back


class Kept:
    """A state of the company and of the ledger that can be gone back to."""

    def __init__(self, simulation: Simulation, to: Path) -> None:
        self._s, self._to = simulation, to
        to.mkdir()
        self._file = Path(simulation.settings.ledger.removeprefix("sqlite:///"))
        with sqlite3.connect(self._file) as source, sqlite3.connect(to / "ledger.db") as target:
            source.backup(target)
        self._back = simulation.copied(to)
        self.incidents = {i.id for i in incidents.listing(simulation.runtime.ledger, resolved=True)}
        self._loads = {one.id for one in loads.recent(simulation.runtime.ledger, limit=100_000)}

    def back(self) -> None:
        """Bring everything back but the times of files."""
        s = self._s
        s.runtime.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._file.with_name(self._file.name + suffix).unlink()
        shutil.copy2(self._to / "ledger.db", self._file)
        for folder in Path(s.settings.staging).glob("*/*"):
            if folder.name.isdigit() and int(folder.name) not in self._loads:
                shutil.rmtree(folder)
        self._back()
        s.runtime = Runtime(
            settings=s.settings,
            ledger=type(s.runtime.ledger).open(s.settings),
            staging=s.runtime.staging,
            connections=s.runtime.connections,
            progress=s.runtime.progress,
        )

    def settle(self) -> None:
        """A run by day that finds everything the same: files that were brought back have new times."""
        s = self._s
        with time_machine.travel(
            s._moment(next(iter(s.sources)), s.company.today) + datetime.timedelta(hours=6), tick=True
        ):
            for source in s.sources.values():
                assert s._night(source, Options()).outcome == "unchanged"


@contextmanager
def simulated(settings: Settings, home: Path, embedder_port: int, size: Size, seed: int) -> Iterator[Simulation]:
    """A company founded, with its servers; settings are of a collection of its own."""
    endpoint = Endpoint(embedder_port)
    company = Company(home / "company", size, seed, next_year())
    company.found()
    with connected(home, endpoint, company.database, {"cases.sql": "SELECT * FROM cases\n"}) as (given, post):
        changed = {**given, "max_document_mb": 1}
        simulation = Simulation(settings.model_copy(update=changed), company, endpoint, post)
        try:
            yield simulation
        finally:
            simulation.close()
            endpoint.close()


@contextmanager
def connected(
    home: Path, endpoint: Endpoint, database: Path, sql: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], Any]]:
    """The servers and connections of a company: the settings that name them, and what its pager receives."""
    folder = home / "dags" / "sql"
    folder.mkdir(parents=True)
    for name, query in sql.items():
        (folder / name).write_text(query)
    with serving(endpoint) as port, mailbox() as (hook, post), ExitStack() as stack:
        extra = {n: endpoint.health[n] for n in ("model", "revision", "dimensions", "max_tokens")}
        for name, connection in {
            "EMBEDDER": {"conn_type": "http", "host": "http://127.0.0.1", "port": port, "extra": extra},
            "WAREHOUSE": {"conn_type": "duckdb", "host": str(database)},
            "PAGER": {"conn_type": "http", "host": hook},
        }.items():
            stack.enter_context(_environment(f"AIRFLOW_CONN_TRUST_{name}", json.dumps(connection)))
        stack.enter_context(_environment("TRUST_PROJECT", str(home)))
        yield {"embedder": "endpoint", "embedder_conn_id": "trust_embedder", "tell": "webhook:trust_pager"}, post


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def next_year() -> datetime.date:
    """The first Monday of a year to come: gRPC's deadlines are moments, so a calendar in the past would have none left."""
    day = datetime.date(datetime.datetime.now(datetime.UTC).year + 1, 1, 1)
    return day + datetime.timedelta(days=-day.weekday() % 7)
