"""What a rollback takes out and brings back, and the load that a person took back and wants to be asked about."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, exists, func, select

from moat.batching import windows
from moat.ledger import Ledger, loads
from moat.ledger.loads import Load
from moat.ledger.tables import document, revision, source

SHOWN = 5  # keys of each kind


@dataclass(frozen=True, slots=True)
class Some:
    """A number of documents, and the keys of a few."""

    n: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a rollback does: documents that leave, that come back, and that have their earlier content again."""

    leave: Some
    come_back: Some
    earlier: Some


def planned(ledger: Ledger, number: int) -> Planned:
    """What the rollback of the newest promoted load of a source would do."""
    added, retired = _of(revision.alias(), "added_in", number), _of(revision.alias(), "retired_in", number)
    return Planned(
        leave=_some(ledger, added, ~retired),
        come_back=_some(ledger, retired, ~added),
        earlier=_some(ledger, added, retired),
    )


def asked_about(ledger: Ledger, name: str) -> Load | None:
    """The load of a source that was rolled back by `--hold`, until a whole load was released and promoted."""
    query = select(source.c.rolled_back).where(source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.read() as connection:
        number = connection.scalar(query)
    return loads.get(ledger, number) if number is not None else None


def brought_again(ledger: Ledger, number: int, contents: Iterable[tuple[str, str, str]]) -> list[str]:
    """Keys of those documents, given as id, content hash and key, that a load had brought with the same content."""
    found = list[str]()
    with ledger.read() as connection:
        for window in windows(contents):
            query = select(revision.c.document_id, revision.c.content_hash).where(
                revision.c.added_in == number, revision.c.document_id.in_([identity for identity, _, _ in window])
            )
            before = {row.document_id: row.content_hash for row in connection.execute(query)}
            found += [key for identity, content, key in window if before.get(identity) == content]
    return found


def _of(table: FromClause, column: str, number: int) -> ColumnElement[bool]:
    columns = table.c
    return exists().where(columns.document_id == document.c.id, columns[column] == number)


def _some(ledger: Ledger, *conditions: ColumnElement[bool]) -> Some:
    where = (document.c.tenant == ledger.tenant, document.c.erased_at.is_(None), *conditions)
    with ledger.read() as connection:
        n = connection.execute(select(func.count()).select_from(document).where(*where)).scalar_one()
        keys = connection.scalars(select(document.c.key).where(*where).order_by(document.c.key).limit(SHOWN))
        return Some(n, tuple(keys))
