"""Sources that the ledger knows, the DAG files that own them, and those that were retired."""

from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from moat.errors import LoadRefused
from moat.ledger import Ledger, add
from moat.ledger.former_names import refuse_former
from moat.ledger.tables import document, erasure, source


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
    """Record the DAG file that declares a source. Raises RenameRefused for a name that another source had before."""
    with ledger.write() as connection:
        refuse_former(connection, ledger.tenant, name)
        add(connection, source, [{"tenant": ledger.tenant, "name": name, "fence": 0}])
        connection.execute(
            update(source).where(source.c.tenant == ledger.tenant, source.c.name == name).values(declared_in=file)
        )


def retired(ledger: Ledger) -> dict[str, datetime]:
    """Sources that were retired and not loaded since, and when."""
    query = select(source.c.name, source.c.retired_at).where(
        source.c.tenant == ledger.tenant, source.c.retired_at.is_not(None)
    )
    with ledger.read() as connection:
        return {row.name: row.retired_at for row in connection.execute(query)}


def back(connection: Connection, ledger: Ledger, name: str) -> None:
    """Put a retired source in use again: what went with it may be loaded anew; what was erased alone stays away.

    Raises:
        LoadRefused: Its retirement is not finished, so what is loaded now could be removed with the rest.
        RenameRefused: Another source had this name before.
    """
    refuse_former(connection, ledger.tenant, name)
    mine = (source.c.tenant == ledger.tenant, source.c.name == name)
    at = connection.scalar(select(source.c.retired_at).where(*mine))
    if at is None:
        return
    of_it = (erasure.c.tenant == ledger.tenant, erasure.c.source == name, erasure.c.begun_at == at)
    if connection.scalar(select(exists().where(*of_it, erasure.c.state == "begun"))):
        raise LoadRefused(f"source {name} is being retired: `moat source retire {name}` finishes it, then run again")
    gone = (document.c.tenant == ledger.tenant, document.c.source == name, document.c.erased_at == at)
    connection.execute(update(document).where(*gone).values(erased_at=None, indexed=None, indexing=None))
    connection.execute(update(source).where(*mine).values(retired_at=None))
