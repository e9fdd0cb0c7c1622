"""Garbage collection: chunks that are invisible and that no rollback can restore."""

from collections.abc import Sequence

from sqlalchemy import ScalarSelect, and_, delete, exists, func, or_, select

from moat.batching import windows
from moat.ledger import Ledger, older_versions, past_contents, policies
from moat.ledger.loads import LIVE
from moat.ledger.tables import chunk, embedding, load, presence, revision


def ended(ledger: Ledger, source: str) -> list[int]:
    """Ended loads older than the newest promoted one, not cleaned up yet."""
    query = select(load.c.id).where(
        load.c.tenant == ledger.tenant,
        load.c.source == source,
        load.c.id < _newest(ledger, source),
        load.c.removed_at.is_(None),
        load.c.state.not_in((*LIVE, "unchanged")),
    )
    with ledger.read() as connection:
        return list(connection.scalars(query))


def remains(ledger: Ledger, source: str, loads: Sequence[int]) -> list[str]:
    """Ids of chunks held only by these ended loads.

    They were retired by a promoted load, or added by another one. A chunk is left out while some presence
    of it is visible, is in progress, or would be visible again after a rollback of the newest load.
    """
    adder, retirer = load.alias(), load.alias()
    added = exists().where(adder.c.id == presence.c.added_in, adder.c.state.in_(("promoted", *LIVE)))
    for_good = exists().where(
        retirer.c.id == presence.c.retired_in, retirer.c.state == "promoted", retirer.c.id < _newest(ledger, source)
    )
    needs = and_(added, ~for_good)
    held = exists().where(presence.c.chunk_id == chunk.c.id, needs)
    touched = select(presence.c.chunk_id).where(or_(presence.c.added_in.in_(loads), presence.c.retired_in.in_(loads)))
    with ledger.read() as connection:
        return list(connection.scalars(select(chunk.c.id).where(chunk.c.id.in_(touched), ~held)))


def forget(ledger: Ledger, source: str, loads: Sequence[int], ids: Sequence[str]) -> None:
    """Remove chunks deleted from the index, with revisions, presences, unused vectors, policies and pairs of versions."""
    states = select(load.c.id).where(load.c.id.in_(loads), load.c.state == "promoted")
    with ledger.write() as connection:
        past_contents.keep(connection, states)
        connection.execute(
            delete(revision).where(
                or_(
                    revision.c.retired_in.in_(states),
                    and_(revision.c.added_in.in_(loads), revision.c.added_in.not_in(states)),
                )
            )
        )
        for window in windows(ids):
            hashes = set(connection.scalars(select(chunk.c.text_hash).where(chunk.c.id.in_(window))))
            connection.execute(delete(presence).where(presence.c.chunk_id.in_(window)))
            connection.execute(delete(chunk).where(chunk.c.id.in_(window)))
            used = exists().where(chunk.c.text_hash == embedding.c.text_hash)
            connection.execute(delete(embedding).where(embedding.c.text_hash.in_(hashes), ~used))
        older_versions.clear(connection, ledger.tenant, source)
    policies.clear(ledger)


def _newest(ledger: Ledger, source: str) -> ScalarSelect[int]:
    """The load that a rollback would undo."""
    return (
        select(func.max(load.c.id))
        .where(load.c.tenant == ledger.tenant, load.c.source == source, load.c.state == "promoted")
        .scalar_subquery()
    )
