"""Quarantined documents, with stage, reason and bytes, until they load or are replayed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, func, insert, not_, select, update

from moat.batching import windows
from moat.errors import AccessUnknown, FatalError, with_derived
from moat.ledger import Ledger
from moat.ledger.documents import MOST_TRIES
from moat.ledger.loads import Load, fenced, sources
from moat.ledger.tables import quarantine
from moat.records import SetAside, record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """A filter on quarantined documents; None means any."""

    key: str | None = None
    stage: str | None = None  # read or parse
    error: str | None = None  # its class, such as ParseFailed, or one derived from it
    since: datetime | None = None  # of the last failure
    until: datetime | None = None  # before this moment


EVERYTHING = Which()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One quarantined document.

    `state` is set aside, replay (tried again at the next run) or resolved.
    """

    source: str
    key: str
    uri: str
    stage: str
    error: str
    reason: str
    attempts: int  # of these bytes with this recipe
    raw_uri: str | None
    load_id: int
    state: str
    first_at: datetime
    last_at: datetime

    @property
    def rests(self) -> bool:
        """Whether it failed so often that only an explicit request tries it again."""
        tried = self.attempts >= MOST_TRIES and self.error != AccessUnknown.__name__
        return tried and self.state == "set aside"

    @property
    def until(self) -> str:
        """What ends the rest, in words."""
        if self.state != "set aside":
            return "" if self.state == "resolved" else "until the next run"
        if self.error == AccessUnknown.__name__:
            return "until its access is known"
        return "until it is asked for" if self.rests else "until it changes"


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of a replay: the keys marked and the number left resting, by source."""

    marked: dict[str, list[str]]
    resting: dict[str, int]


def put(ledger: Ledger, current: Load, recipe: str, aside: Sequence[SetAside]) -> None:
    """Quarantine documents. A failure of the same bytes adds one attempt per load."""
    now = datetime.now(UTC)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(aside):
            mine = (quarantine.c.tenant == ledger.tenant, quarantine.c.source == current.source)
            in_window = quarantine.c.key.in_([a.key for a in window])
            there = {row.key: row for row in connection.execute(select(quarantine).where(*mine, in_window))}
            for a in window:
                values = {
                    "uri": a.uri,
                    "stage": a.stage,
                    "error": a.error,
                    "reason": a.reason,
                    "fingerprint": a.fingerprint,
                    "recipe": recipe,
                    "raw_uri": a.raw_uri,
                    "load_id": current.id,
                    "state": "set aside",
                    "last_at": now,
                }
                row = there.get(a.key)
                if row is None:
                    connection.execute(
                        insert(quarantine).values(
                            tenant=ledger.tenant, source=current.source, key=a.key, attempts=1, first_at=now, **values
                        )
                    )
                    continue
                if row.state == "resolved":
                    values["first_at"] = now
                if a.raw_uri is None:
                    del values[
                        "raw_uri"
                    ]  # keep the path of bytes stored by an earlier load, so that they are removed in the end
                connection.execute(
                    update(quarantine)
                    .where(*mine, quarantine.c.key == a.key)
                    .values(**values, attempts=_attempts(row, current, recipe, a))
                )


def _attempts(row: Row[Any], current: Load, recipe: str, aside: SetAside) -> int:
    """Number of failures of these bytes; unknown access is counted separately."""
    same = (
        row.state != "resolved"
        and (row.fingerprint, row.recipe) == (aside.fingerprint, recipe)
        and (row.error == AccessUnknown.__name__) == (aside.error == AccessUnknown.__name__)
    )
    so_far: int = row.attempts
    return so_far + (row.load_id != current.id) if same else 1


def keys(ledger: Ledger, source: str) -> list[str]:
    """Keys of a source's documents in quarantine."""
    query = select(quarantine.c.key).where(*_matching(ledger, source))
    with ledger.read() as connection:
        return list(connection.scalars(query.where(quarantine.c.state != "resolved")))


def count(ledger: Ledger, current: Load) -> int:
    """Number of documents quarantined by this load while fetching or parsing, without unknown access."""
    mine = _matching(ledger, current.source)
    query = (
        select(func.count())
        .select_from(quarantine)
        .where(*mine, quarantine.c.load_id == current.id, quarantine.c.error != AccessUnknown.__name__)
    )
    with ledger.read() as connection:
        return connection.execute(query).scalar_one()


