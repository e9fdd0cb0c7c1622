"""Compare a source with the ledger: what is new, changed, moved in access only, vanished."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice

from moat.ledger import documents, quarantine
from moat.ledger.documents import Known, resting_mark
from moat.readers.key_digests import KeyDigests
from moat.readers.reader import OpenReader
from moat.recipe import recipe_of
from moat.records import FINGERPRINT_MOVED, Listed, Planned
from moat.runtime import Options, Runtime
from moat.source import Source

OLDER = "prepared by an older recipe"
WINDOW = 2_000  # listed documents compared at a time


def compare(
    runtime: Runtime,
    source: Source,
    reader: OpenReader,
    options: Options,
    counts: Counter[str],
    record: Callable[[list[tuple[Listed, Planned]], dict[str, Known]], None] = lambda window, known: None,
    left: Callable[[list[str]], None] = lambda keys: None,
) -> Iterator[Planned]:
    """What a load would do with each document that is not the same as before; writes nothing itself.

    `record` is told of each window that was compared, `left` of quarantined keys that are not listed.
    """
    seen, recipe_now = KeyDigests(), recipe_of(runtime, source)
    listing = iter(reader.listing())
    while window := list(islice(listing, WINDOW)):
        counts["listed"] += len(window)
        seen.add([one.key for one in window])
        window = [one for one in window if options.whole or one.key in options.only]
        known = documents.known(runtime.ledger, source.name, [one.key for one in window])
        plan = [_compared(one, known.get(one.key), recipe_now, options) for one in window]
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
                counts["again"] += one.why == OLDER
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
                why="not listed any more",
                access_version=0,
                known_hash="",
            )
    if options.whole:
        left([key for key in quarantine.keys(runtime.ledger, source.name) if key not in seen])


def pending(runtime: Runtime, source: Source) -> Mapping[str, int]:
    """What the next run of a source would do: documents by planned action, and how many it lists.

    Reads the whole listing and writes nothing. Raises SourceUnavailable where that breaks off.
    """
    counts: Counter[str] = Counter()
    with source.reader.open(runtime.reading(source)) as reader:
        for _ in compare(runtime, source, reader, Options(), counts):
            pass
    return counts


def next_runs(runtime: Runtime, sources: Mapping[str, Source]) -> dict[str, Callable[[], Mapping[str, int]]]:
    """For each declared source a function that says what its next run would do."""
    return {name: partial(pending, runtime, source) for name, source in sources.items()}


def _compared(one: Listed, known: Known | None, recipe_now: str, options: Options) -> Planned:
    """What this load does with a listed document."""
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
    if one.policy is None:  # set aside; what is visible of it is masked, in the index too
        masked = known is not None and known.visible and (known.policy is not None or known.lags)
        return replace(plan, what="access" if masked else "unchanged", why="unknown")
    asked = one.key in options.only or (known is not None and known.asked)
    same = known is not None and known.set_aside == resting_mark(one.fingerprint, recipe_now)
    # What has failed three times rests through a run that reads everything again, too.
    resting = same and not asked and (not options.full or (known is not None and known.rests))
    if known is None or not known.visible:
        return replace(plan, why="resting") if resting else replace(plan, what="new", why="not loaded before")
    moved = known.policy != one.policy
    if not resting:
        if asked or options.full:
            return replace(plan, what="changed", why="asked for")
        if known.recipe != recipe_now:
            return replace(plan, what="changed", why=OLDER)
        if known.fingerprint != one.fingerprint:
            return replace(plan, what="changed", why=FINGERPRINT_MOVED, known_hash=known.content_hash)
    if moved:
        return replace(
            plan, what="access", why="only its access moved" if known.policy else "its access is known again"
        )
    if known.lags:
        return replace(plan, what="access", why="the index holds an older access")
    return replace(plan, why="resting" if resting else "")
