"""read: compare the source with the ledger, and stage new and changed documents in batches."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from moat.batching import windows
from moat.errors import AccessUnknown, FatalError, NothingListed
from moat.incidents.lifecycle import mended
from moat.ledger import access, access_sync, documents, loads, older_versions, quarantine, reader_states, spending
from moat.ledger.documents import Known, rests_as
from moat.ledger.loads import Load
from moat.ledger.resume import told_if_overtaken
from moat.maintenance.in_step import look_without_a_load
from moat.pricing import priced
from moat.provenance import provenance_of
from moat.readers.reader import MOST_STATE, Gone, OpenReader, Shaped, Stateful
from moat.readers.shape import ending, of_files
from moat.recipe import limited, recipe_of, recipes_of
from moat.records import Batch, Listed, Planned, RawDocument, SetAside
from moat.runtime import Options, ReadResult, Runtime, batch_path, nobodys, path
from moat.source import Source
from moat.stages.compare import compare
from moat.stages.stamps import Stamps
from moat.tracing import counted, span
from moat.waiting import STAGE_S, told

ROW_BYTES = 1_024  # assumed size of a document if its source gives none
LIGHT = {
    "pdf": 0.5,
    "docx": 0.5,
    "pptx": 0.3,
    "xlsx": 0.5,
    "epub": 1.0,
    "png": 0.1,
    "jpg": 0.1,
    "jpeg": 0.1,
    "tiff": 0.1,
}


def read(runtime: Runtime, source: Source, run: str, options: Options) -> ReadResult:
    """Open a load of the source, compare it with the ledger, and stage what is new or changed.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        run: Id of the run that makes the load, such as `airflow:DAG:RUN`.
        options: What this run asks for.

    Returns:
        The load's number, its batches and its counts; `unchanged` if there is nothing to load.

    Raises:
        LoadInProgress: Another run of the source holds its lease.
        SourceUnavailable: The listing or a fetch broke off. Nothing is taken for deleted then.
        KeyListedTwice: Two documents have the same key.
        NothingListed: The source lists no document, and never had one.
        FatalError: A budget in money has no price of tokens.
    """
    priced(runtime.settings, source)
    load = loads.open_load(
        runtime.ledger,
        source.name,
        run,
        {"full": options.full, "only": list(options.only), "limit": options.limit, "expected": options.expected},
        runtime.lease_s,
    )
    older_versions.declare(runtime.ledger, source.name, source.versions, source.link)
    with (
        spending.timed(runtime.ledger, load.id, "read"),
        span("read", source.name, load.id) as traced,
        told(runtime.progress, f"{source.name}: read goes on", STAGE_S),
        told_if_overtaken(runtime.ledger, load),
    ):
        found = _read(runtime, source, load, options)
        counted(traced, found.counts)
        return found


def _read(runtime: Runtime, source: Source, load: Load, options: Options) -> ReadResult:
    """Record what changed in the source, and stage its batches."""
    loads.made_with(runtime.ledger, load, provenance_of(runtime, source, recipe_of(runtime, source)))
    access.forget_changes(runtime.ledger, load)
    base = access.begin(runtime.ledger, source.name)
    with source.reader.open(runtime.reading(source, stateful=options.whole and not options.full)) as reader:
        counts, endings = _plan(runtime, source, load=load, reader=reader, options=options, base=base)
        _not_nothing(runtime, source, options, counts)
        loads.renew(runtime.ledger, load, runtime.lease_s)
        batches = _fetch(runtime, source, load=load, reader=reader, counts=counts, base=base)
        shape = reader.shape() if isinstance(reader, Shaped) else of_files(endings)
        runtime.staging.write_bytes(path(source.name, load.id, "read", "shape.json"), shape.text().encode())
        if isinstance(reader, Stateful) and options.whole and not counts["waiting"]:
            _keep_state(runtime, load, reader.state())
    if options.whole:
        access.read_whole(runtime.ledger, source.name)
    counts["batches"] = len(batches)
    loads.note(runtime.ledger, load, counts)
    empty = counts["listed"] == 0 and counts["visible"] > 0
    judged = counts["listed"] < source.limits.min_documents or empty or nobodys(counts)
    # If every new document was set aside there is no batch, and the gate must report it.
    moves = batches or counts["aside"] or counts["vanished"] or counts["access"]
    unchanged = not moves and not (options.whole and judged)
    if unchanged:
        look_without_a_load(runtime, load)
        loads.unchanged(runtime.ledger, load)
        mended(runtime, runtime.load(load.id))
        runtime.staging.remove(f"{source.name}/{load.id}")
    runtime.progress(_told(source, load, counts))
    return ReadResult(load.id, tuple(batches), dict(counts), unchanged)


def _keep_state(runtime: Runtime, load: Load, state: str) -> None:
    """Keep what the reader wants to know in the next load, once this one is promoted."""
    if (n := len(state.encode())) > MOST_STATE:
        raise FatalError(
            f"the reader of {load.source} wants to keep {n:,} bytes of state; at most {MOST_STATE:,} are kept"
        )
    reader_states.keep(runtime.ledger, load, state)


def _not_nothing(runtime: Runtime, source: Source, options: Options, counts: Counter[str]) -> None:
    """Refuse the first listing of a source if it is empty: that is a wrong path far more often than an empty source."""
    if counts["listed"] or counts["visible"] or not options.whole:
        return
    known, _ = access_sync.promoted_before(runtime.ledger, source.name)
    if not known:
        raise NothingListed(
            f"source {source.name} lists no document, and never had one: correct what is read, or wait until there is "
            f"something. It reads {source.reader!r}"
        )


def _told(source: Source, load: Load, counts: Counter[str]) -> str:
    """Summarize the counts of the load in one line."""
    names = (
        "listed",
        "new",
        "changed",
        "access",
        "vanished",
        "unchanged",
        "resting",
        "unknown",
        "touched",
        "gone",
        "waiting",
    )
    told = f"{source.name} load {load.id}: " + ", ".join(
        f"{counts[n]:,} {n}" for n in names if counts[n] or n == "listed"
    )
    return told + ("; touched: the stamp moved, the content did not" if counts["touched"] else "")


def _plan(
    runtime: Runtime, source: Source, load: Load, reader: OpenReader, options: Options, base: int
) -> tuple[Counter[str], Counter[str]]:
    """Compare the listing with the ledger and stage the plan.

    Narrowed access applies at once. A document that is new to the ledger is recorded with its access, so that
    this can be revoked while its text is being loaded. If a stamp did not tell of a change, or did not lately,
    everything is read and compared by its content. Returns the count per planned action and the count per file
    extension.
    """
    stamps = Stamps(runtime, source, load)
    found = _planned(runtime, source, load=load, reader=reader, options=options, base=base, stamps=stamps)
    if not options.whole:
        return found
    if not options.full:
        wrong = stamps.wrong(reader)
        if wrong or stamps.in_doubt:
            found = _planned(runtime, source, load=load, reader=reader, options=options, base=base, stamps=None)
        stamps.note(found[0], wrong)
    stamps.tell(found[0])
    return found


def _planned(
    runtime: Runtime,
    source: Source,
    load: Load,
    reader: OpenReader,
    options: Options,
    base: int,
    stamps: Stamps | None,
) -> tuple[Counter[str], Counter[str]]:
    """Make and stage the plan; without stamps each document is compared by its content."""
    counts, endings, recipes = Counter[str](), Counter[str](), recipes_of(runtime, source)

    def record(window: list[tuple[Listed, Planned]], known: dict[str, Known]) -> None:
        endings.update(ending(one.key) for one, _ in window)
        for one, planned in window:
            if stamps is not None:
                stamps.look(one, planned, known.get(one.key))
        moved = [
            (one.key, one.policy)
            for one, p in window
            if one.key in known and p.why != "erased" and known[one.key].policy != one.policy
        ]
        if moved:
            access.narrow(runtime.ledger, load, moved, base)
        new = [(one.key, one.policy) for one, p in window if p.what == "new" and p.access_version == 0 and one.policy]
        if new:
            access.introduce(runtime.ledger, load, new)
        unknown = [
            SetAside(
                key=one.key,
                uri=one.uri,
                stage="read",
                error=AccessUnknown.__name__,
                reason=one.reason,
                fingerprint=one.fingerprint,
            )
            for one, p in window
            if p.why == "unknown"
        ]
        if unknown:
            quarantine.put(runtime.ledger, load, recipes[0], unknown)
        back = [one.key for one, p in window if one.key in known and _is_back(p, known[one.key], recipes)]
        if back:
            quarantine.resolve(runtime.ledger, load, back)

    def left(keys: list[str]) -> None:
        quarantine.resolve(runtime.ledger, load, keys)

    plan = compare(
        runtime,
        source,
        reader=reader,
        options=options,
        counts=counts,
        record=record,
        left=left,
        by_content=stamps is None,
    )
    runtime.staging.write(_plan_path(source, load), Planned, plan)
    return counts, endings


def _is_back(plan: Planned, known: Known, recipes: Sequence[str]) -> bool:
    """Whether the source has a document as people see it, while another content of it rests in quarantine."""
    as_visible = plan.what in ("unchanged", "access") and plan.why not in ("erased", "unknown")
    return as_visible and known.set_aside is not None and not rests_as(known, plan.fingerprint, recipes)


def _plan_path(source: Source, load: Load) -> str:
    return path(source.name, load.id, "read", "plan.parquet")


def _fetch(
    runtime: Runtime, source: Source, load: Load, reader: OpenReader, counts: Counter[str], base: int
) -> list[Batch]:
    """Fetch the planned documents and stage them in batches of even weight."""

    def wanted() -> Iterator[Planned]:
        return (p for p in runtime.staging.read(_plan_path(source, load), Planned) if p.what in ("new", "changed"))

    n_wanted = n_left = counts["new"] + counts["changed"]
    weight = sum(_weight(p) for p in wanted())
    n_batches = max(1, min(runtime.settings.max_batches, -(-weight // int(runtime.settings.batch_mb * (1 << 20)))))
    target, batches, aside = weight / n_batches, list[Batch](), list[SetAside]()
    raws = _raws(runtime, source, load=load, reader=reader, wanted=wanted(), counts=counts, aside=aside, base=base)
    first = next(raws, None)
    while first is not None:
        size, n = 0.0, 0

        def batch(opening: RawDocument) -> Iterator[RawDocument]:
            nonlocal size, n, n_left, first
            one: RawDocument | None = opening
            while one is not None:
                size, n, n_left = size + len(one.content), n + 1, n_left - 1
                yield one
                one = next(raws, None)
                # A batch holds at least two documents, as long as there are others.
                if one is not None and size >= target and n >= 2 and n_left >= 2 and len(batches) + 1 < n_batches:
                    break
            first = one

        number = len(batches)
        runtime.staging.write(batch_path(source.name, load.id, "read", number), RawDocument, batch(first))
        batches.append(Batch(number, n, int(size)))
        loads.renew(runtime.ledger, load, runtime.lease_s)
        runtime.progress(f"{source.name}: batch {number} has {n:,} documents, {size / (1 << 20):.1f} MB")
    recipe_now = recipe_of(runtime, source)
    quarantine.put(runtime.ledger, load, recipe_now, aside, limited(runtime, recipe_now))
    runtime.staging.write(path(source.name, load.id, "read", "aside.parquet"), SetAside, aside)
    n_fetched = sum(b.n_documents for b in batches)
    counts.update(fetched=n_fetched, aside=len(aside))
    if n_wanted != n_fetched + counts["touched"] + counts["gone"] + len(aside):
        raise FatalError(
            f"source {source.name}: its reader was asked for {n_wanted} documents and gave {n_fetched} with content, "
            f"{counts['touched']} unchanged, {counts['gone']} gone, {len(aside)} set aside: it must answer each once"
        )
    return batches


def _raws(
    runtime: Runtime,
    source: Source,
    load: Load,
    reader: OpenReader,
    wanted: Iterable[Planned],
    counts: Counter[str],
    aside: list[SetAside],
    base: int,
) -> Iterator[RawDocument]:
    """Yield fetched documents with new content; count the others, and compare their access."""
    asked: dict[str, Planned] = {}
    touched: list[RawDocument] = []

    def asking() -> Iterator[Planned]:
        for one in wanted:
            asked[one.key] = one
            yield one

    for answer in reader.fetch(asking()):
        one = asked.pop(answer.key)
        match answer:
            case Gone():
                counts["gone"] += 1
            case SetAside():
                aside.append(answer)
                if answer.error == AccessUnknown.__name__:  # since it was listed, so what people see is masked at once
                    access.narrow(runtime.ledger, load, [(answer.key, None)], base)
            case RawDocument():
                if answer.policy != one.policy:  # its access changed since it was listed
                    access.narrow(runtime.ledger, load, [(answer.key, answer.policy)], base)
                if one.known_hash and one.known_hash == answer.content_hash:
                    counts["touched"] += 1
                    touched.append(replace(answer, content=b""))
                else:
                    yield answer
    documents.touch(runtime.ledger, load, touched)
    quarantine.resolve(runtime.ledger, load, [one.key for one in touched])
    moved = {
        key for window in windows([one.key for one in touched]) for key in access.moving(runtime.ledger, load, window)
    }
    if moved:  # only access changed, which a row's fingerprint cannot show
        plan = list(runtime.staging.read(_plan_path(source, load), Planned))
        only_access = (replace(p, what="access", why="access") if p.key in moved else p for p in plan)
        runtime.staging.write(_plan_path(source, load), Planned, only_access)
        counts["access"] += len(moved)


def _weight(one: Planned) -> int:
    suffix = one.key.rpartition(".")[2].lower()
    return int((one.size or ROW_BYTES) * LIGHT.get(suffix, 1.0)) + 256
