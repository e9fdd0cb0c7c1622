"""Split RTF into its control words, bytes of text and braces."""

import re
from collections.abc import Iterator
from typing import NamedTuple

PIECE = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\", re.DOTALL
)
CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
PAGES = {10000: "mac_roman", 65001: "utf-8", 936: "gb18030"}
LETTERS = {
    "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
    "tab": "\t", "line": "\n", "lbr": "\n", "emspace": " ", "enspace": " ", "qmspace": " ", "column": "\n",
    "softline": "\n", "zwj": "\u200d", "zwnj": "\u200c", "ltrmark": "", "rtlmark": "",
}  # fmt: skip


class Token(NamedTuple):
    """A piece of RTF: a control word with its number, a control sign, bytes of text, or a brace."""

    kind: str  # word, sign, hex, text, open, close
    name: str = ""
    number: int | None = None
    data: bytes = b""


def tokens(content: bytes) -> Iterator[Token]:
    """Yield the pieces of RTF in order; bytes of `bin` are left out."""
    at = 0
    while found := PIECE.match(content, at):
        at = found.end()
        word, number, code, sign, brace, text = found.groups()
        if word:
            name = word.decode("ascii")
            if name == "bin":
                at += max(0, int(number or 0))
            yield Token("word", name, int(number) if number else None)
        elif code:
            yield Token("hex", data=bytes.fromhex(code.decode("ascii")))
        elif sign:
            yield Token("sign", sign.decode("latin-1"))
        elif brace:
            yield Token("open" if brace == b"{" else "close")
        elif text:
            yield Token("text", data=text)


def codec(number: int | None) -> str:
    """Name of a code page's codec; that of Western Europe if it is unknown."""
    import codecs

    name = PAGES.get(number or 0, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
