"""What RTF's groups change, and the texts that they make."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from moat.parse.css import Colour
from moat.parse.rtf_tables import Table
from moat.parse.story import Line
from moat.parse.word_fields import Field
from moat.records import Block

MOST_GROUPS = 5_000  # in each other
WHITE: Colour = (255, 255, 255)
TINY = 4  # half points
HEADS = {"header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"}
NOTES = {"footnote", "shptxt", "dptxbxtext", "annotation"}
GATHERED = {"fldinst", "listtext", "pntext", "sn", "sv", "objclass", "fonttbl", "colortbl", "stylesheet"}
THROUGH = {"shppict", "shpinst", "ud", "moMath", "moMathPara", "picprop", "do", "ftnsep", "fldrslt", "mmath"}
SKIPPED = {"info", "pict", "nonshppict", "shprslt", "listtable", "listoverridetable", "rsidtbl", "generator", "filetbl",
           "revtbl", "themedata", "colorschememapping", "datastore", "latentstyles", "xmlnstbl", "objdata", "objname",
           "bkmkstart", "bkmkend", "atnid", "atnauthor", "atndate", "atntime", "atnref", "atrfstart", "atrfend", "xe",
           "tc", "pgdsctbl", "falt", "panose", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "bxe",
           "template", "userprops", "upr", "htmltag", "pnseclvl", "docvar", "private1", "mmathPr", "background"}  # fmt: skip
MATHS = {"mden": "/", "msup": "^", "msub": "_", "mdeg": "√"}
HEADING = re.compile(r"(?:heading ?([1-9])|(title)|(subtitle))", re.IGNORECASE)
TYPED_ITEM = re.compile(r"\s*(?:([•·▪o-])|(\w{1,5}[.)]|\([\w]{1,5}\)))\t")


@dataclass(kw_only=True)
class State:
    """What a group changes for itself and those in it."""

    to: str = "text"  # where text goes: text, skip, or the name of a destination that is gathered
    hidden: bool = False
    deleted: bool = False
    colour: int = 0
    ground: int = 0
    size: int = 24
    font: int = -1
    skip: int = 1  # characters after \u that are its second form
    style: int = 0
    outline: int = -1
    level: int = 0
    deep: int = 0  # how many tables stand around the paragraph
    hanging: bool = False
    listed: bool = False
    indent: int = 0
    within: Field | None = None
    ends: Callable[[], None] | None = None  # what is done at the group's end

    def plain(self) -> None:
        """Set characters back to what they are without formatting."""
        self.hidden, self.deleted, self.colour, self.ground, self.size, self.font = False, False, 0, 0, 24, -1

    def pard(self) -> None:
        """Set the paragraph back to what it is without formatting."""
        self.style, self.outline, self.level, self.deep, self.indent = 0, -1, 0, 0, 0
        self.hanging, self.listed = False, False


@dataclass
class Flow:
    """A text of its own: the body, a head, a note."""

    blocks: list[Block] = field(default_factory=list)
    line: Line = field(default_factory=Line)
    label: str = ""
    tables: list[Table] = field(default_factory=list)
