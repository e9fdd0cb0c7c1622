"""Ask a door as a `Retriever` is asked: the same methods, results, codes and errors, over HTTP.

    from moat.client import Client

    with Client("https://moat.example.com") as r:
        for hit in r.search("How long is parental leave?", asker=Bearer(token)):
            print(hit.score, hit.title, hit.text)

It imports httpx, and neither the ledger nor the index. Code moves from the library to a door by the line that opens it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from types import TracebackType
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx

from moat.errors import AskedWrongly, SettingsError
from moat.filters import Filters, Range, bounds_of, check
from moat.loopback import is_loopback
from moat.search.askers import Asker, Bearer
from moat.search.result_types import (
    CODES,
    DOOR_CODES,
    Count,
    DoorCode,
    GroupBy,
    Hit,
    Mode,
    NewerVersion,
    Refusable,
    SearchResult,
    Share,
    Shares,
    check_by,
    check_document,
    check_ids,
    check_page,
    check_search,
)

__all__ = ["AsyncClient", "Bearer", "Client", "Range"]

G = TypeVar("G", bound=Refusable)
Token = str | Callable[[], str]
TIMEOUT_S = 20.0
# Such as a kept connection that the door closed: every call only asks, so it is sent once more.
BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)
AGAIN = (429, 503)  # asked again after Retry-After, where the time allows it
_FIELDS = {field.name for field in fields(Hit)}


@dataclass(frozen=True, slots=True)
class _Call(Generic[G]):
    """One request to the door: where, what, how its answer is read, and the result of a refusal."""

    path: str
    body: Mapping[str, Any]
    read: Callable[[Mapping[str, Any]], G]
    nothing: Callable[[], G]


class Client:
    """Asks a door; safe to use from several threads. Its methods are those of `Retriever`.

    A person's own token is passed as `asker=Bearer(token)`. A service that the door knows passes the person's name,
    `asker="user:alice@example.com"`, and proves itself by its own token. A door that is too busy is asked again after
    the time that it names, if that is within the time-out; a door that cannot be reached gives an empty result with the
    code `door_unavailable`.

    Args:
        url: Address of the door; `http://` on this machine only.
        token: JWT of the service, or what gives a fresh one; empty: only Bearer askers are answered.
        timeout_s: Seconds that one method may take.

    Raises:
        SettingsError: The address is wrong, or tokens would travel in the clear.
    """

    def __init__(self, url: str, token: Token = "", timeout_s: float = TIMEOUT_S) -> None:
        self._token, self._timeout_s = token, timeout_s
        self._http = httpx.Client(base_url=_checked(url), timeout=timeout_s)

    def search(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
    ) -> SearchResult:
        """Return the chunks that best answer a question and that the asker may read."""
        return self._ask(asker, _search(question, limit, mode, filters, group_by=group_by))

    def page(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
        cursor: str | None = None,
    ) -> SearchResult:
        """Return the hits of a question page by page, of one view."""
        return self._ask(asker, _page(question, limit, mode, filters, group_by=group_by, cursor=cursor))

    def get(self, chunk_ids: Sequence[str], asker: Asker) -> SearchResult:
        """Return those of the given chunks that the asker may read, in the given order."""
        return self._ask(asker, _get(chunk_ids))

    def read(self, source: str, key: str, asker: Asker, first: int = 0, limit: int = 100) -> SearchResult:
        """Return the passages of one document in its order, as far as the asker may read it."""
        return self._ask(asker, _read(source, key, first, limit))

    def count(self, asker: Asker, filters: Filters | None = None) -> Count:
        """Count the documents and chunks that the asker may read, exactly."""
        return self._ask(asker, _count(filters))

    def aggregate(self, asker: Asker, by: str, filters: Filters | None = None) -> Shares:
        """Count the documents and chunks that the asker may read, by value of a property."""
        return self._ask(asker, _aggregate(by, filters))

    def _ask(self, asker: Asker, call: _Call[G]) -> G:
        end = time.monotonic() + self._timeout_s
        if asker is None or asker == "":
            return _refused(call, "unknown_asker", "nobody asks")
        headers, broken = _headers(asker, self._token), False
        while True:
            try:
                answer = self._http.post(call.path, json=call.body, headers=headers)
            except httpx.HTTPError as error:
                if isinstance(error, BROKEN) and not broken:
                    broken = True
                    continue
                return _refused(call, "door_unavailable", f"the door did not answer: {type(error).__name__}")
            if not (wait_s := _wait_s(answer, end)):
                return _result(answer, call)
            time.sleep(wait_s)

    def close(self) -> None:
        """Close the connections to the door."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """Asks a door as `Client` does, for programs that await. Its methods are those of `AsyncRetriever`.

    Args:
        url: As for `Client`; so are token and timeout_s, and what is raised.
    """

    def __init__(self, url: str, token: Token = "", timeout_s: float = TIMEOUT_S) -> None:
        self._token, self._timeout_s = token, timeout_s
        self._http = httpx.AsyncClient(base_url=_checked(url), timeout=timeout_s)

    async def search(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
    ) -> SearchResult:
        """Return the chunks that best answer a question and that the asker may read."""
        return await self._ask(asker, _search(question, limit, mode, filters, group_by=group_by))

    async def page(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
        cursor: str | None = None,
    ) -> SearchResult:
        """Return the hits of a question page by page, of one view."""
        return await self._ask(asker, _page(question, limit, mode, filters, group_by=group_by, cursor=cursor))

    async def get(self, chunk_ids: Sequence[str], asker: Asker) -> SearchResult:
        """Return those of the given chunks that the asker may read, in the given order."""
        return await self._ask(asker, _get(chunk_ids))

    async def read(self, source: str, key: str, asker: Asker, first: int = 0, limit: int = 100) -> SearchResult:
        """Return the passages of one document in its order, as far as the asker may read it."""
        return await self._ask(asker, _read(source, key, first, limit))

    async def count(self, asker: Asker, filters: Filters | None = None) -> Count:
        """Count the documents and chunks that the asker may read, exactly."""
        return await self._ask(asker, _count(filters))

    async def aggregate(self, asker: Asker, by: str, filters: Filters | None = None) -> Shares:
        """Count the documents and chunks that the asker may read, by value of a property."""
        return await self._ask(asker, _aggregate(by, filters))

    async def _ask(self, asker: Asker, call: _Call[G]) -> G:
        end = time.monotonic() + self._timeout_s
        if asker is None or asker == "":
            return _refused(call, "unknown_asker", "nobody asks")
        headers, broken = _headers(asker, self._token), False
        while True:
            try:
                answer = await self._http.post(call.path, json=call.body, headers=headers)
            except httpx.HTTPError as error:
                if isinstance(error, BROKEN) and not broken:
                    broken = True
                    continue
                return _refused(call, "door_unavailable", f"the door did not answer: {type(error).__name__}")
            if not (wait_s := _wait_s(answer, end)):
                return _result(answer, call)
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Close the connections to the door."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _search(question: str, limit: int, mode: Mode, filters: Filters | None, **more: Any) -> _Call[SearchResult]:
    check_search(question, limit, mode, more["group_by"])
    body = {"question": question, "limit": limit, "mode": mode, "filters": _filters(filters), **more}
    return _Call("/v1/search", body, _hits, SearchResult)


def _page(question: str, limit: int, mode: Mode, filters: Filters | None, **more: Any) -> _Call[SearchResult]:
    check_page(question, limit, mode, more["group_by"], more["cursor"])
    body = {"question": question, "limit": limit, "mode": mode, "filters": _filters(filters), **more}
    return _Call("/v1/page", body, _hits, SearchResult)


def _get(chunk_ids: Sequence[str]) -> _Call[SearchResult]:
    check_ids(chunk_ids)
    return _Call("/v1/get", {"chunk_ids": list(chunk_ids)}, _hits, SearchResult)


def _read(source: str, key: str, first: int, limit: int) -> _Call[SearchResult]:
    check_document(source, key, first, limit)
    body = {"source": source, "key": key, "first": first, "limit": limit}
    return _Call("/v1/read", body, _hits, SearchResult)


def _count(filters: Filters | None) -> _Call[Count]:
    read = lambda body: Count(body["documents"], body["chunks"])  # noqa: E731  it is one expression
    return _Call("/v1/count", {"filters": _filters(filters)}, read, Count)


def _aggregate(by: str, filters: Filters | None) -> _Call[Shares]:
    check_by(by)

    def read(body: Mapping[str, Any]) -> Shares:
        return Shares({value: Share(one["documents"], one["chunks"]) for value, one in body["shares"].items()})

    return _Call("/v1/aggregate", {"by": by, "filters": _filters(filters)}, read, Shares)


def _checked(url: str) -> str:
    """The address of a door. Raises SettingsError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{url!r} is no address of a door: write https://moat.example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(f"{url!r}: tokens would travel in the clear; a door on another machine has https://")
    return url.rstrip("/")