def resolve(ledger: Ledger, current: Load, keys: Sequence[str]) -> None:
    """Resolve quarantined documents that their source no longer has."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(keys):
            mine = _matching(ledger, current.source)
            connection.execute(
                update(quarantine)
                .where(*mine, quarantine.c.key.in_(window))
                .values(state="resolved", last_at=datetime.now(UTC))
            )


def kept_bytes(ledger: Ledger, source: str) -> list[str]:
    """Keys of documents no longer in quarantine whose bytes are still stored."""
    with ledger.read() as connection:
        return list(connection.scalars(select(quarantine.c.key).where(*_left(ledger, source))))


def forget_bytes(ledger: Ledger, source: str, keys: Sequence[str]) -> None:
    """Record that the stored bytes of resolved documents are removed."""
    with ledger.write() as connection:
        for window in windows(keys):
            gone = quarantine.c.key.in_(window)
            connection.execute(update(quarantine).where(*_left(ledger, source), gone).values(raw_uri=None))


def listing(
    ledger: Ledger, source: str | None = None, which: Which = EVERYTHING, resolved: bool = False
) -> list[Quarantined]:
    """Quarantined documents, newest first, matching the filter."""
    columns = [quarantine.c[name] for name in Quarantined.__dataclass_fields__]
    query = select(*columns).where(*_matching(ledger, source, which)).order_by(quarantine.c.last_at.desc())
    with ledger.read() as connection:
        rows = connection.execute(query if resolved else query.where(quarantine.c.state != "resolved"))
        return [record_of(Quarantined, row) for row in rows]


def replay(
    ledger: Ledger,
    source: str | None = None,
    which: Which = EVERYTHING,
    resting: Literal["left", "taken"] = "left",
) -> Replayed:
    """Mark documents to be tried again although they have not changed.

    Leaves out those whose bytes have failed three times, because they would most likely fail again;
    unless one is requested by its key, or `resting` is "taken".
    """
    where = (*_matching(ledger, source, which), quarantine.c.state != "resolved")
    rests = and_(
        quarantine.c.state == "set aside",
        quarantine.c.attempts >= MOST_TRIES,
        quarantine.c.error != AccessUnknown.__name__,
    )
    marked: dict[str, list[str]] = {}
    left: dict[str, int] = {}
    with ledger.write() as connection:
        if resting == "left" and which.key is None:
            per_source = select(quarantine.c.source, func.count()).where(*where, rests).group_by(quarantine.c.source)
            left = {row[0]: row[1] for row in connection.execute(per_source)}
            where = (*where, not_(rests))
        for row in connection.execute(
            select(quarantine.c.source, quarantine.c.key).where(*where).order_by(quarantine.c.key)
        ):
            marked.setdefault(row.source, []).append(row.key)
        connection.execute(update(quarantine).where(*where).values(state="replay"))
    return Replayed(marked, left)


def left_resting(source: str, n: int) -> str:
    """Message about documents that a replay left resting."""
    return (
        f"{source}: {n:,} rest, their bytes failed {MOST_TRIES} times or more: ask for one by its key "
        f"(`moat quarantine replay --source {source} --key KEY`), or for all with `--again`"
    )


def known_source(ledger: Ledger, name: str | None) -> str | None:
    """Check that a source has loads. Raises FatalError listing the known names."""
    if name is not None and name not in (there := sources(ledger)):
        raise FatalError(f"no load of a source {name!r} is in the ledger; there are {', '.join(there) or 'none'}")
    return name


def _left(ledger: Ledger, source: str) -> list[ColumnElement[bool]]:
    return [*_matching(ledger, source), quarantine.c.state == "resolved", quarantine.c.raw_uri.is_not(None)]


def _matching(ledger: Ledger, source: str | None, which: Which = EVERYTHING) -> list[ColumnElement[bool]]:
    given = {"source": source, "key": which.key, "stage": which.stage}
    found = [quarantine.c.tenant == ledger.tenant] + [quarantine.c[n] == v for n, v in given.items() if v is not None]
    if which.error is not None:
        found.append(quarantine.c.error.in_(with_derived(which.error)))
    if which.since is not None:
        found.append(quarantine.c.last_at >= which.since)
    if which.until is not None:
        found.append(quarantine.c.last_at < which.until)
    return found
