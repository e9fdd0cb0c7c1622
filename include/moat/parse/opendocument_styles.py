"""What the styles of an OpenDocument text say: headings, lists, and what nobody sees."""

import re
from typing import Any

from moat.parse.css import colour, same
from moat.parse.word_numbering import written
from moat.parse.word_package import attribute, child, local

HOW = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
NAMED = {"title": 1, "subtitle": 2}
TINY = 2.0  # points
MOST_DEPTH = 10


class OdtStyles:
    """Styles of a document, by name; those of the text win over those of the template."""

    def __init__(self, *roots: Any) -> None:
        self._styles: dict[tuple[str, str], Any] = {}
        self._lists: dict[str, dict[int, Any]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for root in roots:
            for element in root.iter() if root is not None else ():
                name = local(element.tag)
                if name == "style":
                    self._styles[attribute(element, "family"), attribute(element, "name")] = element
                elif name in ("list-style", "outline-style"):
                    key = attribute(element, "name") if name == "list-style" else "outline"
                    self._lists[key] = {
                        int(attribute(level, "level")): level
                        for level in element
                        if attribute(level, "level").isdigit()
                    }

    def chain(self, family: str, name: str) -> list[Any]:
        """A style and those that it is based on, nearest first."""
        found = list[Any]()
        while (style := self._styles.get((family, name))) is not None and len(found) < MOST_DEPTH:
            found.append(style)
            name = attribute(style, "parent-style-name")
        return found

    def heading(self, name: str) -> int:
        """Level of the heading that a paragraph's style makes; 0 if it makes none."""
        names = [name, *(attribute(style, "name") for style in self.chain("paragraph", name)),
                 *(attribute(style, "parent-style-name") for style in self.chain("paragraph", name))]  # fmt: skip
        return next((NAMED[one.lower()] for one in names if one.lower() in NAMED), 0)

    def list_of(self, name: str) -> str:
        """The list style that a paragraph style names."""
        return next(filter(None, (attribute(s, "list-style-name") for s in self.chain("paragraph", name))), "")

    def _property(self, family: str, name: str, key: str) -> str:
        for style in self.chain(family, name):
            for kind in (
                ("text-properties", "paragraph-properties") if key == "background-color" else ("text-properties",)
            ):
                if found := attribute(child(style, kind), key):
                    return found
        return ""

    def hidden(self, looks: list[tuple[str, str]], on_paper: bool) -> str:
        """How text in these styles (innermost first) is hidden; "" if it is shown."""

        def first(key: str) -> str:
            return next(filter(None, (self._property(family, name, key) for family, name in looks)), "")

        if first("display") == "none":
            return "markup"
        size = re.fullmatch(r"([\d.]+)pt", first("font-size"))
        if size and size[1].count(".") < 2 and float(size[1]) <= TINY:
            return "size"
        ink, ground = colour(first("color")), first("background-color")
        paper = (255, 255, 255) if ground in ("", "transparent") else colour(ground)
        if ink and paper and (on_paper or ground not in ("", "transparent")) and same(ink, paper):
            return "colour"
        return ""

    def begin(self, name: str, level: int) -> None:
        """Begin a list anew at a level."""
        counts = self._counts.setdefault(name, {})
        for each in [each for each in counts if each >= level]:
            del counts[each]

    def label(self, name: str, level: int, start: str = "") -> str:
        """Count an item of a list, and return its label; "" for a bullet or where there is none."""
        levels = self._lists.get(name, {})
        style, counts = levels.get(level), self._counts.setdefault(name, {})
        if style is None or ("number" not in local(style.tag) and local(style.tag) != "outline-level-style"):
            return ""

        def first(at: int) -> int:
            said = attribute(levels.get(at), "start-value")
            return int(said) if said.isdigit() else 1

        counts[level] = int(start) if start.isdigit() else counts.get(level, first(level) - 1) + 1
        for deeper in [each for each in counts if each > level]:
            del counts[deeper]
        if not attribute(style, "num-format"):
            return ""
        shown = attribute(style, "display-levels")
        above = range(max(1, level - (int(shown) if shown.isdigit() else 1) + 1), level + 1)
        numbers = (
            written(counts.get(at, first(at)), HOW.get(attribute(levels.get(at), "num-format"), "")) for at in above
        )
        return f"{attribute(style, 'num-prefix')}{'.'.join(numbers)}{attribute(style, 'num-suffix')}".strip()
