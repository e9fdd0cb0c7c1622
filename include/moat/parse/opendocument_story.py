"""Walk over an OpenDocument text: paragraphs, lists, tables, notes and what it embeds."""

import re
from dataclasses import replace
from typing import Any

from moat.parse.job import Job
from moat.parse.opendocument_maths import mathml_text
from moat.parse.opendocument_styles import OdtStyles
from moat.parse.story import MOST_COLUMNS, Cell, Line, table_blocks
from moat.parse.word_package import DEEPEST, Package, attribute, child, local
from moat.records import Block

MOST_ROWS = 200  # that one row is repeated; what a file claims beyond is empty in practice
GONE = {"tracked-changes", "sequence-decls", "variable-decls", "user-field-decls", "forms", "scripts", "table-columns",
        "table-column", "event-listeners", "creator", "date", "note-citation", "dde-connection-decls", "glue-point",
        "title", "desc", "enhanced-geometry", "table-of-content-source", "alphabetical-index-source",
        "illustration-index-source", "table-index-source", "user-index-source", "bibliography-source", "binary-data",
        "object-index-source", "shapes", "soft-page-break", "meta-field-source", "image-map"}  # fmt: skip
FIELDS = {"creator", "date", "title"}
FLOW = {"p", "h", "list", "table", "section", "table-of-content", "numbered-paragraph"}


