"""The words of a document by another road than its parser's.

Parsers lose text without an error. So the same child takes the text a second time, in the simplest way that the
format allows and without the parser's code, and what is in no chunk is found by comparison. Words are counted without
their order. A word is a run of letters and digits; in scripts that are written without spaces, a single character.
"""

import ctypes
import html
import io
import json
import posixpath
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote

from moat.errors import ParseFailed
from moat.parse.encoding import decode, label
from moat.parse.marks import bounded
from moat.parse.words_office import SecondRoad, docx, odt, pptx, tag_of, xlsx, xml_root
from moat.records import SourceWords

# Scripts without spaces between words, where a line may break anywhere: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
# What follows is tried at many places of a hostile text, so no try may read far: `*+` gives nothing back.
BROKEN_LINE = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010\ufffe][^\S\n]*+\n\s*+(?=[^\W\d_])|\u00ad")
NOT_SHOWN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ufe00-\ufe0f]")
DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=-]+)*;base64,[A-Za-z0-9+/=\s]{64,}")
LINK_TARGET = re.compile(  # of Markdown, and labels of link references
    r"\]\(\s*+<?(?:[^)\s>\]]|\](?!\())*+>?(?:\s++\"[^\"\n]{0,500}\")?\s*+\)|\]\[[^\]\n]*+\]"
    r"|^[^\S\n]*+\[[^\[\]\n]++\]:\s*+\S++|<https?://[^<>\s]*+>",
    re.MULTILINE,
)
TAG = re.compile(r"</?[A-Za-z][^<>]*+>")
NO_TEXT = {"script", "style", "template", "noscript", "svg", "title"}
IN_LINE = {
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q",
    "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr", "time", "data", "acronym",
    "nobr", "ruby", "rb", "rt", "rp", "math", "mi", "mn", "mo", "tspan",
}  # fmt: skip
SAID = {
    "alt",
    "title",
    "href",
    "src",
    "value",
    "placeholder",
    "aria-label",
    "label",
    "content",
}  # attributes with words
MBOX = re.compile(rb"\r?\n\r?\n(?=From \S++.*\d{4}\r?\n)")  # where the next mail of a mailbox begins
MOST_DEPTH = 5
DAMAGED = (
    ParseFailed, ValueError, LookupError, OSError, SyntaxError, AttributeError, TypeError, RuntimeError,
    zipfile.BadZipFile,
)  # fmt: skip


def words_in(text: str) -> list[str]:
    """Return the words of a text in their order, in one normal form."""
    if ";base64," in text:
        text = DATA_URI.sub(" ", text)
    if not text.isascii():  # which is in its normal form, and has no hidden signs
        text = unicodedata.normalize("NFKC", bounded(BROKEN_LINE.sub("", NOT_SHOWN.sub("", text))))
    else:
        text = BROKEN_LINE.sub("", text)
    return WORD.findall(text.casefold())


def count(text: str) -> Counter[str]:
    """Count the words of a text."""
    return Counter(words_in(text))


def words_of(content: bytes, kind: str) -> SourceWords | None:
    """Return the words of a document of this kind; None if no second road leads to them.

    A second road that fails on damage is none: the parser, which read the document, is not doubted for it.
    """
    try:
        found = second_road(content, kind)
    except DAMAGED:
        return None
    words = count(found.text) if found else None
    return SourceWords(words, count(found.beside)) if found and words else None


def second_road(content: bytes, kind: str, depth: int = 0) -> SecondRoad | None:
    """Return the text of a document; None for a kind without a second road. Damage raises anything of DAMAGED."""
    match kind:
        case "docx":
            return docx(content)
        case "pptx":
            return pptx(content)
        case "xlsx":
            return xlsx(content)
        case "odt":
            return odt(content)
        case "epub":
            return _epub(content)
        case "html":
            return _html(decode(content, markup=True))
        case "xml":
            return _xml(content)
        case "pdf":
            return _pdf(content)
        case "eml":
            mails = MBOX.split(content) if content.startswith(b"From ") else [content]
            return _joined(_mail(message_from_bytes(one, policy=policy.default), depth) for one in mails)
        case "mhtml":
            return _mail_part(message_from_bytes(content, policy=policy.default), depth)
        case "json":
            text = decode(content)
            return _json([text]) or _json(text.split("\n"))
        case "jsonl":
            return _json(decode(content).split("\n"))
        case "md":
            return _markdown(decode(content))
        case "txt" | "csv" | "tsv":
            return SecondRoad(decode(content))
        case "rst" | "org":
            return _marked_up(decode(content))
    return None


