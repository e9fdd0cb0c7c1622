"""A reader that keeps a token: it asks for what changed, and the token moves with promotion alone."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from moat.access.rules import Facts, Needs
from moat.declarations import declared
from moat.errors import FatalError
from moat.ledger import loads, reader_states
from moat.maintenance.access_sync import sync_access
from moat.readers.reader import Fetched, Gone, Reading, raw
from moat.records import Listed, Planned
from moat.source import Groups, Limits
from tests.company import ANN, Company

FEED: list[tuple[str, str | None]] = []  # (key, text) in the order of the changes; None: it was deleted
ASKED: list[str] = []  # tokens that the system was asked with


class OpenFeed:
    """The feed, from a token on: the number of changes that were read before."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.n = reading, len(FEED)

    def listing(self) -> Iterator[Listed]:
        ASKED.append(self.reading.state)
        since = dict(FEED[json.loads(self.reading.state or "0") : self.n])
        yield from (self._listed(key) for key, text in since.items() if text is not None)
        if self.reading.state:
            yield from (one for one in self.reading.listed_before() if one.key not in since)

    def _listed(self, key: str) -> Listed:
        at = max(i for i, (name, _) in enumerate(FEED) if name == key)
        judge = self.reading.rule.judge(lambda name: None)
        return self.reading.listed(key, f"feed:{key}", str(at), 0, lambda: judge(Facts(key)))

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        now = dict(FEED)
        for one in wanted:
            text = now[one.key]
            yield Gone(one.key) if text is None else raw(one, one.key, text.encode())

    def state(self) -> str:
        return json.dumps(self.n)


@declared
class Feed:
    """A system with a change feed."""

    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing"})

    def wrong(self) -> list[str]:
        return []

    @contextmanager
    def open(self, reading: Reading) -> Iterator[OpenFeed]:
        yield OpenFeed(reading)


@pytest.fixture
def feed(company: Company) -> Iterator[Company]:
    FEED[:] = [(f"{name}.md", f"# {name}\n\nThis is about {name}.\n") for name in ("bikes", "boats", "trains")]
    ASKED.clear()
    lax = Limits(max_vanished_ratio=1.0, max_failed_ratio=1.0)
    company.source = company.declared(reader=Feed(), access=Groups(("everyone",)), limits=lax)
    yield company
    FEED.clear()


def test_a_token_moves_with_promotion_alone(feed: Company) -> None:
    ledger = feed.runtime.ledger
    first = feed.run().load
    assert (first.state, first.counts["listed"], ASKED) == ("promoted", 3, [""])
    assert feed.run().load.state == "unchanged"

    FEED.append(("boats.md", "# Boats\n\nA boat leaves at nine.\n"))
    FEED.append(("trains.md", None))
    second = feed.run().load
    assert (second.counts["listed"], second.counts["changed"], second.counts["vanished"]) == (2, 1, 1)
    assert feed.search("When does a boat leave?", ANN)[0].document_key == "boats.md"
    assert feed.run().load.state == "unchanged"
    assert ASKED == ["", "3", "3", "5"]

    # A load that is rejected leaves the token where it was, and what it brought comes again.
    FEED.append(("cars.md", "# Cars\n\nA car needs a key.\n"))
    number = feed.to_the_gate("rejected")
    loads.reject(ledger, number, "user:ann", "not now")
    assert feed.run().load.counts["new"] == 1
    assert ASKED[-2:] == ["5", "5"]
    third = next(one for one in loads.recent(ledger, "docs", 1))
    loads.rollback(ledger, third.id, "user:ann")
    assert feed.keys("What does a car need?", ANN)[:1] != ["cars.md"]
    again = feed.run().load
    assert (ASKED[-1], again.counts["new"]) == ("5", 1), "rolled back, so its changes are brought again"


def test_what_is_in_quarantine_is_listed_on_and_the_rest_is_read_whole(feed: Company) -> None:
    FEED.append(("broken.pdf", "%PDF-1.7 nothing"))
    feed.run()
    before = {one.key for one in reader_states.listed_before(feed.runtime.ledger, "docs")}
    assert before == {"bikes.md", "boats.md", "trains.md", "broken.pdf"}
    assert feed.run().load.counts["listed"] == 4
    feed.run(full=True)
    sync_access(feed.runtime, feed.source, "test")
    feed.run(only=("bikes.md",))
    assert ASKED[-3:] == ["", "", ""], "full runs, access sync and runs of some keys read everything"


def test_a_state_that_is_no_small_one_is_refused(feed: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenFeed, "state", lambda self: "ä" * 40_000)
    with pytest.raises(FatalError, match=r"docs wants to keep 80,000 bytes of state; at most 65,536"):
        feed.run()
    assert reader_states.newest(feed.runtime.ledger, "docs") == ""
