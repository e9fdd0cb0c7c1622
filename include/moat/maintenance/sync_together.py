"""Access sync of many sources in one task, so that its start is paid once for all of them.

A task's start costs more than the listing of a source that nothing happened to: it is what limits how many sources
can be read every five minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from moat.errors import MoatError
from moat.ledger import Ledger, access
from moat.maintenance.access_sync import SyncedAccess, sync_access
from moat.runtime import Runtime
from moat.source import Source

BROKEN = "broken DAG files"
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def by_kind(sources: Mapping[str, Source], names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the kind of their reader; those of no source are broken DAG files."""
    found = dict[str, list[str]]()
    for name in names:
        kind = type(sources[name].reader).__name__ if name in sources else BROKEN
        found.setdefault(kind, []).append(name)
    return found


def sync_together(
    runtime: Runtime,
    sources: Iterable[Source],
    by: str,
    since: datetime,
    ended: Callable[[Source, SyncedAccess | MoatError], None],
) -> None:
    """Read the access of each source that nobody has read since; one that fails stops no other.

    Args:
        runtime: Ledger, staging, settings and connections.
        sources: The declared sources.
        by: Who runs the sync, as recorded in the audit.
        since: The run's start, in UTC: what was read later is not due, by an earlier try or by another run.
        ended: Is given each source that was read, with what came of it.
    """
    named = {source.name: source for source in sources}
    for name in _due(runtime.ledger, named, since):
        try:
            result: SyncedAccess | MoatError = sync_access(runtime, named[name], by)
        except MoatError as error:
            result = error
        ended(named[name], result)


def unread(failed: Mapping[str, MoatError], n: int) -> str:
    """What a task says of the sources that it could not read; empty if there are none."""
    if not failed:
        return ""
    return f"access of {len(failed):,} of {n:,} sources is not read: " + "; ".join(map(str, failed.values()))


def _due(ledger: Ledger, names: Iterable[str], since: datetime) -> Iterator[str]:
    """Names in the order in which to read them, without those read since.

    The oldest reading comes first. A source that cannot be read, or that an earlier run still waits for, comes last:
    one that hangs keeps the others waiting in one run, and not in the next ones.
    """
    states = {state.source: state for state in access.states(ledger)}

    def turn(name: str) -> tuple[bool, datetime, str]:
        state = states.get(name)
        return (state is not None and state.until is not None, (state and state.read_at) or LONG_AGO, name)

    for name in sorted(names, key=turn):
        read_at = access.read_at(ledger, name)
        if read_at is None or read_at < since:
            yield name
