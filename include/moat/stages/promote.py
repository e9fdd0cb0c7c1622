"""promote: verify, then make visible in one transaction; later remove what it replaced."""

from moat.batching import windows
from moat.checks.verdict import released, verdict
from moat.errors import LoadRefused
from moat.incidents.lifecycle import mended
from moat.index.store import Store
from moat.index.write import opened
from moat.ledger import garbage, loads, quarantine
from moat.ledger.loads import Load
from moat.runtime import Way, raw_path, timed
from moat.source import Source


@timed("promote")
def promote(way: Way, source: Source, number: int, by: str, store: Store | None = None) -> Load:
    """Make a staged load visible, whole; then clear away what nobody can see or bring back.

    Called again it goes on where it stopped. Raises LoadRefused, Superseded, SchemaError.
    """
    current, found = way.load(number), verdict(way, number)
    if current.state != "promoted" and not released(current, found):
        raise LoadRefused(f"load {number} of {source.name} is not let through: the gate says {found.outcome}")
    index = store or opened(way, current.model or "")
    try:
        if current.state != "promoted":
            index.check(current.model or "")
        promoted = loads.promote(way.ledger, current, by)
        way.progress(f"{source.name} load {number} is visible")
        mended(way, promoted)
        clear(way, source.name, index)
        _clear_quarantine(way, source.name)
    finally:
        if store is None:
            index.close()
    return promoted


def clear(way: Way, source: str, index: Store) -> int:
    """Remove from index, ledger and staging what only loads before the newest promoted one hold."""
    ended = garbage.ended(way.ledger, source)
    if not ended:
        return 0
    ids = garbage.remains(way.ledger, source, ended)
    for window in windows(ids):
        index.delete(window)
    garbage.forget(way.ledger, ended, ids)
    for number in ended:
        way.staging.remove(f"{source}/{number}")
    loads.removed(way.ledger, ended)
    way.progress(f"{source}: {len(ids):,} replaced chunks removed")
    return len(ids)


def _clear_quarantine(way: Way, source: str) -> None:
    """Remove the bytes of documents that have left quarantine."""
    for window in windows(quarantine.kept_bytes(way.ledger, source)):
        for key in window:
            way.staging.remove(raw_path(way, source, key))
        quarantine.forget_bytes(way.ledger, source, window)
