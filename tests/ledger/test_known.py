"""Who is known, on SQLite and on PostgreSQL, and what an id that was asked for gives away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, func, select

from moat.access.policy import Policy
from moat.access.rules import Facts, ObjectTags
from moat.errors import AccessUnknown
from moat.ids import document_id
from moat.ledger import Ledger, access, documents, erasure, garbage, loads, policies
from moat.ledger.erasure import Request
from moat.ledger.members import principals_of, replace_members
from moat.ledger.tables import audit, document, policy, policy_entry
from moat.retrieve import Retriever
from moat.settings import Settings
from tests.ledger.test_documents import loaded, opened, prepared, promote, stage

ANN, EVE, HUGO = "user:ann@example.com", "user:eve@example.com", "user:hugo@example.com"
PUBLIC = Policy.of([], public=True).text()


class Unasked:
    """An index and an embedder that no question reaches."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")

    def close(self) -> None: ...


@pytest.fixture
def door(ledger: Ledger, settings: Settings) -> Retriever:
    replace_members(ledger, "hr", {"group:staff": [ANN]}, "test")
    loaded(ledger, "first", prepared("open.md", "everyone may read this", policy=PUBLIC))
    return Retriever(settings.model_copy(update={"search_timeout_s": 60.0}), ledger, Unasked(), Unasked())  # type: ignore[arg-type]


def known(door: Retriever, asker: str) -> bool:
    """Whether they are answered; a public document is there, so whoever is known sees it."""
    counted, searched = door.count(asker), door.search("anything", asker, mode="keyword")
    assert (counted.documents > 0) == (counted.refused is None), counted
    assert ("nobody knows" in str(searched.refused)) == (counted.refused is not None), searched.refused
    return counted.refused is None


def stored(ledger: Ledger, principal: str) -> int:
    query = select(func.count()).select_from(policy_entry).where(policy_entry.c.principal == principal)
    with ledger.read() as connection:
        return int(connection.execute(query).scalar_one())


def test_whoever_is_in_a_group_is_known_and_a_stranger_is_not(door: Retriever) -> None:
    assert known(door, ANN)
    assert known(door, "group:staff")
    assert not known(door, EVE)
    assert not known(door, "group:nowhere")


def test_a_deny_makes_nobody_known(door: Retriever, ledger: Ledger) -> None:
    denying = Policy.of(["group:staff"], deny=[EVE, "group:out"]).text()
    loaded(ledger, "second", prepared("a.md", "not for Eve", policy=denying))
    assert not known(door, EVE)
    assert not known(door, "group:out")


def test_whoever_a_document_names_is_known_for_as_long_as_it_is_there(door: Retriever, ledger: Ledger) -> None:
    paper = prepared("a.md", "for Eve", policy=Policy.of([EVE]).text())
    staged = opened(ledger, "second")
    stage(ledger, staged, paper)
    assert not known(door, EVE), "its load is under way"
    promote(ledger, staged)
    assert known(door, EVE)
    loads.rollback(ledger, staged.id, "test")
    assert not known(door, EVE)
    loaded(ledger, "third", paper)
    assert known(door, EVE)
    loaded(ledger, "fourth", gone=("a.md",))
    assert not known(door, EVE)


def test_whoever_a_document_names_no_more_is_nobody(door: Retriever, ledger: Ledger) -> None:
    loaded(ledger, "second", prepared("a.md", "for Eve", policy=Policy.of([EVE]).text()))
    assert known(door, EVE)
    current = opened(ledger, "third")
    access.narrow(ledger, current, [("a.md", Policy.of([HUGO]).text())], access.begin(ledger, "s"))
    assert not known(door, EVE)


def test_whoever_only_a_masked_document_names_is_nobody(door: Retriever, ledger: Ledger) -> None:
    loaded(ledger, "second", prepared("a.md", "for Eve", policy=Policy.of([EVE]).text()))
    access.unreadable(ledger, "s", "it does not answer", 0.0)
    with ledger.read() as connection:
        assert principals_of(connection, ledger.tenant, EVE) == frozenset()
        assert principals_of(connection, ledger.tenant, ANN)


def test_an_erasure_makes_whom_its_documents_named_nobody_at_once(door: Retriever, ledger: Ledger) -> None:
    loaded(ledger, "second", prepared("a.md", "for Eve", policy=Policy.of([EVE]).text()), prepared("b.md", "for Hugo", policy=Policy.of([HUGO]).text()))  # fmt: skip
    assert known(door, EVE)
    erasure.begin(ledger, Request(source="s", keys=("a.md",), by="test"))
    assert not known(door, EVE)
    assert stored(ledger, EVE) == 0
    assert known(door, HUGO)


