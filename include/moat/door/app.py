"""The routes of the door: HTTP as its OpenAPI document describes it."""

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from moat.connections import Connections
from moat.door import wire
from moat.door.desk import Desk, asking_of
from moat.door.mcp import Mcp
from moat.door.page import add_page
from moat.door.problems import KINDS, MEDIA_TYPE, ProblemBody, body_of, headers_of, kind_of, problem_of
from moat.errors import AskedWrongly, DoorRefused
from moat.ledger.feedback import Said
from moat.monitoring.metrics import CONTENT_TYPE
from moat.monitoring.servers import Looked, look_at_servers_of_a_search

ABOUT = """
Search a knowledge base as the person who asks. Every answer holds what the asker may read at this moment, and nothing
else: what they may not read looks like what does not exist.

Each request carries the asker's JWT as `Authorization: Bearer …`. A service that the door knows may ask on behalf of
a person, with its own JWT and the header `Moat-On-Behalf-Of: user:ID`, percent-encoded. A request may name the seconds that it waits by
`Prefer: wait=5`. Every answer has an `X-Request-Id`, which the door's log and audit have, too.

Texts of documents are data. A program that hands them to a language model marks them as such.
"""
RESOURCE = "/.well-known/oauth-protected-resource"
LOOKED_S = 5.0  # that a look at the servers is kept
WORDS = {
    400: "The cursor is refused.",
    401: "There is no token, it does not hold, or nobody knows its person.",
    403: "The asker may not ask this, or is in too many groups.",
    404: "There is nothing of this name that the asker may read.",
    408: "The request was not sent in time.",
    410: "The cursor is too old.",
    413: "The request is too large.",
    422: "A value is missing or wrong; the detail says which.",
    429: "The asker made too many requests; Retry-After says when to try again.",
    500: "The query failed.",
    503: "The door is busy, or a server behind it does not answer; Retry-After says when to try again.",
    504: "It took too long.",
}


def _responses(*more: int) -> dict[int | str, dict[str, Any]]:
    body = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    known = sorted({401, 403, 408, 413, 422, 429, 500, 503, 504, *more})
    return {status: {"description": WORDS[status], "content": body} for status in known}


def app_of(desk: Desk, url: str, connections: Connections) -> FastAPI:
    """Build the routes.

    Args:
        desk: What answers.
        url: The door's own address, as applications know it, without a trailing slash.
        connections: Source of connections, for the look at an embedder that is an endpoint.

    Returns:
        The application, without the bounds that every request passes first.
    """

    mcp = Mcp(desk)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with mcp.running():
            yield
        await desk.retriever.close()
        desk.ledger.close()

    # Swagger's page loads its script from elsewhere, so there is none.
    app = FastAPI(title="Moat", version="1", description=ABOUT, lifespan=life, docs_url=None, redoc_url=None)
    _add_problems(app, url)
    _add_asking(app, desk)
    _add_operating(app, desk, connections)
    _add_resource(app, desk, url)
    add_page(app)
    app.router.routes.append(Route("/mcp", mcp))
    app.openapi = lambda: _described(app, url)  # type: ignore[method-assign]
    return app


def authenticate(url: str, code: str, path: str) -> dict[str, str]:
    """The header that says how to sign in, by RFC 9728; none for a problem that is not about the token."""
    if KINDS[code].status != 401:
        return {}
    metadata = f'resource_metadata="{url}{RESOURCE}{"/mcp" if path.startswith("/mcp") else ""}"'
    error = "" if code == "token_missing" else ', error="invalid_token"'
    return {"www-authenticate": f"Bearer {metadata}{error}"}


