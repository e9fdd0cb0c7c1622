"""Before a load that removes documents is released: which of them are listed again, and stay."""

import time
from dataclasses import dataclass

from moat.errors import MoatError
from moat.ledger import loads
from moat.records import Planned
from moat.runtime import Runtime, path
from moat.source import Source

MOST_S = 60.0  # of looking; a longer listing is not read to its end
SHOWN = 5  # keys told
LOOK_EVERY = 1_000  # documents between two looks at the clock


@dataclass(frozen=True, slots=True)
class ListedAgain:
    """What a look at the source found for a load: documents that stay, and whether all was looked at."""

    keys: tuple[str, ...]
    n_vanished: int  # that the load would have removed
    unread: str = ""  # why the source was not read, or not to its end

    @property
    def told(self) -> str:
        """What a person is told; empty where nothing was listed again."""
        said = list[str]()
        if self.keys:
            more = f" and {len(self.keys) - SHOWN:,} more" if len(self.keys) > SHOWN else ""
            said.append(
                f"{len(self.keys):,} of {self.n_vanished:,} documents that it would have removed are listed again, and "
                f"stay: {', '.join(self.keys[:SHOWN])}{more}"
            )
        if self.unread:
            said.append(f"whether documents that it removes are listed again is not known: {self.unread}")
        return "; ".join(said)


def keep_listed(runtime: Runtime, source: Source, number: int) -> ListedAgain | None:
    """Take documents that the source lists again out of what a held load removes.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.

    Returns:
        What was found; None for a load that is not held or removes nothing. A source that cannot be read takes nothing
        out and is told.

    Raises:
        Superseded: The load no longer holds its source's lease.
    """
    load = runtime.load(number)
    if load.state != "held" or not load.counts.get("vanished"):
        return None
    where = path(source.name, number, "read", "plan.parquet")
    plan = list(runtime.staging.read(where, Planned))
    gone = {one.key for one in plan if one.what == "vanished"}
    there, unread, until = set[str](), "", time.monotonic() + MOST_S
    try:
        with source.reader.open(runtime.reading(source)) as reader:
            for n, one in enumerate(reader.listing()):
                if one.key in gone:
                    there.add(one.key)
                if there == gone:
                    break
                if n % LOOK_EVERY == LOOK_EVERY - 1 and time.monotonic() > until:
                    unread = f"after {MOST_S:.0f} s its listing was not at its end"
                    break
    except MoatError as error:
        unread = str(error)
    if there:
        kept = (one for one in plan if one.what != "vanished" or one.key not in there)
        runtime.staging.write(where, Planned, kept)
        loads.note(runtime.ledger, load, {"vanished": len(gone - there), "relisted": len(there)})
    return ListedAgain(tuple(sorted(there)), len(gone), unread)
