"""Sources that the ledger knows, and the DAG files that own them."""

from sqlalchemy import select, update

from moat.ledger import Ledger, add
from moat.ledger.tables import source


def owners(ledger: Ledger) -> dict[str, str]:
    """Of each source, the DAG file that declares it, by its path inside the folder of DAG files.

    Raises:
        LedgerError: The database did not answer.
    """
    query = select(source.c.name, source.c.declared_in).where(
        source.c.tenant == ledger.tenant, source.c.declared_in.is_not(None)
    )
    with ledger.read() as connection:
        return {row.name: row.declared_in for row in connection.execute(query)}


def own(ledger: Ledger, name: str, file: str) -> None:
    """Record the DAG file that declares a source."""
    with ledger.write() as connection:
        add(connection, source, [{"tenant": ledger.tenant, "name": name, "fence": 0}])
        connection.execute(
            update(source).where(source.c.tenant == ledger.tenant, source.c.name == name).values(declared_in=file)
        )
