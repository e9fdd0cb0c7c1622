"""How an element of a page looks, and whether a person sees its text.

Only the page itself counts: style attributes, <style> elements and old attributes. External stylesheets are
missing, so a colour is compared with a background only where nothing else can paint one.
"""

import re
from typing import Any, NamedTuple

from moat.parse.css import Colour, Sheet, Style, colour, length, same, transparent

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


def appearance(element: Any, sheet: Sheet, above: Appearance) -> tuple[Appearance, Style]:
    """Return how an element looks inside what surrounds it, and its own style."""
    if above.gone:
        return above, {}
    if element.get("hidden") is not None and element.get("hidden") != "until-found":
        return above._replace(gone="markup"), {}
    style = sheet.style(element)
    old = {name: element.get(name) for name in ("color", "bgcolor", "text") if element.get(name)}
    if not style and not old:
        return above, style
    if _gone(style):
        return above._replace(gone="css"), style
    ground, own = above.ground, above.colour
    if "bgcolor" in old:
        ground = colour(old["bgcolor"].lower())
    for name in ("background", "background-color", "background-image"):
        if value := style.get(name):
            ground = _ground(value, ground)
    if said := style.get("color") or (old.get("color") if element.tag == "font" else old.get("text")):
        if transparent(said.lower()):
            return above._replace(gone="colour"), style
        own = colour(said.lower()) or (own if said == "inherit" else None)
    invisible = above.invisible
    if "visibility" in style:
        invisible = style["visibility"] in ("hidden", "collapse")
    size = length(style["font-size"], above.size) if "font-size" in style else above.size
    return Appearance("", invisible, above.size if size is None else size, own, ground), style


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
