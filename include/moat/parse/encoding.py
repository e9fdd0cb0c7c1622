"""Decode bytes to text: strict UTF-8 before any guess."""

import codecs
import re

from moat.errors import ParseUndecodable

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([A-Za-z0-9_.:-]+)""")
LIKELY = [
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "koi8_r",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
]
SAMPLE = 64 << 10  # bytes that a guess reads


def decode(content: bytes, markup: bool = False) -> str:
    """Decode bytes to text. Raises ParseUndecodable if no encoding fits.

    In order: a byte order mark, strict UTF-8, what markup declares, UTF-16 without a mark, UTF-8 with a few
    damaged bytes (each becomes U+FFFD), and last a guess.
    """
    for mark, name in BOMS:
        if content.startswith(mark):
            return content.decode(name, "replace")
    try:
        return _text(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if markup and (declared := DECLARED.search(content[:2048])):
        try:
            return _text(content.decode(declared[1].decode()))
        except (LookupError, UnicodeDecodeError):
            pass  # its declaration is wrong
    if wide := _wide(content):
        return _text(content.decode(wide, "replace"))
    if _damaged_utf8(content):
        return _text(content.decode("utf-8", "replace"))
    return _text(_guessed(content))


def _text(text: str) -> str:
    """Return the text unless it is binary data, which decodes to control characters."""
    head = text[:SAMPLE]
    control = sum(1 for c in head if ord(c) < 32 and c not in "\t\n\r\f\x0b\x1b")
    if "\0" in head and (wide := _wide(head.encode())):
        return text.encode().decode(wide, "replace")
    if control > max(8, len(head) // 8):
        raise ParseUndecodable(
            f"it is binary data of an unknown kind ({control:,} control characters in its first {len(head):,})"
        )
    return text


def _wide(content: bytes) -> str | None:
    """Detect UTF-16 without a mark by its zeros: nearly every second byte of Latin text."""
    head = content[:SAMPLE]
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0) / len(head[0::2]), head[1::2].count(0) / len(head[1::2])
    if odd > 0.6 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.1 else None


def _damaged_utf8(content: bytes) -> bool:
    """Whether valid multi-byte sequences far outnumber the invalid bytes."""
    text = content[:SAMPLE].decode("utf-8", "surrogateescape")
    invalid = sum(1 for c in text if "\udc80" <= c <= "\udcff")
    valid = sum(1 for c in text if c > "\x7f") - invalid
    return valid > 4 * invalid


def _guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes

    found = from_bytes(content[:SAMPLE], cp_isolation=LIKELY)
    best = found.best()
    if best is None:
        raise ParseUndecodable("it is no text in any encoding that can be told; convert it to UTF-8")
    # Single-byte code pages are often equally likely; prefer the most common one.
    western = any(match.encoding == "cp1252" and match.chaos <= best.chaos + 0.03 for match in found)
    return content.decode("cp1252" if western else best.encoding, "replace")
