"""PDF: words with their places by pdfium, put together to lines, columns, paragraphs, headings and tables."""

import io
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from moat.errors import ParseDamaged, ParseLocked
from moat.parse.blocks import unreadable
from moat.parse.hidden_pdf import pdf_shown_and_hidden
from moat.parse.job import Job, Parsed
from moat.parse.ocr import Reader, Unread
from moat.parse.pdf_blocks import blocks_of_pages, largest_text
from moat.parse.pdf_headings import Entry, mark_contents, mark_headings
from moat.parse.pdf_heads import mark_heads
from moat.parse.pdf_layout import Page, lines_of
from moat.parse.pdf_notes import Note, annotations, attached_files, place, with_links, with_values
from moat.parse.pdf_segments import Segment, segments_of
from moat.parse.pdf_tables import DAMAGED, RuledTables
from moat.parse.pdf_words import Word, words_of_page
from moat.parse.progress import reached
from moat.records import Block

# A title that a program set: it names a file or nothing.
NO_TITLE = re.compile(
    r"^(microsoft|untitled|document\d*$|print|slide \d|unbenannt|sans titre|scan)|\.(docx?|pptx?|xlsx?|indd|tex|dvi|html?|pdf)$",
    re.IGNORECASE,
)
UNNAMED_GLYPH = re.compile(r"\(cid:\d+\)")
MOST_ENTRIES = 20_000  # of an outline
PASSWORD = 4  # pdfium's error
DAMAGE = "it is damaged"
END = b"%%EOF"
NEAR_THE_END = 2_048  # bytes: some programs write a little behind it


def parse_pdf(content: bytes, job: Job) -> Parsed:
    """Parse a PDF into blocks and its title.

    There are no blocks if it has no text that can be read. The title is what its metadata say unless a program set
    it, or else the largest text of its first page; "" if neither is there. Raises ParseLocked if it needs a password,
    ParseDamaged if none of its pages can be read.
    """
    import pypdfium2

    if b"/Encrypt" in content and _is_locked(content):
        raise ParseLocked("it is a PDF that needs a password: save it without one and replay")
    shown, hidden = pdf_shown_and_hidden(content)
    try:
        document = pypdfium2.PdfDocument(shown)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", 0) == PASSWORD or "password" in str(error).lower():
            raise ParseLocked("it is a PDF that needs a password: save it without one and replay") from error
        return Parsed(_plain_pages(content) or _raise_for_damage(content))
    try:
        pages, notes, unread = _pages(document, shown, job)
        entries = _outline(document)
        blocks = _blocks(pages, entries) or _plain_pages(content)  # pypdf may read what pdfium cannot
        if not blocks and not hidden and (not len(document) or DAMAGE in {one.why for one in unread}):
            _raise_for_damage(content)
        title = str(document.get_metadata_dict().get("Title") or "").strip()
        title = largest_text(pages) if not title or NO_TITLE.search(title) else title
        files = list(attached_files(document, notes, job))
        return Parsed([*blocks, *_unread(unread), *hidden, *files], title)
    finally:
        document.close()


def _pages(document: Any, content: bytes, job: Job) -> tuple[list[Page], list[Note], list[Unread]]:
    """Read all pages; a page that cannot be read is declared and does not lose the rest."""
    import pypdfium2
    import pypdfium2.raw as raw

    pages, notes, unread = list[Page](), list[Note](), list[Unread]()
    tables, reader = RuledTables(content), Reader()
    if document.get_formtype() != raw.FORMTYPE_NONE:
        document.init_forms()
    form = document.formenv.raw if document.formenv else None
    for number in range(1, len(document) + 1):
        reached("page", number, len(document))
        try:
            page = document[number - 1]
        except pypdfium2.PdfiumError:
            unread.append(Unread(page=number, why=DAMAGE))
            continue
        try:
            beside, values = annotations(page, form)
            words = _words(page)
            if job.parsing.links:
                with_links(words, beside)
            if not words and (segments := reader.page(page, number)):
                made = Page(number=number, width=page.get_width(), height=page.get_height())
                made.lines = lines_of(segments, number)
            else:
                made = _page(page, number, words, tables, values)
            notes += beside
            left = place(made.lines, list(_noted(beside, made, job)))
            if left:  # a page with nothing but notes
                made.lines = lines_of([_segment(left)], number)
            pages.append(made)
        except pypdfium2.PdfiumError:
            unread.append(Unread(page=number, why=DAMAGE))
        finally:
            page.close()
    tables.close()
    return pages, notes, [*unread, *reader.unread]


