"""How runs of a Word document look: whether a person can see their text."""

import re
from typing import Any, NamedTuple

from moat.parse.css import Colour, colour, same
from moat.parse.word_package import attribute, child, local, on, value

SIGNS = re.compile(
    rb"<\w+:vanish|\w+:val=[\"'][fF][0-9a-fA-F][fF][0-9a-fA-F][fF][0-9a-fA-F][\"']|<\w+:sz(?:Cs)? \w+:val=[\"'][0-4][\"']"
)
TINY = 4  # half points
WHITE: Colour = (255, 255, 255)
HEX = re.compile("[0-9A-Fa-f]{6}")


class Look(NamedTuple):
    """How a run or style looks, as far as it declares."""

    vanish: bool | None = None
    colour: Colour | None = None
    half_points: float | None = None
    shade: Colour | None = None

    def over(self, below: "Look") -> "Look":
        """Combine with the look underneath; declared properties win."""
        return Look(
            below.vanish if self.vanish is None else self.vanish,
            self.colour or below.colour,
            below.half_points if self.half_points is None else self.half_points,
            self.shade or below.shade,
        )


class Looks:
    """Looks of a document's styles, and of its runs."""

    def __init__(self, styles: Any) -> None:
        found = [] if styles is None else [e for e in styles if local(e.tag) == "style"]
        self._styles = {attribute(e, "styleId"): e for e in found}
        self._known = {name: self._of_style(name) for name in self._styles}
        usual = (e for e in found if attribute(e, "type") == "paragraph" and attribute(e, "default") in ("1", "true"))
        self._usual = next((attribute(e, "styleId") for e in usual), "")

    def _of_style(self, name: str, depth: int = 0) -> Look:
        style = self._styles.get(name)
        if style is None or depth > 10:
            return Look()
        below = self._of_style(value(style, "basedOn"), depth + 1)
        return _look(child(style, "rPr"), child(style, "pPr")).over(below)

    def hidden(self, run: Any) -> str:
        """How a run is hidden: markup, size, colour; "" if it is shown."""
        properties = child(run, "rPr")
        paragraph = next((e for e in run.iterancestors() if local(e.tag) == "p"), None)
        about = child(paragraph, "pPr")
        look = _look(properties, None).over(self._known.get(value(properties, "rStyle"), Look()))
        look = look.over(self._known.get(value(about, "pStyle") or self._usual, Look())).over(_look(None, about))
        if look.vanish:
            return "markup"
        if look.half_points is not None and look.half_points <= TINY:
            return "size"
        if look.colour and (ground := _ground(run, look)) and same(look.colour, ground):
            return "colour"
        return ""


def _ground(run: Any, look: Look) -> Colour | None:
    """Background of a run; None if its formatting does not decide it."""
    if look.shade is not None:
        return look.shade
    above = [(local(e.tag), e) for e in run.iterancestors()]
    for name, element in above:
        if name == "tc" and (shade := _shade(child(element, "tcPr"))) is not None:
            return shade
    for name, element in above:
        if name == "tbl" and value(element, "tblPr", "tblStyle") not in ("", "TableGrid", "TableNormal"):
            return None
        if name == "txbxContent":
            return None  # a text box has its own fill
    return WHITE if child(above[-1][1], "background") is None else None


def _look(run: Any, paragraph: Any) -> Look:
    """Look declared by a run's properties and its paragraph's shading."""
    if run is None:
        return Look(shade=_shade(paragraph))
    said, size, shade = value(run, "color"), value(run, "sz"), _shade(run)
    if shade is None and (marked := value(run, "highlight")):
        shade = colour(marked.lower()) or (1, 1, 1)
    return Look(
        None if child(run, "vanish") is None else on(run, "vanish"),
        colour(f"#{said.lower()}") if HEX.fullmatch(said) else None,
        float(size) if size.isdigit() else None,
        shade if shade is not None else _shade(paragraph),
    )


def _shade(properties: Any) -> Colour | None:
    fill = attribute(child(properties, "shd"), "fill")
    return colour(f"#{fill.lower()}") if HEX.fullmatch(fill) else None
