"""Where documents of golden questions went: their content under another key since a load.

Kept for good, because a golden file keeps naming the old key until somebody corrects it. A row has ids only, as a
tombstone has them, and counts once its load is promoted.
"""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Column, ForeignKey, Table, delete, select

from moat.batching import windows
from moat.ledger import Ledger, add
from moat.ledger.former_names import document_ids
from moat.ledger.loads import Load, fenced
from moat.ledger.tables import document, load, metadata
from moat.ledger.types import Guid, Id

moved_document = Table(
    "moved_document",
    metadata,
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("to_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
)


def keep(ledger: Ledger, current: Load, pairs: Iterable[tuple[str, str]]) -> None:
    """Keep the moves of a load as (old key, new key); another try of the load replaces them."""
    moved = sorted(set(pairs))
    before = document_ids(ledger, current.source, (old for old, _ in moved))
    after = document_ids(ledger, current.source, (new for _, new in moved))
    rows = [{"document_id": old, "to_id": new, "load_id": current.id} for old, new in zip(before, after, strict=True)]
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(delete(moved_document).where(moved_document.c.load_id == current.id))
        for some in windows(rows):
            add(connection, moved_document, some)


def followed(ledger: Ledger, source: str, keys: Iterable[str]) -> dict[str, frozenset[str]]:
    """The keys to which documents moved by promoted loads, over any number of moves, by the old key.

    Keys that never moved are left out.
    """
    asked_for = list(keys)
    key_of = dict(zip(document_ids(ledger, source, asked_for), asked_for, strict=True))
    to: dict[str, set[str]] = defaultdict(set)
    query = (
        select(moved_document.c.document_id, moved_document.c.to_id, document.c.key)
        .join(document, document.c.id == moved_document.c.to_id)
        .join(load, load.c.id == moved_document.c.load_id)
        .where(load.c.state == "promoted")
    )
    names, asked = dict(key_of), set[str]()
    with ledger.read() as connection:
        while ids := names.keys() - asked:
            for window in windows(sorted(ids)):
                for row in connection.execute(query.where(moved_document.c.document_id.in_(window))):
                    to[row.document_id].add(row.to_id)
                    names[row.to_id] = row.key
            asked |= ids
    found = {key: frozenset(names[i] for i in _reached(of, to)) for of, key in key_of.items()}
    return {key: there for key, there in found.items() if there}


def _reached(start: str, to: dict[str, set[str]]) -> set[str]:
    """All that moves lead to, the start left out: who moves back is where they were."""
    reached, todo = set[str](), [start]
    while todo:
        for there in to.get(todo.pop(), ()):
            if there not in reached:
                reached.add(there)
                todo.append(there)
    return reached - {start}
