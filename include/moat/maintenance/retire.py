"""Retire a source: nobody finds its documents from now on, then they are removed; the audit stays."""

from moat.dagfile import DAGS, file_declaring
from moat.errors import DeclarationError
from moat.index.store import Store
from moat.ledger import Ledger, retiring, sources
from moat.ledger.receipts import Receipt
from moat.maintenance.erase import finish
from moat.owners import sources_of
from moat.runtime import Runtime


def refuse_declared(ledger: Ledger, name: str) -> None:
    """Refuse to retire a source that a DAG file still declares: its next run would load all of it again.

    A retirement that has begun may always be finished.

    Raises:
        DeclarationError: A DAG file declares it, or is broken and may declare it; the message names the file.
    """
    if name in sources.retired(ledger):
        return
    found = sources_of(ledger)
    if file := found.files.get(name):
        raise DeclarationError(f"{DAGS.name}/{file} declares source {name}: take it out of {DAGS.name}/{file} first")
    owner, written = sources.owners(ledger).get(name), file_declaring(name, DAGS)
    for file in found.broken:
        if file == owner or (written is not None and written == DAGS / file):
            raise DeclarationError(
                f"{DAGS.name}/{file} is broken and may declare source {name}: take it out of {DAGS.name}/{file} first, "
                f"or mend the file: {found.broken[file]}"
            )


def remove(runtime: Runtime, index: Store, name: str) -> list[Receipt]:
    """Remove what a retired source's documents leave in index, staging and ledger; repeatable.

    Args:
        runtime: Ledger, staging, settings and connections.
        index: Writer of the index.
        name: Name of a source that `moat.ledger.retiring.begin` has hidden.

    Returns:
        The finished receipts; empty if nothing was left to remove.

    Raises:
        ErasureRefused: A load of the source is in progress.
        IndexUnavailable: The index kept some of the objects.
    """
    return [finish(runtime, index, receipt) for receipt in retiring.unfinished(runtime.ledger, name)]
