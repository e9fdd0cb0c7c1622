"""What every reader must keep, as tests.

A new kind of system gets the suite for one fixture:

    from moat.testing.reader import ReaderContract, System

    class TestMyReader(ReaderContract):
        @pytest.fixture
        def system(self) -> System: ...   # how to put, change and remove documents in the real system
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from moat.access.policy import Policy
from moat.access.rules import AccessRule, Groups
from moat.connections import Connections
from moat.readers.reader import Fetched, Gone, OpenReader, Reader, Reading
from moat.records import Listed, Planned, RawDocument, SetAside
from moat.settings import PROJECT


@dataclass(kw_only=True)
class System:
    """A real system with documents in it, as a test moves it. `put` writes a document whole."""

    reader: Reader
    connections: Connections
    put: Callable[[str, str], None]
    remove: Callable[[str], None]
    break_listing: Callable[[], None]  # the next listing fails after it has begun
    key_of: Callable[[str], str] = lambda name: name  # the key that the reader gives what was put under a name

    @contextmanager
    def opened(self, rule: AccessRule | None = None, max_bytes: int = 1 << 20) -> Iterator[OpenReader]:
        """Open the reader; the rule lets everybody in group:all read, unless another one is given."""
        reading = Reading(
            source="tested",
            rule=rule or Groups(allow=("all",)),
            connections=self.connections,
            project=PROJECT,
            max_bytes=max_bytes,
        )
        with self.reader.open(reading) as reader:
            yield reader

    def listing(self) -> dict[str, Listed]:
        """The whole listing, by key."""
        with self.opened() as reader:
            return {one.key: one for one in reader.listing()}


def planned(one: Listed) -> Planned:
    """A listed document as one that is new, to be fetched."""
    return Planned(
        key=one.key,
        uri=one.uri,
        fingerprint=one.fingerprint,
        size=one.size,
        policy=one.policy,
        what="new",
        why="",
        access_version=0,
        known_hash="",
    )


class ReaderContract:
    """Put documents a.md, b.md and c.md through a reader of a real system."""

    @pytest.fixture
    def filled(self, system: System) -> System:
        for name in ("a", "b", "c"):
            system.put(name, f"text of {name}")
        return system

    def fetched(self, system: System, listed: list[Listed], max_bytes: int = 1 << 20) -> dict[str, Fetched]:
        with system.opened(max_bytes=max_bytes) as reader:
            answers = list(reader.fetch(planned(one) for one in listed))
        assert len(answers) == len({a.key for a in answers}) == len(listed), "one answer for each that is wanted"
        return {answer.key: answer for answer in answers}

    def test_it_lists_every_document_once_with_uri_and_access(self, filled: System) -> None:
        with filled.opened() as reader:
            found = list(reader.listing())
        assert sorted(one.key for one in found) == sorted(filled.key_of(n) for n in "abc")
        assert all(one.uri and one.fingerprint and one.policy == Policy.of(["group:all"]).text() for one in found)

    def test_listing_twice_gives_the_same(self, filled: System) -> None:
        assert filled.listing() == filled.listing()

    def test_a_changed_document_has_another_fingerprint_and_the_others_the_same(self, filled: System) -> None:
        before = filled.listing()
        filled.put("b", "text of b, changed")
        after = filled.listing()
        moved = {key for key in before if before[key].fingerprint != after[key].fingerprint}
        assert moved == {filled.key_of("b")}

    def test_a_removed_document_is_not_listed(self, filled: System) -> None:
        filled.remove("c")
        assert sorted(filled.listing()) == sorted(filled.key_of(n) for n in "ab")

    def test_it_fetches_the_content_of_what_is_wanted_and_nothing_else(self, filled: System) -> None:
        wanted = [one for key, one in filled.listing().items() if key != filled.key_of("b")]
        answers = self.fetched(filled, wanted)
        for name in "ac":
            raw = answers[filled.key_of(name)]
            assert isinstance(raw, RawDocument)
            assert f"text of {name}" in raw.content.decode()
            assert raw.content_hash
            assert raw.policy == Policy.of(["group:all"]).text()

    def test_equal_content_has_an_equal_hash(self, filled: System) -> None:
        first = self.fetched(filled, list(filled.listing().values()))
        filled.put("a", "text of a")
        second = self.fetched(filled, list(filled.listing().values()))
        assert {k: r.content_hash for k, r in first.items() if isinstance(r, RawDocument)} == {
            k: r.content_hash for k, r in second.items() if isinstance(r, RawDocument)
        }

    def test_what_goes_between_listing_and_fetching_is_gone_and_not_an_error(self, filled: System) -> None:
        listed = list(filled.listing().values())
        filled.remove("a")
        answers = self.fetched(filled, listed)
        assert isinstance(answers[filled.key_of("a")], Gone)
        assert isinstance(answers[filled.key_of("b")], RawDocument)

    def test_what_changes_between_listing_and_fetching_comes_as_it_is_now(self, filled: System) -> None:
        listed = list(filled.listing().values())
        filled.put("a", "text of a, overwritten")
        raw = self.fetched(filled, listed)[filled.key_of("a")]
        assert isinstance(raw, RawDocument)
        assert b"overwritten" in raw.content

    def test_a_document_over_the_limit_is_set_aside_with_the_limit(self, filled: System) -> None:
        filled.put("b", "x" * 5_000)
        answers = self.fetched(filled, list(filled.listing().values()), max_bytes=1_000)
        aside = answers[filled.key_of("b")]
        assert isinstance(aside, SetAside)
        assert "MOAT_MAX_DOCUMENT_MB" in aside.reason
        assert isinstance(answers[filled.key_of("a")], RawDocument)

    def test_an_empty_source_is_an_empty_listing(self, system: System) -> None:
        assert system.listing() == {}

    def test_a_listing_that_breaks_off_raises(self, filled: System) -> None:
        from moat.errors import MoatError

        filled.break_listing()
        with pytest.raises(MoatError, match="tested"):
            filled.listing()
