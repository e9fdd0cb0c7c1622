"""Documents that were set aside: kept with stage, reason and bytes, until they load or are replayed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, func, insert, select, update

from include.errors import AccessUnknown
from include.ids import document_id
from include.ledger import Ledger, windows
from include.ledger.loads import Load, fenced
from include.ledger.tables import quarantine
from include.records import SetAside
from include.way import Way


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One quarantined document. `state` is set aside, replay (tried again at the next run) or resolved."""

    source: str
    key: str
    uri: str
    stage: str
    error: str
    reason: str
    attempts: int
    raw_uri: str | None
    load_id: int
    state: str
    first_at: datetime
    last_at: datetime


def put(ledger: Ledger, current: Load, recipe: str, aside: Sequence[SetAside]) -> None:
    """Set documents aside. One that is there already counts one attempt more, once per load."""
    now = datetime.now(UTC)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(aside):
            mine = (quarantine.c.tenant == ledger.tenant, quarantine.c.source == current.source)
            there = {
                row.key: row
                for row in connection.execute(
                    select(quarantine.c.key, quarantine.c.load_id, quarantine.c.attempts, quarantine.c.state).where(
                        *mine, quarantine.c.key.in_([a.key for a in window])
                    )
                )
            }
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
                else:
                    again = 0 if row.load_id == current.id else 1
                    fresh = (
                        {"attempts": 1, "first_at": now}
                        if row.state == "resolved"
                        else {"attempts": row.attempts + again}
                    )
                    if a.raw_uri is None:
                        del values["raw_uri"]  # bytes that an earlier load kept stay known, so that they go in the end
                    connection.execute(
                        update(quarantine).where(*mine, quarantine.c.key == a.key).values(**values, **fresh)
                    )


def keys(ledger: Ledger, source: str) -> list[str]:
    """Keys of a source's documents that are in quarantine."""
    query = select(quarantine.c.key).where(*_matching(ledger, source, None, None, None))
    with ledger.read() as connection:
        return list(connection.scalars(query.where(quarantine.c.state != "resolved")))


def count(ledger: Ledger, current: Load) -> int:
    """How many documents this load has set aside, from fetching and from parsing; unknown access is counted elsewhere."""
    mine = _matching(ledger, current.source, None, None, None)
    query = (
        select(func.count())
        .select_from(quarantine)
        .where(*mine, quarantine.c.load_id == current.id, quarantine.c.error != AccessUnknown.__name__)
    )
    with ledger.read() as connection:
        return connection.execute(query).scalar_one()


def resolve(ledger: Ledger, current: Load, keys: Sequence[str]) -> None:
    """Take documents out of quarantine that their source does not have any more."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(keys):
            mine = _matching(ledger, current.source, None, None, None)
            connection.execute(
                update(quarantine)
                .where(*mine, quarantine.c.key.in_(window))
                .values(state="resolved", last_at=datetime.now(UTC))
            )


def clear(way: Way, source: str) -> None:
    """Remove the bytes of documents that have left quarantine."""
    where = (
        *_matching(way.ledger, source, None, None, None),
        quarantine.c.state == "resolved",
        quarantine.c.raw_uri.is_not(None),
    )
    with way.ledger.read() as connection:
        gone = list(connection.scalars(select(quarantine.c.key).where(*where)))
    for window in windows(gone):
        for key in window:
            way.staging.remove(raw_path(way, source, key))
        with way.ledger.write() as connection:
            connection.execute(update(quarantine).where(*where, quarantine.c.key.in_(window)).values(raw_uri=None))


def raw_path(way: Way, source: str, key: str) -> str:
    """Where the bytes of a quarantined document stand in staging."""
    return f"{source}/quarantine/{document_id(way.settings.tenant, source, key)}"


def listing(
    ledger: Ledger,
    source: str | None = None,
    key: str | None = None,
    stage: str | None = None,
    error: str | None = None,
    resolved: bool = False,
) -> list[Quarantined]:
    """Quarantined documents, the newest first, narrowed by whatever is given."""
    columns = [quarantine.c[name] for name in Quarantined.__dataclass_fields__]
    query = select(*columns).where(*_matching(ledger, source, key, stage, error)).order_by(quarantine.c.last_at.desc())
    with ledger.read() as connection:
        rows = connection.execute(query if resolved else query.where(quarantine.c.state != "resolved"))
        return [Quarantined(*row) for row in rows]


def replay(
    ledger: Ledger,
    source: str | None = None,
    key: str | None = None,
    stage: str | None = None,
    error: str | None = None,
) -> dict[str, list[str]]:
    """Mark documents to be tried again though nothing about them changed. Returns their keys by source."""
    where = (*_matching(ledger, source, key, stage, error), quarantine.c.state != "resolved")
    marked: dict[str, list[str]] = {}
    with ledger.write() as connection:
        for row in connection.execute(
            select(quarantine.c.source, quarantine.c.key).where(*where).order_by(quarantine.c.key)
        ):
            marked.setdefault(row.source, []).append(row.key)
        connection.execute(update(quarantine).where(*where).values(state="replay"))
    return marked


def _matching(
    ledger: Ledger, source: str | None, key: str | None, stage: str | None, error: str | None
) -> list[ColumnElement[bool]]:
    given = {"source": source, "key": key, "stage": stage, "error": error}
    return [quarantine.c.tenant == ledger.tenant] + [quarantine.c[n] == v for n, v in given.items() if v is not None]
