"""What `moat doctor` says of one thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Examined:
    """One examined item. `needed` is False if only some documents need it."""

    what: str
    ok: bool
    found: str
    needed: bool = True
