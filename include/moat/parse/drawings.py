"""Shapes of slides and sheets: text, tables, pictures' alt texts, groups, and what frames refer to."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from moat.parse.charts import framed_blocks, table_of
from moat.parse.job import Job
from moat.parse.package import Package, attribute, local
from moat.records import Block

MOST_DEPTH = 40  # of groups in groups; what is deeper comes as text without its order
ABOUT = {"nvGrpSpPr", "grpSpPr", "extLst"}  # of a group, and no shapes
SHAPES = {"sp", "pic", "graphicFrame", "grpSp", "cxnSp", "contentPart"}
FILE_NAME = re.compile(r"\S*[\w)]\.(?:png|jpe?g|gif|bmp|tiff?|svg|emf|wmf|webp|heic)", re.IGNORECASE)
BY_MACHINE = re.compile(
    r"\s*(?:Description automatically generated.*|AI-generated content may be incorrect\.?)", re.IGNORECASE
)
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph of a shape, with its links' targets."""

    text: str
    element: Any
    only_fields: bool  # nothing but a slide's number or a date, which the program writes


def no_list_styles(shape: Any) -> list[Any]:
    """List styles that a shape inherits: none."""
    return []


@dataclass(slots=True, kw_only=True)
class Drawing:
    """What reads the shapes of one part, such as a slide.

    Args:
        package: The document.
        part: Name of the part that holds the shapes.
        job: The document's job.
        list_styles: List styles that a shape's paragraphs inherit, nearest first.
    """

    package: Package
    part: str
    job: Job
    list_styles: Callable[[Any], list[Any]] = no_list_styles
    targets: list[str] = field(default_factory=list)  # of links, where the source does not take them

    def shape(self, shape: Any, depth: int = 0) -> list[Block]:
        """Blocks of a shape and of all within it."""
        blocks = list(self._shape(shape, depth))
        about = next(shape.iter("{*}cNvPr", "{*}docPr"), None)
        if about is None:
            return blocks
        blocks += self._said_of(about, blocks)
        if about.get("hidden") in ("1", "true"):
            blocks = [replace(block, hidden="markup") for block in blocks]
        return blocks

    def links(self) -> list[Block]:
        """Targets of links that are left out."""
        return [Block(kind="text", text="\n".join(self.targets), left_out="link target")] if self.targets else []

    def paragraphs(self, body: Any) -> list[Paragraph]:
        """Paragraphs of a text body that hold a text."""
        found = list[Paragraph]()
        for paragraph in body.iterchildren("{*}p"):
            text = self._line(paragraph)
            inner = [local(child) for child in within(paragraph)]
            if text:
                only = "fld" in inner and not {"r", "m"} & set(inner)
                found.append(Paragraph(text=text, element=paragraph, only_fields=only))
        return found

    def _shape(self, shape: Any, depth: int) -> Iterator[Block]:
        kind = local(shape)
        if kind == "grpSp" and depth < MOST_DEPTH:
            for child in in_order(shape):
                yield from self.shape(child, depth + 1)
        elif kind == "graphicFrame":
            yield from self._frame(shape)
        elif kind == "sp":
            for body in shape.iterchildren("{*}txBody"):
                yield from self._body(shape, body)
        elif kind not in ("pic", "cxnSp"):
            lines = [text for p in shape.iter("{*}p") if (text := self._line(p))]
            if lines:
                yield Block(kind="text", text="\n".join(lines))

    def _frame(self, frame: Any) -> Iterator[Block]:
        table = next(frame.iter("{*}tbl"), None)
        if table is not None:
            yield from self._table(table)
            return
        blocks = framed_blocks(self.package, self.part, frame, self.job)
        yield from [Block(kind="text", text=self._line(p)) for p in frame.iter("{*}p")] if blocks is None else blocks

    def _body(self, shape: Any, body: Any) -> Iterator[Block]:
        """Paragraphs of a shape: items where a bullet or a number stands before them."""
        styles = [*body.iterchildren("{*}lstStyle"), *self.list_styles(shape)]
        counts = dict[int, int]()
        for paragraph in self.paragraphs(body):
            level = _level(paragraph.element)
            mark = _mark(paragraph.element, styles, level)
            for deeper in [n for n in counts if n > level or (n == level and not mark[:1].isdigit())]:
                del counts[deeper]
            if paragraph.only_fields:
                yield Block(kind="text", text=paragraph.text, left_out="page number")
            elif not mark:
                yield Block(kind="text", text=paragraph.text)
            else:
                if mark[:1].isdigit():
                    counts[level] = counts.get(level, int(mark[:-1]) - 1) + 1
                    mark = f"{counts[level]}."
                yield Block(kind="list", text=f"{'  ' * level}{mark} {' '.join(paragraph.text.split())}")

    def _table(self, table: Any) -> Iterator[Block]:
        """A table, with the value of merged cells in each that they cover."""
        rows, covered = list[list[str]](), list[str]()
        for row in table.iterchildren("{*}tr"):
            cells = list[str]()
            for i, cell in enumerate(row.iterchildren("{*}tc")):
                text = " ".join(" ".join(self._line(p).split()) for p in cell.iter("{*}p")).strip()
                down, right = cell.get("vMerge") in ("1", "true"), cell.get("hMerge") in ("1", "true")
                if down or right:
                    covered += [text] if text else []
                    above = rows[-1][i] if rows and i < len(rows[-1]) else ""
                    text = above if down else cells[-1] if cells else ""
                cells.append(text)
            rows.append(cells)
        rows = [row for row in rows if any(row)]
        if rows and len(rows) > 1 and max(map(len, rows)) > 1:
            yield Block(kind="table", text=table_of(rows))
        else:
            yield from [
                Block(kind="text", text=cell) for row in rows for i, cell in enumerate(row) if cell not in row[:i]
            ]
        yield from [Block(kind="text", text=text, hidden="markup") for text in covered]

    def _said_of(self, about: Any, blocks: list[Block]) -> Iterator[Block]:
        """Alt text of a shape, and the target of its link."""
        there = "\n".join(block.text for block in blocks)
        for name in ("title", "descr"):
            said = " ".join(BY_MACHINE.sub("", about.get(name) or "").split())
            if said and said not in there and not FILE_NAME.fullmatch(said):
                there += said
                yield Block(kind="text", text=said)
        for link in about.iterchildren("{*}hlinkClick"):
            target = self._target(link)
            if target and target not in there:
                if self.job.parsing.links:
                    yield Block(kind="text", text=target)
                else:
                    self.targets.append(target)

    def _target(self, link: Any) -> str:
        relation = self.package.relations(self.part).get(attribute(link, "id"))
        return relation.target if relation and relation.external else ""

    def _line(self, paragraph: Any) -> str:
        """Text of a paragraph. The target of a link stands after the last run that it covers."""
        parts, target, since = list[str](), "", 0

        def close() -> None:
            linked = "".join(parts[since:])
            if not target or _bare(target) in linked.replace(" ", ""):
                return
            if self.job.parsing.links:
                parts.append(f" ({target})")
            else:
                self.targets.append(target)

        for child in within(paragraph):
            link = next(child.iter("{*}hlinkClick"), None) if local(child) in ("r", "fld") else None
            now = self._target(link) if link is not None else ""
            if now != target:
                close()
                target, since = now, len(parts)
            match local(child):
                case "r" | "fld":
                    parts += [unescaped(t.text or "") for t in child.iterchildren("{*}t")]
                case "br":
                    parts.append("\n")
                case "m" | "oMath" | "oMathPara":
                    parts.append(formula(child))
        close()
        return "\n".join(filter(None, (line.strip() for line in "".join(parts).split("\n"))))


