"""Tell what a mail quotes of the mail that it answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moat.records import Block

BEGIN, END = "\ue0f1\ue0f2", "\ue0f2\ue0f1"  # no text has these characters of private use in this order
ORIGINAL = re.compile(
    r"\s*[-_]{2,}\s*(?:original (?:message|appointment)|urspr(?:ü|ue)ngliche nachricht|message d['’]origine|mensaje original"
    r"|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse|opprinnelig melding"
    r"|ursprungligt meddelande|wiadomość oryginalna|původní zpráva|исходное сообщение|原始邮件|原始郵件|元のメッセージ|original)"
    r"\s*[-_]{2,}\s*",
    re.IGNORECASE,
)
ATTRIBUTION = re.compile(
    r"(?:on|am|le|el|il|op|em|w dniu|dnia|den|dne|в|на|pada)\b.{0,300}?\b(?:wrote|schrieb.{0,150}|a écrit|escribió|ha scritto"
    r"|schreef.{0,150}|escreveu|napisał\(?a?\)?|pisze|skrev.{0,150}|napsal\(?a?\)?|пишет|написал\(?а?\)?|menulis)\s*[:：]\s*$"
    r"|.{0,200}(?:写道|寫道|のメール|さんは書きました)\s*[:：]\s*$|[^\n]{1,120}\b(?:wrote|writes|schrieb|a écrit)\s*:\s*$",
    re.IGNORECASE | re.DOTALL,
)
FIELD = re.compile(
    r"\s*\*?(?P<name>from|sent|date|to|cc|bcc|subject|importance|attachments|reply-to|von|gesendet|datum|an|betreff|de|envoyé|date"
    r"|à|objet|enviado|fecha|para|asunto|da|inviato|data|a|oggetto|van|verzonden|aan|onderwerp|от|кому|тема|发件人|发送时间|收件人|主题"
    r"|抄送|差出人|送信日時|宛先|件名)\s*[:：]\*?(?:\s|$)",
    re.IGNORECASE,
)
SENDERS = {"from", "von", "de", "da", "van", "от", "发件人", "差出人"}
FORWARDED = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|enc|doorst|vs|пересл|转发)\s*[:：]", re.IGNORECASE)
QUOTES = (
    "//blockquote[translate(@type,'CITE','cite')='cite' or contains(@class,'gmail_quote') or contains(@class,'protonmail_quote')]"
    "|//div[contains(@class,'gmail_quote') or contains(@class,'yahoo_quoted') or contains(@class,'protonmail_quote')"
    " or contains(@class,'tutanota_quote') or contains(@class,'zmail_extra') or @id='mail-editor-reference-message-container']"
    "|//*[contains(@class,'moz-cite-prefix') or contains(@class,'gmail_attr')]"
)
THE_REST = (
    "//*[@id='divRplyFwdMsg' or @id='appendonsend' or @id='x_divRplyFwdMsg' or @name='OLK_SRC_BODY_SECTION'"
    " or @id='OLK_SRC_BODY_SECTION' or @id='stopSpelling' or contains(@class,'OutlookMessageHeader')]"
    "|//div[contains(translate(@style,' ',''),'border:none;border-top:solid') and contains(.,':')]"
)


def is_forward(subject: str) -> bool:
    """Whether a mail passes another one on: what stands in it is its content, and no quoted reply."""
    return bool(FORWARDED.match(subject))


def with_marks(markup: str) -> str:
    """Put marks around what the HTML of a mail quotes."""
    import lxml.html
    from lxml import etree

    try:
        tree = lxml.html.document_fromstring(markup)
    except (etree.ParserError, ValueError):
        return markup
    found = tree.xpath(f"{QUOTES}|{THE_REST}")
    if not found:
        return markup
    rest = set(tree.xpath(THE_REST))
    quoted = set(found)
    for element in found:
        if element.getparent() is None or any(outer in quoted for outer in element.iterancestors()):
            continue
        element.addprevious(_mark(BEGIN))
        if element not in rest:
            end = _mark(END)
            end.tail, element.tail = element.tail, None
            element.addnext(end)
    return str(etree.tostring(tree, encoding="unicode", method="html"))


def _mark(text: str) -> Any:
    import lxml.html

    mark = lxml.html.Element("p")
    mark.text = text
    return mark


def by_marks(blocks: list[Block]) -> list[Block]:
    """Leave out what stands between the marks, and remove these."""
    out, depth = list[Block](), 0
    for block in blocks:
        for piece in re.split(f"({BEGIN}|{END})", block.text):
            if piece in (BEGIN, END):
                depth = max(0, depth + (1 if piece == BEGIN else -1))
            elif piece.strip():
                out.append(_as_quoted(replace(block, text=piece), depth > 0))
    return out


def _as_quoted(block: Block, quoted: bool) -> Block:
    return replace(block, left_out="quoted reply") if quoted and not block.left_out and not block.hidden else block


def by_lines(blocks: list[Block]) -> list[Block]:
    """Leave out quoted lines, what introduces them, and all below the head of an earlier mail."""
    out, below = list[Block](), False
    for index, block in enumerate(blocks):
        if below:
            out.append(_as_quoted(block, True))
        elif block.hidden or block.left_out or block.kind == "table":
            out.append(block)
        else:
            lines = block.text.split("\n")
            behind = [line for other in _shown(blocks[index + 1 :]) for line in other.text.split("\n")]
            head = _head_of_mail(lines, behind)
            out += [_as_quoted(replace(block, text=text), quoted) for quoted, text in _runs(lines, head, behind)]
            below = head is not None
    return out


def _shown(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks[:50]:
        if not block.hidden:
            yield replace(block, text=f"> {block.text}") if block.left_out == "quoted reply" else block


def _runs(lines: list[str], head: int | None, behind: list[str]) -> Iterator[tuple[bool, str]]:
    """Cut the lines of a block where quoting begins or ends."""
    quoted = [line.lstrip().startswith(">") for line in lines]
    if head is not None:
        quoted[head:] = [True] * (len(lines) - head)
    is_quote_behind = bool(behind) and behind[0].lstrip().startswith(">")
    for start, end in _introductions(lines):
        if (quoted[end] if end < len(lines) else is_quote_behind) and not any(quoted[start:end]):
            quoted[start:end] = [True] * (end - start)
    at = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or quoted[index] != quoted[at]:
            text = "\n".join(lines[at:index])
            if text.strip():
                yield quoted[at], text
            at = index


def _introductions(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Lines such as "On Monday Ann wrote:", which may be wrapped over three."""
    for end in range(1, len(lines) + 1):
        if lines[end - 1].rstrip().endswith((":", "：")):
            for start in range(max(0, end - 3), end):
                if ATTRIBUTION.match("\n".join(lines[start:end]).strip()):
                    yield start, end
                    break


def _head_of_mail(lines: list[str], behind: list[str]) -> int | None:
    """Index of the line below which all is an earlier mail: its head, or an introduction of what has no marks."""
    for index, line in enumerate(lines):
        if ORIGINAL.fullmatch(line):
            return index
        found = FIELD.match(line)
        if found and found["name"].lower() in SENDERS:
            fields = sum(bool(FIELD.match(other)) for other in [*lines, *behind][index : index + 8])
            if fields >= 3:
                return index - 1 if index and not lines[index - 1].strip("_- \t") else index
    if not any(line.lstrip().startswith(">") for line in (*lines, *behind)):
        for start, end in _introductions(lines):
            if any(c.isdigit() for c in "".join(lines[start:end])):  # it has a date
                return start
    return None
