"""Whatever is wrong about an asker, a token, a request or a server: nothing comes back, and the audit says so.

Each case asks by every way there is (search in three modes, get, count, aggregate) on a real
Weaviate with real documents that a good asker does find.
"""

import hashlib
import hmac
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select, update

from moat.access.policy import access_token
from moat.embedding.client import embedder_of
from moat.errors import AskedWrongly
from moat.index.store import Query, Store, WeaviateStore
from moat.ledger import Ledger, members
from moat.ledger.members import replace_members
from moat.ledger.tables import audit, directory, source
from moat.retrieve import Retriever
from moat.search.identity import Bearer, Service
from moat.search.result_types import SearchResult
from moat.settings import Settings
from tests.company import ANN, HUGO, Company, collection_of_its_own, open_runtime, remove_collection
from tests.issuer import Issuer

QUESTION = "What does a crane driver earn?"
GROUPS = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO, "user:Zoë@example.com"]}
WAYS = ("vector", "keyword", "hybrid", "get", "count", "aggregate")


@pytest.fixture(scope="module")
def company(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("closed")
    with collection_of_its_own(weaviate_server, embedder_server, folder / "home") as settings:
        made = Company(open_runtime(settings), folder / "docs")
        made.run()
        yield made
        made.runtime.close()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def known(company: Company) -> Iterator[Ledger]:
    """The ledger; groups and sources are put back in the end."""
    replace_members(company.runtime.ledger, "test", GROUPS, "test")
    yield company.runtime.ledger
    replace_members(company.runtime.ledger, "test", GROUPS, "test")
    with company.runtime.ledger.write() as connection:
        connection.execute(update(source).values(access_until=None))


@pytest.fixture
def opened(company: Company, known: Ledger) -> Iterator[Callable[..., Retriever]]:
    """A function that opens a door, with other settings, index or embedder."""
    made: list[Retriever] = []

    def door(store: Store | None = None, embedder: Any = None, settings: Settings | None = None) -> Retriever:
        settings = settings or company.runtime.settings
        made.append(
            Retriever(
                settings,
                Ledger(settings.ledger, settings.tenant),
                store or WeaviateStore.open(settings, "reader"),
                embedder or embedder_of(company.runtime.settings, company.runtime.connections),
            )
        )
        return made[-1]

    yield door
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def ids(company: Company) -> list[str]:
    """Every chunk of the company."""
    index = company.index()
    found = [o.id for o in index.every()]
    index.close()
    return found


def asked(door: Retriever, runtime: str, asker: Any, ids: Sequence[str], **given: Any) -> Any:
    match runtime:
        case "get":
            return door.get(ids, asker)
        case "count":
            return door.count(asker, **given)
        case "aggregate":
            return door.aggregate(asker, "source", **given)
        case _:
            return door.search(QUESTION, asker, mode=runtime, **given)  # type: ignore[arg-type]


def empty(given: Any) -> bool:
    return (given.documents, given.chunks) == (0, 0) if hasattr(given, "documents") else len(given) == 0


def lines(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Who, action and everything that a row holds."""
    query = select(audit).where(audit.c.action.in_(["query denied", "query failed"])).order_by(audit.c.id)
    with ledger.read() as connection:
        return [(row.actor, row.action, json.dumps(list(row), default=str)) for row in connection.execute(query)]


def gives_nothing(door: Retriever, asker: Any, ids: Sequence[str], *, who: str, says: str, action: str, ways: Sequence[str] = WAYS, **given: Any) -> None:  # fmt: skip
    for runtime in ways:
        before = len(lines(door._ledger))
        answer = asked(door, runtime, asker, ids, **given)
        assert empty(answer), runtime
        assert says in (answer.refused or ""), (runtime, answer.refused)
        (line,) = lines(door._ledger)[before:]
        assert line[:2] == (who, action), runtime
        for secret in (QUESTION, getattr(asker, "token", "") or QUESTION):
            assert secret not in line[2]
            assert secret not in answer.refused


def test_a_good_asker_finds_it_by_every_way(opened: Callable[..., Retriever], ids: list[str], issuer: Issuer, company: Company) -> None:  # fmt: skip
    """Without this, a door that is always shut would pass everything below."""
    door = opened(settings=issuer.trusted(company.runtime.settings))
    for asker in (HUGO, Service("payroll", ("group:people",)), Bearer(issuer.token("hugo@example.com"))):
        for runtime in WAYS:
            answer = asked(door, runtime, asker, ids)
            assert not empty(answer), (runtime, asker, answer.refused)
    assert "people/pay.md" in {hit.document_key for hit in door.get(ids, HUGO)}
    assert "people/pay.md" not in {hit.document_key for hit in door.get(ids, ANN)}


# --- who asks

ASKERS: dict[str, tuple[Any, str, str]] = {
    "nobody": (None, "nobody", "nobody asks"),
    "an empty text": ("", "nobody", "nobody asks"),
    "white space": ("   ", "a text of 3 characters", "no principal"),
    "a number": (7, "a int", "no asker"),
    "a stranger": ("user:stranger@example.com", "user:stranger@example.com", "nobody knows"),
    "a name without its kind": ("hugo@example.com", "a text of 16 characters", "no principal"),
    "a wildcard": ("user:*", "user:*", "nobody knows"),
    "everyone who is known": ("public", "a text of 6 characters", "no principal"),
    "two in one": (f"{ANN},{HUGO}", f"{ANN},{HUGO}", "is several"),
    "a twin that only looks alike": ("user:hugо@example.com", "user:hugо@example.com", "mixes Cyrillic and Latin"),
    "compatibility characters": ("user:ｈugo@example.com", "user:ｈugo@example.com", "compatibility"),
    "an invisible character": ("user:hugo\u200b@example.com", "user:hugo\u200b@example.com", "U+200B"),
    "without its accent": ("user:zoe@example.com", "user:zoe@example.com", "nobody knows"),
    "a token of the index": (access_token("default", "group:people"), "a text of 34 characters", "no principal"),
    "five thousand characters": ("user:" + "h" * 5_000, "user:" + "h" * 507, "characters at the most"),
    "a service without principals": (Service("bot", ()), "service:bot", "must stand for 1"),
    "a service that nobody knows": (Service("bot", ("group:nowhere",)), "service:bot", "nobody knows group:nowhere"),
    "a service with one unknown principal": (Service("bot", ("group:people", "group:nowhere")), "service:bot", "nobody knows"),
    "a service with an unreadable principal": (Service("bot", ("people",)), "service:bot", "no principal"),
    "a service whose principals are one text": (Service("bot", "group:people"), "service:bot", "must stand for 1"),  # type: ignore[arg-type]
    "a service without a name": (Service("", ("group:people",)), "service:", "has a name"),
    "a token where none is taken": (Bearer("eyJhbGciOiJub25lIn0.eyJhIjoxfQ."), "a token", "set MOAT_JWT_ISSUER"),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKERS)
def test_whoever_cannot_be_known_gets_nothing(case: str, opened: Callable[..., Retriever], ids: list[str]) -> None:
    asker, who, says = ASKERS[case]
    gives_nothing(opened(), asker, ids, who=who, says=says, action="query denied")


def test_twins_in_case_and_form_are_one_person(opened: Callable[..., Retriever], ids: list[str]) -> None:
    door = opened()
    for spelled in ("user:zoë@example.com", "user:ZOË@Example.com", "user:zoe\u0308@example.com"):
        assert "people/pay.md" in {hit.document_key for hit in door.get(ids, spelled)}, spelled


def test_a_stale_directory_gives_nothing_to_anybody(opened: Callable[..., Retriever], known: Ledger, ids: list[str]) -> None:  # fmt: skip
    door = opened()
    assert door.count(HUGO).documents == 3
    replace_members(known, "test", GROUPS, "test", max_age_s=60)
    with known.write() as connection:
        connection.execute(update(directory).values(read_at=datetime.now(UTC) - timedelta(seconds=61)))
    gives_nothing(door, HUGO, ids, who=HUGO, says="directory test was last read", action="query denied")


def test_a_source_whose_access_cannot_be_read_any_more_is_masked(opened: Callable[..., Retriever], known: Ledger, ids: list[str]) -> None:  # fmt: skip
    """gpt-rag-ingestion v2.2.5 went blind behind its own filter and took the silence for an answer."""
    door = opened()
    with known.write() as connection:
        connection.execute(update(source).values(access_until=datetime.now(UTC) - timedelta(seconds=1)))
    for runtime in WAYS:
        answer = asked(door, runtime, HUGO, ids)
        assert empty(answer), runtime
        assert answer.refused is None
    with known.write() as connection:
        connection.execute(update(source).values(access_until=datetime.now(UTC) + timedelta(hours=1)))
    assert door.count(HUGO).documents == 3


def test_five_thousand_groups_are_exact_and_past_the_limit_there_is_nothing(opened: Callable[..., Retriever], known: Ledger, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    door = opened()
    many = {f"group:g{n}": [ANN] for n in range(5_000)}
    replace_members(known, "test", {**GROUPS, **many}, "test")
    for runtime in WAYS:
        assert not empty(asked(door, runtime, HUGO, ids)), runtime
        assert "people/pay.md" not in str(asked(door, runtime, ANN, ids)), runtime
    assert door.count(ANN).documents == 2
    replace_members(known, "test", {**GROUPS, **many, "group:people": [HUGO, "group:g4999"]}, "test")
    assert door.search(QUESTION, ANN)[0].document_key == "people/pay.md"
    monkeypatch.setattr(members, "MOST_PRINCIPALS", 5_000)
    monkeypatch.setattr("moat.search.identity.MOST_PRINCIPALS", 5_000)
    replace_members(known, "test", {**GROUPS, **many}, "test")  # a new revision: nothing is kept
    gives_nothing(door, ANN, ids, who=ANN, says="more than 5,000 principals", action="query denied")


@pytest.mark.parametrize(
    ("groups", "reads"),
    [
        pytest.param({f"group:x{n}": [HUGO] for n in range(40)} | {"group:people": ["group:x39"]}, True, id="more than ten"),
        pytest.param({f"group:n{n}": [f"group:n{n + 1}"] for n in range(30)} | {"group:n30": [HUGO], "group:people": ["group:n0"]}, True, id="nested"),
        pytest.param({"group:a": ["group:b"], "group:b": ["group:a", HUGO], "group:people": ["group:a"]}, True, id="cyclic"),
        pytest.param({"group:a": ["group:b"], "group:b": ["group:a"], "group:people": ["group:c"], "group:x": [HUGO]}, False, id="a cycle without them"),
        pytest.param({"group:people": [ANN]}, False, id="none"),
        pytest.param({"group:test/people": [HUGO]}, False, id="another site's group of that name, onyx#13115"),
    ],
)  # fmt: skip
def test_groups_of_every_shape_decide_exactly(groups: dict[str, list[str]], reads: bool, opened: Callable[..., Retriever], known: Ledger, ids: list[str]) -> None:  # fmt: skip
    """onyx#13115: groups of two sites with one name are two groups."""
    replace_members(known, "test", {"group:everyone": ["user:else@example.com"], **groups}, "test")
    door = opened()
    found = {hit.document_key for hit in door.get(ids, HUGO)} | {
        hit.document_key for hit in door.search(QUESTION, HUGO)
    }
    assert found == ({"people/pay.md"} if reads else set())


def test_a_removal_is_not_kept_in_any_cache(opened: Callable[..., Retriever], known: Ledger, ids: list[str]) -> None:
    door = opened()
    assert "people/pay.md" in {hit.document_key for hit in door.get(ids, HUGO)}
    replace_members(known, "test", {"group:everyone": [ANN, HUGO], "group:people": [ANN]}, "test")
    assert "people/pay.md" not in {hit.document_key for hit in door.get(ids, HUGO)}
    assert "people/pay.md" not in {hit.document_key for hit in door.search(QUESTION, HUGO)}


# --- tokens


def hs256(issuer: Issuer) -> str:
    """HS256 with the public key for a secret: what a verifier that trusts the header would take."""
    unsigned = issuer.by_hand("hugo@example.com", {"alg": "HS256", "kid": "rsa-1", "typ": "JWT"}).rstrip(".")
    signature = hmac.new(issuer.public_pem("rsa-1"), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{jwt.utils.base64url_encode(signature).decode()}"


def now() -> int:
    return int(time.time())


def other() -> Any:
    return rsa.generate_private_key(65537, 2048)


TOKENS: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "forged, another key with the same kid": (lambda i: i.token("hugo@example.com", key=other()), "Signature"),
    "changed after it was signed": (lambda i: ".".join([i.token("hugo@example.com").split(".")[0], i.token("ann@example.com").split(".")[1], i.token("hugo@example.com").split(".")[2]]), "Signature"),
    "alg none": (lambda i: i.by_hand("hugo@example.com", {"alg": "none", "kid": "rsa-1"}), "'none'"),
    "alg None in another case": (lambda i: i.by_hand("hugo@example.com", {"alg": "nOnE", "kid": "rsa-1"}), "'nOnE'"),
    "HS256 with the public key": (hs256, "'HS256'"),
    "an algorithm that its key is not for": (lambda i: i.by_hand("hugo@example.com", {"alg": "ES256", "kid": "rsa-1"}, b"x" * 64), "does not hold"),
    "expired": (lambda i: i.token("hugo@example.com", exp=now() - 60), "expired"),
    "not yet valid": (lambda i: i.token("hugo@example.com", nbf=now() + 600), "does not hold"),
    "issued in the future": (lambda i: i.token("hugo@example.com", iat=now() + 600), "does not hold"),
    "without an end": (lambda i: i.token("hugo@example.com", exp=None), "exp"),
    "another issuer's": (lambda i: i.token("hugo@example.com", iss="https://evil.example.com"), "Issuer"),
    "without an issuer": (lambda i: i.token("hugo@example.com", iss=None), "iss"),
    "meant for another service": (lambda i: i.token("hugo@example.com", aud="crm"), "udience"),
    "meant for nobody": (lambda i: i.token("hugo@example.com", aud=None), "aud"),
    "an unknown kid": (lambda i: jwt.encode(i.claims("hugo@example.com"), other(), "RS256", headers={"kid": "rsa-9"}), "no key"),
    "without a kid": (lambda i: jwt.encode(i.claims("hugo@example.com"), i.keys["rsa-1"], "RS256"), "no kid"),
    "without the claim": (lambda i: i.token("hugo@example.com", email=None), "no claim 'email'"),
    "a claim that is a list": (lambda i: i.token("hugo@example.com", email=["hugo@example.com"]), "no claim 'email'"),
    "an email that is not verified": (lambda i: i.token("hugo@example.com", email_verified=False), "not verified"),
    "no token at all": (lambda i: "no.token.at-all", "does not hold"),
    "an empty text": (lambda i: "", "1 to 16,384"),
    "far too long": (lambda i: "eyJ" + "a" * 20_000, "1 to 16,384"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_that_does_not_hold_proves_nobody(case: str, opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str], caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    made, says = TOKENS[case]
    asker = Bearer(made(issuer))
    gives_nothing(opened(settings=issuer.trusted(company.runtime.settings)), asker, ids, who="a token", says=says, action="query denied")  # fmt: skip
    assert not asker.token or asker.token not in caplog.text + repr(asker)


def test_a_token_passed_as_a_name_is_neither_taken_nor_repeated(opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str], caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    door, secret = opened(settings=issuer.trusted(company.runtime.settings)), issuer.token("hugo@example.com")
    for asker in (secret, f"user:{secret}", f"Bearer {secret}"):
        gives_nothing(door, asker, ids, who=f"a text of {len(asker):,} characters", says="pass Bearer", action="query denied")  # fmt: skip
    gives_nothing(door, Service(secret, (HUGO,)), ids, who="a Service", says="a service has a name", action="query denied")  # fmt: skip
    gives_nothing(door, Service("bot", (secret,)), ids, who="service:bot", says="pass Bearer", action="query denied")
    told = " ".join(line[2] for line in lines(door._ledger)) + caplog.text
    assert secret not in told
    assert secret.split(".")[1] not in told


def test_a_proved_stranger_is_named_in_the_audit(opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str]) -> None:  # fmt: skip
    door = opened(settings=issuer.trusted(company.runtime.settings))
    asker = Bearer(issuer.token("stranger@example.com"))
    gives_nothing(door, asker, ids, who="user:stranger@example.com", says="nobody knows", action="query denied")
    asker = Bearer(issuer.token("people,group:people"))
    gives_nothing(door, asker, ids, who="a token", says="is several", action="query denied")


def test_keys_come_from_a_server_and_are_not_asked_for_each_time(opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    with issuer.served() as where:
        door = opened(settings=issuer.trusted(company.runtime.settings, where))
        issuer.asked = 0
        for kid in ("rsa-1", "ec-1", "rsa-1"):
            assert not empty(door.count(Bearer(issuer.token("hugo@example.com", kid))))
        assert issuer.asked == 1
        for _ in range(5):  # a flood of kids is no flood of requests
            stranger = jwt.encode(issuer.claims("hugo@example.com"), other(), "RS256", headers={"kid": "rsa-7"})
            gives_nothing(door, Bearer(stranger), ids, who="a token", says="no key", action="query denied", ways=["count"])  # fmt: skip
        assert issuer.asked == 1
        issuer.keys["rsa-2"] = other()
        issuer.publish()
        monkeypatch.setattr("moat.search.jwt.REFETCH_S", 0.0)
        assert not empty(door.count(Bearer(issuer.token("hugo@example.com", "rsa-2"))))
        assert issuer.asked == 2


@pytest.mark.parametrize("status", [500, 302, 404])
def test_when_the_keys_cannot_be_read_no_token_holds(status: int, opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    asker = Bearer(issuer.token("hugo@example.com"))
    with issuer.served() as where:
        door = opened(settings=issuer.trusted(company.runtime.settings, where))
        issuer.status = status
        gives_nothing(door, asker, ids, who="a token", says="cannot be read", action="query denied")
        issuer.status = 200
        monkeypatch.setattr("moat.search.jwt.RETRY_S", 0.0)
        assert not empty(door.count(asker))
    assert not empty(door.count(asker)), "keys that were read hold for their time"
    monkeypatch.setattr("moat.search.jwt.KEPT_S", 0.0)
    gives_nothing(door, asker, ids, who="a token", says="cannot be read", action="query denied", ways=["count"])


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", '{"keys": [7]}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa-1"}]}']
)
def test_a_jwks_that_is_none_proves_nobody(body: str, opened: Callable[..., Retriever], company: Company, issuer: Issuer, ids: list[str], tmp_path: Path) -> None:  # fmt: skip
    file = tmp_path / "jwks.json"
    file.write_text(body)
    door = opened(settings=issuer.trusted(company.runtime.settings, str(file)))
    says = "no key" if "oct" in body else "cannot be read"
    gives_nothing(door, Bearer(issuer.token("hugo@example.com")), ids, who="a token", says=says, action="query denied")


def test_a_token_names_the_claim_that_the_setting_says(opened: Callable[..., Retriever], company: Company, issuer: Issuer) -> None:  # fmt: skip
    door = opened(settings=issuer.trusted(company.runtime.settings, jwt_claim="upn"))
    assert door.count(Bearer(issuer.token("ann@example.com", upn="Hugo@Example.com"))).documents == 3
    assert door.count(Bearer(issuer.token("hugo@example.com"))).refused


@pytest.mark.parametrize(
    "wrong",
    [{"jwt_algorithms": "HS256"}, {"jwt_algorithms": "RS256,none"}, {"jwt_algorithms": ""}, {"jwt_jwks": "http://login.example.com/jwks"}, {"jwt_jwks": "ftp://x/y"}],
)  # fmt: skip
def test_settings_that_would_trust_anybody_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings.model_validate(wrong)


# --- what is asked


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"source": []}, "names no value"),
        ({"team": ()}, "names no value"),
        ({"source": "docs", "key": []}, "names no value"),
        ({"source": 7}, "a text, or several"),
        ({"source": [None]}, "a text, or several"),
        ({"source": {"docs": 1}}, "a text, or several"),
        ({7: "docs"}, "name of the documents' metadata"),
        (["source"], "a mapping of names"),
        ({"source": ["x"] * 1_001}, "at the most 1,000"),
    ],
)
def test_an_empty_or_broken_scope_is_no_scope_openrag_759(filters: Any, says: str, opened: Callable[..., Retriever], ids: list[str]) -> None:  # fmt: skip
    """linagora/openrag#759: an empty list of scopes became no filter, and everything was found."""
    door = opened()
    for runtime in WAYS:
        if runtime != "get":
            with pytest.raises(AskedWrongly, match=says):
                asked(door, runtime, HUGO, ids, filters=filters)


