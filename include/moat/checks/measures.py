"""Measures of a load whose usual range is learned from earlier loads."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of a load, and the meaning of a departure.

    A name that ends with ":" covers every name with that prefix, such as one share per file type. Two
    measures may share a name if a departure to one side means something else than one to the other.

    Args:
        name: Name in the ledger, or a prefix that ends with ":".
        title: Label in reports, such as "documents listed".
        scale: How values are compared: counts by ratio, shares and plain numbers by difference.
        least: Smallest change that matters: a ratio for counts (0.2 is a fifth), otherwise a difference.
        side: Direction in which a departure is bad.
        severity: Severity of a severe departure; a milder one only warns.
        of: Name of the measure with the sample size of this share or mean; small samples prove little.
        absent: Value of a name with a prefix that a load does not have: unknown or zero.
    """

    name: str
    title: str  # label in reports: "documents listed"
    scale: Literal["count", "share", "plain"]  # counts are compared by ratio, shares and plain numbers by difference
    least: float  # smallest change that matters: a ratio for counts, otherwise a difference
    side: Literal["both", "high", "low"] = "both"  # in which a departure is bad
    severity: Literal["warn", "hold"] = "hold"  # of a severe departure; a milder one only warns
    of: str = ""  # measure with the sample size of this share or mean
    absent: Literal["unknown", "zero"] = "unknown"  # of a name with ":" that a load does not have
