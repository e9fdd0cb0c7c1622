"""Keep the lease of a load while a stage works, however long one document takes."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from moat.errors import RetriableError
from moat.ledger import loads
from moat.ledger.loads import Load
from moat.runtime import Runtime

EVERY_S = 10.0  # or four times a lease, if that is sooner


@contextmanager
def renewed(runtime: Runtime, load: Load) -> Iterator[Callable[[], None]]:
    """Renew the lease in a thread until the block ends.

    Yields:
        What a stage calls between documents: it raises Superseded once another run has taken over, and whatever else
        ended the thread. The end of the block does so too.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(1, "lease") as pool:
        renewing = pool.submit(_renew, runtime, load, ended)

        def check() -> None:
            if renewing.done():
                renewing.result()

        try:
            yield check
        finally:
            ended.set()
        renewing.result()


def _renew(runtime: Runtime, load: Load, ended: threading.Event) -> None:
    """Renew until the end. A ledger that does not answer is tried again; anything else ends it, and is told."""
    going_on = False
    try:
        while not ended.wait(min(EVERY_S, runtime.lease_s / 4)):
            try:
                loads.renew(runtime.ledger, load, runtime.lease_s)
            except RetriableError as error:
                runtime.progress(f"{load.source}: the lease of load {load.id} is not renewed, tried again: {error}")
        going_on = True
    finally:
        if not going_on:
            runtime.progress(f"{load.source}: the lease of load {load.id} is not renewed any more")
