"""Renaming a source: rows of the ledger change, and nothing else does."""

from sqlalchemy import Connection, func, select, update

from moat.errors import RenameRefused
from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.ledger.former_names import refuse_former
from moat.ledger.loads import LIVE
from moat.ledger.pass_tables import access_pass
from moat.ledger.tables import document, erasure, event, hold, incident, load, quarantine, source

OF_A_SOURCE = (document, load, erasure, event, incident, quarantine, access_pass)  # with its name in column `source`


def rename(ledger: Ledger, old: str, new: str, by: str) -> None:
    """Give a source another name, in one transaction; its documents, vectors, loads and holds stay what they are.

    Args:
        ledger: The ledger.
        old: Name of the source.
        new: Name that no source has or had, but one that the ledger knows from its DAG file alone.
        by: Who renames it.

    Raises:
        RenameRefused: There is no such source, the name is taken, or a load or an erasure of it is not finished.
        LedgerError: The database did not answer.
    """
    mine = source.c.tenant == ledger.tenant
    with ledger.write() as connection:
        rows = {row.name: row for row in connection.execute(select(source).where(mine).with_for_update())}
        if old not in rows:
            refuse_former(connection, ledger.tenant, old)
            known = ", ".join(sorted(rows)) or "none"
            raise RenameRefused(f"the ledger knows no source {old!r}; there are {known}. Nothing was renamed")
        refuse_former(connection, ledger.tenant, new)
        _refuse_busy(connection, ledger.tenant, old)
        if new in rows:
            _refuse_used(connection, ledger.tenant, new)
            connection.execute(source.delete().where(mine, source.c.name == new))
        values = {"name": new, "former_names": [*(rows[old].former_names or []), old]}
        if new in rows:  # the file that declares the new name owns it
            values["declared_in"] = rows[new].declared_in or rows[old].declared_in
        connection.execute(update(source).where(mine, source.c.name == old).values(**values))
        for table in OF_A_SOURCE:
            connection.execute(
                update(table).where(table.c.tenant == ledger.tenant, table.c.source == old).values(source=new)
            )
        widening = (hold.c.tenant == ledger.tenant, hold.c.kind == "widening", hold.c.subject == old)
        connection.execute(update(hold).where(*widening).values(subject=new))
        record(connection, ledger.tenant, actor=by, action="rename", subject=f"source {new}", detail={"was": old})


def bytes_moved(ledger: Ledger, name: str, was: str, now: str) -> None:
    """Record that the bytes of a source's quarantine lie below another URI."""
    mine = (quarantine.c.tenant == ledger.tenant, quarantine.c.source == name)
    moved = func.replace(quarantine.c.raw_uri, was, now)
    with ledger.write() as connection:
        connection.execute(update(quarantine).where(*mine, quarantine.c.raw_uri.is_not(None)).values(raw_uri=moved))


def _refuse_busy(connection: Connection, tenant: str, name: str) -> None:
    of_it = (load.c.tenant == tenant, load.c.source == name, load.c.state.in_(LIVE))
    if (number := connection.scalar(select(load.c.id).where(*of_it).limit(1))) is not None:
        raise RenameRefused(f"load {number} of {name} is not finished: wait for it, or `moat reject {number}`")
    begun = (erasure.c.tenant == tenant, erasure.c.source == name, erasure.c.state == "begun")
    if (number := connection.scalar(select(erasure.c.id).where(*begun).limit(1))) is not None:
        raise RenameRefused(f"erasure {number} of {name} is not finished: give the command that began it again")


def _refuse_used(connection: Connection, tenant: str, name: str) -> None:
    for table in OF_A_SOURCE:
        if connection.scalar(select(table.c.source).where(table.c.tenant == tenant, table.c.source == name).limit(1)):
            raise RenameRefused(
                f"source {name} has loads of its own: choose a name that none had before, or retire the other one"
            )