def _joined(found: Iterable[SecondRoad]) -> SecondRoad:
    every = list(found)
    return SecondRoad("\n".join(one.text for one in every), "\n".join(one.beside for one in every))


def _epub(content: bytes) -> SecondRoad:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pages = [name for name in archive.namelist() if re.search(r"\.x?html?$", name, re.IGNORECASE)]
        package = next((name for name in archive.namelist() if name.lower().endswith(".opf")), "")
        place = _spine(archive.read(package).decode("utf-8", "replace")) if package else {}
        pages.sort(key=lambda name: place.get(posixpath.basename(name), len(place)))
        return _joined(_html(archive.read(name).decode("utf-8", "replace")) for name in pages)


def _spine(package: str) -> dict[str, int]:
    """Place of each page's file name in an e-book's reading order."""
    items = (
        dict(re.findall(r"""\b(id|href)\s*=\s*["']([^"']*)""", item))
        for item in re.findall(r"<(?:\w+:)?item\b[^<>]*", package)
    )
    pages = {item.get("id", ""): posixpath.basename(unquote(item.get("href", ""))) for item in items}
    order = re.findall(r"""<(?:\w+:)?itemref\b[^<>]*\bidref\s*=\s*["']([^"']*)""", package)
    return {pages[id_]: n for n, id_ in reversed(list(enumerate(order))) if id_ in pages}


def _html(markup: str) -> SecondRoad:
    import lxml.html
    from lxml import etree

    tree = lxml.html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", markup) or "<p>")
    parts, beside, skipped = list[str](), list[str](), 0
    for event, element in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        name = tag_of(element)
        edge = " " if name and name not in IN_LINE else ""
        if event == "start":
            skipped += name in NO_TEXT
            (beside if skipped else parts).append(edge + ("" if name in ("script", "style") else element.text or ""))
            beside += [str(value) for key, value in element.attrib.items() if key in SAID]
        else:
            skipped -= name in NO_TEXT
            (beside if skipped else parts).append(edge + (element.tail or ""))
    return SecondRoad("".join(parts), " ".join(beside))


def _xml(content: bytes) -> SecondRoad:
    root = xml_root(content)
    elements = [e for e in root.iter() if isinstance(e.tag, str)]
    beside = [word for e in elements for word in (tag_of(e), *map(str, e.attrib.keys()), *map(str, e.attrib.values()))]
    return SecondRoad("".join(_mixed(root)), " ".join(beside))


def _mixed(element: Any) -> Iterator[str]:
    """All text nodes; elements that stand inside a text do not break it, others do."""
    inside = any(t and t.strip() for t in (element.text, *(child.tail for child in element)))
    if isinstance(element.tag, str):
        yield element.text or ""
        for child in element:
            yield "" if inside else " "
            yield from _mixed(child)
            yield ("" if inside else " ") + (child.tail or "")


def _markdown(text: str) -> SecondRoad:
    bare = TAG.sub(lambda m: "" if _in_line(m[0]) else " ", LINK_TARGET.sub("] ", _without_comments(text)))
    return SecondRoad(re.sub(r"\\(?=[^\w\s])|[*`~]", "", html.unescape(bare)), text)


def _without_comments(text: str) -> str:
    """A text without HTML comments; one that does not end is text."""
    kept, at = list[str](), 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept += text[at:start], " "
        at = end + 3
    return "".join(kept) + text[at:]


def _in_line(tag: str) -> bool:
    found = re.match(r"</?([A-Za-z][\w-]*)", tag)
    return bool(found and found[1].lower() in IN_LINE)


def _marked_up(text: str) -> SecondRoad:
    """Text of reStructuredText or Org mode; lines of directives, comments and properties stand beside."""
    directive = re.compile(r"\s*(?:\.\.(?:\s|$)|:\w[\w -]*:|#\+|#\s|\*+$)")
    mine = "\n".join(line for line in text.splitlines() if not directive.match(line))
    return SecondRoad(re.sub(r":[\w:-]{1,100}:(?=`)|<[^<>\n]*+>`?_|\[\[[^\[\]]*+\]\[|[*_`|=~/+]", " ", mine), text)


