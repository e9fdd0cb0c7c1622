"""XML: sentences, headings and tables of a text, names and values of data."""

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import markdown_rows, unreadable
from moat.parse.encoding import decode
from moat.parse.job import Job, Parsed
from moat.records import Block

DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
NAMED = re.compile(r"&([A-Za-z]\w*);")
OF_XML = {"amp", "lt", "gt", "quot", "apos"}
PROSE = {"p", "para", "simpara", "ab", "title", "head", "heading", "subtitle", "text", "tspan", "desc", "note", "quote", "l"}  # fmt: skip
HEADINGS = {"title", "head", "heading"}
SECTIONS = {"book", "part", "preface", "chapter", "appendix", "article", "section", "simplesect", "div", "topic", "concept",
            "task", "reference", *(f"sect{n}" for n in range(1, 6)), *(f"div{n}" for n in range(1, 8))}  # fmt: skip
ITEMS = {"listitem", "item", "li"}
ROWS = {"row", "tr"}
TABLES = {"table", "informaltable"}
CAPTIONS = HEADINGS | {"caption"}
CODE = {"programlisting", "screen", "literallayout", "pre", "verbatim", "codeblock", "codeph"}
MOST_DEPTH = 250


def parse_xml(content: bytes, job: Job) -> Parsed:
    """Parse XML that is no web page. Raises ParseFailed if it declares entities or holds no element."""
    text = decode(content, markup=True)
    if "<!ENTITY" in text.upper():
        raise ParseFailed("it declares entities, which can pull in other files or grow without end")
    root, damage = _root(DECLARATION.sub("", text.lstrip("\ufeff"), count=1).lstrip())
    walk = _Walk(root)
    walk.element(root, "", 0)
    walk.flush()
    return Parsed(walk.blocks + damage)


def _root(text: str) -> tuple[Any, list[Block]]:
    """Root of XML, and what damage to it is declared."""
    from lxml import etree

    def parsed(text: str, recover: bool) -> Any:
        parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, recover=recover)
        return etree.fromstring(text.encode(errors="replace"), parser)

    try:
        return parsed(text, recover=False), []
    except etree.XMLSyntaxError as first:
        text = NAMED.sub(lambda m: m[0] if m[1] in OF_XML else html.unescape(m[0]), text)  # those of web pages
        try:
            return parsed(text, recover=False), []
        except etree.XMLSyntaxError:
            root = parsed(text, recover=True)
        if root is None:
            raise ParseFailed(f"it is no XML: {first}") from first
        return root, [unreadable(f"after damage: {first}")]


class _Walk:
    """One walk over a document, which gathers its blocks."""

    def __init__(self, root: Any) -> None:
        self.blocks = list[Block]()
        self._lines = list[str]()
        self._prose = PROSE | {_name(e) for e in root.iter() if _is_mixed(e)}  # what holds a sentence once is a text

    def flush(self) -> None:
        """End the record at hand."""
        if self._lines:
            self.blocks.append(Block(kind="text", text="\n".join(self._lines)))
            self._lines = []

    def element(self, element: Any, path: str, depth: int) -> None:
        """Add an element: as a sentence, a heading, code, a table, or as lines `name: value`."""
        name = _name(element)
        if not name:
            return  # a comment or a processing instruction
        children = [child for child in element if _name(child)]
        if depth > MOST_DEPTH:
            self._add("text", _words(element))
        elif name in CODE:
            self._add("code", "".join(_texts(element)).strip("\n"))
            self._attributes(element, "", inside=True)
        elif _is_mixed(element) or (name in self._prose and not children):
            self._sentence(element, name)
        elif name in TABLES and (rows := _rows(element)):
            self._table(element, rows)
        else:
            self._attributes(element, path, inside=False)
            if text := " ".join("".join(_texts(element)).split()) if not children else "":
                self._lines.append(f"{path or name}: {text}")
            self._members(children, path, depth)

    def _members(self, children: list[Any], path: str, depth: int) -> None:
        """Add the elements inside another. Those that repeat and hold others are records, each a block."""
        often = Counter(map(_name, children))
        for child in children:
            name = _name(child)
            is_record = often[name] > 1 and (len(child) > 0 or len(child.attrib) > 1)
            if is_record:
                self.flush()
            self.element(child, name if is_record or not path or name in self._prose else f"{path}.{name}", depth + 1)
            if is_record:
                self.flush()

    def _sentence(self, element: Any, name: str) -> None:
        text = _words(element)
        sections = [e for e in element.iterancestors() if _name(e) in SECTIONS]
        if name in HEADINGS and sections and element.getparent() is sections[0]:
            self.flush()
            self.blocks.append(Block(kind="heading", text=text, level=len(sections)))
        elif any(_name(e) in ITEMS for e in (element, *element.iterancestors())):
            self._add("list", f"- {text}")
        else:
            self._add("text", text)
        self._attributes(element, "", inside=True)

    def _table(self, table: Any, rows: list[list[str]]) -> None:
        for element in table:
            if _name(element) in CAPTIONS:
                self._add("text", _words(element))
        if told := markdown_rows([[cell.replace("|", "\\|") for cell in row] for row in rows]):
            self._add("table", told)
        else:
            for row in rows:
                self._add("text", " ".join(filter(None, row)))
        self._attributes(table, "", inside=True)

    def _attributes(self, element: Any, path: str, inside: bool) -> None:
        """Add lines for the attributes of an element, and with `inside` of all that stand in it."""
        for owner in element.iter() if inside else [element]:
            for key, value in owner.attrib.items() if _name(owner) else ():
                if value.strip():
                    told = f"{path}.{_local(key)}" if path else _local(key)
                    self._lines.append(f"{told}: {' '.join(value.split())}")

    def _add(self, kind: Any, text: str) -> None:
        self.flush()
        if text.strip().strip("-"):
            self.blocks.append(Block(kind=kind, text=text))


def _rows(table: Any) -> list[list[str]]:
    """Cells of a table by row; none if it has text outside of them."""
    rows = [[_words(cell) for cell in row if _name(cell)] for row in table.iter() if _name(row) in ROWS]
    captions = [_words(element) for element in table if _name(element) in CAPTIONS]
    told = " ".join([*captions, *(cell for row in rows for cell in row)]).split()
    return rows if Counter(told) == Counter(_words(table).split()) else []


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _name(element: Any) -> str:
    return _local(element.tag) if isinstance(element.tag, str) else ""


def _is_mixed(element: Any) -> bool:
    """Whether text and elements stand side by side in it."""
    return bool(
        _name(element)
        and any(map(_name, element))
        and any(t and t.strip() for t in (element.text, *(child.tail for child in element)))
    )


def _words(element: Any) -> str:
    return " ".join("".join(_texts(element)).split())


def _texts(element: Any) -> Iterator[str]:
    """All text inside an element; elements that stand in a text do not break it, others do."""
    stack: list[Any] = [element]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            yield part
            continue
        if not isinstance(part.tag, str):
            yield part.text or "" if type(part).__name__ == "_Entity" else ""
            continue
        gap = "" if _is_mixed(part) else " "
        todo: list[Any] = [part.text or ""]
        for child in part:
            todo += [gap, child, gap, child.tail or ""]
        stack += reversed(todo)
