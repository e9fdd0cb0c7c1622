"""The child process of prepare: `python -m moat.stages.child MEMORY_MB TIMEOUT_S OUTPUT_MB`.

It parses, cleans, judges and chunks, so that whatever a document's bytes do, they do it inside one set of limits.
It is given no secret: the model's tokenizer comes over the pipe, and ids are made by the parent.
"""

import sys
from typing import TYPE_CHECKING, Any

from moat.parse.child import Limits, serve

if TYPE_CHECKING:
    from moat.embedding.model import TokenCounter
    from moat.records import Document
    from moat.stages.pieces import Cut

_TOKENIZERS: "dict[str, TokenCounter]" = {}


def main(memory_mb: int, timeout_s: float, output_mb: int) -> None:
    """Serve the works of this child until the parent closes the pipe."""
    limit = output_mb << 20
    works = {
        "parse": lambda request, content: parse(request, content, limit),
        "tokenizer": tokenizer,
        "cut": lambda request, content: cut(request, content, limit),
    }
    serve(works, warm, Limits(memory_mb=memory_mb, timeout_s=timeout_s))


def warm() -> None:
    """Import all parsers, so that no document waits for them."""
    import lxml.html  # noqa: F401
    import markdown_it  # noqa: F401

    import moat.parse.document
    import moat.stages.cut  # noqa: F401


def parse(request: dict[str, Any], content: bytes, limit: int) -> "Document":
    """Parse a document only."""
    from moat.parse.document import parse_document
    from moat.parse.options import Parsing

    return parse_document(content, request["name"], Parsing(**request["parsing"]), limit)


def tokenizer(request: dict[str, Any], content: bytes) -> str:
    """Take a model's tokenizer, under a name of the parent's choice."""
    from tokenizers import Tokenizer

    from moat.embedding.model import TokenCounter

    _TOKENIZERS[request["tokenizer"]] = TokenCounter(Tokenizer.from_str(content.decode()), request["max_tokens"])
    return str(request["tokenizer"])


def cut(request: dict[str, Any], content: bytes, limit: int) -> "Cut | None":
    """Prepare a document; None: its tokenizer has not been given yet."""
    from moat.metadata import beside
    from moat.source import Chunking, Risks
    from moat.stages.chunk import Chunker
    from moat.stages.cut import cut as cut_document

    counter = _TOKENIZERS.get(request["tokenizer"])
    if counter is None:
        return None
    parsed = parse(request, content, limit)
    chunker = Chunker(counter, Chunking(**request["chunking"]))
    return cut_document(parsed, beside(tuple(request["metadata"]), parsed.metadata), Risks(**request["risks"]), chunker)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
