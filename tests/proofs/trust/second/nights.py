"""Nights of the second company on real servers: groups, access sync, a load; and one kind of harm on the night after."""

import datetime
import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import numpy as np
import time_machine
import yaml

from moat.directories.directory import Directory, GroupsFile
from moat.directories.sync import sync
from moat.errors import MoatError
from moat.ledger import incidents
from moat.maintenance.access_sync import SyncedAccess, sync_access
from moat.settings import Settings
from moat.source import AccessFiles, Columns, Golden, Limits, LocalFiles, Risks, Source
from tests.company import open_runtime
from tests.proofs.trust.endpoint import Endpoint
from tests.proofs.trust.folders import folder_kept
from tests.proofs.trust.harness import Kept, Night, Rows, Simulation, connected, next_year
from tests.proofs.trust.second.firm import Firm

ROW = (
    "# Order {id}: {product} for {customer}\n\n{quantity} packs of {product} at {unit_price} {currency}, {dose_mg} mg "
    "a dose, due {due}. Status: {status}.\n\n{note}"
)
COLUMNS = ("product", "customer", "quantity", "unit_price", "currency", "dose_mg", "status", "due")
HOURS = {"share": 2, "orders": 3}  # of the night, UTC
QUESTIONS = 10
NEVER = ("user:m5@hollowoak.example", "hr/salaries")  # of sales; what no golden question may show them


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one kind of harm, or of an honest change."""

    kind: str
    size: str  # "all", "a tenth", "three", "whole"
    hit: int  # documents or rows
    night: Night
    causes: tuple[str, ...] = ()
    live: int = 0  # documents that access sync let in
    waits: tuple[str, ...] = ()  # what waits for a person beside the load
    nights: int = 1  # until it was stopped, or in all

    @property
    def verdict(self) -> str:
        """stopped, told, live (told), live or silent."""
        if self.waits or (self.night.stopped and not self.live):
            return "stopped"
        if self.live:
            return "live, told" if self.night.flagged else "live"
        return "told" if self.night.outcome == "warned" else "silent"


@dataclass(frozen=True, kw_only=True)
class Honest:
    """What became of one honest change."""

    kind: str
    night: Night
    causes: tuple[str, ...]
    released: bool  # by one release it was loaded and promoted, or nothing had to be released
    later: tuple[str, ...]  # what was flagged on the next day


class Hashed(Endpoint):
    """A fast embedder: the words of a text, each a direction of its own, added up."""

    def __init__(self, health: dict[str, Any]) -> None:
        self.health = health
        self._known: dict[str, np.ndarray] = {}
        self._words: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self.mend()

    def close(self) -> None:
        return None

    def _vectors(self, texts: list[str]) -> np.ndarray:
        for text in texts:
            if text not in self._known:
                total = np.sum(
                    [self._word(w) for w in re.findall(r"\w+|[^\w\s]", text.lower())] or [self._word("")], axis=0
                )
                self._known[text] = (total / max(float(np.linalg.norm(total)), 1e-6)).astype("<f4")
        return np.stack([self._known[text] for text in texts])

    def _word(self, word: str) -> np.ndarray:
        if word not in self._words:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            self._words[word] = np.random.default_rng(seed).standard_normal(self.health["dimensions"])
        return self._words[word]


class Second(Simulation):
    """The second company with its groups and its two sources, and the calendar."""

    company: Firm  # type: ignore[assignment]

    def __init__(self, settings: Settings, firm: Firm, endpoint: Endpoint, post: list[Any]) -> None:
        self.settings, self.company, self.endpoint, self.post = settings, firm, endpoint, post  # type: ignore[assignment]
        self.lines: list[str] = []
        self.runtime = open_runtime(settings, self._hear)
        candidates = [d for k, d in sorted(firm.docs.items()) if d.sections and d.kind != "eml"]
        chosen = candidates[:: max(1, len(candidates) // QUESTIONS)][:QUESTIONS]
        firm.fixed.update(doc.key for doc in chosen)
        asked: list[dict[str, Any]] = [
            {"question": f"{d.title}: {d.sections[0][1][0]}", "documents": [d.key]} for d in chosen
        ]
        guarded = sorted(k for k in firm.docs if k.startswith(NEVER[1]))[:2]
        firm.fixed.update(guarded)
        asked.append({"question": "What do the bands say?", "asker": NEVER[0], "never": guarded})
        with duckdb.connect(str(firm.database)) as db:
            rows = db.execute("SELECT id, product, customer, note FROM orders ORDER BY id LIMIT 10").fetchall()
        of_rows = [{"question": f"Order {n}: {p} for {c}. {t}", "documents": [str(n)]} for n, p, c, t in rows]
        limits = Limits(min_documents=20)
        risks = Risks(personal="allow", secrets="hold", hidden="hold", injection="hold")
        self.sources = {
            "share": Source(
                name="share",
                reader=LocalFiles(path=str(firm.folder)),
                access=AccessFiles(),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("share", asked)), k=5),
            ),
            "orders": Source(
                name="orders",
                reader=Rows(conn_id="trust_warehouse", sql="orders.sql", key="id", text=ROW, metadata=COLUMNS),
                access=Columns(allow="readers", separator=";"),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("orders", of_rows)), k=5),
            ),
        }
        self.directory = Directory(name="company", reader=GroupsFile(str(firm.groups_file)), own_names=True)
        assert self._groups() == ""

    def live(self, days: int) -> list[Night]:
        """Clean days: what is held is counted, and released as the person on duty would."""
        nights = []
        for _ in range(days):
            self.company.next_day()
            waits = self._groups()
            for name in self.sources:
                _, held = self._access(name)
                night = self.night(name)
                if waits or held:
                    night = replace(night, outcome="held", error="; ".join([waits, held]).strip("; "))
                nights.append(night)
                self._finish(name, night)
                waits = ""
            self.lines.clear()
        return nights

    def after(self, name: str, change: Callable[[], int], *, days: int = 1) -> tuple[Night, int, list[str], int, int]:
        """Nights of one source, the change made before each; stops at the first that is stopped."""
        total_live, waits, hit = 0, list[str](), 0
        for n in range(1, days + 1):
            self.company.next_day()
            hit = change()
            if said := self._groups():
                waits.append(said)
            live, held = self._access(name)
            total_live += live
            waits += [held] if held else []
            night = self.night(name)
            if night.stopped or waits or n == days:
                break
            self._finish(name, night)
        return night, total_live, waits, hit, n

    def try_kind(
        self, name: str, source: str, change: Callable[[], int], kept_state: Kept, size: str, days: int
    ) -> Outcome:
        """One kind on the next night, or on several; then all is as before."""
        with ExitStack() as stack:
            stack.callback(kept_state.back)
            kept_state.settle()
            night, live, waits, hit, n = self.after(source, change, days=days)
            causes = self._causes(source, kept_state)
            return Outcome(
                kind=name, size=size, hit=hit, night=night, causes=causes, live=live, waits=tuple(waits), nights=n
            )

    def try_honest(self, name: str, source: str, change: Callable[[], int], kept_state: Kept) -> Honest:
        """An honest change on the next night; what is held is released once, and a day follows."""
        with ExitStack() as stack:
            stack.callback(kept_state.back)
            kept_state.settle()
            night, _, waits, _, _ = self.after(source, change)
            causes = self._causes(source, kept_state)
            released = self._released(source, night)
            later = [n for n in self.live(1) if n.flagged]
            if waits:
                night = replace(night, outcome="held", error="; ".join(waits))
            told = (f"{n.source} {n.outcome}: {', '.join(name for name, _, _ in n.failed) or n.error}" for n in later)
            return Honest(kind=name, night=night, causes=causes, released=released, later=tuple(told))

    def _causes(self, source: str, kept_state: Kept) -> tuple[str, ...]:
        """Causes of the incident since a state, the likeliest first."""
        mine = [i for i in incidents.listing(self.runtime.ledger, source) if i.id not in kept_state.incidents]
        return tuple(str(c["name"]) for c in (mine[0].detail.get("causes") or ())) if mine else ()

    def _released(self, source: str, night: Night) -> bool:
        """Whether one release brings a night through, if it needs one."""
        if night.outcome in ("blocked", "unchanged"):
            return night.outcome == "unchanged"
        self._finish(source, night)
        return self.runtime.load(night.number).state == "promoted"

    def copied(self, to: Path) -> Callable[[], None]:
        return kept(self.company, to)

    def _groups(self) -> str:
        """Read the groups file, as every half hour; what waits for a person, in words."""
        with time_machine.travel(self._moment("share", self.company.today) - datetime.timedelta(hours=1), tick=True):
            try:
                synced = sync(self.runtime.ledger, self.runtime.connections, self.directory, "test", self._hear)
            except MoatError as error:
                return f"directory: {error}"
        return "" if synced.passed else f"directory: {synced.reason}"

    def _access(self, name: str) -> tuple[int, str]:
        """Access sync of one source: documents that it let in, and what waits."""
        with time_machine.travel(self._moment(name, self.company.today) - datetime.timedelta(minutes=10), tick=True):
            try:
                synced: SyncedAccess = sync_access(self.runtime, self.sources[name], "test")
            except MoatError as error:
                return 0, f"access: {error}"
        return synced.widened, f"access: {synced.held} documents wait" if synced.held else ""

    def _asked(self, name: str, questions: list[dict[str, Any]]) -> Path:
        file = self.company.home / f"{name}.golden.yaml"
        file.write_text(yaml.safe_dump(questions))
        return file

    def _moment(self, source: str, day: int) -> datetime.datetime:
        date = self.company.start + datetime.timedelta(days=day + 1)
        return datetime.datetime.combine(date, datetime.time(HOURS[source]), datetime.UTC)


def picked(firm: Firm, keys: list[str], size: str, dice: Random) -> list[str]:
    """Which of some keys a size hits."""
    many = {"all": len(keys), "a tenth": max(1, len(keys) // 10), "three": min(3, len(keys)), "whole": len(keys)}[size]
    return sorted(dice.sample(sorted(keys), many))


def kept(firm: Firm, to: Path) -> Callable[[], None]:
    """Keep a firm as it is now; calling the answer brings it back."""
    files_back = folder_kept(firm.folder)
    shutil.copy2(firm.database, to / "orders.duckdb")
    groups = firm.groups_file.read_bytes()
    docs, teams = dict(firm.docs), {team: list(people) for team, people in firm.teams.items()}
    today, counter = firm.today, firm.counter

    def back() -> None:
        files_back()
        shutil.copy2(to / "orders.duckdb", firm.database)
        firm.groups_file.write_bytes(groups)
        firm.docs, firm.teams = dict(docs), {team: list(people) for team, people in teams.items()}
        firm.today, firm.counter = today, counter

    return back


@contextmanager
def second(settings: Settings, home: Path, seed: int) -> Iterator[Second]:
    """The second company founded, with its servers; settings are of a collection of its own."""
    endpoint = Hashed({"model": "words", "revision": "1", "dimensions": 256, "max_tokens": 512})
    firm = Firm(home / "hollowoak", seed, next_year())
    firm.found()
    with connected(home, endpoint, firm.database, {"orders.sql": "SELECT * FROM orders ORDER BY id\n"}) as (made, post):
        simulation = Second(settings.model_copy(update=made), firm, endpoint, post)
        try:
            yield simulation
        finally:
            with suppress(Exception):
                simulation.close()
            endpoint.close()
