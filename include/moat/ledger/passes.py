"""Passes that let somebody in, of access sync or a swap of a directory, and taking back what one let in.

A pass is recorded with each document that it opened: the access before, the access since. Taking it back
gives these documents the access before, which never admits anybody more: what changed again since stays. A
document that was taken back opens again only when a person lets it. Swaps are taken back in `member_passes`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, select, update

from moat.access.policy import Policy
from moat.batching import windows
from moat.errors import PassRefused
from moat.ledger import Ledger, holds
from moat.ledger.access import Moved, bodies, narrow_now, next_seq, record_audit
from moat.ledger.audit import record
from moat.ledger.pass_tables import access_pass, pass_document, pass_member
from moat.ledger.tables import document
from moat.records import record_of

KEPT = timedelta(days=30)  # for which a pass can be taken back
MOST_CAME = 20_000  # memberships of one swap; of more none is recorded
Kind = Literal["access", "directory"]
Standing = Literal["open", "changed", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass that let somebody in; `documents` is how many it opened, or how many memberships came by a swap."""

    id: int
    kind: Kind
    source: str  # or the directory
    by: str
    at: datetime
    documents: int
    reverted_at: datetime | None
    reverted_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn:
    """A document that a pass opened. `was` is None where it was masked."""

    document: str
    key: str
    was: Policy | None
    now: Policy | None  # None where the ledger no longer has it
    standing: Standing  # open: as the pass left it; changed: its access changed again since
    later: int | None  # the newest pass that opened it after this one


def begun(connection: Connection, ledger: Ledger, name: str, by: str, kind: Kind = "access") -> int:
    """Begin the record of a pass that lets somebody in; returns its number."""
    _forget(connection, ledger.tenant)
    row = {"tenant": ledger.tenant, "kind": kind, "source": name, "by": by, "at": datetime.now(UTC)}
    return int(connection.execute(insert(access_pass).values(row).returning(access_pass.c.id)).scalar_one())


def opened(connection: Connection, number: int, moved: Sequence[Moved], narrowed: Collection[str]) -> None:
    """Record documents that a pass opened, after their access was written; `narrowed` are those it narrowed before."""
    if not moved:
        return
    query = select(document.c.id, document.c.access_version).where(document.c.id.in_([m.document for m in moved]))
    since = {row.id: row.access_version for row in connection.execute(query)}
    before = {i: version - (2 if i in narrowed else 1) for i, version in since.items()}
    rows = [
        {
            "pass_id": number,
            "document_id": m.document,
            "was": m.was,
            "now": m.now,
            "from_version": before[m.document],
            "version": since[m.document],
        }
        for m in moved
    ]
    connection.execute(insert(pass_document), rows)


def came(connection: Connection, ledger: Ledger, name: str, by: str, pairs: Collection[tuple[str, str]]) -> int:
    """Record who became member of what by a swap, as (group, member). Returns the pass's number; 0: none or too many."""
    if not 0 < len(pairs) <= MOST_CAME:
        return 0
    number = begun(connection, ledger, name, by, "directory")
    rows = [{"pass_id": number, "group": group, "member": who, "kept_out": False} for group, who in sorted(pairs)]
    for window in windows(rows):
        connection.execute(insert(pass_member), window)
    return number


def _forget(connection: Connection, tenant: str) -> None:
    """Delete passes that are too old to be taken back; not one of which somebody is kept out still."""
    kept = exists().where(pass_member.c.pass_id == access_pass.c.id, pass_member.c.kept_out)
    old = select(access_pass.c.id).where(access_pass.c.tenant == tenant, access_pass.c.at < datetime.now(UTC) - KEPT)
    numbers = list(connection.scalars(old.where(~kept)))
    for window in windows(numbers):
        connection.execute(delete(pass_document).where(pass_document.c.pass_id.in_(window)))
        connection.execute(delete(pass_member).where(pass_member.c.pass_id.in_(window)))
        connection.execute(delete(access_pass).where(access_pass.c.id.in_(window)))


def listing(ledger: Ledger, name: str | None = None, limit: int = 20) -> list[Pass]:
    """The newest passes that let somebody in, of one source or of all."""
    query = _passes(ledger).order_by(access_pass.c.id.desc()).limit(limit)
    with ledger.read() as connection:
        found = connection.execute(query.where(access_pass.c.source == name) if name else query)
        return [record_of(Pass, row) for row in found]


def get(ledger: Ledger, number: int) -> Pass:
    """A pass by its number. Raises PassRefused if there is none."""
    with ledger.read() as connection:
        row = connection.execute(_passes(ledger).where(access_pass.c.id == number)).first()
    if row is None:
        raise PassRefused(
            f"there is no pass {number} that let somebody in, or it is older than {KEPT.days} days; "
            "`moat access passes` lists them"
        )
    return record_of(Pass, row)


def documents(ledger: Ledger, number: int) -> list[LetIn]:
    """What a pass opened, by key, and how each document stands now."""
    later = pass_document.alias()
    newest = select(func.max(later.c.pass_id)).where(
        later.c.document_id == pass_document.c.document_id, later.c.pass_id > pass_document.c.pass_id
    )
    query = (
        select(
            document.c.id,
            document.c.key,
            document.c.policy,
            document.c.access_version,
            document.c.erased_at,
            pass_document.c.was,
            pass_document.c.now,
            pass_document.c.version,
            newest.scalar_subquery().label("later"),
        )
        .join(pass_document, pass_document.c.document_id == document.c.id)
        .where(pass_document.c.pass_id == number, document.c.tenant == ledger.tenant)
        .order_by(document.c.key)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).all()
        held = bodies(connection, {digest for r in rows for digest in (r.was, r.now) if digest})
    return [
        LetIn(
            document=r.id,
            key=r.key,
            was=held.get(r.was),
            now=held.get(r.now),
            standing=_standing(r),
            later=r.later,
        )
        for r in rows
    ]


