"""What a Word document's styles say of its paragraphs: headings and lists."""

import re
from typing import Any, NamedTuple

from moat.parse.word_numbering import MOST_LEVELS, Numbering
from moat.parse.word_package import attribute, child, local, value

HEADING = re.compile(r"heading ?([1-9])")
NAMED = {"title": 1, "subtitle": 2}


class Style(NamedTuple):
    """A paragraph style, with what it takes from those that it is based on."""

    heading: int = 0  # level of a heading; 0: it is none
    number: str = ""  # its list; "0": none
    at: str = ""  # its level in the list
    lister: str = ""  # the style in the chain that names the list


class Styles:
    """The paragraph styles of a document, and its lists."""

    def __init__(self, root: Any, numbering: Any) -> None:
        found = [] if root is None else [e for e in root if local(e.tag) == "style"]
        self._elements = {attribute(e, "styleId"): e for e in found}
        self._styles = {name: self._style(name) for name in self._elements}
        usual = (e for e in found if attribute(e, "type") == "paragraph" and attribute(e, "default") in ("1", "true"))
        self._usual = next((attribute(e, "styleId") for e in usual), "")
        lists = {name: value(e, "pPr", "numPr", "numId") for name, e in self._elements.items()}
        self._numbering = Numbering(numbering, lists)

    def _style(self, name: str, depth: int = 0) -> Style:
        element = self._elements.get(name)
        if element is None or depth > 10:
            return Style()
        below = self._style(value(element, "basedOn"), depth + 1)
        outline = value(element, "pPr", "outlineLvl")
        called = value(element, "name").lower()
        match = HEADING.fullmatch(called) or HEADING.fullmatch(name.lower())
        heading = int(match[1]) if match else NAMED.get(called, below.heading)
        if outline.isdigit() and not match:
            heading = int(outline) + 1 if int(outline) < MOST_LEVELS else NAMED.get(called, 0)
        number = value(element, "pPr", "numPr", "numId")
        at = value(element, "pPr", "numPr", "ilvl")
        return Style(heading, number or below.number, at or below.at, name if number else below.lister)

    def heading(self, properties: Any) -> int:
        """Level of the heading that a paragraph is by its properties; 0 if it is none."""
        outline = value(properties, "outlineLvl")
        if outline.isdigit():
            return int(outline) + 1 if int(outline) < MOST_LEVELS else 0
        return self._styles.get(value(properties, "pStyle") or self._usual, Style()).heading

    def item(self, properties: Any) -> tuple[int, str] | None:
        """Count a paragraph in its list: its level and label ("" is a bullet). None if it is in no list."""
        name = value(properties, "pStyle") or self._usual
        style = self._styles.get(name, Style())
        own = child(properties, "numPr")
        number = value(own, "numId") or style.number
        if number in ("", "0"):
            return None
        at = value(own, "ilvl") or style.at
        level = self._numbering.level_of_style(number, name) if not value(own, "ilvl") else None
        if level is None and not at:
            level = self._numbering.level_of_style(number, style.lister)
        level = level if level is not None else int(at) if at.isdigit() else 0
        label = self._numbering.label(number, level)
        return None if label is None else (level, label)
