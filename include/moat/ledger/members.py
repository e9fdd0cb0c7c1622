"""Group memberships by directory, and the principals of an asker.

A group is identified by its directory and its immutable id, `group:okta/00g1a2b3`, so that groups
of the same name at two sites stay separate. A name without a directory, `group:everyone`, is the
company's own and belongs to the one directory that defines it.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from moat.access.policy import canonical, directory_of
from moat.batching import windows
from moat.errors import DirectoryStale, DirectoryUnavailable, FatalError, TooManyPrincipals
from moat.ids import joined, text_hash
from moat.ledger import Ledger, add, passes
from moat.ledger.audit import record
from moat.ledger.documents import visible
from moat.ledger.holds import over
from moat.ledger.tables import directory, document, member, policy, policy_entry, revision, source
from moat.records import record_of

MOST_PRINCIPALS = 20_000  # of one asker, groups expanded; more means a broken directory and gives no result


def fresh(connection: Connection, tenant: str) -> int:
    """The revision of all memberships; it rises with every swap of a directory.

    Raises DirectoryStale for a directory not read for longer than it allows: it is then unknown who
    was removed from a group or added to a denied one.
    """
    rows = connection.execute(
        select(directory.c.name, directory.c.revision, directory.c.read_at, directory.c.max_age_s).where(
            directory.c.tenant == tenant
        )
    ).all()
    now = datetime.now(UTC)
    for row in rows:
        if row.max_age_s is not None and (row.read_at is None or row.read_at + timedelta(seconds=row.max_age_s) < now):
            when = f"{row.read_at:%Y-%m-%d %H:%M} UTC" if row.read_at else "never"
            raise DirectoryStale(
                f"directory {row.name} was last read {when}, and may be {row.max_age_s:,} s old at the most: "
                f"look at the DAG sync_directory, or run `moat directory sync`; `moat directory remove {row.name}` where it is declared no more"
            )
    return sum(row.revision for row in rows)


def principals_of(connection: Connection, tenant: str, asker: str) -> frozenset[str]:
    """The canonical asker with every group that contains them, directly or through other groups.

    Empty for an unknown asker: in no group, no group with members, and allowed by name by no policy of a
    present document. Raises AccessUnknown for an asker that cannot be read, TooManyPrincipals above the limit.
    """
    who = canonical(asker)
    return _if_known(connection, tenant, who, expanded(connection, tenant, [who]))


def _if_known(connection: Connection, tenant: str, who: str, found: frozenset[str]) -> frozenset[str]:
    return found if len(found) > 1 or _named(connection, tenant, who) else frozenset()


def expanded(
    connection: Connection, tenant: str, asked: Iterable[str], instead: "tuple[str, Pairs] | None" = None
) -> frozenset[str]:
    """These canonical principals with every group above them. Raises TooManyPrincipals.

    With `instead`, as it would be if the directory of that name had those memberships.
    """
    edge, own = set(asked), dict[str, set[str]]()
    found = set(edge)
    stored = select(member.c.group).where(member.c.tenant == tenant)
    if instead is not None:
        stored = stored.where(member.c.directory != instead[0])
        for group, who in instead[1]:
            own.setdefault(who, set()).add(group)
    while True:  # breadth first; cycles end because found groups are not expanded again
        if len(found) > MOST_PRINCIPALS:
            raise TooManyPrincipals(
                f"{min(asked)} stands for more than {MOST_PRINCIPALS:,} principals: look at the directory's groups"
            )
        if not edge:
            return frozenset(found)
        above = set[str]().union(*(own.get(who, ()) for who in edge))
        for window in windows(edge):
            above.update(connection.scalars(stored.where(member.c.member.in_(window)).distinct()))
        edge = above - found
        found |= edge


def people_of_groups(ledger: Ledger, most: int) -> dict[str, frozenset[str]] | None:
    """People in each group of all directories, nested ones included; None above `most` memberships."""
    mine = member.c.tenant == ledger.tenant
    with ledger.read() as connection:
        if connection.execute(select(func.count()).select_from(member).where(mine)).scalar_one() > most:
            return None
        rows = connection.execute(select(member.c.group, member.c.member).where(mine)).all()
    return people_of((row.group, row.member) for row in rows)


def people_of(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """People in each group, by memberships as (group, member); those of nested groups are included."""
    inside: dict[str, set[str]] = defaultdict(set)
    for group, who in pairs:
        inside[group].add(who)
    found: dict[str, frozenset[str]] = {}
    for group in inside:
        seen, edge = {group}, {group}
        while edge := set().union(*(inside[g] for g in edge if g in inside)) - seen:
            seen |= edge
        found[group] = frozenset(who for who in seen if who not in inside and not who.startswith("group:"))
    return found


def _named(connection: Connection, tenant: str, who: str) -> bool:
    """Whether a policy of a present document allows them by name, or they are a group with members.

    A deny makes nobody known, nor does one layer of several. A document is present while it is visible and its
    source's access can be read.
    """
    theirs = (policy_entry.c.digest == policy.c.digest, policy_entry.c.principal == who, policy_entry.c.layer >= 0)
    in_policy = (
        select(policy.c.digest)
        .join(document, document.c.policy == policy.c.digest)
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .outerjoin(source, and_(source.c.tenant == document.c.tenant, source.c.name == document.c.source))
        .where(policy.c.digest.in_(select(policy_entry.c.digest).where(policy_entry.c.principal == who)))
        .where(policy.c.n_layers == select(func.count()).where(*theirs).correlate(policy).scalar_subquery())
        .where(document.c.tenant == tenant, document.c.erased_at.is_(None))
        .where(or_(source.c.access_until.is_(None), source.c.access_until > datetime.now(UTC)))
        .limit(1)
    )
    has_members = select(member.c.member).where(member.c.tenant == tenant, member.c.group == who).limit(1)
    return any(connection.execute(query).first() is not None for query in (in_policy, has_members))


class Expansions:
    """A short-lived cache of askers' groups.

    The key is the ledger, the tenant, the asker and the revision of all memberships, so a swap of a
    directory is another key. Whether a document names an asker who is in no group is looked up each time:
    such a document may come and go at any moment.
    """

    def __init__(self, ledger: Ledger, seconds: float, most: int = 10_000) -> None:
        self._ledger, self._seconds, self._most = ledger, seconds, most
        self._kept: dict[tuple[str, str, str, int], tuple[float, frozenset[str]]] = {}

    def of(self, connection: Connection, asker: str) -> frozenset[str]:
        """Cached `principals_of`. Raises DirectoryStale as well."""
        tenant, now = self._ledger.tenant, time.monotonic()
        key = (self._ledger.url, tenant, canonical(asker), fresh(connection, tenant))
        who = key[2]
        made, found = self._kept.get(key, (-self._seconds, frozenset[str]()))
        if now - made >= self._seconds:
            found = expanded(connection, tenant, [who])
            if len(self._kept) >= self._most:
                self._kept.clear()
            self._kept[key] = (now, found)
        return _if_known(connection, tenant, who, found)


Pairs = frozenset[tuple[str, str]]  # canonical (group, member)


def digest_of(pairs: Pairs) -> str:
    """Digest of a directory's memberships."""
    return text_hash(joined(*(part for pair in sorted(pairs) for part in pair)))


