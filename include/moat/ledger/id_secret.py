"""The secret of a tenant that keys the ids of its chunks."""

import secrets

from sqlalchemy import Column, String, Table, select

from moat.ledger import Ledger, add
from moat.ledger.tables import metadata

id_secret = Table(  # keys the ids of chunks; "": they are not keyed, in a ledger that had loads before it had keys
    "id_secret", metadata, Column("tenant", String(32), primary_key=True), Column("value", String(64), nullable=False)
)


def of(ledger: Ledger) -> str:
    """The tenant's secret, made at first use; "" where ids were given before there were secrets.

    It stays for as long as the ledger does, and goes with its backups: the same document has the same ids.
    """
    query = select(id_secret.c.value).where(id_secret.c.tenant == ledger.tenant)
    with ledger.read() as connection:
        found = connection.scalar(query)
    if found is not None:
        return str(found)
    with ledger.write() as connection:
        add(connection, id_secret, [{"tenant": ledger.tenant, "value": secrets.token_hex(32)}])
        return str(connection.execute(query).scalar_one())
