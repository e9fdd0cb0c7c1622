"""Gather the text of a page into blocks, what is hidden or left out apart."""

import re

from moat.records import Block, LeftOut

SPACE = re.compile(r"[ \t\n\r\f]+")
BREAK = "\x1f"  # a space, unless a sign follows that stands close
CLOSE = re.compile(f"{BREAK}+(?=[,.;:!?)])")


class Lines:
    """Text as it is met, and the blocks that are made of it.

    A text that is hidden, or left out in the middle of a line, is kept aside and joined with the next of its kind
    as long as nothing shown stands between them.
    """

    def __init__(self) -> None:
        self.sinks: list[list[Block]] = [[]]
        self.pieces: list[str] = []
        self.marker: str | None = None  # of a list's item, until its first text
        self.after: list[Block] = []  # what follows the line that is being gathered
        self._aside: list[str] = []
        self._why: tuple[str, LeftOut] = ("", "")

    @property
    def blocks(self) -> list[Block]:
        """Blocks of what is being read: the page, or a cell."""
        return self.sinks[-1]

    @property
    def line(self) -> str:
        """What has been gathered of the current line."""
        return tidy("".join(self.pieces))

    def add(self, text: str) -> None:
        """Add shown text to the line."""
        if text.strip():
            self.close_aside()
        if text:
            self.pieces.append(text)

    def add_close(self, text: str) -> None:
        """Add shown text without a space before it but its own."""
        while self.pieces and not self.pieces[-1].strip():
            self.pieces.pop()
        if self.pieces:
            self.pieces[-1] = self.pieces[-1].rstrip()
        self.add(text)

    def add_aside(self, text: str, hidden: str, left_out: LeftOut) -> None:
        """Keep a text aside, with the reason."""
        if text and text.strip():
            if self._why != (hidden, left_out):
                self.close_aside()
            self._why = (hidden, left_out)
            self._aside.append(" ".join(text.split()))

    def close_aside(self) -> None:
        """End what was kept aside."""
        if self._aside:
            hidden, left_out = self._why
            self.after.append(Block(kind="text", text=" ".join(self._aside), hidden=hidden, left_out=left_out))
            self._aside = []
            if not self.line:
                self.blocks.extend(self.after)
                self.after = []

    def end(self, kind: str, level: int, left_out: LeftOut) -> bool:
        """Make a block of the line, if there is one; `level` is of a heading, or the depth of a list's item."""
        before = len(self.blocks)
        text = "".join(self.pieces)
        self.pieces = []
        if kind == "code":
            if text.strip():
                self.blocks.append(Block(kind="code", text=text.strip("\n").rstrip(), left_out=left_out))
        elif text := tidy(text):
            match kind:
                case "heading":
                    self.blocks.append(
                        Block(kind="heading", text=" ".join(text.split()), level=level, left_out=left_out)
                    )
                case "list":
                    start = f"{'  ' * level}{self.marker}" if self.marker else "  " * (level + 1)
                    text = f"{start}{text}".replace("\n", "\n" + "  " * (level + 1))
                    self.marker = None
                    self.blocks.append(Block(kind="list", text=text, left_out=left_out))
                case _:
                    self.blocks.append(Block(kind="text", text=text, left_out=left_out))
        made = len(self.blocks) > before
        self.blocks.extend(self.after)
        self.after = []
        return made


def tidy(text: str) -> str:
    """Join the spaces of each line; soft hyphens are no text."""
    text = CLOSE.sub("", text.replace("\xad", "")) if BREAK in text or "\xad" in text else text
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
