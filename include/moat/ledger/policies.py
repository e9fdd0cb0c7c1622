"""Policies as stored in the ledger, and which of them an asker satisfies."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, delete, exists, select

from moat.access.policy import PUBLIC, Policy, access_token
from moat.batching import windows
from moat.ledger import Ledger, add, write_alone
from moat.ledger.loads import LIVE
from moat.ledger.pass_tables import pass_document
from moat.ledger.tables import access_change, document, hold_document, load, policy, policy_entry


def keep(connection: Connection, tenant: str, policies: Iterable[Policy]) -> dict[str, str]:
    """Insert policies new to the ledger; returns digests by canonical JSON."""
    digests: dict[str, str] = {}
    rows, entries = [], []
    for p in policies:
        digest = digests[p.text()] = p.digest(tenant)
        rows.append({"digest": digest, "tenant": tenant, "body": p.text(), "n_layers": len(p.layers), "plain": p.plain})
        entries += [
            {"digest": digest, "layer": number, "principal": principal, "wide": not p.plain}
            for number, layer in (*enumerate(p.layers), (-1, p.deny))
            for principal in layer
        ]
    add(connection, policy, rows)
    for window in windows(entries):
        add(connection, policy_entry, window)
    return digests


def clear(ledger: Ledger) -> int:
    """Delete the policies that no document, load in progress, hold or pass uses; returns their number."""
    used = (document.c.policy, access_change.c.policy, hold_document.c.policy, pass_document.c.was)
    unused = select(policy.c.digest).where(
        policy.c.tenant == ledger.tenant, *(~exists().where(column == policy.c.digest) for column in used)
    )
    with ledger.write() as connection:
        # Whoever uses a policy inserts it in the same transaction: this waits for them, and they for this.
        write_alone(connection, policy)
        alive = exists().where(load.c.id == access_change.c.load_id, load.c.state.in_(LIVE))
        connection.execute(delete(access_change).where(~alive))
        digests = list(connection.scalars(unused))
        for window in windows(digests):
            connection.execute(delete(policy_entry).where(policy_entry.c.digest.in_(window)))
            connection.execute(delete(policy).where(policy.c.digest.in_(window)))
        return len(digests)


def access_tokens_of(connection: Connection, tenant: str, principals: frozenset[str]) -> list[str]:
    """Access tokens of these principals: their own, `public`, and those of satisfied policies."""
    wide = satisfied(connection, tenant, principals, policy_entry.c.wide.is_(True))
    return sorted(access_token(tenant, p) for p in principals | {PUBLIC}) + [f"p:{digest}" for digest in wide]


def satisfied(
    connection: Connection, tenant: str, principals: frozenset[str], *conditions: ColumnElement[bool]
) -> list[str]:
    """Digests of the policies that these principals satisfy, sorted: every layer met, no deny."""
    layers: dict[str, set[int]] = {}
    needed: dict[str, int] = {}
    query = (
        select(policy_entry.c.digest, policy_entry.c.layer, policy.c.n_layers)
        .join(policy, policy.c.digest == policy_entry.c.digest)
        .where(policy.c.tenant == tenant, *conditions)
        .distinct()
    )
    for window in windows(principals | {PUBLIC}):
        for digest, layer, n_layers in connection.execute(query.where(policy_entry.c.principal.in_(window))):
            layers.setdefault(digest, set()).add(layer)
            needed[digest] = n_layers
    return sorted(digest for digest, met in layers.items() if -1 not in met and len(met) == needed[digest])
