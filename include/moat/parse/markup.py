"""Markup: HTML, Markdown, and what pandoc turns into HTML."""

import re
import subprocess

from moat.errors import ParseFailed
from moat.metadata import metadata_in
from moat.parse.encoding import decode
from moat.parse.html_links import one_of_targets
from moat.parse.html_walk import Page
from moat.parse.job import Job, Parsed
from moat.parse.markdown_page import front_matter, markup_of
from moat.records import Block

# Links that pandoc makes: of a footnote back to its number, and of each line of code to itself.
PANDOCS_OWN = re.compile(r'<a href="#fnref\d+"[^>]*>[^<]*</a>|<a href="#cb[\d-]+"[^>]*></a>')
PLANNED = re.compile(r"^[ \t]*(?=(?:DEADLINE|SCHEDULED|CLOSED):)", re.MULTILINE)  # which pandoc does not read in Org
NO_TITLE = "-"  # pandoc wants one


def html_blocks(markup: str, job: Job) -> list[Block]:
    """Return the blocks of an HTML string in reading order: shown, hidden and left out."""
    return Page(markup, links=job.parsing.links).blocks()


def parse_html(content: bytes, job: Job) -> Parsed:
    """Parse a web page."""
    page = Page(decode(content, markup=True), links=job.parsing.links)
    return Parsed(page.blocks(), page.title)


def markdown_blocks(text: str, job: Job) -> list[Block]:
    """Return the blocks of a Markdown string, including those of HTML inside it."""
    markup, unused = markup_of(text)
    blocks = Page(markup, links=job.parsing.links, comments=True).blocks()
    if unused:
        blocks.append(Block(kind="text", text="\n".join(unused), left_out="link target"))
    return one_of_targets(blocks)


def parse_markdown(content: bytes, job: Job) -> Parsed:
    """Parse Markdown: front matter as text and as metadata, then the page."""
    matter, text, title = front_matter(decode(content))
    blocks = markdown_blocks(text, job)
    shown = [Block(kind="text", text=matter), *blocks] if matter.strip() else blocks
    return Parsed(shown, title, _metadata(matter))


def _metadata(matter: str) -> tuple[str, ...]:
    """What front matter says beside the title; nothing if it is no YAML, for its text is there anyway."""
    try:
        pairs = metadata_in(matter).pairs
    except ValueError:
        return ()
    return tuple(pair for pair in pairs if not pair.startswith("title="))


def parse_by_pandoc(content: bytes, job: Job, kind: str) -> Parsed:
    """Parse rst or org: pandoc makes a page of it, which keeps footnotes.

    Raises ParseFailed with what pandoc says of a damaged document.
    """
    import pypandoc

    text = decode(content)
    text = PLANNED.sub("@@html:<span></span>@@", text) if kind == "org" else text
    # --sandbox: an include directive of a document must not read files of this machine.
    command = [pypandoc.get_pandoc_path(), "--sandbox", "--wrap=none", "--quiet", "--mathml"]
    command += ["--standalone", "--metadata", f"pagetitle={NO_TITLE}", "--from", kind, "--to", "html5"]
    made = subprocess.run(command, input=text.encode("utf-8", "replace"), capture_output=True, check=False)
    if made.returncode:
        said = " ".join(made.stderr.decode("utf-8", "replace").split())[:300]
        raise ParseFailed(f"pandoc cannot read it ({said}): it is damaged; save it again")
    page = Page(PANDOCS_OWN.sub("", made.stdout.decode("utf-8", "replace")), links=job.parsing.links)
    return Parsed(page.blocks(), page.title if page.title != NO_TITLE else None)
