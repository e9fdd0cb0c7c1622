"""One group or person as the directories have them: who is in it, what it is in."""

from typing import NamedTuple

from sqlalchemy import func, select, union

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.tables import member

MOST_PEOPLE = 10_000  # that are counted in a group and the groups inside it


class Membership(NamedTuple):
    """One line of a directory."""

    name: str  # of the member, or of the group
    directory: str


class Looked(NamedTuple):
    """What the directories say of one principal."""

    members: list[Membership]  # direct ones, the first by name
    n_members: int
    groups: list[Membership]  # that it is in directly
    people: int | None  # with those of groups inside it; None: more than `MOST_PEOPLE`


def look(ledger: Ledger, name: str, limit: int) -> Looked | None:
    """A group's or person's memberships; None: no directory names it.

    Args:
        ledger: The tenant's ledger.
        name: Its canonical name, such as `group:staff`.
        limit: At most so many direct members.

    Raises:
        LedgerError: The database did not answer.
    """
    mine = member.c.tenant == ledger.tenant
    inside = select(member.c.member, member.c.directory).where(mine, member.c.group == name)
    above = select(member.c.group, member.c.directory).where(mine, member.c.member == name).order_by("group")
    with ledger.read() as connection:
        n = connection.scalar(select(func.count()).select_from(inside.subquery())) or 0
        members = [Membership(*row) for row in connection.execute(inside.order_by(member.c.member).limit(limit))]
        groups = [Membership(*row) for row in connection.execute(above)]
    if not (members or groups):
        return None
    return Looked(members, n, groups, _people(ledger, name) if members else 0)


def _people(ledger: Ledger, name: str) -> int | None:
    """How many people are in a group, directly or through groups inside it."""
    stored = select(member.c.member).where(member.c.tenant == ledger.tenant)
    seen, edge = {name}, {name}
    with ledger.read() as connection:
        while edge and len(seen) <= MOST_PEOPLE:
            below = set[str]()
            for window in windows(sorted(edge)):
                below.update(connection.scalars(stored.where(member.c.group.in_(window)).distinct()))
            edge = below - seen
            seen |= edge
    return None if edge else sum(not one.startswith("group:") for one in seen)


def like(ledger: Ledger, words: str, limit: int) -> list[str]:
    """Groups and members whose name has these words in it, in any letter case, by name."""
    named = (
        select(column).where(member.c.tenant == ledger.tenant, column.icontains(words, autoescape=True))
        for column in (member.c.group, member.c.member)
    )
    both = union(*named).subquery()
    with ledger.read() as connection:
        return list(connection.scalars(select(both.c[0]).order_by(both.c[0]).limit(limit)))