def _headers(asker: Asker, token: Token) -> dict[str, str]:
    """How a request says who asks. Raises AskedWrongly for what a door does not take."""
    if isinstance(asker, Bearer):
        return {"authorization": f"Bearer {asker.token}"}
    if not isinstance(asker, str):
        raise AskedWrongly(f"a {type(asker).__name__} does not ask a door: pass Bearer(token), or a person's name")
    own = token() if callable(token) else token
    return {"moat-on-behalf-of": quote(asker, safe=":@/")} | ({"authorization": f"Bearer {own}"} if own else {})


def _filters(filters: Filters | None) -> dict[str, Any]:
    """Filters as JSON has them. Raises AskedWrongly."""
    check(filters or {})
    return {
        name: _plain(bounds_of(value) if isinstance(value, date) else value) for name, value in (filters or {}).items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Range):
        return {f.name: _plain(v) for f in fields(value) if (v := getattr(value, f.name)) is not None}
    if isinstance(value, date):  # or a moment
        return value.isoformat()
    return value if isinstance(value, str | int | float) else sorted(value)


def _wait_s(answer: httpx.Response, end: float) -> float:
    """Seconds until a busy door is asked again; 0: it is not, or it would be too late."""
    after = answer.headers.get("retry-after", "") if answer.status_code in AGAIN else ""
    wait_s = float(after) if after.isdigit() else 0.0
    return wait_s if time.monotonic() + wait_s < end else 0.0


