"""The secret of a tenant that keys the ids of its chunks."""

import secrets

from sqlalchemy import select

from moat.ledger import Ledger, add
from moat.ledger.tables import id_secret


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
