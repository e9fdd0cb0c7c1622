"""Two versions of a document side by side: what waits beside what is visible, what is visible beside what was."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from moat.ledger import Ledger, audit, loads
from moat.ledger.tables import source
from moat.pages.versions import PAIRS, changes
from moat.records import Chunk
from moat.runtime import batch_path
from moat.staging import Staging
from tests.ledger import conftest
from tests.ledger.test_counting import ALL, loaded, paper

ledger = conftest.ledger  # SQLite and PostgreSQL
BEFORE = ("The notice is three months.", "Ask Ann.", "It ends in May.")
AFTER = ("The notice is six months.", "Ask Ann.", "It ends in May.", "New: no refund.")
NOTICE = {"before": "The notice is [three] months.", "after": "The notice is [six] months."}


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(str(tmp_path / "staging"))


def told(found: dict[str, Any]) -> list[dict[str, str | None]]:
    """Each pair in words, with what differs in brackets."""

    def side(one: Any) -> str | None:
        return None if one is None else " ".join(words if same else f"[{words}]" for same, words in one["runs"])

    return [{name: side(pair[name]) for name in ("before", "after")} for pair in found["pairs"]]


def waiting(ledger: Ledger, staging: Staging, *texts: str, key: str = "terms.md") -> int:
    """A load of `docs` with a document in staging that the gate has held."""
    load = loads.open_load(ledger, "docs", "airflow:docs:manual__1", {}, 3_600)
    loads.note(ledger, load, {"batches": 1})
    staging.write(batch_path("docs", load.id, "chunk", 0), Chunk, paper(key, ALL, *texts, of="docs")[1])
    loads.hold(ledger, load, "many figures changed")
    return load.id


def look(ledger: Ledger, staging: Staging, key: str = "terms.md") -> dict[str, Any]:
    return changes(ledger, staging, "airflow:adam", "docs", key)


def test_what_waits_stands_beside_what_is_visible(ledger: Ledger, staging: Staging) -> None:
    loaded(ledger, "docs", paper("terms.md", ALL, *BEFORE, of="docs"))
    number = waiting(ledger, staging, *AFTER)
    found = look(ledger, staging)
    assert (found["load"], found["state"], found["same"], found["why"]) == (number, "held", 2, "")
    assert told(found) == [NOTICE, {"before": None, "after": "[New: no refund.]"}]
    (line,) = audit.tail(ledger, 5, "text shown")
    assert (line.actor, line.detail) == ("airflow:adam", {"key": "terms.md", "load": number, "versions": True})


def test_what_is_visible_stands_beside_the_version_before(ledger: Ledger, staging: Staging) -> None:
    loaded(ledger, "docs", paper("terms.md", ALL, *BEFORE, of="docs"), paper("other.md", ALL, "x", of="docs"))
    loaded(ledger, "docs", paper("terms.md", ALL, *AFTER, of="docs"))
    found = look(ledger, staging)
    assert (found["state"], found["same"], told(found)[0]) == ("promoted", 2, NOTICE)
    alone = look(ledger, staging, "other.md")
    assert (alone["pairs"], "no other version of it is kept" in alone["why"]) == ([], True)


def test_a_document_that_a_waiting_load_leaves_alone_or_whose_text_is_gone_says_so(
    ledger: Ledger, staging: Staging
) -> None:
    loaded(ledger, "docs", paper("terms.md", ALL, *BEFORE, of="docs"))
    number = waiting(ledger, staging, "x", key="new.md")
    assert look(ledger, staging)["why"] == f"load {number} brings no text of it"
    assert told(look(ledger, staging, "new.md")) == [{"before": None, "after": "[x]"}]
    staging.remove("docs")
    assert "is not in staging" in look(ledger, staging)["why"]


def test_what_is_masked_shows_neither_version(ledger: Ledger, staging: Staging) -> None:
    loaded(ledger, "docs", paper("terms.md", ALL, *BEFORE, of="docs"))
    waiting(ledger, staging, *AFTER)
    with ledger.write() as connection:
        connection.execute(update(source).values(access_until=datetime.now(UTC) - timedelta(hours=1)))
    found = look(ledger, staging)
    assert (found["pairs"], "masked" in found["why"]) == ([], True)


def test_a_long_document_shows_the_first_differences_and_counts_the_others(ledger: Ledger, staging: Staging) -> None:
    loaded(ledger, "docs", paper("terms.md", ALL, *(f"{n} old" for n in range(PAIRS + 30)), of="docs"))
    waiting(ledger, staging, *(f"{n} new" for n in range(PAIRS + 30)))
    found = look(ledger, staging)
    assert (len(found["pairs"]), found["left_off"], told(found)[7]) == (PAIRS, 30, {"before": "7 [old]", "after": "7 [new]"})  # fmt: skip