def _result(answer: httpx.Response, call: _Call[G]) -> G:
    """What an answer says. Raises AskedWrongly if the door says so, and nothing else."""
    try:
        body = answer.json()
        if answer.is_success:
            return call.read(body)
        code, detail = body["code"], str(body["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return _refused(call, "door_unavailable", f"what answers there is no door: status {answer.status_code}")
    if code == "asked_wrongly":
        raise AskedWrongly(detail)
    return _refused(call, code if code in (*CODES, *DOOR_CODES) else "failed", detail)


def _refused(call: _Call[G], code: str, reason: str) -> G:
    empty = call.nothing()
    empty.refused, empty.code = reason, cast(DoorCode, code)
    return empty


def _hits(body: Mapping[str, Any]) -> SearchResult:
    result = SearchResult(_hit(one) for one in body["hits"])
    result.cursor, result.changed = body.get("cursor"), bool(body.get("changed"))
    return result


def _hit(body: Mapping[str, Any]) -> Hit:
    given = {name: value for name, value in body.items() if name in _FIELDS}
    modified, newer = given.get("modified"), given.get("newer_version")
    given |= {
        "heading_path": tuple(given["heading_path"]),
        "modified": datetime.fromisoformat(modified) if modified else None,
        "metadata": {name: tuple(values) for name, values in given.get("metadata", {}).items()},
        "highlights": tuple((begin, end) for begin, end in given.get("highlights", ())),
        "newer_version": NewerVersion(newer["key"], newer["title"]) if newer else None,
    }
    return Hit(**given)
