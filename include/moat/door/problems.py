"""Answers that are none, as RFC 9457 writes them, with the codes that refusals carry.

What they say is of the request alone. Why a server behind the door failed stands in the log, under the request's id.
"""

from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from moat.errors import DoorRefused
from moat.search.asked_by import ASKED_BY

MEDIA_TYPE = "application/problem+json"
MOST_DETAIL = 1_000  # characters


class Kind(NamedTuple):
    """A kind of problem: its status, and what it says where nothing more is known."""

    status: int
    title: str
    detail: str


LATER = "Try again in a moment; the log of the door has the reason under the request's id."
KINDS: dict[str, Kind] = {
    # Codes of the retriever's refusals.
    "unknown_asker": Kind(401, "Nobody knows the asker", "The token holds, and its person is in no group and in no policy."),
    "token_refused": Kind(401, "The token does not hold", "It is forged, expired, or not meant for this door: sign in again."),
    "too_many_principals": Kind(403, "The asker is in too many groups", "A query cannot carry them: give it fewer groups."),
    "cursor_refused": Kind(400, "The cursor is refused", "It was changed, or is of another asker, question or filter: ask for the first page again."),
    "cursor_expired": Kind(410, "The cursor is too old", "Ask for the first page again."),
    "directory_stale": Kind(503, "The directory of people is too old", LATER),
    "timeout": Kind(504, "It took too long", "Nothing was answered in time. Try again in a moment."),
    "index_unavailable": Kind(503, "The index does not answer", LATER),
    "embedder_unavailable": Kind(503, "The embedder does not answer", LATER),
    "ledger_unavailable": Kind(503, "The ledger does not answer", LATER),
    "failed": Kind(500, "The query failed", "The log of the door has the reason under the request's id."),
    # Codes of the door.
    "token_missing": Kind(401, "No token", "Send the asker's JWT: Authorization: Bearer …"),
    "asked_wrongly": Kind(422, "The request is wrong", "A value is missing or wrong."),
    "not_allowed": Kind(403, "Not allowed", "Only those whom MOAT_DOOR_OPERATORS names may ask this."),
    "not_on_behalf": Kind(403, "Not on behalf of others", "Only services that MOAT_DOOR_SERVICES names may ask on behalf of somebody."),
    "not_found": Kind(404, "Not found", "There is nothing of this name that the asker may read."),
    "too_many_requests": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "busy": Kind(503, "The door is busy", "As many requests as it takes are waiting already. Try again in a moment."),
    "too_large": Kind(413, "The request is too large", "Send less at a time."),
    "too_slow": Kind(408, "The request was not sent in time", "Send its body at once."),
    "wrong_host": Kind(421, "Another host", "The door does not answer under this name: MOAT_DOOR_URL is its address."),
    "wrong_origin": Kind(403, "Another origin", "A page of another origin may not ask the door."),
}  # fmt: skip
RETRY_S = {"busy": 1, "index_unavailable": 5, "embedder_unavailable": 5, "ledger_unavailable": 5, "directory_stale": 60}


def kind_of(refused: DoorRefused) -> Kind:
    """The kind of problem that a refusal is."""
    return KINDS[refused.code]


def problem_of(refused: DoorRefused) -> dict[str, Any]:
    """A refusal as a body of JSON."""
    kind = kind_of(refused)
    return body_of(kind.status, refused.code, kind.title, (refused.detail or kind.detail)[:MOST_DETAIL])


def headers_of(refused: DoorRefused) -> dict[str, str]:
    """Headers of a refusal's answer, but for WWW-Authenticate."""
    retry_s = refused.retry_s or RETRY_S.get(refused.code, 0)
    return {"retry-after": str(retry_s)} if retry_s else {}


def body_of(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    """A problem of any kind as a body of JSON."""
    known = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return {**known, "request_id": ASKED_BY.get().get("request", "")}


class ProblemBody(BaseModel):
    """Why there is no answer, as RFC 9457 writes it."""

    type: str = Field(description="Always about:blank: the code tells kinds of problems apart.")
    title: str = Field(description="The kind of problem in words, the same for each of its kind.")
    status: int = Field(description="The status of HTTP.")
    detail: str = Field(description="What is wrong and what to do, for a person.")
    code: str = Field(description="The kind of problem for a program; codes stay as they are.")
    request_id: str = Field(description="The request's id, under which the door's log and audit have it.")