def within(element: Any) -> Iterator[Any]:
    """Children of an element; of alternatives the first that is there, so that nothing comes twice."""
    for child in element:
        if local(child) == "AlternateContent":
            forms = [form for form in child if local(form) in ("Choice", "Fallback") and len(form)]
            yield from within(forms[0]) if forms else ()
        else:
            yield child


def shapes_in(tree: Any) -> Iterator[Any]:
    """Shapes of a tree or group, without what tells of the tree itself."""
    return (child for child in within(tree) if local(child) not in ABOUT)


def in_order(tree: Any) -> list[Any]:
    """Shapes of a tree or group from top to bottom, and from left to right where they stand side by side."""
    placed = [(position(shape), shape) for shape in within(tree) if local(shape) in SHAPES or _has_text(shape)]
    return [shape for _, shape in by_rows([(place or (0, 0, 0, 0), shape) for place, shape in placed])]


def by_rows(placed: list[tuple[tuple[int, int, int, int], Any]]) -> list[tuple[tuple[int, int, int, int], Any]]:
    """Sort boxes (left, top, width, height) into rows: one belongs to a row whose first box it overlaps by half."""
    rows = list[list[tuple[tuple[int, int, int, int], Any]]]()
    for one in sorted(placed, key=lambda box: box[0][1]):
        (_, top, _, height), first = one[0], rows[-1][0][0] if rows else None
        if (first and min(first[1] + first[3], top + height) - top > min(first[3], height) // 2) or (
            first and top == first[1]
        ):
            rows[-1].append(one)
        else:
            rows.append([one])
    return [one for row in rows for one in sorted(row, key=lambda box: box[0][0])]