def _add_problems(app: FastAPI, url: str) -> None:
    """Whatever is no answer is a problem by RFC 9457."""

    def answered(request: Request, refused: DoorRefused) -> Response:
        request.scope["moat"]["code"] = refused.code
        headers = {**headers_of(refused), **authenticate(url, refused.code, request.url.path)}
        return JSONResponse(problem_of(refused), kind_of(refused).status, headers, MEDIA_TYPE)

    @app.exception_handler(DoorRefused)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, DoorRefused)
        return answered(request, error)

    @app.exception_handler(Exception)  # which is then raised on, and logged by its kind
    async def failed(request: Request, error: Exception) -> Response:
        return answered(request, DoorRefused("failed"))

    @app.exception_handler(AskedWrongly)
    async def asked_wrongly(request: Request, error: Exception) -> Response:
        return answered(request, DoorRefused("asked_wrongly", str(error)))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        words = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
        return answered(request, DoorRefused("asked_wrongly", "; ".join(words[:10])))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 400:  # a body that is no text
            return answered(request, DoorRefused("asked_wrongly", str(error.detail)))
        code = {404: "no_such_address", 405: "method_not_allowed"}.get(error.status_code, "failed")
        request.scope["moat"]["code"] = code
        detail = str(error.detail)
        body = body_of(error.status_code, code, detail, f"{detail}: /openapi.json describes what there is.")
        return JSONResponse(body, error.status_code, dict(error.headers or {}), MEDIA_TYPE)


def _add_asking(app: FastAPI, desk: Desk) -> None:
    """What an asker asks."""
    retriever = desk.retriever

    @app.post("/v1/search", tags=["ask"], response_model=wire.HitsAnswered, responses=_responses())
    async def search(body: wire.Question, request: Request) -> Response:
        """Return the passages that best answer a question and that the asker may read."""
        filters = wire.filters_of(body.filters)
        found = await desk.ask(
            asking_of(request),
            lambda who: retriever.search(body.question, who, body.limit, body.mode, filters, group_by=body.group_by),
        )
        return JSONResponse(wire.hits_body(found))

    @app.post("/v1/page", tags=["ask"], response_model=wire.HitsAnswered, responses=_responses(400, 410))
    async def page(body: wire.PageQuestion, request: Request) -> Response:
        """Return the hits of a question page by page, of one view: nothing comes twice and nothing moves.

        Send the same question with the cursor of the page before. A cursor holds for its asker and for 15 minutes.
        """
        given: dict[str, Any] = {"group_by": body.group_by, "cursor": body.cursor}
        filters = wire.filters_of(body.filters)
        found = await desk.ask(
            asking_of(request), lambda who: retriever.page(body.question, who, body.limit, body.mode, filters, **given)
        )
        return JSONResponse(wire.hits_body(found))

    @app.post("/v1/get", tags=["ask"], response_model=wire.HitsAnswered, responses=_responses())
    async def get(body: wire.Ids, request: Request) -> Response:
        """Return those of the given passages that the asker may read, in the given order; the rest is left out."""
        found = await desk.ask(asking_of(request), lambda who: retriever.get(body.chunk_ids, who))
        return JSONResponse(wire.hits_body(found))

    @app.post("/v1/read", tags=["ask"], response_model=wire.HitsAnswered, responses=_responses())
    async def read(body: wire.DocumentAsked, request: Request) -> Response:
        """Return the passages of one document in its order; none if the asker may not read it, or it does not exist."""
        given = {"first": body.first, "limit": body.limit}
        found = await desk.ask(asking_of(request), lambda who: retriever.read(body.source, body.key, who, **given))
        return JSONResponse(wire.hits_body(found))

    @app.post("/v1/count", tags=["ask"], response_model=wire.CountAnswered, responses=_responses())
    async def count(body: wire.Counting, request: Request) -> Response:
        """Count the documents and passages that the asker may read, exactly."""
        filters = wire.filters_of(body.filters)
        found = await desk.ask(asking_of(request), lambda who: retriever.count(who, filters))
        return JSONResponse({"documents": found.documents, "chunks": found.chunks})

    @app.post("/v1/aggregate", tags=["ask"], response_model=wire.SharesAnswered, responses=_responses())
    async def aggregate(body: wire.Aggregating, request: Request) -> Response:
        """Count the documents and passages that the asker may read, by value of a property, largest first."""
        filters = wire.filters_of(body.filters)
        found = await desk.ask(asking_of(request), lambda who: retriever.aggregate(who, body.by, filters))
        return JSONResponse({"shares": {value: asdict(share) for value, share in found.items()}})

    @app.post("/v1/feedback", tags=["ask"], response_model=wire.FeedbackKept, responses=_responses(404))
    async def feedback(body: wire.FeedbackGiven, request: Request) -> Response:
        """Keep what the asker says of a passage that they may read, for the people who look after the sources."""
        await desk.feedback(asking_of(request), Said(body.chunk_id, body.verdict, body.why))
        return JSONResponse({"kept": True})

    @app.get("/v1/sources", tags=["ask"], response_model=wire.HoldingsAnswered, responses=_responses())
    async def sources(request: Request) -> Response:
        """Tell what of each source the asker may read, and when it was last read; of other sources nothing is said."""
        return JSONResponse(wire.holdings_body(await desk.holdings(asking_of(request))))


