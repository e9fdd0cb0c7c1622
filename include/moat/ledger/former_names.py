"""Names that sources had before: the ids of a source's documents are made of the first name that it had.

So a source is renamed by rows of the ledger alone. Its documents, chunks and objects of the index keep their ids, and
the index keeps its first name as the property `source`.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from moat.errors import RenameRefused
from moat.ids import document_id
from moat.ledger import Ledger
from moat.ledger.tables import source


def document_ids(ledger: Ledger, name: str, keys: Iterable[str]) -> list[str]:
    """Ids of a source's documents, known to the ledger or not, in the order of their keys.

    Raises:
        LedgerError: The database did not answer.
    """
    first = first_name(ledger, name)
    return [document_id(ledger.tenant, first, key) for key in keys]


def first_name(ledger: Ledger, name: str) -> str:
    """The name that a source had first, whether the ledger knows it or not."""
    with ledger.read() as connection:
        return first_names(connection, ledger.tenant, [name])[0]


def first_names(connection: Connection, tenant: str, names: Sequence[str]) -> list[str]:
    """The name that each of these sources had first, which the index knows it by."""
    if not names:  # as in most searches, where no source is masked
        return []
    renamed = {now: former[0] for now, former in _renamed(connection, tenant)}
    return [renamed.get(name, name) for name in names]


def names_now(ledger: Ledger) -> dict[str, str]:
    """Of each name that a source had before, its name now."""
    with ledger.read() as connection:
        return {old: now for now, former in _renamed(connection, ledger.tenant) for old in former}


def name_now(ledger: Ledger, name: str) -> str:
    """What a source is called now, by any name that it ever had."""
    return names_now(ledger).get(name, name)


def refuse_former(connection: Connection, tenant: str, name: str) -> None:
    """Refuse to begin a source by a name that another had before: the ids of its documents would be the same.

    Raises:
        RenameRefused: The message says what the other is called now.
    """
    for now, former in _renamed(connection, tenant):
        if name in former:
            raise RenameRefused(
                f"source {name} was renamed and is called {now} now: give it this name in its DAG file. A new source "
                "needs a name that none had before"
            )


def _renamed(connection: Connection, tenant: str) -> list[tuple[str, list[str]]]:
    query = select(source.c.name, source.c.former_names).where(
        source.c.tenant == tenant, source.c.former_names.is_not(None)
    )
    return [(row.name, row.former_names) for row in connection.execute(query) if row.former_names]