def memberships(ledger: Ledger, name: str) -> tuple[int, Pairs]:
    """A directory's revision, 0 if never read, and its memberships."""
    mine = (directory.c.tenant == ledger.tenant, directory.c.name == name)
    query = select(member.c.group, member.c.member).where(member.c.tenant == ledger.tenant, member.c.directory == name)
    with ledger.read() as connection:
        revision = connection.execute(select(directory.c.revision).where(*mine)).scalar() or 0
        return revision, frozenset((row.group, row.member) for row in connection.execute(query))


def elsewhere(ledger: Ledger, name: str) -> Pairs:
    """Memberships of all directories but this one."""
    mine = (member.c.tenant == ledger.tenant, member.c.directory != name)
    with ledger.read() as connection:
        rows = connection.execute(select(member.c.group, member.c.member).where(*mine))
        return frozenset((row.group, row.member) for row in rows)


def replace_members(
    ledger: Ledger,
    name: str,
    groups: Mapping[str, Sequence[str]],
    by: str,
    max_age_s: int | None = None,
    *,
    revision: int | None = None,
    waiting: str = "",
) -> int:
    """Replace a directory's groups in one transaction. Returns the number of memberships.

    With `revision`, only if the directory is still at that one, so that an older reading never replaces
    a newer swap. Ends the directory's holds, except the one with the digest `waiting`. Raises AccessUnknown for a name that cannot be read,
    FatalError for a group of another directory, DirectoryUnavailable for another revision; nothing has
    changed then.
    """
    mine = [canonical(group) for group in groups]
    if len(set(mine)) != len(mine):
        twice = next(group for group in mine if mine.count(group) > 1)
        raise FatalError(f"directory {name}: {twice} is there twice, in two spellings; a group's id must be its own")
    pairs = frozenset((canonical(group), canonical(who)) for group, members in groups.items() for who in members)
    rows = [{"tenant": ledger.tenant, "directory": name, "group": g, "member": m} for g, m in sorted(pairs)]
    digest = digest_of(pairs)
    now = datetime.now(UTC)
    with ledger.write() as connection:
        _refuse_others(connection, ledger.tenant, name, mine)
        mark = {"tenant": ledger.tenant, "name": name, "revision": 0, "digest": "", "n_groups": 0, "n_memberships": 0}
        add(connection, directory, [mark])
        where = (directory.c.tenant == ledger.tenant, directory.c.name == name)
        before = connection.execute(select(directory).where(*where).with_for_update()).one()
        if revision is not None and before.revision != revision:
            raise DirectoryUnavailable(f"directory {name} was swapped by another reading meanwhile; read it again")
        if digest != before.digest:
            own = (member.c.tenant == ledger.tenant, member.c.directory == name)
            if before.revision:  # a first reading is no gain
                had = {(row.group, row.member) for row in connection.execute(select(member).where(*own))}
                passes.came(connection, ledger, name, by, pairs - had)
            connection.execute(delete(member).where(*own))
            for window in windows(rows):
                connection.execute(insert(member), window)
        connection.execute(
            update(directory)
            .where(*where)
            .values(
                revision=before.revision + 1,
                digest=digest,
                n_groups=len(mine),
                n_memberships=len(rows),
                read_at=now,
                failed_at=None,
                error=None,
                max_age_s=max_age_s,
            )
        )
        if digest != before.digest:
            detail = {"groups": len(mine), "memberships": len(rows), "before": before.n_memberships, "digest": digest}
            record(connection, ledger.tenant, actor=by, action="members", subject=f"directory {name}", detail=detail)
        over(connection, ledger.tenant, "directory", name, but=waiting)
    return len(rows)


