"""Word: .docx."""

from collections.abc import Iterator
from typing import Any

from moat.errors import ParseFailed
from moat.parse.job import Job, Parsed
from moat.parse.story import joined_hidden, once, part_blocks
from moat.parse.word_looks import SIGNS, Looks
from moat.parse.word_package import Package, attribute, child, local
from moat.parse.word_story import Notes, Story, Word
from moat.parse.word_styles import Styles
from moat.records import Block

NOTES = {"footnotes": "footnoteReference", "endnotes": "endnoteReference", "comments": "commentReference"}


def parse_docx(content: bytes, job: Job) -> Parsed:
    """Parse a Word document.

    Heads and feet stand first, once each; notes, comments and text boxes right after the paragraph that they belong
    to; embedded documents last. Raises ParseFailed if its main part cannot be read.
    """
    package = Package(content)
    main = package.main()
    root = package.tree(main)
    if root is None:
        raise ParseFailed(f"{package.lost[-1].text}: save it anew in Word and replay")
    targets = package.targets(main)
    named = {target.type: target.name for target in targets.values() if not target.external}
    styles = package.tree(named["styles"]) if "styles" in named else None
    numbering = package.tree(named["numbering"]) if "numbering" in named else None
    declared = package.read(named["styles"]) or b"" if "styles" in named else b""
    word = Word(
        package=package,
        job=job,
        styles=Styles(styles, numbering),
        looks=Looks(styles),
        styles_hide=bool(SIGNS.search(declared)),
    )
    for kind, reference in NOTES.items():
        if kind in named:
            notes = package.tree(named[kind])
            found = () if notes is None else (e for e in notes if "eparator" not in attribute(e, "type"))
            word.notes[reference] = Notes(named[kind], {attribute(e, "id"): e for e in found if local(e.tag)})
    body = child(root, "body")
    story = Story(word, main, root)
    text = story.blocks(body if body is not None else root)
    heads = list(_heads(word, root, {key: target.name for key, target in targets.items() if not target.external}))
    blocks = once(heads, set()) + text + list(_never_shown(word, story)) + list(_embedded(word)) + package.lost
    return Parsed(joined_hidden(blocks))


def _heads(word: Word, root: Any, parts: dict[str, str]) -> Iterator[Block]:
    """Heads, then feet, of all sections, each part once."""
    for kind in ("headerReference", "footerReference"):
        found = (parts.get(attribute(e, "id"), "") for e in root.iter() if local(e.tag) == kind)
        for part in dict.fromkeys(found):
            head = word.package.tree(part) if part else None
            if head is not None:
                yield from Story(word, part, head).blocks(head)


def _never_shown(word: Word, story: Story) -> Iterator[Block]:
    """Notes and comments that nothing in the text refers to."""
    for reference, notes in word.notes.items():
        for number in list(notes.elements):
            for block in story.note(reference, number):
                shown = reference == "commentReference" or block.hidden or block.left_out
                yield block if shown else Block(kind="text", text=block.text, hidden="markup")


def _embedded(word: Word) -> Iterator[Block]:
    for part in word.embedded:
        content = word.package.read(part)
        if content:
            yield from part_blocks(part.rpartition("/")[2], content, word.job.part)
