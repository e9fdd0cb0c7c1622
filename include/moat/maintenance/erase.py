"""erase: remove a document's text, vectors, bytes and copies everywhere; a tombstone stays.

The tombstone comes first and is enough to hide the document and to keep every run from reading it
again. Then, in steps that may be interrupted and repeated: what is known of the document is
recorded, index, staging and ledger are cleaned, and at last the erasure is marked done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moat.batching import windows
from moat.errors import ErasureRefused, IndexUnavailable, StagingError
from moat.index.store import Store
from moat.ledger import erasure, rebuilds, receipts
from moat.ledger.erasure import Request
from moat.ledger.former_names import name_now
from moat.ledger.receipts import Receipt
from moat.runtime import Runtime, raw_path


@dataclass(frozen=True, slots=True)
class Remnant:
    """A difference between a receipt and what is stored."""

    where: str  # ledger, index, staging, audit
    what: str


def erase(runtime: Runtime, index: Store, asked: Request) -> Receipt:
    """Erase documents of a source completely.

    Args:
        runtime: Ledger, staging, settings and connections.
        index: Writer of the index.
        asked: The documents, who asks, and why.

    Returns:
        The receipt of the finished erasure.

    Raises:
        ErasureRefused: A key is unknown, or a load of the source is in progress; see `finish`.
        IndexUnavailable: The index kept some of the objects.
    """
    return finish(runtime, index, erasure.begin(runtime.ledger, asked))


def finish(runtime: Runtime, index: Store, receipt: Receipt) -> Receipt:
    """Remove what documents with a tombstone leave behind; repeatable, continues where it stopped.

    Raises ErasureRefused while a load of the source is in progress, because it may hold their bytes, and
    IndexUnavailable when the index kept some objects. The tombstones stay in either case.
    """
    folders = _folders(runtime, receipt.source)  # listed first: a load that opens now creates its folder later
    live = erasure.under_way(runtime.ledger, receipt.source)
    if live:
        number, state = live[0]
        raise ErasureRefused(
            f"erasure {receipt.id}: nobody sees the {len(receipt.documents):,} documents from now on, and no run reads them "
            f"again. Load {number} of {receipt.source} is {state} and may still hold their bytes: wait until it has ended, or "
            f"`moat reject {number}`, then give the same command again, which goes on from here"
        )
    if (begun := rebuilds.under_way(runtime.ledger)) is not None:
        raise ErasureRefused(
            f"erasure {receipt.id}: nobody sees the {len(receipt.documents):,} documents from now on, and no run reads them "
            f"again. But {begun}, and its copy may hold their text: let it end, bring it to its end by `moat rebuild`, or give "
            "it up by `moat rebuild --drop`; then give the same command again, which goes on from here"
        )
    hashes = set(_staged(runtime, receipt, folders))
    receipt = erasure.collect(runtime.ledger, receipt, (), hashes)
    removed = {"objects": _from_index(runtime, index, receipt)}
    runtime.progress(f"erasure {receipt.id}: {removed['objects']:,} objects removed from the index")
    removed["staged files"] = _from_staging(runtime, receipt, folders)
    removed |= erasure.forget(runtime.ledger, receipt)
    if not runtime.ledger.scrub():
        raise ErasureRefused(
            f"erasure {receipt.id}: everything is deleted, but another process reads the ledger without a pause, so the log that "
            "SQLite writes ahead still holds earlier bytes. Give the same command again when that process has ended"
        )
    return erasure.done(runtime.ledger, receipt, removed)


def verify(runtime: Runtime, index: Store, receipt: Receipt) -> list[Remnant]:
    """Check a receipt against ledger, index, staging and audit.

    Args:
        runtime: Ledger, staging, settings and connections.
        index: Writer of the index.
        receipt: The receipt to check.

    Returns:
        Everything that contradicts the receipt; empty if it is valid.

    Raises:
        ErasureRefused: The receipt is another tenant's.
        IndexUnavailable: The index cannot be queried.
    """
    if receipt.tenant != runtime.settings.tenant:
        raise ErasureRefused(f"this is a receipt of tenant {receipt.tenant}, MOAT_TENANT is {runtime.settings.tenant}")
    found = [Remnant("ledger", what) for what in receipts.left(runtime.ledger, receipt)]
    found += [Remnant("index", f"object {chunk_id}") for chunk_id in _in_index(index, receipt)]
    found += [Remnant("staging", what) for what in _in_staging(runtime, receipt)]
    found += [Remnant("audit", what) for what in receipts.missing_from_audit(runtime.ledger, receipt)]
    return found


def _from_index(runtime: Runtime, index: Store, receipt: Receipt) -> int:
    """Delete every object of the documents; verified by reading back."""
    if not index.exists():
        return 0
    removed = 0
    for window in windows(receipt.chunks):
        removed += len(index.read_back(window))
        index.delete(window)
    for document in receipt.documents:
        while ids := index.ids_of_document(document):
            index.delete(ids)
            removed += len(ids)
    if still := next(_in_index(index, receipt), None):
        raise IndexUnavailable(
            f"erasure {receipt.id}: Weaviate still gives object {still}; give the same command again"
        )
    return removed


def _in_index(index: Store, receipt: Receipt) -> Iterator[str]:
    if not index.exists():
        return
    for window in windows(receipt.chunks):
        yield from index.read_back(window)
    for document in receipt.documents:
        yield from index.ids_of_document(document)


def _folders(runtime: Runtime, source: str) -> list[str]:
    """Load folders in staging, by number."""
    parts = {path.split("/")[1] for path in runtime.staging.files(source) if path.count("/") > 1}
    return sorted(part for part in parts if part.isdecimal())


def _staged(runtime: Runtime, receipt: Receipt, folders: Sequence[str]) -> Iterator[str]:
    """Text hashes of the documents in staged loads, visible or not."""
    keys = set(receipt.keys)
    for path in (p for folder in folders for p in runtime.staging.files(f"{receipt.source}/{folder}/chunk")):
        if path.endswith(".parquet"):
            try:
                pairs = zip(runtime.staging.column(path, "key"), runtime.staging.column(path, "text_hash"), strict=True)
                yield from (text_hash for key, text_hash in pairs if key in keys)
            except StagingError as error:  # partial file of a killed task; it is removed with its folder anyway
                runtime.progress(f"erasure {receipt.id}: {error}")


def _from_staging(runtime: Runtime, receipt: Receipt, folders: Sequence[str]) -> int:
    """Remove bytes kept in quarantine, and folders of ended loads."""
    gone = [path for folder in folders for path in runtime.staging.files(f"{receipt.source}/{folder}")]
    for folder in folders:
        runtime.staging.remove(f"{receipt.source}/{folder}")
    aside = _set_aside(runtime, receipt)
    for path in aside:
        runtime.staging.remove(path)
    return len(gone) + len(aside)


def _set_aside(runtime: Runtime, receipt: Receipt) -> list[str]:
    """Quarantine files of the documents, with checksums and partial files of killed tasks."""
    source = name_now(runtime.ledger, receipt.source)
    mine = tuple(raw_path(runtime, source, key) for key in receipt.keys)
    return [path for path in runtime.staging.files(f"{source}/quarantine") if path.startswith(mine)]


def _in_staging(runtime: Runtime, receipt: Receipt) -> Iterator[str]:
    """Locations in staging that mention the documents, found by reading every Parquet file."""
    yield from (f"{path} is there" for path in _set_aside(runtime, receipt))
    wanted: dict[str, set[Any]] = {"key": set(receipt.keys), "chunk_id": set(receipt.chunks)}
    for path in runtime.staging.files(name_now(runtime.ledger, receipt.source)):
        if path.endswith(".draft"):
            yield f"{path} is there, half written"
        if not path.endswith(".parquet"):
            continue
        try:
            if any(value in values for name, values in wanted.items() for value in runtime.staging.column(path, name)):
                yield f"{path} names one of the documents"
        except StagingError as error:
            if runtime.staging.exists(path):  # otherwise its load ended meanwhile
                yield f"{path} cannot be looked into: {error}"
