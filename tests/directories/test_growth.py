"""A group that gains many people at once waits for a person; what is taken away is gone at once."""

from moat.directories.growth import growing, losing, without_gains
from moat.ledger.members import people_of


def pairs(**groups: list[str]) -> frozenset[tuple[str, str]]:
    return frozenset((f"group:{name}", who) for name, found in groups.items() for who in found)


PEOPLE = [f"user:p{n}@example.com" for n in range(30)]


def test_people_of_nested_groups_are_counted_once_and_circles_end() -> None:
    found = people_of(pairs(a=["group:b", PEOPLE[0]], b=["group:a", PEOPLE[0], PEOPLE[1]]))
    assert found == {"group:a": frozenset(PEOPLE[:2]), "group:b": frozenset(PEOPLE[:2])}


def test_everybody_nested_into_a_small_group_is_seen() -> None:
    before = pairs(hr=PEOPLE[:3], staff=PEOPLE[3:23])
    now = pairs(hr=[*PEOPLE[:3], "group:staff"], staff=PEOPLE[3:23])
    assert growing(before, now, 1.0) == {"group:hr": (3, 23)}
    assert without_gains(before, now, {"group:hr"}) == before


def test_a_few_new_people_may_always_come_and_a_large_group_may_double() -> None:
    assert growing(pairs(hr=PEOPLE[:1]), pairs(hr=PEOPLE[:4]), 1.0) == {}
    assert growing(pairs(staff=PEOPLE[:12]), pairs(staff=PEOPLE[:24]), 1.0) == {}
    assert growing(pairs(staff=PEOPLE[:12]), pairs(staff=PEOPLE[:25]), 1.0) == {"group:staff": (12, 25)}


def test_a_new_group_opens_nothing_so_it_does_not_wait() -> None:
    assert growing(pairs(hr=PEOPLE[:3]), pairs(hr=PEOPLE[:3], new=PEOPLE), 1.0) == {}


def test_who_leaves_a_group_that_waits_is_out_at_once() -> None:
    before, now = pairs(hr=PEOPLE[:3]), pairs(hr=PEOPLE[2:20])
    assert growing(before, now, 1.0) == {"group:hr": (3, 18)}
    assert without_gains(before, now, {"group:hr"}) == pairs(hr=[PEOPLE[2]])


def test_a_group_that_is_nested_into_a_large_one_waits_unless_its_people_were_there() -> None:
    before = pairs(staff=PEOPLE[:20], contractors=PEOPLE[20:25], depot=PEOPLE[:6])
    now = pairs(staff=[*PEOPLE[:20], "group:contractors"], contractors=PEOPLE[20:25], depot=PEOPLE[:6])
    assert growing(before, now, 1.0) == {"group:staff": (20, 25)}
    now = pairs(staff=[*PEOPLE[6:20], "group:depot"], contractors=PEOPLE[20:25], depot=PEOPLE[:6])
    assert growing(before, now, 1.0) == {}, "the same people in another way"
    now = pairs(
        staff=[*PEOPLE[:20], "group:interns"], contractors=PEOPLE[20:25], depot=PEOPLE[:6], interns=PEOPLE[25:28]
    )
    assert growing(before, now, 1.0) == {}, "three may always come"


def test_a_group_that_loses_all_or_most_of_its_people_is_told_and_one_who_leaves_is_not() -> None:
    before = pairs(council=PEOPLE[:3], depot=PEOPLE[:12])
    assert losing(before, pairs(council=PEOPLE[:2], depot=PEOPLE[:8])) == {}
    assert losing(before, pairs(depot=PEOPLE[:12])) == {"group:council": (3, 0)}
    assert losing(before, pairs(council=PEOPLE[3:6], depot=PEOPLE[:5])) == {
        "group:council": (3, 0),
        "group:depot": (12, 5),
    }
