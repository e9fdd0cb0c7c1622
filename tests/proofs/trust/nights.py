"""Nights of a company with groups and access: what becomes of one kind of harm, or of an honest change, on the night after."""

import datetime
import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import time_machine
import yaml

from moat.directories.directory import Directory, GroupsFile
from moat.directories.sync import sync
from moat.errors import MoatError
from moat.ledger import incidents
from moat.maintenance.access_sync import SyncedAccess, sync_access
from moat.settings import Settings
from moat.source import Source
from tests.company import open_runtime
from tests.proofs.trust.endpoint import Endpoint
from tests.proofs.trust.folders import folder_kept
from tests.proofs.trust.harness import Kept, Night, Simulation, connected


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


class Lived(Protocol):
    """A company as its nights need it: what others see of it, a day that passes, and what it remembers."""

    home: Path
    folder: Path
    database: Path
    groups_file: Path
    start: datetime.date
    today: int
    state: ClassVar[tuple[str, ...]]  # attributes that a day, a harm or an honest change may alter

    def next_day(self) -> None: ...


class Nights(Simulation):
    """A company with groups, sources and access, and the calendar. A subclass declares its sources."""

    company: Any  # Lived
    hours: ClassVar[dict[str, int]]  # of the night, UTC, by source

    def __init__(self, settings: Settings, company: Lived, endpoint: Endpoint, post: list[Any]) -> None:
        self.settings, self.company, self.endpoint, self.post = settings, company, endpoint, post
        self.lines: list[str] = []
        self.runtime = open_runtime(settings, self._hear)
        self.sources = self.declared()
        self.directory = Directory(name="company", reader=GroupsFile(str(company.groups_file)), own_names=True)
        assert self._groups() == ""

    def declared(self) -> dict[str, Source]:
        """The company's sources."""
        raise NotImplementedError

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
        with time_machine.travel(
            self._moment(next(iter(self.sources)), self.company.today) - datetime.timedelta(hours=1), tick=True
        ):
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
        return datetime.datetime.combine(date, datetime.time(self.hours[source]), datetime.UTC)


def kept(company: Lived, to: Path) -> Callable[[], None]:
    """Keep a company as it is now; calling the answer brings it back."""
    files_back = folder_kept(company.folder)
    shutil.copy2(company.database, to / "company.duckdb")
    groups = company.groups_file.read_bytes()
    remembered = {name: _copied(getattr(company, name)) for name in company.state}

    def back() -> None:
        files_back()
        shutil.copy2(to / "company.duckdb", company.database)
        company.groups_file.write_bytes(groups)
        for name, value in remembered.items():
            setattr(company, name, _copied(value))

    return back


def _copied(value: Any) -> Any:
    """A dict or list, and what stands in it, as it is now; records are frozen."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


N = TypeVar("N", bound=Nights)


@contextmanager
def served(kind: type[N], company: Lived, settings: Settings, sql: Mapping[str, str]) -> Iterator[N]:
    """A company with its servers; settings are of a collection of its own, `sql` the queries of its project."""
    endpoint = Hashed({"model": "words", "revision": "1", "dimensions": 256, "max_tokens": 512})
    with connected(company.home.parent, endpoint, company.database, sql) as (made, post):
        nights = kind(settings.model_copy(update=made), company, endpoint, post)
        try:
            yield nights
        finally:
            with suppress(Exception):
                nights.close()
            endpoint.close()
