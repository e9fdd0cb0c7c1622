"""Membership chains: the groups through which an asker gets each principal."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from moat.batching import windows
from moat.ledger.tables import member

Chain = tuple[str, ...]  # from the asker upward: user:ann → group:people → group:everyone


def chains(connection: Connection, tenant: str, asked: Iterable[str]) -> dict[str, Chain]:
    """The shortest chain from these canonical principals to each group above, themselves included."""
    found: dict[str, Chain] = {who: (who,) for who in sorted(asked)}
    edge = list(found)
    while edge:
        above: dict[str, Chain] = {}
        for window in windows(edge):
            query = select(member.c.group, member.c.member).where(member.c.tenant == tenant)
            for row in connection.execute(query.where(member.c.member.in_(window)).order_by(*member.primary_key)):
                if row.group not in found:
                    above.setdefault(row.group, (*found[row.member], row.group))
        found |= above
        edge = list(above)
    return found
