"""What an asker may read, counted: the same as looking at every chunk, on both databases."""

import random
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from sqlalchemy import insert, update

from moat.access.policy import Policy
from moat.errors import FatalError
from moat.ids import chunk_id, document_id, text_hash
from moat.ledger import Ledger, counting, documents, loads
from moat.ledger.policies import keep
from moat.ledger.second_look import masked, second_look
from moat.ledger.tables import chunk, document, load, presence, revision, source
from moat.records import Chunk, Prepared

HR, ALL = Policy.of(["group:hr"]), Policy.of([], public=True)
ANN, HUGO = frozenset({"user:ann", "group:all"}), frozenset({"user:hugo", "group:all", "group:hr"})
POLICIES = [
    HR,
    ALL,
    Policy.of(["group:all"]),
    Policy.of(["group:all"], deny=["user:hugo"]),
    Policy.of(["group:all"]).both(Policy.of(["group:hr"])),
    Policy.of([f"user:u{n}" for n in range(300)] + ["user:ann"]),
    Policy.of([]),
]


def paper(key: str, policy: Policy, *texts: str, of: str = "s", metadata: tuple[str, ...] = (), kind: str = "text") -> tuple[Prepared, list[Chunk]]:  # fmt: skip
    d = document_id("default", of, key)
    made = [
        Chunk(
            id=chunk_id(d, t, 0),
            document_id=d,
            key=key,
            text=t,
            heading="",
            kind=kind,
            page=None,
            position=i,
            n_tokens=3,
            text_hash=text_hash(t),
        )
        for i, t in enumerate(texts)
    ]
    return Prepared(
        id=d, key=key, uri=f"u/{key}", title=key, media_type="m", fingerprint=f"f{texts}", content_hash=text_hash("".join(texts)), policy=policy.text(), access_version=0, metadata=metadata, n_pages=0, n_characters=9, n_chunks=len(texts)
    ), made  # fmt: skip


def loaded(ledger: Ledger, of: str, *papers: tuple[Prepared, list[Chunk]], promote: bool = True) -> None:
    opened = loads.open_load(ledger, of, f"run {time.monotonic_ns()}", {}, 3_600)
    documents.stage(ledger, opened, "recipe", [p for p, _ in papers], list(chain.from_iterable(c for _, c in papers)))
    loads.staged(ledger, opened)
    if promote:
        loads.promote(ledger, opened, "me")


def count(ledger: Ledger, who: frozenset[str], **filters: Any) -> tuple[int, int]:
    with ledger.read() as connection:
        return counting.count(connection, ledger.tenant, who, filters)


def shares(ledger: Ledger, who: frozenset[str], by: str, **filters: Any) -> dict[str, tuple[int, int]]:
    with ledger.read() as connection:
        return dict(counting.aggregate(connection, ledger.tenant, who, by, filters))


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    loaded(
        ledger,
        "wiki",
        paper("a", ALL, "a1", "a2", of="wiki", metadata=("team=hr", "Team=HR", "tag=x", "tag=y")),
        paper("b", HR, "b1", of="wiki", metadata=("team=hr", "note=a=b")),
        paper("c", ALL, "c1", of="wiki", metadata=("team=ops",), kind="table"),
    )
    loaded(ledger, "mail", paper("a", HR, "m1", "m2", "m3", of="mail", metadata=("team=häfen 🚢",)))
    return ledger


def test_counts_are_of_what_one_may_read(filled: Ledger) -> None:
    assert count(filled, ANN) == (2, 3)
    assert count(filled, HUGO) == (4, 7)
    assert count(filled, frozenset()) == (2, 3), "public; that nobody unknown comes so far is the door's"


def test_shares_are_of_what_one_may_read(filled: Ledger) -> None:
    assert shares(filled, ANN, "source") == {"wiki": (2, 3)}
    assert shares(filled, HUGO, "source") == {"wiki": (3, 4), "mail": (1, 3)}
    assert list(shares(filled, HUGO, "source")) == ["wiki", "mail"]
    assert shares(filled, HUGO, "kind") == {"text": (3, 6), "table": (1, 1)}
    assert shares(filled, HUGO, "key") == {"a": (2, 5), "b": (1, 1), "c": (1, 1)}


def test_metadata_is_told_apart_by_its_exact_name_and_value(filled: Ledger) -> None:
    assert shares(filled, HUGO, "team") == {"hr": (2, 3), "häfen 🚢": (1, 3), "ops": (1, 1)}
    assert shares(filled, ANN, "team") == {"hr": (1, 2), "ops": (1, 1)}
    assert shares(filled, HUGO, "Team") == {"HR": (1, 2)}
    assert shares(filled, HUGO, "tag") == {"x": (1, 2), "y": (1, 2)}
    assert shares(filled, HUGO, "note") == {"a=b": (1, 1)}
    for nothing in ("tea", "te_m", "%", "allow", "load", "policy", "'"):
        assert shares(filled, HUGO, nothing) == {}, nothing


def test_filters_are_anded_and_their_values_ored(filled: Ledger) -> None:
    assert count(filled, HUGO, team="hr") == (2, 3)
    assert count(filled, ANN, team="hr") == (1, 2)
    assert count(filled, HUGO, team=["hr", "ops"]) == (3, 4)
    assert count(filled, HUGO, team="hr", tag="x") == (1, 2)
    assert count(filled, HUGO, source="mail", team="hr") == (0, 0)
    assert count(filled, HUGO, key=["a"], source=["wiki", "mail"]) == (2, 5)
    assert count(filled, HUGO, document=[document_id("default", "wiki", "b").upper(), "*"]) == (1, 1)
    assert shares(filled, HUGO, "team", kind="table") == {"ops": (1, 1)}
    for injected in ("%", "' OR 1=1 --", "hr\x1f", "HR"):
        assert count(filled, HUGO, team=injected) == (0, 0)