def _standing(row: Any) -> Standing:
    if row.erased_at is not None:
        return "erased"
    return "open" if (row.policy, row.access_version) == (row.now, row.version) else "changed"


def take_back(ledger: Ledger, number: int, some: Sequence[str], by: str, because: str) -> list[Moved]:
    """Give documents of a pass, by their ids, the access that they had before it, in transactions of a thousand.

    Returns the changes. Documents whose access changed again since are left as they are. A release that was not
    used yet is used up, so that nothing opens again without a new decision.
    """
    found, taken = get(ledger, number), list[Moved]()
    with ledger.write() as connection:
        holds.over(connection, ledger.tenant, "widening", found.source, states=("released",))
    for window in windows(some):
        with ledger.write() as connection:
            taken += _take_back(connection, ledger, found=found, some=window, by=by, because=because)
    with ledger.write() as connection:
        mark = update(access_pass).where(access_pass.c.id == number)
        connection.execute(mark.values(reverted_at=datetime.now(UTC), reverted_by=by))
        detail = {"pass": number, "documents": len(taken), "because": because}
        record(connection, ledger.tenant, actor=by, action="revert", subject=f"access of {found.source}", detail=detail)
    return taken


def _take_back(
    connection: Connection, ledger: Ledger, found: Pass, some: Sequence[str], by: str, because: str
) -> list[Moved]:
    seq = next_seq(connection, ledger, found.source)  # first: its lock keeps other writers of the source away
    query = (
        select(document.c.id, pass_document.c.was, pass_document.c.version, pass_document.c.from_version)
        .join(pass_document, pass_document.c.document_id == document.c.id)
        .where(pass_document.c.pass_id == found.id, document.c.id.in_(some))
        .where(document.c.policy == pass_document.c.now, document.c.access_version == pass_document.c.version)
        .where(document.c.erased_at.is_(None))
    )
    rows, moved = connection.execute(query).all(), list[Moved]()
    before = bodies(connection, {r.was for r in rows if r.was})
    narrow_now(connection, ledger, {r.id: before.get(r.was) for r in rows}, seq, moved)
    if moved:
        why = f"was taken back by the revert of pass {found.id}"
        back = update(document).where(document.c.id.in_([m.document for m in moved]))
        connection.execute(back.values(kept_back=why))
        now = {m.document: m.now for m in moved}
        _as_before(connection, [r for r in rows if now.get(r.id)], now)
        how = f"taken back, pass {found.id}" + (f": {because}" if because else "")
        record_audit(connection, ledger, name=found.source, by=by, how=how, moved=moved)
    return moved


def _as_before(connection: Connection, rows: Sequence[Any], now: Mapping[str, str | None]) -> None:
    """Let the pass before be taken back as well: what it opened stands again as it left it, or narrower."""
    if rows:
        left = update(pass_document).where(pass_document.c.document_id == bindparam("of"))
        left = left.where(pass_document.c.version == bindparam("before"))
        again = [{"of": r.id, "before": r.from_version, "since": r.version + 1, "is_now": now[r.id]} for r in rows]
        connection.execute(left.values(version=bindparam("since"), now=bindparam("is_now")), again)


def open_since(ledger: Ledger, name: str, since: datetime, keys: Sequence[str] = ()) -> list[Pass]:
    """Passes since then, or that opened one of these documents, of which something still stands open, newest first.

    `documents` counts those that still stand open.
    """
    still = (
        select(pass_document.c.pass_id, func.count().label("n"))
        .join(document, document.c.id == pass_document.c.document_id)
        .where(document.c.policy == pass_document.c.now, document.c.access_version == pass_document.c.version)
        .where(document.c.tenant == ledger.tenant, document.c.source == name, document.c.erased_at.is_(None))
        .group_by(pass_document.c.pass_id)
    )
    named = still.where(document.c.key.in_(keys))
    with ledger.read() as connection:
        n_of = {row.pass_id: row.n for row in connection.execute(still)}
        opened = {row.pass_id for row in connection.execute(named)} if keys else set()
        found = [
            record_of(Pass, row)
            for row in connection.execute(
                _passes(ledger).where(access_pass.c.source == name, access_pass.c.kind == "access")
            )
        ]
    wanted = [one for one in found if one.id in n_of and (one.at >= since or one.id in opened)]
    return [replace(one, documents=n_of[one.id]) for one in sorted(wanted, key=lambda one: -one.id)]


def _passes(ledger: Ledger) -> Select[Any]:
    opened_, came_ = (
        select(func.count()).where(table.c.pass_id == access_pass.c.id).scalar_subquery()
        for table in (pass_document, pass_member)
    )
    n = (opened_ + came_).label("documents")
    columns = [n if name == "documents" else access_pass.c[name] for name in Pass.__dataclass_fields__]
    return select(*columns).where(access_pass.c.tenant == ledger.tenant)
