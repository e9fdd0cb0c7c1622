"""Mail as it is sent (RFC 5322, MIME)."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.parse.encoding import BOMS, decode
from moat.parse.invitations import invitations
from moat.parse.job import Job, Parsed
from moat.parse.kinds import MIME
from moat.parse.mail_forms import Form, attachment, chosen, html_form, joined, plain_form
from moat.parse.mail_quotes import is_forward
from moat.parse.mail_text import content_of, decoded, file_name, header, header_text, normal_headers
from moat.parse.outlook import tnef_form
from moat.parse.signed_mail import signed_content
from moat.records import Block, LeftOut

MBOX = re.compile(rb"(?:\A|\n\r?\n)(?=From \S+[^\n]* \d\d:\d\d(?::\d\d)?[^\n]* \d{4}[^\n]*\n)")
SIGNATURES = {
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
    "application/pgp-keys",
}
SIGNED = {"application/pkcs7-mime", "application/x-pkcs7-mime"}
TNEF = {"application/ms-tnef", "application/vnd.ms-tnef"}
CALENDARS = {"text/calendar", "application/ics", "text/x-vcalendar"}
REPORTS = {
    "message/delivery-status",
    "message/disposition-notification",
    "message/feedback-report",
    "message/external-body",
}
SUFFIXES = {mime: kind for kind, mime in MIME.items()} | {"text/xml": "xml", "text/rtf": "rtf", "text/x-markdown": "md"}
RICH = {"text/enriched", "text/richtext"}
MOST_DEPTH = 40  # of parts in parts
DAMAGE = (MessageError, LookupError, ValueError, AttributeError, TypeError, AssertionError, RecursionError, ParseFailed)


def parse_eml(content: bytes, job: Job) -> Parsed:
    """Parse a mail, or a mailbox of several. The title is the subject."""
    content = _bytes(content)
    starts = [found.end() for found in MBOX.finditer(content)] if content.startswith(b"From ") else []
    if len(starts) > 1:
        ends = [*starts[1:], len(content)]
        return Parsed(
            [
                block
                for start, end in zip(starts, ends, strict=True)
                for block in _attached_mail(re.sub(rb"(?m)^>(?=>*From )", b"", content[start:end]), "", job)
            ]
        )
    message = message_from_bytes(content, policy=policy.compat32)
    subject = header(message, "subject")
    quotes = job.parsing.quoted_replies or is_forward(subject)
    form = _Mail(job, quotes).form(message, 0)
    blocks = form.body + form.attached
    if subject and not any(block.text.strip() and not block.left_out for block in blocks):
        blocks.insert(0, Block(kind="text", text=subject))  # all that it says
    return Parsed(blocks, subject or None)


def _bytes(content: bytes) -> bytes:
    """Bytes that begin with a header, in an encoding that contains ASCII."""
    if content.startswith(tuple(mark for mark, _ in BOMS)):
        content = decode(content).lstrip("\ufeff").encode()
    return content.lstrip(b"\r\n \t") if content[:1] in b"\r\n" else content


def _attached_mail(content: bytes, name: str, job: Job) -> list[Block]:
    """Blocks of a mail in a mail, below a heading with its subject."""
    subject = header(message_from_bytes(content[: 1 << 16], policy=policy.compat32), "subject")
    return attachment(subject or name, job.part(content, f"{name.removesuffix('.eml') or 'message'}.eml"))


class _Mail:
    """The walk over the parts of one mail."""

    def __init__(self, job: Job, quotes: bool) -> None:
        self._job = job
        self._quotes = quotes
        self._entries = set[str]()  # of calendars that were told: an invitation often comes twice

    def form(self, part: Message, depth: int) -> Form:
        """Text and attachments of a part. One that is damaged is declared, and the others are kept."""
        try:
            normal_headers(part)
            if part.is_multipart() and depth < MOST_DEPTH:
                return self._several(part, depth)
            return self._one(part)
        except DAMAGE as error:
            why = str(error) if isinstance(error, ParseFailed) else f"{type(error).__name__}: {error}"
            name = file_name(part) or part.get_content_type()
            return Form(body=[unreadable(f"{name}: {' '.join(why.split())[:300]}")])

    def _several(self, part: Message, depth: int) -> Form:
        kind = part.get_content_type()
        inner = [p for p in part.get_payload() if isinstance(p, Message)]
        if kind in REPORTS:
            return self._report(part, inner)
        if kind == "message/partial" and str(part.get_param("number", "1")) != "1":
            return Form(1, [b for p in inner for b in plain_form(p.as_string(), self._job, self._quotes).body])
        if part.get_content_maintype() == "message":
            return Form(0, attached=[block for p in inner for block in self._message(part, p)])
        forms = [self.form(p, depth + 1) for p in inner]
        whole = chosen(forms) if kind == "multipart/alternative" else joined(forms)
        around = [text for text in (part.preamble, part.epilogue) if isinstance(text, str) and text.strip()]
        whole.body += [_left_out(_plain(text), "other version") for text in around]  # shown where MIME is not known
        return whole

    def _message(self, part: Message, inner: Message) -> list[Block]:
        """Blocks of an attached mail; some programs encode it, which is not allowed and then no mail is seen."""
        if not inner.keys() and str(part.get("content-transfer-encoding", "")).strip().lower() in (
            "base64",
            "quoted-printable",
        ):
            inner["content-transfer-encoding"] = part["content-transfer-encoding"]
            content = content_of(inner)[0]
        else:
            content = inner.as_bytes(policy=policy.compat32)
        return _attached_mail(content, file_name(part), self._job)

    def _report(self, part: Message, inner: list[Message]) -> Form:
        """Fields of a report on another mail, or of content that is elsewhere, as lines."""
        groups = ["\n".join(f"{name}: {header_text(str(value))}" for name, value in p.raw_items()) for p in inner]
        bodies = [p.get_payload() for p in inner]
        if part.get_content_type() == "message/external-body":
            found = [f"{name}: {value}" for name, value in (part.get_params() or [])[1:]]
            groups.insert(0, "\n".join(found))
        texts = [text for text in [*groups, *bodies] if isinstance(text, str) and text.strip()]
        return Form(1, [Block(kind="text", text=_plain(text).strip()) for text in texts])

    def _one(self, part: Message) -> Form:
        kind, name = part.get_content_type(), file_name(part)
        content, rest = content_of(part)
        form = self._content(part, kind, name, content)
        if rest.strip():
            form.body += plain_form(rest, self._job, self._quotes).body
        return form

    def _content(self, part: Message, kind: str, name: str, content: bytes) -> Form:
        lower = name.lower()
        if kind in SIGNATURES or lower.endswith((".p7s", ".p7c")):
            return Form(body=[_left_out(name or kind, "signature")])
        if kind == "application/pgp-encrypted" or (part.get_content_maintype() == "multipart" and not content.strip()):
            return Form()  # the number of a version; the message itself stands in the next part
        if kind in SIGNED or lower.endswith(".p7m"):
            return self.form(message_from_bytes(signed_content(content), policy=policy.compat32), 1)
        if kind in TNEF or lower == "winmail.dat":
            return tnef_form(content, self._job, self._quotes)
        if kind in CALENDARS or lower.endswith((".ics", ".vcs")):
            return self._calendar(decoded(content, _charset(part)))
        is_attached = bool(name) or part.get_content_disposition() == "attachment"
        if not is_attached and kind == "text/html":
            charset = _charset(part)
            markup = decoded(content, charset) if charset else decode(content, markup=True) if content else ""
            return html_form(markup, self._job, self._quotes) if markup.strip() else Form()
        if (
            not is_attached
            and part.get_content_maintype() in ("text", "multipart")
            and kind not in SUFFIXES.keys() - {"text/plain"}
        ):
            return self._text(part, kind, decoded(content, _charset(part)) if content else "")
        return self._file(part, kind, name, content)

    def _text(self, part: Message, kind: str, text: str) -> Form:
        if kind in RICH:
            plain = re.sub(r"<param>.*?</param>|<(?!<)/?[A-Za-z][^<>]*>", "", text, flags=re.IGNORECASE | re.DOTALL)
            return replace(plain_form(plain.replace("<<", "<"), self._job, self._quotes), rank=2)
        flowed = str(part.get_param("format", "")).lower() == "flowed"
        delete_space = str(part.get_param("delsp", "")).lower() == "yes"
        how = ("delsp" if delete_space else "flowed") if flowed else ""
        form = plain_form(text, self._job, self._quotes, how)
        return form if kind != "text/rfc822-headers" else replace(form, body=_headers(text))

    def _calendar(self, text: str) -> Form:
        entries = invitations(text)
        told = [Block(kind="text", text=entry) for entry in entries if entry not in self._entries]
        if not entries and text.strip():
            told = plain_form(text, self._job, self._quotes).body
        self._entries |= set(entries)
        return Form(attached=told)

    def _file(self, part: Message, kind: str, name: str, content: bytes) -> Form:
        """Blocks of a file: an attached one below its name, a picture in the text beside its name."""
        if kind in ("text/plain", "text/csv", "text/markdown", "text/tab-separated-values"):
            content = decoded(content, _charset(part)).encode() if content else content
        suffix = SUFFIXES.get(kind, "") or {"text/plain": "txt"}.get(kind, "")
        known = name if "." in name else f"{name or 'part'}.{suffix}" if suffix not in ("", "image") else name or kind
        if not content:
            return Form(attached=attachment(name, [unreadable(f"{known}: it has 0 bytes")]))
        blocks = self._job.part(content, known)
        if kind.startswith("image/") and (part.get("content-id") or part.get_content_disposition() == "inline"):
            return Form(attached=[Block(kind="text", text=name), *blocks] if name else blocks)
        return Form(attached=attachment(name, blocks))


def _headers(text: str) -> list[Block]:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", text)
    lines = [header_text(line) for line in unfolded.splitlines() if line.strip()]
    return [Block(kind="text", text="\n".join(lines))] if lines else []


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, UnicodeError, TypeError, ValueError):
        return None


def _plain(text: str) -> str:
    """Text of a header or of what stands around parts, whose 8-bit characters came undecoded."""
    return decoded(text.encode("utf-8", "surrogateescape"), None).replace("\r\n", "\n").strip()


def _left_out(text: str, rule: LeftOut) -> Block:
    return Block(kind="text", text=text, left_out=rule)
