"""Quarantined documents, with stage, reason and bytes, until they load or are replayed."""

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, func, insert, not_, select, update

from moat import errors
from moat.batching import windows
from moat.errors import LIMITS, AccessUnknown, AskedWrongly, DocumentError, with_derived
from moat.ledger import Ledger
from moat.ledger.documents import MOST_TRIES
from moat.ledger.loads import Load, fenced, sources
from moat.ledger.tables import quarantine
from moat.records import SetAside, record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """A filter on quarantined documents; None means any."""

    key: str | None = None
    stage: str | None = None  # read, parse or clean
    error: str | None = None  # its class, such as ParseFailed, or one derived from it
    since: datetime | None = None  # of the last failure
    until: datetime | None = None  # before this moment


EVERYTHING = Which()
STAGES = ("clean", "parse", "read")
NO_LIMITS: Mapping[str, str] = {}


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
        rest = "until it is asked for" if self.rests else "until it changes"
        return f"{rest}, or {self.limit} is raised" if self.limit else rest

    @property
    def limit(self) -> str:
        """The setting that stopped it; empty if none did."""
        return f"MOAT_{LIMITS[self.error].upper()}" if self.error in LIMITS else ""

    @property
    def way(self) -> str:
        """What has it tried again, as a sentence with its command; empty where it left quarantine."""
        if self.state != "set aside":
            return ""
        if self.error == AccessUnknown.__name__:
            return "it loads when a rule speaks for it"
        again = f"`moat quarantine replay {shlex.quote(self.source)} {shlex.quote(self.key)}` has it tried as it is"
        return f"raise {self.limit}: the next run tries it again; {again}" if self.limit else again


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of a replay: the keys marked and the number left resting, by source."""

    marked: dict[str, list[str]]
    resting: dict[str, int]


def put(
    ledger: Ledger, current: Load, recipe: str, aside: Sequence[SetAside], limits: Mapping[str, str] = NO_LIMITS
) -> None:
    """Quarantine documents. A failure of the same bytes adds one attempt per load.

    `limits` has, by their error, the recipe of what a limit stopped, which knows the limit.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(aside):
            mine = (quarantine.c.tenant == ledger.tenant, quarantine.c.source == current.source)
            in_window = quarantine.c.key.in_([a.key for a in window])
            there = {row.key: row for row in connection.execute(select(quarantine).where(*mine, in_window))}
            for a in window:
                made_by = limits.get(a.error, recipe)
                values = {
                    "uri": a.uri,
                    "stage": a.stage,
                    "error": a.error,
                    "reason": a.reason,
                    "fingerprint": a.fingerprint,
                    "recipe": made_by,
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
                    .values(**values, attempts=_attempts(row, current, made_by, a))
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


def keys(ledger: Ledger, source: str | None, key: str | None = None) -> list[str]:
    """Keys of the documents in quarantine, of one source or all."""
    query = select(quarantine.c.key).where(*_matching(ledger, source, Which(key=key)))
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
    """Resolve quarantined documents that their source no longer has, or has again as they are visible."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(keys):
            mine = _matching(ledger, current.source)
            connection.execute(
                update(quarantine)
                .where(*mine, quarantine.c.key.in_(window), quarantine.c.state != "resolved")
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


def known_filter(ledger: Ledger, source: str | None, which: Which) -> Which:
    """Check a filter. Raises AskedWrongly for a stage, error or key that there is not, with those that there are."""
    if which.stage is not None and which.stage not in STAGES:
        raise AskedWrongly(f"no document is set aside at a stage {which.stage!r}; there are {', '.join(STAGES)}")
    kind = getattr(errors, which.error or "DocumentError", None)
    known = isinstance(kind, type) and issubclass(kind, DocumentError)
    there = {q.error for q in listing(ledger, source, resolved=True)} if not known else set[str]()
    if not known and which.error not in there:
        raise AskedWrongly(
            f"no document is set aside for {which.error!r}; there are {', '.join(sorted(there)) or 'none'}"
        )
    if which.key is not None and not keys(ledger, source, which.key):
        near = difflib.get_close_matches(which.key, keys(ledger, source), n=1)
        hint = f"; did you mean {near[0]!r}" if near else ""
        raise AskedWrongly(
            f"{which.key!r}{f' of {source}' if source else ''} is not in quarantine{hint}; "
            "`moat quarantine list` shows what is"
        )
    return which


def left_resting(source: str, n: int) -> str:
    """Message about documents that a replay left resting."""
    return (
        f"{source}: {n:,} rest, their bytes failed {MOST_TRIES} times or more: ask for one by its key "
        f"(`moat quarantine replay {source} KEY`), or for all with `--again`"
    )


def known_source(ledger: Ledger, name: str | None) -> str | None:
    """Check that a source has loads. Raises AskedWrongly listing the known names."""
    if name is not None and name not in (there := sources(ledger)):
        raise AskedWrongly(f"no load of a source {name!r} is in the ledger; there are {', '.join(there) or 'none'}")
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
