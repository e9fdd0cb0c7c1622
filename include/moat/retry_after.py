"""Wait for a server that asks to slow down, as it asks for it."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from moat.errors import RetriableError, SourceUnavailable

TRIES = 5
LONGEST_WAIT_S = 60.0  # for one try; a server that asks for more is tried again by the next run


class Answer(Protocol):
    """An answer of HTTP, as httpx and requests have it."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


T = TypeVar("T", bound=Answer)


def answered(
    ask: Callable[[], T], what: str, *, tries: int = TRIES, error: type[RetriableError] = SourceUnavailable
) -> T:
    """Ask until the server has time: 429 and statuses from 500 up are asked again, after `Retry-After`.

    Args:
        ask: Sends the request once.
        what: Subject of the error's message, such as "source wiki: /pages".
        tries: Times that it is asked.
        error: What is raised.

    Returns:
        The first answer of another status, whatever that is.

    Raises:
        SourceUnavailable: It had no time, so many times; or what `error` names.

    Example:
        One page of a listing:

            answer = answered(lambda: http.get("/pages", params={"start": start}), f"source {reading.source}: /pages")
    """
    for attempt in range(1, tries + 1):
        answer = ask()
        if answer.status_code != 429 and answer.status_code < 500:
            return answer
        if attempt < tries:
            time.sleep(wait_s(answer.headers.get("retry-after"), attempt))
    raise error(f"{what} answered {answer.status_code}, {tries} times")


def wait_s(retry_after: str | None, attempt: int) -> float:
    """Seconds until the next try, by the header, a number or a date; without a right one, 1, 2, 4 and so on."""
    try:
        seconds = float(retry_after or 2 ** (attempt - 1))
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after or "") - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = 2.0 ** (attempt - 1)
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else 2.0 ** (attempt - 1)
