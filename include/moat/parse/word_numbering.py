"""Numbers of paragraphs in a Word document, as it shows them."""

import re
from dataclasses import dataclass
from typing import Any

from moat.parse.word_package import attribute, child, local, on, value

BULLETS = {"bullet", "none"}
ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
MOST_LEVELS = 9


def written(number: int, how: str) -> str:
    """Write a number as a list's level shows it, such as "iv" for lowerRoman."""
    if how in ("lowerLetter", "upperLetter") and 0 < number < 10_000:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter.upper() if how == "upperLetter" else letter
    if how in ("lowerRoman", "upperRoman") and 0 < number < 5_000:
        text, left = "", number
        for size, sign in ROMAN:
            text += sign * (left // size)
            left %= size
        return text.upper() if how == "upperRoman" else text
    if how == "decimalZero":
        return f"{number:02}"
    if how == "ordinal":
        ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"{number}{ending}"
    return "" if how in BULLETS else str(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How one level of a list counts and what its label is."""

    start: int = 1
    how: str = "decimal"
    text: str = ""  # such as "%1.%2"
    restart: int | None = None  # the level whose items begin it anew; 0: none; None: any higher one
    legal: bool = False  # all its numbers are decimal
    style: str = ""  # paragraph style that stands at this level


def _level(element: Any) -> Level:
    start, restart = value(element, "start"), value(element, "lvlRestart")
    return Level(
        start=int(start) if start.isdigit() else 1,
        how=value(element, "numFmt") or "decimal",
        text=value(element, "lvlText"),
        restart=int(restart) if restart.isdigit() else None,
        legal=on(element, "isLgl"),
        style=value(element, "pStyle"),
    )


class Numbering:
    """The lists of a document, and how far each has counted."""

    def __init__(self, root: Any, number_of_style: dict[str, str]) -> None:
        self._levels: dict[str, dict[int, Level]] = {}  # of an abstract list
        self._linked: dict[str, str] = {}  # abstract list -> style whose list it is
        self._abstract: dict[str, str] = {}  # list -> abstract list
        self._over: dict[str, dict[int, Level]] = {}
        self._starts: dict[str, dict[int, int]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._begun: set[str] = set()
        self._number_of_style = number_of_style
        for element in root if root is not None else ():
            if local(element.tag) == "abstractNum":
                name = attribute(element, "abstractNumId")
                self._levels[name] = _levels(element)
                self._linked[name] = value(element, "numStyleLink")
            elif local(element.tag) == "num":
                self._add(element)

    def _add(self, element: Any) -> None:
        name = attribute(element, "numId")
        self._abstract[name] = value(element, "abstractNumId")
        self._over[name], self._starts[name] = {}, {}
        for change in (e for e in element if local(e.tag) == "lvlOverride"):
            at = attribute(change, "ilvl")
            if at.isdigit():
                if (level := child(change, "lvl")) is not None:
                    self._over[name][int(at)] = _level(level)
                if (start := value(change, "startOverride")).isdigit():
                    self._starts[name][int(at)] = int(start)

    def level_of_style(self, number: str, style: str) -> int | None:
        """The level at which paragraphs of a style stand in a list."""
        levels = self._levels.get(self._source(number), {})
        return next((at for at, level in levels.items() if level.style == style), None)

    def _source(self, number: str) -> str:
        """The abstract list that defines the levels of a list."""
        name = self._abstract.get(number, "")
        linked = self._number_of_style.get(self._linked.get(name, ""), "")
        return self._abstract.get(linked, name) if linked else name

    def label(self, number: str, at: int) -> str | None:
        """Count one item of a list and return its label, "" for a bullet; None if there is no such list."""
        source, at = self._source(number), min(at, MOST_LEVELS - 1)
        levels = {**self._levels.get(source, {}), **self._over.get(number, {})}
        if number not in self._abstract or at not in levels:
            return None
        counts = self._counts.setdefault(source, {})
        if number not in self._begun:
            self._begun.add(number)
            for changed in self._starts[number]:
                counts.pop(changed, None)

        def start(which: int) -> int:
            return self._starts[number].get(which, levels[which].start if which in levels else 1)

        counts[at] = counts.get(at, start(at) - 1) + 1
        for deeper in [one for one in counts if one > at]:
            restart = levels[deeper].restart if deeper in levels else None
            if restart is None or (restart and at < restart):
                del counts[deeper]
        level = levels[at]
        if level.how in BULLETS and "%" not in level.text:
            return level.text if level.how == "none" else ""

        def shown(match: re.Match[str]) -> str:
            which = int(match[1]) - 1
            of = levels.get(which, Level())
            return written(counts.get(which, start(which)), "decimal" if level.legal else of.how)

        return re.sub(r"%([1-9])", shown, level.text).strip()


def _levels(element: Any) -> dict[int, Level]:
    found = {attribute(e, "ilvl"): e for e in element if local(e.tag) == "lvl"}
    return {int(at): _level(e) for at, e in found.items() if at.isdigit()}