@pytest.mark.parametrize(
    "filters",
    [
        {"allow": ["public"]},
        {"allow": [access_token("default", "group:people")]},
        {"load": "1"},
        {"text": "crane"},
        {"document": ["*"]},
        {"metadata": "x' OR 1=1 --"},
        {"source": ["docs' OR '1'='1"]},
        {"key": ["%", "*", "_eave.md"]},
        {"": "docs"},
        {"source=docs": "x"},
    ],
)
def test_an_injected_filter_finds_nothing(filters: Any, opened: Callable[..., Retriever], ids: list[str]) -> None:
    """It reaches no property but its own: any other name is one of metadata, which nobody's document has."""
    door = opened()
    for runtime in WAYS:
        if runtime != "get":
            with suppress(AskedWrongly):
                answer = asked(door, runtime, HUGO, ids, filters=filters)
                assert empty(answer), runtime
                assert answer.refused is None


@pytest.mark.parametrize("mine", ["people/pay.md", ["people/pay.md", "leave.md"]])
def test_a_filter_for_what_one_may_not_read_widens_nothing(mine: Any, opened: Callable[..., Retriever], ids: list[str]) -> None:  # fmt: skip
    door = opened()
    assert door.count(ANN, {"key": mine}).documents == (0 if isinstance(mine, str) else 1)
    assert "people/pay.md" not in door.aggregate(ANN, "key", {"key": mine})


