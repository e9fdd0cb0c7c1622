"""What Outlook writes: properties of mails and attachments, and how one becomes text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from moat.errors import ParseFailed
from moat.parse.encoding import decode
from moat.parse.mail_text import decoded

SUBJECT, BODY, HTML, RTF = 0x0037, 0x1000, 0x1013, 0x1009
DATA, FILE_NAME, LONG_FILE_NAME, DISPLAY_NAME, MIME_TAG = 0x3701, 0x3704, 0x3707, 0x3001, 0x370E
CONTENT_ID = 0x3712
MESSAGE_CODEPAGE, INTERNET_CODEPAGE = 0x3FFD, 0x3FDE
TEXT8, TEXT16, BINARY, INTEGER, OBJECT = 0x001E, 0x001F, 0x0102, 0x0003, 0x000D
CHARSETS = {
    65001: "utf-8", 65000: "utf-7", 1200: "utf-16-le", 1201: "utf-16-be", 20127: "us-ascii", 20866: "koi8-r",
    21866: "koi8-u", 932: "cp932", 936: "gb18030", 949: "cp949", 950: "cp950", 874: "cp874", 10000: "mac-roman",
    50220: "iso-2022-jp", 50221: "iso-2022-jp", 50222: "iso-2022-jp", 50225: "iso-2022-kr", 51932: "euc-jp",
    51949: "euc-kr", 51936: "gb18030", 52936: "hz", 54936: "gb18030",
    **{28590 + n: f"iso-8859-{n}" for n in range(1, 16)},
}  # fmt: skip


@dataclass(slots=True)
class Item:
    """A mail or an attachment by its properties: id → (type, value)."""

    properties: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    attachments: list["Item"] = field(default_factory=list)
    message: "Item | None" = None  # of an attachment: the mail that it is
    why: str = ""  # it cannot be read whole

    def text(self, name: int, codepage: int = MESSAGE_CODEPAGE) -> str:
        """Text of a property; "" if it is not there."""
        kind, value = self.properties.get(name, (0, b""))
        if kind == TEXT16:
            return value.decode("utf-16-le", "replace").rstrip("\0")
        charset = _charset(self.properties, codepage) or _charset(self.properties, MESSAGE_CODEPAGE)
        try:
            return decoded(value, charset).rstrip("\0")
        except ParseFailed:
            return value.decode("cp1252", "replace").rstrip("\0")

    def html(self) -> str:
        """HTML of its body; "" if it has none."""
        kind, value = self.properties.get(HTML, (0, b""))
        if kind == BINARY and value and not _charset(self.properties, INTERNET_CODEPAGE):
            return decode(value, markup=True)
        return self.text(HTML, INTERNET_CODEPAGE)

    def bytes_of(self, name: int) -> bytes:
        """Bytes of a property; none if it is not there."""
        return self.properties.get(name, (0, b""))[1]

    @property
    def name(self) -> str:
        """Name of an attached file, without folders."""
        name = self.text(LONG_FILE_NAME) or self.text(FILE_NAME) or self.text(DISPLAY_NAME)
        return name.replace("\\", "/").rpartition("/")[2].strip()


def _charset(properties: Mapping[int, tuple[int, bytes]], name: int) -> str | None:
    kind, value = properties.get(name, (0, b""))
    number = int.from_bytes(value[:4], "little") if kind == INTEGER else 0
    return CHARSETS.get(number, f"cp{number}" if number else None)
