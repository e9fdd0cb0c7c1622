"""Take the content out of a signed message (CMS, RFC 5652) without checking its signature."""

from moat.errors import ParseFailed

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
ENVELOPED = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d01091001" + "17"))
MOST_DEPTH = 50


def signed_content(message: bytes) -> bytes:
    """Return what an opaque-signed message holds, a MIME part. Raises ParseFailed if it is encrypted or damaged."""
    try:
        _, outer, _ = _value(message, 0)
        _, kind, at = _value(outer, 0)
        if kind in ENVELOPED:
            raise ParseFailed("it is encrypted; decrypt it at its source")
        if kind != SIGNED_DATA:
            raise ParseFailed("it is no signed message")
        _, signed, _ = _value(_value(outer, at)[1], 0)
        at = 0
        for _ in range(2):  # its version and its digest algorithms
            _, _, at = _value(signed, at)
        _, inner, _ = _value(signed, at)
        _, _, at = _value(inner, 0)
        if at >= len(inner):
            raise ParseFailed("it holds a signature only")
        tag, content, _ = _value(_value(inner, at)[1], 0)
        return _octets(tag, content, 0)
    except IndexError as error:
        raise ParseFailed("its signed message is damaged") from error


def _value(data: bytes, at: int, depth: int = 0) -> tuple[int, bytes, int]:
    """Read one value of BER: its tag, its content and where the next begins. Raises IndexError at the end."""
    tag, length = data[at], data[at + 1]
    at += 2
    if length == 0x80:  # until an end mark
        start = at
        while data[at : at + 2] != b"\0\0":
            if depth == MOST_DEPTH:
                raise IndexError
            _, _, at = _value(data, at, depth + 1)
        return tag, data[start:at], at + 2
    if length > 0x80:
        n = length & 0x7F
        length = int.from_bytes(data[at : at + n], "big")
        at += n
    if at + length > len(data):
        raise IndexError
    return tag, data[at : at + length], at + length


def _octets(tag: int, content: bytes, depth: int) -> bytes:
    """Bytes of an octet string, which may be made of several."""
    if not tag & 0x20 or depth == MOST_DEPTH:
        return content
    parts, at = list[bytes](), 0
    while at < len(content):
        inner, piece, at = _value(content, at)
        parts.append(_octets(inner, piece, depth + 1))
    return b"".join(parts)
