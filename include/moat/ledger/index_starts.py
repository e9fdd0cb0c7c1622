"""After which start of Weaviate each source was last compared with it, and what a cheap comparison needs."""

import uuid

from sqlalchemy import ColumnElement, and_, exists, func, select, update

from moat.ledger import Ledger
from moat.ledger.documents import promoted, visible
from moat.ledger.loads import invisible
from moat.ledger.tables import chunk, document, embedding, load, presence, source


def known(ledger: Ledger, name: str) -> str | None:
    """The mark of Weaviate's start after which the source was last compared; None: it never was."""
    with ledger.read() as connection:
        return connection.execute(select(source.c.index_started).where(*_mine(ledger, name))).scalar_one_or_none()


def keep(ledger: Ledger, name: str, started: str) -> None:
    """Record that the source was compared with the Weaviate of this start."""
    with ledger.write() as connection:
        connection.execute(update(source).where(*_mine(ledger, name)).values(index_started=started))


def others(ledger: Ledger, started: str) -> list[str]:
    """Names of the sources in use that were not compared with the Weaviate of this start yet, sorted."""
    mine = (source.c.tenant == ledger.tenant, source.c.retired_at.is_(None))
    loaded = exists().where(
        load.c.tenant == source.c.tenant, load.c.source == source.c.name, load.c.state == "promoted"
    )
    query = select(source.c.name).where(*mine, loaded, source.c.index_started.is_distinct_from(started))
    with ledger.read() as connection:
        return list(connection.scalars(query.order_by(source.c.name)))


def count(ledger: Ledger, name: str) -> tuple[int, list[int]]:
    """How many objects of the source the index must hold beside those of hidden loads, and these loads."""
    held = (
        select(func.count(presence.c.chunk_id.distinct()))
        .select_from(presence)
        .join(chunk, chunk.c.id == presence.c.chunk_id)
        .join(document, document.c.id == chunk.c.document_id)
        .where(document.c.tenant == ledger.tenant, document.c.source == name, promoted(presence.c.added_in))
    )
    with ledger.read() as connection:
        return connection.execute(held).scalar_one(), invisible(connection, ledger.tenant)


def sample(ledger: Ledger, name: str, n: int) -> dict[str, bytes | None]:
    """Up to n visible chunks of the source, others each time, with their vectors where the ledger has them."""
    query = (
        select(chunk.c.id, embedding.c.vector)
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .join(load, load.c.id == presence.c.added_in)
        .outerjoin(embedding, and_(embedding.c.text_hash == chunk.c.text_hash, embedding.c.model == load.c.model))
        .where(document.c.tenant == ledger.tenant, document.c.source == name)
        .order_by(chunk.c.id)
        .limit(n)
    )
    begin = str(uuid.uuid4())
    found: dict[str, bytes | None] = {}
    with ledger.read() as connection:
        for part in (chunk.c.id >= begin, chunk.c.id < begin):
            if len(found) < n:
                found.update((row.id, row.vector) for row in connection.execute(query.where(part)))
    return dict(list(found.items())[:n])


def model_of_newest(ledger: Ledger, name: str) -> str | None:
    """The model of the source's newest promoted load that has one."""
    mine = (
        load.c.tenant == ledger.tenant,
        load.c.source == name,
        load.c.state == "promoted",
        load.c.model.is_not(None),
    )
    with ledger.read() as connection:
        return connection.execute(
            select(load.c.model).where(*mine).order_by(load.c.id.desc()).limit(1)
        ).scalar_one_or_none()


def _mine(ledger: Ledger, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (source.c.tenant == ledger.tenant, source.c.name == name)
