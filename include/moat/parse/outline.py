"""Outlines: .opml."""

from typing import Any

from moat.errors import ParseFailed
from moat.parse.encoding import decode
from moat.parse.html_links import is_external
from moat.parse.html_tree import XML_DECLARATION
from moat.parse.job import Job, Parsed
from moat.records import Block, LeftOut

UNSEEN = {"type", "isComment", "isBreakpoint", "version", "language"}  # how a program treats an outline, no text of it
NAMES = ("text", "title", "_note", "description")


def parse_opml(content: bytes, job: Job) -> Parsed:
    """Parse an outline into a nested list, with its notes and other attributes. Raises ParseFailed without any."""
    from lxml import etree

    markup = XML_DECLARATION.sub("", decode(content, markup=True).lstrip("\ufeff"))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise ParseFailed(f"its XML is damaged ({error}): export it again") from error
    if root is None:
        raise ParseFailed("its XML is damaged: export it again")
    title, blocks, depth = None, list[Block](), -1
    targets = list[str]()
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if element.tag == "outline":
            depth += 1 if event == "start" else -1
            if event == "start":
                blocks += _item(element, depth, job, targets)
            text = element.text if event == "start" else element.tail
        elif element.tag == "title":
            title = title or " ".join("".join(element.itertext()).split()) or None
            continue
        else:
            text = element.text if event == "start" else element.tail
        if text and text.strip():
            blocks.append(Block(kind="text", text=" ".join(text.split())))
    if targets:
        blocks.append(Block(kind="text", text="\n".join(targets), left_out="link target"))
    return Parsed(blocks, title)


def _item(element: Any, depth: int, job: Job, targets: list[str]) -> list[Block]:
    given = dict(element.attrib)
    text, label = given.get("text", "").strip(), given.get("title", "").strip()
    shown = text or label
    if label and label != shown:
        shown += f" – {label}"
    for name in ("url", "htmlUrl", "xmlUrl"):
        if target := given.get(name):
            if job.parsing.links and is_external(target):
                shown += f" ({target})"
            else:
                targets.append(target)
    left_out: LeftOut = "comment" if given.get("isComment") == "true" else ""
    notes = [given[name] for name in ("_note", "description") if given.get(name) and given[name] != text]
    others = [f"{n}: {v}" for n, v in given.items() if n not in {*UNSEEN, *NAMES, "url", "htmlUrl", "xmlUrl"} and v]
    inner = "  " * (depth + 1)
    lines = [line for note in (*notes, *others) for line in note.splitlines() if line.strip()]
    first = "  " * depth + "- " + " ".join(shown.split())
    whole = "\n".join([first, *(inner + line.strip() for line in lines)])
    return [Block(kind="list", text=whole, left_out=left_out)] if shown or lines else []
