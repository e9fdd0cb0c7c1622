"""Go on with a load whose run has ended, under another run; and tell the run that lost it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from moat.errors import LoadRefused, StagingError
from moat.ledger import Ledger, loads
from moat.ledger.audit import record
from moat.ledger.loads import LIVE, Load, fenced
from moat.ledger.runs import gone
from moat.ledger.tables import load, source


def take_over(ledger: Ledger, number: int, run: str, by: str, *, lease_s: float, ended: bool) -> Load:
    """Go on with an open or staged load, behind a new fence.

    Args:
        ledger: The ledger.
        number: Number of the load.
        run: Identity of the run that goes on with it.
        by: Who asks for it, for the audit.
        lease_s: Duration of the lease in seconds.
        ended: Whether the run that made it is known to have ended, so that its lease is not waited for.

    Returns:
        The load, as its new run has it.

    Raises:
        LoadRefused: It waits for a person, has ended, has nothing in staging yet, or is being made by a run.
    """
    found = loads.get(ledger, number)
    name, mine = f"load {number} of {found.source}", (source.c.tenant == ledger.tenant, source.c.name == found.source)
    if found.state == "held":
        raise LoadRefused(f"{name} waits for a person: `moat release {number}` or `moat reject {number}`")
    if found.state not in ("open", "staged"):
        raise LoadRefused(f"{name} is {found.state}: nothing is left to go on with; `moat loads` lists the newest")
    now = datetime.now(UTC)
    with ledger.write() as connection:
        row = connection.execute(select(source).where(*mine).with_for_update()).one()
        if row.lease_until > now and not ended and not gone(found.run):
            raise LoadRefused(
                f"{name} is being made by {found.run}, and its lease ends at {row.lease_until:%Y-%m-%d %H:%M} UTC: wait for it"
            )
        if "batches" not in found.counts:
            raise LoadRefused(f"{name} ended while its source was read: run the source again for a new one")
        same = (load.c.id == number, load.c.state == found.state, load.c.fence == row.fence, load.c.run == found.run)
        done = connection.execute(update(load).where(*same).values(run=run, fence=row.fence + 1, reason=None))
        if done.rowcount != 1:
            raise LoadRefused(f"{name} has changed meanwhile: look at it with `moat load show {number}`")
        # What is left of the earlier run holds the old fence, and can change nothing.
        until = now + timedelta(seconds=lease_s)
        connection.execute(update(source).where(*mine).values(fence=row.fence + 1, lease_until=until))
        record(connection, ledger.tenant, actor=by, action="resume", subject=name, detail={"after": found.run})
    return loads.get(ledger, number)


@contextmanager
def told_if_overtaken(ledger: Ledger, current: Load) -> Iterator[None]:
    """Raise Superseded instead of StagingError where another run took over, which removes the files of this one."""
    try:
        yield
    except StagingError:
        if loads.get(ledger, current.id).state in (*LIVE, "abandoned", "rejected"):
            with ledger.write() as connection:
                fenced(connection, ledger, current)
        raise
