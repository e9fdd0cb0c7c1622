"""The pages as a person sees them: a real Airflow, a real Chromium, light and dark; what a click does is in the ledger.

`PICTURES=folder` keeps a picture of each page.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from moat.ledger import Ledger, audit, incidents, loads, quarantine
from moat.ledger.members import replace_members
from moat.local.servers import free_ports
from moat.settings import PROJECT
from tests.fresh_ledger import migrated
from tests.ledger.test_counting import ALL, HR, loaded, paper
from tests.pages.conftest import ODD, SCRIPT, fill
from tests.proofs.pages.browser import Page, browser, tab

WAIT_S = 600.0
RTL, CJK = "ملفات/سياسة الإجازات.md", "規程/育児休暇.md"
EARLIER = ("Parental leave lasts [redacted: DATE_TIME] and ends in May.", "本文")
LATER = ("Parental leave lasts [redacted: DATE_TIME] and ends in June.", "本文", "New: ask Ann.")
LONG = f"long/{'a-very-long-name-' * 20}.md"
PEOPLE = {"adam": "admin", "olga": "op", "vera": "viewer"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Airflow's API server with the pages, a filled ledger, and a browser."""
    folder = tmp_path_factory.mktemp("airflow")
    home, passwords = folder / "moat", folder / "passwords.json"
    home.mkdir(mode=0o700)
    passwords.write_text(json.dumps({name: f"secret-{name}" for name in PEOPLE}))
    ledger = migrated(f"sqlite:///{home / 'ledger.db'}", "default")
    numbers = fill(ledger)
    replace_members(ledger, "okta", {"group:hr": ["user:ann@example.com", "user:hugo@example.com"]}, "test")
    loaded(ledger, "names", paper(CJK, ALL, *EARLIER, of="names"))
    loaded(
        ledger,
        "names",
        paper(RTL, ALL, "نص", of="names"),
        paper(CJK, ALL, *LATER, of="names"),
        paper(LONG, HR, "x", of="names"),
    )
    loaded(ledger, "big", paper("big.md", ALL, *(f"passage {n}" for n in range(5_000)), of="big"))
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__API__SECRET_KEY": "y" * 64,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in PEOPLE.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'include'}:{PROJECT / 'plugins'}",
        "MOAT_HOME": str(home),
    }
    made = "from airflow.utils.db import initdb; initdb()"
    subprocess.run([sys.executable, "-c", made], env=env, cwd=folder, check=True, capture_output=True)
    with browser() as driven_by, (folder / "api.log").open("w") as log:
        serving = [sys.executable, "-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(
            [*serving, "--workers", "1"],
            env=env,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + WAIT_S
            while not _answers(f"{url}/api/v2/version"):
                assert server.poll() is None, (folder / "api.log").read_text()[-3_000:]
                assert time.monotonic() < until, "the API server does not answer"
                time.sleep(0.5)
            tokens = {
                name: httpx.post(
                    f"{url}/auth/token",
                    json={"username": name, "password": f"secret-{name}"},
                    trust_env=False,
                    timeout=60,
                ).json()["access_token"]
                for name in PEOPLE
            }
            yield {"ledger": ledger, "numbers": numbers, "url": url, "tokens": tokens, "browser": driven_by}
        finally:
            if server.poll() is None:
                os.killpg(server.pid, 15)
            server.wait(60)
            ledger.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=30).is_success
    except httpx.TransportError:
        return False


def at(seen: dict[str, Any], view: str, **given: Any) -> str:
    return f"{seen['url']}/plugin/moat?{urlencode({'view': view, **given})}"


