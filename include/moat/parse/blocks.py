"""Turn unstructured's elements into blocks, keeping headings, lists, pages and tables."""

import importlib
from collections.abc import Iterable
from typing import Any

from moat.records import Block

HEADINGS = {
    "docx",
    "html",
    "md",
    "epub",
    "odt",
    "rst",
    "org",
    "rtf",
    "pptx",
    "xlsx",
    "xls",
}  # where a Title is one
LISTS = {"ListItem", "BulletedText", "List-item", "List"}
NOTHING = {"PageBreak", "PageNumber"}


def partition(module: str, **given: Any) -> list[Any]:
    """Return unstructured's elements of a document, by the name of its module, such as "docx"."""
    found = importlib.import_module(f"unstructured.partition.{module}")
    return list(getattr(found, f"partition_{module}")(**given, languages=[""]))


def blocks_of(elements: Iterable[Any], kind: str) -> list[Block]:
    """Turn unstructured's elements of a document of this kind into blocks, in their order."""
    blocks: list[Block] = []
    for element in elements:
        text = element.text.strip() if element.text else ""
        page = element.metadata.page_number
        if element.category in NOTHING or not text:
            continue
        if element.category == "Table":
            table = markdown_table(element.metadata.text_as_html) if element.metadata.text_as_html else ""
            blocks.append(
                Block(kind="table", text=table, page=page) if table else Block(kind="text", text=text, page=page)
            )
        elif element.category == "Title" and kind in HEADINGS:
            blocks.append(
                Block(
                    kind="heading",
                    text=" ".join(text.split()),
                    level=(element.metadata.category_depth or 0) + 1,
                    page=page,
                )
            )
        elif element.category in LISTS:
            blocks.append(
                Block(
                    kind="list", text=f"{'  ' * max(0, (element.metadata.category_depth or 1) - 1)}- {text}", page=page
                )
            )
        else:
            blocks.append(Block(kind="text", text=text, page=page))
    return blocks


def markdown_table(html: str) -> str:
    """Turn an HTML table into Markdown, first row as header; "" for a single cell."""
    import lxml.html

    table = lxml.html.fragment_fromstring(html, create_parent="div")
    rows = [[_cell(cell) for cell in row.xpath("./td|./th")] for row in table.iter("tr")]
    return markdown_rows(rows)


def markdown_rows(rows: list[list[str]]) -> str:
    """Format rows as a Markdown table; "" for a table of layout only."""
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2:
        return ""
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _cell(cell: Any) -> str:
    return " ".join(cell.text_content().split()).replace("|", "\\|")
