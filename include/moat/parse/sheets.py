"""Sheets: .xlsx, .xls, .csv and .tsv.

Each sheet begins with its name as a heading. Its regions of cells follow as tables and text, then its drawings and
its comments. Numbers stand as they are shown. A filtered row is hidden, as every row that a person does not see.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.parse.charts import embedded_blocks
from moat.parse.drawings import Drawing, within
from moat.parse.encoding import decode
from moat.parse.job import Job, Parsed
from moat.parse.package import Package, attribute, local, xml_root
from moat.parse.separated import separated_blocks
from moat.parse.sheets_cells import Book, Cells, box_of, read_cells, read_formats, read_strings
from moat.parse.sheets_old import xls_blocks
from moat.parse.sheets_regions import blocks_of_grid, one_line
from moat.records import Block

PATTERN = r"^xl/(?:worksheets|chartsheets|dialogsheets)/[^/]*\.xml$"
ANCHORS = {"twoCellAnchor", "oneCellAnchor", "absoluteAnchor"}


def parse_xlsx(content: bytes, job: Job) -> Parsed:
    """Parse a workbook."""
    package = Package(content)
    if not package.has("xl/workbook.xml") and package.has("xl/workbook.bin"):
        raise ParseFailed("it is a binary workbook (.xlsb): save it as .xlsx")
    sheets, book = _workbook(package, job)
    if not sheets:
        raise ParseFailed("it holds no sheets, or their list is damaged: open it and save it again as .xlsx")
    return Parsed([block for sheet in sheets for block in _sheet(package, sheet, book, job)])


def parse_xls(content: bytes, job: Job) -> Parsed:
    """Parse a workbook of the old format."""
    return Parsed(xls_blocks(content, job))


def parse_csv(content: bytes, job: Job) -> Parsed:
    """Parse comma-separated values, whose rows may differ in length."""
    return Parsed(separated_blocks(decode(content), job.limit))


def parse_tsv(content: bytes, job: Job) -> Parsed:
    """Parse tab-separated values."""
    return Parsed(separated_blocks(decode(content), job.limit, "\t"))


class Sheet(NamedTuple):
    """A sheet as the workbook lists it."""

    name: str
    part: str
    hidden: bool


def _workbook(package: Package, job: Job) -> tuple[list[Sheet], Book]:
    """Sheets in their order, and what they share."""
    main = next(iter(package.related("", "officeDocument")), "xl/workbook.xml")
    sheets, date1904 = list[Sheet](), False
    try:
        root = package.root(main)
    except ParseFailed:
        root = None  # the sheets are found by the names of their parts
    if root is not None:
        relations = package.relations(main)
        date1904 = any(about.get("date1904") in ("1", "true") for about in root.iter("{*}workbookPr"))
        for sheet in root.iter("{*}sheet"):
            relation = relations.get(attribute(sheet, "id"))
            if relation is not None and not relation.external:
                hidden = sheet.get("state") in ("hidden", "veryHidden")
                sheets.append(Sheet(sheet.get("name") or "", relation.target, hidden))
    listed = {sheet.part.lower() for sheet in sheets}
    lost = [name for name in package.names(PATTERN) if name.lower() not in listed]
    sheets += [Sheet("", name, bool(listed)) for name in lost]  # in no list: nobody sees it
    strings = (package.related(main, "sharedStrings") or ["xl/sharedStrings.xml"])[0]
    styles = (package.related(main, "styles") or ["xl/styles.xml"])[0]
    return sheets, Book(
        strings=read_strings(package, strings) if package.has(strings) else [],
        codes=read_formats(package, styles),
        date1904=date1904,
        limit=job.limit,
    )


def _sheet(package: Package, sheet: Sheet, book: Book, job: Job) -> list[Block]:
    cells = read_cells(package, sheet.part, book)
    targets = _linked(cells, job)
    for part in package.related(sheet.part, "table"):
        _declare_table(package, part, cells)
    blocks = blocks_of_grid(cells.grid, job.limit)
    blocks += [Block(kind="text", text=text, hidden="markup") for text in cells.not_shown if text.strip()]
    blocks += _drawn(package, sheet.part, job)
    blocks += _comments(package, sheet.part, job)
    blocks += targets
    if cells.heads:
        blocks.append(Block(kind="text", text="\n".join(cells.heads), left_out="running head"))
    if cells.damage:
        blocks.append(unreadable(f"{sheet.name}: {cells.damage}"))
    if cells.n_formulas:
        said = (
            f"{sheet.name}: {cells.n_formulas} formulas have no value in the file; open it, let it calculate, save it"
        )
        blocks.append(unreadable(said))
    if sheet.name.strip() and any(not block.left_out for block in blocks):
        blocks.insert(0, Block(kind="heading", text=one_line(sheet.name), level=1))
    return [replace(block, hidden=block.hidden or "markup") for block in blocks] if sheet.hidden else blocks


def _linked(cells: Cells, job: Job) -> list[Block]:
    """Write the target of a link after its cell's text, or give all targets as left out."""
    left_out = list[str]()
    for (row, column), target in cells.links.items():
        text = cells.grid.rows.get(row, {}).get(column, "")
        if target.removeprefix("mailto:").rstrip("/") in text:
            continue
        if job.parsing.links:
            cells.grid.rows.setdefault(row, {})[column] = f"{text} ({target})" if text else target
        else:
            left_out.append(target)
    return [Block(kind="text", text="\n".join(left_out), left_out="link target")] if left_out else []


