"""Who may decide: approvers only where they are named, and two people where a document becomes public."""

from typing import Any

import pytest

from moat.errors import DecisionRefused, SettingsError
from moat.ledger import Ledger, approvals, audit, holds, loads, measures
from moat.ledger.holds import Hold
from moat.settings import Settings

TWO = Settings.model_validate({"four_eyes": True})


def held(ledger: Ledger, public: int = 0) -> int:
    """A load that waits, and makes so many documents public."""
    current = loads.open_load(ledger, "docs", "airflow:docs:run", {}, 60)
    measures.keep(ledger, current, "access", {approvals.OPENED: public})
    loads.hold(ledger, current, "access: access widened")
    return current.id


def waiting(ledger: Ledger, digest: str = "d", public: int = 1, subject: str = "docs") -> Hold:
    with ledger.write() as connection:
        return holds.wait(
            connection, ledger.tenant, "widening", subject, digest=digest, reason="wider", detail={"public": public}
        )[0]


def said(ledger: Ledger) -> list[tuple[str, str]]:
    return [(e.actor, e.action) for e in audit.tail(ledger, 99)]


def test_where_approvers_are_named_nobody_else_decides_and_the_try_is_recorded(ledger: Ledger) -> None:
    settings = Settings.model_validate({"approvers": "airflow:ann, cli:root"})
    number, hold = held(ledger), waiting(ledger)
    for by in ("airflow:bob", "cli:ann", "cli:bob (claims root)", "airflow:ANN", "airflow:somebody", "ann"):
        for decide in (approvals.release_load, approvals.reject_load):
            with pytest.raises(DecisionRefused, match="may not decide"):
                decide(ledger, settings, number, by)
        with pytest.raises(DecisionRefused):
            approvals.agree_to_hold(ledger, settings, hold, by)
        with pytest.raises(DecisionRefused):
            approvals.reject_hold(ledger, settings, hold.id, by)
        assert said(ledger)[-1] == (by, "decision refused")
    assert loads.get(ledger, number).state == "held"
    assert approvals.release_load(ledger, settings, number, "cli:root (claims bob)").state == "open"
    assert approvals.agree_to_hold(ledger, settings, hold, "airflow:ann")
    assert audit.verify(ledger).rows == len(said(ledger))


def test_without_named_approvers_everybody_whom_the_door_lets_in_decides(ledger: Ledger) -> None:
    assert (
        approvals.release_load(ledger, Settings.model_validate({}), held(ledger), "airflow:bob").decided_by
        == "airflow:bob"
    )


@pytest.mark.parametrize("wrong", ["ann", "airflow:", "slack:ann", "airflow:ann bob"])
def test_an_approver_is_named_with_the_door(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_APPROVERS", wrong)
    with pytest.raises(SettingsError, match="airflow:USER"):
        Settings.load()


def test_a_load_that_makes_documents_public_needs_two_people(ledger: Ledger) -> None:
    number = held(ledger, public=3)
    for by in (
        "airflow:ann",
        "airflow:ann",
        "cli:ann",
        "cli:ann (claims bob)",
        "airflow:Ann",
    ):  # one person, however often
        assert approvals.release_load(ledger, TWO, number, by, "it is published").state == "held"
    assert approvals.release_load(ledger, TWO, number, "cli:bob").decided_by == "cli:bob"
    assert said(ledger) == [("airflow:ann", "agree"), ("cli:bob", "agree"), ("cli:bob", "release")]


def test_a_load_that_makes_nothing_public_needs_one(ledger: Ledger) -> None:
    assert approvals.release_load(ledger, TWO, held(ledger), "airflow:ann").state == "open"


def test_an_answer_counts_for_its_own_load_only(ledger: Ledger) -> None:
    first = held(ledger, public=1)
    approvals.release_load(ledger, TWO, first, "airflow:ann")
    approvals.reject_load(ledger, TWO, first, "airflow:ann")
    assert approvals.release_load(ledger, TWO, held(ledger, public=1), "airflow:bob").state == "held"


def test_a_hold_that_makes_documents_public_needs_two_people(ledger: Ledger) -> None:
    hold, other = waiting(ledger), waiting(ledger, subject="other")
    assert not approvals.agree_to_hold(ledger, TWO, hold, "airflow:ann")
    assert not approvals.agree_to_hold(ledger, TWO, hold, "cli:ann")
    assert not approvals.agree_to_hold(ledger, TWO, other, "airflow:bob")
    assert holds.get(ledger, hold.id).state == "waiting"
    assert approvals.agree_to_hold(ledger, TWO, hold, "airflow:bob")
    assert approvals.agree_to_hold(ledger, TWO, waiting(ledger, digest="e", public=0), "airflow:ann")


def test_a_rejection_takes_the_answers_before_it_back(ledger: Ledger) -> None:
    hold = waiting(ledger)
    assert not approvals.agree_to_hold(ledger, TWO, hold, "airflow:ann")
    rejected = approvals.reject_hold(ledger, TWO, hold.id, "airflow:bob")
    assert not approvals.agree_to_hold(ledger, TWO, rejected, "airflow:cid")
    assert approvals.agree_to_hold(ledger, TWO, rejected, "airflow:ann")


def test_another_change_of_the_same_source_begins_anew(ledger: Ledger) -> None:
    assert not approvals.agree_to_hold(ledger, TWO, waiting(ledger), "airflow:ann")
    later: Any = waiting(ledger, digest="wider still")
    assert not approvals.agree_to_hold(ledger, TWO, later, "airflow:bob")
