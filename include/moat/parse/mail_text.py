"""The characters of a mail: transfer encodings, charsets, header words and flowed lines."""

import binascii
import codecs
import quopri
import re
from email.message import Message
from email.utils import collapse_rfc2231_value

from moat.errors import ParseFailed
from moat.parse.encoding import decode, label

NAMES = {"ansi": "cp1252", "utf8mb4": "utf-8", "unicode-1-1-utf-7": "utf-7"}  # that only mail programs give
SEVEN_BIT = ("iso-2022", "iso2022", "utf-7", "hz", "csiso2022")  # their bytes are ASCII, and mean something else
WIDE = ("utf-16", "utf16", "utf-32", "utf32", "unicode", "ucs")
ENCODED_WORD = re.compile(r"=\?([^?\s*]+)(?:\*[^?]*)?\?([bBqQ])\?(.*?)\?=")
BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")
BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+=*")
UUENCODED = re.compile(r"^begin [0-7]{3,4} (?P<name>[^\n]+)\n(?P<lines>(?:[ -`][^\n]*\n)*?)`?[ ]?\n?end[ \t]*$", re.MULTILINE)  # fmt: skip


def decoded(content: bytes, charset: str | None) -> str:
    """Decode a mail's text: UTF-8 wherever it fits, then what was declared in its wider form, then a guess."""
    name = (charset or "").strip("\"' ").lower()
    if name in NAMES:
        name = NAMES[name]
    elif not name.startswith(SEVEN_BIT + WIDE):
        name = label(name) or name
    first = (name,) if name.startswith(SEVEN_BIT + WIDE) else ("utf-8-sig",)
    for attempt in first:
        try:
            return content.decode(attempt)
        except (LookupError, UnicodeError):
            pass  # the next is tried
    if not name:
        return decode(content)
    try:
        # Whole UTF-8 with one damaged byte is still UTF-8; in other code pages every byte means something.
        return decode(content) if codecs.lookup(name).name == "utf-8" else content.decode(name, "replace")
    except (LookupError, UnicodeError):
        return decode(content)


def header(message: Message, name: str) -> str:
    """Return a header of a mail as text on one line; "" if it is not there."""
    value = next((v for n, v in message.raw_items() if n.lower() == name), "")
    return header_text(str(value))


def header_text(value: str) -> str:
    """Decode a header's words (RFC 2047), damaged ones and bare 8-bit ones too."""
    if any("\udc80" <= c <= "\udcff" for c in value):
        value = decoded(value.encode("utf-8", "surrogateescape"), None)
    value = BETWEEN_WORDS.sub(r"\1", re.sub(r"[\r\n]+", "", value))
    parts, at, held = list[str](), 0, ("", b"")  # adjacent words of one charset may share a character
    for word in ENCODED_WORD.finditer(value):
        charset, coding, text = word[1].lower(), word[2].lower(), word[3]
        try:
            content = (
                base64_bytes(text.encode())[0]
                if coding == "b"
                else quopri.decodestring(text.replace(" ", "_").encode(), header=True)
            )
        except (binascii.Error, ValueError):
            content = text.encode()
        if (charset, at) == (held[0], word.start()):
            held = (charset, held[1] + content)
        else:
            parts += [_word(*held), value[at : word.start()]]
            held = (charset, content)
        at = word.end()
    parts += [_word(*held), value[at:]]
    return " ".join("".join(parts).split())


def _word(charset: str, content: bytes) -> str:
    try:
        return decoded(content, charset) if content else ""
    except ParseFailed:
        return content.decode("ascii", "replace")


def normal_headers(message: Message) -> None:
    """Decode bare 8-bit characters in the headers that say what a part is, so that they can be read."""
    for name in ("content-type", "content-disposition", "content-transfer-encoding"):
        value = next((v for n, v in message.raw_items() if n.lower() == name), None)
        if isinstance(value, str) and any("\udc80" <= c <= "\udcff" for c in value):
            message.replace_header(name, decoded(value.encode("utf-8", "surrogateescape"), None))


