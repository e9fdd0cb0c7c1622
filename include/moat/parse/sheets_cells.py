"""Cells of a worksheet of Office Open XML, read as a stream: texts as shown, merges, what is hidden, links."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any

from moat.errors import ParseFailed, ParseTooMuchText
from moat.parse.drawings import unescaped
from moat.parse.number_format import BUILT_IN, shown, shown_text
from moat.parse.package import DAMAGED, Package, attribute, local
from moat.parse.sheets_regions import Box, Grid

REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})")
ADDRESS = re.compile(r"HYPERLINK\(\s*\"([^\"]+)\"", re.IGNORECASE)
HEADS = {"oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter"}
MARKS = re.compile(r"&(?:\"[^\"]*\"|\d+|K[0-9A-Fa-f+-]{6}|[A-Za-z&])")
DIFFERENT = re.compile(r"&[LCR]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What the sheets of a workbook share."""

    strings: list[str]
    codes: list[str]  # number formats by the number of a cell's style
    date1904: bool
    limit: int  # characters of a sheet


@dataclass(slots=True, kw_only=True)
class Cells:
    """A worksheet's cells, and what stands beside them."""

    grid: Grid
    links: dict[tuple[int, int], str] = field(default_factory=dict)  # addresses by cell
    not_shown: list[str] = field(default_factory=list)  # values whose number format shows nothing
    heads: list[str] = field(default_factory=list)  # of the printed page
    n_formulas: int = 0  # formulas without a value
    damage: str = ""


def read_strings(package: Package, name: str) -> list[str]:
    """Texts that cells share. Damage ends the list."""
    strings = list[str]()
    try:
        with package.open(name) as part:
            for item in _elements(part, ("{*}si",)):
                strings.append(_rich(item))
                _forget(item)
    except (ParseFailed, *DAMAGED):
        pass  # a cell that points past the end says so
    return strings


def read_formats(package: Package, name: str) -> list[str]:
    """Number formats by the number of a cell's style; none if they cannot be read."""
    try:
        root = package.root(name)
    except ParseFailed:
        return []
    own = {f.get("numFmtId"): f.get("formatCode") or "General" for f in root.iter("{*}numFmt")}
    codes = list[str]()
    for styles in root.iterchildren("{*}cellXfs"):
        for style in styles.iterchildren("{*}xf"):
            number = style.get("numFmtId") or "0"
            codes.append(own.get(number) or BUILT_IN.get(int(number) if number.isdigit() else 0, "General"))
    return codes


def read_cells(package: Package, name: str, book: Book) -> Cells:
    """Read a worksheet. Damage ends it, and is told in `damage`."""
    cells = Cells(grid=Grid(rows={}))
    reader = Reader(book, cells)
    tags = ("row", "col", "sheetFormatPr", "mergeCell", "hyperlink", *HEADS)
    try:
        with package.open(name) as part:
            for element in _elements(part, tuple(f"{{*}}{tag}" for tag in tags)):
                match local(element):
                    case "row":
                        reader.row(element)
                        _forget(element)
                    case "col":
                        reader.columns(element)
                    case "sheetFormatPr":
                        reader.zero_height = element.get("zeroHeight") in ("1", "true")
                    case "mergeCell":
                        if (box := box_of(element.get("ref") or "")) is not None:
                            cells.grid.merged.append(box)
                    case "hyperlink":
                        reader.link(element, package, name)
                    case _:
                        cells.heads += [
                            text
                            for part_ in DIFFERENT.split(element.text or "")
                            if (text := MARKS.sub("", part_).strip())
                        ]
    except ParseFailed as error:
        cells.damage = str(error)
    except DAMAGED as error:
        cells.damage = f"its part {name} is damaged: {error}"
    return cells


def box_of(reference: str) -> Box | None:
    """The cells of a reference such as A1:C4; None if it is none."""
    found = REFERENCE.findall(reference)
    if not found or len(found) > 2:
        return None
    (left, top), (right, bottom) = found[0], found[-1]
    columns, rows = sorted((column_of(left), column_of(right))), sorted((int(top) - 1, int(bottom) - 1))
    return Box(rows[0], columns[0], rows[1], columns[1])


