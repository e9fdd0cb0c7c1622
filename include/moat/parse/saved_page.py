"""Pages that a browser saved with their parts: .mhtml."""

from email import message_from_bytes, policy
from email.message import Message
from typing import Any

from moat.errors import ParseFailed
from moat.parse.encoding import decode
from moat.parse.html_links import one_of_targets
from moat.parse.html_walk import Page
from moat.parse.job import Job, Parsed
from moat.records import Block

PAGES = ("text/html", "application/xhtml+xml")


def parse_mhtml(content: bytes, job: Job) -> Parsed:
    """Parse a saved page and its frames, with the stylesheets that came with it.

    Raises ParseFailed if there is no page in it.
    """
    parts = [part for part in message_from_bytes(content, policy=policy.compat32).walk() if not part.is_multipart()]
    styles = "\n".join(_text(part) for part in parts if part.get_content_type() == "text/css")
    pages = [part for part in parts if part.get_content_type() in PAGES]
    title, blocks = None, list[Block]()
    for part in pages:
        page = Page(_text(part, markup=True), styles=styles, links=job.parsing.links)
        title = title or page.title
        blocks += page.blocks()
    for part in parts:
        if part.get_content_type() == "text/plain" and (text := _text(part).strip()):
            blocks.append(Block(kind="text", text=text))
    if not blocks:
        raise ParseFailed("it holds no page: save it again in the browser")
    return Parsed(one_of_targets(blocks), title)


def _text(part: Message, markup: bool = False) -> str:
    content: Any = part.get_payload(decode=True) or b""
    declared = part.get_content_charset()
    return decode(content, markup=markup, declared=declared)
