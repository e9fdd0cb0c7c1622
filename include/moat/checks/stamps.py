"""What is odd about the change stamps of a load, in words, by its counts."""

from collections.abc import Iterable, Mapping

from moat.ledger.loads import Load

ODD = ("stamp_one", "stamp_ahead", "stamp_behind")  # counts of a load


def known(counts: Mapping[str, int], before: Iterable[Load]) -> bool:
    """Whether all that is odd about the stamps was so in a promoted load before, which a person has let pass."""
    promoted = [one for one in before if one.state == "promoted"]
    return all(any(one.counts.get(name) for one in promoted) for name in ODD if counts.get(name))


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