@lru_cache(20_000)
def column_of(letters: str) -> int:
    """Number of a column from 0, by its letters."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


class Reader:
    """What takes a worksheet's elements one after the other."""

    def __init__(self, book: Book, cells: Cells) -> None:
        self.book, self.cells, self.zero_height = book, cells, False
        self.size, self.last = 0, -1
        self.formulas = dict[str, tuple[str, str]]()  # shared ones: text and cell of the first

    def row(self, element: Any) -> None:
        """Take a row, and whether a person sees it."""
        number = element.get("r") or ""
        self.last = int(number) - 1 if number.isdigit() else self.last + 1
        if not len(element):
            return
        row, column = dict[int, str](), -1
        for cell in element:
            reference = cell.get("r") or ""
            letters = reference.rstrip("0123456789")
            column = column_of(letters) if letters.isalpha() and len(letters) < 4 else column + 1
            if len(cell) and (text := self._text(cell, column)):
                row[column] = text
                self.size += len(text)
        if not row:
            return
        if self.size > self.book.limit:
            raise ParseTooMuchText(
                f"one of its sheets gives more than the {self.book.limit:,} characters of text that MOAT_PARSE_OUTPUT_MB allows: split it up"
            )
        self.cells.grid.rows.setdefault(self.last, {}).update(row)
        if element.get("hidden") in ("1", "true") or element.get("ht") in ("0", "0.0"):
            self.cells.grid.hidden_rows.add(self.last)

    def columns(self, element: Any) -> None:
        """Take columns that a person does not see."""
        if element.get("hidden") in ("1", "true") or element.get("width") in ("0", "0.0"):
            first, last = element.get("min") or "", element.get("max") or ""
            if first.isdigit() and last.isdigit():
                self.cells.grid.hidden_columns.update(range(int(first) - 1, min(int(last), 16_384)))

    def link(self, element: Any, package: Package, name: str) -> None:
        """Take a link that leads out of the workbook."""
        box = box_of(element.get("ref") or "")
        relation = package.relations(name).get(attribute(element, "id"))
        if box is not None and relation is not None and relation.external:
            self.cells.links[box.top, box.left] = relation.target

    def _text(self, cell: Any, column: int) -> str:
        """Text of a cell as it is shown."""
        kind, value, formula = cell.get("t") or "n", "", None
        for child in cell:
            match local(child):
                case "v":
                    value = child.text or ""
                case "f":
                    formula = child
                case "is":
                    value = _rich(child)
        if formula is not None:
            if formula.text and (address := ADDRESS.search(formula.text)):
                self.cells.links[self.last, column] = address[1]
            if not value and kind != "str":
                self.cells.n_formulas += 1
                return self._formula(formula, cell.get("r") or "")
            if formula.get("t") == "shared" and formula.text:
                self._formula(formula, cell.get("r") or "")
        if not value:
            return ""
        style = cell.get("s") or "0"
        code = self.book.codes[int(style)] if style.isdigit() and int(style) < len(self.book.codes) else "General"
        text = self._shown(kind, value, code)
        if not text.strip() and value.strip():
            self.cells.not_shown.append(self._shown(kind, value, "General"))
        return text.strip()

    def _shown(self, kind: str, value: str, code: str) -> str:
        match kind:
            case "s":
                if not value.strip().isdigit() or int(value) >= len(self.book.strings):
                    self.cells.damage = "the texts that its cells share are damaged, and some are lost"
                    return ""
                return shown_text(self.book.strings[int(value)], code)
            case "inlineStr":
                return shown_text(value, code)
            case "str":
                return shown_text(unescaped(value), code)
            case "b":
                return {"1": "TRUE", "0": "FALSE"}.get(value, value)
            case "e":
                return value
            case "d":
                return re.sub(r"T00:00:00(?:\.0+)?Z?$", "", value).replace("T", " ")
        if code == "General" and value.removeprefix("-").isdigit():
            return value
        try:
            return shown(float(value), code, self.book.date1904)
        except ValueError:
            return value

    def _formula(self, formula: Any, at: str) -> str:
        """Text of a formula; one that cells share is shifted from the first of them."""
        text, shared = formula.text or "", formula.get("si") or ""
        if text:
            if shared:
                self.formulas[shared] = (f"={text}", at)
            return f"={text}"
        first, origin = self.formulas.get(shared, ("", ""))
        if not first or not at:
            return first
        from openpyxl.formula.translate import Translator, TranslatorError

        try:
            return str(Translator(first, origin=origin).translate_formula(at))
        except (TranslatorError, ValueError, IndexError):
            return first


def _rich(item: Any) -> str:
    """Text of a string of several runs; how it is read aloud is no part of it."""
    runs = (t.text or "" for t in item.iter("{*}t") if local(t.getparent()) != "rPh")
    return unescaped("".join(runs))


def _elements(part: IO[bytes], tags: tuple[str, ...]) -> Iterator[Any]:
    """Elements of a part as they end, so that a large one is never whole in memory."""
    from lxml import etree

    try:
        events = etree.iterparse(part, tag=tags, resolve_entities=False, no_network=True, recover=True, huge_tree=False)
        for _, element in events:
            yield element
    except etree.XMLSyntaxError as error:
        raise ParseFailed(f"it is damaged: {error}") from error
    except zipfile.BadZipFile as error:
        raise ParseFailed(f"it is damaged: {error}") from error
    wrong = [entry for entry in events.error_log if entry.level_name == "FATAL"]
    if wrong:  # what could be read has been read
        raise ParseFailed(f"it is damaged: {wrong[0].message} in line {wrong[0].line}")


def _forget(element: Any) -> None:
    """Free an element that has been read, and those before it."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]
