"""What the child process does that reads documents: it is confined, answers one after another, and stays warm.

Documents are untrusted, so the process gives up network, files and rights before it imports a parser
(`moat.parse.confine`), and has limits for each document. It dies with its parent.
"""

import contextlib
import json
import os
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from moat.parse.confine import confine
from moat.parse.progress import keep_in

T = TypeVar("T")
HEADER = struct.Struct(">IQ")  # length of the request, a JSON object, and of the content
ANSWER = struct.Struct(">Q")
WORN_CPU_S = 3_600  # seconds of work after which the child is replaced
Work = Callable[[dict[str, Any], bytes], Any]  # takes a request and a document; returns a record


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one document: megabytes of memory beyond the idle child, and seconds."""

    memory_mb: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why a document fails: the error's class, its message, and the trace of an unexpected one."""

    error: str
    said: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What protects the machine from the child, in words."""

    protections: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """What the child answers: a record, or why there is none."""

    done: T | None = None
    failed: Failed | None = None
    worn: bool = False  # the child has held so much, or worked so long, that a new one should follow


def serve(works: Mapping[str, Work], warm: Callable[[], None], limits: Limits) -> None:
    """Confine this process and answer requests until the parent closes the pipe; each request names its work."""
    answers = os.dup(1)
    os.dup2(2, 1)  # so that a library's output is not read as an answer
    walls = confine(os.environ["TMPDIR"])
    keep_in(os.environ["TMPDIR"])
    warnings.simplefilter("ignore")
    sys.modules["torch"] = None  # type: ignore[assignment]  # spaCy and others would import it: seconds and 400 MB, unused
    warm()
    idle = _data()
    _limit_for_good(idle, limits)
    _send(answers, Answer(done=Ready(protections=walls.words)))
    while header := sys.stdin.buffer.read(HEADER.size):
        request_length, content_length = HEADER.unpack(header)
        request = json.loads(sys.stdin.buffer.read(request_length))
        content = sys.stdin.buffer.read(content_length)
        _limit(idle, limits)
        answer = answered(works[request["work"]], request, content)
        worn = answer.worn or _cpu_s() > WORN_CPU_S or _data() - idle > limits.memory_mb << 20
        _send(answers, Answer(done=answer.done, failed=answer.failed, worn=worn))
        if walls.first_process:
            _end_what_was_left()


def answered(work: Work, request: dict[str, Any], content: bytes) -> Answer[Any]:
    """Do one work; every error becomes its class and message."""
    from moat.errors import DocumentError, ParseFailed, ParseOutOfMemory, PrepareFailed

    try:
        return Answer(done=work(request, content))
    except DocumentError as error:
        failed = Failed(error=type(error).__name__, said=whole(str(error)))
    except MemoryError:
        said = "it needs more memory than MOAT_PARSE_MEMORY_MB allows"
        return Answer(failed=Failed(error=ParseOutOfMemory.__name__, said=said), worn=True)
    except RecursionError:
        failed = Failed(error=ParseFailed.__name__, said="it is nested too deep")
    except Exception as error:  # noqa: BLE001  any library may raise anything here; only this document fails
        trace = whole("".join(traceback.format_exception(error)))
        failed = Failed(error=PrepareFailed.__name__, said=_unforeseen(error), trace=trace[-8_000:])
    return Answer(failed=failed)


def whole(text: str) -> str:
    """Join surrogate pairs to characters; half a pair, which UTF-8 cannot hold, becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unforeseen(error: Exception) -> str:
    """Name an unexpected error, with its class and the innermost frame of our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "moat" in Path(f.filename).parts), frames[-1])
    said = " ".join(str(error).encode("utf-8", "backslashreplace").decode().split())[:300]
    return (
        f"preparing it raised {type(error).__module__}.{type(error).__qualname__}: {said} "
        f"({Path(ours.filename).name}:{ours.lineno} in {ours.name}). "
        "The trace stands in the log of prepare; mend the document, or report it and replay after an upgrade"
    )


def _send(answers: int, answer: Answer[Any]) -> None:
    from pydantic_core import to_json

    data = to_json(answer)
    with os.fdopen(os.dup(answers), "wb") as pipe:
        pipe.write(ANSWER.pack(len(data)) + data)


def _limit_for_good(idle: int, limits: Limits) -> None:
    """Set the most that one child may ever take, which it cannot raise: twice a document's memory."""
    seconds = int(WORN_CPU_S + 8 * limits.timeout_s)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform == "linux":
        most = idle + 2 * (limits.memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _limit(idle: int, limits: Limits) -> None:
    """Limit memory and CPU time of the next document, inside what holds for good."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (min(hard, int(_cpu_s() + 4 * limits.timeout_s) + 1), hard))
    if sys.platform == "linux":
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (min(most, max(idle, _data()) + (limits.memory_mb << 20)), most))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _data() -> int:
    """Bytes of this process that the limit of memory counts; 0 where nothing counts them."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[5]) * resource.getpagesize()


def _end_what_was_left() -> None:
    """Kill programs that a document's parser left behind; only for the first process of a namespace."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
