"""OpenDocument text: .odt, and .fodt, which is one file of XML."""

from typing import Any

from moat.errors import ParseFailed
from moat.parse.job import Job, Parsed
from moat.parse.opendocument_story import OdtStory
from moat.parse.opendocument_styles import OdtStyles
from moat.parse.story import joined_hidden, once
from moat.parse.word_package import Package, local
from moat.records import Block

HEADS = ("header", "header-first", "header-left", "footer", "footer-first", "footer-left")


def parse_odt(content: bytes, job: Job) -> Parsed:
    """Parse an OpenDocument text.

    Heads and feet stand first, once each; notes, comments and text boxes right after the paragraph that they belong
    to. Raises ParseFailed if its text cannot be read.
    """
    package = Package(content)
    root = package.tree("content.xml")
    if root is None:
        raise ParseFailed(f"{package.lost[-1].text}: save it anew in its program and replay")
    styles = package.tree("styles.xml") if "styles.xml" in package.names else None
    return Parsed(_blocks(root, styles, package, job) + package.lost)


def _blocks(root: Any, styles: Any, package: Package, job: Job) -> list[Block]:
    known = OdtStyles(styles, root)
    story = OdtStory(package, known, job)
    heads = list[Block]()
    for kind in HEADS:
        for element in styles.iter() if styles is not None else ():
            if local(element.tag) == kind and _shown(element):
                heads += story.blocks(element)
    body = next((e for e in root.iter() if local(e.tag) == "body"), root)
    return joined_hidden(once(heads, set()) + story.blocks(body))


def _shown(element: Any) -> bool:
    """Whether a head or foot is shown; one that a page does without is kept with display="false"."""
    return not any(key.endswith("}display") and value == "false" for key, value in element.attrib.items())
