"""Every id and hash, in one place.

Ids come only from the source's own key: never from position, content order or vector. Parts of a
joined key are length-prefixed, so that ("ab", "c") and ("a", "bc") stay apart.
"""

import base64
import hashlib
from uuid import UUID, uuid5

NAMESPACE = UUID("5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001")


def joined(*parts: str) -> str:
    """The parts as one string that no other list of parts gives."""
    return "".join(f"{len(part.encode())}:{part}" for part in parts)


def document_id(tenant: str, source: str, key: str) -> str:
    """UUID of a document: the same for as long as its source calls it by the same key."""
    return str(uuid5(NAMESPACE, joined("document", tenant, source, key)))


def chunk_id(document: str, embedded_text: str, nth: int, shown: tuple[str, ...] = ()) -> str:
    """UUID of a chunk: its document, its text with heading path, which of equal texts it is, what is shown with it.

    `document` is a `document_id`, so tenant, source and key are inside it. An unchanged chunk of a
    changed document keeps its id, wherever it moved to. `shown` is the document's title and
    metadata, which the index holds with each chunk and searches by: an object is never changed
    under those who may see it, so where these move, it is another object, with the same vector.
    """
    return str(uuid5(NAMESPACE, joined("chunk", document, embedded_text, str(nth), *shown)))


def content_hash(content: bytes) -> str:
    """SHA-256 of raw bytes, hexadecimal: decides whether a document is parsed again."""
    return hashlib.sha256(content).hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 of a text, hexadecimal: decides whether it is embedded again."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(*parts: str) -> str:
    """160 bits over the parts, as 32 characters of a-z and 2-7: what tokens and policies are named by."""
    raw = hashlib.sha256(joined(*parts).encode()).digest()[:20]
    return base64.b32encode(raw).decode().lower()


def is_id(text: str) -> bool:
    """Whether a text is an id as Moat writes them, in upper or lower case."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