def file_name(part: Message) -> str:
    """Return the name of a part's file, without folders; "" if it has none."""
    try:
        names = [v for k, v in part.get_params([], "content-disposition") if k.lower() == "filename"]
        extended = [v for v in names if isinstance(v, tuple)]  # RFC 2231 wins where both forms are given
        name = (collapse_rfc2231_value(extended[0]) if extended else part.get_filename()) or ""
    except (LookupError, UnicodeError, TypeError, ValueError, AttributeError):
        name = ""
    return re.split(r"[/\\]", header_text(name))[-1].strip("\x00 ")


def content_of(part: Message) -> tuple[bytes, str]:
    """Return the bytes of a part, and text that somebody put behind its base64, such as a list's footer."""
    payload = part.get_payload()
    match str(part.get("content-transfer-encoding", "")).strip(" \t\"';").lower():
        case "base64":
            raw = payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""
            content, rest = base64_bytes(raw)
            return content, rest.decode("utf-8", "replace")
        case "quoted/printable" | "quotedprintable":
            content = _bytes(part.get_payload(decode=True))
            return quopri.decodestring(content), ""
    return _bytes(part.get_payload(decode=True)), ""


def _bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else b""


def base64_bytes(raw: bytes) -> tuple[bytes, bytes]:
    """Decode base64 with junk in it. Returns the bytes, and what stands behind its end."""
    content, pending, rest, ended = list[bytes](), b"", list[bytes](), False
    for line in raw.splitlines():
        line = line.strip()
        if not line or (ended and not BASE64_LINE.fullmatch(line)) or ((content or pending) and b" " in line):
            ended = ended or bool(content or pending)
            rest.append(line)
            continue
        for segment in re.split(rb"(=+)", re.sub(rb"[^A-Za-z0-9+/=]", b"", line)):
            if segment.startswith(b"="):
                content.append(_quads(pending))
                pending, ended = b"", True
            else:
                pending += segment
        keep = len(pending) % 4
        content.append(_quads(pending[: len(pending) - keep]))
        pending = pending[len(pending) - keep :]
    return b"".join([*content, _quads(pending)]), b"\n".join(rest).strip()


def _quads(text: bytes) -> bytes:
    """Decode base64 without padding; a single left character holds no byte."""
    text = text[: len(text) - 1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def unflowed(text: str, delete_space: bool) -> str:
    """Join the lines of format=flowed (RFC 3676) to paragraphs."""
    lines, open_depth = list[str](), -1
    for line in text.split("\n"):
        quoted = re.match(r">*", line)
        marks = quoted[0] if quoted else ""
        body = line[len(marks) :].removesuffix("\r")
        body = body[1:] if body.startswith(" ") else body  # space stuffing
        flows = body.endswith(" ") and body != "-- "
        if open_depth == len(marks) and body != "-- ":
            lines[-1] += body
        else:
            lines.append(f"{marks} {body}" if marks else body)
        if flows and delete_space:
            lines[-1] = lines[-1][:-1]
        open_depth = len(marks) if flows else -1
    return "\n".join(lines)


def uuencoded(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Take uuencoded files out of a text. Returns the rest, and (name, bytes) of each."""
    files = list[tuple[str, bytes]]()

    def taken(found: re.Match[str]) -> str:
        content = b""
        for line in found["lines"].splitlines():
            try:
                content += binascii.a2b_uu(line)
            except binascii.Error:
                try:  # some encoders write a wrong count of padding
                    content += binascii.a2b_uu(line[: ((ord(line[0]) - 32) & 63) * 4 // 3 + 2])
                except binascii.Error:
                    return found[0]
        files.append((found["name"].strip(), content))
        return ""

    if "begin " not in text:
        return text, files
    return UUENCODED.sub(taken, text.replace("\r\n", "\n")), files