def _words(page: Any) -> list[Word]:
    textpage = page.get_textpage()
    try:
        return words_of_page(page, textpage)
    finally:
        textpage.close()


def _page(page: Any, number: int, words: list[Word], tables: RuledTables, values: list[Any]) -> Page:
    ruled = tables.of_page(page, number, words)
    taken = {word for table in ruled for word in table.words}
    segments = with_values(segments_of(w for w in words if id(w) not in taken), values)
    for table in ruled:
        x0, y0, x1, y1 = table.box
        segments.append(Segment(text="", x0=x0, y0=y0, x1=x1, y1=y1, base=y1, size=10.0, table=table.rows))
    left, bottom, _, _ = page.get_cropbox()
    made = Page(number=number, width=page.get_width(), height=page.get_height())
    made.lines = lines_of(segments, number)
    for line in made.lines:
        line.y0, line.y1, line.base = line.y0 - bottom, line.y1 - bottom, line.base - bottom
        line.x0, line.x1 = line.x0 - left, line.x1 - left
        line.column = (line.column[0] - left, line.column[1] - left)
    return made


def _noted(notes: list[Note], page: Page, job: Job) -> Iterator[tuple[Block, tuple[float, float, float, float]]]:
    """Notes of a page as blocks, with their places."""
    for note in notes:
        if note.kind in ("note", "free"):
            loaded = note.kind == "free" or job.parsing.notes
            yield Block(kind="text", text=note.text, page=page.number, left_out="" if loaded else "note"), note.box
        elif note.kind == "link" and not job.parsing.links:
            yield Block(kind="text", text=note.text, page=page.number, left_out="link target"), note.box


def _segment(blocks: list[Block]) -> Segment:
    return Segment(text="", x0=0.0, y0=0.0, x1=1.0, y1=1.0, base=0.0, size=10.0, blocks=blocks)


def _blocks(pages: list[Page], entries: list[Entry]) -> list[Block]:
    mark_heads(pages)
    mark_contents(pages, entries)
    mark_headings(pages, entries)
    return blocks_of_pages(pages)


def _unread(unread: list[Unread]) -> Iterator[Block]:
    for one in sorted(unread, key=lambda u: u.page):
        yield unreadable(f"page {one.page}: {one.why}", one.page)


def _raise_for_damage(content: bytes) -> NoReturn:
    """Raise ParseDamaged: a scan can be opened, and this cannot."""
    if END not in content[-NEAR_THE_END:].rstrip(b"\0"):
        raise ParseDamaged(
            f"it is a PDF that is cut off: {len(content):,} bytes are there, and its end is missing. Copy it again and replay"
        )
    raise ParseDamaged("it is a PDF that is damaged: none of its pages can be read. Copy or save it again and replay")


def _outline(document: Any) -> list[Entry]:
    """Entries of the outline with their levels, from 1, and their places."""
    import pypdfium2

    entries = list[Entry]()
    try:
        for bookmark in document.get_toc():
            destination = bookmark.get_dest()
            index = destination.get_index() if destination else None
            place = destination.get_view()[1] if destination else []
            y = place[1] if len(place) == 3 else place[0] if len(place) == 1 else None
            entries.append(
                Entry(
                    title=" ".join((bookmark.get_title() or "").split()),
                    level=min(bookmark.level + 1, 6),
                    page=index + 1 if index is not None and index >= 0 else None,
                    y=float(y) if y is not None else None,
                )
            )
            if len(entries) == MOST_ENTRIES:
                break
    except (pypdfium2.PdfiumError, *DAMAGED):
        return entries  # the text is there; only its outline is unreadable
    return entries


def _is_locked(content: bytes) -> bool:
    """Whether a part of it is encrypted with a password that is not empty, such as the files attached to it."""
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        return reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED
    except (PyPdfError, NotImplementedError, *DAMAGED):
        return False  # pdfium says what it can open


def _plain_pages(content: bytes) -> list[Block]:
    """Text of each page by pypdf, which mends other damage than pdfium does."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        texts = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    except (PyPdfError, *DAMAGED):
        return []  # unreadable; the caller reports that it has no text
    texts = [UNNAMED_GLYPH.sub("\ufffd", text).strip() for text in texts]
    return [Block(kind="text", text=text, page=number) for number, text in enumerate(texts, 1) if text]