def kept(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        page.picture(Path(folder) / f"{name}.png")


def unharmed(page: Page) -> None:
    """No error, and no script of a document has run or become a part of the page."""
    assert page.errors == []
    assert page.value("document.title") != "run"
    assert page.value("document.querySelectorAll('img[src=x], .moat-pages script').length") == 0


def every_page(seen: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Address of each page, and words that it shows."""
    held, incident = seen["numbers"]["held"], seen["numbers"]["incident"]
    return {
        "home": (f"{seen['url']}/", "4 sources, "),
        "sources": (at(seen, "sources"), "4 of 4 sources"),
        "load": (at(seen, "load", load=held), "at least 100"),
        "behind": (at(seen, "load", load=held, kind="aside"), "ParseFailed"),
        "document": (at(seen, "document", source="docs", key="leave.md"), "visible since load"),
        "odd": (at(seen, "document", source="docs", key=ODD), SCRIPT),
        "changes": (at(seen, "document", source="names", key=CJK, text="changes"), "New: ask Ann."),
        "rtl": (at(seen, "document", source="names", key=RTL), RTL),
        "long": (at(seen, "document", source="names", key=LONG), LONG),
        "found": (at(seen, "found", words="育児"), CJK),
        "quarantine": (at(seen, "quarantine"), SCRIPT),
        "incidents": (at(seen, "incidents"), "Rows have lost their text"),
        "incident": (at(seen, "incident", incident=incident), "Likely causes"),
        "access": (at(seen, "access"), "1 would be public"),
        "group": (at(seen, "access", of="group:hr"), "2 direct members, 2 people with those of groups inside it"),
        "nothing": (at(seen, "load", load=10_000), "there is no such thing"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_shows_what_the_ledger_has(seen: dict[str, Any], scheme: str) -> None:
    with tab(seen["browser"], seen["url"], seen["tokens"]["adam"]) as page:
        page.look(scheme)
        for name, (url, words) in every_page(seen).items():
            page.open(url, words)
            if name == "nothing":  # the browser itself tells of the 404
                page.errors.clear()
            unharmed(page)
            assert page.value("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"
            kept(page, f"{name}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(seen: dict[str, Any], scheme: str) -> None:
    axe = (resources.files("axe_core_python") / "axe.min.js").read_text("utf-8")
    found = {}
    with tab(seen["browser"], seen["url"], seen["tokens"]["adam"]) as page:
        page.look(scheme)
        for name, (url, words) in every_page(seen).items():
            page.open(url, words)
            page.value(f"{axe}; 0")
            looked = page.value("axe.run('.moat-pages').then((found) => found.violations)")
            serious = [one for one in looked if one["impact"] in ("serious", "critical")]
            if serious:
                found[name] = {one["id"]: [node["html"][:200] for node in one["nodes"][:3]] for one in serious}
    assert found == {}


def test_text_is_shown_as_text_chunk_by_chunk_to_those_who_may(seen: dict[str, Any]) -> None:
    ledger: Ledger = seen["ledger"]
    with tab(seen["browser"], seen["url"], seen["tokens"]["adam"]) as page:
        page.open(at(seen, "document", source="docs", key=ODD), "Show the text")
        before = len(audit.tail(ledger, 100, "text shown"))
        page.click("Show the text")
        page.wait(f"A passage with {SCRIPT} in it.")
        unharmed(page)
        assert len(audit.tail(ledger, 100, "text shown")) == before + 1
        page.open(at(seen, "document", source="big", key="big.md", text=1), "passage 199")
        assert "passage 200" not in page.value("document.body.innerText")
        page.click("Next chunks")
        page.wait("passage 399")
        kept(page, "text")
    with tab(seen["browser"], seen["url"], seen["tokens"]["olga"]) as page:
        shown = page.open(at(seen, "document", source="docs", key="leave.md", text=1), "moat_read_text")
        assert "twenty weeks" not in shown


def test_two_versions_stand_side_by_side_with_what_differs_marked(seen: dict[str, Any]) -> None:
    with tab(seen["browser"], seen["url"], seen["tokens"]["adam"]) as page:
        page.open(at(seen, "document", source="names", key=CJK), "Show what changed")
        page.click("Show what changed")
        page.wait("1 chunk is the same")
        marked = page.value("[...document.querySelectorAll('.moat-pages mark')].map((e) => e.innerText)")
        assert marked == ["[redacted: DATE_TIME]", "May.", "[redacted: DATE_TIME]", "June.", "New: ask Ann."]
        unharmed(page)


def test_home_tells_what_needs_somebody_and_leads_there(seen: dict[str, Any]) -> None:
    with tab(seen["browser"], seen["url"], seen["tokens"]["vera"]) as page:
        shown = page.open(f"{seen['url']}/", "4 sources, ")
        assert "none is late" in shown
        page.value("[...document.querySelectorAll('.moat-pages a')].find((e) => /^load/.test(e.innerText)).click()")
        page.wait("at least 100")
        unharmed(page)


def test_a_viewer_has_no_button(seen: dict[str, Any]) -> None:
    numbers = seen["numbers"]
    with tab(seen["browser"], seen["url"], seen["tokens"]["vera"]) as page:
        for view, words in (
            (at(seen, "load", load=numbers["held"]), "at least 100"),
            (at(seen, "load", load=numbers["promoted"]), "Load"),
            (at(seen, "quarantine"), "ParseFailed"),
            (at(seen, "incident", incident=numbers["incident"]), "Likely causes"),
        ):
            page.open(view, words)
            for name in ("Release", "Reject", "Roll back", "Replay", "Acknowledge", "Resolve"):
                assert not page.has_button(name), (view, name)


def test_what_is_clicked_is_done_in_the_persons_name(seen: dict[str, Any]) -> None:
    ledger, numbers = seen["ledger"], seen["numbers"]
    with tab(seen["browser"], seen["url"], seen["tokens"]["olga"]) as page:
        page.open(at(seen, "quarantine"), "ParseFailed")
        page.click("Replay")
        page.wait("Try it again?")
        page.click("Replay")
        page.wait("until the next run")
        assert [one.state for one in quarantine.listing(ledger, "tickets")] == ["replay"]
        page.open(at(seen, "incident", incident=numbers["incident"]), "Likely causes")
        page.click("Resolve")
        page.wait("The next failure opens another")
        page.click("Resolve")
        page.wait("by airflow:olga")
        assert incidents.get(ledger, numbers["incident"]).state == "resolved"
        page.open(at(seen, "load", load=numbers["promoted"]), "Roll back")
        page.click("Roll back")
        page.wait("Documents that leave: 2")
        kept(page, "roll-back")
        page.type("wrong folder")
        page.click("Roll back")
        page.wait("rolled back")
        back = loads.get(ledger, numbers["promoted"])
        assert (back.state, back.decided_by, back.reason) == ("rolled back", "airflow:olga", "wrong folder")
        unharmed(page)


def test_three_clicks_from_a_failed_check_to_the_passage(seen: dict[str, Any]) -> None:
    """The red row names the document, the document has its text behind one button."""
    with tab(seen["browser"], seen["url"], seen["tokens"]["adam"]) as page:
        page.open(at(seen, "load", load=seen["numbers"]["held"], kind="aside"), "1059")
        page.value("[...document.querySelectorAll('.moat-pages a')].find((a) => a.innerText === '1059').click()")
        page.wait("In quarantine")
        assert "key=1059" in page.value("location.href"), "the view can be sent as a link"
        unharmed(page)
