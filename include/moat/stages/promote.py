"""promote: make a load visible in one transaction, then remove what it replaced."""

from moat.batching import windows
from moat.checks.verdict import released, verdict
from moat.errors import LoadRefused
from moat.incidents.lifecycle import mended
from moat.index.store import Store
from moat.index.write import open_writer
from moat.ledger import garbage, loads, quarantine
from moat.ledger.loads import Load
from moat.maintenance.in_step import keep_in_step, started_again
from moat.runtime import Runtime, raw_path, timed
from moat.source import Source


@timed("promote")
def promote(runtime: Runtime, source: Source, number: int, by: str, store: Store | None = None) -> Load:
    """Make a staged load visible as a whole, then remove what no rollback can restore.

    Called again, it continues where it stopped.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        by: Who promotes, for the audit.
        store: Index to use, which the caller closes; None: opened with the writer's key.

    Returns:
        The promoted load.

    Raises:
        LoadRefused: Neither the gate nor a person has released the load.
        Superseded: The run lost its lease on the source.
        SchemaError: The live collection is not what Moat needs.
    """
    current, found = runtime.load(number), verdict(runtime, number)
    if current.state != "promoted" and not released(current, found):
        raise LoadRefused(f"load {number} of {source.name} is not let through: the gate says {found.outcome}")
    index = store or open_writer(runtime, current.model or "")
    try:
        if current.state != "promoted":
            index.check(current.model or "")
        promoted = loads.promote(runtime.ledger, current, by)
        runtime.progress(f"{source.name} load {number} is visible")
        if started_again(runtime, index, promoted):
            keep_in_step(runtime, index, promoted)
        mended(runtime, promoted)
        clear(runtime, source.name, index)
        _clear_quarantine(runtime, source.name)
    finally:
        if store is None:
            index.close()
    return promoted


def clear(runtime: Runtime, source: str, index: Store) -> int:
    """Remove what only loads before the newest promoted one hold.

    Returns the number of removed chunks.
    """
    ended = garbage.ended(runtime.ledger, source)
    if not ended:
        return 0
    ids = garbage.remains(runtime.ledger, source, ended)
    for window in windows(ids):
        index.delete(window)
    garbage.forget(runtime.ledger, source, ended, ids)
    for number in ended:
        runtime.staging.remove(f"{source}/{number}")
    loads.removed(runtime.ledger, ended)
    runtime.progress(f"{source}: {len(ids):,} replaced chunks removed")
    return len(ids)


def _clear_quarantine(runtime: Runtime, source: str) -> None:
    """Remove the bytes of documents that have left quarantine."""
    for window in windows(quarantine.kept_bytes(runtime.ledger, source)):
        for key in window:
            runtime.staging.remove(raw_path(runtime, source, key))
        quarantine.forget_bytes(runtime.ledger, source, window)