def test_ids_that_are_none_or_too_many(opened: Callable[..., Retriever], ids: list[str]) -> None:
    door = opened()
    assert door.get(["", "x", "' OR 1=1 --", ids[0].replace("-", ""), "{" + ids[0] + "}", "\x00"], HUGO) == []
    assert [h.chunk_id for h in door.get([ids[0].upper(), ids[0], "x"], HUGO)] == [ids[0]]
    for wrong in (ids[0], [7], ["x"] * 1_001, None):
        with pytest.raises(AskedWrongly):
            door.get(wrong, HUGO)  # type: ignore[arg-type]


# --- what is stored, and not what is believed


def test_access_that_is_stored_is_access_that_is_filtered_by_langflow_openrag_1336(opened: Callable[..., Retriever], company: Company, ids: list[str]) -> None:  # fmt: skip
    """langflow-ai/openrag#1336: who may read was written with each chunk, and no query asked for it."""

    class Watched:
        asked: list[Query] = []  # noqa: RUF012

        def __init__(self) -> None:
            self.inner = WeaviateStore.open(company.runtime.settings, "reader")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def search(self, query: Query) -> list[tuple[str, float]]:
            self.asked.append(query)
            return self.inner.search(query)

    store = Watched()
    door = opened(store)
    for mode in ("vector", "keyword", "hybrid"):
        door.search(QUESTION, ANN, mode=mode)  # type: ignore[arg-type]
    assert len(store.asked) == 3
    mine = {"public", access_token("default", ANN), access_token("default", "group:everyone")}
    assert all(set(query.tokens) == mine for query in store.asked)


