"""Compare a source with the ledger: new, changed, changed in access only, or vanished."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from moat.ledger import documents, quarantine
from moat.ledger.documents import Known, rests_as
from moat.readers.key_digests import KeyDigests
from moat.readers.reader import OpenReader
from moat.recipe import recipes_of
from moat.records import Listed, Planned
from moat.runtime import Options, Runtime
from moat.source import Source

WINDOW = 2_000  # documents compared at a time


def compare(
    runtime: Runtime,
    source: Source,
    reader: OpenReader,
    options: Options,
    counts: Counter[str],
    record: Callable[[list[tuple[Listed, Planned]], dict[str, Known]], None] = lambda window, known: None,
    left: Callable[[list[str]], None] = lambda keys: None,
    by_content: bool = False,
) -> Iterator[Planned]:
    """Plan what a load does with each document that is not unchanged; writes nothing itself.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        reader: The source's open reader.
        options: What this run asks for.
        counts: Filled with the number of documents per planned action, while the plan is consumed.
        record: Called with each compared window and what the ledger knows of it.
        left: Called with the quarantined keys that are no longer listed.
        by_content: Take no fingerprint's word that a document is unchanged: each is fetched and compared.

    Yields:
        One planned action per document that is new, changed, changed in access only, or vanished.

    Raises:
        SourceUnavailable: The listing broke off.
        KeyListedTwice: Two documents have the same key.
    """
    seen, recipes = KeyDigests(), recipes_of(runtime, source)
    listing = iter(reader.listing())
    while window := list(islice(listing, WINDOW)):
        counts["listed"] += len(window)
        seen.add([one.key for one in window])
        if not options.whole:
            asked = [one for one in window if one.key in options.only]
            counts["unasked"] += len(window) - len(asked)  # zero is told too: then the run was not cut
            window = asked
        known = documents.known(runtime.ledger, source.name, [one.key for one in window])
        plan = [_compared(one, known.get(one.key), recipes, options, by_content) for one in window]
        record(list(zip(window, plan, strict=True)), known)
        for one in plan:
            if (
                one.what in ("new", "changed")
                and options.limit is not None
                and counts["new"] + counts["changed"] >= options.limit
            ):
                counts["waiting"] += 1
                continue
            if one.what == "unchanged":
                counts[one.why or "unchanged"] += 1  # unknown, resting or erased
            else:
                counts[one.what] += 1
                counts["unknown"] += one.why == "unknown"
                counts["again"] += one.why == "recipe"
                yield one
        if counts["listed"] % 50_000 < WINDOW:
            runtime.progress(f"{source.name}: {counts['listed']:,} listed")
    seen.once(source.name, reader)
    for key in documents.visible_keys(runtime.ledger, source.name):
        counts["visible"] += 1
        if key not in seen and (options.whole or key in options.only):
            counts["vanished"] += 1
            yield Planned(
                key=key,
                uri="",
                fingerprint="",
                size=0,
                policy=None,
                what="vanished",
                why="not listed",
                access_version=0,
                known_hash="",
            )
    if options.whole:
        left([key for key in quarantine.keys(runtime.ledger, source.name) if key not in seen])


def pending(runtime: Runtime, source: Source) -> Mapping[str, int]:
    """Count what the next run of a source would do; reads the whole listing, writes nothing.

    Args:
        runtime: The runtime of this process.
        source: The declared source.

    Returns:
        Number of documents per planned action, and of those listed.

    Raises:
        SourceUnavailable: The listing broke off.
    """
    counts: Counter[str] = Counter()
    with source.reader.open(runtime.reading(source)) as reader:
        for _ in compare(runtime, source, reader, Options(), counts):
            pass
    return counts


def next_runs(runtime: Runtime, sources: Mapping[str, Source]) -> dict[str, Callable[[], Mapping[str, int]]]:
    """Return a function per declared source that counts its next run."""
    return {name: partial(pending, runtime, source) for name, source in sources.items()}


def _compared(one: Listed, known: Known | None, recipes: Sequence[str], options: Options, by_content: bool) -> Planned:
    """Plan what this load does with a listed document; `recipes` are today's, then those of today's limits."""
    version = known.access_version if known else 0
    plan = Planned(
        key=one.key,
        uri=one.uri,
        fingerprint=one.fingerprint,
        size=one.size,
        policy=one.policy,
        what="unchanged",
        why="",
        access_version=version,
        known_hash="",
    )
    if known is not None and known.erased:
        return replace(plan, why="erased")
    if one.policy is None:  # set aside; its visible chunks are masked, in the index too
        masked = known is not None and known.visible and (known.policy is not None or known.lags)
        return replace(plan, what="access" if masked else "unchanged", why="unknown")
    asked = one.key in options.only or (known is not None and known.asked)
    same = known is not None and rests_as(known, one.fingerprint, recipes)
    # A document that failed three times is skipped by full runs, too.
    resting = same and not asked and (not options.full or (known is not None and known.rests))
    if known is None or not known.visible:
        return replace(plan, why="resting") if resting else replace(plan, what="new", why="new")
    moved = known.policy != one.policy
    if not resting:
        edited = known.fingerprint != one.fingerprint
        if asked or options.full:  # what the source changed is told as its change, also where all is read again
            return replace(plan, what="changed", why="fingerprint" if edited else "asked")
        if known.recipe != recipes[0]:
            return replace(plan, what="changed", why="recipe")
        if edited or by_content:
            return replace(plan, what="changed", why="fingerprint", known_hash=known.content_hash)
    if moved:
        return replace(plan, what="access", why="access" if known.policy else "access known")
    if known.lags:
        return replace(plan, what="access", why="lag")
    return replace(plan, why="resting" if resting else "")
