"""Taking back what a swap of a directory let in: who became member of what.

A revert takes memberships away and gives none, so that a leaver never comes back by it. One whose end would let
somebody in, because a policy denies the group, stays. What was taken back comes again only when a person lets it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, select, update

from moat.ledger import Ledger, holds
from moat.ledger.audit import record
from moat.ledger.members import digest_of, expanded
from moat.ledger.pass_tables import access_pass, pass_member
from moat.ledger.passes import Pass, get
from moat.ledger.tables import directory, member, policy, policy_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A membership that came by a swap."""

    group: str
    member: str
    stays: str  # why a revert leaves it as it is, in words; "" where it takes it back

    @property
    def pair(self) -> tuple[str, str]:
        return self.group, self.member


def gains(ledger: Ledger, found: Pass) -> list[Came]:
    """What came by a swap, and what of it a revert takes back now."""
    with ledger.read() as connection:
        return _gains(connection, ledger.tenant, found)


def take_back(ledger: Ledger, number: int, by: str, because: str) -> list[Came]:
    """Take the memberships of a swap away that stand by it, in one transaction; returns all of the swap.

    A release that was not used yet is used up, so that nothing comes again without a new decision.
    """
    found = get(ledger, number)
    tenant, name = ledger.tenant, found.source
    where, own = (directory.c.tenant == tenant, directory.c.name == name), _own(tenant, name)
    with ledger.write() as connection:
        before = connection.execute(select(directory).where(*where).with_for_update()).one()
        every = _gains(connection, tenant, found)
        taken = [one.pair for one in every if not one.stays]
        if taken:
            gone = delete(member).where(*own, member.c.group == bindparam("of"), member.c.member == bindparam("who"))
            connection.execute(gone, [{"of": group, "who": who} for group, who in taken])
            _mark(connection, [(number, *pair) for pair in taken], kept_out=True)
        left = frozenset((row.group, row.member) for row in connection.execute(select(member).where(*own)))
        now = {"revision": before.revision + 1, "digest": digest_of(left), "n_memberships": len(left)}
        connection.execute(update(directory).where(*where).values(now))
        mark_of_pass = update(access_pass).where(access_pass.c.id == number)
        connection.execute(mark_of_pass.values(reverted_at=datetime.now(UTC), reverted_by=by))
        holds.over(connection, tenant, "directory", name)
        detail = {"pass": number, "memberships": len(taken), "digest": now["digest"], "because": because}
        record(connection, tenant, actor=by, action="revert", subject=f"members of directory {name}", detail=detail)
    return every


def kept_out(ledger: Ledger, name: str) -> dict[tuple[str, str], int]:
    """Memberships of a directory that only a person lets in again, with the pass that let them in before."""
    with ledger.read() as connection:
        query = select(pass_member).join(access_pass, access_pass.c.id == pass_member.c.pass_id)
        rows = connection.execute(query.where(*_swaps(ledger.tenant, name), pass_member.c.kept_out)).all()
    return {(row.group, row.member): row.pass_id for row in rows}


def in_step(ledger: Ledger, name: str, wanted: Collection[tuple[str, str]] | None = None) -> None:
    """End what keeps members out: a person has let them in, or the directory asks for them no more.

    Args:
        ledger: The ledger.
        name: The directory.
        wanted: What it asks for as a whole; None: a person gave its groups by hand, which decides all of it.
    """
    kept = kept_out(ledger, name)
    if not kept:
        return
    with ledger.write() as connection:
        there = {
            (row.group, row.member) for row in connection.execute(select(member).where(*_own(ledger.tenant, name)))
        }
        over = [
            (number, *pair) for pair, number in kept.items() if wanted is None or pair in there or pair not in wanted
        ]
        _mark(connection, over, kept_out=False)


def _mark(connection: Connection, rows: Sequence[tuple[int, str, str]], *, kept_out: bool) -> None:
    """Keep these memberships of a pass, as (pass, group, member), out from now on, or no longer."""
    if rows:
        where = (pass_member.c.pass_id == bindparam("n"), pass_member.c.group == bindparam("of"))
        change = update(pass_member).where(*where, pass_member.c.member == bindparam("who")).values(kept_out=kept_out)
        connection.execute(change, [{"n": number, "of": group, "who": who} for number, group, who in rows])


def newest(ledger: Ledger, name: str) -> int:
    """Number of the newest swap of a directory that let somebody in; 0: none."""
    with ledger.read() as connection:
        query = select(func.max(access_pass.c.id)).where(*_swaps(ledger.tenant, name))
        return connection.execute(query).scalar() or 0


def _gains(connection: Connection, tenant: str, found: Pass) -> list[Came]:
    later = pass_member.alias()
    swaps = select(access_pass.c.id).where(*_swaps(tenant, found.source))
    newest_of = select(func.max(later.c.pass_id)).where(
        later.c.group == pass_member.c.group, later.c.member == pass_member.c.member,
        later.c.pass_id > found.id, later.c.pass_id.in_(swaps),
    )  # fmt: skip
    pair = and_(member.c.group == pass_member.c.group, member.c.member == pass_member.c.member)
    query = select(
        pass_member.c.group,
        pass_member.c.member,
        newest_of.scalar_subquery().label("later"),
        exists().where(*_own(tenant, found.source), pair).label("there"),
    ).where(pass_member.c.pass_id == found.id)
    rows = connection.execute(query.order_by(pass_member.c.group, pass_member.c.member)).all()
    denied = _denied(connection, tenant, sorted({row.group for row in rows}))
    return [
        Came(group=row.group, member=row.member, stays=_why(row.there, row.later, row.group in denied, found))
        for row in rows
    ]


def _why(there: bool, later: int | None, denied: bool, found: Pass) -> str:
    if not there:
        return "it was taken back already" if found.reverted_at else "it is gone already"
    if later is not None:
        return f"pass {later} let it in again since: `moat access revert {later}` takes that back"
    return "a document is kept from the group, so its end would let somebody in" if denied else ""


def kept_from(ledger: Ledger, groups: Sequence[str]) -> frozenset[str]:
    """Those of the groups from which a policy keeps something, or from one that they are in."""
    with ledger.read() as connection:
        return _denied(connection, ledger.tenant, groups)


def _denied(connection: Connection, tenant: str, groups: Sequence[str]) -> frozenset[str]:
    """Those of the groups from which a policy keeps something, or from one that they are in."""
    query = (
        select(policy_entry.c.principal)
        .join(policy, policy.c.digest == policy_entry.c.digest)
        .where(policy.c.tenant == tenant, policy_entry.c.layer == -1)
    )
    kept_from = set(connection.scalars(query.distinct()))
    if not kept_from:
        return frozenset()
    return frozenset(group for group in groups if kept_from & expanded(connection, tenant, [group]))


def _own(tenant: str, name: str) -> tuple[Any, ...]:
    return (member.c.tenant == tenant, member.c.directory == name)


def _swaps(tenant: str, name: str) -> tuple[Any, ...]:
    return (access_pass.c.tenant == tenant, access_pass.c.kind == "directory", access_pass.c.source == name)