def test_an_inherited_restriction_holds_by_every_way_elastic_connectors_4095(company: Company, opened: Callable[..., Retriever], tmp_path: Path) -> None:  # fmt: skip
    """elastic/connectors#4095: what a folder above restricts restricts what lies below."""
    folder = company.folder / "people" / "deep" / "deeper"
    company.write("people/deep/.access.yaml", "allow: [group:everyone]\ninherit: true\n")
    company.write("people/deep/deeper/bonus.md", "# Bonus\n\nA crane driver earns a bonus.\n")
    try:
        company.run()
        index = company.index()
        ids = [o.id for o in index.every()]
        index.close()
        door = opened()
        assert "people/deep/deeper/bonus.md" in {hit.document_key for hit in door.get(ids, HUGO)}
        for runtime in WAYS[:4]:
            assert "bonus" not in str([hit.document_key for hit in asked(door, runtime, ANN, ids)]), runtime
        assert door.count(ANN).documents == 2
    finally:
        (folder / "bonus.md").unlink()
        company.run()


def test_ids_of_another_tenant_are_not_found_and_its_people_not_known_onyx_12580(company: Company, opened: Callable[..., Retriever], make_runtime: Any, tmp_path: Path, ids: list[str]) -> None:  # fmt: skip
    """onyx#12580: a cache of permissions was shared by tenants. One server, one ledger, two tenants."""
    settings = company.runtime.settings.model_copy(update={"tenant": "other"})
    foreign = Company(make_runtime(settings), tmp_path / "others")
    members.replace_members(foreign.runtime.ledger, "test", {"group:everyone": [ANN], "group:people": [ANN, "user:eve@example.com"]}, "test")  # fmt: skip
    foreign.run()
    index = foreign.index()
    theirs = [o.id for o in index.every()]
    index.close()
    mine, other_door = opened(), opened(settings=settings)
    assert {h.document_key for h in other_door.get(theirs, ANN)} >= {"people/pay.md"}
    assert mine.get(theirs, HUGO) == []
    assert "people/pay.md" not in {h.document_key for h in mine.get([*ids, *theirs], ANN)}
    assert other_door.get(ids, ANN) == []
    assert "people/pay.md" not in {hit.document_key for hit in mine.search(QUESTION, ANN)}
    eve = "user:eve@example.com"
    gives_nothing(mine, eve, [*ids, *theirs], who=eve, says="nobody knows", action="query denied")
    remove_collection(settings)


