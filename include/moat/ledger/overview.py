"""What a page about all sources needs, by grouped queries over all of them at once; no text."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.loads import Load
from moat.ledger.tables import audit, document, incident, load, policy, quarantine, revision, source, spent

LOOKS = ("text shown", "asked as", "asked why", "replay", "anchor")  # lines of the audit that change nothing visible


class Share(NamedTuple):
    """Visible documents and chunks of a source that have one value of something."""

    source: str
    value: str | None
    documents: int
    chunks: int


class Standing(NamedTuple):
    """What the ledger's row of a source says beside its loads."""

    name: str
    retired_at: datetime | None
    masked_from: datetime | None  # its documents are hidden from then on, because its access cannot be read


def moment_of(ledger: Ledger) -> int:
    """Number of the newest line of the audit that may be about what is visible: nothing of that changes without one."""
    mine = (audit.c.tenant == ledger.tenant, audit.c.action.not_in(LOOKS))
    query = select(audit.c.id).where(*mine).order_by(audit.c.id.desc()).limit(1)
    with ledger.read() as connection:
        return connection.scalar(query) or 0


def marks(ledger: Ledger) -> dict[str, str]:
    """Of each source with loads, a mark that moves whenever a load of it begins or changes its state."""
    query = (
        select(load.c.source, load.c.state, func.count(), func.max(load.c.id))
        .where(load.c.tenant == ledger.tenant)
        .group_by(load.c.source, load.c.state)
        .order_by(load.c.source, load.c.state)
    )
    found: dict[str, str] = defaultdict(str)
    with ledger.read() as connection:
        for name, state, n, newest in connection.execute(query):
            found[name] += f"{state}={n}/{newest};"
    return dict(found)


def newest_loads(ledger: Ledger, names: Collection[str], each: int) -> dict[str, list[Load]]:
    """The newest loads of each of these sources, newest first, at most `each` of one."""
    columns = [load.c[name] for name in Load.__dataclass_fields__]
    place = func.row_number().over(partition_by=load.c.source, order_by=load.c.id.desc()).label("place")
    found: dict[str, list[Load]] = {name: [] for name in names}
    with ledger.read() as connection:
        for window in windows(sorted(names)):
            mine = select(*columns, place).where(load.c.tenant == ledger.tenant, load.c.source.in_(window)).subquery()
            query = select(*(mine.c[c.name] for c in columns)).where(mine.c.place <= each)
            for row in connection.execute(query.order_by(mine.c.source, mine.c.id.desc())):
                found[row.source].append(Load(**row._mapping))
    return found


def standings(ledger: Ledger) -> list[Standing]:
    """Every source that ever had a load or a file, by name."""
    query = select(source.c.name, source.c.retired_at, source.c.access_until).where(source.c.tenant == ledger.tenant)
    with ledger.read() as connection:
        return [Standing(*row) for row in connection.execute(query.order_by(source.c.name))]


def set_aside(ledger: Ledger) -> dict[str, int]:
    """Documents in quarantine, by source."""
    query = select(quarantine.c.source, func.count()).where(
        quarantine.c.tenant == ledger.tenant, quarantine.c.state != "resolved"
    )
    with ledger.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(quarantine.c.source))}


def unresolved(ledger: Ledger) -> dict[str, list[int]]:
    """Numbers of unresolved incidents by source, newest first."""
    query = select(incident.c.source, incident.c.id).where(
        incident.c.tenant == ledger.tenant, incident.c.state != "resolved"
    )
    found: dict[str, list[int]] = defaultdict(list)
    with ledger.read() as connection:
        for name, number in connection.execute(query.order_by(incident.c.id.desc())):
            found[name].append(number)
    return dict(found)


def spent_since(ledger: Ledger, since: datetime, names: Collection[str]) -> dict[str, dict[str, tuple[float, int]]]:
    """Seconds and model tokens of these sources by stage, of their loads that opened since then."""
    query = (
        select(load.c.source, spent.c.stage, func.sum(spent.c.seconds), func.sum(spent.c.tokens))
        .join(load, load.c.id == spent.c.load_id)
        .where(load.c.tenant == ledger.tenant, load.c.opened_at >= since)
        .group_by(load.c.source, spent.c.stage)
    )
    found: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
    with ledger.read() as connection:
        for window in windows(sorted(names)):
            for name, stage, seconds, tokens in connection.execute(query.where(load.c.source.in_(window))):
                found[name][stage] = float(seconds), int(tokens)
    return dict(found)


def shares(ledger: Ledger) -> Mapping[str, list[Share]]:
    """Visible documents and chunks by source and by `media_type`, `language` or `policy` (its body).

    Scans every visible revision.
    """
    found: dict[str, list[Share]] = {}
    by = {"media_type": revision.c.media_type, "language": revision.c.language, "policy": policy.c.body}
    with ledger.read() as connection:
        for what, column in by.items():
            query = (
                select(document.c.source, column, func.count(), func.sum(revision.c.n_chunks))
                .join(revision, revision.c.document_id == document.c.id)
                .outerjoin(policy, policy.c.digest == document.c.policy)
                .where(document.c.tenant == ledger.tenant, document.c.erased_at.is_(None), visible(revision))
                .group_by(document.c.source, column)
            )
            found[what] = [Share(n, v, int(d), int(c or 0)) for n, v, d, c in connection.execute(query)]
    return found