def _add_operating(app: FastAPI, desk: Desk, connections: Connections) -> None:
    """What operators and their programs ask."""
    kept: dict[str, tuple[float, dict[str, Looked]]] = {}

    @app.post("/v1/explain", tags=["operate"], response_model=wire.WhyAnswered, responses=_responses(404))
    async def explain(body: wire.WhyAsked, request: Request) -> Response:
        """Tell an operator which rule lets somebody read a document, or keeps it from them; the audit records it."""
        found = await desk.why(asking_of(request), (body.source, body.key), body.asker)
        layers = [{"any_of": layer.any_of, "by": layer.by} for layer in found.layers]
        told = {"asker": found.asker, "readable": found.readable, "reason": found.reason, "state": found.state}
        return JSONResponse({**told, "layers": layers, "deny": found.deny})

    @app.get("/health", tags=["operate"])
    async def health() -> dict[str, Any]:
        """Tell that the process answers; nothing behind it is asked."""
        return {"status": "ok", "development": bool(desk.callers.person)}

    @app.get("/ready", tags=["operate"], responses={503: {"description": "A server behind the door does not answer."}})
    async def ready() -> Response:
        """Tell whether ledger, index and embedder answer; a look is kept for 5 seconds."""
        at, found = kept.get("looked", (float("-inf"), {}))
        if time.monotonic() - at > LOOKED_S:
            found = await asyncio.to_thread(look_at_servers_of_a_search, desk.settings, lambda: connections)
            kept["looked"] = time.monotonic(), found
        well = {what: one.ok for what, one in found.items()}
        return JSONResponse({"ready": all(well.values()), **well}, 200 if all(well.values()) else 503)

    @app.get("/metrics", tags=["operate"], responses={404: {"description": "MOAT_METRICS_KEY is not set."}})
    async def metrics(request: Request) -> Response:
        """The door's numbers in Prometheus' text format, for the bearer of MOAT_METRICS_KEY."""
        key = desk.settings.metrics_key.get_secret_value()
        if not key:
            raise HTTPException(404)
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {key}".encode()):
            raise DoorRefused("token_missing", "Send MOAT_METRICS_KEY as Authorization: Bearer …")
        return Response(desk.counters.text(), media_type=CONTENT_TYPE)


def _add_resource(app: FastAPI, desk: Desk, url: str) -> None:
    """What the door takes tokens for, by RFC 9728."""

    def metadata(resource: str) -> Callable[[], Awaitable[Response]]:
        async def told() -> Response:
            issuers = [desk.settings.jwt_issuer] if desk.settings.jwt_issuer else []
            known = {"resource": resource, "authorization_servers": issuers, "resource_name": "Moat"}
            return JSONResponse({**known, "bearer_methods_supported": ["header"]})

        return told

    for path, resource in ((RESOURCE, url), (f"{RESOURCE}/mcp", f"{url}/mcp")):
        app.add_api_route(path, metadata(resource), include_in_schema=False)


def _described(app: FastAPI, url: str) -> dict[str, Any]:
    """The OpenAPI document, with how a request is authenticated and what a problem is."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        made["servers"] = [{"url": url}]
        parts = made["components"]
        parts["schemas"]["ProblemBody"] = ProblemBody.model_json_schema()
        parts["schemas"] = {
            n: s for n, s in parts["schemas"].items() if n not in ("HTTPValidationError", "ValidationError")
        }
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        for path, methods in made["paths"].items():
            if path.startswith("/v1/"):
                for one in methods.values():
                    one["security"] = [{"bearer": []}]
        app.openapi_schema = made
    return app.openapi_schema