# --- servers


class Embeds:
    """An embedder that does what a test says."""

    def __init__(self, embed: Callable[[], np.ndarray]) -> None:
        self._embed = embed

    def embed(self, texts: Sequence[str], priority: str = "bulk") -> np.ndarray:
        return self._embed()

    def close(self) -> None: ...


def _slowly() -> np.ndarray:
    time.sleep(2)
    return np.ones((1, 384), np.float32)


def _raises(error: Exception) -> Callable[[], Any]:
    def raises() -> Any:
        raise error

    return raises


@pytest.mark.parametrize(
    ("embed", "says"),
    [
        pytest.param(lambda: np.full((1, 384), np.nan, np.float32), "NaN", id="NaN"),
        pytest.param(lambda: np.zeros((0, 384), np.float32), "IndexError", id="no vector"),
        pytest.param(lambda: np.ones((1, 3), np.float32), "Weaviate at", id="of another model"),
        pytest.param(_raises(ConnectionError("no route")), "ConnectionError", id="down"),
        pytest.param(_raises(ValueError(f"cannot embed {QUESTION}")), "ValueError", id="it repeats the question"),
        pytest.param(_slowly, "MOAT_SEARCH_TIMEOUT_S", id="too slow"),
    ],
)
def test_an_embedder_that_fails_gives_nothing(embed: Any, says: str, opened: Callable[..., Retriever], company: Company, ids: list[str]) -> None:  # fmt: skip
    settings = company.runtime.settings.model_copy(update={"search_timeout_s": 1.0}) if "TIMEOUT" in says else None
    door = opened(embedder=Embeds(embed), settings=settings)
    gives_nothing(door, HUGO, ids, who=HUGO, says=says, action="query failed", ways=["vector", "hybrid"])
    assert not empty(door.search("crane driver", HUGO, mode="keyword"))


