"""What every parser takes and returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from moat.parse.options import Parsing
from moat.records import Block


class Parsed(NamedTuple):
    """Blocks of a document in reading order, and the title and the metadata that its format states."""

    blocks: list[Block]
    title: str | None = None
    metadata: tuple[str, ...] = ()  # "name=value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a parser is given beside a document's bytes.

    Args:
        name: File name of the document, such as "report.docx"; "" for a part without one.
        parsing: What the source takes and leaves out.
        limit: Maximum bytes of its unpacked text.
        part: Parses a document inside this one from its bytes and its name, such as a mail's attachment. A part
            that cannot be read gives one block that is left out and says why, so that the rest is not lost.
    """

    name: str
    parsing: Parsing
    limit: int
    part: Callable[[bytes, str], list[Block]]
