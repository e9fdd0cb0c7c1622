"""Separate what a page hides from what it shows, before the page is parsed.

Only the page itself counts: style attributes, <style> elements and old attributes. External stylesheets are
missing, so a colour is compared with a background only where nothing else can paint one.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from moat.parse.css import Colour, Sheet, Style, colour, length, same, transparent
from moat.records import Block

TRIGGER = re.compile(r"<style|style\s*=|\shidden\b|<font|bgcolor|<body\s", re.IGNORECASE)
DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
NO_TEXT = {"script", "style", "head", "title", "template", "noscript", "svg", "math"}
TINY = 2.5  # pixels; too small to read
AWAY = -400  # pixels; farther is off the page
WHITE: Colour = (255, 255, 255)


class Appearance(NamedTuple):
    """How an element's own text looks."""

    gone: str = ""  # hidden with everything in it
    invisible: bool = False  # an inner element can be visible again
    size: float = 16.0
    colour: Colour | None = None  # None: not declared
    ground: Colour | None = WHITE  # None: unknown

    @property
    def how(self) -> str:
        """How the text is hidden; empty if it is shown."""
        if self.gone or self.invisible:
            return self.gone or "css"
        if self.size < TINY:
            return "size"
        return "colour" if self.colour and self.ground and same(self.colour, self.ground) else ""


def shown_and_hidden(markup: str, styles: str = "") -> tuple[str, list[Block]]:
    """Split markup into what it shows and blocks of hidden text."""
    if not styles and not TRIGGER.search(markup):
        return markup, []
    import lxml.html
    from lxml import etree

    try:
        tree = lxml.html.document_fromstring(DECLARATION.sub("", markup))
    except (etree.ParserError, ValueError):
        return markup, []  # an empty page
    blocks = list(_taken_out(tree, styles))
    return (lxml.html.tostring(tree, encoding="unicode"), blocks) if blocks else (markup, [])


def _taken_out(tree: Any, styles: str) -> Iterator[Block]:
    """Empty every hidden text of a tree, and join those with nothing shown between them."""
    from lxml import etree

    sheet = Sheet([styles, *(element.text or "" for element in tree.iter("style"))])
    elsewhere = any("stylesheet" in (link.get("rel") or "").lower() for link in tree.iter("link")) and not styles
    above = [Appearance(ground=None if elsewhere else WHITE)]
    taken, how = list[str](), ""
    skipped = 0

    def met(text: str | None, now: str) -> Iterator[Block]:
        nonlocal taken, how
        if text and text.strip():
            if now != how and taken:
                yield Block(kind="text", text=" ".join(taken), hidden=how)
                taken = []
            how = now
            if now:
                taken.append(" ".join(text.split()))

    for event, element in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        if not isinstance(element.tag, str):
            text, now = element.tail, above[-1].how
        elif event == "start":
            above.append(_seen(element, sheet, above[-1]))
            skipped += element.tag in NO_TEXT
            text, now = element.text, above[-1].how
            if skipped:
                continue
            yield from met(text, now)
            if now and text:
                element.text = None
            continue
        else:
            above.pop()
            skipped -= element.tag in NO_TEXT
            text, now = element.tail, above[-1].how
        if not skipped:
            yield from met(text, now)
            if now and text:
                element.tail = None
    if taken:
        yield Block(kind="text", text=" ".join(taken), hidden=how)


def _seen(element: Any, sheet: Sheet, above: Appearance) -> Appearance:
    if above.gone:
        return above
    if element.get("hidden") is not None and element.get("hidden") != "until-found":
        return above._replace(gone="markup")
    style = sheet.style(element)
    old = {name: element.get(name) for name in ("color", "bgcolor", "text") if element.get(name)}
    if not style and not old:
        return above
    if _gone(style):
        return above._replace(gone="css")
    ground, own = above.ground, above.colour
    if "bgcolor" in old:
        ground = colour(old["bgcolor"].lower())
    for name in ("background", "background-color", "background-image"):
        if value := style.get(name):
            ground = _ground(value, ground)
    if said := style.get("color") or (old.get("color") if element.tag == "font" else old.get("text")):
        if transparent(said.lower()):
            return above._replace(gone="colour")
        own = colour(said.lower()) or (own if said == "inherit" else None)
    invisible = above.invisible
    if "visibility" in style:
        invisible = style["visibility"] in ("hidden", "collapse")
    size = length(style["font-size"], above.size) if "font-size" in style else above.size
    return Appearance("", invisible, above.size if size is None else size, own, ground)


def _ground(value: str, above: Colour | None) -> Colour | None:
    if "url(" in value or "gradient" in value:
        return None
    for word in re.findall(r"rgba?\([^)]*\)|[^\s]+", value):
        if word in ("none", "transparent", "inherit", "initial", "unset"):
            return above
        if found := colour(word):
            return above if transparent(word) else found
    return None


def _gone(style: Style) -> bool:
    """Whether an element of this style is invisible with everything in it."""
    if style.get("display") == "none" or style.get("content-visibility") == "hidden":
        return True
    try:
        if float(style.get("opacity", "1").rstrip("%")) <= 0.05:
            return True
    except ValueError:
        pass  # a variable, or not a number
    cut = style.get("overflow", "") in ("hidden", "clip") or style.get("overflow-y") in ("hidden", "clip")
    if cut and any(_at_most(style.get(name), 1) for name in ("height", "max-height", "width", "max-width")):
        return True
    placed = style.get("position") in ("absolute", "fixed", "relative")
    if placed and any(_at_most(style.get(name), AWAY) for name in ("left", "top", "right", "bottom")):
        return True
    if any(_at_most(style.get(name), AWAY) for name in ("text-indent", "margin-left", "margin-top")):
        return True
    if re.match(r"rect\((?:[01](?:px)?[\s,]*){4}\)", style.get("clip", "")) and style.get("position") in (
        "absolute",
        "fixed",
    ):
        return True
    if re.match(r"(?:inset\((?:50|[6-9]\d|100)%|circle\(0)", style.get("clip-path", "")):
        return True
    return "scale(0)" in style.get("transform", "")


def _at_most(value: str | None, most: float) -> bool:
    found = length(value) if value else None
    return found is not None and found <= most