def test_what_is_not_promoted_is_retired_erased_unknown_or_stale_is_not_counted(filled: Ledger) -> None:
    loaded(filled, "late", paper("l", ALL, "l1", of="late"), promote=False)
    assert count(filled, ANN) == (2, 3)
    gone = loads.open_load(filled, "wiki", "retires c", {}, 3_600)
    documents.retire(filled, gone, ["c"])
    loads.staged(filled, gone)
    loads.promote(filled, gone, "me")
    assert count(filled, ANN) == (1, 2)
    in_wiki = (document.c.source == "wiki", document.c.key == "b")
    with filled.write() as connection:
        connection.execute(update(document).where(*in_wiki).values(policy=None))
    assert count(filled, HUGO) == (2, 5)
    with filled.write() as connection:
        connection.execute(update(source).where(source.c.name == "mail").values(access_until=datetime.now(UTC)))
    assert count(filled, HUGO) == (1, 2)
    with filled.read() as connection:
        assert masked(connection, "default") == ["mail"]
    with filled.write() as connection:
        connection.execute(update(source).values(access_until=datetime.now(UTC) + timedelta(hours=1)))
        connection.execute(update(document).where(document.c.key == "a").values(erased_at=datetime.now(UTC)))
    assert count(filled, HUGO) == (0, 0)


def test_another_tenant_is_not_counted(filled: Ledger) -> None:
    other = Ledger(filled.url, "other")
    assert count(other, HUGO) == (0, 0)
    assert shares(other, HUGO, "source") == {}
    other.close()


def test_counting_and_looking_agree_on_any_policies(ledger: Ledger) -> None:
    random.seed(7)
    papers = [
        paper(f"d{n}", random.choice(POLICIES), *(f"{n} {i}" for i in range(random.randint(1, 3))), metadata=(f"m={n % 3}",))
        for n in range(60)
    ]  # fmt: skip
    loaded(ledger, "s", *papers)
    ids = [c.id for _, chunks in papers for c in chunks]
    for who in (ANN, HUGO, frozenset({"user:u7"}), frozenset({"user:stranger"}), frozenset({"group:all", "group:hr"})):
        with ledger.read() as connection:
            seen = second_look(connection, "default", who, ids).values()
        assert count(ledger, who) == (len({s.key for s in seen}), len(seen))
        for m in ("0", "1", "2"):
            those = [s for s in seen if s.metadata == (f"m={m}",)]
            assert shares(ledger, who, "m").get(m, (0, 0)) == (len({s.key for s in those}), len(those))


def test_more_policies_than_a_window_are_added_up(ledger: Ledger) -> None:
    loaded(ledger, "s", *(paper(f"d{n}", Policy.of(["group:hr", f"user:u{n}"]), f"t{n}") for n in range(1_201)))
    assert count(ledger, HUGO) == (1_201, 1_201)
    assert count(ledger, frozenset({"user:u77"})) == (1, 1)
    assert shares(ledger, HUGO, "source") == {"s": (1_201, 1_201)}


def test_too_many_values_are_refused(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_VALUES", 2)
    assert shares(filled, HUGO, "source")
    with pytest.raises(FatalError, match="more than 2 values"):
        shares(filled, HUGO, "key")


def test_many_chunks_under_many_policies_are_counted_one_by_one(ledger: Ledger) -> None:
    papers = 2_000
    policies = [Policy.of(["group:hr", f"user:u{n}"]) for n in range(500)]
    with ledger.write() as connection:
        digests = list(keep(connection, "default", policies).values())
        values = {"tenant": "default", "source": "s", "state": "promoted", "fence": 1, "run": "r", "options": {}, "counts": {}, "opened_at": datetime.now(UTC)}  # fmt: skip
        number = connection.execute(insert(load).values(values).returning(load.c.id)).scalar_one()
        found = [document_id("default", "s", str(n)) for n in range(papers)]
        connection.execute(insert(document), [{"id": d, "tenant": "default", "source": "s", "key": str(n), "policy": digests[n % 500], "first_seen": datetime.now(UTC)} for n, d in enumerate(found)])  # fmt: skip
        connection.execute(insert(revision), [{"document_id": d, "added_in": number, "uri": "u", "title": "t", "media_type": "m", "fingerprint": "f", "content_hash": "c", "recipe": "r", "metadata": [f"team={n % 7}", "x=y"], "n_pages": 0, "n_chunks": 5} for n, d in enumerate(found)])  # fmt: skip
        made = [(chunk_id(d, str(i), 0), d, i) for d in found for i in range(5)]
        connection.execute(insert(chunk), [{"id": c, "document_id": d, "text": "t", "heading": "", "kind": "text", "n_tokens": 1, "text_hash": "h"} for c, d, _ in made])  # fmt: skip
        connection.execute(insert(presence), [{"chunk_id": c, "added_in": number, "position": i} for c, _, i in made])
    assert count(ledger, HUGO) == (papers, 10_000)
    assert count(ledger, HUGO, team="3") == (286, 1_430)
    assert sum(chunks for _, chunks in shares(ledger, HUGO, "team").values()) == 10_000


def test_access_that_narrows_is_counted_at_once(filled: Ledger) -> None:
    assert count(filled, ANN, source="wiki", key="a") == (1, 2)
    with filled.write() as connection:
        digest = keep(connection, "default", [HR])[HR.text()]
        connection.execute(update(document).where(document.c.key == "a").values(policy=digest))
    assert count(filled, ANN, source="wiki", key="a") == (0, 0)
