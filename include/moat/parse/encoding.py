"""Decode bytes to text: strict UTF-8 before any declaration or guess."""

import codecs
import re
import unicodedata
from collections import Counter

import webencodings  # type: ignore[import-untyped]

from moat.errors import ParseUndecodable

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What the web means by a name is often more than what Python means by it.
WIDER = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso8859_8",
    "windows-874": "cp874",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
}
NEVER = {"utf_7", "utf-7", "unicode-1-1-utf-7", "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"}
WIDE = ("utf-16", "utf-32", "utf_16", "utf_32")
STATES = {"iso2022_jp", "iso-2022-jp", "iso2022_kr", "hz", "iso2022_jp_2"}  # of seven bits, so they pass as UTF-8
XML_SAYS = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9_.:-]+)""")
META_SAYS = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
CSS_SAYS = re.compile(rb"""^@charset "([A-Za-z0-9_.:-]+)";""")
REMARK = re.compile(rb"<!--.*?-->", re.DOTALL)
JAPANESE = re.compile(rb"\x1b\$[@B].*\x1b\([BJ]", re.DOTALL)
CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f]")
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
    "cp949",
]
SAMPLE = 64 << 10  # bytes that a guess reads
HEAD = 8 << 10  # bytes in which markup declares its encoding
MOST_DAMAGE = 0.02  # of the characters, that a declared encoding may fail to read
MARKS = "\n\r \u3000\u3001\u3002\uff0c\uff1a\u060c\u0964"  # every text has some, and no other encoding makes them
SHOWN = {"L", "M", "N", "P", "S", "Z"}


def decode(content: bytes, markup: bool = False, declared: str | None = None) -> str:
    """Decode bytes to text. Raises ParseUndecodable if no encoding fits.

    In order: a byte order mark, strict UTF-8, what the sender declares, what markup declares, UTF-16 without a mark,
    UTF-8 with a few damaged bytes (each becomes U+FFFD), and last a guess. Of declarations, names mean what they mean
    on the web: latin-1 is windows-1252.
    """
    for mark, name in BOMS:
        if content.startswith(mark):
            return content.decode(name, "replace")
    said = (declared, _said(content) if markup else None)
    known = [found for found in (label(one) for one in said if one) if found]
    if state := next((found for found in known if found in STATES and (b"\x1b" in content or b"~{" in content)), None):
        return content.decode(state, "replace")
    if JAPANESE.search(content[:SAMPLE]):
        return content.decode("iso2022_jp", "replace")
    try:
        return _text(content.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    for name in known:
        if not name.startswith(WIDE) and (text := _as_declared(content, name)) is not None:
            return text
    if wide := _wide(content):
        return _text(content.decode(wide, "replace"))
    if _damaged_utf8(content):
        return _text(content.decode("utf-8", "replace"))
    return _text(_guessed(content))


def label(name: str) -> str | None:
    """Return Python's name of an encoding, as the web's standard reads the label; None if there is none."""
    plain = name.strip().strip("\"'").lower()
    try:
        found = codecs.lookup(plain).name
    except (LookupError, ValueError):
        found = ""
    known = webencodings.lookup(plain) or webencodings.lookup(found)
    if known is not None and known.name != "replacement":  # which browsers refuse, and mail has
        return WIDER.get(known.name, str(known.name))
    if not found or found in NEVER or not codecs.lookup(found)._is_text_encoding:
        return None
    return found


def _said(content: bytes) -> str | None:
    """Encoding that markup declares in its first bytes."""
    head = REMARK.sub(b"", content[:HEAD])
    found = XML_SAYS.search(head) or META_SAYS.search(head) or CSS_SAYS.search(head)
    return found[1].decode("ascii") if found else None


def _as_declared(content: bytes, name: str) -> str | None:
    """Text in a declared encoding, unless the bytes speak against it."""
    try:
        return _text(content.decode(name))
    except UnicodeDecodeError:
        text = content.decode(name, "replace")
    except LookupError:
        return None
    lost = text.count("\ufffd")
    return _text(text) if lost <= max(1, MOST_DAMAGE * sum(1 for c in text if c > "\x7f")) else None


def _text(text: str) -> str:
    """Return the text unless it is binary data, which decodes to control characters."""
    head = text[:SAMPLE]
    control = len(CONTROL.findall(head))
    if control and (wide := _wide(head.encode("utf-8", "surrogatepass"))):
        return text.encode("utf-8", "surrogatepass").decode(wide, "replace")
    if control > max(8, len(head) // 8):
        raise ParseUndecodable(
            f"it is binary data of an unknown kind ({control:,} control characters in its first {len(head):,})"
        )
    return text


def _wide(content: bytes) -> str | None:
    """Detect UTF-16 without a mark.

    Spaces, line ends and wide full stops are at home in every text, and made of bytes that no text of another
    encoding has beside each other.
    """
    head = content[: min(SAMPLE, len(content) & ~1)]
    if len(head) < 4:
        return None
    best, share = None, 0.0
    for name in ("utf-16-le", "utf-16-be"):
        text = head.decode(name, "ignore")
        if len(text) < 0.97 * len(head) / 2:
            continue
        counts = Counter(text)
        marks = sum(counts[mark] for mark in MARKS) / len(text)
        strange = sum(
            n for c, n in counts.items() if unicodedata.category(c)[0] not in SHOWN and c not in "\n\r\t\f\x0b\u200c"
        )
        latin = sum(n for c, n in counts.items() if c < "\x7f") / len(text)
        if strange <= 0.02 * len(text) and max(marks, latin if latin > 0.6 else 0.0) > max(share, 0.01):
            best, share = name, max(marks, latin)
    return best


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
