"""Which documents hold a text is told by mark and policy, on both databases."""

from typing import Any

from sqlalchemy import event

from moat.access.policy import Policy
from moat.ledger import Ledger, same_text
from moat.ledger.projection import KeptText, kept_texts
from moat.ledger.same_text import Holder, Marked
from moat.shingles import mark
from tests.ledger.test_documents import EVERYONE, HR, loaded, opened, prepared, stage

ONE, TWO = "one two three four five", "six seven eight nine ten"


def marks(*texts: str) -> list[int]:
    return [found for text in texts if (found := mark(text)) is not None]


def test_documents_are_found_by_mark_with_their_policy_and_number(ledger: Ledger) -> None:
    a, b, c = prepared("a", ONE, "short"), prepared("b", ONE, TWO), prepared("c", ONE.upper(), policy=EVERYONE)
    loaded(ledger, "first", a, b, c)
    stage(ledger, opened(ledger, "open"), prepared("d", ONE))
    found = {
        (row.mark, row.policy): row for row in same_text.marked(ledger, marks(ONE, TWO, "nobody has these five words"))
    }
    (one,), (two,) = marks(ONE), marks(TWO)
    hr, everyone = (Policy.from_text(text).digest("default") for text in (HR, EVERYONE))
    first, last = sorted((a[0].id, b[0].id))
    assert found == {
        (one, hr): Marked(one, hr, 2, first, last),
        (one, everyone): Marked(one, everyone, 1, c[0].id, c[0].id),
        (two, hr): Marked(two, hr, 1, b[0].id, b[0].id),
    }, "d is not promoted"
    assert same_text.marked(Ledger(ledger.url, "other"), marks(ONE)) == []
    assert same_text.holders(ledger, [a[0].id, c[0].id]) == {
        a[0].id: Holder("s", "a", Policy.from_text(HR)),
        c[0].id: Holder("s", "c", Policy.from_text(EVERYONE)),
    }


def test_a_text_that_was_replaced_is_found_until_it_is_removed_and_is_not_visible(ledger: Ledger) -> None:
    a = prepared("a", ONE, "stays")
    loaded(ledger, "first", a)
    loaded(ledger, "second", prepared("a", TWO, "stays"))
    assert sorted(kept_texts(ledger, [a[0].id])) == sorted(
        [KeptText(a[0].id, ONE, False), KeptText(a[0].id, TWO, True), KeptText(a[0].id, "stays", True)]
    )
    assert len(same_text.marked(ledger, marks(ONE))) == 1


def test_only_policies_of_documents_are_in_use(ledger: Ledger) -> None:
    loaded(ledger, "first", prepared("a", ONE), prepared("b", TWO), prepared("c", TWO, policy=EVERYONE))
    texts = sorted(p.text() for p in same_text.policies_in_use(ledger, 10))
    assert texts == sorted([HR, EVERYONE])
    assert len(same_text.policies_in_use(ledger, 1)) == 1


def test_the_marks_lead_through_the_ledger_and_not_all_documents_of_the_tenant(ledger: Ledger) -> None:
    if ledger.engine.dialect.name != "sqlite":
        return  # PostgreSQL decides by what is in the tables
    plans = list[str]()

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "chunk.mark IN" in statement:
            asked = connection.connection.dbapi_connection.cursor()
            plans.append(asked.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchone()[3])

    event.listen(ledger.engine, "before_cursor_execute", explain)
    same_text.marked(ledger, marks(ONE, TWO))
    assert plans == ["SEARCH chunk USING INDEX ix_chunk_mark (mark=?)"]
