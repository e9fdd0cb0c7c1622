"""Every route of the pages: nobody without a login, each person what Airflow lets them, nothing by another site."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from moat.ledger import Ledger, audit, incidents, loads
from moat.ledger import quarantine as set_aside
from moat.ledger.members import replace_members
from moat.pages.app import STATIC
from moat.settings import PROJECT
from tests.pages.conftest import ODD, SCRIPT, Asks

Filled = tuple[Ledger, dict[str, int]]
TEXTS = ("/api/document/text", "/api/document/changes")  # for those who may read every text
BECAUSE = {"because": "the test says so"}


def routes(numbers: dict[str, int]) -> dict[tuple[str, str], tuple[str, Any]]:
    """Of each route, a request that succeeds for an admin: path and body."""
    held, promoted, incident = numbers["held"], numbers["promoted"], numbers["incident"]
    return {
        ("GET", "/static/{name}"): ("/static/moat.js", None),
        ("GET", "/api/me"): ("/api/me", None),
        ("GET", "/api/sources"): ("/api/sources", None),
        ("GET", "/api/loads/of-run"): ("/api/loads/of-run?dag=tickets&run=manual__1", None),
        ("GET", "/api/loads/{number}"): (f"/api/loads/{held}", None),
        ("GET", "/api/loads/{number}/documents"): (f"/api/loads/{promoted}/documents?kind=new", None),
        ("GET", "/api/documents"): ("/api/documents?words=leave", None),
        ("GET", "/api/document"): ("/api/document?source=docs&key=leave.md", None),
        ("GET", "/api/document/text"): ("/api/document/text?source=docs&key=leave.md", None),
        ("GET", "/api/document/changes"): ("/api/document/changes?source=docs&key=leave.md", None),
        ("GET", "/api/quarantine"): ("/api/quarantine", None),
        ("GET", "/api/incidents"): ("/api/incidents", None),
        ("GET", "/api/incidents/{number}"): (f"/api/incidents/{incident}", None),
        ("GET", "/api/access"): ("/api/access", None),
        ("GET", "/api/principal"): ("/api/principal?words=group:hr", None),
        ("POST", "/api/ask"): ("/api/ask", {"asker": "user:ann@example.com", "question": "leave?"}),
        ("POST", "/api/why"): ("/api/why", {"asker": "user:ann@example.com", "source": "docs", "key": "leave.md"}),
        ("POST", "/api/quarantine/replay"): ("/api/quarantine/replay", {"source": "tickets", "key": "1059"}),
        ("POST", "/api/incidents/{number}/{step}"): (f"/api/incidents/{incident}/acknowledge", BECAUSE),
        ("POST", "/api/loads/{number}/rollback"): (f"/api/loads/{promoted}/rollback", BECAUSE),
    }


def of_app(server: tuple[FastAPI, Any], asks: Asks) -> set[tuple[str, str]]:
    """The routes of the application that the first request has built."""
    asks("", "GET", "/api/me")
    built = server[0].routes[-1].app._app  # type: ignore[attr-defined]
    return {(method, one.path) for one in built.routes if isinstance(one, APIRoute) for method in one.methods}


def test_no_route_answers_without_a_login(filled: Filled, server: Any, asks: Asks) -> None:
    wanted = routes(filled[1])
    assert of_app(server, asks) == set(wanted), "a new route needs its request here"
    before = audit.head(filled[0])
    for (method, _), (path, body) in wanted.items():
        answer = asks("", method, path, body)
        assert (path, answer.status_code) == (path, 401)
        assert asks("", method, path, body, {"authorization": "Bearer x"}).status_code in (401, 403), path
    assert audit.head(filled[0]) == before, "nothing was done"


def test_a_viewer_reads_and_does_nothing_else(filled: Filled, asks: Asks) -> None:
    before = audit.head(filled[0])
    for (method, _), (path, body) in routes(filled[1]).items():
        allowed = method == "GET" and not path.startswith((*TEXTS, "/api/principal"))
        assert (path, asks("vera", method, path, body).status_code) == (path, 200 if allowed else 403)
    assert audit.head(filled[0]) == before, "nothing was done"


def test_no_text_without_the_permission_and_each_look_is_in_the_audit(filled: Filled, asks: Asks) -> None:
    ledger, numbers = filled
    passage = "Parental leave lasts twenty weeks."
    for who in ("vera", "olga"):
        for (method, _), (path, _) in routes(numbers).items():
            if method == "GET":
                assert passage not in asks(who, "GET", path).text, (who, path)
        for path in TEXTS:
            assert asks(who, "GET", f"{path}?source=docs&key=leave.md").status_code == 403
    assert not audit.tail(ledger, 50, "text shown")
    shown = asks("adam", "GET", "/api/document/text?source=docs&key=leave.md").json()
    assert [one["text"] for one in shown["parts"]] == [passage, "Call before nine."]
    (line,) = audit.tail(ledger, 50, "text shown")
    assert (line.actor, line.subject, line.detail["key"]) == ("airflow:adam", "document of docs", "leave.md")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/x-www-form-urlencoded"},
        {"x-moat-request": "1", "sec-fetch-site": "cross-site"},
        {"x-moat-request": "1", "sec-fetch-site": "same-site"},
    ],
)
def test_no_other_site_has_something_done(filled: Filled, asks: Asks, headers: dict[str, str]) -> None:
    before = audit.head(filled[0])
    for (method, _), (path, body) in routes(filled[1]).items():
        if method == "POST":
            assert asks("adam", method, path, body, headers).status_code == 403, path
    assert audit.head(filled[0]) == before


def test_what_is_not_there_and_what_may_not_be_seen_answer_alike(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    import moat_pages

    missing = asks("vera", "GET", "/api/loads/999")
    assert missing.status_code == 404
    real = moat_pages.may
    monkeypatch.setattr(moat_pages, "may", lambda user, right, of: of != "tickets" and real(user, right, of))
    found = {one["source"] for one in asks("vera", "GET", "/api/sources").json()["sources"]}
    assert found == {"docs"}
    held = asks("vera", "GET", "/api/loads/2")
    assert (held.status_code, held.json()) == (404, missing.json())
    assert asks("vera", "GET", "/api/quarantine").json()["documents"] == []
    assert asks("vera", "GET", "/api/incidents").json()["incidents"] == []
    assert asks("vera", "GET", "/api/loads/of-run?dag=tickets&run=manual__1").status_code == 404
    assert asks("adam", "POST", "/api/quarantine/replay", {"source": "tickets"}).status_code == 404


def test_actions_are_those_of_the_command_line_with_the_persons_name(filled: Filled, asks: Asks) -> None:
    ledger, numbers = filled
    assert asks("olga", "POST", "/api/quarantine/replay", {"source": "tickets", "key": "1059"}).json()["marked"] == [
        "1059"
    ]
    assert [q.state for q in set_aside.listing(ledger, "tickets")] == ["replay"]
    path = f"/api/incidents/{numbers['incident']}"
    assert asks("olga", "POST", f"{path}/acknowledge", {"because": "looking"}).json()["state"] == "acknowledged"
    assert asks("olga", "POST", f"{path}/resolve", {"because": "mended"}).json()["state"] == "resolved"
    assert incidents.get(ledger, numbers["incident"]).resolved_by == "airflow:olga"
    back = f"/api/loads/{numbers['promoted']}/rollback"
    assert asks("olga", "POST", back, {"because": ""}).status_code == 422, "a rollback needs its reason"
    assert asks("olga", "POST", back, {**BECAUSE, "more": 1}).status_code == 422
    assert asks("olga", "POST", back, {**BECAUSE, "hold": True}).json()["state"] == "rolled back"
    assert loads.get(ledger, numbers["promoted"]).decided_by == "airflow:olga"
    again = asks("olga", "POST", f"/api/loads/{numbers['held']}/rollback", BECAUSE)
    assert (again.status_code, "only a promoted load can be rolled back" in again.json()["detail"]) == (409, True)
    said = [(one.actor, one.action) for one in audit.tail(ledger, 50) if one.actor == "airflow:olga"]
    assert said == [("airflow:olga", what) for what in ("replay", "acknowledge", "resolve", "rollback")]


def test_why_is_told_to_those_who_may_ask_as_others(filled: Filled, asks: Asks) -> None:
    asked = {"asker": "user:ann@example.com", "source": "docs", "key": ODD}
    assert asks("olga", "POST", "/api/why", asked).status_code == 403
    told = asks("adam", "POST", "/api/why", asked).json()
    assert (told["readable"], told["layers"]) == (False, [{"any_of": ["group:hr"], "by": []}])
    line = audit.tail(filled[0], 1, "asked why")[0]
    assert (line.actor, line.subject) == ("airflow:adam", "user:ann@example.com")


def test_a_group_is_looked_at_by_those_who_may_ask_as_others_and_each_look_is_in_the_audit(
    filled: Filled, asks: Asks
) -> None:
    ledger = filled[0]
    staff = {"group:staff": ["user:ann@example.com", "group:hr"], "group:hr": ["user:hugo@example.com", "group:staff"]}
    replace_members(ledger, "okta", staff, "test")
    assert asks("olga", "GET", "/api/principal?words=group:staff").status_code == 403
    told = asks("adam", "GET", "/api/principal?words=Group:staff").json()
    assert told == {
        "name": "group:staff",
        "like": [],
        "members": [{"name": n, "directory": "okta"} for n in ("group:hr", "user:ann@example.com")],
        "n_members": 2,
        "groups": [{"name": "group:hr", "directory": "okta"}],
        "people": 2,
    }
    person = asks("adam", "GET", "/api/principal?words=user:hugo@example.com").json()
    assert ([one["name"] for one in person["groups"]], person["members"], person["people"]) == (["group:hr"], [], 0)
    assert asks("adam", "GET", "/api/principal?words=EXAMPLE").json()["like"] == ["user:ann@example.com", "user:hugo@example.com"]  # fmt: skip
    assert asks("adam", "GET", "/api/principal?words=%25%25").json() == {"name": "", "like": []}
    lines = audit.tail(ledger, 10, "group shown")
    assert [(one.actor, one.subject) for one in lines if one.subject == "Group:staff"] == [
        ("airflow:adam", "Group:staff")
    ]


def test_what_a_hold_is_about_is_for_those_who_decide(asks: Asks) -> None:
    for who, told in (("vera", False), ("olga", True)):
        (hold,) = asks(who, "GET", "/api/access").json()["holds"]
        assert (hold["reason"], bool(hold["report"])) == ("1 would be public", told), who


def test_who_is_no_approver_rolls_nothing_back(filled: Filled, asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_APPROVERS", "airflow:ann")
    answer = asks("adam", "POST", f"/api/loads/{filled[1]['promoted']}/rollback", BECAUSE)
    assert answer.status_code == 403
    assert "MOAT_APPROVERS" in answer.json()["detail"]
    assert audit.tail(filled[0], 1)[0].action == "decision refused"


def test_an_answer_is_json_that_no_browser_draws(filled: Filled, asks: Asks) -> None:
    """A script in a key, a title or a reason comes as a string of JSON; the front end gives it to React as text."""
    for path in (f"/api/document?source=docs&key={ODD}", "/api/quarantine", "/api/documents?words=onerror"):
        answer = asks("adam", "GET", path)
        assert answer.status_code == 200, answer.text
        assert SCRIPT in json.dumps(answer.json(), ensure_ascii=False).replace('\\"', '"')
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"


def test_the_front_end_makes_no_html_of_a_string() -> None:
    wrong = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerously|\beval\(|new Function|https?://(?!www\.w3\.org)\w"
    )
    for file in sorted(STATIC.iterdir()):
        assert wrong.findall(file.read_text("utf-8")) == [], file.name


def test_without_a_ledger_the_answer_says_where_to_look(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_LEDGER_URL", "sqlite:////nowhere/at/all.db")
    answer = asks("vera", "GET", "/api/sources")
    assert answer.status_code == 503
    assert "moat doctor" in answer.json()["detail"]
    assert "nowhere" not in answer.text


def test_files_are_sent_once_and_their_like_again_only_when_they_changed(asks: Asks) -> None:
    first = asks("vera", "GET", "/static/moat.js")
    assert first.headers["content-type"].startswith("text/javascript")
    again = asks("vera", "GET", "/static/moat.js", None, {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for wrong in ("../app.py", "app.py", "%2e%2e%2fapp.py", "nothing.js"):
        assert asks("vera", "GET", f"/static/{wrong}").status_code == 404


@pytest.mark.airflow
def test_importing_the_plugin_brings_nothing_with_it() -> None:
    """A task of Celery pays for every plugin: what the pages need waits for the first request."""
    code = (
        "import json, sys, airflow.plugins_manager; before = set(sys.modules); import moat_pages; "
        "print('NEW' + json.dumps(sorted(set(sys.modules) - before)))"
    )
    env = {**os.environ, "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT / 'include'}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.rpartition("NEW")[2]) == ["moat_pages"]
