"""Slides: .pptx.

The page of a block is the number of its slide. A slide's title is a heading; then its placeholders and then its other
shapes follow from top to bottom, then comments and notes. What a layout or master writes on every slide is left out.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.parse.drawings import Drawing, by_rows, position, shapes_in
from moat.parse.job import Job, Parsed
from moat.parse.package import Package, attribute
from moat.parse.slides_layout import Layout, kind_of_placeholder, placeholder
from moat.records import Block

TITLES = {"title", "ctrTitle", "vertTitle"}
NUMBERS = {"sldNum", "dt"}
HEADS = {"ftr", "hdr"}
SHORT = 120  # characters; a longer line at the top of a slide without a title is no title
PATTERN = r"^ppt/slides/slide\d*\.xml$"


def parse_pptx(content: bytes, job: Job) -> Parsed:
    """Parse a presentation."""
    package = Package(content)
    order, start = _slides(package)
    orphans = [name for name in package.names(PATTERN) if name.lower() not in {n.lower() for n in order}]
    if not order and not orphans:
        raise ParseFailed("it holds no slides, or their list is damaged: open it and save it again as .pptx")
    slides = list[list[Block]]()
    layouts = dict[str, None]()
    for number, name in enumerate(order, start):
        blocks, layout = _slide(package, name, job)
        layouts |= dict.fromkeys(layout.parts)
        slides.append([replace(block, page=number) for block in blocks])
    blocks = [block for slide in _without_footers(slides) for block in slide]
    for name in orphans:  # a slide that is still in the file, and that nobody sees
        blocks += [replace(block, hidden="markup") for block in _slide(package, name, job)[0]]
    for part in layouts:
        blocks += _of_layout(package, part, job)
    return Parsed(blocks)


def _slides(package: Package) -> tuple[list[str], int]:
    """Names of the slides in their order, and the number of the first."""
    main = next(iter(package.related("", "officeDocument")), "ppt/presentation.xml")
    try:
        root = package.root(main)
    except ParseFailed:
        return package.names(PATTERN), 1  # the order of their numbers is mostly right
    relations = package.relations(main)
    ids = [attribute(slide, "id") for slide in root.iter("{*}sldId")]
    names = [relations[i].target for i in ids if i in relations and not relations[i].external]
    first = root.get("firstSlideNum") or "1"
    return names or package.names(PATTERN), int(first) if first.isdigit() else 1


def _slide(package: Package, name: str, job: Job) -> tuple[list[Block], Layout]:
    """Blocks of a slide, and its layout."""
    layout = Layout(package, name)
    try:
        root = package.root(name)
    except ParseFailed as error:
        return [unreadable(str(error))], layout
    drawing = Drawing(package=package, part=name, job=job, list_styles=layout.list_styles)
    blocks = [block for tree in root.iter("{*}spTree") for block in _tree(tree, drawing, layout)]
    if not any(block.kind == "heading" for block in blocks):
        blocks = _with_title(blocks)
    blocks += drawing.links()
    if root.get("show") in ("0", "false"):
        blocks = [replace(block, hidden="markup") for block in blocks]
        job_blocks = [*_comments(package, name, job), *_notes(package, name, job)]
        return blocks + [replace(block, hidden="markup") for block in job_blocks], layout
    return blocks + _comments(package, name, job) + _notes(package, name, job), layout


def _tree(tree: object, drawing: Drawing, layout: Layout) -> Iterator[Block]:
    """Blocks of a slide's shapes in the order in which a person reads them."""
    shapes = list(shapes_in(tree))
    titles = [shape for shape in shapes if kind_of_placeholder(shape) in TITLES]
    held = [shape for shape in shapes if placeholder(shape) is not None and shape not in titles]
    free = [shape for shape in shapes if placeholder(shape) is None]
    for title in titles:
        blocks = drawing.shape(title)
        said = [block for block in blocks if block.kind in ("text", "list") and not block.left_out]
        text = " ".join(" ".join(block.text.removeprefix("- ").split()) for block in said if not block.hidden)
        if text:
            yield Block(kind="heading", text=text, level=1)
        yield from [block for block in blocks if block not in said or block.hidden]
    for group in (held, free):
        for _, shape in by_rows([(position(s) or layout.position(s) or (0, 0, 0, 0), s) for s in group]):
            yield from _by_place(shape, drawing)


