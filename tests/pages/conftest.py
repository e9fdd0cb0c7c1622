"""A ledger with something of everything, and Airflow's own access checks before the pages' routes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from moat.ledger import Ledger, checks, holds, loads, measures, quarantine, spending
from moat.ledger.checks import CheckResult
from moat.records import SetAside
from tests.fresh_ledger import migrated
from tests.incidents.conftest import opened
from tests.ledger.test_counting import ALL, HR, loaded, paper

SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
ODD = f"odd/{SCRIPT}.md"
Asks = Callable[..., httpx.Response]


def fill(ledger: Ledger) -> dict[str, int]:
    """Loads of `docs` (promoted) and `tickets` (held), one document set aside, an incident, a hold."""
    plain = paper("leave.md", ALL, "Parental leave lasts twenty weeks.", "Call before nine.", of="docs")
    odd = paper(ODD, HR, f"A passage with {SCRIPT} in it.", of="docs")
    loaded(ledger, "docs", plain, odd)
    first = loads.recent(ledger, "docs", 1)[0].id
    made = loads.open_load(ledger, "tickets", "airflow:tickets:manual__1", {}, 3_600)
    loads.note(ledger, made, {"listed": 40, "new": 12, "changed": 3, "unchanged": 25, "aside": 1})
    few = CheckResult(name="too few", family="volume", severity="hold", passed=False, seen="40", allowed="at least 100")
    checks.keep(ledger, made, "volume", [few])
    measures.keep(ledger, made, "volume", {"documents": 40.0})
    aside = SetAside(key="1059", uri="u", stage="parse", error="ParseFailed", reason=SCRIPT, fingerprint="f")
    quarantine.put(ledger, made, "recipe", [aside])
    spending.spend(ledger, made.id, "embed", 0, 2.0, 700)
    loads.hold(ledger, made, "too few documents")
    with ledger.write() as connection:
        holds.wait(connection, ledger.tenant, "widening", "docs", digest="d", reason="1 would be public", detail={})
    return {"promoted": first, "held": made.id, "incident": opened(ledger).id}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder and Airflow's secrets in this process's environment, as an API server has them."""
    home = tmp_path_factory.mktemp("pages")
    given = {
        "MOAT_HOME": str(home),
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "MOAT_APPROVERS": "airflow:olga,airflow:adam",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        yield home


@pytest.fixture(scope="module")
def filled(environment: Path) -> Iterator[tuple[Ledger, dict[str, int]]]:
    ledger = migrated(f"sqlite:///{environment / 'ledger.db'}", "default")
    yield ledger, fill(ledger)
    ledger.close()


@pytest.fixture(scope="module")
def server(filled: tuple[Ledger, dict[str, int]]) -> tuple[FastAPI, Mapping[str, str]]:
    """The plugin's application behind Airflow's simple auth manager, and a token for each person."""
    import moat_pages
    from airflow import settings
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models.revoked_token import RevokedToken

    RevokedToken.__table__.create(settings.engine, checkfirst=True)  # asked whether a login was ended
    manager = create_auth_manager()
    roles = {"adam": "ADMIN", "olga": "OP", "vera": "VIEWER"}
    tokens = {
        name: manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role)) for name, role in roles.items()
    }
    app = FastAPI()
    app.mount(moat_pages.PREFIX, moat_pages.Pages())
    return app, tokens


@pytest.fixture(scope="module")
def asks(server: tuple[FastAPI, Mapping[str, str]]) -> Asks:
    """A function that sends a request as somebody, or as nobody."""
    app, tokens = server

    def send(
        who: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {tokens[who]}"} if who else {}
        sent |= {"x-moat-request": "1"} if body is not None and headers is None else dict(headers or {})

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://airflow/moat-pages") as client:
                return await client.request(method, path, json=body, headers=sent)

        return asyncio.run(once())

    return send
