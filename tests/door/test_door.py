"""The door, asked over real HTTP: what it answers is what the library answers, and a refusal tells nothing."""

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from moat.client import AsyncClient, Client
from moat.door.limits import BURST_S, Rates, Turns
from moat.door.problems import KINDS
from moat.door.serve import url_of
from moat.errors import AskedWrongly, DoorRefused, FatalError, SettingsError
from moat.filters import Range
from moat.ledger import feedback
from moat.ledger.tables import audit
from moat.retrieve import Retriever
from moat.search.askers import Bearer
from moat.search.refusals import CODES
from moat.settings import Settings
from tests.company import ANN, HUGO, Company
from tests.door_server import CHAT, OPERATOR
from tests.issuer import Issuer

ASKED = "What does the crane of the harbour cost?"
RESOURCE = "/.well-known/oauth-protected-resource"


def bearer(issuer: Issuer, who: str, **changed: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {issuer.token(who.removeprefix('user:'), **changed)}"}


@pytest.fixture
def ann(issuer: Issuer) -> dict[str, str]:
    return bearer(issuer, ANN)


@pytest.fixture
def hugo(issuer: Issuer) -> dict[str, str]:
    return bearer(issuer, HUGO)


def last_audit(company: Company, **wanted: str) -> dict[str, Any]:
    """The newest entry of the audit whose detail has these words."""
    with company.runtime.ledger.read() as connection:
        for row in connection.execute(
            select(audit.c.actor, audit.c.action, audit.c.detail).order_by(audit.c.id.desc())
        ):
            if all(row.detail.get(name) == value for name, value in wanted.items()):
                return {"actor": row.actor, "action": row.action, **row.detail}
    raise AssertionError(f"no entry has {wanted}")


def test_it_answers_as_the_library_does(
    company: Company, http: httpx.Client, ann: dict[str, str], hugo: dict[str, str]
) -> None:
    with Retriever.from_settings(company.runtime.settings, company.runtime.connections) as library:
        for headers, who in ((ann, ANN), (hugo, HUGO)):
            for body in (
                {"limit": 30},
                {"limit": 30, "group_by": "document"},
                {"mode": "keyword", "filters": {"source": "docs"}},
            ):
                answer = http.post("/v1/search", json={"question": ASKED, **body}, headers=headers)
                wanted = library.search(ASKED, who, **body)  # type: ignore[arg-type]
                assert answer.status_code == 200, answer.text
                assert [hit["chunk_id"] for hit in answer.json()["hits"]] == [hit.chunk_id for hit in wanted] != []
                assert answer.json()["hits"][0]["link"] == wanted[0].link
            counted, by_source = library.count(who), library.aggregate(who, "source")
            told = http.post("/v1/count", json={}, headers=headers).json()
            assert (told["documents"], told["chunks"]) == (counted.documents, counted.chunks)
            shares = http.post("/v1/aggregate", json={"by": "source"}, headers=headers).json()["shares"]
            assert {n: s["documents"] for n, s in shares.items()} == {n: s.documents for n, s in by_source.items()}


def test_pages_go_on_by_the_cursor_for_its_asker_alone(
    http: httpx.Client, ann: dict[str, str], hugo: dict[str, str]
) -> None:
    body: dict[str, Any] = {"question": ASKED, "limit": 4}
    first = http.post("/v1/page", json=body, headers=ann).json()
    second = http.post("/v1/page", json={**body, "cursor": first["cursor"]}, headers=ann).json()
    seen = [hit["chunk_id"] for page in (first, second) for hit in page["hits"]]
    assert len(set(seen)) == 8
    other = http.post("/v1/page", json={**body, "cursor": first["cursor"]}, headers=hugo)
    assert (other.status_code, other.json()["code"]) == (400, "cursor_refused")


def test_a_document_is_read_in_its_order_and_one_of_others_is_as_one_that_is_not(
    http: httpx.Client, ann: dict[str, str], hugo: dict[str, str]
) -> None:
    def read(headers: dict[str, str], key: str, **more: int) -> httpx.Response:
        return http.post("/v1/read", json={"source": "docs", "key": key, **more}, headers=headers)

    whole = read(hugo, "people/00.md").json()["hits"]
    assert len(whole) == 2
    assert [hit["heading_path"][-1] for hit in whole] == ["Crane 100", "Fees"]
    assert read(hugo, "people/00.md", first=1).json()["hits"] == whole[1:]
    assert read(hugo, "people/00.md", limit=1).json()["hits"] == whole[:1]
    denied, missing = read(ann, "people/00.md"), read(ann, "people/99.md")
    assert denied.status_code == missing.status_code == 200
    assert denied.json() == missing.json() == {"hits": [], "cursor": None, "changed": False}
    ids = [hit["chunk_id"] for hit in whole]
    assert http.post("/v1/get", json={"chunk_ids": ids}, headers=ann).json()["hits"] == []
    assert [
        hit["chunk_id"] for hit in http.post("/v1/get", json={"chunk_ids": ids}, headers=hugo).json()["hits"]
    ] == ids


def test_what_others_may_read_is_refused_in_the_words_of_what_is_not_there(
    http: httpx.Client, ann: dict[str, str]
) -> None:
    told = []
    for name in ("payroll", "nowhere"):
        answer = http.post("/v1/count", json={"filters": {"source": name}}, headers=ann)
        told.append((answer.status_code, answer.json()["detail"].replace(name, "it"), answer.json()["code"]))
    assert told[0] == told[1]
    assert told[0][::2] == (422, "asked_wrongly")


HOSTILE: dict[str, Callable[[Issuer], str]] = {
    "no signature": lambda i: i.by_hand(ANN, {"alg": "none"}),
    "signed by a shared secret": lambda i: i.by_hand(ANN, {"alg": "HS256", "kid": "rsa-1"}, b"x" * 32),
    "another issuer": lambda i: i.token("ann@example.com", iss="https://evil.example.com"),
    "another audience": lambda i: i.token("ann@example.com", aud="payroll"),
    "expired": lambda i: i.token("ann@example.com", exp=int(time.time()) - 60),
    "no expiry": lambda i: i.token("ann@example.com", exp=None),
    "an email that is not verified": lambda i: i.token("ann@example.com", email_verified=False),
    "not yet": lambda i: i.token("ann@example.com", nbf=int(time.time()) + 600),
    "changed": lambda i: i.token("ann@example.com")[:-8] + "AAAAAAAA",
    "a key of somebody else's": lambda i: i.token("ann@example.com", key=_other_key()),
    "a kid that is a path": lambda i: i.by_hand(ANN, {"alg": "RS256", "kid": "../../dev/null"}, b"x"),
    "a key of its own": lambda i: i.by_hand(ANN, {"alg": "RS256", "kid": "x", "jku": "https://evil.example.com"}, b"x"),
    "no token": lambda i: "what is this",
    "very long": lambda i: "e" * 20_000,
    "nobody whom anything knows": lambda i: i.token("stranger@example.com"),
}


def _other_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_token_that_does_not_hold_gives_nothing_and_says_how_to_sign_in(
    kind: str, http: httpx.Client, issuer: Issuer, url: str
) -> None:
    token = HOSTILE[kind](issuer)
    for path, body in (
        ("/v1/search", {"question": ASKED}),
        ("/v1/count", {}),
        ("/v1/read", {"source": "docs", "key": "cranes/00 a.md"}),
    ):
        answer = http.post(path, json=body, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert (
            answer.headers["www-authenticate"] == f'Bearer resource_metadata="{url}{RESOURCE}", error="invalid_token"'
        )
        assert "crane" not in answer.text.lower()
        assert token[:24] not in answer.text
        assert answer.json()["code"] in ("token_refused", "unknown_asker")


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}, {"authorization": ""}]
)
def test_nobody_gets_nothing(http: httpx.Client, url: str, headers: dict[str, str]) -> None:
    answer = http.post("/v1/search", json={"question": ASKED}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{url}{RESOURCE}"'
    told = http.get(RESOURCE).json()
    assert (told["resource"], told["authorization_servers"]) == (url, ["https://login.example.com"])
    assert http.get(f"{RESOURCE}/mcp").json()["resource"] == f"{url}/mcp"


def test_only_a_service_of_the_settings_asks_on_behalf_of_a_person(
    company: Company, http: httpx.Client, issuer: Issuer, hugo: dict[str, str], ann: dict[str, str]
) -> None:
    def found(headers: dict[str, str], person: str) -> httpx.Response:
        return http.post("/v1/count", json={}, headers={**headers, "moat-on-behalf-of": person})

    chat = bearer(issuer, CHAT)
    assert found(chat, HUGO).json() == http.post("/v1/count", json={}, headers=hugo).json()
    assert found(chat, ANN).json() == http.post("/v1/count", json={}, headers=ann).json()
    assert (found(ann, HUGO).status_code, found(ann, HUGO).json()["code"]) == (403, "not_on_behalf")
    for odd in ("group:people", "user:", "hugo@example.com", "user:a%0Ab", "user:a%00"):
        assert found(chat, odd).status_code == 422
    assert found(chat, HUGO.replace("@", "%40")).json() == http.post("/v1/count", json={}, headers=hugo).json()
    forged = bearer(issuer, CHAT, aud="another")
    assert found(forged, HUGO).status_code == 401
    stranger = http.post(
        "/v1/count",
        json={},
        headers={**chat, "moat-on-behalf-of": "user:stranger@example.com", "x-request-id": "behalf-1"},
    )
    assert (stranger.status_code, stranger.json()["code"]) == (401, "unknown_asker")
    entry = last_audit(company, request="behalf-1")
    assert (entry["actor"], entry["by"]) == ("user:stranger@example.com", CHAT)


def test_the_audit_and_the_log_have_the_requests_id_and_neither_question_nor_token(
    company: Company, http: httpx.Client, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token("ann@example.com", aud="another")
    with caplog.at_level(logging.INFO, "moat"):
        answer = http.post(
            "/v1/search",
            json={"question": "zebra crossing"},
            headers={"authorization": f"Bearer {token}", "x-request-id": "my-request.1"},
        )
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-request.1"
    entry = last_audit(company, request="my-request.1")
    assert (entry["action"], entry["error"]) == ("query denied", "TokenRefused")
    assert "my-request.1" in caplog.text
    for secret in ("zebra", token, token.rpartition(".")[2]):
        assert secret not in caplog.text
        assert secret not in str(entry)
    for odd in ("x" * 65, "a b", "ä"):
        given = http.post("/v1/count", json={}, headers=[(b"x-request-id", odd.encode("latin-1"))])
        assert given.headers["x-request-id"] != odd
        assert len(given.headers["x-request-id"]) == 32


def test_operators_alone_are_told_why(
    company: Company,
    http: httpx.Client,
    issuer: Issuer,
    ann: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def why(headers: dict[str, str], key: str) -> httpx.Response:
        return http.post("/v1/explain", json={"source": "docs", "key": key, "asker": ANN}, headers=headers)

    root = bearer(issuer, OPERATOR)
    told = why({**root, "x-request-id": "why-1"}, "people/00.md").json()
    assert (told["readable"], told["asker"]) == (False, ANN)
    assert "in none of group:people" in told["reason"]
    assert why(root, "cranes/00 a.md").json()["readable"] is True
    assert why(root, "never.md").status_code == 404
    entry = last_audit(company, request="why-1")
    assert (entry["actor"], entry["action"], entry["of"]) == (OPERATOR, "access explained", ANN)
    answers = [why(ann, key) for key in ("people/00.md", "never.md")]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "not_allowed")] * 2
    assert why(bearer(issuer, OPERATOR, aud="other"), "people/00.md").json()["code"] == "token_refused"
    assert why({}, "people/00.md").json()["code"] == "token_missing"
    chat = {**bearer(issuer, CHAT), "moat-on-behalf-of": OPERATOR}
    assert why(chat, "people/00.md").status_code == 403

    def broken(*_: object) -> None:
        raise FatalError("a setting is wrong")

    monkeypatch.setattr("moat.door.desk.why", broken)
    assert (why(root, "people/00.md").status_code, why(root, "people/00.md").json()["code"]) == (500, "failed")


def test_an_asker_has_a_rate_and_is_told_when_to_come_again(
    company: Company, opened: Callable[..., str], issuer: Issuer, ann: dict[str, str], hugo: dict[str, str]
) -> None:
    with httpx.Client(base_url=opened(door_rate_per_minute=12.0), timeout=60) as http:
        answers = [http.post("/v1/count", json={}, headers=ann) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 429, 429]
        assert answers[-1].json()["code"] == "too_many_requests"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 5
        assert http.post("/v1/count", json={}, headers=hugo).status_code == 200  # another's is their own
        forged = {**bearer(issuer, ANN, aud="other"), "x-request-id": "forged-often"}
        answers = [http.post("/v1/count", json={}, headers=forged) for _ in range(5)]
        assert {(a.status_code, a.json()["code"]) for a in answers} == {(401, "token_refused")}
    with company.runtime.ledger.read() as connection:
        details = connection.scalars(select(audit.c.detail))
        assert sum(one.get("request") == "forged-often" for one in details) == 2  # the audit is not filled


def test_a_bucket_fills_with_time() -> None:
    now = [0.0]
    rates = Rates(60.0, lambda: now[0])
    for _ in range(int(BURST_S)):
        rates.take("a")
    with pytest.raises(DoorRefused) as full:
        rates.take("a")
    assert full.value.retry_s == 1
    rates.take("b")
    now[0] = 1.0
    rates.take("a")
    with pytest.raises(DoorRefused):
        rates.take("a")


def test_turns_are_bounded_and_one_that_nobody_waits_for_still_holds_its_place() -> None:
    async def scene() -> None:
        turns, gate, begun = Turns(1), asyncio.Event(), []

        async def work() -> str:
            begun.append(1)
            await gate.wait()
            return "done"

        with pytest.raises(DoorRefused, match="timeout"):
            await turns.run(work, 0.05)
        waiting = [asyncio.create_task(turns.run(work, 60)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(DoorRefused, match="busy"):
            await turns.run(work, 60)
        assert len(begun) == 1  # the one that timed out has the only turn
        gate.set()
        assert await asyncio.gather(*waiting) == ["done"] * 4
        assert await turns.run(work, 60) == "done"

    asyncio.run(scene())


def test_a_request_names_the_seconds_that_it_waits(http: httpx.Client, ann: dict[str, str]) -> None:
    answer = http.post("/v1/count", json={}, headers={**ann, "prefer": "respond-async, wait=30"})
    assert answer.status_code == 200


def test_what_is_malformed_is_a_problem_with_a_place(http: httpx.Client, ann: dict[str, str]) -> None:
    for body, words in (
        ({}, "question"),
        ({"question": "x", "limit": 0}, "limit"),
        ({"question": "x", "limit": True}, "limit"),
        ({"question": "x", "who": "user:hugo"}, "who"),
        ({"question": "x", "mode": "magic"}, "mode"),
        ({"question": "x", "filters": {"modified": "2026"}}, "modified"),
        ({"question": "x", "filters": {"modified": {"at_least": "soon"}}}, "a day such as"),
        ({"question": " "}, "empty"),
    ):
        answer = http.post("/v1/search", json=body, headers=ann)
        assert (answer.status_code, answer.json()["code"]) == (422, "asked_wrongly"), body
        assert words in answer.json()["detail"]
    large = http.post("/v1/search", content=b"x" * (600 << 10), headers=ann)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert http.post("/v1/search", content=b"{", headers={**ann, "content-type": "application/json"}).status_code == 422
    for raw in (b"{", b"\xff*M\x1b_", b"[1]", b'{"question": "\xff"}'):
        odd = http.post("/v1/search", content=raw, headers={**ann, "content-type": "application/json"})
        assert (odd.status_code, odd.json()["code"]) == (422, "asked_wrongly")
    assert http.get("/nowhere").json()["code"] == "no_such_address"
    assert http.get("/v1/search").json()["code"] == "method_not_allowed"


def test_pages_of_elsewhere_and_other_names_are_refused(http: httpx.Client, ann: dict[str, str]) -> None:
    for headers, status, code in (
        ({"host": "evil.example.com"}, 421, "wrong_host"),
        ({"origin": "https://evil.example.com"}, 403, "wrong_origin"),
        ({"origin": "null"}, 403, "wrong_origin"),
    ):
        answer = http.post("/v1/count", json={}, headers={**ann, **headers})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert http.get("/health", headers={"host": "10.0.0.7:8767"}).status_code == 200
    assert http.post("/v1/count", json={}, headers={**ann, "origin": str(http.base_url).rstrip("/")}).status_code == 200


def test_it_tells_its_health_and_its_numbers_and_no_name(http: httpx.Client, ann: dict[str, str]) -> None:
    assert http.get("/health").json() == {"status": "ok", "development": False}
    assert http.get("/ready").json() == {"ready": True, "ledger": True, "weaviate": True, "embedder": True}
    assert http.get("/metrics").status_code == 401
    http.post("/v1/count", json={}, headers=ann)
    text = http.get("/metrics", headers={"authorization": "Bearer scrape"}).text
    assert 'moat_door_requests_total{code="",route="/v1/count",status="200"}' in text
    assert 'code="token_missing"' in text
    assert "docs" not in text
    assert "example.com" not in text


def test_development_asks_as_a_person_and_tokens_still_count(
    opened: Callable[..., str], ann: dict[str, str], hugo: dict[str, str], issuer: Issuer
) -> None:
    with httpx.Client(base_url=opened(HUGO), timeout=60) as http:
        assert http.get("/health").json()["development"] is True
        whole = http.post("/v1/count", json={}).json()
        assert whole == http.post("/v1/count", json={}, headers=hugo).json()
        assert whole != http.post("/v1/count", json={}, headers=ann).json()
        assert http.post("/v1/count", json={}, headers=bearer(issuer, ANN, aud="other")).status_code == 401


@pytest.mark.parametrize(
    ("changed", "person", "words"),
    [
        ({"door_host": "0.0.0.0"}, "", "MOAT_DOOR_URL"),
        ({"door_host": "0.0.0.0", "door_url": "http://moat.example.com"}, "", "in the clear"),
        ({"door_host": "0.0.0.0", "door_url": "https://moat.example.com"}, ANN, "--as"),
        ({"door_url": "https://moat.example.com"}, ANN, "--as"),
        ({"door_tls_cert": "/nowhere.pem"}, "", "two files"),
        ({"door_url": "moat.example.com"}, "", "an address such as"),
    ],
)
def test_a_door_that_would_be_open_to_others_does_not_open(
    settings: Settings, changed: dict[str, str], person: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        url_of(settings.model_copy(update=changed), person)


def test_a_door_behind_a_proxy_has_the_proxys_address(settings: Settings) -> None:
    proxied = {"door_host": "0.0.0.0", "door_url": "https://moat.example.com/"}
    assert url_of(settings.model_copy(update=proxied)) == "https://moat.example.com"
    assert url_of(settings, ANN) == "http://127.0.0.1:8767"


def test_every_code_of_a_refusal_is_a_kind_of_problem() -> None:
    assert set(CODES) <= set(KINDS)


def test_the_openapi_document_describes_every_route_in_sentences(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for one in methods.values():
            assert one["description"].endswith("."), path
            if path.startswith("/v1/"):
                assert one["security"] == [{"bearer": []}]
                assert {"401", "422", "429", "503"} <= set(one["responses"])
    assert {"/v1/search", "/v1/page", "/v1/get", "/v1/read", "/v1/count", "/v1/aggregate", "/v1/explain"} <= set(
        document["paths"]
    )


def test_the_client_gives_what_the_library_gives(
    company: Company, opened: Callable[..., str], url: str, issuer: Issuer
) -> None:
    def asked(r: Any, who: Any) -> list[Any]:
        page = r.page(ASKED, who, 4)
        following = r.page(ASKED, who, 4, cursor=page.cursor)
        assert page.cursor
        return [
            r.search(ASKED, who, 5, "keyword", {"source": "docs", "modified": Range(above=date(2026, 1, 1))}),
            r.search(ASKED, who, 30, group_by="document"),
            page,
            following,
            r.get([page[0].chunk_id, "nothing"], who),
            r.read("docs", page[0].document_key, who),
            r.count(who),
            r.aggregate(who, "source"),
        ]

    with Retriever.from_settings(company.runtime.settings, company.runtime.connections) as library:
        wanted = asked(library, HUGO)
    tokens = {"chat": issuer.token("chat@example.com"), "hugo": issuer.token("hugo@example.com")}
    with Client(url, tokens["chat"], 60) as client:
        assert asked(client, HUGO) == wanted
        assert asked(client, Bearer(tokens["hugo"])) == wanted
        with pytest.raises(AskedWrongly, match="can read nothing of such a source"):
            client.count(ANN, {"source": "payroll"})
        refused = client.search(ASKED, Bearer(issuer.token("hugo@example.com", aud="other")))
        assert (list(refused), refused.code) == ([], "token_refused")
    with Client(opened(HUGO), timeout_s=60) as developing:
        assert asked(developing, HUGO) == wanted
        assert developing.count(ANN).code == "not_on_behalf"

    async def scene() -> Any:
        async with AsyncClient(url, lambda: tokens["chat"], 60) as client:
            return await client.search(ASKED, HUGO, 30, group_by="document"), await client.count(HUGO)

    assert asyncio.run(scene()) == (wanted[1], wanted[6])


def test_an_asker_says_something_of_a_passage_that_they_may_read(
    company: Company, http: httpx.Client, ann: dict[str, str], hugo: dict[str, str]
) -> None:
    def say(headers: dict[str, str], chunk_id: str, **more: str) -> httpx.Response:
        return http.post("/v1/feedback", json={"chunk_id": chunk_id, "verdict": "down", **more}, headers=headers)

    (pay, *_) = http.post("/v1/read", json={"source": "docs", "key": "people/00.md"}, headers=hugo).json()["hits"]
    assert say(hugo, pay["chunk_id"].upper(), why="it is old").json() == {"kept": True}
    denied, missing = say(ann, pay["chunk_id"]), say(ann, "00000000-0000-5000-8000-000000000001")
    assert denied.status_code == missing.status_code == 404
    assert {**denied.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    assert say({}, pay["chunk_id"]).status_code == 401
    (kept,) = feedback.listing(company.runtime.ledger)
    assert (kept.source, kept.key, kept.chunk_id) == ("docs", "people/00.md", pay["chunk_id"])
    assert (kept.asker, kept.verdict, kept.why) == (HUGO, "down", "it is old")


def test_the_page_runs_its_own_script_alone_and_makes_no_markup_of_what_it_is_given(http: httpx.Client) -> None:
    answer = http.get("/")
    policy, html = answer.headers["content-security-policy"], answer.text
    script, style = (re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL) for tag in ("script", "style"))
    for tag, (text,) in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(| on\w+=|style=", html)
    assert answer.headers["x-frame-options"] == "DENY"
