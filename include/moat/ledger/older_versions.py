"""Which documents stand beside a newer version of themselves, as searches say it.

A pair is recorded with the load that found it and with the contents of both. It holds while both are visible with
these contents, so that a promotion, a rollback and every later change tell by themselves whether it still does.
"""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import Connection, and_, delete, exists, or_, select, update

from moat.batching import windows
from moat.ledger import Ledger, add
from moat.ledger.documents import visible
from moat.ledger.loads import LIVE, Load, fenced
from moat.ledger.policies import satisfied
from moat.ledger.read_tables import older_version
from moat.ledger.tables import document, load, policy_entry, revision, source

Versions = Literal["all", "newest"]


class VersionPair(NamedTuple):
    """A document beside a newer version of it, by id and hash of content."""

    older: str
    older_hash: str
    newer: str
    newer_hash: str


class Newer(NamedTuple):
    """The newer version of a document; `instead` where its source answers from the newest only."""

    key: str
    title: str
    instead: bool


def keep(ledger: Ledger, current: Load, found: Sequence[VersionPair]) -> None:
    """Record the pairs that a load's gate found; again changes nothing."""
    rows = [
        {"older_id": p.older, "newer_id": p.newer, "load_id": current.id, "older_hash": p.older_hash, "newer_hash": p.newer_hash}
        for p in found
    ]  # fmt: skip
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(rows):
            add(connection, older_version, window)


def declare(ledger: Ledger, name: str, versions: Versions, link: str = "") -> None:
    """Record what searches say of a source's documents, as it is declared: older versions, and their link."""
    mine = (source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.read() as connection:
        found = connection.execute(select(source.c.versions, source.c.link).where(*mine)).first()
    if found is not None and (found.versions or "all", found.link or "") != (versions, link):
        with ledger.write() as connection:
            connection.execute(update(source).where(*mine).values(versions=versions, link=link or None))


def newer_of(
    connection: Connection, tenant: str, principals: frozenset[str], documents: Collection[str]
) -> dict[str, Newer]:
    """The newer version of each of these documents that has one which these principals may read now, by id.

    Of several, the one found last. What may not be read never leaves the database.
    """
    was, now = revision.alias(), revision.alias()
    found: dict[str, Newer] = {}
    for window in windows(documents):
        pairs = select(older_version.c.newer_id).where(older_version.c.older_id.in_(window))
        theirs = select(document.c.policy).where(document.c.id.in_(pairs))
        mine = satisfied(connection, tenant, principals, policy_entry.c.digest.in_(theirs))
        query = (
            select(older_version.c.older_id, document.c.key, now.c.title, source.c.versions)
            .join(document, document.c.id == older_version.c.newer_id)
            .join(was, and_(was.c.document_id == older_version.c.older_id, visible(was)))
            .join(now, and_(now.c.document_id == document.c.id, visible(now)))
            .join(source, and_(source.c.tenant == document.c.tenant, source.c.name == document.c.source))
            .where(older_version.c.older_id.in_(window), document.c.policy.in_(mine), document.c.erased_at.is_(None))
            .where(was.c.content_hash == older_version.c.older_hash, now.c.content_hash == older_version.c.newer_hash)
            .order_by(older_version.c.load_id, document.c.key)
        )
        for row in connection.execute(query):
            found[row.older_id] = Newer(row.key, row.title, row.versions == "newest")
    return found


def forget(connection: Connection, documents: Sequence[str]) -> None:
    """Delete the pairs of these documents, whichever of the two they are."""
    either = or_(older_version.c.older_id.in_(documents), older_version.c.newer_id.in_(documents))
    connection.execute(delete(older_version).where(either))


def clear(connection: Connection, tenant: str, name: str) -> None:
    """Delete the pairs of a source that no kept content can make hold again."""
    alive = exists().where(load.c.id == older_version.c.load_id, load.c.state.in_(LIVE))
    both = (("older_id", "older_hash"), ("newer_id", "newer_hash"))
    kept = (
        exists().where(revision.c.document_id == older_version.c[of], revision.c.content_hash == older_version.c[hash_])
        for of, hash_ in both
    )
    mine = select(load.c.id).where(load.c.tenant == tenant, load.c.source == name)
    gone = delete(older_version).where(older_version.c.load_id.in_(mine), ~alive, ~and_(*kept))
    connection.execute(gone)
