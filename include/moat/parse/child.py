"""The child process that parses: `python -m moat.parse.child MEMORY_MB TIMEOUT_S OUTPUT_MB`.

It reads documents from standard input and answers on a pipe of its own, one at a time, and stays warm
between documents. Documents are untrusted, so the process has no network, a memory limit and its own
folder for temporary files, and it dies with its parent.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
import warnings
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from moat.records import Block

HEADER = struct.Struct(">IQ")  # length of the request, a JSON object, and of the content
ANSWER = struct.Struct(">Q")


def main(memory_mb: int, timeout_s: float, output_mb: int) -> None:
    """Answer documents until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that a library's output is not read as an answer
    _confine()
    _prepare_libraries()
    _send(answers, {"ready": True})
    while header := sys.stdin.buffer.read(HEADER.size):
        request_length, content_length = HEADER.unpack(header)
        request = json.loads(sys.stdin.buffer.read(request_length))
        content = sys.stdin.buffer.read(content_length)
        _limit(memory_mb, timeout_s)
        _send(answers, _answer(request, content, output_mb << 20))


def _answer(request: dict[str, Any], content: bytes, limit: int) -> dict[str, Any]:
    from moat.errors import ParseFailed, ParseOutOfMemory, ParseTooMuchText
    from moat.parse.formats import parse_bytes
    from moat.parse.kinds import MIME
    from moat.parse.options import Parsing
    from moat.parse.words import words_of

    try:
        parsing = Parsing(**request["parsing"])
        kind, (blocks, title) = parse_bytes(content, request["name"], parsing, limit)
        n_characters = sum(len(block.text) for block in blocks)
        if n_characters > limit:
            raise ParseTooMuchText(
                f"it gives {n_characters:,} characters of text, MOAT_PARSE_OUTPUT_MB allows {limit:,}"
            )
        if not any(block.text.strip() for block in blocks if not block.left_out):
            raise ParseFailed(_no_text(kind, blocks))
        words = words_of(content, kind)
        return {
            "media_type": MIME[kind],
            "title": title,
            "blocks": [astuple(block) for block in blocks],
            "words": words and [words.text, words.beside],
        }
    except ParseFailed as error:
        return {"failed": str(error), "error": type(error).__name__}
    except MemoryError:
        return {"failed": "it needs more memory than MOAT_PARSE_MEMORY_MB allows", "error": ParseOutOfMemory.__name__}
    except RecursionError:
        return {"failed": "it is nested too deep"}
    except Exception as error:  # noqa: BLE001  any library may raise anything here; only this document fails
        return {"failed": f"{type(error).__module__}.{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def _no_text(kind: str, blocks: "list[Block]") -> str:
    if not blocks:
        return f"it is {kind} and holds no text"
    rules = ", ".join(sorted({block.left_out for block in blocks}))
    return f"it is {kind} and all its text is left out ({rules}), beginning with: {blocks[0].text[:200]}"


def _send(answers: BinaryIO, body: dict[str, Any]) -> None:
    data = json.dumps(body, ensure_ascii=True).encode()
    answers.write(ANSWER.pack(len(data)) + data)
    answers.flush()


def _confine() -> None:
    """Forbid network and core dumps, and die with the parent."""

    def refused(*_: Any, **__: Any) -> NoReturn:
        raise PermissionError("a document that is parsed may not use the network")

    socket.socket.connect = refused  # type: ignore[method-assign]
    socket.socket.connect_ex = refused  # type: ignore[method-assign]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit(memory_mb: int, timeout_s: float) -> None:
    """Limit memory beyond the idle parser, and CPU time."""
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(cpu.ru_utime + cpu.ru_stime + 4 * timeout_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            data_pages = int(statm.read().split()[5])
        limit = data_pages * resource.getpagesize() + (memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _prepare_libraries() -> None:
    """Import all parsers, so that no document waits for them."""
    warnings.simplefilter("ignore")
    sys.modules["torch"] = None  # type: ignore[assignment]  # spaCy and others would import it: seconds and 400 MB, unused
    import lxml.html  # noqa: F401
    import markdown_it  # noqa: F401

    import moat.parse.formats
    import moat.parse.words  # noqa: F401


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
