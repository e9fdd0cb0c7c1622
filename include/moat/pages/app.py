"""The pages' own server part: routes that give JSON, and the files of the front end. It knows no Airflow.

Every route asks for a person first, and every source is looked at with their rights: what they may not see answers as
what is not there. What changes something takes a JSON body and a header that no form of another site can send.
"""

import logging
import threading
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from moat.connections import Connections
from moat.errors import AskedWrongly, DecisionRefused, LedgerError, LedgerUnavailable, MoatError, SettingsError
from moat.ledger import Ledger, approvals, behind, incidents, loads
from moat.pages import access as access_page
from moat.pages import asking, versions
from moat.pages import document as document_page
from moat.pages import incident as incident_page
from moat.pages import load as load_page
from moat.pages import quarantine as quarantine_page
from moat.pages.asked import AskedAs, Decided, Replayed, RolledBack, WhyAsked
from moat.pages.person import Person, Right
from moat.pages.sources import Overview
from moat.runtime import Runtime, staging_of
from moat.settings import Settings

T = TypeVar("T", loads.Load, incidents.Incident)
log = logging.getLogger("moat.pages")
STATIC = Path(__file__).parent / "static"
BEHIND, FOUND = 100, 50  # documents in one answer
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
CLOSED = "the ledger cannot be read from Airflow's API server: `moat doctor`, given there, says why"


