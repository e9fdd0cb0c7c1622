"""A server that repeats what it was asked, in whatever form, puts no word of it into log, audit or error."""

import base64
import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from weaviate import exceptions

from moat.embedding.client import HttpEmbedder
from moat.embedding.model import ModelInfo
from moat.errors import MoatError
from moat.index.errors import mapped, mapped_errors
from moat.ledger import Ledger
from moat.ledger.tables import audit
from moat.search.guard import Asking, Guard
from moat.search.result_types import SearchResult
from moat.settings import Settings

QUESTION = 'Wieviel verdient "Zoë Ångström"\nals Hafenmeisterin? \U0001f6a2 sotto voce'
WORDS = ("Wieviel", "verdient", "Zoë", "Ångström", "Hafenmeisterin", "sotto", "voce", "Zo\\u00eb", "ngstr")
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "cut": lambda text: text[3:40],
    "escaped": lambda text: json.dumps(text),
    "escaped twice": lambda text: json.dumps(json.dumps(text)),
    "repr": repr,
    "upper": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "one word": lambda text: text.split()[1],
}


def heard(text: str) -> list[str]:
    """What of the question stands in a text, in any of its forms."""
    low = text.lower()
    pieces = [*WORDS, *(form(QUESTION)[4:24] for form in FORMS.values()), *(form(QUESTION) for form in FORMS.values())]
    return [piece for piece in pieces if len(piece) > 4 and piece.lower() in low]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[str], str]:
    return FORMS[request.param]


@pytest.fixture(params=[422, 400, 500])
def echo(request: pytest.FixtureRequest, form: Callable[[str], str]) -> Iterator[HttpEmbedder]:
    """A client of an embedder that refuses every text by repeating it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"][0]
            answer = json.dumps({"detail": [{"msg": "no", "input": form(text)}]}, ensure_ascii=False).encode()
            self.send_response(request.param, form(text).encode("ascii", "ignore").decode().replace("\n", " "))
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = HttpEmbedder(
        f"http://127.0.0.1:{server.server_port}",
        "m",
        known=ModelInfo(model="m", revision="", dimensions=2, max_tokens=9),
        tries=1,
    )
    yield made
    made.close()
    server.shutdown()
    server.server_close()


def test_a_question_that_the_embedder_repeats_stands_nowhere(
    echo: HttpEmbedder, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(MoatError) as error:
        echo.embed([QUESTION], "query")
    assert heard("".join(traceback.format_exception(error.value))) == []
    asking = Asking("user:ann@example.com", "search", [])  # nothing is known by value

    def work() -> SearchResult:
        echo.embed([QUESTION], "query")
        return SearchResult()

    result = Guard(ledger, 60.0).kept(asking, work, SearchResult)
    assert result.refused
    with ledger.read() as connection:
        rows = [str(tuple(row)) for row in connection.execute(select(audit))]
    assert rows
    for text in (result.refused, *rows, *(record.getMessage() for record in caplog.records)):
        assert heard(text) == [], text


def foreign(words: str) -> list[Exception]:
    """What Weaviate's client raises, with the server's words in it."""
    made: list[Exception] = [
        exceptions.UnexpectedStatusCodeError("Object", httpx.Response(status, json={"error": [{"message": words}]}))
        for status in (401, 403, 404, 422, 500)
    ]
    made.append(exceptions.WeaviateQueryError(f'status = StatusCode.UNKNOWN details = "{words}"', "GRPC search"))
    made.append(exceptions.WeaviateInvalidInputError(words))
    made.append(exceptions.WeaviateInsertInvalidPropertyError({"text": words}))
    made.append(httpx.RemoteProtocolError(words))
    return made


def test_words_of_weaviate_are_reduced_to_class_and_code(form: Callable[[str], str], settings: Settings) -> None:
    for error in foreign(form(QUESTION)):
        with pytest.raises(MoatError) as raised, mapped_errors(settings):
            raise error
        told = "".join(traceback.format_exception(raised.value))
        assert heard(told) == [], told
        assert type(error).__name__ in str(raised.value)


def test_status_code_and_known_meanings_are_told() -> None:
    full = "put object: store is read-only: " + QUESTION
    query = exceptions.WeaviateQueryError(f'status = StatusCode.UNAVAILABLE details = "{QUESTION}"', "GRPC")
    status = exceptions.UnexpectedStatusCodeError("x", httpx.Response(507, json={"error": full}))
    assert "UnexpectedStatusCodeError 507; a shard is read-only" in str(mapped(status, "here"))
    assert "WeaviateQueryError UNAVAILABLE; it cannot be reached" in str(mapped(query, "here"))
