"""Every id and hash, in one place.

Ids derive from the source's own key, never from position, order or vector. Parts of a joined key are
length-prefixed, so that ("ab", "c") and ("a", "bc") stay apart.
"""

import base64
import hashlib
import hmac
from uuid import UUID, uuid5

NAMESPACE = UUID("5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001")


def joined(*parts: str) -> str:
    """Join parts into a string that no other list of parts gives."""
    return "".join(f"{len(part.encode())}:{part}" for part in parts)


def document_id(tenant: str, source: str, key: str) -> str:
    """UUID of a document, stable for as long as its source keeps its key."""
    return str(uuid5(NAMESPACE, joined("document", tenant, source, key)))


def chunk_id(document: str, embedded_text: str, nth: int, shown: tuple[str, ...] = (), secret: str = "") -> str:
    """UUID of a chunk: its document, its text, and what is shown.

    `document` is a `document_id`, so it includes tenant, source and key. `embedded_text` includes the heading
    path, and `nth` tells equal texts of a document apart; so an unchanged chunk keeps its id wherever it moves.
    `shown` is the document's title and metadata, which the index stores and searches with each chunk. When
    they change, the chunk gets a new id and keeps its vector, because a visible object is never rewritten.
    `secret` is the tenant's, of `moat.ledger.id_secret`: without it nobody can tell the id of a text that they
    guess. "" is the digest of ledgers that had loads before they had a secret.
    """
    name = joined("chunk", document, embedded_text, str(nth), *shown)
    if not secret:
        return str(uuid5(NAMESPACE, name))
    return str(UUID(bytes=hmac.digest(secret.encode(), name.encode(), "sha256")[:16], version=5))


def content_hash(content: bytes) -> str:
    """SHA-256 of raw bytes, in hex; a document is parsed again when it changes."""
    return hashlib.sha256(content).hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 of a text, in hex; a text is embedded again when it changes."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(*parts: str) -> str:
    """160-bit digest of the parts, as 32 characters of a-z and 2-7."""
    raw = hashlib.sha256(joined(*parts).encode()).digest()[:20]
    return base64.b32encode(raw).decode().lower()


def is_id(text: str) -> bool:
    """Whether a text is an id as Moat writes them, in either case."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