def _pdf(content: bytes) -> SecondRoad:
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        texts, beside = list[str](), list[str]()
        for page in document:
            beside += _annotations(page)
            textpage = page.get_textpage()
            texts.append(textpage.get_text_bounded().replace("\r\n", "\n").replace("\x02", ""))
            textpage.close()
            page.close()
        return SecondRoad("\n".join(texts), "\n".join(beside))
    finally:
        document.close()


def _annotations(page: Any) -> Iterator[str]:
    """Notes of a page, and labels and values of its form's fields."""
    import pypdfium2.raw as raw

    for number in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        for key in (b"Contents", b"V", b"T", b"TU"):
            size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
            value = ctypes.create_string_buffer(size)
            raw.FPDFAnnot_GetStringValue(annotation, key, ctypes.cast(value, ctypes.POINTER(ctypes.c_ushort)), size)
            yield value.raw.decode("utf-16-le", "replace").rstrip("\0")
        raw.FPDFPage_CloseAnnot(annotation)


def _mail(message: Any, depth: int) -> SecondRoad:
    if depth > MOST_DEPTH or not isinstance(message, EmailMessage):
        return SecondRoad("")
    headers = " ".join(str(value) for value in message.values())
    return _joined([SecondRoad(str(message["subject"] or ""), headers), _mail_part(message, depth)])


def _mail_part(part: Any, depth: int) -> SecondRoad:
    kind = part.get_content_type()
    if kind == "message/rfc822":
        return _joined(_mail(inner, depth + 1) for inner in part.get_payload())
    if kind == "multipart/alternative":
        return _shared([found for inner in part.iter_parts() if (found := _mail_part(inner, depth)).text.strip()])
    if kind == "message/delivery-status":
        return SecondRoad("", str(part))
    if part.is_multipart():
        return _joined(_mail_part(inner, depth) for inner in part.iter_parts())
    content = part.get_payload(decode=True) or b""
    if kind == "text/html":
        return _html(_decoded(content, part))
    if kind == "text/plain" and not part.get_filename():
        return SecondRoad(_decoded(content, part))
    headers = SecondRoad("", " ".join(str(value) for value in part.values()))
    return _joined([_attached(content, part.get_filename() or "", depth), headers])


def _shared(forms: list[SecondRoad]) -> SecondRoad:
    """Of several forms of one text, what all have is the text; the rest stands beside."""
    if len(forms) < 2:
        return _joined(forms)
    in_others = [count(form.text) for form in forms[1:]]
    common = [word for word in words_in(forms[0].text) if all(other[word] for other in in_others)]
    return SecondRoad(" ".join(common), " ".join(form.text + " " + form.beside for form in forms))


def _attached(content: bytes, name: str, depth: int) -> SecondRoad:
    from moat.parse.kinds import kind_of

    try:
        found = second_road(content, kind_of(content, name), depth + 1) if name and depth < MOST_DEPTH else None
    except DAMAGED:
        found = None  # the parser declares what it cannot read
    return found or SecondRoad("", content.decode("utf-8", "replace") if content.isascii() else "")


def _decoded(content: bytes, part: Any) -> str:
    declared = (part.get_content_charset() or "utf-8").lower()
    try:
        if not declared.startswith(("iso-2022", "hz", "utf-7")):  # these are ASCII to look at
            return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode(label(declared) or declared, "replace")
    except LookupError:
        return decode(content)


class _Members(list[tuple[str, Any]]):
    """Members of a JSON object, with names that stand twice."""


def _json(texts: Iterable[str]) -> SecondRoad | None:
    """Texts as they are written; keys, numbers and lines that are no JSON stand beside. None: nothing is JSON."""
    values, keys, read = list[str](), list[str](), False
    for text in filter(str.strip, texts):
        try:
            found = json.loads(text, object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str)
        except ValueError:
            keys.append(text)
        else:
            read = True
            _values(found, values, keys)
    return SecondRoad("\n".join(values), "\n".join(keys)) if read else None


def _values(value: Any, values: list[str], keys: list[str]) -> None:
    if isinstance(value, _Members):
        for name, inner in value:
            keys.append(name)
            _values(inner, values, keys)
    elif isinstance(value, list):
        for inner in value:
            _values(inner, values, keys)
    elif isinstance(value, str):
        values.append(value)
    elif value is not None:
        keys.append(str(value))
