"""Sheets of the old format, .xls."""

import struct
from dataclasses import replace
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.parse.job import Job
from moat.parse.number_format import shown, shown_text
from moat.parse.sheets_regions import Box, Grid, blocks_of_grid, one_line
from moat.records import Block


def xls_blocks(content: bytes, job: Job) -> list[Block]:
    """Blocks of a workbook. Raises ParseFailed if it is encrypted or damaged."""
    import xlrd  # type: ignore[import-untyped]

    book = _open(content)
    blocks = list[Block]()
    for number in range(book.nsheets):
        try:
            sheet = book.sheet_by_index(number)
        except (xlrd.XLRDError, *DAMAGED) as error:
            said = f"{book.sheet_names()[number]}: its cells are damaged: {error}"
            blocks.append(unreadable(said))
            continue
        found = _sheet(book, sheet, job)
        if found:
            found.insert(0, Block(kind="heading", text=one_line(sheet.name) or str(number + 1), level=1))
        blocks += [replace(b, hidden="markup") for b in found] if sheet.visibility else found
    return blocks


DAMAGED = (AssertionError, AttributeError, LookupError, OSError, OverflowError, TypeError, ValueError, struct.error)


def _open(content: bytes) -> Any:
    """Open a workbook with its formats, or without them if they are damaged."""
    import io

    import xlrd

    why: Exception = ValueError()
    for formats in (True, False):
        try:
            return xlrd.open_workbook(
                file_contents=content, formatting_info=formats, logfile=io.StringIO(), on_demand=True
            )
        except (xlrd.XLRDError, xlrd.compdoc.CompDocError, *DAMAGED) as error:
            why = error
    if "encrypted" in str(why):
        raise ParseFailed("it is encrypted: save it without a password and replay") from why
    raise ParseFailed(
        f"it is a damaged .xls ({' '.join(str(why).split())[:200]}): open it and save it as .xlsx"
    ) from why


def _sheet(book: Any, sheet: Any, job: Job) -> list[Block]:
    import xlrd

    rows, not_shown = dict[int, dict[int, str]](), list[str]()
    for r in range(sheet.nrows):
        row = dict[int, str]()
        kinds, values = sheet.row_types(r), sheet.row_values(r)
        for c, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            if kind in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                continue
            code = _code(book, sheet, r, c)
            text = _text(book, kind, value, code).strip()
            if text:
                row[c] = text
            elif str(value).strip():
                not_shown.append(_text(book, kind, value, "General"))
        if row:
            rows[r] = row
    grid = Grid(rows=rows)
    grid.merged = [Box(top, left, bottom - 1, right - 1) for top, bottom, left, right in sheet.merged_cells]
    grid.hidden_rows = {r for r, about in sheet.rowinfo_map.items() if about.hidden or about.height == 0}
    grid.hidden_columns = {c for c, about in sheet.colinfo_map.items() if about.hidden or about.width == 0}
    targets = list[str]()
    for link in sheet.hyperlink_list:
        target, row = link.url_or_path, rows.get(link.frowx, {})
        target = target.decode("utf-8", "replace") if isinstance(target, bytes) else target
        text = row.get(link.fcolx, "")
        if not target or link.type not in ("url", "local file") or target.removeprefix("mailto:").rstrip("/") in text:
            continue
        if job.parsing.links and text:
            row[link.fcolx] = f"{text} ({target})"
        else:
            targets.append(target)
    blocks = blocks_of_grid(grid, job.limit)
    blocks += [Block(kind="text", text=text, hidden="markup") for text in not_shown]
    for _, note in sorted(sheet.cell_note_map.items()):
        text = note.text.strip()
        said = f"{note.author}: {text}" if note.author and not text.startswith(note.author) else text
        if text:
            blocks.append(Block(kind="text", text=said, left_out="" if job.parsing.comments else "comment"))
    if targets:
        blocks.append(Block(kind="text", text="\n".join(targets), left_out="" if job.parsing.links else "link target"))
    return blocks


def _code(book: Any, sheet: Any, row: int, column: int) -> str:
    """Number format of a cell."""
    if not book.formatting_info:
        return "General"
    index = sheet.cell_xf_index(row, column)
    if index is None or index >= len(book.xf_list):
        return "General"
    found = book.format_map.get(book.xf_list[index].format_key)
    return str(found.format_str) if found is not None and found.format_str else "General"


def _text(book: Any, kind: int, value: Any, code: str) -> str:
    import xlrd

    match kind:
        case xlrd.XL_CELL_TEXT:
            return shown_text(str(value), code)
        case xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if value else "FALSE"
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(value, "#ERROR"))
    if kind == xlrd.XL_CELL_DATE and code == "General":
        code = "yyyy-mm-dd" if value == int(value) else "yyyy-mm-dd hh:mm"
    return shown(float(value), code, bool(book.datemode))
