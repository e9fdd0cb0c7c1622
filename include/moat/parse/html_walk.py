"""One walk over a page: its blocks in reading order, what is hidden, and what is left out."""

from functools import cached_property
from typing import Any, NamedTuple

from moat.parse.css import Sheet
from moat.parse.hidden_html import Appearance, appearance
from moat.parse.html_lines import BREAK, SPACE, Lines
from moat.parse.html_links import is_external, is_mark, is_note, numbered, one_of_targets, says, whole
from moat.parse.html_math import formula, notes_of
from moat.parse.html_navigation import PARTS, has_main, is_main, is_navigation
from moat.parse.html_tables import Cell, Row, Table
from moat.parse.html_tree import tree_of
from moat.records import Block, LeftOut

INLINE = {"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "code", "data", "del", "dfn", "em", "font",
          "i", "ins", "kbd", "mark", "math", "nobr", "q", "rb", "ruby", "rt", "rtc", "s", "samp", "small", "span",
          "strike", "strong", "sub", "sup", "time", "tspan", "tt", "u", "var", "wbr"}  # fmt: skip
BLOCK = {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir",
         "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
         "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol", "p", "plaintext",
         "pre", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
         "xmp"}  # fmt: skip
# Nothing of these is seen, so the words around them may be one.
SKIPPED = {"script", "style", "head", "col", "colgroup", "param", "track", "metadata", "rp", "base", "link", "meta"}
UNBROKEN = INLINE | SKIPPED
FALLBACK = {"noscript", "iframe", "noframes", "noembed", "video", "audio"}  # shown where a browser cannot do better
LISTS = {"ul", "ol", "menu", "dir", "dl"}
HEADINGS = {f"h{n}": n for n in range(1, 7)}
BLOCK_DISPLAY = {"block", "flex", "grid", "list-item", "table", "table-row", "table-cell", "flow-root"}
LONGEST_HEADING = 500  # characters; longer, it is one that was never closed
MOST_PAGES = 4  # of pages in pages
MOST_TARGET = 2000  # characters of a link's target, which may be a picture


class Frame(NamedTuple):
    """What an open element means for the text in it."""

    look: Appearance
    kind: str = "text"  # of the block that its text becomes
    level: int = 0  # of a heading; of a list's item, its depth
    depth: int = 0  # lists around it
    left_out: LeftOut = ""  # as blocks of its own
    aside: LeftOut = ""  # out of the line that it stands in
    pre: bool = False
    main: bool = False
    part: bool = False  # a header in it is not the site's
    block: bool = False
    cell: bool = False
    reading: list[str] | None = None  # of ruby, how its characters are read
    read: bool = False  # this is such a reading
    after: str = ""  # a sign that ends its text


class Numbers:
    """Numbers of an ordered list's items."""

    def __init__(self, element: Any, style: str) -> None:
        self.ordered = element.tag == "ol" and style != "none"
        self.step = -1 if element.get("reversed") is not None else 1
        first = sum(1 for _ in element.iterchildren("li")) if self.step < 0 else 1
        self.next = whole(element.get("start"), first)
        self.style = element.get("type") or style

    def marker(self, item: Any) -> str:
        if not self.ordered:
            return "- "
        number = whole(item.get("value"), self.next)
        self.next = number + self.step
        return f"{numbered(number, item.get('type') or self.style)}. "


class Page:
    """A page as a tree, with its own stylesheets and those that come with it."""

    def __init__(
        self, markup: str, *, styles: str = "", links: bool = True, comments: bool = False, depth: int = 0
    ) -> None:
        self.tree = tree_of(markup)
        self.depth = depth  # of pages around it
        self.links, self.comments = links, comments
        self.sheet = Sheet([styles, *(element.text or "" for element in self.tree.iter("style"))])
        rels = ((link.get("rel") or "").lower() for link in self.tree.iter("link"))
        elsewhere = not styles and any("stylesheet" in rel for rel in rels)
        self.look = Appearance(ground=None) if elsewhere else Appearance()

    @property
    def title(self) -> str | None:
        """The title that the page states."""
        for title in self.tree.iter("title"):
            if title.getparent() is not None and title.getparent().tag in ("head", "html", "body"):
                return " ".join("".join(title.itertext()).split()) or None
        return None

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of fields that stand apart from them, by the field's id."""
        found = ((label.get("for"), " ".join("".join(label.itertext()).split())) for label in self.tree.iter("label"))
        return {field: text for field, text in found if field}

    def inside(self, markup: str) -> "Page":
        """Return a page that stands in this one."""
        return Page(markup, links=self.links, comments=self.comments, depth=self.depth + 1)

    def blocks(self) -> list[Block]:
        """Return all its blocks; navigation is left out only where there is a main part with text."""
        walk = Walk(self, navigation=has_main(self.tree))
        blocks = walk.run()
        if walk.navigation and not walk.said_main:
            blocks = Walk(self, navigation=False).run()
        if not any(not block.hidden and not block.left_out for block in blocks):
            blocks = Walk(self, navigation=False, scripts=False).run()
        return blocks


