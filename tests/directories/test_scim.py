"""Groups of a real SCIM 2.0 server over HTTP: scim2-server, with the faults that a service may have put before it."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pytest
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.utils import load_default_provider

from moat.connections import EnvironmentConnections
from moat.directories import scim
from moat.directories.directory import Scim
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import DirectoryUnavailable, FatalError
from tests.contracts.directory import ANN, BOB, Company, DirectoryContract

TOKEN = {"authorization": "Bearer secret"}
Answer = tuple[int, dict[str, str], str]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Service:
    """A SCIM service behind a token, as a test moves it."""

    def __init__(self) -> None:
        self.application: Any = None
        self.asked: list[str] = []
        # What is answered in place of the service, or made of its answer; None leaves it.
        self.instead: Callable[[str], Answer | None] = lambda path: None
        self.changed: Callable[[str, Any], Any] = lambda path, body: body
        self.reset()

    def reset(self) -> None:
        self.storage = InMemoryStorage()
        self.application = WSGIApplication(self.storage, load_default_provider())
        self.asked.clear()
        self.instead, self.changed = lambda path: None, lambda path, body: body

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        self.asked.append(path)
        if environ.get("HTTP_AUTHORIZATION") != "Bearer secret":
            start_response("401 Unauthorized", [("content-length", "0")])
            return [b""]
        if environ["REQUEST_METHOD"] == "GET" and (told := self.instead(path)):
            start_response(f"{told[0]} x", list(told[1].items()))
            return [told[2].encode()]
        kept: list[Any] = []
        parts = self.application(environ, lambda status, headers: kept.append((status, headers)))
        body = b"".join(parts)
        (status, headers), environ_get = kept[0], environ["REQUEST_METHOD"] == "GET"
        if environ_get and status.startswith("200"):
            body = json.dumps(self.changed(path, json.loads(body))).encode()
        start_response(status, [(n, v) for n, v in headers if n.lower() != "content-length"])
        return [body]


class Site:
    """The service with what a test puts into it over HTTP."""

    def __init__(self, service: Service, url: str) -> None:
        self.service, self.url = service, url
        self.http = httpx.Client(headers=TOKEN, trust_env=False, verify=False)
        self.ids: dict[str, str] = {}

    def post(self, kind: str, **body: Any) -> str:
        schema = f"urn:ietf:params:scim:schemas:core:2.0:{kind}"
        answer = self.http.post(f"{self.url}/{kind}s", json={"schemas": [schema], **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def person(self, name: str, *mail: str, **more: Any) -> str:
        return self.post("User", userName=name, emails=[{"value": m} for m in mail] or None, **more)

    def group(self, name: str, *members: tuple[str, str]) -> str:
        return self.post("Group", displayName=name, members=[{"type": t, "value": v} for t, v in members] or None)

    def put(self, groups: Any) -> None:
        self.service.reset()
        self.ids.clear()
        names = sorted({m[5:] for members in groups.values() for m in members if m.startswith("user:")})
        people = {name: self.person(name) for name in names}
        for name in groups:
            self.ids[name] = self.group(name)
        for name, members in groups.items():
            told = [
                {"type": "User", "value": people[m[5:]]}
                if m.startswith("user:")
                else {"type": "DirectoryGroup", "value": self.ids[m[6:]]}
                for m in members
            ]
            body = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": name,
                **({"members": told} if told else {}),
            }
            answer = self.http.put(f"{self.url}/Groups/{self.ids[name]}", json=body)
            assert answer.status_code == 200, answer.text
        self.service.asked.clear()

    def connections(self, **changed: Any) -> EnvironmentConnections:
        told = {"conn_type": "http", "host": self.url, "password": "secret", **changed}
        return EnvironmentConnections({"AIRFLOW_CONN_IDP": json.dumps(told)})

    def read(self, connections: EnvironmentConnections | None = None, **changed: Any) -> list[DirectoryGroup]:
        reader = Scim(**{"conn_id": "idp", **changed})
        return list(reader.read(DirectoryReading("hr", connections or self.connections(), Path(), print)))


@pytest.fixture(scope="module")
def scim_server() -> Iterator[Site]:
    service = Service()
    with make_server("127.0.0.1", 0, service, WSGIServer, Quiet) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        site = Site(service, f"http://127.0.0.1:{http.server_port}/v2")
        yield site
        site.http.close()
        http.shutdown()
        thread.join()


@pytest.fixture
def site(scim_server: Site) -> Site:
    scim_server.service.reset()
    return scim_server


class TestScim(DirectoryContract):
    @pytest.fixture
    def people(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Company:
        monkeypatch.setattr(scim, "PAGE", 5)

        def cut() -> None:
            site.service.changed = lambda path, body: (
                {**body, "Resources": []} if "Groups?startIndex=6" in path else body
            )

        return Company(
            reader=Scim(conn_id="idp"),
            connections=site.connections(),
            project=Path(),
            put=site.put,
            break_listing=cut,
            ids=site.ids,
        )


def test_it_pages_and_half_a_listing_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim, "PAGE", 5)
    site.put({f"g{i}": [ANN] for i in range(12)})
    assert len(site.read()) == 12
    assert [p.partition("startIndex=")[2] for p in site.service.asked if "Groups?" in p] == [
        "1&count=5",
        "6&count=5",
        "11&count=5",
    ]
    site.service.changed = lambda path, body: {**body, "totalResults": 13} if "Groups?" in path else body
    with pytest.raises(DirectoryUnavailable, match="says it has 13 and gave 12; half a listing is none"):
        site.read()


def test_what_moves_while_it_is_read_is_read_again_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim, "PAGE", 5)
    site.put({f"g{i}": [ANN] for i in range(12)})
    given: list[str] = []

    def moved(path: str, body: Any) -> Any:
        if "Groups?startIndex=6" in path:
            return {**body, "Resources": [{"id": given[0]}, *body["Resources"][1:]]}
        given.extend(r["id"] for r in body.get("Resources", []) if "Groups?" in path)
        return body

    site.service.changed = moved
    with pytest.raises(DirectoryUnavailable, match=r"gave \S+ twice") as told:
        site.read()
    assert given[0] in str(told.value)


def test_a_page_shorter_than_asked_for_is_no_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put({f"g{i}": [ANN] for i in range(12)})

    def capped(path: str, body: Any) -> Any:
        return {**body, "Resources": body["Resources"][:3]} if "Groups?" in path else body

    site.service.changed = capped
    assert len(site.read()) == 12


def test_who_is_inactive_is_in_no_group(site: Site) -> None:
    site.group(
        "staff", ("User", site.person("ann@example.com")), ("User", site.person("bob@example.com", active=False))
    )
    assert [(g.members, g.left_out) for g in site.read()] == [((ANN,), ())]


def test_a_name_that_was_given_up_by_somebody_inactive_may_be_anothers(site: Site) -> None:
    site.person("old", "ann@example.com", active=False)
    site.group("staff", ("User", site.person("new", "ann@example.com")))
    assert [g.members for g in site.read(user="emails")] == [(ANN,)]


def test_people_may_go_by_all_of_their_addresses(site: Site) -> None:
    site.group("staff", ("User", site.person("x1", "ann@example.com", "a.lee@example.com")))
    assert [g.members for g in site.read(user="emails")] == [(ANN, "user:a.lee@example.com")]


def test_two_people_of_one_address_refuse_the_reading_and_are_named(site: Site) -> None:
    one, other = site.person("x1", "ann@example.com"), site.person("x2", "Ann@Example.com")
    with pytest.raises(FatalError) as error:
        site.read(user="emails")
    for word in (one, other, ANN):
        assert word in str(error.value)


def test_a_member_without_a_type_is_found_by_its_address_or_its_id(site: Site) -> None:
    ann, bob = site.person("ann@example.com"), site.person("bob@example.com")
    inner = site.group("inner", ("User", bob))
    outer = site.group("outer", ("User", ann), ("User", bob), ("Group", inner))

    def bare(path: str, body: Any) -> Any:
        for group in body.get("Resources", ()):
            if group["id"] == outer:
                group["members"] = [
                    {"value": ann, "$ref": f"https://x/v2/Users/{ann}"},
                    {"value": bob},
                    {"value": inner, "$ref": f"Groups/{inner}"},
                    {"value": "nobody"},
                ]
        return body

    site.service.changed = bare
    found = {g.id: g for g in site.read()}[outer]
    assert found.members == (ANN, BOB, f"group:{inner}")
    assert found.left_out == ("member nobody",)


def test_a_listing_that_leaves_members_out_is_no_sign_of_an_empty_group(site: Site) -> None:
    site.group("staff", ("User", site.person("ann@example.com")))

    def short(path: str, body: Any) -> Any:
        for group in body.get("Resources", ()):
            group.pop("members", None)
        return body

    site.service.changed = short
    assert [g.members for g in site.read()] == [(ANN,)]


def failing(times: int, status: int, **headers: str) -> Callable[[str], Answer | None]:
    told = iter([(status, headers, "slow down")] * times)
    return lambda path: next(told, None)


@pytest.mark.parametrize(
    "after",
    ["0", "soon", "", format_datetime(datetime.now(UTC) + timedelta(seconds=1))],
    ids=["seconds", "word", "nothing", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_to_come_again_is_asked_again(
    status: int, after: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("moat.retry_after.time.sleep", waited.append)
    site.put({"staff": [ANN]})
    site.service.instead = failing(2, status, **({"retry-after": after} if after else {}))
    assert [g.members for g in site.read()] == [(ANN,)]
    assert waited == [0.0, 0.0] if after in ("0",) or "," in after else waited == [1.0, 2.0]


def test_a_service_that_never_has_time_may_have_it_later(site: Site) -> None:
    site.service.instead = failing(99, 503, **{"retry-after": "0"})
    with pytest.raises(DirectoryUnavailable, match="answered 503, 4 times"):
        site.read()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {}, ""), "token in the connection's password"),
        ((404, {}, "no such path"), "/Users answered 404"),
        ((302, {"location": "/login"}, ""), "answered 302"),
        ((200, {"content-type": "text/html"}, "<html>Sign in</html>"), "is the path of the service in the host right"),
        ((200, {}, '{"hello": 1}'), "is no SCIM list"),
        ((200, {}, '{"totalResults": 1, "Resources": [{"userName": "x"}]}'), "a resource without an id"),
    ],
)
def test_an_answer_that_is_none_says_what_a_person_must_do(answer: Answer, words: str, site: Site) -> None:
    site.service.instead = lambda path: answer
    with pytest.raises(FatalError, match="directory hr: connection idp") as error:
        site.read()
    assert words in str(error.value)


def test_a_wrong_token_needs_a_person(site: Site) -> None:
    with pytest.raises(FatalError, match="answered 401: check the token"):
        site.read(site.connections(password="other"))


def test_a_service_that_is_not_there_may_come_back(site: Site) -> None:
    with pytest.raises(DirectoryUnavailable, match="directory hr: connection idp: /Users did not answer"):
        site.read(site.connections(host="http://127.0.0.1:1/v2"))


def test_a_connection_without_a_host_says_what_belongs_there(site: Site) -> None:
    with pytest.raises(FatalError, match="has no host: write https"):
        site.read(site.connections(host=""))
