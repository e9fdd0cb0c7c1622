"""The cost of a load so far: seconds and model tokens by stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select, update

from moat.ledger import Ledger, add
from moat.ledger.tables import spent


def spend(ledger: Ledger, number: int, stage: str, part: int, seconds: float = 0.0, tokens: int = 0) -> None:
    """Add to the cost of a stage; failed tries count too."""
    key = {"load_id": number, "stage": stage, "part": part}
    with ledger.write() as connection:
        add(connection, spent, [{**key, "seconds": 0.0, "tokens": 0}])
        connection.execute(
            update(spent)
            .where(*(spent.c[name] == value for name, value in key.items()))
            .values(seconds=spent.c.seconds + seconds, tokens=spent.c.tokens + tokens)
        )


@contextmanager
def timed(ledger: Ledger, number: int, stage: str, part: int = 0) -> Iterator[None]:
    """Add a stage's duration to its load, whether it succeeds or fails."""
    started = time.monotonic()
    try:
        yield
    finally:
        spend(ledger, number, stage, part, time.monotonic() - started)


def of_load(ledger: Ledger, number: int) -> dict[str, tuple[float, int]]:
    """Seconds and model tokens of a load, by stage."""
    query = (
        select(spent.c.stage, func.sum(spent.c.seconds), func.sum(spent.c.tokens))
        .where(spent.c.load_id == number)
        .group_by(spent.c.stage)
    )
    with ledger.read() as connection:
        return {stage: (float(seconds), int(tokens)) for stage, seconds, tokens in connection.execute(query)}