def test_the_clearing_of_garbage_removes_policies_that_nothing_uses(door: Retriever, ledger: Ledger) -> None:
    loaded(ledger, "second", prepared("a.md", "for Eve", policy=Policy.of([EVE]).text()))
    current = opened(ledger, "third")
    access.narrow(ledger, current, [("a.md", Policy.of([HUGO]).text())], access.begin(ledger, "s"))
    stage(ledger, current, prepared("a.md", "for Hugo", policy=Policy.of([HUGO]).text()))
    promote(ledger, current)
    assert stored(ledger, EVE) > 0
    ended = garbage.ended(ledger, "s")
    garbage.forget(ledger, "s", ended, garbage.remains(ledger, "s", ended))
    assert stored(ledger, EVE) == 0
    with ledger.read() as connection:
        used = set(connection.scalars(select(document.c.policy).where(document.c.policy.is_not(None))))
        assert used == set(connection.scalars(select(policy.c.digest)))
    assert known(door, HUGO)


def test_a_policy_that_is_being_used_is_not_cleared_away_under_its_user(ledger: Ledger) -> None:
    loaded(ledger, "first", prepared("a.md", "for Hugo", policy=Policy.of([HUGO]).text()))
    wanted, kept, cleared = Policy.of([EVE]), threading.Event(), list[int]()
    with ledger.write() as connection:
        policies.keep(connection, ledger.tenant, [wanted])

    def clear() -> None:
        kept.wait(60)
        cleared.append(policies.clear(ledger))

    other = threading.Thread(target=clear)
    other.start()
    with ledger.write() as connection:
        digest = policies.keep(connection, ledger.tenant, [wanted])[wanted.text()]
        kept.set()
        other.join(1.0)
        values = {"policy": digest, "access_version": document.c.access_version + 1}
        connection.execute(document.update().where(document.c.id == document_id("default", "s", "a.md")).values(values))
    other.join(60)
    assert cleared == [1]  # Hugo's
    assert (stored(ledger, EVE), stored(ledger, HUGO)) == (1, 0)


def test_a_principal_that_is_too_long_is_refused_on_either_ledger_and_one_that_fits_is_kept(ledger: Ledger) -> None:
    long, fits = "user:" + "a" * 508, "user:" + "a" * 507
    for groups in ({"group:staff": [long]}, {f"group:{long}": [ANN]}):
        with pytest.raises(AccessUnknown, match="512 at the most"):
            replace_members(ledger, "hr", groups, "test")
    assert (
        ObjectTags("readers").judge(lambda path: None)(Facts("x", tags={"readers": f"user:b@x.org {long}"})).policy
        is None
    )
    replace_members(ledger, "hr", {"group:staff": [fits]}, "test")
    loaded(ledger, "first", prepared("a.md", "hers", policy=Policy.of([fits]).text()))
    assert stored(ledger, fits) == 1


@contextmanager
def watched(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that the ledger is sent, and every policy that is read for a row that came back."""
    done, read = list[str](), Policy.from_text

    def noted(text: str) -> Policy:
        done.append("a row")
        return read(text)

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: Any) -> None:
        done.append(f"{statement} with {len(parameters)}")

    monkeypatch.setattr(Policy, "from_text", staticmethod(noted))
    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield done
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "rule",
    [Policy.of([HUGO]), Policy.of([HUGO], deny=["user:x@example.com"]), Policy.of([HUGO]).both(Policy.of(["group:b"])), Policy.of([])],
    ids=["plain", "with a deny", "of two layers", "nobody's"],
)  # fmt: skip
def test_an_id_that_is_denied_is_the_same_work_as_one_that_is_wrong(door: Retriever, ledger: Ledger, rule: Policy, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    paper = prepared("a.md", "secret", policy=rule.text())
    (readable,) = (c.id for c in prepared("open.md", "everyone may read this")[1])
    loaded(ledger, "second", paper)
    denied, wrong = paper[1][0].id, str(uuid4())
    work = list[list[str]]()
    for ids in ([denied], [wrong], [denied, readable], [wrong, readable]):
        door.get(ids, ANN)
        with watched(ledger, monkeypatch) as done:
            found = door.get(ids, ANN)
        assert [hit.chunk_id for hit in found] == ids[1:]
        assert found.refused is None
        work.append(list(done))
    assert work[0] == work[1]
    assert work[2] == work[3]
    assert work[0]
    assert "a row" not in work[0]
    with ledger.read() as connection:
        assert connection.execute(select(func.count()).where(audit.c.action.like("query%"))).scalar_one() == 0


def test_an_id_gives_who_may_read_it_what_it_holds(door: Retriever, ledger: Ledger) -> None:
    papers = [
        prepared("a.md", "by group", policy=Policy.of(["group:staff"], deny=[HUGO]).text()),
        prepared("b.md", "both", policy=Policy.of(["group:staff"]).both(Policy.of([ANN])).text()),
        prepared("c.md", "not hers", policy=Policy.of(["group:staff"], deny=[ANN]).text()),
    ]
    loaded(ledger, "second", *papers)
    ids = [c.id for _, chunks in papers for c in chunks]
    assert [hit.text for hit in door.get(ids, ANN)] == ["by group", "both"]
    assert documents.count_visible(ledger, "s") == 4
