"""winmail.dat (TNEF, MS-OXTNEF): what Outlook wraps a mail and its attachments in."""

import io
import struct

from moat.errors import ParseFailed
from moat.parse import mapi
from moat.parse.mapi import Item

SIGN = 0x223E9F78
SUBJECT, BODY, MAPI, CODEPAGE = 0x8004, 0x800C, 0x9003, 0x9007
NEW_ATTACHMENT, TITLE, DATA, ATTACHMENT_MAPI = 0x9002, 0x8010, 0x800F, 0x9005
VARIABLE = {mapi.TEXT8, mapi.TEXT16, mapi.BINARY, mapi.OBJECT}
SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
MULTIPLE = 0x1000
MOST_DEPTH = 5


def tnef_item(content: bytes, depth: int = 0) -> Item:
    """Read a mail out of winmail.dat. Raises ParseFailed if it is none; what damage cuts off is told in `why`."""
    if content[:4] != struct.pack("<I", SIGN):
        raise ParseFailed("its winmail.dat is damaged: it does not begin as one")
    item, data = Item(), io.BytesIO(content[6:])
    mail = item
    while head := data.read(9):
        try:
            _, name, _, size = struct.unpack("<BHHI", head)
            value = data.read(size)
            if len(value) < size:
                raise ValueError("it ends too early")
            data.read(2)  # a checksum, which many programs compute wrong
            if name == NEW_ATTACHMENT:
                item = Item()
                mail.attachments.append(item)
            else:
                _take(item, name, value, depth)
        except (struct.error, ValueError, IndexError) as error:
            mail.why = f"its winmail.dat is damaged: {error}"
            break
    for attached in mail.attachments:
        for codepage in (mapi.MESSAGE_CODEPAGE, mapi.INTERNET_CODEPAGE):
            if codepage in mail.properties:
                attached.properties.setdefault(codepage, mail.properties[codepage])
    return mail


def _take(item: Item, name: int, value: bytes, depth: int) -> None:
    """Take one attribute; those of MAPI are the newer ones and win."""
    old = {SUBJECT: mapi.SUBJECT, BODY: mapi.BODY, TITLE: mapi.FILE_NAME}
    if name in old:
        item.properties.setdefault(old[name], (mapi.TEXT8, value.rstrip(b"\0")))
    elif name == DATA:
        item.properties.setdefault(mapi.DATA, (mapi.BINARY, value))
    elif name == CODEPAGE:
        item.properties.setdefault(mapi.MESSAGE_CODEPAGE, (mapi.INTEGER, value[:4]))
    elif name in (MAPI, ATTACHMENT_MAPI):
        _properties(item, io.BytesIO(value), depth)


def _properties(item: Item, data: io.BytesIO, depth: int) -> None:
    for _ in range(_number(data)):
        kind, name = struct.unpack("<HH", _exactly(data, 4))
        if name >= 0x8000:  # a named one
            _exactly(data, 16)
            if _number(data) == 0:
                _exactly(data, 4)
            else:
                _padded(data)
        is_multiple, kind = bool(kind & MULTIPLE), kind & ~MULTIPLE
        if kind in VARIABLE:
            values = [_padded(data) for _ in range(_number(data))]
        else:
            values = (
                [_exactly(data, SIZES[kind]) for _ in range(_number(data) if is_multiple else 1)]
                if kind in SIZES
                else []
            )
        if not values and kind not in VARIABLE | SIZES.keys():
            raise ValueError(f"a property of the unknown type {kind}")
        if not values:
            continue
        if name == mapi.DATA and kind == mapi.OBJECT:
            inner = values[0][16:]  # after the id of its interface
            if inner[:4] == struct.pack("<I", SIGN) and depth < MOST_DEPTH:
                item.message = tnef_item(inner, depth + 1)
            else:
                item.properties[name] = (mapi.BINARY, inner)
        else:
            item.properties[name] = (kind, values[0])


def _number(data: io.BytesIO) -> int:
    return int(struct.unpack("<I", _exactly(data, 4))[0])


def _padded(data: io.BytesIO) -> bytes:
    size = _number(data)
    value = _exactly(data, size)
    data.read(-size % 4)
    return value


def _exactly(data: io.BytesIO, size: int) -> bytes:
    value = data.read(size)
    if len(value) < size:
        raise ValueError("it ends too early")
    return value
