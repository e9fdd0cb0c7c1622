"""Choose among the forms of one mail's text, and declare what only the others say."""

from collections import Counter
from dataclasses import dataclass, field, replace

from moat.parse.job import Job
from moat.parse.mail_quotes import by_lines, by_marks, with_marks
from moat.parse.mail_text import unflowed, uuencoded
from moat.parse.markup import html_blocks
from moat.parse.pgp import without_armour
from moat.parse.plain_text import text_blocks
from moat.parse.words import count
from moat.records import Block


@dataclass(slots=True)
class Form:
    """The text of a part of a mail, and what is attached to it."""

    rank: int = 0  # of the form among others of one text: HTML 3, other rich text 2, plain 1
    body: list[Block] = field(default_factory=list)
    attached: list[Block] = field(default_factory=list)

    @property
    def has_text(self) -> bool:
        """Whether it shows anything."""
        return any(block.text.strip() and not block.hidden and not block.left_out for block in self.body)


def html_form(markup: str, job: Job, quotes: bool) -> Form:
    """Blocks of a mail's HTML. With `quotes`, what it quotes is loaded as well."""
    if quotes:
        return Form(3, html_blocks(markup, job))
    return Form(3, by_lines(by_marks(html_blocks(with_marks(markup), job))))


def plain_form(text: str, job: Job, quotes: bool, flowed: str = "") -> Form:
    """Blocks of a mail's plain text.

    Args:
        text: The text, decoded.
        job: Parses files that are uuencoded in it.
        quotes: Whether what it quotes is loaded as well.
        flowed: "flowed" where lines that end with a space go on (RFC 3676), "delsp" where that space goes.
    """
    text = text.replace("\r\n", "\n")
    text, files = uuencoded(text)
    text, signatures = without_armour(text)
    blocks = text_blocks(unflowed(text, flowed == "delsp") if flowed else text)
    attached = [block for name, content in files for block in attachment(name, job.part(content, name))]
    return Form(1, (blocks if quotes else by_lines(blocks)) + signatures, attached)


def joined(forms: list[Form]) -> Form:
    """Join parts that stand one after the other: texts first, since what is attached has headings of its own."""
    return Form(
        max((form.rank for form in forms if form.has_text), default=0),
        [block for form in forms for block in form.body],
        [block for form in forms for block in form.attached],
    )


def chosen(forms: list[Form]) -> Form:
    """Take the richest form that has text; words that only the others have are left out in a block of their own."""
    with_text = [form for form in forms if form.has_text]
    taken = max(reversed(with_text), key=lambda form: form.rank) if with_text else Form()
    said = count("\n".join(block.text for block in taken.body))
    body = list(taken.body)
    for form in forms:
        if form is not taken:
            lines = [line for block in form.body for line in block.text.split("\n")]
            alone = [line for line in lines if _is_new(line, said)]
            if alone:
                body.append(Block(kind="text", text="\n".join(alone), left_out="other version"))
    return Form(taken.rank, body, [block for form in forms for block in form.attached])


def _is_new(line: str, said: Counter[str]) -> bool:
    """Whether a line has words that are not said, or not so often; those that it has are used up."""
    words = count(line)
    new = bool(words - said)
    said.subtract(words)
    return new


def attachment(name: str, blocks: list[Block]) -> list[Block]:
    """Put the blocks of an attached document below a heading with its name."""
    lower = [replace(block, level=block.level + 1) if block.kind == "heading" else block for block in blocks]
    if not name or (lower and lower[0].kind != "heading" and lower[0].text == name and not lower[0].left_out):
        return [Block(kind="heading", text=name, level=1), *lower[1:]] if name else lower
    return [Block(kind="heading", text=name, level=1), *lower]
