"""The leak sweep through HTTP and MCP, against the same oracle; and two hundred clients at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import pytest

from moat.client import AsyncClient, Bearer, Client
from moat.search.askers import Asker
from moat.settings import Settings
from tests.door_server import CHAT, door_at
from tests.issuer import Issuer
from tests.proofs.access.harness import place, retriever, settle
from tests.proofs.access.organisation import Organisation, organisation
from tests.proofs.access.sweep import Sweep, Tally

SEED = 4
ROUNDS = 2  # of five questions each, of every asker; --sweep asks for more checks
AT_ONCE = 8
CLIENTS, EACH = 200, 5
MCP = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def org() -> Organisation:
    return organisation(SEED)


@pytest.fixture(scope="module")
def settled(
    weaviate_server: Settings, org: Organisation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, list[str]]]:
    with place(weaviate_server, tmp_path_factory.mktemp("door")) as settings:
        yield settings, settle(settings, org)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def url(settled: tuple[Settings, list[str]], issuer: Issuer) -> Iterator[str]:
    given: dict[str, Any] = {"door_services": CHAT, "door_rate_per_minute": 1e6}
    settings = issuer.trusted(settled[0], **given)
    with door_at(settings, retriever(settings)) as url:
        yield url


def people(org: Organisation) -> list[int]:
    """Askers that are one person, the strange ones first."""
    return [n for n, one in enumerate(org.askers) if len(one) == 1 and one[0].startswith("user:")]


class ByToken(Client):
    """Asks as a person with a token of their own, or on behalf of them, in turns."""

    issuer: Issuer

    def _ask(self, asker: Asker, call: Any) -> Any:
        assert isinstance(asker, str)
        own = Random(f"{asker}{call.path}").random() < 0.5
        return super()._ask(Bearer(self.issuer.token(asker.removeprefix("user:"))) if own else asker, call)


def test_no_asker_sees_through_http_what_they_may_not_nor_misses_what_they_may(
    settled: tuple[Settings, list[str]],
    org: Organisation,
    issuer: Issuer,
    url: str,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wanted = request.config.getoption("--sweep") // 10
    askers = people(org)[: max(150, wanted // (5 * ROUNDS))]
    tally = Tally()
    ByToken.issuer = issuer
    with ByToken(url, issuer.token(CHAT.removeprefix("user:"), exp=2**31), 120) as client:
        sweep = Sweep(client, org, settled[1])  # type: ignore[arg-type]  # it has the retriever's face
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one in pool.map(lambda at: sweep.ask(at, range(ROUNDS)), askers):
                tally.add(one)
    with capfd.disabled():
        n = tally.checks.total()
        print(f"\nHTTP: {n:,} checks, {tally.decisions:,} decisions, {tally.shown:,} shown, {len(tally.leaks)} leaks")
    assert tally.checks.total() >= wanted
    assert tally.shown > tally.checks.total()
    assert tally.leaks[:5] == []
    assert tally.denials[:5] == []


def test_no_assistant_is_given_what_its_person_may_not_read(
    settled: tuple[Settings, list[str]],
    org: Organisation,
    issuer: Issuer,
    url: str,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    number = {identity: n for n, identity in enumerate(settled[1])}
    askers = people(org)[: max(60, request.config.getoption("--sweep") // 200)]

    def called(http: httpx.Client, token: str, tool: str, arguments: dict[str, Any]) -> set[int] | None:
        """Papers in the answer of a tool; None where the token gives nothing."""
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = http.post("/mcp", json=body, headers={**MCP, "authorization": f"Bearer {token}"})
        if answer.status_code == 401:
            assert answer.json()["code"] == "unknown_asker"
            return None
        result = answer.json()["result"]
        assert not result.get("isError"), result
        hits = result["structuredContent"]["hits"]
        shown = {number.get(hit["chunk_id"], -1) for hit in hits}
        for hit in hits:  # the text for the model has the same passages and no other
            assert json.dumps(hit["chunk_id"]) in result["content"][0]["text"]
        assert result["content"][0]["text"].count("chunk_id=") == len(hits)
        return shown

    def ask(at: int) -> tuple[int, int, list[str]]:
        who, wrong, shown = org.askers[at][0], list[str](), 0
        readable, known = org.readable((who,)), org.oracle.stands_for(who) is not None
        token, random = issuer.token(who.removeprefix("user:")), Random(f"mcp {at}")
        mine = random.sample(sorted(readable), min(3, len(readable)))
        others = random.sample(sorted(set(range(len(org.papers))) - readable), 5)
        with httpx.Client(base_url=url, timeout=120) as http:
            question = {"question": " ".join(random.sample(org.vocabulary, 2)), "limit": 10}
            found = called(http, token, "search", question)
            if (found is not None) is not known or (found or set()) - readable:
                wrong.append(f"search as {who}: {found}")
            shown += len(found or ())
            for n in (*mine, *others):
                paper = org.papers[n]
                got = called(http, token, "read_document", {"source": paper.source, "key": paper.key})
                of_it = {m for m, p in enumerate(org.papers) if (p.source, p.key) == (paper.source, paper.key)}
                if (got or set()) != (of_it & readable if known else set()):
                    wrong.append(f"{paper} as {who}: {got}")
                shown += len(got or ())
        return 1 + len(mine) + len(others), shown, wrong

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(ask, askers))
    checks, shown = sum(n for n, _, _ in told), sum(n for _, n, _ in told)
    with capfd.disabled():
        print(f"\nMCP: {checks:,} checks, {shown:,} passages shown, {sum(len(w) for _, _, w in told)} wrong")
    assert [one for _, _, wrong in told for one in wrong][:5] == []
    assert shown > len(askers)


def test_two_hundred_clients_at_once_get_right_answers_or_are_told_when_to_come_again(
    settled: tuple[Settings, list[str]], org: Organisation, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    askers = [org.askers[n][0] for n in people(org) if org.oracle.stands_for(*org.askers[n])][:CLIENTS]
    number = {identity: n for n, identity in enumerate(settled[1])}
    answered, wrong = Counter[str](), list[str]()

    async def one(url: str, who: str) -> None:
        readable, token = org.readable((who,)), issuer.token(who.removeprefix("user:"))
        async with AsyncClient(url, timeout_s=300) as client:
            for n in range(EACH):
                random = Random(f"{who} {n}")
                ids = [settled[1][m] for m in random.sample(range(len(org.papers)), 100)]
                got, counted = await client.get(ids, Bearer(token)), await client.count(Bearer(token))
                shown = {number[hit.chunk_id] for hit in got}
                if got.refused or shown != {number[i] for i in ids} & readable or counted.documents != len(readable):
                    wrong.append(f"{who}: {got.refused}, {counted}, {len(readable)}")
                answered["right"] += 2

    async def hammered(url: str, who: str) -> Counter[int]:
        headers = {"authorization": f"Bearer {issuer.token(who.removeprefix('user:'))}"}
        async with httpx.AsyncClient(base_url=url, timeout=300) as http:
            answers = await asyncio.gather(*(http.post("/v1/count", json={}, headers=headers) for _ in range(60)))
        for answer in answers:
            if answer.status_code != 200:
                assert answer.json()["code"] in ("too_many_requests", "busy"), answer.text
                assert int(answer.headers["retry-after"]) >= 1
        return Counter(answer.status_code for answer in answers)

    async def scene(url: str) -> Counter[int]:
        alone = asyncio.create_task(hammered(url, askers[0]))
        await asyncio.gather(*(one(url, who) for who in askers[1:]))
        return await alone

    settings = issuer.trusted(settled[0], door_rate_per_minute=120.0)
    assert len(set(askers)) == CLIENTS
    with door_at(settings, retriever(settings)) as url:
        statuses = asyncio.run(scene(url))
    with capfd.disabled():
        print(f"\n{CLIENTS} clients: {answered['right']:,} answers right; the one who hammered: {dict(statuses)}")
    assert wrong[:5] == []
    assert statuses[429] >= 30  # of sixty at once, twenty fit into the rate
