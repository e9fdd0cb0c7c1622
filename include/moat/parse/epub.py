"""E-books: pages in the order of the spine."""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from moat.errors import ParseFailed, ParseLocked
from moat.parse.blocks import unreadable
from moat.parse.encoding import decode
from moat.parse.html_links import one_of_targets
from moat.parse.html_tree import epub_type
from moat.parse.html_walk import Page
from moat.parse.job import Job, Parsed
from moat.records import Block

PAGES = {"application/xhtml+xml", "text/html", "text/x-oeb1-document", "image/svg+xml", "application/x-dtbook+xml"}
PAGE_NAME = re.compile(r"\.(?:x?html?|svg)$", re.IGNORECASE)
CONTENTS = re.compile(r"(?:^|\s)(?:toc|landmarks|page-list|lot|loi)(?:\s|$)")


class Item(NamedTuple):
    """A file of the book."""

    name: str
    media_type: str
    properties: str


class Book(NamedTuple):
    """What the package document says of a book."""

    title: str | None
    items: dict[str, Item]  # by id
    spine: list[str]  # ids in reading order
    contents: set[str]  # names of pages that are tables of contents


def parse_epub(content: bytes, job: Job) -> Parsed:
    """Parse an e-book: pages of the spine, then pages that stand in no spine, then its table of contents."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        book = _book(archive, names)
        _open_to_read(archive, names, book)
        blocks = [block for name in _order(book, names) for block in _page(archive, name, book, job)]
        return Parsed(one_of_targets(blocks), book.title)


def _order(book: Book, names: set[str]) -> list[str]:
    """Names of the pages in reading order; a page that the package does not name comes last, and is read too."""
    items = [book.items[name] for name in dict.fromkeys(book.spine) if name in book.items]
    items += [item for item in book.items.values() if item.media_type in PAGES - {"image/svg+xml"}]
    found = dict.fromkeys(item.name for item in items)
    found.update(dict.fromkeys(sorted(name for name in names if PAGE_NAME.search(name) and not name.endswith("svg"))))
    found.update(dict.fromkeys(item.name for item in book.items.values() if item.name.endswith(".ncx")))
    return [name for name in found if name]


def _page(archive: zipfile.ZipFile, name: str, book: Book, job: Job) -> Iterator[Block]:
    try:
        markup = decode(archive.read(name), markup=True)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ParseFailed) as error:
        why = "it is missing" if isinstance(error, KeyError) else str(error)
        yield unreadable(f"{name}: {why}")
        return
    if name.endswith(".ncx"):
        page = Page(markup, links=False)
        labels = (" ".join("".join(label.itertext()).split()) for label in page.tree.iter("text"))
        yield Block(kind="text", text="\n".join(filter(None, labels)), left_out="contents page")
        return
    page = Page(markup, styles=_styles(archive, name, markup), links=job.parsing.links)
    contents = name in book.contents or _is_contents(page.tree)
    for block in page.blocks():
        if contents:
            left_out = block.left_out or "contents page"
            yield Block(kind=block.kind, text=block.text, level=block.level, left_out=left_out)
        else:
            yield block


def _is_contents(tree: Any) -> bool:
    """Whether a page is a table of contents: nothing else stands in its body."""
    body = next(tree.iter("body"), None)
    if body is None:
        return False
    if CONTENTS.search(epub_type(body)):
        return True
    parts = list(body.iterchildren("*"))
    return bool(parts) and all(CONTENTS.search(epub_type(part)) for part in parts)


def _styles(archive: zipfile.ZipFile, name: str, markup: str) -> str:
    """Stylesheets of the book that a page links to."""
    found = list[str]()
    for link in re.findall(r"<link\b[^>]*>", markup[:100_000], re.IGNORECASE):
        target = re.search(r"""href\s*=\s*["']([^"']+\.css)["']""", link, re.IGNORECASE)
        if target:
            try:
                found.append(decode(archive.read(_joined(name, target[1])), markup=True))
            except (KeyError, zipfile.BadZipFile, OSError, RuntimeError, ParseFailed):
                continue  # a page is read without the sheet that is damaged
    return "\n".join(found)


def _joined(base: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(target.partition("#")[0])))


def _book(archive: zipfile.ZipFile, names: set[str]) -> Book:
    """Read the package document; a damaged one leaves the pages as their names sort."""
    package = _package_name(archive, names)
    root = _root(archive, package) if package else None
    if root is None:
        return Book(None, {}, [], set())
    items = {
        item.get("id") or "": Item(
            _joined(package, item.get("href") or ""), item.get("media-type") or "", item.get("properties") or ""
        )
        for item in root.iter("{*}item")
    }
    contents = {item.name for item in items.values() if "nav" in item.properties.split()}
    for reference in root.iter("{*}reference"):
        if (reference.get("type") or "").lower() == "toc":
            contents.add(_joined(package, reference.get("href") or ""))
    spine = [item.get("idref") or "" for item in root.iter("{*}itemref")]
    title = next((" ".join(t.text.split()) for t in root.iter("{*}title") if t.text and t.text.strip()), None)
    first = items[spine[0]].name if spine and spine[0] in items else ""
    return Book(title, items, spine, contents if len(spine) > 1 else contents - {first})


def _package_name(archive: zipfile.ZipFile, names: set[str]) -> str:
    container = _root(archive, "META-INF/container.xml") if "META-INF/container.xml" in names else None
    if container is not None:
        for file in container.iter("{*}rootfile"):
            if (file.get("full-path") or "") in names:
                return str(file.get("full-path"))
    return next((name for name in sorted(names) if name.lower().endswith(".opf")), "")


def _root(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    try:
        return etree.fromstring(archive.read(name), parser)
    except (etree.XMLSyntaxError, KeyError, ValueError, zipfile.BadZipFile, OSError, EOFError, RuntimeError):
        return None


def _open_to_read(archive: zipfile.ZipFile, names: set[str], book: Book) -> None:
    """Refuse a book whose pages are encrypted. Fonts often are, and do not matter."""
    root = _root(archive, "META-INF/encryption.xml") if "META-INF/encryption.xml" in names else None
    if root is not None:
        locked = {unquote(reference.get("URI") or "") for reference in root.iter("{*}CipherReference")}
        if locked & {item.name for item in book.items.values() if item.media_type in PAGES}:
            raise ParseLocked("its pages are encrypted (DRM): ask its publisher for a copy without")
