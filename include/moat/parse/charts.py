"""Charts and diagrams of an office document, as tables and lists."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import table_text, unreadable
from moat.parse.job import Job
from moat.parse.number_format import shown
from moat.parse.package import Package, attribute, local, unwrapped
from moat.records import Block

MOST_LEVELS = 20  # of a diagram's tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series of a chart: its name, its categories and its columns of values by their places."""

    name: str
    categories: dict[int, str]
    columns: list[tuple[str, dict[int, str]]]


def chart_blocks(package: Package, part: str, job: Job) -> list[Block]:
    """Blocks of a chart: its title, what stands at its axes and in it, its values by category, its workbook's rest."""
    try:
        root = package.root(part)
    except ParseFailed as error:
        return [unreadable(f"{part}: {error}")]
    titles = list(root.iter("{*}title"))
    own = [_text(title) for title in titles if local(title.getparent()) == "chart"]
    axes = {local(title.getparent()): _text(title) for title in titles if local(title.getparent()) != "chart"}
    within = [text for p in root.iter("{*}p") if not _in_title(p) and (text := _line(p))]
    series = [_series(element) for element in root.iter("{*}ser")] or list(_new_series(root))
    names = [element.text or "" for t in root.iter("{*}trendline") for element in t.iterchildren("{*}name")]
    value_axes = [text for kind, text in axes.items() if kind != "catAx" and kind != "dateAx"]
    lines = [text for text in (*own, *value_axes, *within, *names) if text]
    blocks = [Block(kind="text", text="\n".join(lines))] if lines else []
    categories = axes.get("catAx") or axes.get("dateAx") or ""
    blocks += _tables(series, categories)
    if categories and not any(categories in block.text for block in blocks):
        blocks.append(Block(kind="text", text=categories))
    for shapes in package.related(part, "chartUserShapes"):
        blocks += _user_shapes(package, shapes)
    for workbook in package.related(part, "package"):
        blocks += _workbook(package, workbook, job, bool(series))
    return blocks


def diagram_blocks(package: Package, part: str) -> list[Block]:
    """Texts of a diagram (SmartArt) as a nested list, in the order of its tree."""
    try:
        root = package.root(part)
    except ParseFailed as error:
        return [unreadable(f"{part}: {error}")]
    points = {point.get("modelId") or "": point for point in root.iter("{*}pt")}
    below = dict[str, list[tuple[int, str]]]()
    for link in root.iter("{*}cxn"):
        if link.get("type", "parOf") == "parOf":
            order = link.get("srcOrd") or "0"
            below.setdefault(link.get("srcId") or "", []).append(
                (int(order) if order.isdigit() else 0, link.get("destId") or "")
            )
    blocks, seen = list[Block](), set[str]()

    def walk(name: str, level: int) -> None:
        if name in seen or name not in points:
            return
        seen.add(name)
        text = " ".join(filter(None, map(_line, points[name].iter("{*}p"))))
        if text:
            blocks.append(Block(kind="list", text=f"{'  ' * max(0, level)}- {text}"))
        for _, child in sorted(below.get(name, [])) if level < MOST_LEVELS else []:
            walk(child, level + 1)

    for name in sorted(points, key=lambda n: points[n].get("type") != "doc"):  # then what is tied to nothing
        walk(name, -1 if points[name].get("type") == "doc" else 0)
    return blocks


def table_of(rows: list[list[str]]) -> str:
    """Format rows as a Markdown table whose header may be empty."""
    return table_text([[cell.replace("|", "\\|") for cell in row] for row in rows])


def _text(element: Any) -> str:
    rich = " ".join(filter(None, map(_line, element.iter("{*}p"))))
    return rich or " ".join(filter(None, ((v.text or "").strip() for v in element.iter("{*}v"))))


def _line(paragraph: Any) -> str:
    parts = (t.text or "" if local(t) == "t" else " " for t in paragraph.iter("{*}t", "{*}br"))
    return " ".join("".join(parts).split())


def _in_title(element: Any) -> bool:
    return any(local(parent) == "title" for parent in element.iterancestors())


def _series(element: Any) -> Series:
    """A series, whose values stand in the chart as they were when it was last drawn."""
    columns = list[tuple[str, dict[int, str]]]()
    categories, name = dict[int, str](), ""
    for child in element:
        match local(child):
            case "tx":
                name = _text(child)
            case "cat" | "xVal":
                categories = _points(child)
            case "val" | "yVal":
                columns.insert(0, ("", _points(child)))
            case "bubbleSize":
                columns.append(("", _points(child)))
    return Series(name=name, categories=categories, columns=columns)


