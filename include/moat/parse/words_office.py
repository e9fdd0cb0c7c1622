"""The second road to the words of office documents: text nodes of their XML parts."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple


class SecondRoad(NamedTuple):
    """A document's text in its order, and words that a parser may give or not."""

    text: str
    beside: str = ""


def xml_root(part: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, recover=True)
    return etree.fromstring(part, parser)


def tag_of(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _parts(content: bytes, pattern: str) -> Iterator[tuple[str, Any]]:
    """Roots of a container's XML parts whose names match."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if re.search(pattern, name):
                root = xml_root(archive.read(name))
                if root is not None:
                    yield name, root


def _text(element: Any, texts: set[str], breaks: set[str], skip: set[str] = set()) -> str:  # noqa: B006  it is read
    """Text of the elements named in `texts`, with a space after each that is named in `breaks`."""
    parts = list[str]()

    def walk(one: Any) -> None:
        name = tag_of(one)
        if name not in skip:
            if name in texts and one.text:
                parts.append(one.text)
            for child in one:
                walk(child)
            if name in breaks:
                parts.append(" ")

    walk(element)
    return "".join(parts)


def _attributes(content: bytes, pattern: str, names: set[str]) -> str:
    return " ".join(
        value
        for _, root in _parts(content, pattern)
        for element in root.iter()
        for key, value in element.attrib.items()
        if key.rpartition("}")[2] in names
    )


def docx(content: bytes) -> SecondRoad:
    breaks = {"p", "tc", "tab", "br", "cr", "ptab", "noBreakHyphen", "txbxContent", "oMathPara", "num", "den"}
    skip = {"del", "moveFrom", "Fallback", "instrText", "delText", "pPr", "rPr", "sectPr", "oMath"}
    texts, beside, heads = list[str](), list[str](), dict[str, None]()
    for name, root in _parts(content, r"^word/(?:document|footnotes|endnotes|comments|header\d*|footer\d*)\.xml$"):
        found = _text(root, {"t"}, breaks, skip)
        if re.search("comments|header|footer", name):
            heads[" ".join(found.split())] = None  # the same head of several sections is one
        else:
            texts.append(found)
            beside += ["".join(formula.itertext()) for formula in root.iter("{*}oMath")]
    for _, root in _parts(content, r"^word/(?:charts/chart|diagrams/data)\d*\.xml$"):
        beside.append(_text(root, {"t", "v"}, {"p", "v", "t"}))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # parts of other formats, which are parsed as documents
        parts = [n for n in archive.namelist() if re.search(r"^word/.*\.(?:x?html?|mht|txt|rtf)$", n, re.IGNORECASE)]
        beside += [archive.read(n).decode("utf-8", "replace") for n in parts]
    beside.append(
        _attributes(content, r"^word/document\.xml$|_rels/[^/]*\.rels$", {"descr", "title", "char", "Target"})
    )
    return SecondRoad("\n".join([*texts, *heads]), "\n".join(beside))


def pptx(content: bytes) -> SecondRoad:
    texts, beside, breaks = list[str](), ["Notes"], {"p", "br", "tc"}  # the word above the notes of a slide
    for _, root in sorted(_parts(content, r"^ppt/slides/slide\d+\.xml$"), key=lambda part: (len(part[0]), part[0])):
        texts.append(_text(root, {"t"}, breaks, {"Fallback", "fld"}))
        beside += ["".join(field.itertext()) for field in root.iter("{*}fld")]
    texts += [
        _text(root, {"t"}, breaks, {"Fallback", "fld"})
        for _, root in _parts(content, r"^ppt/notesSlides/notesSlide\d+\.xml$")
    ]
    for _, root in _parts(content, r"^ppt/(?:charts/chart\d*|comments/[^/]*|diagrams/[^/]*)\.xml$"):
        beside.append(_text(root, {"t", "v", "text"}, {"p", "v", "t", "text"}))
    beside.append(_attributes(content, r"^ppt/slides/(?:_rels/)?slide\d+\.xml", {"descr", "title", "Target"}))
    return SecondRoad("\n".join(texts), "\n".join(beside))


def xlsx(content: bytes) -> SecondRoad:
    """Texts of cells; numbers stand beside, since a cell's format decides how they are shown."""
    texts, beside = list[str](), list[str]()
    shared = [
        _text(item, {"t"}, set(), {"rPh"})
        for _, root in _parts(content, r"^xl/sharedStrings\.xml$")
        for item in root.iter("{*}si")
    ]
    for _, root in _parts(content, r"^xl/worksheets/[^/]*\.xml$"):
        for cell in root.iter("{*}c"):
            value = cell.findtext("{*}v") or ""
            match cell.get("t"):
                case "s":
                    texts.append(shared[int(value)])
                case "inlineStr":
                    texts.append(_text(cell, {"t"}, set(), {"rPh"}))
                case "str" | "e":
                    texts.append(value)
                case "b":
                    beside.append("TRUE" if value == "1" else "FALSE")
                case _:
                    beside.append(value)
            beside.append(cell.findtext("{*}f") or "")
    pattern = r"^xl/(?:workbook|comments\d*|comments/[^/]*|persons/[^/]*|drawings/[^/]*|charts/[^/]*|threadedComments/[^/]*)\.xml$"
    for _, root in _parts(content, pattern):
        beside += [*root.itertext(), *(sheet.get("name") or "" for sheet in root.iter("{*}sheet"))]
    beside.append(_attributes(content, r"_rels/[^/]*\.rels$", {"Target"}))
    return SecondRoad("\n".join(texts), "\n".join(beside))


def odt(content: bytes) -> SecondRoad:
    edges, texts, beside = {"p", "h", "tab", "line-break", "s", "table-cell"}, list[str](), list[str]()
    for name, root in _parts(content, r"^(?:content|styles)\.xml$"):
        body = _nodes(root, edges, {"tracked-changes", "script", "annotation", "note-citation"})
        (texts if name == "content.xml" else beside).append(body)
        beside += [" ".join(note.itertext()) for note in root.iter("{*}annotation")]
    beside.append(_attributes(content, r"^content\.xml$", {"href", "name", "value"}))
    return SecondRoad("\n".join(texts), "\n".join(beside))


def _nodes(element: Any, edges: set[str], skip: set[str]) -> str:
    """All text nodes, with a space where an element named in `edges` begins or ends."""
    parts = list[str]()

    def walk(one: Any) -> None:
        name = tag_of(one)
        if name and name not in skip:
            parts.append((" " if name in edges else "") + (one.text or ""))
            for child in one:
                walk(child)
                parts.append(child.tail or "")
            parts.append(" " if name in edges else "")

    walk(element)
    return "".join(parts)
