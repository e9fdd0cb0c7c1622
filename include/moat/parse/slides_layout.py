"""What a slide's placeholders take from its layout and master: places and bullets."""

from typing import Any

from moat.errors import ParseFailed
from moat.parse.drawings import position
from moat.parse.package import Package, local

STYLES = {
    "title": "titleStyle",
    "ctrTitle": "titleStyle",
    "body": "bodyStyle",
    "obj": "bodyStyle",
    "subTitle": "bodyStyle",
}


class Layout:
    """Layout and master of a slide, nearest first."""

    def __init__(self, package: Package, slide: str) -> None:
        """Read both; what is missing or damaged counts as empty."""
        self.parts = package.related(slide, "slideLayout")[:1]
        self.parts += [master for layout in self.parts for master in package.related(layout, "slideMaster")[:1]]
        self._held, self._styles = list[list[Any]](), dict[str, Any]()
        for part in self.parts:
            try:
                root = package.root(part)
            except ParseFailed:
                continue
            self._held.append([shape for shape in root.iter("{*}sp") if placeholder(shape) is not None])
            for styles in root.iterchildren("{*}txStyles"):
                self._styles |= {local(style): style for style in styles}

    def list_styles(self, shape: Any) -> list[Any]:
        """List styles of a placeholder, nearest first; none for another shape."""
        mark = placeholder(shape)
        if mark is None:
            return []
        found = [
            s
            for same in self._same(shape)
            for body in same.iterchildren("{*}txBody")
            for s in body.iterchildren("{*}lstStyle")
        ]
        style = self._styles.get(STYLES.get(mark.get("type") or "obj", "otherStyle"))
        return found if style is None else [*found, style]

    def position(self, shape: Any) -> tuple[int, int, int, int] | None:
        """Place of a placeholder that does not say it itself; None if nothing says it."""
        return next((place for same in self._same(shape) if (place := position(same))), None)

    def _same(self, shape: Any) -> list[Any]:
        """The placeholders of layout and master that a slide's placeholder fills."""
        mark, found = placeholder(shape), list[Any]()
        if mark is None:
            return []
        index, kind = mark.get("idx"), mark.get("type") or "obj"
        for i, held in enumerate(self._held):
            marks = [(one, placeholder(one)) for one in held]
            by_index = [one for one, m in marks if index and i == 0 and m.get("idx") == index]
            kinds = {kind, {"ctrTitle": "title", "subTitle": "body", "obj": "body"}.get(kind, kind)}
            found += (by_index or [one for one, m in marks if (m.get("type") or "obj") in kinds])[:1]
            if by_index and kind == "obj":
                kind = placeholder(by_index[0]).get("type") or "obj"
        return found


def placeholder(shape: Any) -> Any:
    """The mark that makes a shape a placeholder; None for another shape."""
    for about in shape:
        if local(about) in ("nvSpPr", "nvPicPr", "nvGraphicFramePr", "nvGrpSpPr", "nvCxnSpPr"):
            return next(about.iter("{*}ph"), None)
    return None


def kind_of_placeholder(shape: Any) -> str:
    """Kind of a placeholder, such as "title"; "" for another shape."""
    mark = placeholder(shape)
    return "" if mark is None else mark.get("type") or "obj"
