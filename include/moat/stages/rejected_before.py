"""Whether a load brings the same as one that was rejected, and who rejected that and why."""

from hashlib import blake2b

from moat.errors import StagingError
from moat.ledger import loads
from moat.ledger.loads import Load
from moat.records import Planned
from moat.runtime import Runtime, path

LOOKED_AT = 20  # of the source's newest loads
LONGEST = 300  # characters of a reason


def rejected_before(runtime: Runtime, load: Load) -> str:
    """Say of a load that one with the same plan was rejected; empty where none was since the last promoted one."""
    for one in loads.recent(runtime.ledger, load.source, LOOKED_AT):
        if one.state == "promoted":
            break
        alike = one.id < load.id and one.state == "rejected" and _counts(one) == _counts(load)
        if alike and (found := _digest(runtime, one)) is not None and found == _digest(runtime, load):
            by = "the gate" if one.decided_by == "gate" else one.decided_by
            because = f": {one.reason[:LONGEST]}" if one.reason else ""
            return f"it brings the same as load {one.id}, which {by} rejected{because}"
    return ""


def _counts(load: Load) -> list[int | None]:
    return [load.counts.get(name) for name in ("new", "changed", "access", "vanished")]


def _digest(runtime: Runtime, load: Load) -> int | None:
    """A number of what a load does with which documents, whatever their order; None: it is not in staging any more."""
    total = 0
    try:
        for one in runtime.staging.read(path(load.source, load.id, "read", "plan.parquet"), Planned):
            line = repr((one.what, one.key, one.fingerprint, one.policy))
            total += int.from_bytes(blake2b(line.encode(), digest_size=16).digest())
    except StagingError:
        return None
    return total
