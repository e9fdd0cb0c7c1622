"""Stamps that cannot tell of changes are told by what they are: one for all, in the future, or going back."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from moat.checks.stamps import in_words
from moat.ledger.documents import Known
from moat.records import Listed, Planned
from moat.stages.stamps import Values

NOW = datetime(2026, 7, 5, 12, tzinfo=UTC)


def said(now: Callable[[int], str], was: Callable[[int], str] | None = None, n: int = 40) -> str:
    """What is said of n documents with these stamps, and with those that they had."""
    values = Values(now=NOW)
    for i in range(n):
        listed = Listed(key=str(i), uri="", fingerprint=now(i), size=0, policy="p", reason="")
        before = was(i) if was else ""
        known = Known(visible=True, fingerprint=before, set_aside=None, rests=False, asked=False) if was else None
        planned = Planned(
            key=str(i),
            uri="",
            fingerprint=now(i),
            size=0,
            policy="p",
            what="new" if known is None else "unchanged" if before == now(i) else "changed",
            why="",
            access_version=0,
            known_hash="",
        )
        values.add(listed, planned, known)
    return in_words(Counter(stamped=values.n, stamp_moved=values.n_moved, **values.odd()))


def days(shift: float) -> Callable[[int], str]:
    return lambda i: f"updated_at={(NOW + timedelta(days=shift, minutes=i)).isoformat()}"


def test_stamps_that_cannot_tell_of_changes_are_named() -> None:
    assert said(lambda i: "updated_at=2026-01-01T00:00:00") == "all 40 documents have one and the same stamp"
    assert said(days(30)) == "40 of 40 stamps lie in the future"
    assert said(days(-9), days(-8)) == "40 of 40 stamps that moved went back"


def test_stamps_as_they_should_be_and_few_of_them_are_not() -> None:
    assert said(days(-9)) == ""
    assert said(days(-8), days(-9)) == ""
    assert said(days(-8), days(-8)) == "", "none moved"
    assert said(lambda i: "updated_at=2026-01-01", n=19) == "", "a few may be written at once"
    assert said(days(0.5)) == "", "clocks and time zones differ"
    assert said(lambda i: f"etag-{i}") == said(lambda i: "1717 4711") == "", "no times"