class Walk:
    """The walk itself: what is open, and what has been met."""

    def __init__(self, page: Page, *, navigation: bool, scripts: bool = True) -> None:
        self.page = page
        self.navigation = navigation  # leave it out
        self.scripts = scripts  # they run, so that <noscript> is not shown
        self.said_main = False
        self.lines = Lines()
        self.frames = [Frame(page.look)]
        self.tables: list[Table] = []
        self.numbers: list[Numbers] = []
        self.began: list[int] = []  # per open link, how many blocks there were
        self.targets: dict[str, None] = {}
        self.in_label = 0
        self.after_label = False

    def run(self) -> list[Block]:
        from lxml import etree

        steps = etree.iterwalk(self.page.tree, events=("start", "end", "comment", "pi"))
        for event, element in steps:
            if event == "start":
                if self._open(element):
                    steps.skip_subtree()
                else:
                    self.text(element.text)
            else:
                if event == "end":
                    self._close(element)
                elif event == "comment" and self.page.comments:
                    self.lines.add_aside(element.text or "", self.frames[-1].look.how, "comment")
                self.text(element.tail if element is not self.page.tree else None)
        self.end_line(self.frames[0])
        self.lines.close_aside()
        self.end_line(self.frames[0])
        if self.targets:
            self.lines.blocks.append(Block(kind="text", text="\n".join(self.targets), left_out="link target"))
        return one_of_targets(self.lines.blocks)

    def text(self, text: str | None) -> None:
        """Take a text in the innermost open element."""
        if not text:
            return
        frame = self.frames[-1]
        if frame.look.how or frame.aside:
            self.lines.add_aside(text, frame.look.how, frame.aside)
        elif frame.read and frame.reading is not None:
            frame.reading.append(text)
        else:
            self.lines.add(text if frame.pre else SPACE.sub(" ", text))
            self.after_label = self.after_label and not text.strip()

    def end_line(self, frame: Frame) -> None:
        """Make a block of what was gathered."""
        made = self.lines.end(frame.kind, frame.level, frame.left_out)
        self.said_main |= made and frame.main and frame.kind != "heading" and not frame.left_out

    def _open(self, element: Any) -> bool:
        """Enter an element; return whether what is in it has been dealt with."""
        above, tag = self.frames[-1], element.tag
        look, style = appearance(element, self.page.sheet, above.look)
        display = style.get("display", "")
        block = tag in BLOCK or (display in BLOCK_DISPLAY and tag not in ("html", "body"))
        frame = above._replace(look=look, block=block, cell=False, after="")
        if block and above.pre:
            self._new_line()
            frame = frame._replace(block=False)
        elif block and above.kind == "heading" and tag not in ("table", *LISTS):
            self.lines.pieces.append(BREAK)
            frame = frame._replace(block=False)
        elif block:
            self.end_line(above)
        elif tag not in UNBROKEN:
            self.lines.pieces.append(BREAK)
        frame = frame._replace(main=above.main or is_main(element), part=above.part or tag in PARTS)
        if self.navigation and not above.left_out and is_navigation(element, above.part):
            if not frame.block:
                self.end_line(above)
            frame = frame._replace(left_out="navigation", block=True)
        frame, done = self._meaning(element, tag, frame, style)
        self.frames.append(frame)
        return done

    def _meaning(self, element: Any, tag: str, frame: Frame, style: Any) -> tuple[Frame, bool]:
        """Return what an element means, and whether all of it has been dealt with."""
        from moat.parse.html_fields import FIELDS

        if tag in SKIPPED or (tag == "title" and _is_heads(element)):
            return frame, True
        if tag in FIELDS:
            return FIELDS[tag](self, element, frame)
        if tag in FALLBACK:
            return self._fallback(element, frame)
        if tag == "template" and element.get("shadowrootmode") is None:
            return frame._replace(aside="no script"), False
        if (level := HEADINGS.get(tag) or _level(element)) and not frame.pre:
            if sum(map(len, element.itertext())) <= LONGEST_HEADING:
                frame = frame._replace(kind="heading", level=level)
        elif tag in LISTS:
            said = style.get("list-style-type") or style.get("list-style", "").partition(" ")[0]
            self.numbers.append(Numbers(element, said))
            frame = frame._replace(depth=frame.depth + 1)
        elif tag in ("li", "dt", "dd") and frame.block:
            deep = max(0, frame.depth - 1) + (tag == "dd")
            self.lines.marker = self.numbers[-1].marker(element) if tag == "li" and self.numbers else "- "
            frame = frame._replace(kind="list", level=deep)
        elif tag in ("pre", "listing", "xmp", "plaintext") and frame.block:
            frame = frame._replace(kind="code", pre=True)
        elif tag == "br":
            self.lines.pieces.append("\n")
        elif tag == "a":
            self.began.append(len(self.lines.blocks))
            if is_mark(element):
                return frame, True
            if not frame.pre and is_note(element) and "[" not in "".join(element.itertext()):
                self._sign("[")
                frame = frame._replace(after="]")
        elif tag == "q":
            self._sign("“")
            frame = frame._replace(after="”")
        elif tag == "ruby":
            frame = frame._replace(reading=[])
        elif tag in ("rt", "rtc"):
            frame = frame._replace(read=True)
        elif tag == "math":
            return self._formula(element, frame)
        elif tag == "span" and "katex-html" in (element.get("class") or "").split():
            frame = frame._replace(aside="other version")  # the same formula stands beside it as MathML
        elif frame.block or tag in ("td", "th"):
            frame = self._table_part(element, tag, frame)
        return frame, False

    def _table_part(self, element: Any, tag: str, frame: Frame) -> Frame:
        if tag == "table":
            self.tables.append(Table(element.get("role") in ("presentation", "none"), frame.left_out))
            return frame._replace(kind="text", level=0)
        if not self.tables:
            return frame
        table = self.tables[-1]
        if tag == "tr":
            group = element.getparent()
            table.rows.append(Row(group, group.tag == "tfoot", group.tag == "thead"))
        elif tag == "caption":
            table.titled = True
        elif tag in ("td", "th"):
            if not table.rows:
                table.rows.append(Row(element.getparent(), foot=False, head=False))
            rows, columns = whole(element.get("rowspan"), 1), whole(element.get("colspan"), 1)
            cell = Cell(tag == "th", rows if rows >= 0 else 1, columns)
            table.rows[-1].cells.append(cell)
            self.lines.sinks.append(cell.blocks)
            return frame._replace(kind="text", level=0, depth=0, cell=True, block=True)
        return frame

    def _close(self, element: Any) -> None:
        frame, tag = self.frames.pop(), element.tag
        if frame.after:
            self._sign(frame.after, frame)
        if tag == "a":
            self._target(element, frame, self.began.pop())
        elif tag == "label":
            self.in_label -= 1
            self.after_label = True
        elif tag == "ruby" and (reading := "".join(frame.reading or ()).strip()):
            self.lines.add(f"({reading})")
        if frame.block:
            self.end_line(frame)
        elif frame.pre and tag in BLOCK:
            self._new_line()
        elif tag not in UNBROKEN:
            self.lines.pieces.append(BREAK)
        if frame.cell:
            self.lines.sinks.pop()
        elif tag == "table" and frame.block and self.tables:
            self.lines.blocks.extend(self.tables.pop().blocks())
        elif tag in LISTS and self.numbers:
            self.numbers.pop()
            self.lines.marker = None

    def _target(self, element: Any, frame: Frame, began: int) -> None:
        """Put the target of a link after its text, or among those that are left out."""
        target = "".join((element.get("href") or "").split())[:MOST_TARGET]
        if not target:
            return
        if not self.page.links or not is_external(target) or frame.pre:
            self.targets.setdefault(target)
        elif not says("".join(element.itertext()), target):
            blocks, shown = self.lines.blocks, f"({target})"
            last = blocks[-1] if len(blocks) > began else None
            if frame.look.how or frame.aside:
                self.lines.add_aside(shown, frame.look.how, frame.aside)
            elif frame.kind == "heading":
                self.lines.after.append(Block(kind="text", text=shown, left_out=frame.left_out))
            elif self.lines.line or last is None or last.hidden or last.kind not in ("text", "list"):
                self.lines.add_close(f" {shown}")
            else:  # the link is a block with blocks in it
                blocks[-1] = Block(kind=last.kind, text=f"{last.text} {shown}", left_out=last.left_out)

    def _fallback(self, element: Any, frame: Frame) -> tuple[Frame, bool]:
        if (inner := element.get("srcdoc")) is not None and self.page.depth < MOST_PAGES:
            page = self.page.inside(inner)
            self.end_line(frame)
            if frame.look.how or frame.aside:
                self.lines.add_aside(" ".join(block.text for block in page.blocks()), frame.look.how, frame.aside)
            else:
                self.lines.blocks.extend(page.blocks())
        elif element.get("src"):
            self.targets.setdefault(element.get("src")[:MOST_TARGET])
        return (frame._replace(aside="no script") if self.scripts or element.tag != "noscript" else frame), False

    def _formula(self, element: Any, frame: Frame) -> tuple[Frame, bool]:
        self.frames.append(frame)
        self.text(formula(element))
        self.frames.pop()
        self.lines.add_aside(notes_of(element), frame.look.how, "" if frame.look.how else "other version")
        return frame, True

    def _sign(self, sign: str, frame: Frame | None = None) -> None:
        around = frame or self.frames[-1]
        if not around.look.how and not around.aside:
            self.lines.pieces.append(sign)

    def _new_line(self) -> None:
        if self.lines.pieces and not self.lines.pieces[-1].endswith("\n"):
            self.lines.pieces.append("\n")


def _is_heads(title: Any) -> bool:
    parent = title.getparent()
    return parent is None or parent.tag in ("head", "html", "body")


def _level(element: Any) -> int:
    return whole(element.get("aria-level"), 2, 9) if element.get("role") == "heading" else 0