class State:
    """The ledger and what is kept of it between two requests. Opened by the first one that needs it."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._connections = connections
        self._lock = threading.Lock()
        self._opened: tuple[str, Ledger, Overview] | None = None

    def ledger(self) -> Ledger:
        return self._open()[1]

    def overview(self) -> Overview:
        return self._open()[2]

    def connections(self) -> Connections:
        return self._connections()

    def runtime(self) -> Runtime:
        """A runtime of its own, which the caller closes."""
        return Runtime.open(self._connections(), progress=lambda line: log.info("%s", line))

    def _open(self) -> tuple[str, Ledger, Overview]:
        settings = Settings.load()
        with self._lock:
            if self._opened is None or self._opened[0] != settings.ledger:
                ledger = Ledger.open(settings)
                self._opened = settings.ledger, ledger, Overview(ledger)
            return self._opened


def build(person: Callable[..., Any], connections: Callable[[], Connections]) -> FastAPI:
    """Build the application.

    Args:
        person: Dependency that gives the `Person` who asks, or answers 401.
        connections: Makes the connections that an action may need.
    """
    state = State(connections)
    Who = Annotated[Person, Depends(person)]  # noqa: N806  a type

    def entered(who: Who) -> None:
        if not who.may("enter", ""):
            raise HTTPException(403, "your role may not open this page")

    def meant(x_moat_request: Annotated[str, Header()] = "", sec_fetch_site: Annotated[str, Header()] = "") -> None:
        """Refuse what a page of another site could have sent with the cookie of this one."""
        if not x_moat_request or sec_fetch_site not in ("", "same-origin", "none"):
            raise HTTPException(403, "sent by another site, or without the header X-Moat-Request")

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(entered)])
    change = [Depends(meant)]

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    @app.exception_handler(MoatError)
    def told(request: Request, error: MoatError) -> JSONResponse:
        if isinstance(error, LedgerError | LedgerUnavailable | SettingsError):
            log.warning("%s", error)
            return JSONResponse({"detail": CLOSED}, 503)
        code = 403 if isinstance(error, DecisionRefused) else 404 if isinstance(error, AskedWrongly) else 409
        return JSONResponse({"detail": str(error)}, code)

    def allowed(who: Person, right: Right, source: str) -> None:
        """Answer as if there were no such source, unless they may see it; and 403 where a right is missing."""
        if source and not who.sees(source):
            raise HTTPException(404, "there is no such thing, or you may not see it")
        if not who.may(right, source):
            raise HTTPException(403, f"your role may not do this (missing: {right})")

    def seen(find: Callable[[Ledger, int], T], who: Person, number: int, right: Right = "see") -> T:
        """The load or incident of this number; what they may not see answers as what is not there."""
        try:
            found = find(state.ledger(), number)
        except LedgerError:
            raise
        except MoatError:
            raise HTTPException(404, "there is no such thing, or you may not see it") from None
        allowed(who, right, found.source)
        return found

    @app.get("/static/{name}")
    def static(name: str, if_none_match: Annotated[str, Header()] = "") -> Response:
        found = _files().get(name)
        if found is None:
            raise HTTPException(404, "there is no such file")
        kind, body, tag = found
        headers = {"etag": tag, "cache-control": "no-cache"}
        return (
            Response(status_code=304, headers=headers) if if_none_match == tag else Response(body, 200, headers, kind)
        )

    @app.get("/api/me")
    def me(who: Who) -> dict[str, Any]:
        return {"name": who.name, "text": who.may("text", ""), "ask": who.may("ask", "")}

    @app.get("/api/sources")
    def sources(who: Who) -> dict[str, Any]:
        return state.overview().page(Settings.load(), who.sees)

    @app.get("/api/loads/of-run")
    def of_run(who: Who, dag: str, run: str) -> dict[str, Any]:
        allowed(who, "see", dag)
        return {"load": load_page.of_run(state.ledger(), dag, run)}

    @app.get("/api/loads/{number}")
    def load(who: Who, number: int) -> dict[str, Any]:
        found = seen(loads.get, who, number)
        rights = {right: who.may(right, found.source) for right in ("decide", "trigger", "mend")}
        return {**load_page.page(state.ledger(), Settings.load(), number), "rights": rights}

    @app.get("/api/loads/{number}/documents")
    def behind_load(who: Who, number: int, kind: behind.Kind, after: str = "") -> dict[str, Any]:
        of = seen(loads.get, who, number)
        found = behind.of_load(state.ledger(), of, kind, BEHIND, after)
        if not found.n and of.proved_at is None and kind != "aside":
            staging = staging_of(Settings.load(), state.connections())
            found = load_page.behind_plan(staging, of, kind, BEHIND, after)
        return {"n": found.n, "documents": [one._asdict() for one in found.documents]}

    @app.post("/api/loads/{number}/rollback", dependencies=change)
    def rollback(who: Who, number: int, asked: RolledBack) -> dict[str, Any]:
        seen(loads.get, who, number, "decide")
        ledger, settings = state.ledger(), Settings.load()
        approvals.require(ledger, settings, who.name, f"rollback of load {number}")
        done = loads.rollback(ledger, number, who.name, asked.because, holding=asked.hold)
        return {"load": done.id, "state": done.state}

    @app.get("/api/documents")
    def documents(who: Who, words: str, source: str = "") -> dict[str, Any]:
        if len(words.strip()) < 2:
            raise AskedWrongly("give at least two characters of a key or title")
        found = behind.found(state.ledger(), words.strip(), source or None, 10 * FOUND)
        return {"documents": [one._asdict() for one in found if who.sees(one.source)][:FOUND]}

    @app.get("/api/document")
    def document(who: Who, source: str, key: str) -> dict[str, Any]:
        allowed(who, "see", source)
        return {
            **document_page.page(state.ledger(), Settings.load(), source, key),
            "rights": {"text": who.may("text", source), "trigger": who.may("trigger", source)},
        }

    @app.get("/api/document/text")
    def text(who: Who, source: str, key: str, after: int = -1) -> dict[str, Any]:
        allowed(who, "text", source)
        return document_page.text(state.ledger(), who.name, source, key, after)

    @app.get("/api/document/changes")
    def changes(who: Who, source: str, key: str) -> dict[str, Any]:
        allowed(who, "text", source)
        staging = staging_of(Settings.load(), state.connections())
        return versions.changes(state.ledger(), staging, who.name, source, key)

    @app.get("/api/quarantine")
    def quarantine(
        who: Who, source: str = "", stage: str = "", error: str = "", resolved: bool = False
    ) -> dict[str, Any]:
        return quarantine_page.page(state.ledger(), who, source, stage=stage, error=error, resolved=resolved)

    @app.post("/api/quarantine/replay", dependencies=change)
    def replay(who: Who, asked: Replayed) -> dict[str, Any]:
        allowed(who, "trigger", asked.source)
        return quarantine_page.replay(state.ledger(), who.name, asked)

    @app.get("/api/incidents")
    def every_incident(who: Who, resolved: bool = False) -> dict[str, Any]:
        return incident_page.listing(state.ledger(), who.sees, resolved)

    @app.get("/api/incidents/{number}")
    def incident(who: Who, number: int) -> dict[str, Any]:
        found = seen(incidents.get, who, number)
        return {**incident_page.page(state.ledger(), found), "rights": {"mend": who.may("mend", found.source)}}

    @app.post("/api/incidents/{number}/{step}", dependencies=change)
    def decided(who: Who, number: int, step: incident_page.Step, asked: Decided) -> dict[str, Any]:
        seen(incidents.get, who, number, "mend")
        runtime = state.runtime()
        try:
            done = incident_page.decide(runtime, number, step, who.name, asked.because)
        finally:
            runtime.close()
        return {"incident": done.id, "state": done.state}

    @app.get("/api/access")
    def access(who: Who) -> dict[str, Any]:
        return access_page.page(state.ledger(), who, state.overview().widest(who.sees))

    @app.get("/api/principal")
    def principal(who: Who, words: str) -> dict[str, Any]:
        allowed(who, "ask", "")
        if len(words.strip()) < 2:
            raise AskedWrongly("give at least two characters of a group's or a person's name")
        return access_page.principal(state.ledger(), who.name, words.strip())

    @app.post("/api/ask", dependencies=change)
    def ask(who: Who, asked: AskedAs) -> dict[str, Any]:
        allowed(who, "ask", "")
        return asking.answer(state.ledger(), Settings.load(), state.connections(), who, asked)

    @app.post("/api/why", dependencies=change)
    def why(who: Who, asked: WhyAsked) -> dict[str, Any]:
        allowed(who, "ask", asked.source)
        return asking.rule(state.ledger(), Settings.load(), who, asked.source, key=asked.key, asker=asked.asker)

    return app


@cache
def _files() -> dict[str, tuple[str, bytes, str]]:
    """The front end's files: kind, bytes and tag, by name."""
    kinds = {".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
    found = {file.name: (kinds[file.suffix], file.read_bytes()) for file in STATIC.iterdir() if file.suffix in kinds}
    return {name: (kind, body, f'"{sha256(body).hexdigest()[:20]}"') for name, (kind, body) in found.items()}
