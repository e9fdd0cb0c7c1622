"""Ledger queries of the access sync: compare access, record revocations first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from moat.access.policy import PUBLIC, Policy
from moat.batching import windows
from moat.ledger import Ledger, passes
from moat.ledger.access import Moved, bodies, decided, live_change, narrow_now, next_seq, record_audit, write
from moat.ledger.documents import promoted, visible
from moat.ledger.former_names import document_ids
from moat.ledger.loads import LIVE, Load
from moat.ledger.policies import keep
from moat.ledger.tables import access_change, document, hold_document, load, policy_entry, revision, source
from moat.records import Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A document whose access at the source differs from the ledger."""

    document: str
    key: str
    wanted: Policy | None  # None: unknown
    digest: str | None
    same_content: bool  # the source still has the visible content


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """A document that more people could read. Digests; `was` is None where it is masked."""

    document: str
    key: str
    was: str | None
    now: str
    wanted: Policy  # of the digest `now`
    public: bool  # whether it becomes public
    who: str  # its readers, in words: before → after
    kept_back: str  # why a person has to let it in, whatever the limits say; "" where none has to


def begun(ledger: Ledger, name: str, max_age_s: float, at_least_s: float) -> None:
    """Note when a source is masked if its sync ends without a word, as one that is killed does.

    That is `max_age_s` after the last complete reading, and no sooner than `at_least_s` from now. A complete
    reading takes it back, a failed one sets its own.
    """
    now, where = datetime.now(UTC), (source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.write() as connection:
        read_at = connection.execute(select(source.c.access_read_at).where(*where)).scalar_one()
        until = max((read_at or now) + timedelta(seconds=max_age_s), now + timedelta(seconds=at_least_s))
        noted = update(source).where(*where, source.c.access_until.is_(None))
        connection.execute(noted.values(access_until=until))


def compare(ledger: Ledger, name: str, listed: Sequence[Listed]) -> list[Observed]:
    """Listed documents whose access differs from the ledger or a load in progress."""
    of = dict(zip(document_ids(ledger, name, (one.key for one in listed)), listed, strict=True))
    policies = {one.policy: Policy.from_text(one.policy) for one in listed if one.policy}
    digests = {text: policy.digest(ledger.tenant) for text, policy in policies.items()}
    query = (
        select(document.c.id, document.c.policy, access_change.c.policy.label("coming"), revision.c.fingerprint)
        .select_from(document)
        .outerjoin(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .outerjoin(access_change, and_(access_change.c.document_id == document.c.id, live_change()))
        .where(document.c.erased_at.is_(None))
    )
    found = []
    with ledger.read() as connection:
        for window in windows(of):
            for row in connection.execute(query.where(document.c.id.in_(window))):
                one = of[row.id]
                digest = digests[one.policy] if one.policy else None
                if digest != row.policy or (row.coming is not None and row.coming != digest):
                    wanted = policies[one.policy] if one.policy else None
                    found.append(
                        Observed(
                            document=row.id,
                            key=one.key,
                            wanted=wanted,
                            digest=digest,
                            same_content=row.fingerprint == one.fingerprint,
                        )
                    )
    return found


def coming_keys(ledger: Ledger, name: str) -> list[str]:
    """Keys of documents whose access a load in progress will widen."""
    query = (
        select(document.c.key)
        .join(access_change, access_change.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, document.c.source == name, live_change())
    )
    with ledger.read() as connection:
        return list(connection.scalars(query))


def drop_coming(ledger: Ledger, name: str, keys: Sequence[str]) -> None:
    """Cancel pending widenings of documents that the source no longer lists."""
    if not keys:
        return
    ids = document_ids(ledger, name, keys)
    with ledger.write() as connection:
        next_seq(connection, ledger, name)
        for window in windows(ids):
            _drop(connection, window)


def _drop(connection: Connection, documents: Sequence[str], but: str | None = None) -> None:
    live = select(load.c.id).where(load.c.state.in_(LIVE))
    gone = delete(access_change).where(access_change.c.document_id.in_(documents), access_change.c.load_id.in_(live))
    connection.execute(gone.where(access_change.c.policy != but) if but else gone)


def revoke(
    ledger: Ledger, name: str, observed: Sequence[Observed], base: int, by: str
) -> tuple[list[Moved], dict[str, int]]:
    """Record the narrowing part of these observations, in transactions of a thousand documents.

    Returns the changes, and by document the access number under which each was recorded, for documents
    whose access nobody else recorded after `base`. A load in progress that would have given access to
    more readers than the source now allows gives it to no new reader.
    """
    moved, own = list[Moved](), dict[str, int]()
    for window in windows(observed):
        with ledger.write() as connection:
            seq = next_seq(connection, ledger, name)
            changed = list[Moved]()
            rows = narrow_now(connection, ledger, {o.document: o.wanted for o in window}, seq, changed)
            for digest in {o.digest for o in window}:
                _drop(connection, [o.document for o in window if o.digest == digest], but=digest)
            record_audit(connection, ledger, name=name, by=by, how="narrowed", moved=changed)
        own |= {m.document: seq for m in changed if rows[m.document].seen <= base}
        moved += changed
    return moved, own


def widenings(ledger: Ledger, observed: Sequence[Observed], base: int, own: Mapping[str, int]) -> list[Widening]:
    """Observed accesses that add readers compared with the ledger and that may be recorded.

    Leaves out documents whose content differs from the visible one (their load brings the access with
    the content), and those whose access was recorded after `base`.
    """
    of, found = {o.document: o for o in observed if o.wanted is not None and o.same_content}, list[Widening]()
    with ledger.read() as connection:
        for window in windows(of):
            rows = [r for r in _present(connection, window) if r.policy != of[r.id].digest]
            held = bodies(connection, {r.policy for r in rows if r.policy})
            for r in rows:
                wanted, was = of[r.id].wanted, held.get(r.policy)
                assert wanted is not None
                if r.access_seen <= base or r.access_seen == own.get(r.id):
                    public = wanted.public and not (was and was.public)
                    who = f"{was.words() if was else 'nobody, for it is masked'} → {wanted.words()}"
                    found.append(
                        Widening(
                            document=r.id,
                            key=of[r.id].key,
                            was=r.policy,
                            now=of[r.id].digest or "",
                            wanted=wanted,
                            public=public,
                            who=who,
                            kept_back=r.kept_back or "",
                        )
                    )
    return found


def _present(connection: Connection, documents: Sequence[str]) -> Sequence[Any]:
    query = select(document.c.id, document.c.policy, document.c.access_seen, document.c.kept_back)
    return connection.execute(query.where(document.c.id.in_(documents), document.c.erased_at.is_(None))).all()


def judged(ledger: Ledger, found: Sequence[Widening]) -> tuple[list[Widening], list[Widening], list[Widening]]:
    """Widenings split into released, rejected and not yet decided."""
    released, rejected, new = list[Widening](), list[Widening](), list[Widening]()
    with ledger.read() as connection:
        for window in windows(found):
            documents = [w.document for w in window]
            yes = decided(connection, ledger.tenant, "released", documents)
            no = decided(connection, ledger.tenant, "rejected", documents)
            for w in window:
                (rejected if no.get(w.document) == w.now else released if yes.get(w.document) == w.now else new).append(
                    w
                )
    return released, rejected, new


def note_waiting(connection: Connection, tenant: str, hold: int, found: Sequence[Widening]) -> None:
    """Store the documents of a hold and the access wanted for each."""
    keep(connection, tenant, {w.wanted for w in found})  # cleared, it may be, since it was read
    rows = [{"hold_id": hold, "document_id": w.document, "policy": w.now, "was": w.was} for w in found]
    for window in windows(rows):
        connection.execute(insert(hold_document), window)


def widen(
    ledger: Ledger, name: str, found: Sequence[Widening], base: int, own: Mapping[str, int], by: str
) -> tuple[list[Moved], int]:
    """Record widenings unless the document's access changed meanwhile.

    Returns the changes, and the number of the pass by which they can be taken back; 0 if there are none.
    """
    moved, number = list[Moved](), 0
    for window in windows(found):
        with ledger.write() as connection:
            seq, of = next_seq(connection, ledger, name), {w.document: w for w in window}
            keep(connection, ledger.tenant, {w.wanted for w in window})  # cleared, it may be, since it was read
            now = [
                Moved(r.id, r.policy, of[r.id].now)
                for r in _present(connection, list(of))
                if r.policy == of[r.id].was and (r.access_seen <= base or r.access_seen == own.get(r.id))
            ]
            write(connection, now, seq)
            _drop(connection, [m.document for m in now])
            let_in(connection, [m.document for m in now])
            if now:
                number = number or passes.begun(connection, ledger, name, by)
                passes.opened(connection, number, now, own)
            record_audit(connection, ledger, name=name, by=by, how=f"widened, pass {number}", moved=now)
        moved += now
    return moved, number


def readable(ledger: Ledger, name: str, keys: Sequence[str]) -> dict[str, tuple[str, Policy]]:
    """Id and policy of those of a source's documents whose access is known, by key."""
    mine = (document.c.tenant == ledger.tenant, document.c.source == name, document.c.erased_at.is_(None))
    query = select(document.c.id, document.c.key, document.c.policy).where(*mine, document.c.policy.is_not(None))
    found = dict[str, tuple[str, Policy]]()
    with ledger.read() as connection:
        for window in windows(keys):
            rows = connection.execute(query.where(document.c.key.in_(window))).all()
            held = bodies(connection, {r.policy for r in rows})
            found |= {r.key: (r.id, held[r.policy]) for r in rows}
    return found


def mask(ledger: Ledger, name: str, why: Mapping[str, str], by: str) -> list[Moved]:
    """Mask documents, by id with the reason, until a person lets them in again. Returns the changes."""
    moved = list[Moved]()
    for window in windows(why):
        with ledger.write() as connection:
            seq, now = next_seq(connection, ledger, name), list[Moved]()
            narrow_now(connection, ledger, dict.fromkeys(window), seq, now)
            for m in now:
                connection.execute(
                    update(document).where(document.c.id == m.document).values(kept_back=why[m.document])
                )
            record_audit(connection, ledger, name=name, by=by, how="masked by a golden question", moved=now)
        moved += now
    return moved


class Naming(NamedTuple):
    """Visible documents of one source and one policy that let a group in."""

    source: str
    group: str
    policy: str  # digest
    n: int


def naming(ledger: Ledger, groups: Sequence[str]) -> list[Naming]:
    """Visible documents that let one of these groups in, by source, group and policy."""
    columns = (document.c.source, policy_entry.c.principal, document.c.policy)
    query = (
        select(*columns, func.count(document.c.id.distinct()).label("n"))
        .join(policy_entry, policy_entry.c.digest == document.c.policy)
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .where(document.c.tenant == ledger.tenant, document.c.erased_at.is_(None), policy_entry.c.layer >= 0)
        .group_by(*columns)
        .order_by(*columns)
    )
    found = list[Naming]()
    with ledger.read() as connection:
        for window in windows(groups):
            rows = connection.execute(query.where(policy_entry.c.principal.in_(window)))
            found += [Naming(*row) for row in rows]
    return found


def kept_back_keys(ledger: Ledger, name: str) -> list[str]:
    """Keys of documents that only a person lets in again."""
    mine = (document.c.tenant == ledger.tenant, document.c.source == name, document.c.kept_back.is_not(None))
    with ledger.read() as connection:
        return list(connection.scalars(select(document.c.key).where(*mine)))


def in_step(ledger: Ledger, name: str, keys: Sequence[str], base: int) -> None:
    """Note that a source asks no more for what was taken back of these documents, by a reading that began at `base`.

    What was taken back after that is left as it is: the reading may have seen the access before.
    """
    for window in windows(document_ids(ledger, name, keys)):
        with ledger.write() as connection:
            let_in(connection, window, document.c.access_seen <= base)


def let_in(connection: Connection, documents: Sequence[str], *conditions: ColumnElement[bool]) -> None:
    """End what keeps documents back: a person has decided, or nobody asks for it."""
    where = (document.c.id.in_(documents), document.c.kept_back.is_not(None), *conditions)
    connection.execute(update(document).where(*where).values(kept_back=None))


def widening(ledger: Ledger, current: Load) -> list[tuple[str, Policy | None, Policy]]:
    """Documents that a load's promotion opens to more people: key, policy now, coming policy."""
    query = (
        select(document.c.key, document.c.policy, access_change.c.policy.label("coming"))
        .join(access_change, access_change.c.document_id == document.c.id)
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .where(access_change.c.load_id == current.id, live_change())
        .order_by(document.c.key)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).all()
        held = bodies(connection, {digest for r in rows for digest in (r.policy, r.coming) if digest})
    return [(r.key, held.get(r.policy), held[r.coming]) for r in rows]


def promoted_before(ledger: Ledger, name: str) -> tuple[bool, bool]:
    """Whether a source ever had a visible document, and whether one was public."""
    here = select(document.c.id).where(document.c.tenant == ledger.tenant, document.c.source == name)
    seen = here.where(
        select(revision.c.id).where(revision.c.document_id == document.c.id, promoted(revision.c.added_in)).exists()
    )
    public = (
        select(policy_entry.c.digest)
        .where(policy_entry.c.digest == document.c.policy)
        .where(policy_entry.c.principal == PUBLIC, policy_entry.c.layer >= 0)
        .exists()
    )
    with ledger.read() as connection:
        had_any, had_public = (connection.execute(query.limit(1)).first() for query in (seen, seen.where(public)))
    return had_any is not None, had_public is not None


def lagging(ledger: Ledger, name: str) -> list[str]:
    """Documents whose access tokens in the index are outdated."""
    brought = (
        select(access_change.c.document_id)
        .where(access_change.c.document_id == document.c.id, live_change())
        .where(access_change.c.policy == document.c.indexed)
        .exists()
    )
    held = or_(
        select(revision.c.id).where(revision.c.document_id == document.c.id, visible(revision)).exists(),
        select(revision.c.id)
        .join(load, load.c.id == revision.c.added_in)
        .where(revision.c.document_id == document.c.id, load.c.state.in_(LIVE))
        .exists(),
    )
    query = select(document.c.id).where(
        document.c.tenant == ledger.tenant,
        document.c.source == name,
        document.c.erased_at.is_(None),
        document.c.policy.is_distinct_from(document.c.indexed),
        ~brought,
        held,
    )
    with ledger.read() as connection:
        return list(connection.scalars(query))
