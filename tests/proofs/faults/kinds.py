"""What may happen to a run: each kind arms one fault for the first try, and heals it before the next."""

import ctypes
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import moat.ledger.loads
import moat.stages.read
from moat.index.store import WeaviateStore
from tests.proofs.faults import corpus
from tests.proofs.faults.embedder import Wrong
from tests.proofs.faults.points import Points
from tests.proofs.faults.proxy import Break, Fault
from tests.proofs.faults.world import LedgerKind, Place, Where, World

SLOW_S, HALF_OPEN_S, DOWN_S = 0.05, 6.0, 3.0
BUSY_TIMES = 3
CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE = 0x00020000, 0x10000000, 1 << 18


@dataclass(frozen=True, kw_only=True)
class Clean:
    """What an undisturbed run came by: the moments of its writes, and the bytes that each server answered."""

    seen: tuple[str, ...]
    answered: dict[str, int]


def nothing() -> None:
    """Do nothing."""


@dataclass(kw_only=True)
class Armed:
    """A fault that is ready."""

    points: Points = field(default_factory=Points)
    inside: Callable[[], None] = nothing  # in the fork, before it runs
    heal: Callable[[], None] = nothing
    blind: bool = False  # whether searches may fail while it lasts
    zombie: bool = False  # the run stands still, is overtaken, and wakes
    twin: bool = False  # the same task runs twice at once
    loose: bool = False  # whether people may meanwhile find what is neither the world before nor the one after


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of fault, and where it can happen."""

    name: str
    arm: Callable[[World, Place, Clean, random.Random], Armed]
    ledgers: tuple[LedgerKind, ...] = ("sqlite", "postgresql")
    wheres: tuple[Where, ...] = ("folder",)
    weight: int = 4


def _at(clean: Clean, dice: random.Random, only: tuple[str, ...], strike: Callable[[], None]) -> Points:
    """Strike at one of a clean run's moments."""
    n = sum(1 for name in clean.seen if not only or name in only)
    return Points(only, dice.randrange(max(n, 1)), strike)


def _ignored(_: object) -> None:
    """Take what a call returns, where nobody asks for it."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(what: str, moment: str) -> Kind:
    def arm(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
        return Armed(points=_at(clean, dice, (f"{what} {moment}",), _die))

    return Kind(name=f"kill -9 {moment} a write of {what}", arm=arm, weight=12)


def proxied(line: str, kind: Break, ledgers: tuple[LedgerKind, ...], wheres: tuple[Where, ...]) -> Kind:
    """A fault on the way to one server, at a random byte of its answers or, for one that is down, a random moment."""

    def arm(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
        after = dice.randrange(max(clean.answered[line], 1))
        seconds = {"slow": SLOW_S, "half-open": HALF_OPEN_S, "down": DOWN_S}.get(kind, 0.0)
        fault = Fault(kind=kind, after=after, seconds=seconds, times=BUSY_TIMES if kind == "busy" else 1)

        def heal() -> None:
            world.proxy.set(line)

        if kind == "down":
            return Armed(points=_at(clean, dice, (), lambda: _ignored(world.proxy.set(line, fault))), heal=heal)
        world.proxy.set(line, fault)
        return Armed(heal=heal)

    return Kind(name=f"{line}: {kind}", arm=arm, ledgers=ledgers, wheres=wheres)


def wrong_embedder(wrong: Wrong) -> Kind:
    def arm(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
        world.embedder.set(wrong, dice.choice((1, 4)))
        return Armed(heal=lambda: world.embedder.set("", 0))

    return Kind(name=f"embedder: {wrong}", arm=arm, ledgers=("sqlite",))


def _weaviate_killed(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    points = _at(clean, dice, ("index before", "index in", "index after"), world.kill_weaviate)
    return Armed(points=points, heal=lambda: _ignored(world.weaviate_again()), blind=True)


def _postgres_ended(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    points = _at(clean, dice, (), world.end_postgres)
    return Armed(points=points, heal=world.postgres_again, blind=True)


def _readonly(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    def set_to(status: str) -> None:
        with closing(WeaviateStore.open(place.plain, "operator")) as index:
            config = index._client.collections.use(place.plain.collection_name).config
            config.update_shards(status, [shard.name for shard in config.get_shards()])  # type: ignore[arg-type]

    from tests.proofs.faults.forks import done

    points = _at(clean, dice, ("index before", "index in"), lambda: set_to("READONLY"))
    return Armed(points=points, heal=lambda: done(lambda: set_to("READY")))


def _damaged(how: str) -> Kind:
    """A staged file is cut short, or one of its bits is another, at some moment after it was written."""

    def arm(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
        seed = dice.random()

        def strike() -> None:
            own = random.Random(seed)
            files = sorted(f for f in (place.home / "staging").rglob("*.parquet") if f.is_file())
            if not files:
                return
            file = own.choice(files)
            content = bytearray(file.read_bytes())
            if how == "truncated":
                file.write_bytes(content[: own.randrange(len(content))])
            else:
                content[own.randrange(len(content))] ^= 1 << own.randrange(8)
                file.write_bytes(content)

        return Armed(points=_at(clean, dice, (), strike))

    return Kind(name=f"staged file {how}", arm=arm, ledgers=("sqlite",), weight=8)


def _staging_full(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """Staging of this try is a file system of a few kilobytes, in a mount namespace of the fork's own."""
    kilobytes = dice.choice((4, 8, 16, 24))

    def inside() -> None:
        libc, uid, gid = ctypes.CDLL(None, use_errno=True), os.geteuid(), os.getegid()
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "no namespace can be made here")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        staging = place.home / "staging"
        staging.mkdir(exist_ok=True)
        options = f"size={kilobytes}k,mode=0700".encode()
        if libc.mount(b"tmpfs", str(staging).encode(), b"tmpfs", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "no tmpfs can be mounted here")

    return Armed(inside=inside)


