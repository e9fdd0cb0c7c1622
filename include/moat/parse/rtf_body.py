"""The formatted text of Outlook's mail: compressed RTF (MS-OXRTFCP), and HTML inside it (MS-OXRTFEX)."""

import re
import struct

from moat.errors import ParseFailed

PRELOADED = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
COMPRESSED, PLAIN = 0x75465A4C, 0x414C454D
WINDOW = 4096
TOKEN = re.compile(rb"\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<word>[A-Za-z]+)(?P<number>-?\d+)? ?|\\(?P<sign>[^A-Za-z])|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)", re.DOTALL)  # fmt: skip
UNSEEN = {b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"generator", b"pntext", b"themedata"}
ENDS = {b"par": "\n", b"line": "\n", b"tab": "\t", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“",
        b"rdblquote": "”", b"bullet": "•", b"endash": "–", b"emdash": "—"}  # fmt: skip


def unpacked(packed: bytes, limit: int) -> bytes:
    """Unpack compressed RTF. Raises ParseFailed if it is damaged or grows past `limit` bytes."""
    if len(packed) < 16:
        raise ParseFailed("its compressed RTF is damaged")
    _, size, kind, _ = struct.unpack("<IIII", packed[:16])
    if kind == PLAIN:
        return packed[16 : 16 + size]
    if kind != COMPRESSED:
        raise ParseFailed("its compressed RTF is of an unknown kind")
    if size > limit:
        raise ParseFailed(f"its RTF unpacks to {size:,} bytes, {limit:,} are allowed")
    window = bytearray(PRELOADED.ljust(WINDOW, b"\0"))
    place, at, out = len(PRELOADED), 16, bytearray()
    while at < len(packed) and len(out) <= size:
        flags, at = packed[at], at + 1
        for bit in range(8):
            if at >= len(packed):
                break
            if flags >> bit & 1:
                if at + 1 >= len(packed):
                    break
                word, at = packed[at] << 8 | packed[at + 1], at + 2
                start, length = word >> 4, (word & 15) + 2
                if start == place % WINDOW:
                    return bytes(out)
                copied = [start + n for n in range(length)]
            else:
                window[place % WINDOW] = packed[at]
                out.append(packed[at])
                place, at = place + 1, at + 1
                continue
            for source in copied:
                byte = window[source % WINDOW]
                window[place % WINDOW] = byte
                out.append(byte)
                place += 1
    return bytes(out[:size] if size else out)


def html_in_rtf(rtf: bytes) -> str:
    """Return the HTML that Outlook wrapped in RTF; "" if it was never HTML."""
    if b"\\fromhtml1" not in rtf[:2048]:
        return ""
    found = re.search(rb"\\ansicpg(\d+)", rtf[:2048])
    codec = f"cp{int(found[1])}" if found and found[1] != b"65001" else "utf-8"
    try:
        "".encode(codec)
    except LookupError:
        codec = "cp1252"
    out, held = list[str](), bytearray()
    stack = list[tuple[bool, bool]]()  # of each open group: whether it is HTML's tag, whether it is unseen
    tag = unseen = rtf_only = starred = False
    skip = 0
    for token in TOKEN.finditer(rtf):
        if token["hex"] and not (unseen or rtf_only) and skip == 0:
            held.append(int(token["hex"], 16))
            continue
        if token["hex"]:
            skip = max(0, skip - 1)
            continue
        out.append(held.decode(codec, "replace"))
        held.clear()
        if token["brace"] == b"{":
            stack.append((tag, unseen))
        elif token["brace"] == b"}":
            tag, unseen = stack.pop() if stack else (False, False)
        elif token["sign"] == b"*":
            starred = True
            continue
        elif word := token["word"]:
            if word == b"htmltag":
                tag, unseen = True, False
            elif word in UNSEEN or (starred and word != b"htmltag"):
                unseen = True
            elif word == b"htmlrtf":
                rtf_only = token["number"] != b"0"
            elif not (unseen or rtf_only) and word == b"u" and token["number"]:
                out.append(chr(int(token["number"]) % 65536))
                skip = 1
            elif not (unseen or rtf_only):
                out.append(ENDS.get(word, ""))
        elif not (unseen or rtf_only):
            if sign := token["sign"]:
                out.append(
                    {b"~": "\u00a0", b"_": "\u2011"}.get(sign, sign.decode("latin-1") if sign in b"\\{}" else "")
                )
            elif token["text"]:
                out.append(token["text"].decode(codec, "replace")[skip:])
                skip = 0
        starred = False
    return "".join([*out, held.decode(codec, "replace")]).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