def test_an_index_that_refuses_gives_nothing_and_ids_are_still_the_ledgers(opened: Callable[..., Retriever], company: Company, ids: list[str]) -> None:  # fmt: skip
    """A collection that is not there, or that the key may not read. A server that went down: tests/test_retrieve.py."""
    door = opened(settings=company.runtime.settings.model_copy(update={"collection": "Nowhere"}))
    gives_nothing(
        door, HUGO, ids, who=HUGO, says="Weaviate at", action="query failed", ways=["vector", "keyword", "hybrid"]
    )
    assert not empty(door.get(ids, HUGO))


def test_an_index_that_goes_between_two_pages_gives_nothing_of_the_first(opened: Callable[..., Retriever], company: Company, ids: list[str]) -> None:  # fmt: skip
    class Going:
        """Gives a full page of what nobody may see, so that a second is asked for; then its connection is closed."""

        def __init__(self) -> None:
            self.inner, self.asked = WeaviateStore.open(company.runtime.settings, "reader"), 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def search(self, query: Query) -> list[tuple[str, float]]:
            self.asked += 1
            if self.asked > 1:
                self.inner.close()
            found = self.inner.search(query)
            gone = [(f"00000000-0000-0000-0000-{n:012}", 0.1) for n in range(query.limit)]
            return (found[:1] + gone)[: query.limit]

    for runtime in ("vector", "keyword", "hybrid"):
        store = Going()
        gives_nothing(
            opened(store), HUGO, ids, who=HUGO, says="WeaviateClosedClientError", action="query failed", ways=[runtime]
        )
        assert store.asked == 2


