"""Access sync: read access often, record it at once, update the index.

read all access → what narrows, into the ledger → what widens, if allowed → the index

No document is fetched, parsed or embedded. Narrowing never waits. A document that becomes `public`, or opens to
far more people, and more widened documents than `Limits` allow, wait for a person. An access source
that cannot be read, for whatever reason, changes nothing; after `Limits.max_access_age_hours` its
documents are masked until it can be read again. One that does not answer is left after ten minutes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from types import TracebackType
from typing import Any

from moat.batching import windows
from moat.checks.audience import Audience
from moat.checks.golden import promises_of
from moat.checks.held import short
from moat.checks.restricted import Restricted, in_words
from moat.checks.widening import Opened, held
from moat.dagfile import directory_named
from moat.errors import FatalError, MoatError, SourceUnavailable
from moat.ids import joined, text_hash
from moat.index.store import Store, WeaviateStore
from moat.index.write import patch
from moat.ledger import access, access_sync, answers, approvals, holds, older_versions, projection
from moat.ledger.access import Moved
from moat.ledger.access_sync import Observed, Widening
from moat.ledger.holds import Hold
from moat.maintenance.in_time import Alive, in_time
from moat.maintenance.swaps import sync_directory
from moat.owners import source_of
from moat.readers.key_digests import KeyDigests
from moat.records import Listed
from moat.runtime import Runtime
from moat.source import Limits, Source

WINDOW = 2_000  # listed documents compared at a time
PATCHED = 500  # documents whose chunks are patched at a time
EXAMPLES = 20  # documents named by a hold
QUIET_S = 600.0  # without a document of a listing, after which a source counts as one that does not answer
ABANDONED_S = 3_600.0  # for which a sync that ended without a word leaves its source as it was, at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedAccess:
    """Result of one access sync of a source, in documents; `patched` in chunks."""

    source: str
    listed: int
    narrowed: int
    masked: int  # of the narrowed: unknown from now on
    widened: int
    number: int  # of the pass, by which what it widened can be taken back; 0: it widened nothing
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
        SourceUnavailable: Access cannot be read completely, whatever went wrong; nothing has widened.
        FatalError: The same, and only a person can fix it.
        IndexUnavailable: The index is behind; the ledger is up to date and the next sync continues.
    """
    base = access.begin(runtime.ledger, source.name)
    answers.forget(runtime.ledger)
    older_versions.declare(runtime.ledger, source.name, source.versions, source.link)
    with _Recorded(runtime, source):
        n_listed, observed, gone, settled = in_time(
            lambda alive: _read(runtime, source, alive), QUIET_S, f"source {source.name}: the listing of its access"
        )
        access_sync.drop_coming(runtime.ledger, source.name, gone)
        access_sync.in_step(runtime.ledger, source.name, settled, base)
        narrowed, own = access_sync.revoke(runtime.ledger, source.name, observed, base, by)
        if narrowed:
            runtime.progress(f"{source.name}: {len(narrowed):,} documents have fewer readers from now on")
        found = access_sync.widenings(runtime.ledger, observed, base, own)
        released, rejected, new = access_sync.judged(runtime.ledger, found)
        may, waiting, reasons = _within(runtime, source, n_listed, new)
        let_in = [*released, *may]
        widened, number = access_sync.widen(runtime.ledger, source.name, found=let_in, base=base, own=own, by=by)
        hold = _hold(runtime, source, waiting, reasons)
        access.read_whole(runtime.ledger, source.name)
    patched = to_index(runtime, source.name, narrowed, store)
    n_later = sum(o.wanted is not None and not o.same_content for o in observed)
    return SyncedAccess(
        source=source.name,
        listed=n_listed,
        narrowed=len(narrowed),
        masked=sum(m.now is None for m in narrowed),
        widened=len(widened),
        number=number,
        with_content=n_later,
        rejected=len(rejected),
        held=len(waiting),
        hold=hold.id if hold else None,
        patched=patched,
    )


class _Recorded:
    """Records whatever ends the reading of a source's access, so that its documents are masked in time.

    A process that is killed has no last word, so the time of masking is noted before the reading begins.
    """

    def __init__(self, runtime: Runtime, source: Source) -> None:
        self._runtime, self._source = runtime, source
        self._max_age_s = source.limits.max_access_age_hours * 3_600

    def __enter__(self) -> None:
        access_sync.begun(self._runtime.ledger, self._source.name, self._max_age_s, ABANDONED_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        name, own = self._source.name, isinstance(error, MoatError)
        said = str(error) if own else f"source {name}: {type(error).__name__}: {error}"
        until = access.unreadable(self._runtime.ledger, name, said, self._max_age_s)
        self._runtime.progress(
            f"{name}: its access cannot be read, so it stays as it is; "
            f"its documents are masked from {until:%Y-%m-%d %H:%M} UTC on unless it can be read before"
        )
        if isinstance(error, Exception) and not own:  # for the command line, which goes on with the other sources
            raise SourceUnavailable(said[:2_000]) from error


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
        f"widened by pass {synced.number}": synced.widened,
        "waiting for their content": synced.with_content,
        "rejected": synced.rejected,
        f"held as hold {synced.hold}": synced.held,
        "chunks patched": synced.patched,
    }
    return f"{synced.source}: {synced.listed:,} listed" + "".join(f", {n:,} {name}" for name, n in counts.items() if n)