def position(shape: Any) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of a shape in EMU; None if it does not say."""
    xfrm = next((x for p in shape for x in ([p] if local(p) == "xfrm" else p.iterchildren("{*}xfrm"))), None)
    if xfrm is None:
        return None
    off, ext = xfrm.find("{*}off"), xfrm.find("{*}ext")
    try:
        left, top = (int(off.get("x", 0)), int(off.get("y", 0))) if off is not None else (0, 0)
        return (left, top, int(ext.get("cx", 0)), int(ext.get("cy", 0))) if ext is not None else (left, top, 0, 0)
    except ValueError:
        return None


def formula(element: Any) -> str:
    """A formula in one line: fractions with /, powers with ^, indices with _."""
    kind = local(element)
    if kind == "t":
        return element.text or ""
    inner = {local(child): formula(child) for child in element}
    match kind:
        case "f":
            return f"({inner.get('num', '')})/({inner.get('den', '')})"
        case "sSup":
            return f"{inner.get('e', '')}^{inner.get('sup', '')}"
        case "sSub":
            return f"{inner.get('e', '')}_{inner.get('sub', '')}"
        case "rad":
            return f"{inner.get('deg', '')}√({inner.get('e', '')})"
    return "".join(map(formula, element))


def unescaped(text: str) -> str:
    """Text with characters that XML does not allow, which are written as _x000D_."""
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _bare(target: str) -> str:
    return target.removeprefix("mailto:").rstrip("/").replace(" ", "")


def _has_text(element: Any) -> bool:
    return local(element) not in ABOUT and any((t.text or "").strip() for t in element.iter("{*}t"))


def _level(paragraph: Any) -> int:
    properties = paragraph.find("{*}pPr")
    level = (properties.get("lvl") or "0") if properties is not None else "0"
    return min(8, int(level)) if level.isdigit() else 0


def _mark(paragraph: Any, styles: list[Any], level: int) -> str:
    """What stands before a paragraph: "-" for a bullet, "1." for a number, "" for nothing."""
    own = paragraph.find("{*}pPr")
    for properties in [own, *(style.find(f"{{*}}lvl{level + 1}pPr") for style in styles)]:
        for child in properties if properties is not None else ():
            match local(child):
                case "buNone":
                    return ""
                case "buChar" | "buBlip":
                    return "-"
                case "buAutoNum":
                    start = child.get("startAt") or "1"
                    return f"{start if start.isdigit() else 1}."
    return ""