def _ledger_full(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """SQLite finds its disk full after a few more pages."""
    more = dice.randrange(0, 6)

    def inside() -> None:
        from sqlalchemy import Engine, event

        def limited(raw: sqlite3.Connection, _: object) -> None:
            (pages,) = raw.execute("PRAGMA page_count").fetchone()
            raw.execute(f"PRAGMA max_page_count = {pages + more}")

        event.listen(Engine, "connect", limited)

    return Armed(inside=inside)


def _locked(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """Another process writes to SQLite's file for some seconds."""
    code = "import sqlite3,sys,time; c=sqlite3.connect(sys.argv[1],timeout=60); c.execute('BEGIN IMMEDIATE'); time.sleep(3)"

    def strike() -> None:
        subprocess.Popen([sys.executable, "-c", code, str(place.home / "ledger.db")])

    return Armed(points=_at(clean, dice, ("ledger after", "index after", "staging after"), strike))


def _clock(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """The clock of the process that dies is ten minutes off."""
    off = timedelta(minutes=dice.choice((-10, 10)))

    def inside() -> None:
        moat.ledger.loads._now = lambda: datetime.now(UTC) + off

    return Armed(points=_at(clean, dice, (), _die), inside=inside)


def _moved_while_listed(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """Documents change, vanish and come between the listing and the reading of their bytes."""
    chosen = dice.sample(("leave.md", "new.md", "people/plan.md"), dice.randrange(1, 4))
    ways = [dice.choice(("gone", "other")) for _ in chosen]

    def inside() -> None:
        fetch = moat.stages.read._fetch

        def after_a_change(*given: object, **named: object) -> object:
            for key, way in zip(chosen, ways, strict=True):
                if way == "gone":
                    place.remove(key)
                else:
                    place.put(key, b"# Half\n\nThis page is being written when it is read.\n")
            return fetch(*given, **named)  # type: ignore[arg-type]

        moat.stages.read._fetch = after_a_change  # type: ignore[assignment]

    return Armed(inside=inside, heal=lambda: corpus.bring(place.put, place.remove, corpus.AFTER), loose=True)


def _gate_crash(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    """A check of the gate raises what nobody expected."""
    from importlib import import_module

    from moat.checks import FAMILIES

    family = dice.choice(FAMILIES)

    def inside() -> None:
        def crash(_: object) -> None:
            raise ZeroDivisionError("a defect of a check")

        vars(import_module(family.module))["run"] = crash

    return Armed(inside=inside)


def _zombie(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    still = ("ledger before", "ledger after", "index before", "index in", "index after", "staging before", "staging in")
    armed = Armed(points=_at(clean, dice, still, lambda: os.kill(os.getpid(), signal.SIGSTOP)))
    return replace(armed, zombie=True)


def _twin(world: World, place: Place, clean: Clean, dice: random.Random) -> Armed:
    return Armed(twin=True)


BOTH: tuple[LedgerKind, ...] = ("sqlite", "postgresql")
KINDS = (
    *(killed(what, moment) for what in ("ledger", "index", "staging") for moment in ("before", "in", "after")),
    *(proxied("weaviate", kind, BOTH, ("folder",)) for kind in ("down", "slow", "reset", "half-open", "cut", "busy")),
    *(proxied("grpc", kind, BOTH, ("folder",)) for kind in ("down", "slow", "reset", "half-open", "cut")),
    *(proxied("postgres", k, ("postgresql",), ("folder",)) for k in ("down", "slow", "reset", "half-open", "cut")),
    *(proxied("s3", kind, ("sqlite",), ("s3",)) for kind in ("down", "slow", "reset", "half-open", "cut", "busy")),
    *(proxied("embedder", kind, ("sqlite",), ("folder",)) for kind in ("down", "reset", "half-open", "cut")),
    *(wrong_embedder(wrong) for wrong in ("nan", "fewer", "order", "revision", "garbage", "busy", "trouble")),
    Kind(name="Weaviate: kill -9", arm=_weaviate_killed, weight=6),
    Kind(name="Weaviate: shard READONLY", arm=_readonly),
    Kind(name="PostgreSQL: ends at once", arm=_postgres_ended, ledgers=("postgresql",), weight=8),
    Kind(name="SQLite: disk full", arm=_ledger_full, ledgers=("sqlite",)),
    Kind(name="SQLite: locked by another writer", arm=_locked, ledgers=("sqlite",)),
    _damaged("truncated"),
    _damaged("with another bit"),
    Kind(name="staging: disk full", arm=_staging_full, ledgers=("sqlite",)),
    Kind(name="documents move while they are read", arm=_moved_while_listed, wheres=("folder", "s3")),
    Kind(name="clock ten minutes off, kill -9", arm=_clock, weight=6),
    Kind(name="gate: a check crashes", arm=_gate_crash, ledgers=("sqlite",)),
    Kind(name="a zombie wakes after its lease", arm=_zombie, weight=12),
    Kind(name="one task runs twice at once", arm=_twin, weight=6),
)
