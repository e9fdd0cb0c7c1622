"""Walk over a part of a Word document: its text, notes, text boxes, tables and what it embeds."""

from dataclasses import dataclass, field
from typing import Any

from moat.parse.job import Job
from moat.parse.story import MOST_COLUMNS, Cell, Line, table_blocks
from moat.parse.word_drawings import chart_blocks, diagram_blocks
from moat.parse.word_fields import PAGES, Field, balanced, field_characters, without_result
from moat.parse.word_looks import SIGNS, Looks
from moat.parse.word_maths import formula_text
from moat.parse.word_package import DEEPEST, Package, Target, attribute, child, local, on, value
from moat.parse.word_styles import Styles
from moat.parse.word_symbols import mapped, symbol
from moat.records import Block

GONE = {"del", "moveFrom", "delText", "delInstrText", "pPr", "rPr", "sdtPr", "sdtEndPr", "sectPr", "tblPr", "tblGrid",
        "trPr", "tcPr", "annotationRef", "footnoteRef", "endnoteRef", "separator", "continuationSeparator"}  # fmt: skip
SIGN = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


@dataclass
class Notes:
    """Footnotes, endnotes or comments of a document, and which of them were met."""

    part: str = ""
    elements: dict[str, Any] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Word:
    """What the parts of a document share."""

    package: Package
    job: Job
    styles: Styles
    looks: Looks
    styles_hide: bool
    notes: dict[str, Notes] = field(default_factory=dict)  # by the name of their references
    embedded: list[str] = field(default_factory=list)  # parts that are documents, in their order


