"""Requests to an embedder over TCP, encrypted with the key that both sides know.

Whoever else holds the port can read neither key nor texts, and cannot choose the vectors: an answer that is not
made with the key, for this very request, is refused. docs/adr/0027 says why this and not TLS.

    sealed = salt of 32 bytes | AES-256-GCM of the plain bytes, by a key of this message alone
    plain  = length of the head in 4 bytes | head, JSON | body
"""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moat.answered import shown
from moat.errors import EmbedderUnavailable

PATH = "/sealed"
SALT = 32  # bytes
OVERHEAD = 16_384  # bytes that head, salt and tag may add to a body
NONCE = bytes(12)  # the message's key is used once
Direction = Literal["request", "answer"]


@dataclass(frozen=True, slots=True)
class Message:
    """The plain form of a request or answer."""

    head: Mapping[str, Any]
    body: bytes = field(repr=False)

    def packed(self) -> bytes:
        head = json.dumps(dict(self.head)).encode()
        return len(head).to_bytes(4, "big") + head + self.body


def seal(key: str, direction: Direction, message: Message, answering: bytes = b"") -> bytes:
    """Encrypt a message; an answer is bound to the sealed request that it answers."""
    salt = os.urandom(SALT)
    return salt + _cipher(key, direction, salt).encrypt(NONCE, message.packed(), answering[:SALT])


def unseal(key: str, direction: Direction, content: bytes, answering: bytes = b"") -> Message:
    """Decrypt a message. Raises ValueError for bytes that were not made with this key, or were changed."""
    salt, rest = content[:SALT], content[SALT:]
    try:
        plain = _cipher(key, direction, salt).decrypt(NONCE, rest, answering[:SALT])
    except (InvalidTag, ValueError):
        raise ValueError("not made with this key") from None
    end = 4 + int.from_bytes(plain[:4], "big")
    return Message(json.loads(plain[4:end]), plain[end:])


def _cipher(key: str, direction: Direction, salt: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key.encode(), f"moat embedder {direction}".encode() + salt, "sha256"))


class SealedTransport(httpx.BaseTransport):
    """An httpx transport that seals every request and opens every answer.

    Raises EmbedderUnavailable if the server does not know the key; then it has read nothing.
    """

    def __init__(self, key: str, inner: httpx.BaseTransport) -> None:
        self._key, self._inner = key, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = {"method": request.method, "path": request.url.path, "headers": _sent(request.headers)}
        sealed = seal(self._key, "request", Message(head, request.read()))
        outer = httpx.Request("POST", request.url.copy_with(path=PATH), content=sealed, extensions=request.extensions)
        answer = self._inner.handle_request(outer)
        try:
            content = answer.read()
        finally:
            answer.close()
        if answer.status_code in (401, 404, 405):
            raise EmbedderUnavailable(_stranger(request, answer))
        if answer.status_code != 200:  # busy or too large: anybody could say so, and no more than the status is taken
            return httpx.Response(answer.status_code, headers=_kept(answer.headers), request=request)
        try:
            opened = unseal(self._key, "answer", content, sealed)
        except ValueError:
            raise EmbedderUnavailable(_stranger(request, answer)) from None
        return httpx.Response(
            opened.head["status"], headers=opened.head["headers"], content=opened.body, request=request
        )

    def close(self) -> None:
        self._inner.close()


def _sent(headers: httpx.Headers) -> dict[str, str]:
    """Moat's own headers, and what the body is."""
    return {name: value for name, value in headers.items() if name.startswith("x-moat-") or name == "content-type"}


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {"retry-after": headers["retry-after"]} if "retry-after" in headers else {}


def _stranger(request: httpx.Request, answer: httpx.Response) -> str:
    return (
        f"what answers at {request.url.host}:{request.url.port} does not know the embedder's key, and was sent nothing "
        f"that it can read: something else holds the port, or MOAT_EMBEDDER_KEY differs. It answered {shown(answer)}"
    )