def _by_place(shape: object, drawing: Drawing) -> Iterator[Block]:
    """Blocks of a shape; slide numbers, dates, heads and footers are left out by their placeholder."""
    kind = kind_of_placeholder(shape)
    for block in drawing.shape(shape):
        if kind in NUMBERS:
            yield replace(block, left_out="page number")
        elif kind in HEADS:
            yield replace(block, left_out=block.left_out or "running head")
        else:
            yield block


def _with_title(blocks: list[Block]) -> list[Block]:
    """Make the first line of a slide without a title its heading, if it is short: it must not stand under another's."""
    for i, block in enumerate(blocks):
        if not block.left_out and not block.hidden:
            if block.kind == "text" and len(block.text) <= SHORT and "\n" not in block.text:
                return [*blocks[:i], Block(kind="heading", text=block.text, level=1), *blocks[i + 1 :]]
            break
    return blocks


def _without_footers(slides: list[list[Block]]) -> list[list[Block]]:
    """Take back the footers that stand on one slide alone: they are no running heads."""
    seen = Counter(block.text for slide in slides for block in slide if block.left_out == "running head")
    return [
        [replace(b, left_out="") if b.left_out == "running head" and seen[b.text] == 1 else b for b in slide]
        for slide in slides
    ]


def _notes(package: Package, slide: str, job: Job) -> list[Block]:
    """Speaker notes of a slide."""
    found = list[Block]()
    for name in package.related(slide, "notesSlide"):
        try:
            root = package.root(name)
        except ParseFailed as error:
            found.append(unreadable(str(error)))
            continue
        drawing = Drawing(package=package, part=name, job=job)
        for shape in [shape for tree in root.iter("{*}spTree") for shape in shapes_in(tree)]:
            found += _by_place(shape, drawing)
        found += drawing.links()
    if not job.parsing.notes:
        return [replace(block, left_out=block.left_out or "note") for block in found]
    for i, block in enumerate(found):
        if block.kind == "text" and not block.left_out:
            found[i] = replace(block, text=f"Notes: {block.text}")
            break
    return found


def _comments(package: Package, slide: str, job: Job) -> list[Block]:
    """Comments on a slide, of the old and of the threaded kind, with who made them."""
    authors = dict[str, str]()
    for name in package.names(r"^ppt/(?:commentAuthors|authors)\d*\.xml$"):
        with suppress(ParseFailed):  # comments are told without their authors
            people = package.root(name).iter("{*}cmAuthor", "{*}author")
            authors |= {person.get("id") or "": person.get("name") or "" for person in people}
    blocks = list[Block]()
    for name in package.related(slide, "comments"):
        try:
            root = package.root(name)
        except ParseFailed as error:
            blocks.append(unreadable(str(error)))
            continue
        for comment in root.iter("{*}cm", "{*}reply"):
            bodies = list(comment.iterchildren("{*}text", "{*}txBody"))
            text = " ".join(" ".join(t.text or "" for t in b.iter("{*}text", "{*}t")) for b in bodies).strip()
            if text:
                author = authors.get(comment.get("authorId") or "", "")
                said = f"{author}: {text}" if author else text
                blocks.append(Block(kind="text", text=said, left_out="" if job.parsing.comments else "comment"))
    return blocks


def _of_layout(package: Package, part: str, job: Job) -> list[Block]:
    """Text that a layout or master writes on every slide; the prompts of placeholders are none."""
    try:
        root = package.root(part)
    except ParseFailed:
        return []  # it holds no text of a slide
    drawing = Drawing(package=package, part=part, job=job)
    shapes = [shape for tree in root.iter("{*}spTree") for shape in shapes_in(tree) if placeholder(shape) is None]
    blocks = [block for shape in shapes for block in drawing.shape(shape)]
    return [replace(block, left_out=block.left_out or "running head") for block in blocks]