def _points(element: Any) -> dict[int, str]:
    """Texts of points by their places; the levels of a category, outer first, are joined."""
    levels = list(element.iter("{*}lvl"))
    if not levels:
        return _level(element, next((f.text or "" for f in element.iter("{*}formatCode")), ""))
    found = [_level(level, "") for level in reversed(levels)]
    places = sorted(set().union(*found))
    named = [list[str]() for _ in places]
    for level in found:
        last = ""
        for i, place in enumerate(places):
            last = level.get(place, last)  # an outer name counts until the next one
            named[i].append(last)
    return {place: " ".join(filter(None, names)) for place, names in zip(places, named, strict=True)}


def _level(element: Any, code: str) -> dict[int, str]:
    points = dict[int, str]()
    for point in element.iter("{*}pt"):
        text = (point.findtext("{*}v") or point.text or "").strip()
        own = point.get("formatCode") or code
        if own and own != "General":
            with suppress(ValueError):  # a text among numbers
                text = shown(float(text), own) or text
        if (point.get("idx") or "").isdigit():
            points[int(point.get("idx"))] = " ".join(text.split())
    return points


def _new_series(root: Any) -> Iterator[Series]:
    """Series of the newer kinds of chart, such as a waterfall, whose data stand apart."""
    names = {
        (series.find("{*}dataId").get("val") if series.find("{*}dataId") is not None else ""): _text(tx)
        for series in root.iter("{*}series")
        for tx in series.iterchildren("{*}tx")
    }
    for data in root.iter("{*}data"):
        categories = [_points(dim) for dim in data.iterchildren("{*}strDim")]
        numbers = [("", _level(dim, "")) for dim in data.iterchildren("{*}numDim")]
        yield Series(
            name=names.get(data.get("id") or "", ""), categories=categories[0] if categories else {}, columns=numbers
        )


def _tables(series: Iterable[Series], axis: str) -> Iterator[Block]:
    """One table for all series that share their categories."""
    groups = list[list[Series]]()
    for one in series:
        same = next((group for group in groups if group[0].categories == one.categories), None)
        groups.append([one]) if same is None else same.append(one)
    for group in groups:
        columns = [(one.name, column) for one in group for _, column in one.columns]
        places = sorted(set(group[0].categories).union(*(column for _, column in columns)))
        if not places:
            names = "\n".join(filter(None, (one.name for one in group)))
            if names:
                yield Block(kind="text", text=names)
            continue
        rows = [[axis, *(name for name, _ in columns)]]
        rows += [[group[0].categories.get(n, ""), *(column.get(n, "") for _, column in columns)] for n in places]
        yield Block(kind="table", text=table_of(rows))


def _user_shapes(package: Package, part: str) -> list[Block]:
    try:
        lines = [text for p in package.root(part).iter("{*}p") if (text := _line(p))]
    except ParseFailed:
        return []
    return [Block(kind="text", text="\n".join(lines))] if lines else []


def _workbook(package: Package, part: str, job: Job, drawn: bool) -> list[Block]:
    """The workbook behind a chart: the source of what is drawn, so a second form of it."""
    blocks = embedded_blocks(package, part, job)
    return [replace(b, left_out=b.left_out or "other version") for b in blocks] if drawn else blocks


def embedded_blocks(package: Package, part: str, job: Job) -> list[Block]:
    """Blocks of a document that is embedded in this one."""
    try:
        content, name = unwrapped(package.read(part), part.rpartition("/")[2])
    except ParseFailed as error:
        return [unreadable(str(error))]
    return job.part(content, name)


def framed_blocks(package: Package, part: str, frame: Any, job: Job) -> list[Block] | None:
    """Blocks of a chart, a diagram or an embedded document that a graphic frame refers to; None if it is neither."""
    relations, blocks, known = package.relations(part), list[Block](), False
    for element in frame.iter("{*}chart", "{*}relIds", "{*}oleObj"):
        known = True
        kind = local(element)
        relation = relations.get(attribute(element, "dm" if kind == "relIds" else "id"))
        if relation is None or relation.external:
            continue
        if kind == "chart":
            blocks += chart_blocks(package, relation.target, job)
        elif kind == "relIds":
            blocks += diagram_blocks(package, relation.target)
        else:
            blocks += embedded_blocks(package, relation.target, job)
    return blocks if known else None
