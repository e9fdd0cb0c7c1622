"""Policies and people: what the ledger keeps of them, and what an asker satisfies."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select

from include.access import PUBLIC, Policy, canonical, token
from include.errors import TooManyPrincipals
from include.ledger import Ledger, add, windows
from include.ledger.audit import record
from include.ledger.tables import member, policy, policy_entry

MOST_PRINCIPALS = 20_000  # of one asker, groups expanded; more is a broken directory, and gives nothing


def keep(connection: Connection, tenant: str, policies: Iterable[Policy]) -> dict[str, str]:
    """Write policies that the ledger does not have; returns their digests by canonical JSON."""
    digests: dict[str, str] = {}
    rows, entries = [], []
    for p in policies:
        digest = digests[p.text()] = p.digest(tenant)
        rows.append({"digest": digest, "tenant": tenant, "body": p.text(), "n_layers": len(p.layers), "plain": p.plain})
        entries += [{"digest": digest, "layer": -1, "principal": principal} for principal in p.deny]
        entries += [
            {"digest": digest, "layer": number, "principal": principal}
            for number, layer in enumerate(p.layers)
            for principal in layer
        ]
    add(connection, policy, rows)
    for window in windows(entries):
        add(connection, policy_entry, window)
    return digests


def principals_of(connection: Connection, tenant: str, asker: str) -> frozenset[str]:
    """The canonical asker with every group that holds them, directly or through other groups.

    Empty when nobody knows the asker: in no group and in no policy. Raises AccessUnknown for an
    asker that cannot be read, TooManyPrincipals past the limit.
    """
    who = canonical(asker)
    found, edge = {who}, {who}
    while edge:  # breadth first; a cycle ends because what was found is not looked at again
        above: set[str] = set()
        for window in windows(edge):
            above.update(
                connection.scalars(
                    select(member.c.group).where(member.c.tenant == tenant, member.c.member.in_(window)).distinct()
                )
            )
        edge = above - found
        found |= edge
        if len(found) > MOST_PRINCIPALS:
            raise TooManyPrincipals(
                f"{who} stands for more than {MOST_PRINCIPALS:,} principals: look at the directory's groups"
            )
    if len(found) == 1:
        named = select(policy_entry.c.principal).join(policy, policy.c.digest == policy_entry.c.digest)
        if (
            connection.execute(named.where(policy.c.tenant == tenant, policy_entry.c.principal == who).limit(1)).first()
            is None
        ):
            return frozenset()
    return frozenset(found)


def tokens_of(connection: Connection, tenant: str, principals: frozenset[str]) -> list[str]:
    """Every token that lets these principals in: their own, `public`, and the policies they satisfy."""
    everyone = principals | {PUBLIC}
    layers: dict[str, set[int]] = {}
    wide = select(policy_entry.c.digest, policy_entry.c.layer, policy.c.n_layers).join(
        policy, policy.c.digest == policy_entry.c.digest
    )
    needed: dict[str, int] = {}
    for window in windows(everyone):
        query = wide.where(
            policy.c.tenant == tenant, policy.c.plain.is_(False), policy_entry.c.principal.in_(window)
        ).distinct()
        for digest, layer, n_layers in connection.execute(query):
            layers.setdefault(digest, set()).add(layer)
            needed[digest] = n_layers
    satisfied = [d for d, met in layers.items() if -1 not in met and len(met) == needed[d]]
    return sorted(token(tenant, p) for p in everyone) + sorted(f"p:{digest}" for digest in satisfied)


def replace_members(ledger: Ledger, directory: str, groups: dict[str, list[str]], by: str) -> int:
    """Make a directory's groups exactly these, in one transaction. Returns the number of memberships.

    Raises AccessUnknown for a name that cannot be read; then nothing has changed.
    """
    pairs = {(canonical(group), canonical(who)) for group, members in groups.items() for who in members}
    rows = [{"tenant": ledger.tenant, "directory": directory, "group": g, "member": m} for g, m in sorted(pairs)]
    with ledger.write() as connection:
        connection.execute(delete(member).where(member.c.tenant == ledger.tenant, member.c.directory == directory))
        for window in windows(rows):
            connection.execute(insert(member), window)
        record(
            connection,
            ledger.tenant,
            by,
            "members",
            f"directory {directory}",
            {"groups": len(groups), "memberships": len(rows)},
        )
    return len(rows)


def count_members(ledger: Ledger) -> int:
    """How many memberships the ledger has, over all directories."""
    with ledger.read() as connection:
        return connection.execute(
            select(func.count()).select_from(member).where(member.c.tenant == ledger.tenant)
        ).scalar_one()