class OdtStory:
    """A walk over the text of one part, in reading order."""

    def __init__(self, package: Package, styles: OdtStyles, job: Job) -> None:
        self._package, self._styles, self._job = package, styles, job
        self._gone = ""  # how the sections around hide their text
        self._cells = 0  # how many cells and frames stand around: their ground is not known
        self._contents = 0

    def blocks(self, element: Any, depth: int = 0) -> list[Block]:
        """Blocks of everything in an element that holds paragraphs."""
        made = list[Block]()
        for each in element:
            made += self._block(each, depth + 1)
        return made

    def _block(self, element: Any, depth: int) -> list[Block]:
        name = local(element.tag)
        if not name or _gone(element):
            return []
        if depth > DEEPEST:
            text = " ".join("".join(element.itertext()).split())
            return [Block(kind="text", text=text)] if text else []
        match name:
            case "p" | "h":
                return self._paragraph(element, depth)
            case "list":
                return self._list(element, depth, 1, "")
            case "table":
                return self._table(element, depth)
            case "section" | "table-of-content":
                before = self._gone
                if attribute(element, "display") == "none" or attribute(element, "is-hidden") == "true":
                    self._gone = "markup"
                self._contents += name == "table-of-content"
                made = self.blocks(element, depth)
                self._contents -= name == "table-of-content"
                self._gone = before
                return made
            case "frame" | "text-box" | "custom-shape" | "g" | "annotation" | "a" | "object" | "note":
                line = Line()
                self._walk(element, line, [], depth)
                return line.blocks()
        return self.blocks(element, depth)

    def _paragraph(self, element: Any, depth: int, item: tuple[int, str] | None = None) -> list[Block]:
        line, style = Line(), attribute(element, "style-name")
        line.rule = "contents page" if self._contents else ""
        self._texts(element, line, [("paragraph", style)], depth)
        if not line.shown().strip():
            return line.blocks()
        level = attribute(element, "outline-level")
        if local(element.tag) == "h":
            at = max(1, int(level)) if level.isdigit() else 1
            label = (
                item[1] if item and item[1] else self._styles.label("outline", at, attribute(element, "start-value"))
            )
            return line.blocks("heading", at, label)
        if heading := self._styles.heading(style):
            return line.blocks("heading", heading)
        return line.blocks("list", item[0] - 1, item[1]) if item else line.blocks()

    def _list(self, element: Any, depth: int, level: int, style: str) -> list[Block]:
        """Items of a list; each one's first paragraph has the label."""
        if depth > DEEPEST:
            return []
        named = attribute(element, "style-name")
        if not named and not style:
            inside = next((e for e in element.iter() if local(e.tag) in ("p", "h")), None)
            named = self._styles.list_of(attribute(inside, "style-name")) if inside is not None else ""
        style = named or style
        if attribute(element, "continue-numbering") != "true" and not attribute(element, "continue-list"):
            self._styles.begin(style, level)
        made = list[Block]()
        for item in element:
            labelled = local(item.tag) == "list-header"
            for each in item if local(item.tag) in ("list-item", "list-header") else ():
                name = local(each.tag)
                if name == "list":
                    made += self._list(each, depth + 2, level + 1, style)
                elif name in ("p", "h") and not labelled:
                    label = self._styles.label(style, level, attribute(item, "start-value"))
                    made += self._paragraph(each, depth + 2, (level, label))
                    labelled = True
                elif name != "number":
                    made += self._block(each, depth + 2)
        return made

    def _texts(self, element: Any, line: Line, looks: list[tuple[str, str]], depth: int) -> None:
        """Add the text of an element and of all in it."""
        how = self._gone or self._styles.hidden(looks, not self._cells)
        line.add(re.sub(r"\s+", " ", element.text or ""), how)
        for each in element:
            self._walk(each, line, looks, depth + 1)
            line.add(re.sub(r"\s+", " ", each.tail or ""), how)

    def _walk(self, element: Any, line: Line, looks: list[tuple[str, str]], depth: int) -> None:
        name = local(element.tag)
        if not name or _gone(element) or name == "number":
            return
        if depth > DEEPEST:
            line.add(" ".join("".join(element.itertext()).split()))
            return
        match name:
            case "s":
                line.add(" " * min(int(attribute(element, "c") or 1) if attribute(element, "c").isdigit() else 1, 20))
            case "tab" | "line-break":
                line.add("\t" if name == "tab" else "\n")
            case "span":
                self._texts(element, line, [("text", attribute(element, "style-name")), *looks], depth)
            case "a":
                before = len(line.pieces)
                self._texts(element, line, looks, depth)
                text = "".join(text for text, _ in line.pieces[before:])
                line.link(text, attribute(element, "href"), self._job.parsing.links)
            case "page-number" | "page-count":
                line.leave_out("".join(element.itertext()), "page number")
            case "hidden-text" | "hidden-paragraph":
                shown = attribute(element, "is-hidden") == "false"
                text = "".join(element.itertext()) or attribute(element, "string-value")
                line.add(text, "" if shown else "markup")
            case "ruby":
                self._texts(child(element, "ruby-base"), line, looks, depth) if child(
                    element, "ruby-base"
                ) is not None else None
                reading = (
                    "".join(child(element, "ruby-text").itertext()) if child(element, "ruby-text") is not None else ""
                )
                line.add(f"({reading})" if reading else "")
            case "note":
                body = child(element, "note-body")
                line.after += self.blocks(body, depth) if body is not None else []
            case "annotation":
                self._comment(element, line, depth)
            case "object" | "object-ole" | "math":
                self._object(element, line, depth)
            case _ if name in FLOW:
                line.after += self._block(element, depth + 1)
            case _:
                self._drawing(name, element, line, looks, depth)

    def _drawing(self, name: str, element: Any, line: Line, looks: list[tuple[str, str]], depth: int) -> None:
        """Add alt text of a frame or shape, and what stands in it; any other element is a field with its text."""
        said = [" ".join("".join(found.itertext()).split()) for part in ("title", "desc")
                if (found := child(element, part)) is not None]  # fmt: skip
        if alt := ". ".join(filter(None, dict.fromkeys(said))):
            line.add(f" [picture: {alt}] ", self._gone)
        drawn = "draw" in element.tag.partition("}")[0]
        self._cells += drawn
        self._texts(element, line, looks, depth)
        self._cells -= drawn

    def _comment(self, element: Any, line: Line, depth: int) -> None:
        text = "\n".join(block.text for block in self.blocks(element, depth))
        if self._job.parsing.comments and text:
            line.after.append(Block(kind="text", text=f"[comment: {text}]"))
        else:
            line.leave_out(text, "comment")

    def _object(self, element: Any, line: Line, depth: int) -> None:
        """Add an embedded formula, chart, sheet or text."""
        root, href = element, attribute(element, "href").removeprefix("./").rstrip("/")
        if href:
            if f"{href}/content.xml" not in self._package.names:
                line.leave_out(f"{href}: it is of a kind that Moat does not read", "unreadable part")
                return
            root = self._package.tree(f"{href}/content.xml")
            if root is None:
                return
        maths = next((e for e in root.iter() if local(e.tag) == "math"), None)
        if maths is not None:
            line.add(mathml_text(maths))
        elif depth < DEEPEST // 2:
            inner = OdtStory(self._package, OdtStyles(root), self._job)
            body = next((e for e in root.iter() if local(e.tag) == "body"), root)
            line.after += inner.blocks(body, depth + 10)

    def _table(self, element: Any, depth: int) -> list[Block]:
        grid, hidden, below = list[list[Cell]](), list[Block](), dict[int, tuple[int, Cell]]()
        self._cells += 1
        for row in _rows(element, depth):
            cells = self._row(row, below, depth)
            if attribute(row, "visibility") in ("collapse", "filter"):
                hidden += [replace(block, hidden="markup") for cell in cells for block in cell]
            else:
                grid += [cells] * (min(_number(row, "number-rows-repeated"), MOST_ROWS) if any(cells) else 1)
        self._cells -= 1
        return table_blocks(grid) + hidden

    def _row(self, row: Any, below: dict[int, tuple[int, Cell]], depth: int) -> list[Cell]:
        """Cells of a row, one for each column; `below` holds those that reach down, with their rows left."""
        cells = list[Cell]()
        for element in row:
            name = local(element.tag)
            if name == "covered-table-cell":
                for _ in range(min(_number(element, "number-columns-repeated"), MOST_COLUMNS - len(cells))):
                    left, cell = below.get(len(cells), (0, []))
                    cells.append(cell if left else self.blocks(element, depth + 1))
            elif name == "table-cell":
                cell = self.blocks(element, depth + 1)
                across, down = _number(element, "number-columns-spanned"), _number(element, "number-rows-spanned")
                for at in range(len(cells), min(len(cells) + across, MOST_COLUMNS)):
                    below[at] = (down + (at > len(cells)), cell) if down > 1 or at > len(cells) else (0, [])
                cells.append(cell)
                repeats = _number(element, "number-columns-repeated") - 1
                cells += [cell] * (min(repeats, MOST_COLUMNS) if cell else min(repeats, 1))
        for at, (left, cell) in list(below.items()):
            below[at] = (left - 1, cell) if left > 1 else (0, [])
        return cells


def _rows(element: Any, depth: int) -> list[Any]:
    found = list[Any]()
    for each in element:
        if local(each.tag) == "table-row":
            found.append(each)
        elif local(each.tag) in ("table-header-rows", "table-rows", "table-row-group") and depth < DEEPEST:
            found += _rows(each, depth + 1)
    return found


def _gone(element: Any) -> bool:
    """Whether an element is no text; fields are, such as that of the document's title."""
    name = local(element.tag)
    return name in GONE and not (name in FIELDS and ":text:" in element.tag)


def _number(element: Any, name: str) -> int:
    said = attribute(element, name)
    return int(said) if said.isdigit() and len(said) < 8 and said != "0" else 1
