"""Separate hidden text of a Word document or an e-book."""

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

from moat.parse.css import Colour, colour, same
from moat.parse.hidden_html import shown_and_hidden
from moat.records import Block

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
WORDS = re.compile(r"^word/(?:document|header\d*|footer\d*|footnotes|endnotes)\.xml$")
SIGNS = re.compile(rb"<w:vanish|w:val=\"[fF][0-9a-fA-F][fF][0-9a-fA-F][fF][0-9a-fA-F]\"|<w:sz w:val=\"[0-4]\"")
PAGES = re.compile(r"\.x?html?$", re.IGNORECASE)
TINY = 4  # half points
WHITE: Colour = (255, 255, 255)
NO = {"0", "false", "off"}

Taken = tuple[bytes, list[Block]]


def docx_shown_and_hidden(content: bytes) -> Taken:
    """Split a Word document into what it shows and blocks of hidden text."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if WORDS.match(name)]
        styles = archive.read("word/styles.xml") if "word/styles.xml" in archive.namelist() else b""
        if not SIGNS.search(styles) and not any(SIGNS.search(archive.read(name)) for name in names):
            return content, []
    known = _styles(styles)
    return _with_parts(content, WORDS, lambda part: _runs(part, known))


def epub_shown_and_hidden(content: bytes) -> Taken:
    """Split an e-book into what it shows and blocks that its own stylesheets hide."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".css")]
        styles = "\n".join(archive.read(name).decode("utf-8", "replace") for name in names)

    def page(part: bytes) -> Taken:
        shown, blocks = shown_and_hidden(part.decode("utf-8", "replace"), styles)
        return shown.encode(), blocks

    return _with_parts(content, PAGES, page)


def _with_parts(content: bytes, which: re.Pattern[str], change: Callable[[bytes], Taken]) -> Taken:
    """Return the archive with some parts changed, or itself if none was."""
    changed, blocks = dict[str, bytes](), list[Block]()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if which.search(name):
                part, found = change(archive.read(name))
                if found:
                    changed[name] = part
                    blocks += found
        if not changed:
            return content, []
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
            for info in archive.infolist():
                made.writestr(info, changed.get(info.filename, archive.read(info)))
    return out.getvalue(), blocks


class Look(NamedTuple):
    """How a run or style looks, as far as it declares."""

    vanish: bool | None = None
    colour: Colour | None = None
    half_points: float | None = None
    shade: Colour | None = None

    def over(self, below: "Look") -> "Look":
        """Combine with the look underneath; declared properties win."""
        return Look(
            below.vanish if self.vanish is None else self.vanish,
            self.colour or below.colour,
            below.half_points if self.half_points is None else self.half_points,
            self.shade or below.shade,
        )


def _tree(part: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))


def _styles(part: bytes) -> dict[str, Look]:
    """Look of each style, including the style that it is based on."""
    if not part:
        return {}
    from lxml import etree

    try:
        styles = {s.get(f"{W}styleId") or "": s for s in _tree(part).iter(f"{W}style")}
    except etree.XMLSyntaxError:
        return {}  # python-docx reports the error

    def look(name: str, depth: int = 0) -> Look:
        style = styles.get(name)
        if style is None or depth > 10:
            return Look()
        based = style.find(f"{W}basedOn")
        below = look(based.get(f"{W}val") or "", depth + 1) if based is not None else Look()
        return _look(style.find(f"{W}rPr"), style.find(f"{W}pPr")).over(below)

    return {name: look(name) for name in styles}


def _runs(part: bytes, known: dict[str, Look]) -> Taken:
    """Remove hidden runs from a part, and return their text as blocks."""
    from lxml import etree

    try:
        tree = _tree(part)
    except etree.XMLSyntaxError:
        return part, []
    blocks, before = list[Block](), None
    for run in tree.iter(f"{W}r"):
        how = _how(run, known)
        texts = [t for t in run.iter(f"{W}t") if t.text]
        text = "".join(t.text for t in texts)
        if not how or not text:
            before = None if text.strip() else before
            continue
        for t in texts:
            t.text = ""
        if before == how:
            blocks[-1] = Block(kind="text", text=blocks[-1].text + text, hidden=how)
        else:
            blocks.append(Block(kind="text", text=text, hidden=how))
        before = how
    blocks = [block for block in blocks if block.text.strip()]
    return (
        (etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True), blocks)
        if blocks
        else (part, [])
    )


def _how(run: Any, known: dict[str, Look]) -> str:
    properties = run.find(f"{W}rPr")
    look = _look(properties, None).over(known.get(_value(properties, "rStyle"), Look()))
    paragraph = next(run.iterancestors(f"{W}p"), None)
    about = paragraph.find(f"{W}pPr") if paragraph is not None else None
    look = look.over(known.get(_value(about, "pStyle"), Look())).over(_look(None, about))
    if look.vanish:
        return "markup"
    if look.half_points is not None and look.half_points <= TINY:
        return "size"
    if look.colour and (ground := _ground(run, look)) and same(look.colour, ground):
        return "colour"
    return ""


def _ground(run: Any, look: Look) -> Colour | None:
    """Background of a run; None if its formatting does not decide it."""
    if look.shade is not None:
        return look.shade
    for cell in run.iterancestors(f"{W}tc"):
        if (shade := _shade(cell.find(f"{W}tcPr"))) is not None:
            return shade
    for table in run.iterancestors(f"{W}tbl"):
        style = _value(table.find(f"{W}tblPr"), "tblStyle")
        if style not in ("", "TableGrid", "TableNormal"):
            return None
    if any(True for _ in run.iterancestors(f"{W}txbxContent")):
        return None  # a text box has its own fill
    return WHITE if run.getroottree().getroot().find(f"{W}background") is None else None


def _look(run: Any, paragraph: Any) -> Look:
    """Look declared by a run's properties and its paragraph's shading."""
    vanish = run.find(f"{W}vanish") if run is not None else None
    said, size = _value(run, "color"), _value(run, "sz")
    shade = _shade(run) if run is not None else None
    if run is not None and shade is None and (marked := _value(run, "highlight")):
        shade = colour(marked.lower()) or (1, 1, 1)
    return Look(
        None if vanish is None else vanish.get(f"{W}val", "true").lower() not in NO,
        colour(said.lower()) if re.fullmatch("[0-9A-Fa-f]{6}", said) else None,
        float(size) if size.isdigit() else None,
        shade if shade is not None or paragraph is None else _shade(paragraph),
    )


def _shade(properties: Any) -> Colour | None:
    shading = properties.find(f"{W}shd") if properties is not None else None
    fill = (shading.get(f"{W}fill") or "") if shading is not None else ""
    return colour(fill.lower()) if re.fullmatch("[0-9A-Fa-f]{6}", fill) else None


def _value(properties: Any, name: str) -> str:
    found = properties.find(f"{W}{name}") if properties is not None else None
    return (found.get(f"{W}val") or "") if found is not None else ""
