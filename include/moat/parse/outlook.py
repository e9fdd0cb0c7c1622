"""Mail as Outlook stores it: .msg, and winmail.dat inside other mail."""

import io
import re
from typing import Any

from moat.errors import ParseFailed
from moat.parse import mapi
from moat.parse.blocks import unreadable
from moat.parse.job import Job, Parsed
from moat.parse.mail_forms import Form, attachment, chosen, html_form, plain_form
from moat.parse.mail_quotes import is_forward
from moat.parse.mapi import Item
from moat.parse.rtf_body import html_in_rtf, unpacked
from moat.parse.tnef import tnef_item
from moat.records import Block

STREAM = re.compile(r"__substg1\.0_([0-9A-F]{4})([0-9A-F]{4})$", re.IGNORECASE)
PROPERTIES = "__properties_version1.0"
ATTACHMENT = "__attach_version1.0_"
EMBEDDED = "__substg1.0_3701000D"
MOST_DEPTH = 5  # of mails in mails


def parse_msg(content: bytes, job: Job) -> Parsed:
    """Parse a mail as Outlook stores it. Raises ParseFailed if its container is damaged."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as ole:
            item = _item(ole, [], 0)
    except (OSError, ValueError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ParseFailed(f"its OLE container is damaged: {error}") from error
    subject = " ".join(item.text(mapi.SUBJECT).split())
    form = _form(item, job, job.parsing.quoted_replies or is_forward(subject))
    blocks = form.body + form.attached
    if subject and not any(block.text.strip() and not block.left_out for block in blocks):
        blocks.insert(0, Block(kind="text", text=subject))
    return Parsed(blocks, subject or None)


def tnef_form(content: bytes, job: Job, quotes: bool) -> Form:
    """Text and attachments of winmail.dat (TNEF). Raises ParseFailed if it is none."""
    return _form(tnef_item(content), job, quotes)


def _item(ole: Any, folder: list[str], depth: int) -> Item:
    """Read a storage: its properties, and the attachments in it."""
    item = Item()
    inner = set[str]()
    for path in ole.listdir(streams=True, storages=True):
        if path[: len(folder)] != folder or len(path) != len(folder) + 1:
            continue
        name = path[-1]
        if name.startswith(ATTACHMENT) or name.upper() == EMBEDDED.upper():
            inner.add(name)
            continue
        try:
            if name == PROPERTIES:
                _fixed(item, ole.openstream(path).read(), folder)
            elif found := STREAM.match(name):
                value = ole.openstream(path).read()
                item.properties[int(found[1], 16)] = (int(found[2], 16), value)
        except (OSError, IndexError) as error:
            item.why = f"{name} is damaged: {error}"
    for name in sorted(inner):
        if depth > 2 * MOST_DEPTH:
            item.why = f"it stands inside {MOST_DEPTH} others"
        elif name.startswith(ATTACHMENT):
            item.attachments.append(_item(ole, [*folder, name], depth + 1))
        else:
            item.message = _item(ole, [*folder, name], depth + 1)
    return item


def _fixed(item: Item, content: bytes, folder: list[str]) -> None:
    """Read the properties of fixed size, of which code pages are needed."""
    start = 32 if not folder else 24 if folder[-1].upper() == EMBEDDED.upper() else 8
    for at in range(start, len(content) - 15, 16):
        kind, name = int.from_bytes(content[at : at + 2], "little"), int.from_bytes(content[at + 2 : at + 4], "little")
        if kind == mapi.INTEGER:
            item.properties.setdefault(name, (kind, content[at + 8 : at + 12]))


def _form(item: Item, job: Job, quotes: bool) -> Form:
    """Text of a mail by its richest form, and its attachments."""
    forms = list[Form]()
    if plain := item.text(mapi.BODY, mapi.INTERNET_CODEPAGE):
        forms.append(plain_form(plain, job, quotes))
    markup = item.html()
    damage = [f"the mail: {item.why}"] if item.why else []
    if packed := item.bytes_of(mapi.RTF):
        try:
            rtf = unpacked(packed, job.limit)
            markup = markup or html_in_rtf(rtf)
            if not markup and not plain:
                forms.append(Form(2, job.part(rtf, "body.rtf")))
        except ParseFailed as error:
            damage.append(f"its formatted text: {error}")
    if markup.strip():
        forms.append(html_form(markup, job, quotes))
    form = chosen(forms)
    form.body += [unreadable(text) for text in damage]
    for attached in item.attachments:
        form.attached += _attached(attached, job, quotes)
    return form


def _attached(item: Item, job: Job, quotes: bool) -> list[Block]:
    if item.message is not None:
        inner = _form(item.message, job, quotes)
        return attachment(" ".join(item.message.text(mapi.SUBJECT).split()) or item.name, inner.body + inner.attached)
    content, name = item.bytes_of(mapi.DATA), item.name
    if item.text(mapi.MIME_TAG).lower().endswith("pkcs7-signature") or name.lower().endswith(".p7s"):
        return [Block(kind="text", text=name, left_out="signature")]
    if not content:
        why = item.why or "it has no content here; it may be a link"
        return attachment(name, [unreadable(f"{name}: {why}")])
    blocks = job.part(content, name)
    if item.text(mapi.CONTENT_ID) and item.text(mapi.MIME_TAG).lower().startswith("image/"):
        return [Block(kind="text", text=name), *blocks] if name else blocks
    return attachment(name, blocks)