def _refuse_others(connection: Connection, tenant: str, name: str, groups: Sequence[str]) -> None:
    """Raise FatalError for a group that this directory may not define."""
    for group in groups:
        if directory_of(group) not in ("", name):
            raise FatalError(f"directory {name} cannot define {group}: it is one of directory {directory_of(group)}")
    for window in windows(groups):
        taken = connection.execute(
            select(member.c.group, member.c.directory)
            .where(member.c.tenant == tenant, member.c.directory != name, member.c.group.in_(window))
            .limit(1)
        ).first()
        if taken is not None:
            raise FatalError(
                f"directory {name} cannot define {taken.group}: directory {taken.directory} does, and two groups of one "
                f"name are not one group. Write group:{name}/{taken.group.partition(':')[2]}"
            )


def failed(ledger: Ledger, name: str, error: str) -> None:
    """Record that a directory could not be read; changes nothing else."""
    where = (directory.c.tenant == ledger.tenant, directory.c.name == name)
    with ledger.write() as connection:
        since = func.coalesce(directory.c.failed_at, datetime.now(UTC))
        connection.execute(update(directory).where(*where).values(failed_at=since, error=error[:2_000]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryState:
    """A directory as stored in the ledger."""

    name: str
    revision: int
    digest: str
    n_groups: int
    n_memberships: int
    read_at: datetime | None
    failed_at: datetime | None
    error: str | None
    max_age_s: int | None


def directories(ledger: Ledger) -> list[DirectoryState]:
    """Every directory, by name."""
    columns: list[Any] = [directory.c[name] for name in DirectoryState.__dataclass_fields__]
    query = select(*columns).where(directory.c.tenant == ledger.tenant).order_by(directory.c.name)
    with ledger.read() as connection:
        return [record_of(DirectoryState, row) for row in connection.execute(query)]
