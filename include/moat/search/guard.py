"""The guard around every query.

It limits time, and turns any error into an empty result and an audit entry, but that of a program which asks wrongly.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TypeVar

from moat.errors import (
    AccessUnknown,
    AskedWrongly,
    CursorRefused,
    DirectoryStale,
    MoatError,
    TokenRefused,
    TooManyPrincipals,
)
from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.search.asked_by import ASKED_BY
from moat.search.refusals import code_of
from moat.search.result_types import Refusable
from moat.threads import in_thread

log = logging.getLogger(__name__)

AT_ONCE = 64  # parallel queries of one retriever
AUDIT_S = 2.0  # that a result waits for its audit entry; a locked ledger takes it later
DENIED = (
    AccessUnknown,
    TokenRefused,
    DirectoryStale,
    TooManyPrincipals,
    CursorRefused,
)  # about the asker; any other is a failure


G = TypeVar("G", bound=Refusable)


@dataclass(slots=True)
class Asking:
    """A query under way, as the audit records it."""

    who: str  # as claimed, then as verified
    query: str  # search, get, count or aggregate
    secrets: Sequence[str]  # texts that neither log nor audit may hold


class Guard:
    """Returns a result in time, or the empty one; safe to use from several threads."""

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger, self._seconds = ledger, seconds
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def kept(self, asking: Asking, work: Callable[[], G], nothing: Callable[[], G]) -> G:
        """Run the work. Raises AskedWrongly, and nothing else.

        After any other error or a timeout it returns `nothing` with `refused` and `code` set.
        """
        try:
            return self._in_time(work)
        except AskedWrongly:
            raise
        except Exception as error:  # noqa: BLE001  any failure gives an empty result rather than too much
            empty = nothing()
            empty.refused, empty.code = self._told(asking, error), code_of(error)
            return empty

    def _in_time(self, work: Callable[[], G]) -> G:
        """Run the work in a thread, and raise TimeoutError at the limit."""
        late = TimeoutError(f"it took longer than MOAT_SEARCH_TIMEOUT_S, {self._seconds:g} s")
        deadline = time.monotonic() + self._seconds
        if not self._slots.acquire(timeout=self._seconds):
            raise late

        def releasing() -> G:
            try:
                return work()
            finally:
                self._slots.release()

        answer = in_thread(releasing, "moat-query")
        if not wait([answer], timeout=max(0.0, deadline - time.monotonic())).done:
            raise late
        return answer.result()

    def _told(self, asking: Asking, error: Exception) -> str:
        """Log and audit why a query was refused; return the reason.

        Neither question nor token is in it.
        """
        action = "query denied" if isinstance(error, DENIED) else "query failed"
        own = isinstance(error, MoatError | TimeoutError)  # a library's own words may quote the question
        reason = f"{type(error).__name__}: {error}" if own else type(error).__name__
        for secret in asking.secrets:
            if len(secret) > 2:
                reason = reason.replace(secret, "…")
        known = ASKED_BY.get()
        beside = "".join(f" {name}={value}" for name, value in known.items())
        log.warning("%s: %s for %s: %s", f"{action}{beside}", asking.query, asking.who, reason)
        detail = {"query": asking.query, "error": type(error).__name__, "reason": reason[:500], **known}
        line = threading.Thread(target=self._record, args=(asking.who[:512], action, detail), daemon=True)
        line.start()
        line.join(AUDIT_S)
        if line.is_alive():
            log.error("the audit line waits for the ledger")
        return reason

    def _record(self, who: str, action: str, detail: dict[str, str]) -> None:
        try:
            with self._ledger.write() as connection:
                record(
                    connection, self._ledger.tenant, actor=who, action=action, subject=detail["query"], detail=detail
                )
        except Exception as unheard:  # noqa: BLE001  the ledger itself may have failed; the result stays empty
            log.error("no audit line could be written: %s", type(unheard).__name__)
