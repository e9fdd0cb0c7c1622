"""Whether the index still holds what the ledger says, looked at with each run; what is lost is written again.

A Weaviate that was killed may have lost what it had acknowledged, so each source is compared as a whole once after
each start. Otherwise a count and a search for a sample have to do.
"""

import numpy as np

from moat.errors import IndexUnavailable
from moat.incidents.lifecycle import index_differed
from moat.index.store import Store
from moat.index.write import open_writer, unfound
from moat.ledger import documents, index_starts
from moat.ledger.former_names import first_name
from moat.ledger.loads import Load
from moat.maintenance.reconcile import Drift, against_index
from moat.runtime import Runtime

SAMPLE = 64  # chunks that a search must find


def keep_in_step(runtime: Runtime, index: Store, load: Load) -> Drift | None:
    """Compare the visible chunks of the load's source with the index, and repair that from the ledger.

    Args:
        runtime: The runtime of this process.
        index: Writer of the index, whose collection exists.
        load: The load that is under way; what differed is an incident of it.

    Returns:
        What differed and was repaired; None if nothing did.

    Raises:
        IndexUnavailable: Weaviate did not answer, or did not take the repair.
    """
    started, ledger = index.started(), runtime.ledger
    if not documents.count_visible(ledger, load.source):
        index_starts.keep(ledger, load.source, started)
        return None
    again = bool(started) and started != index_starts.known(ledger, load.source)
    if not again and _alike(runtime, index, load.source):
        return None
    drift = Drift(source=load.source)
    against_index(runtime, index, drift, repair=True)
    if not drift.agrees:
        message = (
            f"of {drift.visible_chunks:,} visible chunks the index lacked {drift.missing:,}, no search found {drift.unfound:,}, "
            f"{drift.text:,} had another text and {drift.access:,} another access, such as {drift.examples[0]}"
            f"{'; Weaviate was started again since it was last compared' if again else ''}. They were written again from the ledger"
        )
        runtime.progress(f"{load.source}: {message}")
        index_differed(runtime, load, message)
    index_starts.keep(ledger, load.source, started)
    return None if drift.agrees else drift


def look_without_a_load(runtime: Runtime, load: Load) -> None:
    """The same for a run with nothing to load. A Weaviate that does not answer is named, and the run goes on."""
    model = index_starts.model_of_newest(runtime.ledger, load.source)
    if model is None:
        return
    try:
        index = open_writer(runtime, model)
        try:
            index.check(model)
            keep_in_step(runtime, index, load)
        finally:
            index.close()
    except IndexUnavailable as error:
        runtime.progress(f"{load.source}: the index was not compared with the ledger: {error}")


def started_again(runtime: Runtime, index: Store, load: Load) -> bool:
    """Whether Weaviate was started again since the load's source was last compared with it."""
    started = index.started()
    return bool(started) and started != index_starts.known(runtime.ledger, load.source)


def _alike(runtime: Runtime, index: Store, source: str) -> bool:
    """Whether the index holds as many objects of the source as the ledger says, and a search finds some of them."""
    wanted, hidden = index_starts.count(runtime.ledger, source)
    if index.count(first_name(runtime.ledger, source), hidden) != wanted:
        return False
    sample = index_starts.sample(runtime.ledger, source, SAMPLE)
    vector = next(filter(None, sample.values()), None)
    return vector is None or not unfound(index, list(sample), np.frombuffer(vector, "<f4"))
