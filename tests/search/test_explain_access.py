"""Why somebody reads a document or not: the rule, the groups, and the same word as the second look."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import update

from moat.access.policy import Policy
from moat.errors import FatalError
from moat.ids import chunk_id, document_id, text_hash
from moat.ledger import Ledger, documents, loads
from moat.ledger.members import principals_of, replace_members
from moat.ledger.second_look import second_look
from moat.ledger.tables import document, source
from moat.records import Chunk, Prepared
from moat.search.explain_access import Why, why
from moat.search.identity import Asker, Bearer, Service
from moat.settings import Settings

ANN, HUGO, EVE = "user:ann@example.com", "user:hugo@example.com", "user:eve@example.com"
GROUPS = {
    "group:everyone": ["group:people", ANN],
    "group:people": ["group:pay", EVE],
    "group:pay": [HUGO],
    "group:contractors": [EVE],
}
POLICIES = {
    "open": Policy.of([], public=True),
    "people": Policy.of(["group:people"]),
    "denied": Policy.of(["group:everyone"], deny=["group:contractors"]),
    "both": Policy.of(["group:people"]).both(Policy.of([HUGO, ANN])),
    "nobody": Policy.of([]),
}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    replace_members(ledger, "test", GROUPS, "test")
    opened = loads.open_load(ledger, "s", "run", {}, 3_600)
    rows, chunks = [], []
    for key, policy in POLICIES.items():
        d = document_id("default", "s", key)
        rows.append(
            Prepared(
                id=d,
                key=key,
                uri="u",
                title=key,
                media_type="m",
                fingerprint="f",
                content_hash=text_hash(key),
                policy=policy.text(),
                access_version=0,
                metadata=(),
                n_pages=0,
                n_characters=9,
                n_chunks=1,
            )
        )
        chunks.append(
            Chunk(
                id=chunk_id(d, key, 0),
                document_id=d,
                key=key,
                text=key,
                heading="",
                kind="text",
                page=None,
                position=0,
                n_tokens=3,
                text_hash=text_hash(key),
            )
        )
    documents.stage(ledger, opened, "recipe", rows, chunks)
    loads.staged(ledger, opened)
    loads.promote(ledger, opened, "me")
    return ledger


def asked(ledger: Ledger, settings: Settings, key: str, asker: Asker) -> Why:
    return why(ledger, ("s", key), asker, settings)


def test_who_is_let_in_is_told_by_which_groups(filled: Ledger, settings: Settings) -> None:
    told = asked(filled, settings, "people", HUGO)
    assert told.readable
    assert told.layers[0].by == ((HUGO, "group:pay", "group:people"),)
    assert told.reason == f"{HUGO} → group:pay → group:people"
    assert asked(filled, settings, "open", ANN).reason == f"{ANN} → everyone who is known"
    service = asked(filled, settings, "people", Service("bot", ("group:pay", "group:everyone")))
    assert service.reason == "group:pay → group:people"


def test_who_is_kept_out_is_told_by_what(filled: Ledger, settings: Settings) -> None:
    told = asked(filled, settings, "people", ANN)
    assert not told.readable
    assert told.layers[0].by == ()
    assert told.reason == "in none of group:people"
    denied = asked(filled, settings, "denied", EVE)
    assert denied.reason == f"denied: {EVE} → group:contractors"
    assert denied.layers[0].by, "the layer would let them in: deny wins"
    half = asked(filled, settings, "both", EVE)
    assert [bool(layer.by) for layer in half.layers].count(True) == 1
    assert half.reason == f"in none of {ANN}, {HUGO}"
    assert asked(filled, settings, "nobody", HUGO).reason == "nobody may read it"
    assert "nobody knows" in str(asked(filled, settings, "open", "user:stranger").refused)
    assert "set MOAT_JWT" in str(asked(filled, settings, "open", Bearer("eyJx.y.z")).refused)


def test_what_nobody_may_see_is_told_though_the_policy_lets_them_in(filled: Ledger, settings: Settings) -> None:
    with filled.write() as connection:
        connection.execute(update(source).values(access_until=datetime.now(UTC) - timedelta(seconds=1)))
    told = asked(filled, settings, "people", HUGO)
    assert (told.readable, "could not be read for too long" in told.state) == (False, True)
    assert "not to be seen by anybody" in told.reason
    with filled.write() as connection:
        connection.execute(update(source).values(access_until=None))
        connection.execute(update(document).where(document.c.key == "people").values(policy=None))
        connection.execute(update(document).where(document.c.key == "open").values(erased_at=datetime.now(UTC)))
    told = asked(filled, settings, "people", HUGO)
    assert told.reason == "who may read it is unknown"
    assert "masked" in told.state
    assert "erased" in asked(filled, settings, "open", HUGO).state
    assert not asked(filled, settings, "open", HUGO).readable


def test_its_word_is_that_of_the_second_look(filled: Ledger, settings: Settings) -> None:
    for key, who in product(POLICIES, (ANN, HUGO, EVE, "user:stranger@example.com")):
        ids = [chunk_id(document_id("default", "s", key), key, 0)]
        with filled.read() as connection:
            mine = principals_of(connection, "default", who)
            seen = bool(mine) and bool(second_look(connection, "default", mine, ids))
        told = asked(filled, settings, key, who)
        by_policy = not told.refused and not told.deny and bool(told.layers) and all(x.by for x in told.layers)
        assert told.readable == seen == by_policy, (key, who)
        assert why(filled, ids[0].upper(), who, settings) == told


def test_what_the_ledger_never_saw_cannot_be_explained(filled: Ledger, settings: Settings) -> None:
    with pytest.raises(FatalError, match="never saw"):
        asked(filled, settings, "elsewhere", ANN)
    for unknown in ("x", "00000000-0000-0000-0000-000000000001"):
        with pytest.raises(FatalError, match="has no chunk"):
            why(filled, unknown, ANN, settings)
