"""What opens documents to many more people waits for a person, in a small source as in a large one."""

import pytest

from moat.access.policy import Policy
from moat.checks.audience import Audience
from moat.checks.golden import Promise
from moat.checks.widening import Opened, held, most_opened, why_held
from moat.ledger import Ledger
from moat.ledger.members import replace_members
from moat.source import Limits

LIMITS = Limits()


def policy(*groups: str, public: bool = False, deny: tuple[str, ...] = ()) -> Policy:
    return Policy.of([f"group:{group}" for group in groups], [f"group:{group}" for group in deny], public=public)


@pytest.fixture
def audience(ledger: Ledger) -> Audience:
    """Thirty people: three in hr, twenty in staff, six in sales."""
    people = [f"user:p{n}@example.com" for n in range(30)]
    groups = {"group:all": people, "group:staff": people[:20], "group:hr": people[:3], "group:sales": people[20:26]}
    replace_members(ledger, "people", groups, "test", None)
    return Audience(ledger)


def test_four_salary_documents_that_open_from_three_people_to_twenty_wait(audience: Audience) -> None:
    found = [Opened(key=f"hr/{n}.md", was=policy("hr"), now=policy("staff")) for n in range(4)]
    why, reasons = held(audience, LIMITS, 1_000, found)
    assert sorted(why) == [f"hr/{n}.md" for n in range(4)]
    assert reasons == [
        "4 documents would be opened too far at once, such as hr/0.md, which goes from 3 to 20 readers, "
        "more than half of 30 people"
    ]


def test_one_more_group_for_a_few_documents_is_open_at_once(audience: Audience) -> None:
    found = [Opened(key=f"{n}.md", was=policy("hr"), now=policy("hr", "sales")) for n in range(5)]
    assert held(audience, LIMITS, 1_000, found) == ({}, [])


@pytest.mark.parametrize(
    ("n_documents", "most"), [(3, 5), (100, 5), (101, 5), (1_000, 50), (1_000_000, 1_000)]
)  # fmt: skip
def test_the_number_is_the_smaller_of_a_share_and_an_absolute_one(n_documents: int, most: int) -> None:
    assert most_opened(LIMITS, n_documents) == most


def test_every_mail_that_gets_one_more_reader_is_too_many_for_a_small_source(audience: Audience) -> None:
    found = [Opened(key=f"{n}.eml", was=policy("hr"), now=policy("hr", "sales")) for n in range(96)]
    why, reasons = held(audience, LIMITS, 101, found)
    assert len(why) == 96
    assert reasons == ["96 documents would be read by more people, 5 of 101 may at once"]


def test_what_was_masked_comes_back_without_a_question_but_never_to_the_public(audience: Audience) -> None:
    back = [Opened(key=f"{n}.md", was=None, now=policy("all")) for n in range(900)]
    assert held(audience, LIMITS, 1_000, back) == ({}, [])
    assert why_held(audience, LIMITS, Opened(key="a", was=None, now=policy(public=True))) == "becomes public"


def test_a_deny_that_is_gone_waits(audience: Audience) -> None:
    one = Opened(key="a", was=policy("all", deny=("sales",)), now=policy("all"))
    assert why_held(audience, LIMITS, one) == "no longer keeps out group:sales"


def test_a_factor_of_ten_waits(audience: Audience) -> None:
    one = Opened(key="a", was=Policy.of(["user:p0@example.com"]), now=policy("hr", "sales", "staff"))
    assert "goes from 1 to 26 readers" in why_held(audience, LIMITS, one)
    assert why_held(audience, Limits(max_reader_factor=100.0), one).endswith("more than half of 30 people")


def test_limits_name_what_is_wrong_with_them() -> None:
    assert Limits(max_widened_ratio=1.5).wrong() == ["max_widened_ratio=1.5: from 0 to 1, such as 0.3 for 30 %"]
    assert Limits(max_reader_factor=0.5).wrong() == ["max_reader_factor=0.5: 1 or more"]


def test_what_a_golden_question_keeps_from_somebody_waits_even_where_it_was_masked(audience: Audience) -> None:
    promise = Promise(
        "user:p9@example.com", frozenset({"user:p9@example.com", "group:staff"}), frozenset({"hr/pay.md"})
    )
    for was in (policy("hr"), None):
        one = Opened(key="hr/pay.md", was=was, now=policy("hr", "staff"))
        assert "user:p9@example.com, from whom a golden question keeps it" in why_held(audience, LIMITS, one, [promise])
    other = Opened(key="hr/pay.md", was=policy("hr"), now=policy("hr", "sales"))
    assert why_held(audience, LIMITS, other, [promise]) == ""
