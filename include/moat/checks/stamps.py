"""What is odd about the change stamps of a load, in words, by its counts."""

from collections.abc import Mapping


def in_words(counts: Mapping[str, int]) -> str:
    """What is odd about the stamps of a load, by its counts; empty if nothing is."""
    n, says = counts.get("stamped", 0), list[str]()
    if counts.get("stamp_one"):
        says.append(f"all {n:,} documents have one and the same stamp")
    if ahead := counts.get("stamp_ahead"):
        says.append(f"{ahead:,} of {n:,} stamps lie in the future")
    if behind := counts.get("stamp_behind"):
        says.append(f"{behind:,} of {counts.get('stamp_moved', 0):,} stamps that moved went back")
    return "; ".join(says)
