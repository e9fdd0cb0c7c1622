"""What a load measures beside its checks: numbers whose usual range is learned from the loads before it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a load, and what a departure from its usual range means.

    A name that ends with ":" stands for every name that begins so, such as one share a file type. Two measures
    may have one name, where a departure to one side means something else than one to the other.
    """

    name: str
    title: str  # what a person reads: "documents listed"
    scale: Literal["count", "share", "plain"]  # counts are compared by ratio, shares and plain numbers by difference
    least: float  # change that matters at all: a ratio for counts (0.2: a fifth), a difference otherwise
    side: Literal["both", "high", "low"] = "both"  # where a departure is bad
    severity: Literal["warn", "hold"] = "hold"  # of a severe departure; a milder one only warns
    of: str = ""  # the measure that says of how many things this is the share or mean: few tell little
    absent: Literal["unknown", "zero"] = "unknown"  # what it is, of a name with ":", in a load that has no such name