def _declare_table(package: Package, part: str, cells: Cells) -> None:
    try:
        box = box_of(package.root(part).get("ref") or "")
    except ParseFailed:
        return  # its cells are found without it
    if box is not None and not any(box.top <= b.bottom and b.top <= box.bottom for b in cells.grid.tables):
        cells.grid.tables.append(box)


def _drawn(package: Package, sheet: str, job: Job) -> list[Block]:
    """Text boxes, pictures' alt texts, charts, diagrams, form controls and embedded documents of a sheet."""
    blocks = list[Block]()
    for part in package.related(sheet, "drawing"):
        try:
            root = package.root(part)
        except ParseFailed as error:
            blocks.append(unreadable(str(error)))
            continue
        drawing = Drawing(package=package, part=part, job=job)
        anchors = sorted((a for a in within(root) if local(a) in ANCHORS), key=_place)
        for shape in (shape for anchor in anchors for shape in within(anchor)):
            if local(shape) not in ("from", "to", "pos", "ext", "clientData"):
                blocks += drawing.shape(shape)
        blocks += drawing.links()
    for part in package.related(sheet, "vmlDrawing"):
        blocks += _controls(package, part)
    for part in [*package.related(sheet, "oleObject"), *package.related(sheet, "package")]:
        blocks += embedded_blocks(package, part, job)
    return blocks


def _place(anchor: Any) -> tuple[int, int]:
    """Row and column where a drawing begins."""
    numbers = [anchor.findtext(f"{{*}}from/{{*}}{name}") or "0" for name in ("row", "col")]
    row, column = (int(n) if n.strip().isdigit() else 0 for n in numbers)
    return row, column


def _controls(package: Package, part: str) -> Iterator[Block]:
    """Captions of form controls and old text boxes. Boxes of comments repeat the comments."""
    try:
        root = xml_root(package.read(part))
    except ParseFailed:
        return
    for shape in root.iter("{*}shape") if root is not None else ():
        kinds = {about.get("ObjectType") for about in shape.iter("{*}ClientData")}
        text = one_line(" ".join(t for box in shape.iter("{*}textbox") for t in box.itertext()))
        if text and "Note" not in kinds:
            yield Block(kind="text", text=text)


def _comments(package: Package, sheet: str, job: Job) -> list[Block]:
    """Comments on cells, with who made them. An old one that only repeats a threaded one is another form of it."""
    people, blocks, threaded = dict[str, str](), list[Block](), set[str]()
    rule = "" if job.parsing.comments else "comment"
    for part, root in _roots(package, package.names(r"^xl/persons/[^/]*\.xml$")):
        people |= {p.get("id") or "": p.get("displayName") or "" for p in root.iter("{*}person") if part}
    for _, root in _roots(package, package.related(sheet, "threadedComment")):
        for comment in root.iter("{*}threadedComment"):
            threaded.add(comment.get("ref") or "")
            said = _said(people.get(comment.get("personId") or "", ""), comment.findtext("{*}text") or "")
            blocks += [Block(kind="text", text=said, left_out=rule)] if said else []  # type: ignore[arg-type]
    for _, root in _roots(package, package.related(sheet, "comments")):
        authors = [author.text or "" for author in root.iter("{*}author")]
        for comment in root.iter("{*}comment"):
            number = comment.get("authorId") or ""
            author = authors[int(number)] if number.isdigit() and int(number) < len(authors) else ""
            text = "".join(t.text or "" for t in comment.iter("{*}t") if local(t.getparent()) != "rPh")
            again = comment.get("ref") in threaded
            if said := _said("" if again else author, text):
                blocks.append(Block(kind="text", text=said, left_out="other version" if again else rule))  # type: ignore[arg-type]
    return blocks


def _said(author: str, text: str) -> str:
    text = text.strip()
    return f"{author}: {text}" if text and author and not text.startswith(f"{author}:") else text


def _roots(package: Package, parts: list[str]) -> Iterator[tuple[str, Any]]:
    for part in parts:
        try:
            yield part, package.root(part)
        except ParseFailed:
            continue  # remarks beside the sheet; the sheet itself is whole