def test_a_ledger_that_is_gone_gives_nothing_and_the_log_says_so(opened: Callable[..., Retriever], company: Company, ids: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    door = opened(
        settings=company.runtime.settings.model_copy(update={"ledger_url": f"sqlite:///{tmp_path}/no/ledger.db"})
    )
    with caplog.at_level(logging.WARNING):
        for runtime in WAYS:
            answer = asked(door, runtime, HUGO, ids)
            assert empty(answer), runtime
            assert "there is no ledger at" in answer.refused
    assert caplog.text.count(f"for {HUGO}: LedgerError") == len(WAYS)
    assert "no audit line could be written" in caplog.text


def test_a_locked_ledger_keeps_nobody_waiting_and_gets_its_line_later(opened: Callable[..., Retriever], company: Company, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("moat.search.guard.AUDIT_S", 0.2)
    door = opened()
    before = len(lines(door._ledger))
    locker = sqlite3.connect(company.runtime.settings.ledger.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    for runtime in WAYS:
        answer = asked(door, runtime, "user:stranger@example.com", ids)
        assert empty(answer)
        assert answer.refused
    assert time.monotonic() - started < 10
    assert not empty(door.get(ids, HUGO)), "readers need no lock"
    locker.execute("ROLLBACK")
    locker.close()
    end = time.monotonic() + 20
    while len(lines(door._ledger)) < before + len(WAYS) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(lines(door._ledger)) == before + len(WAYS)


def test_many_at_once_each_get_their_own(opened: Callable[..., Retriever], ids: list[str]) -> None:
    """The caches are shared by threads; what they hold is nobody else's."""
    door, wrong = opened(), list[Any]()

    def ask(asker: str) -> None:
        for _ in range(20):
            found = {hit.document_key for hit in door.get(ids, asker)}
            if ("people/pay.md" in found) is not (asker == HUGO):
                wrong.append((asker, found))

    threads = [threading.Thread(target=ask, args=(who,)) for who in (ANN, HUGO, "user:stranger@example.com", ANN, HUGO)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert isinstance(door.get(ids, ANN), SearchResult)
