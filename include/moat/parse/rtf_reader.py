"""Read the pieces of RTF, with the state that its groups keep."""

import copy
import re

from moat.parse.css import Colour, same
from moat.parse.job import Job
from moat.parse.rtf_state import (
    GATHERED,
    HEADING,
    HEADS,
    MATHS,
    MOST_GROUPS,
    NOTES,
    SKIPPED,
    THROUGH,
    TINY,
    TYPED_ITEM,
    WHITE,
    Flow,
    State,
)
from moat.parse.rtf_tables import Place, Table
from moat.parse.rtf_tokens import CHARSETS, LETTERS, Token, codec
from moat.parse.story import Line
from moat.parse.word_fields import PAGES, Field, without_result
from moat.parse.word_symbols import symbol
from moat.records import Block


class Reader:
    """Takes tokens one by one, and gives blocks at the end."""

    def __init__(self, job: Job) -> None:
        self.heads: list[Block] = []
        self._job = job
        self._stack = [State()]
        self._flows = [Flow()]
        self._starred = False
        self._second = 0  # characters still to be skipped
        self._bytes = bytearray()
        self._gathered: dict[str, str] = {}
        self._codec = "cp1252"
        self._fonts: dict[int, tuple[str, str]] = {}  # codec and name
        self._colours: list[Colour | None] = []
        self._rgb: list[int] | None = None
        self._styles: dict[int, int] = {}  # heading level by style
        self._places: list[Place] = []
        self._place = Place()
        self._fields: list[Field] = []

    @property
    def _now(self) -> State:
        return self._stack[-1]

    def take(self, token: Token) -> None:
        """Take the next token."""
        if token.kind in ("hex", "text"):
            data = token.data[self._second :] if self._second else token.data
            self._second = max(0, self._second - len(token.data))
            self._bytes += data
            return
        self._flush()
        if token.kind == "open":
            self._second = 0
            if len(self._stack) < MOST_GROUPS:
                state = copy.copy(self._now)
                state.ends = None
                self._stack.append(state)
        elif token.kind == "close":
            self._second = 0
            self._close()
        elif token.kind == "sign":
            self._sign(token.name)
        else:
            if self._second and token.name not in ("u", "uc"):
                self._second -= 1
                return
            starred, self._starred = self._starred, False
            self._word(token.name, token.number, starred)

    def end(self) -> list[Block]:
        """Blocks of the body, after the last token."""
        self._flush()
        while len(self._stack) > 1:
            self._close()
        return self._finished(self._flows[0])

    def _close(self) -> None:
        if len(self._stack) > 1:
            state = self._now
            if state.ends:
                state.ends()
            self._stack.pop()

    def _sign(self, name: str) -> None:
        if name == "*":
            self._starred = True
        elif name in "\r\n":
            self._paragraph()
        elif name != "-":
            self._text({"~": "\u00a0", "_": "-"}.get(name, name if name in "{}\\" else ""))

    def _flush(self) -> None:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            name, font = self._fonts.get(self._now.font, (self._codec, ""))
            if name == "symbol":
                self._text("".join(symbol(0xF000 | one, font) if one >= 0x20 else chr(one) for one in data))
            else:
                self._text(data.decode(name, "replace"))

    def _text(self, text: str) -> None:
        state, text = self._now, text.replace("\ufeff", "")
        if state.to in ("skip", "never") or not text:
            return
        if state.to == "colortbl":
            for _ in range(text.count(";")):
                self._colours.append((self._rgb[0], self._rgb[1], self._rgb[2]) if self._rgb else None)
                self._rgb = None
        elif state.to in GATHERED:
            if state.to == "fldinst" and state.within:
                state.within.instruction += text
            self._gathered[state.to] = self._gathered.get(state.to, "") + text
        elif not state.deleted:
            for each in self._fields:
                each.text.append(text)
            if not any(each.name in PAGES for each in self._fields):
                self._flows[-1].line.add(text, self._how())
            if any(each.name == "TOC" for each in self._fields):
                self._flows[-1].line.rule = "contents page"

    def _how(self) -> str:
        state = self._now
        if state.hidden:
            return "markup"
        if state.size <= TINY:
            return "size"
        ink = self._colours[state.colour] if 0 < state.colour < len(self._colours) else None
        return "colour" if ink and not state.ground and not state.deep and same(ink, WHITE) else ""

    def _word(self, name: str, number: int | None, starred: bool) -> None:
        state = self._now
        if name in HEADS | NOTES | GATHERED | THROUGH | SKIPPED or starred:
            self._destination(name)
        elif name == "u":
            code = (number or 0) % 65536
            self._second = state.skip
            self._unit(code)
        elif name == "uc":
            state.skip = max(0, min(number or 0, 8))
        elif name in LETTERS:
            self._text(LETTERS[name])
        elif name == "field":
            made = Field(shown=True)
            state.within, state.ends = made, lambda: self._end_field(made)
        elif name in ("par", "page", "sect"):
            self._paragraph()
        elif name in ("cell", "nestcell"):
            self._end_cell(1 if name == "cell" else max(2, state.deep))
        elif name in ("row", "nestrow"):
            self._end_row(1 if name == "row" else max(2, state.deep))
        elif state.to in ("fonttbl", "colortbl", "stylesheet") and self._definition(name, number):
            pass
        elif name in MATHS:
            self._text(MATHS[name])
        elif name == "object":
            state.ends = self._end_object
        elif name == "sp":
            self._gathered["sn"] = self._gathered["sv"] = ""
            state.ends = self._end_property
        else:
            self._formatting(name, number)

    def _unit(self, code: int) -> None:
        """Add one UTF-16 unit; two that belong together become one character."""
        pieces = self._flows[-1].line.pieces
        if 0xDC00 <= code < 0xE000 and pieces and "\ud800" <= pieces[-1][0][-1:] < "\udc00" and self._now.to == "text":
            before, how = pieces.pop()
            self._flows[-1].line.add(
                before[:-1] + chr(0x10000 + ((ord(before[-1]) - 0xD800) << 10) + code - 0xDC00), how
            )
        elif 0xF000 <= code <= 0xF0FF:
            self._text(symbol(code, self._fonts.get(self._now.font, ("", ""))[1]))
        else:
            self._text(chr(code))

    def _destination(self, name: str) -> None:
        state = self._now
        if state.to == "never" or (state.to == "skip" and name not in ("ud", "picprop")):
            return
        if name in HEADS or name in NOTES:
            self._begin_flow(name)
        elif name in THROUGH:
            if name in ("ud", "picprop"):
                state.to = "text"
            elif name == "fldrslt" and state.within:
                made = state.within
                self._fields.append(made)
                state.ends = lambda: self._fields.remove(made)
        elif name in GATHERED:
            state.to = name
            if name in ("listtext", "pntext"):
                self._gathered[name] = ""
                flow = self._flows[-1]
                state.ends = lambda: setattr(flow, "label", self._gathered[name].strip() or "-")
            elif name == "stylesheet":
                state.style = 0
        elif name != "nesttableprops":
            state.to = "never" if name in ("nonshppict", "shprslt") else "skip"  # a second form of what stands before

    def _begin_flow(self, name: str) -> None:
        state, flow, outer = self._now, Flow(), self._flows[-1]
        hidden, to = state.hidden, state.to
        state.deep, state.outline, state.style = 0, -1, 0
        self._flows.append(flow)

        def ends() -> None:
            self._flows.remove(flow)
            made = self._finished(flow)
            if name in HEADS:
                self.heads.extend(made)
            elif name != "annotation":
                outer.line.after.extend(made)
            elif text := "\n".join(block.text for block in made):
                if self._job.parsing.comments and not hidden and to == "text":
                    outer.line.after.append(Block(kind="text", text=f"[comment: {text}]"))
                else:
                    outer.line.leave_out(text, "comment")

        state.ends = ends

    def _end_field(self, ended: Field) -> None:
        line, text = self._flows[-1].line, "".join(ended.text)
        if self._now.to != "text" or self._now.deleted:
            return
        if ended.name in PAGES:
            line.leave_out(text, "page number")
        elif ended.name == "HYPERLINK":
            line.link(text, ended.target(), self._job.parsing.links)
        elif not text.strip():
            without_result(ended, line, self._how())

    def _end_property(self) -> None:
        """A drawing's property: its alt text, or the text of WordArt."""
        name, said = self._gathered.get("sn", "").strip(), " ".join(self._gathered.get("sv", "").split())
        if said and name == "wzDescription":
            self._flows[-1].line.add(f" [picture: {said}] ")
        elif said and name == "gtextUNICODE":
            self._flows[-1].line.add(said)

    def _end_object(self) -> None:
        kind = self._gathered.pop("objclass", "").strip()
        self._flows[-1].line.leave_out(f"an embedded object {kind}".strip(), "unreadable part")

    def _definition(self, name: str, number: int | None) -> bool:
        """Take a word of the tables of fonts, colours and styles."""
        state, value = self._now, number or 0
        match state.to, name:
            case "fonttbl", "f":
                state.font = -1
                self._gathered["font"], self._gathered["fonttbl"] = str(value), ""
                self._fonts[value] = (self._codec, "")
                state.ends = self._end_font
            case "fonttbl", "fcharset" | "cpg":
                at = int(self._gathered.get("font", "0") or 0)
                found = "symbol" if value == 2 and name == "fcharset" else CHARSETS.get(value, self._codec)
                self._fonts[at] = (found if name == "fcharset" else codec(value), "")
            case "colortbl", "red" | "green" | "blue":
                self._rgb = self._rgb or [0, 0, 0]
                self._rgb[("red", "green", "blue").index(name)] = max(0, min(value, 255))
            case "stylesheet", "s":
                self._gathered["stylesheet"] = ""
                state.style, state.outline, state.ends = value, -1, self._end_style
            case "stylesheet", "outlinelevel":
                state.outline = value
            case _:
                return False
        return True

    def _end_font(self) -> None:
        at = int(self._gathered["font"] or 0)
        self._fonts[at] = (self._fonts[at][0], self._gathered.get("fonttbl", "").strip(" ;"))

    def _end_style(self) -> None:
        state, name = self._now, self._gathered["stylesheet"].strip(" ;\r\n")
        if found := HEADING.fullmatch(name):
            self._styles[state.style] = int(found[1]) if found[1] else 1 if found[2] else 2
        elif 0 <= state.outline < 9:
            self._styles[state.style] = state.outline + 1

    def _formatting(self, name: str, number: int | None) -> None:
        state, value = self._now, number if number is not None else 1
        match name:
            case "v" | "webhidden":
                state.hidden = bool(value) if name == "v" else state.hidden
            case "deleted":
                state.deleted = bool(value)
            case "cf":
                state.colour = value if number is not None else 0
            case "cb" | "highlight" | "chcbpat" | "cbpat":
                state.ground = value if number is not None else 0
            case "fs":
                state.size = value if number is not None else 24
            case "f":
                state.font = value
            case "plain":
                state.plain()
            case "ansicpg":
                self._codec = codec(value)
            case "mac" | "pc" | "pca":
                self._codec = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[name]
            case "pard":
                state.pard()
            case "s":
                state.style = value
            case "outlinelevel":
                state.outline = value
            case "ilvl":
                state.level = max(0, min(value, 8))
            case "intbl":
                state.deep = max(1, state.deep)
            case "itap":
                state.deep = max(0, min(value, 20))
            case "ls":
                state.listed = value > 0
            case "fi":
                state.hanging = value < 0
            case "li":
                state.indent = value
            case "trowd":
                self._places, self._place = [], Place()
            case "cellx":
                self._place.edge = value
                self._places.append(self._place)
                self._place = Place()
            case "clvmrg":
                self._place.above = True
            case "clmrg":
                self._place.left = True
            case "htmlrtf":
                state.to = "skip" if value else "text"

    def _paragraph(self) -> None:
        state, flow = self._now, self._flows[-1]
        if state.to != "text":
            return
        self._enter(flow, state.deep)
        made = self._line_blocks(flow)
        (flow.tables[-1].cell if flow.tables else flow.blocks).extend(made)

    def _line_blocks(self, flow: Flow) -> list[Block]:
        state, line, label = self._now, flow.line, flow.label
        flow.line, flow.label = Line(), ""
        level = state.outline + 1 if 0 <= state.outline < 9 else self._styles.get(state.style, 0)
        numbered = label if re.search(r"\w", label) else ""
        if not line.shown().strip():
            return line.blocks()
        if level and state.outline < 9:
            return line.blocks("heading", level, numbered)
        typed = TYPED_ITEM.match(line.shown()) if state.hanging and not label else None
        if typed and all(not how for _, how in line.pieces):
            line.pieces = [(line.shown()[typed.end() :], "")]
            return line.blocks("list", max(0, min(state.indent // 360 - 1, 8)), typed[2] or "")
        return line.blocks("list", state.level, numbered) if label or state.listed else line.blocks()

    def _enter(self, flow: Flow, deep: int) -> None:
        """Open or end tables until `deep` stand around."""
        while len(flow.tables) > deep:
            ended = flow.tables.pop().blocks()
            (flow.tables[-1].cell if flow.tables else flow.blocks).extend(ended)
        while len(flow.tables) < deep:
            flow.tables.append(Table())

    def _end_cell(self, deep: int) -> None:
        flow = self._flows[-1]
        if self._now.to == "text":
            self._enter(flow, deep)
            flow.tables[-1].cell.extend(self._line_blocks(flow))
            flow.tables[-1].end_cell()

    def _end_row(self, deep: int) -> None:
        flow = self._flows[-1]
        if self._now.to == "text":
            self._enter(flow, deep)
            flow.tables[-1].end_row(self._places)

    def _finished(self, flow: Flow) -> list[Block]:
        """Blocks of a text at its end."""
        deep = self._now.deep if flow.line.pieces else 0
        made = self._line_blocks(flow)
        self._enter(flow, deep if flow.tables else 0)
        (flow.tables[-1].cell if flow.tables else flow.blocks).extend(made)
        self._enter(flow, 0)
        return flow.blocks
