"""Work on documents in a child process that can be killed."""

import contextlib
import json
import os
import shutil
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from moat import errors
from moat.errors import (
    DocumentError,
    ParseCrashed,
    ParseOutOfMemory,
    ParserBroken,
    ParseTimedOut,
    ParseTooMuchText,
    PrepareFailed,
)
from moat.parse import progress
from moat.parse.child import ANSWER, HEADER, Answer, Failed, Ready
from moat.parse.confine import kill_descendants
from moat.parse.options import Parsing
from moat.parse.watch import Watch
from moat.records import Document, RawDocument
from moat.settings import PROJECT, Settings

T = TypeVar("T")
STARTING_S = 300.0  # for importing the libraries on a busy machine
QUIET = {"DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "1", "UNSTRUCTURED_DISABLE_NOTICE": "1", "HF_HUB_OFFLINE": "1"}
# All that the child gets of the environment: what finds programs and libraries, and how text is written.
KEPT = (
    *("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONNOUSERSITE"),
    *("TESSDATA_PREFIX", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
)
KINDS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DocumentError)
}


class Sandbox:
    """Has documents worked on one after another in one warm child; a killed or worn child is replaced.

    Attributes:
        program: Module that the child runs. It stands above this one, so it is started by its name.

    Example:
        Parse one document:

            with Sandbox(settings) as sandbox:
                document = sandbox.parse(raw)
    """

    program = "moat.stages.child"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._words: tuple[str, ...] = ()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def parse(self, raw: RawDocument, parsing: Parsing = Parsing()) -> Document:
        """Parse a document into structured text. Raises ParseFailed with the reason, whatever the bytes."""
        request = {"name": raw.name, "parsing": asdict(parsing)}
        document = self.work("parse", request, raw.content, Document)
        if document is None:
            raise ParseCrashed("the parser gave no document")
        return replace(document, key=raw.key, uri=raw.uri)

    def work(self, name: str, request: Mapping[str, Any], content: bytes, kind: type[T]) -> T | None:
        """Have the child do one work.

        The answer is not trusted: it is taken only if it is a record of this kind.

        Args:
            name: Name of the work, as the program has it.
            request: Plain values for it.
            content: The document's bytes.
            kind: Class of the record that it gives.

        Returns:
            The record; None where the work has none to give.

        Raises:
            DocumentError: The document fails, by the class that the child names, or the child had to be killed.
            PrepareFailed: An unexpected error; its `__notes__` hold the trace.
            ParserBroken: The child does not start.
        """
        self.warm()
        head = json.dumps({"work": name, **request}).encode()
        progress.forget(self._folder)
        data = self._ask(HEADER.pack(len(head), len(content)) + head + content, self._settings.parse_timeout_s)
        return self._taken(data, kind)

    def warm(self) -> None:
        """Start the child if none runs; otherwise the first document starts it."""
        if self._child is None:
            self._start()

    def protections(self) -> str:
        """Say what protects this machine from a document that takes over its parser; starts the child."""
        self.warm()
        s = self._settings
        limits = (
            f"{s.parse_timeout_s:g} s of CPU, {s.parse_memory_mb:,} MB and {s.parse_output_mb} MB of text a document"
        )
        return f"{', '.join(self._words)}; {limits}"

    def _start(self) -> None:
        s = self._settings
        self._folder = tempfile.mkdtemp(prefix="moat-parse-")
        limits = [str(s.parse_memory_mb), str(s.parse_timeout_s), str(s.parse_output_mb)]
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", self.program, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(self._folder, s.home),
            cwd=self._folder,
            start_new_session=True,
        )
        try:
            ready = self._taken(self._ask(b"", STARTING_S), Ready)
            self._words = ready.protections if ready else ()
        except DocumentError as error:
            raise ParserBroken(
                f"the parser does not start: {error}. See why: TMPDIR=/tmp {sys.executable} -m {self.program} 1024 60 32 </dev/null"
            ) from error

    def _taken(self, data: bytes, kind: type[T]) -> T | None:
        """Read the child's answer. Raises what it names, or ParseCrashed where it is no answer."""
        from pydantic import ValidationError

        try:
            answer = _answer_of(cast(Any, kind)).validate_json(data, strict=True)
        except ValidationError as error:
            self._stop()
            raise ParseCrashed(f"the parser answered what it never answers ({error.error_count()} errors)") from None
        if answer.worn:
            self._stop()
        failed: Failed | None = answer.failed
        if failed is not None:
            raised = KINDS.get(failed.error, PrepareFailed)(failed.said[:2_000])
            if failed.trace:
                raised.add_note(failed.trace)
            raise raised
        done: T | None = answer.done
        return done

    def _ask(self, request: bytes, timeout_s: float) -> bytes:
        """Send a request and wait for its answer until the child has used `timeout_s` of CPU; then kill the child."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        watch = Watch(child.pid, timeout_s, lambda: self._kill(child))
        try:
            child.stdin.write(request)
            child.stdin.flush()
            head = child.stdout.read(ANSWER.size)
            length = ANSWER.unpack(head)[0] if len(head) == ANSWER.size else None
            data = child.stdout.read(length) if length is not None and length <= self._most() else b""
        except BrokenPipeError:
            length, data = None, b""
        finally:
            watch.end()
        if length is not None and len(data) == length:
            return data
        far = progress.left_by(self._folder)
        self._stop()
        if watch.why:
            raise ParseTimedOut(f"{watch.why}, and was stopped{f' at {far}' if far else ''}")
        if length is not None:
            raise ParseTooMuchText(f"its text is {length:,} bytes, more than MOAT_PARSE_OUTPUT_MB allows")
        # A kill that was not ours is the system's, which had no memory left.
        kind = ParseOutOfMemory if child.returncode == -signal.SIGKILL else ParseCrashed
        raise kind(f"the parser crashed on it ({_how(child.returncode)})")

    def _most(self) -> int:
        return (self._settings.parse_output_mb << 20) * 6  # characters take up to four bytes; headings are repeated

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._kill(child)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # the buffer's rest has no reader
                        pipe.close()
            child.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    @staticmethod
    def _kill(child: subprocess.Popen[bytes]) -> None:
        """Kill the child with everything that it started, including what left its process group."""
        if child.poll() is None:
            kill_descendants(child.pid)  # first those below: the child is what keeps them findable
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(child.pid, signal.SIGKILL)


@cache
def _answer_of(kind: Any) -> Any:
    """How a child's answer with a record of this kind is read."""
    from pydantic import TypeAdapter

    return TypeAdapter(Answer[kind])


def _environment(folder: str, home: Path) -> dict[str, str]:
    """The child's whole environment. It has no secret, and no path that leads to the state folder or `.env`."""
    given = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
    places = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    kept = [place for place in places if not any(path.is_relative_to(place) for path in (PROJECT, home.absolute()))]
    code = str(Path(__file__).resolve().parents[2])
    own = {
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([code, *kept])),
    }
    return {**given, **QUIET, **own, "PYTHONUSERBASE": site.getuserbase()}


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
