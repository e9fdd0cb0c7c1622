"""The desk of the door: takes a question of HTTP or MCP to the retriever, and its answer back, or a problem.

Every way of asking goes through `ask`, so that each has the same limits and the same codes.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection

from moat.async_retrieve import AsyncRetriever
from moat.door.callers import Caller, Callers, principals_in
from moat.door.counters import Counters
from moat.door.limits import Turns
from moat.errors import (
    AccessUnknown,
    AskedWrongly,
    DoorRefused,
    LedgerError,
    LedgerUnavailable,
    MoatError,
)
from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.ledger.feedback import Said, give
from moat.ledger.former_names import document_ids
from moat.ledger.members import Expansions
from moat.ledger.metrics import last_read
from moat.search.asked_by import ASKED_BY, asked_by
from moat.search.askers import Asker
from moat.search.explain_access import Why, why
from moat.search.identity import identified, principals
from moat.search.jwt import Verifier
from moat.search.result_types import Refusable
from moat.settings import Settings

G = TypeVar("G", bound=Refusable)
T = TypeVar("T")
MARGIN_S = 1.0  # beyond the retriever's own limit, so that its refusal comes first and is audited
WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?=$|[,;\s])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as the desk sees it.

    Attributes:
        headers: Its headers, by their names in lower case.
        address: Where it comes from.
        told: What the log line of the request will have.
    """

    headers: Mapping[str, str]
    address: str
    told: MutableMapping[str, Any]


def asking_of(request: HTTPConnection) -> Asking:
    """A request as the desk sees it."""
    headers = {name: ", ".join(request.headers.getlist(name)) for name in request.headers}
    return Asking(headers, request.client.host if request.client else "", request.scope["moat"])


@dataclass(frozen=True, slots=True)
class Holding:
    """What of a source an asker may read."""

    source: str
    documents: int
    chunks: int
    read_at: datetime | None  # when the source was last read to its end


class Desk:
    """Answers requests by one retriever.

    Args:
        settings: Settings of this process.
        retriever: What answers.
        ledger: The tenant's ledger, for what operators ask.
        person: Who asks where a request has no token, for development; empty: nobody.
    """

    def __init__(self, settings: Settings, retriever: AsyncRetriever, ledger: Ledger, person: str = "") -> None:
        self.settings, self.retriever, self.ledger = settings, retriever, ledger
        self.callers, self.counters = Callers(settings, person), Counters()
        self._turns = Turns(settings.door_at_once)
        self._operators = frozenset(principals_in("door_operators", settings.door_operators))
        self._verifier, self._expansions = Verifier(settings), Expansions(ledger, settings.principals_cache_s)

    async def ask(self, asking: Asking, work: Callable[[Asker], Awaitable[G]]) -> G:
        """Ask the retriever for whoever makes the request. Raises DoorRefused for whatever is no answer."""
        caller = await self._caller(asking)

        async def asked() -> G:
            with asked_by(request=asking.told["request"], by=caller.by):
                return await work(caller.asker)

        try:
            found = await self._turns.run(asked, self._deadline_s(asking))
        except AskedWrongly as wrong:
            raise DoorRefused("asked_wrongly", str(wrong)) from None
        if found.code is not None:
            raise DoorRefused(found.code)
        return found

    async def holdings(self, asking: Asking) -> list[Holding]:
        """What of each source the asker may read, and how fresh it is; of others nothing is said."""
        shares = await self.ask(asking, lambda who: self.retriever.aggregate(who, "source"))
        read_at = await self._of_the_ledger(lambda: last_read(self.ledger))
        return [Holding(name, n.documents, n.chunks, read_at.get(name)) for name, n in shares.items()]

    async def feedback(self, asking: Asking, said: Said) -> None:
        """Keep what an asker says of a passage. Raises DoorRefused with `not_found` for one that they may not read."""
        found = await self.ask(asking, lambda who: self.retriever.get([said.chunk_id], who))
        if not found:
            raise DoorRefused("not_found")
        (hit,), caller = found, await self._caller(asking)
        document = await self._of_the_ledger(lambda: document_ids(self.ledger, hit.source, [hit.document_key])[0])
        said = replace(said, chunk_id=hit.chunk_id)  # as the ledger writes it
        await self._of_the_ledger(lambda: give(self.ledger, caller.name, document, said))

    async def why(self, asking: Asking, document: tuple[str, str], asker: str) -> Why:
        """Tell an operator why somebody may or may not read a document, and record that it was asked.

        Raises:
            DoorRefused: `not_allowed` for everybody else, whatever the document is; `not_found`.
        """
        caller = await self._caller(asking)
        if not caller.name:  # the retriever refuses the token, and the audit has it
            await self.ask(asking, lambda who: self.retriever.get([], who))

        def told() -> Why:
            try:
                if not self._operates(caller):
                    raise DoorRefused("not_allowed")
                self._record(caller, "access explained", "/".join(document), {"of": asker[:512]})
                return why(self.ledger, document, asker, self.settings)
            except AskedWrongly:
                raise DoorRefused("not_found") from None

        return await self._turns.run(lambda: self._of_the_ledger(told), self._deadline_s(asking))

    async def _caller(self, asking: Asking) -> Caller:
        """Who makes the request, found and counted once however often it is asked for."""
        if "caller" not in asking.told:
            asking.told["caller"] = caller = await self.callers.of(asking.headers, asking.address)
            asking.told["who"] = f"{caller.name} by {caller.by}" if caller.by else caller.name
        found: Caller = asking.told["caller"]
        return found

    async def _of_the_ledger(self, work: Callable[[], T]) -> T:
        """Do some work of the ledger's in a thread. Raises DoorRefused where it does not answer."""
        try:
            return await asyncio.to_thread(work)
        except (LedgerError, LedgerUnavailable, SQLAlchemyError):
            raise DoorRefused("ledger_unavailable") from None

    def _operates(self, caller: Caller) -> bool:
        """Whether somebody is an operator, by name or by group; whoever asks for another is not."""
        if not caller.name or caller.by or not self._operators:
            return False
        try:
            with self.ledger.read() as connection:
                who = identified(caller.asker, self._verifier)
                return bool(self._operators & {who.name, *principals(connection, self._expansions, who)})
        except AccessUnknown:
            return caller.name in self._operators
        except MoatError:
            return False

    def _record(self, caller: Caller, action: str, subject: str, detail: Mapping[str, str]) -> None:
        with self.ledger.write() as connection:
            known = {**detail, **ASKED_BY.get()}
            record(
                connection, self.ledger.tenant, actor=caller.name, action=action, subject=subject[:512], detail=known
            )

    def _deadline_s(self, asking: Asking) -> float:
        """Seconds that an answer may take: what the request asks for by `Prefer: wait=…`, at most the settings' own."""
        most, wanted = self.settings.search_timeout_s + MARGIN_S, WAIT.search(asking.headers.get("prefer", ""))
        return min(most, max(1, int(wanted[1]))) if wanted else most
