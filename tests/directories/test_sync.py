"""A directory is read whole, judged, and swapped in one transaction; what would take too much away waits for a person."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from moat.access.policy import Policy
from moat.connections import EnvironmentConnections
from moat.directories.directory import Directory
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.directories.sync import SyncedDirectory, sync
from moat.errors import DirectoryStale, DirectoryUnavailable, FatalError, RetriableError
from moat.ledger import Ledger, audit, holds, members, policies
from moat.ledger.members import directories, memberships, principals_of
from tests.contracts.directory import ANN, BOB
from tests.ledger.conftest import ledger  # noqa: F401  SQLite and PostgreSQL


@dataclass
class Told:
    """A reader of what a test tells it."""

    groups: list[DirectoryGroup] = field(default_factory=list)
    breaks: Exception | None = None
    meanwhile: Any = None

    def wrong(self) -> list[str]:
        return []

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        yield from self.groups
        if self.meanwhile:
            self.meanwhile()
        if self.breaks:
            raise self.breaks


@dataclass
class Site:
    ledger: Ledger
    reader: Told = field(default_factory=Told)
    lines: list[str] = field(default_factory=list)

    def put(self, **groups: list[str]) -> None:
        self.reader.groups = [DirectoryGroup(name, tuple(who)) for name, who in groups.items()]

    def sync(self, **declared: Any) -> SyncedDirectory:
        directory = Directory(**{"name": "okta", "reader": self.reader, **declared})
        return sync(self.ledger, EnvironmentConnections({}), directory, "me", self.lines.append)

    def groups(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for group, who in memberships(self.ledger, "okta")[1]:
            found.setdefault(group, set()).add(who)
        return found

    def of(self, who: str) -> set[str]:
        with self.ledger.read() as connection:
            return set(principals_of(connection, self.ledger.tenant, who))

    def state(self) -> members.DirectoryState:
        return next(state for state in directories(self.ledger) if state.name == "okta")


def people(n: int, start: int = 0) -> list[str]:
    return [f"user:p{i}@example.com" for i in range(start, start + n)]


@pytest.fixture
def site(ledger: Ledger) -> Site:  # noqa: F811
    return Site(ledger)


def test_groups_come_into_the_ledger_under_their_directory(site: Site) -> None:
    site.put(staff=[ANN, "group:legal"], legal=[BOB], empty=[])
    synced = site.sync()
    assert (synced.outcome, synced.n_groups, synced.n_memberships) == ("swapped", 3, 3)
    assert site.groups() == {"group:okta/staff": {ANN, "group:okta/legal"}, "group:okta/legal": {BOB}}
    assert site.of(BOB) == {BOB, "group:okta/legal", "group:okta/staff"}
    assert site.state().n_groups == 3
    assert "swapped: 3 groups, 3 memberships" in site.lines[-1]


def test_the_companys_own_names_belong_to_one_directory(site: Site) -> None:
    site.put(staff=[ANN, "group:okta/00g1"])
    assert site.sync(name="company", own_names=True).outcome == "swapped"
    site.put(staff=[BOB])
    assert site.sync().outcome == "swapped"
    assert site.of(BOB) == {BOB, "group:okta/staff"}
    with pytest.raises(FatalError, match="directory okta cannot define group:staff: directory company does"):
        site.sync(own_names=True)
    assert site.of(BOB) == {BOB, "group:okta/staff"}


def test_the_companys_own_groups_may_hold_those_of_a_directory(site: Site) -> None:
    site.put(**{"00g1": [ANN]})
    site.sync()
    site.put(staff=["group:okta/00g1"])
    site.sync(name="company", own_names=True)
    assert site.of(ANN) == {ANN, "group:okta/00g1", "group:staff"}


def test_read_again_and_equal_only_its_age_changes(site: Site) -> None:
    site.put(staff=[ANN])
    site.sync()
    before = site.state()
    assert site.sync().outcome == "unchanged"
    after = site.state()
    assert before.read_at is not None
    assert after.read_at is not None
    assert after.read_at > before.read_at
    assert (after.digest, after.n_memberships) == (before.digest, before.n_memberships)
    assert len(audit.tail(site.ledger, 10, action="members")) == 1, "only a change of members is one for the audit"


def test_members_that_are_not_there_are_left_out_and_counted(site: Site) -> None:
    site.reader.groups = [DirectoryGroup("staff", (ANN, "group:gone", "user:two words"), left_out=("cn=ghost",))]
    assert site.sync().n_left_out == 3
    assert site.groups() == {"group:okta/staff": {ANN}}
    assert "3 members are left out" in site.lines[0]
    for word in ("group:gone of group:okta/staff", "user:two words", "cn=ghost"):
        assert word in site.lines[0]


@pytest.mark.parametrize(("one", "other"), [("Staff", "staff"), ("x", "x")])
def test_two_groups_of_one_id_refuse_the_reading_and_are_named(one: str, other: str, site: Site) -> None:
    site.reader.groups = [DirectoryGroup(one, (ANN,)), DirectoryGroup(other, (BOB,))]
    with pytest.raises(FatalError, match=f"groups '{one}' and '{other}' have one id"):
        site.sync()
    assert site.groups() == {}


def test_a_group_whose_id_cannot_be_kept_refuses_the_reading(site: Site) -> None:
    site.put(staff=[ANN], **{"the boss": [BOB]})
    with pytest.raises(FatalError, match=r"directory okta: group 'the boss' cannot be kept"):
        site.sync()


@pytest.mark.parametrize("error", [DirectoryUnavailable("broke off after 3 groups"), FatalError("the token is wrong")])
def test_a_listing_that_breaks_off_changes_nothing_but_that_it_is_told(error: Exception, site: Site) -> None:
    site.put(staff=[ANN], legal=[BOB])
    site.sync()
    before, state = site.groups(), site.state()
    site.put(staff=[BOB])
    site.reader.breaks = error
    with pytest.raises(type(error)):
        site.sync()
    after = site.state()
    assert site.groups() == before
    assert (after.revision, after.read_at, after.error) == (state.revision, state.read_at, str(error))
    assert after.failed_at is not None
    site.reader.breaks = None
    site.put(staff=[ANN], legal=[BOB])
    site.sync()
    assert (site.state().failed_at, site.state().error) == (None, None)


def test_the_first_reading_of_a_directory_is_never_held(site: Site) -> None:
    site.put(staff=[ANN])
    assert site.sync(max_shrink_ratio=0.0, max_group_shrink_ratio=0.0).outcome == "swapped"


def test_a_directory_that_loses_too_much_is_held_and_says_what_would_go(site: Site) -> None:
    site.put(a=people(6), b=people(6))
    site.sync()
    site.put(a=people(6), b=people(2))
    held = site.sync()
    assert (held.outcome, held.opened) == ("held", True)
    assert "4 of 12 memberships would go, and max_shrink_ratio=0.3 may" in held.reason
    assert len(site.groups()["group:okta/b"]) == 6
    assert held.hold is not None
    hold = holds.get(site.ledger, held.hold)
    assert (hold.kind, hold.subject, hold.state) == ("directory", "okta", "waiting")
    assert hold.detail["memberships"] == {"before": 12, "now": 8, "gone": 4}
    assert hold.detail["groups"] == [{"group": "group:okta/b", "before": 6, "now": 2}]
    assert hold.detail["lost"] == [f"{who} from group:okta/b" for who in people(4, 2)]
    assert site.state().error == f"held by hold {held.hold}: {held.reason}"


def test_a_group_that_loses_too_much_holds_the_whole_directory(site: Site) -> None:
    site.put(a=people(10), b=people(90))
    site.sync()
    site.put(a=people(4), b=[*people(90), ANN])
    held = site.sync()
    assert held.outcome == "held"
    assert "group:okta/a 6 of 10" in held.reason
    assert site.of(ANN) == set(), "nothing of a held reading is known"


def test_others_who_come_do_not_make_up_for_those_who_go(site: Site) -> None:
    site.put(a=people(20))
    site.sync()
    site.put(a=people(20, 100))
    assert site.sync().outcome == "held"


@pytest.mark.parametrize("n", [1, 5, 50])
def test_a_directory_that_comes_to_nothing_is_always_held(n: int, site: Site) -> None:
    site.put(a=people(n))
    site.sync()
    site.put()
    held = site.sync(max_shrink_ratio=1.0, max_group_shrink_ratio=1.0)
    assert (held.outcome, held.reason.split(";")[0]) == ("held", f"nothing would be left of {n} memberships")
    assert len(site.groups()["group:okta/a"]) == n


def test_a_group_of_ten_that_comes_to_nothing_is_held_whatever_the_limit(site: Site) -> None:
    site.put(a=people(10), b=people(100))
    site.sync()
    site.put(b=people(100))
    assert site.sync(max_shrink_ratio=1.0, max_group_shrink_ratio=1.0).outcome == "held"


def test_a_few_who_leave_a_small_directory_leave_at_once(site: Site) -> None:
    site.put(a=[ANN, BOB], b=[BOB])
    site.sync()
    site.put(a=[ANN])
    assert site.sync().outcome == "swapped"
    assert site.of(BOB) == set()


def test_the_same_again_asks_nobody_twice(site: Site) -> None:
    site.put(a=people(12))
    site.sync()
    site.put(a=people(3))
    first, second = site.sync(), site.sync()
    assert (first.hold, first.opened) == (second.hold, True)
    assert not second.opened


def test_a_released_hold_lets_the_same_pass_once_and_ends(site: Site) -> None:
    site.put(a=people(12))
    site.sync()
    site.put(a=people(3))
    held = site.sync()
    assert held.hold is not None
    holds.release(site.ledger, held.hold, "ines", "they moved to another company")
    assert site.sync().outcome == "swapped"
    assert len(site.groups()["group:okta/a"]) == 3
    assert holds.get(site.ledger, held.hold).state == "over"
    assert site.state().error is None
    for n in (6, 12):  # a group may double
        site.put(a=people(n))
        site.sync()
    site.put(a=people(3))
    again = site.sync()
    assert again.outcome == "held"
    assert again.hold != held.hold


def test_a_released_hold_is_no_word_for_another_change(site: Site) -> None:
    site.put(a=people(12))
    site.sync()
    site.put(a=people(3))
    held = site.sync()
    assert held.hold is not None
    holds.release(site.ledger, held.hold, "ines")
    site.put(a=people(1))
    other = site.sync()
    assert (other.outcome, other.opened) == ("held", True)
    assert len(site.groups()["group:okta/a"]) == 12
    assert holds.get(site.ledger, held.hold).state == "over"


def test_a_rejected_hold_keeps_the_same_out_and_lets_the_directory_go_on(site: Site) -> None:
    site.put(a=people(12))
    site.sync()
    site.put(a=people(3))
    held = site.sync()
    assert held.hold is not None
    holds.reject(site.ledger, held.hold, "ines", "the filter of the directory is wrong")
    again = site.sync()
    assert (again.outcome, again.opened, again.passed) == ("rejected", False, False)
    assert len(site.groups()["group:okta/a"]) == 12
    site.put(a=people(13))
    assert site.sync().outcome == "swapped"


def test_a_directory_that_recovers_ends_its_hold(site: Site) -> None:
    site.put(a=people(12))
    site.sync()
    site.put(a=people(3))
    held = site.sync()
    site.put(a=people(12))
    assert site.sync().outcome == "unchanged"
    assert held.hold is not None
    assert holds.get(site.ledger, held.hold).state == "over"
    assert site.state().error is None


def test_what_was_read_before_anothers_swap_never_replaces_it(site: Site) -> None:
    site.put(a=[ANN, BOB])
    site.sync()
    newer = Site(site.ledger)
    newer.put(a=[ANN])
    site.reader.meanwhile = newer.sync
    with pytest.raises(RetriableError, match="swapped by another reading meanwhile"):
        site.sync()
    assert site.of(BOB) == set()


def test_a_directory_that_was_not_read_for_too_long_is_stale_until_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put(staff=[ANN])
    site.sync(max_age_hours=2)
    with site.ledger.read() as connection:
        members.fresh(connection, site.ledger.tenant)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime(2099, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(members, "datetime", Later)
    with site.ledger.read() as connection, pytest.raises(DirectoryStale, match="directory okta was last read"):
        members.fresh(connection, site.ledger.tenant)
    site.sync(max_age_hours=2)
    with site.ledger.read() as connection:
        members.fresh(connection, site.ledger.tenant)


def test_a_directory_without_an_age_is_never_stale(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(staff=[ANN])
    site.sync(max_age_hours=None)
    assert site.state().max_age_s is None


def test_a_large_directory_tells_that_it_is_under_way(site: Site) -> None:
    site.reader.groups = [DirectoryGroup(f"g{i}", (ANN,)) for i in range(2_500)]
    site.sync()
    assert [line for line in site.lines if "groups read" in line] == [
        "directory okta: 1,000 groups read",
        "directory okta: 2,000 groups read",
    ]


def test_members_are_read_whatever_the_case_of_their_kind(site: Site) -> None:
    site.put(staff=["User:ann@example.com", "GROUP:legal"], legal=[BOB])
    assert site.sync().n_left_out == 0
    assert site.groups()["group:okta/staff"] == {"user:ann@example.com", "group:okta/legal"}


def test_a_small_group_that_gains_everybody_waits_and_who_left_is_out_at_once(site: Site) -> None:
    site.put(hr=people(3), staff=people(20, 3))
    site.sync()
    site.put(hr=[*people(2), "group:staff"], staff=people(20, 3))
    held = site.sync()
    assert (held.outcome, held.opened) == ("held", True)
    assert "group:okta/hr from 3 to 22" in held.reason
    assert site.groups()["group:okta/hr"] == set(people(2)), "the one who left is out, nobody came in"
    assert site.state().error is None, "the directory was read, so it does not age"
    again = site.sync()
    assert (again.outcome, again.hold, again.opened) == ("held", held.hold, False), "the same change asks once"
    assert again.hold is not None
    holds.release(site.ledger, again.hold, "ines", "hr takes over the whole staff")
    assert site.sync().outcome == "swapped"
    assert "group:okta/hr" in site.of(people(1, 10)[0])


def test_a_rejected_gain_stays_out_and_the_rest_of_the_directory_goes_on(site: Site) -> None:
    site.put(hr=people(3), staff=people(20, 3))
    site.sync()
    site.put(hr=people(9), staff=people(20, 3))
    held = site.sync()
    assert held.hold is not None
    holds.reject(site.ledger, held.hold, "ines", "no")
    site.put(hr=people(9), staff=people(21, 3))
    assert site.sync().outcome == "held", "another change is another question"
    assert len(site.groups()["group:okta/staff"]) == 21
    assert len(site.groups()["group:okta/hr"]) == 3


def test_a_group_from_which_something_is_kept_waits_with_its_end_and_the_rest_goes_on(site: Site) -> None:
    site.put(council=people(3), staff=people(20, 3))
    site.sync()
    with site.ledger.write() as connection:
        policies.keep(connection, site.ledger.tenant, [Policy.of(["group:okta/staff"], deny=["group:okta/council"])])
    site.put(council=[], staff=people(18, 4))
    held = site.sync()
    assert held.outcome == "held"
    assert "group:okta/council from 3 to 0" in held.reason
    assert site.groups()["group:okta/council"] == set(people(3)), "who is kept out stays out"
    assert len(site.groups()["group:okta/staff"]) == 18, "who left is out at once"
    site.put(staff=people(18, 4))
    assert site.sync().outcome == "held", "also where the group is no longer there"
    assert site.groups()["group:okta/council"] == set(people(3))
    site.put(council=people(2), staff=people(18, 4))
    assert site.sync().outcome == "swapped", "one who leaves may go"


def test_how_much_a_group_may_grow_is_declared(site: Site) -> None:
    site.put(hr=people(3))
    site.sync()
    site.put(hr=people(30))
    assert site.sync(max_growth_ratio=10.0).outcome == "swapped"
