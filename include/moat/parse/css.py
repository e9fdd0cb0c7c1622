"""Enough of CSS to decide whether a text is visible."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Colour = tuple[int, int, int]
Style = Mapping[str, str]

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
COMPOUND = re.compile(r"(?P<tag>[a-zA-Z][\w-]*)?(?P<rest>(?:[.#][\w-]+)*)")
EVERYWHERE = re.compile(r"^@media\s+(?:only\s+)?(?:screen|all)(?:\s*,\s*[\w ]+)*$", re.IGNORECASE)
LENGTH = re.compile(r"(-?(?:\d+\.?\d*|\.\d+))(px|pt|em|rem|%|vw|vh|ex|ch|cm|mm|in)?")
TO_PX = {"": 1.0, "px": 1.0, "pt": 4 / 3, "rem": 16.0, "cm": 37.8, "mm": 3.78, "in": 96.0}
NAMED = {
    "white": (255, 255, 255), "black": (0, 0, 0), "snow": (255, 250, 250), "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255), "whitesmoke": (245, 245, 245), "floralwhite": (255, 250, 240),
    "red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0),
    "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192), "navy": (0, 0, 128),
}  # fmt: skip
MOST_RULES = 5_000
SAME = 12  # maximum difference per channel, of 255, at which two colours look the same


@dataclass(frozen=True, slots=True)
class Rule:
    """One selector with its declarations; compounds go from the element to its ancestors."""

    compounds: tuple[tuple[str, frozenset[str], str, bool], ...]  # tag, classes, id, whether the next is the parent
    weight: tuple[int, int, int]
    declared: tuple[tuple[str, str], ...]


class Sheet:
    """The rules of a page's own <style> elements, indexed by what they match."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_mark: dict[str, list[tuple[int, Rule]]] = defaultdict(list)
        self.n = 0
        for text in texts:
            for selector, body in _blocks(COMMENT.sub("", text)):
                declared = tuple(declarations(body).items())
                for rule in _rules(selector, declared):
                    if self.n < MOST_RULES:
                        tag, classes, identity, _ = rule.compounds[0]
                        mark = f"#{identity}" if identity else f".{min(classes)}" if classes else tag
                        self._by_mark[mark].append((self.n, rule))
                        self.n += 1

    def style(self, element: Any) -> dict[str, str]:
        """Compute an element's style from rules and its own attribute; the last declaration wins."""
        style: dict[str, str] = {}
        important: dict[str, str] = {}
        said = list[tuple[str, str]]()
        if self.n:
            classes = (element.get("class") or "").split()
            marks = [element.tag, *(f".{name}" for name in classes), f"#{element.get('id')}"]
            found = {n: rule for mark in marks for n, rule in self._by_mark.get(mark, ()) if _matches(rule, element)}
            for _, rule in sorted(found.items(), key=lambda item: (item[1].weight, item[0])):
                said += rule.declared
        if own := element.get("style"):
            said += declarations(own).items()
        for name, value in said:
            (important if value.endswith("!important") else style)[name] = _plain(value)
        return style | important


def declarations(text: str) -> dict[str, str]:
    """Parse `name: value` pairs in lower case; later and !important ones win."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, colon, value = part.partition(":")
        name, value = name.strip().lower(), " ".join(value.lower().split())
        if colon and value and not (found.get(name, "").endswith("!important") and not value.endswith("!important")):
            found[name] = value
    return found


def length(value: str, parent: float = 16.0) -> float | None:
    """Parse a length into pixels; None if that is not possible."""
    found = LENGTH.fullmatch(_plain(value))
    if not found:
        return None
    number, unit = float(found[1]), found[2] or ""
    if unit in ("em", "%", "ex", "ch"):
        return number * parent * {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}[unit]
    return number * TO_PX[unit] if unit in TO_PX else number * 8


def colour(value: str) -> Colour | None:
    """Parse red, green and blue; None for anything but a plain colour."""
    value = _plain(value)
    if value in NAMED:
        return NAMED[value]
    if found := re.fullmatch(r"#?([0-9a-f]{6}|[0-9a-f]{3})(?:[0-9a-f]{2})?", value):
        code = found[1] if len(found[1]) == 6 else "".join(c * 2 for c in found[1])
        return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
    if found := re.fullmatch(r"rgba?\(\s*(\d+)[ ,]+(\d+)[ ,]+(\d+).*\)", value):
        return min(255, int(found[1])), min(255, int(found[2])), min(255, int(found[3]))
    return None


def transparent(value: str) -> bool:
    """Whether a colour is fully or almost transparent."""
    value = _plain(value)
    found = (
        re.fullmatch(r"(?:rgb|hsl)a?\(.*[,/]\s*(0?\.?\d+)(%?)\s*\)", value)
        if value.count(",") == 3 or "/" in value
        else None
    )
    return value == "transparent" or bool(found and float(found[1]) * (0.01 if found[2] else 1) <= 0.05)


def same(one: Colour, other: Colour) -> bool:
    """Whether two colours look the same."""
    return all(abs(a - b) <= SAME for a, b in zip(one, other, strict=True))


def _plain(value: str) -> str:
    return value.removesuffix("!important").strip()


def _blocks(text: str) -> Iterable[tuple[str, str]]:
    """Yield (selector, declarations) of the rules that apply on every screen."""
    at = 0
    while (opened := text.find("{", at)) >= 0:
        head = text[at:opened].rpartition(";")[2].strip()  # anything before a ; is an @import
        depth, end = 1, opened + 1
        while depth and end < len(text):
            step = re.compile("[{}]").search(text, end)
            if step is None:
                end = len(text)
                break
            depth, end = depth + (1 if step[0] == "{" else -1), step.end()
        body = text[opened + 1 : end - 1]
        if not head.startswith("@"):
            yield head, body
        elif EVERYWHERE.match(head) and "{" not in head:
            yield from _blocks(body)
        at = end


def _rules(selectors: str, declared: tuple[tuple[str, str], ...]) -> Iterable[Rule]:
    """Yield rules of plain selectors; skip others, which may not apply."""
    for selector in selectors.split(","):
        compounds, child = list[tuple[str, frozenset[str], str, bool]](), False
        for part in reversed(re.sub(r"\s*>\s*", " > ", selector.strip()).split()):
            if part == ">":
                child = True
                continue
            found = COMPOUND.fullmatch(part)
            if not found:
                break
            marks = re.findall(r"[.#][\w-]+", found["rest"])
            ids = [mark[1:] for mark in marks if mark[0] == "#"]
            classes = frozenset(mark[1:] for mark in marks if mark[0] == ".")
            compounds.append(((found["tag"] or "").lower(), classes, ids[0] if ids else "", child))
            child = False
        else:
            if compounds:
                weight = (
                    sum(bool(c[2]) for c in compounds),
                    sum(len(c[1]) for c in compounds),
                    sum(bool(c[0]) for c in compounds),
                )
                yield Rule(tuple(compounds), weight, declared)


def _matches(rule: Rule, element: Any) -> bool:
    at: Any = element
    if not _is(rule.compounds[0], at):
        return False
    for compound in rule.compounds[1:]:
        at = at.getparent()
        while not compound[3] and at is not None and not _is(compound, at):
            at = at.getparent()
        if at is None or not _is(compound, at):
            return False
    return True


def _is(compound: tuple[str, frozenset[str], str, bool], element: Any) -> bool:
    tag, classes, identity, _ = compound
    return (
        (not tag or element.tag == tag)
        and (not identity or element.get("id") == identity)
        and (not classes or classes <= set((element.get("class") or "").split()))
    )
