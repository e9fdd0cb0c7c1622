"""History queries for triage and health: counts of loads, documents and chunks, no text."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.loads import LIVE, Load, get
from moat.ledger.tables import chunk, document, load, policy, presence, quarantine, revision
from moat.ledger.tables import source as source_table


class QuarantinedGroup(NamedTuple):
    """Documents in quarantine that share stage, error and reason."""

    stage: str
    error: str
    reason: str
    n: int


class WordsLost(NamedTuple):
    """A document of a load that lost words."""

    key: str
    n_words: int
    n_missing: int
    missing: list[str]


def words_lost(ledger: Ledger, number: int, limit: int) -> list[WordsLost]:
    """Documents that a load added and that lost the largest shares of their words, worst first."""
    query = (
        select(document.c.key, revision.c.n_words, revision.c.n_missing, revision.c.words)
        .join(document, document.c.id == revision.c.document_id)
        .where(document.c.tenant == ledger.tenant, revision.c.added_in == number, revision.c.n_missing > 0)
        .order_by((revision.c.n_missing * 1.0 / revision.c.n_words).desc(), document.c.key)
        .limit(limit)
    )
    with ledger.read() as connection:
        return [WordsLost(*row[:3], row.words.get("missing", [])) for row in connection.execute(query)]


def before(ledger: Ledger, source: str, number: int | None) -> Load | None:
    """The source's last promoted load before a given load, or at all."""
    query = select(func.max(load.c.id)).where(
        load.c.tenant == ledger.tenant, load.c.source == source, load.c.state == "promoted"
    )
    with ledger.read() as connection:
        found = connection.scalar(query.where(load.c.id < number) if number is not None else query)
    return get(ledger, found) if found is not None else None


class UnderWay(NamedTuple):
    """A load that has not ended, and until when its run holds the lease."""

    id: int
    source: str
    state: str
    run: str
    lease_until: datetime | None


def under_way(ledger: Ledger) -> list[UnderWay]:
    """Loads that are open, held or staged, by number."""
    query = (
        select(load.c.id, load.c.source, load.c.state, load.c.run, source_table.c.lease_until)
        .join(source_table, and_(source_table.c.tenant == load.c.tenant, source_table.c.name == load.c.source))
        .where(load.c.tenant == ledger.tenant, load.c.state.in_(LIVE))
        .order_by(load.c.id)
    )
    with ledger.read() as connection:
        return [UnderWay(*row) for row in connection.execute(query)]


def loads_since(ledger: Ledger, source: str, at: datetime) -> int:
    """Number of loads of a source since a given time."""
    mine = (load.c.tenant == ledger.tenant, load.c.source == source)
    first = select(func.max(load.c.id)).where(*mine, load.c.opened_at <= at).scalar_subquery()
    query = select(func.count()).where(*mine, load.c.id >= func.coalesce(first, 0))
    with ledger.read() as connection:
        return int(connection.execute(query).scalar_one())


def chunks_of(ledger: Ledger, source: str, keys: Sequence[str] | None = None) -> int:
    """Number of visible chunks of a source, or of some of its documents."""
    query = (
        select(func.count())
        .select_from(presence)
        .join(chunk, chunk.c.id == presence.c.chunk_id)
        .join(document, document.c.id == chunk.c.document_id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, visible(presence))
    )
    with ledger.read() as connection:
        if keys is None:
            return int(connection.execute(query).scalar_one())
        return sum(int(connection.execute(query.where(document.c.key.in_(w))).scalar_one()) for w in windows(keys))


def policies_of(ledger: Ledger, source: str, keys: Sequence[str] | None = None) -> Counter[str]:
    """Number of visible documents per policy, by its body."""
    query = (
        select(policy.c.body, func.count())
        .select_from(document)
        .join(revision, revision.c.document_id == document.c.id)
        .join(policy, policy.c.digest == document.c.policy)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, visible(revision))
        .group_by(policy.c.body)
    )
    found = Counter[str]()
    with ledger.read() as connection:
        for asked in [query] if keys is None else [query.where(document.c.key.in_(w)) for w in windows(keys)]:
            found.update({row[0]: row[1] for row in connection.execute(asked)})
    return found


def fingerprints(ledger: Ledger, source: str, keys: Sequence[str]) -> dict[str, str]:
    """Fingerprints with which visible documents were loaded."""
    query = (
        select(document.c.key, revision.c.fingerprint)
        .join(revision, revision.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, visible(revision))
    )
    with ledger.read() as connection:
        rows = (row for w in windows(keys) for row in connection.execute(query.where(document.c.key.in_(w))))
        return {row.key: row.fingerprint for row in rows}


def first_seen(ledger: Ledger, source: str) -> dict[str, datetime]:
    """Time at which each visible document of a source was first seen."""
    query = (
        select(document.c.key, document.c.first_seen)
        .join(revision, revision.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, visible(revision))
    )
    with ledger.read() as connection:
        return {row.key: row.first_seen for row in connection.execute(query)}


def quarantined(ledger: Ledger, source: str, number: int | None = None) -> list[QuarantinedGroup]:
    """Quarantined documents of a source, grouped by error and reason."""
    columns = (quarantine.c.stage, quarantine.c.error, quarantine.c.reason)
    query = (
        select(*columns, func.count())
        .where(quarantine.c.tenant == ledger.tenant, quarantine.c.source == source, quarantine.c.state != "resolved")
        .group_by(*columns)
    )
    if number is not None:
        query = query.where(quarantine.c.load_id == number)
    with ledger.read() as connection:
        return [QuarantinedGroup(*row) for row in connection.execute(query)]
