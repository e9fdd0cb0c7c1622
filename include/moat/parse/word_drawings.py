"""Charts and diagrams (SmartArt) of Office documents as blocks."""

from typing import Any

from moat.parse.story import table_blocks
from moat.parse.word_package import attribute, child, local
from moat.records import Block

MOST_POINTS = 10_000  # of a chart's series
NO_TITLE = {"ser", "externalData", "userShapes"}


def chart_blocks(root: Any) -> list[Block]:
    """Turn a chart into its titles and a table of its series."""
    titles = [Block(kind="text", text=text) for text in _paragraphs(root, NO_TITLE)]
    series = [e for e in root.iter() if local(e.tag) in ("ser", "series")]
    columns = [
        (_name(e), _points(e, "cat", "xVal"), _points(e, "val", "yVal"), _points(e, "bubbleSize")) for e in series
    ]
    first = next((points for _, points, _, _ in columns if points), {})
    rows = sorted({at for _, points, values, _ in columns for at in (*points, *values)})
    grid = [["", *(name for name, _, _, _ in columns)]]
    for at in rows:
        line = [first.get(at, "")]
        for _, points, values, sizes in columns:
            own = points.get(at, "")
            line.append(" ".join(filter(None, (own if own != line[0] else "", values.get(at, ""), sizes.get(at, "")))))
        grid.append(line)
    labels = [Block(kind="text", text=text) for e in series for text in _paragraphs(e, {"tx"})]
    data = [" ".join(e.itertext()) for e in root.iter() if local(e.tag) == "lvl" and "chartex" in e.tag]
    cells = [[[Block(kind="text", text=text)] if text else [] for text in line] for line in grid]
    return [*titles, *table_blocks(cells), *labels, *(Block(kind="text", text=text) for text in data if text.strip())]


def diagram_blocks(root: Any) -> list[Block]:
    """Turn the data of a diagram into a list of its texts."""
    points = [e for e in root.iter() if local(e.tag) == "pt" and attribute(e, "type") in ("", "node", "asst", "doc")]
    texts = (" ".join(_paragraphs(e, set())) for e in points)
    return [Block(kind="list", text=f"- {text}") for text in texts if text.strip()]


def _paragraphs(element: Any, skip: set[str]) -> list[str]:
    """Texts of the DrawingML paragraphs in an element, outside of some elements."""
    found = list[str]()
    for each in element:
        name = local(each.tag)
        if name == "p":
            parts = (e.text or "" if local(e.tag) == "t" else " " for e in each.iter() if local(e.tag) in ("t", "br"))
            if text := " ".join("".join(parts).split()):
                found.append(text)
        elif name == "strRef" and "tx" not in skip:
            found += filter(None, (" ".join(e.text.split()) for e in each.iter() if local(e.tag) == "v" and e.text))
        elif name not in skip and name:
            found += _paragraphs(each, skip)
    return found


def _name(series: Any) -> str:
    title = child(series, "tx")
    if title is None:
        return ""
    parts = (e.text for e in title.iter() if local(e.tag) in ("v", "t") and e.text)
    return " ".join(" ".join(parts).split())


def _points(series: Any, *names: str) -> dict[int, str]:
    """Cached values of a series by their place; outer levels of categories come first."""
    found = dict[int, str]()
    for name in names:
        source = child(series, name)
        for point in source.iter() if source is not None else ():
            if local(point.tag) == "pt" and attribute(point, "idx").isdigit() and len(found) < MOST_POINTS:
                at, text = int(attribute(point, "idx")), " ".join("".join(point.itertext()).split())
                found[at] = f"{text} {found[at]}" if at in found else text
    return found