def _read(runtime: Runtime, source: Source, alive: Alive) -> tuple[int, list[Observed], list[str], list[str]]:
    """Read the whole listing: its length, what differs, and two lists of keys.

    These are pending widenings no longer listed, and what was taken back and no longer asked for.
    """
    n, observed, seen = 0, list[Observed](), KeyDigests()
    with source.reader.open(runtime.reading(source)) as reader:
        listing = _heard(reader.listing(), alive)
        while window := list(islice(listing, WINDOW)):
            n += len(window)
            seen.add([one.key for one in window])
            observed += access_sync.compare(runtime.ledger, source.name, window)
            if n % 50_000 < WINDOW:
                runtime.progress(f"{source.name}: access of {n:,} documents read")
        seen.once(source.name, reader)
    differs = {one.key for one in observed}
    gone = [key for key in access_sync.coming_keys(runtime.ledger, source.name) if key not in seen]
    settled = [
        key for key in access_sync.kept_back_keys(runtime.ledger, source.name) if key in seen and key not in differs
    ]
    return n, observed, gone, settled


def _heard(listing: Iterable[Listed], alive: Alive) -> Iterator[Listed]:
    """Pass a listing on, with a sign of life for each document."""
    for one in listing:
        alive()
        yield one


def _within(
    runtime: Runtime, source: Source, n_listed: int, new: Sequence[Widening]
) -> tuple[list[Widening], list[Widening], list[str]]:
    """Split widenings into those allowed now and those that wait for a person, with the reasons."""
    if not new:
        return [], [], []
    was = access.bodies_of(runtime.ledger, {w.was for w in new if w.was})
    opened = [Opened(key=w.key, was=was.get(w.was or ""), now=w.wanted, kept_back=w.kept_back) for w in new]
    try:
        promises = promises_of(runtime.ledger, source)
    except FatalError as error:  # nobody knows from whom it keeps what, so nothing opens
        return [], list(new), [f"{len(new):,} documents would be read by more people, and {error}"]
    audience = Audience(runtime.ledger)
    why, reasons = held(audience, source.limits, n_listed, opened, promises)
    others = [one for one in opened if one.key not in why]
    if spread := Restricted(runtime.ledger, audience, source.limits).coming_back(source.name, others):
        why |= {one.arrival.key: "has text of few" for one in spread}
        such = in_words(audience, source.name, spread[0])
        reasons.append(
            f"{len(spread):,} documents would come back with text that is for far fewer people, such as {such}"
        )
    return [w for w in new if w.key not in why], [w for w in new if w.key in why], reasons


def _hold(runtime: Runtime, source: Source, waiting: Sequence[Widening], reasons: Sequence[str]) -> Hold | None:
    """The hold for waiting widenings, or None."""
    with runtime.ledger.write() as connection:
        if not waiting:
            holds.over(connection, runtime.ledger.tenant, "widening", source.name)
            return None
        n_public = sum(w.public for w in waiting)
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
            access_sync.note_waiting(connection, runtime.ledger.tenant, hold.id, waiting)
        return hold


def to_index(runtime: Runtime, source: str, narrowed: Iterable[Moved], store: Store | None = None) -> int:
    """Patch every document whose access tokens in the index are outdated, narrowed ones first."""
    first = {m.document for m in narrowed}
    wanted = sorted(access_sync.lagging(runtime.ledger, source), key=lambda document: document not in first)
    if not wanted:
        return 0
    index, n = store or WeaviateStore.open(runtime.settings, "writer"), 0
    try:
        for window in windows(wanted, PATCHED):
            n += patch(runtime, index, window)
            runtime.progress(f"{source}: access of {n:,} chunks in the index")
    finally:
        if store is None:
            index.close()
    return n


DOES = {  # by kind of hold: what Release and Reject do
    "widening": (
        "reads the source's access again and lets through what is still so: more people read these documents at once.",
        "leaves every document to those who read it now. What was rejected is asked about again only once it changes.",
    ),
    "directory": (
        "reads the directory again and makes its groups what they are there, if it is still the same change.",
        "leaves the groups as they are. Searches are refused once the directory is older than it may be.",
    ),
}


def title(hold: Hold) -> str:
    """One line that says why a change of access waits."""
    return f"Hold {hold.id}: {short(hold.reason)}"


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
    release, reject = DOES[hold.kind]
    lines += ["", f"- **Release** {release}", f"- **Reject** {reject}"]
    return "\n".join(lines)


def settle(runtime: Runtime, number: int, release: bool, by: str, because: str) -> Hold:
    """Record a decision about a hold and, if released, apply the change.

    The source or the directory is read again, so the change is applied as it is now. Where a second person has to
    agree first, the hold waits on.
    """
    if not release:
        return approvals.reject_hold(runtime.ledger, runtime.settings, number, by, because)
    hold = holds.get(runtime.ledger, number)
    if hold.kind == "directory":
        directory = directory_named(hold.subject)  # raises before anything is released
        if not approvals.agree_to_hold(runtime.ledger, runtime.settings, hold, by, because):
            return hold
        hold = holds.release(runtime.ledger, number, by, because)
        sync_directory(runtime, directory, by)
    else:
        source = source_of(runtime.ledger, hold.subject)
        if not approvals.agree_to_hold(runtime.ledger, runtime.settings, hold, by, because):
            return hold
        hold = holds.release(runtime.ledger, number, by, because)
        runtime.progress(summary(sync_access(runtime, source, by)))
    return hold
