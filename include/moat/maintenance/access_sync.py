"""Access sync: read access often, record it at once, update the index.

read all access → what narrows, into the ledger → what widens, if allowed → the index

No document is fetched, parsed or embedded. Narrowing never waits. A document that becomes `public`,
or more widened documents than `Limits.max_widened_documents`, wait for a person. An access source
that cannot be read changes nothing; after `Limits.max_access_age_hours` its documents are masked
until it can be read again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from moat.batching import windows
from moat.dagfile import directory_named, source_named
from moat.directories.sync import sync
from moat.errors import MoatError
from moat.ids import joined, text_hash
from moat.index.store import Store, WeaviateStore
from moat.index.write import patch
from moat.ledger import access, access_sync, holds, projection
from moat.ledger.access import Moved
from moat.ledger.access_sync import Observed, Widening
from moat.ledger.holds import Hold
from moat.readers.key_digests import KeyDigests
from moat.runtime import Runtime
from moat.source import Limits, Source

WINDOW = 2_000  # listed documents compared at a time
PATCHED = 500  # documents whose chunks are patched at a time
EXAMPLES = 20  # documents named by a hold


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedAccess:
    """Result of one access sync of a source, in documents; `patched` in chunks."""

    source: str
    listed: int
    narrowed: int
    masked: int  # of the narrowed: unknown from now on
    widened: int
    with_content: int  # that widen with their next load, because their content changed too
    rejected: int  # whose widening a person rejected
    held: int  # that wait for a person
    hold: int | None
    patched: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sync_access(runtime: Runtime, source: Source, by: str, store: Store | None = None) -> SyncedAccess:
    """Update who may read a source's documents, in the ledger and in the index.

    Args:
        runtime: Ledger, staging, settings and connections.
        source: The declared source.
        by: Who runs the sync, as recorded in the audit.
        store: An open writer of the index; by default one is opened if needed.

    Returns:
        Counts of documents by outcome, and the hold if a person has to decide.

    Raises:
        SourceUnavailable: Access cannot be read completely; nothing has changed.
        FatalError: The same, and only a person can fix it.
        IndexUnavailable: The index is behind; the ledger is up to date and the next sync continues.
    """
    base = access.begin(runtime.ledger, source.name)
    try:
        n_listed, observed, gone = _read(runtime, source)
    except MoatError as error:
        until = access.unreadable(runtime.ledger, source.name, str(error), source.limits.max_access_age_hours * 3_600)
        runtime.progress(
            f"{source.name}: its access cannot be read, so it stays as it is; "
            f"its documents are masked from {until:%Y-%m-%d %H:%M} UTC on unless it can be read before"
        )
        raise
    access_sync.drop_coming(runtime.ledger, source.name, gone)
    narrowed, own = access_sync.revoke(runtime.ledger, source.name, observed, base, by)
    if narrowed:
        runtime.progress(f"{source.name}: {len(narrowed):,} documents have fewer readers from now on")
    found = access_sync.widenings(runtime.ledger, observed, base, own)
    released, rejected, new = access_sync.judged(runtime.ledger, found)
    may, waiting = _within(source, new)
    widened = access_sync.widen(runtime.ledger, source.name, found=[*released, *may], base=base, own=own, by=by)
    hold = _hold(runtime, source, waiting)
    access.read_whole(runtime.ledger, source.name)
    patched = _to_index(runtime, source, narrowed, store)
    n_later = sum(o.wanted is not None and not o.same_content for o in observed)
    return SyncedAccess(
        source=source.name,
        listed=n_listed,
        narrowed=len(narrowed),
        masked=sum(m.now is None for m in narrowed),
        widened=len(widened),
        with_content=n_later,
        rejected=len(rejected),
        held=len(waiting),
        hold=hold.id if hold else None,
        patched=patched,
    )


def undeclared(runtime: Runtime, declared: Collection[str]) -> list[str]:
    """Schedule masking of loaded sources without a readable declaration; returns them."""
    found = sorted(set(projection.sources(runtime.ledger)) - set(declared))
    for name in found:
        hours = Limits().max_access_age_hours
        until = access.unreadable(runtime.ledger, name, "no DAG file that can be read declares it", hours * 3_600)
        runtime.progress(f"{name}: no DAG file that can be read declares it; masked from {until:%Y-%m-%d %H:%M} UTC on")
    return found


def summary(synced: SyncedAccess) -> str:
    """One line about a sync."""
    counts = {
        "narrowed": synced.narrowed,
        "masked": synced.masked,
        "widened": synced.widened,
        "waiting for their content": synced.with_content,
        "rejected": synced.rejected,
        f"held as hold {synced.hold}": synced.held,
        "chunks patched": synced.patched,
    }
    return f"{synced.source}: {synced.listed:,} listed" + "".join(f", {n:,} {name}" for name, n in counts.items() if n)


def _read(runtime: Runtime, source: Source) -> tuple[int, list[Observed], list[str]]:
    """Read the whole listing: its length, what differs, and pending widenings no longer listed."""
    n, observed, seen = 0, list[Observed](), KeyDigests()
    with source.reader.open(runtime.reading(source)) as reader:
        listing = iter(reader.listing())
        while window := list(islice(listing, WINDOW)):
            n += len(window)
            seen.add([one.key for one in window])
            observed += access_sync.compare(runtime.ledger, source.name, window)
            if n % 50_000 < WINDOW:
                runtime.progress(f"{source.name}: access of {n:,} documents read")
        seen.once(source.name, reader)
    return n, observed, [key for key in access_sync.coming_keys(runtime.ledger, source.name) if key not in seen]


def _within(source: Source, new: Sequence[Widening]) -> tuple[list[Widening], list[Widening]]:
    """Split widenings into those allowed now and those that wait for a person."""
    if len(new) > source.limits.max_widened_documents:
        return [], list(new)
    return [w for w in new if not w.public], [w for w in new if w.public]


def _hold(runtime: Runtime, source: Source, waiting: Sequence[Widening]) -> Hold | None:
    """The hold for waiting widenings, or None."""
    with runtime.ledger.write() as connection:
        if not waiting:
            holds.over(connection, runtime.ledger.tenant, "widening", source.name)
            return None
        n_public, limit = sum(w.public for w in waiting), source.limits.max_widened_documents
        reasons = [f"{n_public:,} documents would become public"] if n_public else []
        if len(waiting) > limit:
            reasons.append(f"{len(waiting):,} documents would be read by more people, {limit:,} may at once")
        pairs = sorted((w.document, w.now) for w in waiting)
        digest = text_hash(joined(*(part for pair in pairs for part in pair)))
        groups = Counter(w.who for w in waiting)
        detail = {
            "documents": len(waiting),
            "public": n_public,
            "readers": groups.most_common(EXAMPLES),
            "examples": [[w.key, w.who] for w in sorted(waiting, key=lambda w: w.key)[:EXAMPLES]],
        }
        reason = f"source {source.name}: " + "; ".join(reasons)
        hold, opened_now = holds.wait(
            connection,
            runtime.ledger.tenant,
            kind="widening",
            subject=source.name,
            digest=digest,
            reason=reason,
            detail=detail,
        )
        if opened_now:
            access_sync.note_waiting(connection, hold.id, waiting)
        return hold


def _to_index(runtime: Runtime, source: Source, narrowed: Iterable[Moved], store: Store | None) -> int:
    """Patch every document whose access tokens in the index are outdated, narrowed ones first."""
    first = {m.document for m in narrowed}
    wanted = sorted(access_sync.lagging(runtime.ledger, source.name), key=lambda document: document not in first)
    if not wanted:
        return 0
    index, n = store or WeaviateStore.open(runtime.settings, "writer"), 0
    try:
        for window in windows(wanted, PATCHED):
            n += patch(runtime, index, window)
            runtime.progress(f"{source.name}: access of {n:,} chunks in the index")
    finally:
        if store is None:
            index.close()
    return n


def report(hold: Hold) -> str:
    """The description of a hold for its decision, as Markdown for a narrow panel."""
    lines = [f"**Hold {hold.id}: {hold.reason}.**", ""]
    lines += [f"- {n:,} of them: {who}" for who, n in hold.detail.get("readers", ())]
    lines += [
        f"- `{g['group']}` had {g['before']:,} members, would have {g['now']:,}" for g in hold.detail.get("groups", ())
    ]
    examples = [f"`{key}`: {who}" for key, who in hold.detail.get("examples", ())] + list(hold.detail.get("lost", ()))
    if examples:
        lines += ["", "Such as", "", *(f"- {one}" for one in examples)]
    lines += ["", "Release lets through what is still so when it is read again."]
    return "\n".join(lines)


def settle(runtime: Runtime, number: int, release: bool, by: str, because: str) -> Hold:
    """Record a decision about a hold and, if released, apply the change.

    The source or the directory is read again, so the change is applied as it is now.
    """
    if not release:
        return holds.reject(runtime.ledger, number, by, because)
    hold = holds.get(runtime.ledger, number)
    if hold.kind == "directory":
        directory = directory_named(hold.subject)  # raises before anything is released
        hold = holds.release(runtime.ledger, number, by, because)
        sync(runtime.ledger, runtime.connections, directory, by, runtime.progress)
    else:
        source = source_named(hold.subject)
        hold = holds.release(runtime.ledger, number, by, because)
        runtime.progress(summary(sync_access(runtime, source, by)))
    return hold