class Story:
    """A walk over one part, in reading order."""

    def __init__(self, word: Word, part: str, root: Any) -> None:
        self._word = word
        self._targets: dict[str, Target] = word.package.targets(part)
        self._fields: list[Field] = []
        self._carried: Line | None = None  # a paragraph whose end was deleted
        self._contents = 0  # how many contents pages stand around
        characters = field_characters(root) if root is not None else []
        self._characters = {characters[at] for at in balanced(root)} if characters else set()
        content = word.package.read(part) or b""
        self._looks = word.looks if word.styles_hide or SIGNS.search(content) else None

    def blocks(self, element: Any, depth: int = 0) -> list[Block]:
        """Blocks of everything in an element that holds paragraphs."""
        made = list[Block]()
        for each in element:
            name = local(each.tag)
            if name == "p":
                made += self._paragraph(each, depth + 1)
            elif name == "tbl":
                made += self._table(each, depth + 1)
            elif name == "altChunk":
                made += self._imported(each)
            elif name == "sdt":
                contents = value(each, "sdtPr", "docPartObj", "docPartGallery") == "Table of Contents"
                self._contents += contents
                made += self.blocks(each, depth + 1)
                self._contents -= contents
            elif name in ("r", "t", "hyperlink", "oMathPara", "oMath"):  # text outside of any paragraph
                line = Line()
                self._walk(each, line, "", depth + 1)
                made += line.blocks()
            elif name and name not in GONE:
                made += self.blocks(each, depth + 1) if depth < DEEPEST else _flat(each)
        return made + (self._left() if depth == 0 else [])

    def _left(self) -> list[Block]:
        line, self._carried = self._carried, None
        return line.blocks() if line else []

    def _paragraph(self, element: Any, depth: int) -> list[Block]:
        line, self._carried = self._carried or Line(), None
        about = child(element, "pPr")
        for each in element:
            self._walk(each, line, "", depth + 1)
        mark = child(about, "rPr")
        if child(mark, "del") is not None or child(mark, "moveFrom") is not None:
            self._carried = line  # joined with the next one
            return []
        if not line.shown().strip():
            return line.blocks()
        level = self._word.styles.heading(about)
        item = self._word.styles.item(about)
        if level:
            return line.blocks("heading", level, item[1] if item else "")
        return line.blocks("list", item[0], item[1]) if item else line.blocks()

    def _add(self, line: Line, text: str, how: str) -> None:
        """Add text, unless it belongs to a field's instruction or is a page's number."""
        if any(not each.shown for each in self._fields):
            return
        for each in self._fields:
            each.text.append(text)
        if self._contents or any(each.name == "TOC" for each in self._fields):
            line.rule = "contents page"
        if not any(each.name in PAGES for each in self._fields):
            line.add(text, how)

    def _walk(self, element: Any, line: Line, how: str, depth: int) -> None:
        """Add what an element inside a paragraph shows."""
        name = local(element.tag)
        if not name or name in GONE:
            return
        if depth > DEEPEST:
            line.after += _flat(element)
            return
        match name:
            case "r":
                how = how or (self._looks.hidden(element) if self._looks else "")
                self._inside(element, line, how, depth)
            case "t":
                fonts = child(child(element.getparent(), "rPr"), "rFonts")
                text = element.text or ""
                self._add(line, mapped(text, attribute(fonts, "ascii") or attribute(fonts, "hAnsi")), how)
            case "tab" | "ptab" | "br" | "cr" | "noBreakHyphen":
                self._add(line, SIGN[name], how)
            case "sym":
                code = attribute(element, "char")
                code = code if 0 < len(code) <= 6 and not set(code.lower()) - set("0123456789abcdef") else "0"
                self._add(line, symbol(int(code, 16), attribute(element, "font")), how)
            case "fldChar":
                self._field(element, line, how)
            case "instrText":
                if self._fields and not self._fields[-1].shown:
                    self._fields[-1].instruction += element.text or ""
            case "fldSimple":
                self._fields.append(Field(instruction=attribute(element, "instr"), shown=True))
                self._inside(element, line, how, depth)
                self._end(line, how)
            case "hyperlink":
                before = len(line.pieces)
                self._inside(element, line, how, depth)
                self._link(element, line, "".join(text for text, _ in line.pieces[before:]))
            case "oMath" | "oMathPara":
                self._add(line, formula_text(element), how)
            case "ruby":
                self._inside(child(element, "rubyBase"), line, how, depth)
                reading = Line()
                self._inside(child(element, "rt"), reading, "", depth)
                if reading.shown():
                    self._add(line, f"({reading.shown()})", how)
            case "AlternateContent":
                self._alternative(element, line, how, depth)
            case "footnoteReference" | "endnoteReference" | "commentReference":
                line.after += self.note(name, attribute(element, "id"), depth)
            case "txbxContent" | "txBody" | "tbl":
                line.after += self.blocks([element] if name == "tbl" else element, depth + 1)
            case "p":
                line.after += self._paragraph(element, depth + 1)
            case "altChunk":
                line.after += self._imported(element)
            case _:
                self._picture(name, element, line, how)
                self._inside(element, line, how, depth)

    def _inside(self, element: Any, line: Line, how: str, depth: int) -> None:
        for each in element if element is not None else ():
            self._walk(each, line, how, depth + 1)

    def _field(self, element: Any, line: Line, how: str) -> None:
        if element not in self._characters:
            return
        match attribute(element, "fldCharType"):
            case "begin":
                self._fields.append(Field(begin=element))
            case "separate" if self._fields:
                self._fields[-1].shown = True
            case "end" if self._fields:
                self._end(line, how)

    def _end(self, line: Line, how: str) -> None:
        ended = self._fields.pop()
        text = "".join(ended.text)
        if any(not each.shown for each in self._fields):
            return
        if ended.name in PAGES:
            line.leave_out(text, "page number")
        elif ended.name == "HYPERLINK" and not how:
            line.link(text, ended.target(), self._word.job.parsing.links)
        elif not text.strip():
            without_result(ended, line, how)

    def _link(self, element: Any, line: Line, text: str) -> None:
        target = self._targets.get(attribute(element, "id"))
        if target and target.external:
            line.link(text, target.name, self._word.job.parsing.links)

    def _alternative(self, element: Any, line: Line, how: str, depth: int) -> None:
        """Take the first form of what stands here that says something."""
        for form in element:
            before = len(line.pieces), len(line.after)
            self._inside(form, line, how, depth)
            if (len(line.pieces), len(line.after)) != before:
                return

    def note(self, reference: str, number: str, depth: int = 0) -> list[Block]:
        """Blocks of a footnote, endnote or comment, the first time that it is met."""
        notes = self._word.notes.get(reference, Notes())
        if number in notes.met or number not in notes.elements or depth > DEEPEST:
            return []
        notes.met.add(number)
        root = notes.elements[number].getroottree().getroot()
        made = Story(self._word, notes.part, root).blocks(notes.elements[number], depth + 1)
        if reference != "commentReference":
            return made
        text = "\n".join(block.text for block in made if not block.left_out)
        if self._word.job.parsing.comments:
            return [Block(kind="text", text=f"[comment: {text}]")] if text else []
        return [Block(kind="text", text=text, left_out="comment")] if text else []

    def _picture(self, name: str, element: Any, line: Line, how: str) -> None:
        """Add what a drawing says beside its text: alt text, a chart, a diagram, a document."""
        match name:
            case "docPr" | "shape" | "rect" | "roundrect" | "oval" | "group" | "image":
                said = (attribute(element, "descr"), attribute(element, "alt")) if name != "docPr" else ()
                alt = next(filter(str.strip, (*said, attribute(element, "descr"), attribute(element, "title"))), "")
                if alt.strip():
                    self._add(line, f" [picture: {' '.join(alt.split())}] ", how)
            case "textpath":
                self._add(line, attribute(element, "string"), how)
            case "hlinkClick":
                self._link(element, line, "")
            case "chart":
                line.after += self._other(element, "id", chart_blocks)
            case "relIds":
                line.after += self._other(element, "dm", diagram_blocks)
            case "OLEObject" | "objectEmbed" | "contentPart":
                target = self._targets.get(attribute(element, "id"))
                if target and target.external:
                    line.leave_out(target.name, "link target")
                elif target and target.name not in self._word.embedded:
                    self._word.embedded.append(target.name)

    def _other(self, element: Any, named: str, blocks: Any) -> list[Block]:
        target = self._targets.get(attribute(element, named))
        root = self._word.package.tree(target.name) if target and not target.external else None
        return blocks(root) if root is not None else []

    def _imported(self, element: Any) -> list[Block]:
        """Blocks of a part that Word imports when it opens the document."""
        target = self._targets.get(attribute(element, "id"))
        if target is None or target.external:
            self._word.package.lose(target.name if target else "an imported part", "it is not in the document")
            return []
        content = self._word.package.read(target.name)
        return self._word.job.part(content, target.name.rpartition("/")[2]) if content else []

    def _table(self, element: Any, depth: int) -> list[Block]:
        if depth > DEEPEST:
            return _flat(element)
        grid, hidden = list[list[Cell]](), list[Block]()
        about = child(element, "tblPr")
        told = [attribute(child(about, name), "val") for name in ("tblCaption", "tblDescription")]
        for row in _parts(element, "tr", depth):
            properties = child(row, "trPr")
            if child(properties, "del") is not None:
                continue
            cells = self._row(row, properties, grid[-1] if grid else [], depth)
            if on(properties, "hidden"):
                hidden += [Block(kind="text", text=b.text, hidden="markup") for cell in cells for b in cell]
            else:
                grid.append(cells)
        caption = ". ".join(" ".join(text.split()) for text in told if text.strip())
        before = [Block(kind="text", text=f"[table: {caption}]")] if caption else []
        return before + table_blocks(grid) + hidden

    def _row(self, row: Any, properties: Any, above: list[Cell], depth: int) -> list[Cell]:
        """Cells of a row, one for each column; a merged one stands in all that it covers."""
        cells: list[Cell] = [[] for _ in range(_number(value(properties, "gridBefore"), 0))]
        for element in _parts(row, "tc", depth):
            about = child(element, "tcPr")
            across = max(1, _number(value(about, "gridSpan"), 1))
            cell = self.blocks(element, depth + 1)
            goes_on = child(about, "vMerge") is not None and value(about, "vMerge") != "restart"
            left = child(about, "hMerge") is not None and value(about, "hMerge") != "restart"
            if goes_on and not cell and len(cells) < len(above):
                cell = above[len(cells)]
            elif left and not cell and cells:
                cell = cells[-1]
            cells += [cell] * across
        return cells[:MOST_COLUMNS]


def _number(text: str, usual: int) -> int:
    return min(int(text), MOST_COLUMNS) if text.isdigit() and len(text) < 6 else usual


def _parts(element: Any, name: str, depth: int) -> list[Any]:
    """Rows of a table or cells of a row, also those in content controls and tracked changes."""
    found = list[Any]()
    for each in element:
        if local(each.tag) == name:
            found.append(each)
        elif local(each.tag) not in GONE and depth < DEEPEST:
            found += _parts(each, name, depth + 1)
    return found


def _flat(element: Any) -> list[Block]:
    """All text of an element that is nested too deep to be walked."""
    text = " ".join("".join(e.text or "" for e in element.iter() if local(e.tag) == "t").split())
    return [Block(kind="text", text=text)] if text else []
