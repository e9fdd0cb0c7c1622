"""Parse in a child process that can be killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from moat.errors import (
    ParseCrashed,
    ParseFailed,
    ParseOutOfMemory,
    ParserBroken,
    ParseTimedOut,
    ParseTooMuchText,
    ParseUndecodable,
)
from moat.parse.child import ANSWER, HEADER
from moat.parse.kinds import MIME
from moat.parse.options import Parsing
from moat.records import Block, Document, RawDocument, SourceWords, record_of
from moat.settings import Settings

STARTING_S = 300.0  # for importing the libraries on a busy machine
QUIET = {"DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "1", "UNSTRUCTURED_DISABLE_NOTICE": "1", "HF_HUB_OFFLINE": "1"}

KINDS = {kind.__name__: kind for kind in (ParseOutOfMemory, ParseTooMuchText, ParseUndecodable)}  # that the child names


class Sandbox:
    """Parses documents one after another in one warm child; a killed child is replaced.

    Example:
        Parse one document:

            with Sandbox(settings) as sandbox:
                document = sandbox.parse(raw)
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = ""

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def parse(self, raw: RawDocument, parsing: Parsing = Parsing()) -> Document:
        """Parse a document into structured text. Raises ParseFailed with the reason, whatever the bytes."""
        self.warm()
        request = json.dumps({"name": raw.name, "parsing": asdict(parsing)}).encode()
        answer = self._ask(
            HEADER.pack(len(request), len(raw.content)) + request + raw.content, self._settings.parse_timeout_s
        )
        if "failed" in answer:
            raise KINDS.get(answer.get("error", ""), ParseFailed)(answer["failed"])
        blocks = tuple(
            replace(block, text=_whole(block.text)) for block in (record_of(Block, f) for f in answer["blocks"])
        )
        headings = (b.text for b in blocks if b.kind == "heading" and answer["media_type"] != MIME["pdf"])
        title = _whole(answer["title"] or "") or next(headings, "") or os.path.splitext(raw.name)[0]
        n_pages = max((b.page or 0 for b in blocks), default=0)
        return Document(
            key=raw.key,
            uri=raw.uri,
            title=" ".join(title.split())[:300],
            media_type=answer["media_type"],
            blocks=blocks,
            n_pages=n_pages,
            words=SourceWords(*answer["words"]) if answer["words"] else None,
        )

    def warm(self) -> None:
        """Start the child if none runs; otherwise the first document starts it."""
        if self._child is None:
            self._start()

    def _start(self) -> None:
        s = self._settings
        self._folder = tempfile.mkdtemp(prefix="moat-parse-")
        keep = {
            name: value for name, value in os.environ.items() if not name.startswith(("MOAT_", "AIRFLOW", "AWS_"))
        }  # no secrets
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "moat.parse.child",
                str(s.parse_memory_mb),
                str(s.parse_timeout_s),
                str(s.parse_output_mb),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**keep, **QUIET, "TMPDIR": self._folder},
            start_new_session=True,
        )
        try:
            self._ask(b"", STARTING_S)
        except ParseFailed as error:
            raise ParserBroken(
                f"the parser does not start: {error}. See why: {sys.executable} -m moat.parse.child 1024 60 32 </dev/null"
            ) from error

    def _ask(self, request: bytes, timeout_s: float) -> dict[str, Any]:
        """Send a request and wait up to `timeout_s` for its answer; then kill the child."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._kill(child)

        timer = threading.Timer(timeout_s, kill)
        timer.start()
        try:
            child.stdin.write(request)
            child.stdin.flush()
            head = child.stdout.read(ANSWER.size)
            length = ANSWER.unpack(head)[0] if len(head) == ANSWER.size else None
            data = child.stdout.read(length) if length is not None and length <= self._most() else b""
        except BrokenPipeError:
            length, data = None, b""
        finally:
            timer.cancel()
        if length is not None and len(data) == length:
            return dict(json.loads(data))
        self._stop()
        if late.is_set():
            raise ParseTimedOut(f"it took longer than MOAT_PARSE_TIMEOUT_S, {timeout_s:g} s, and was stopped")
        if length is not None:
            raise ParseTooMuchText(f"its text is {length:,} bytes, more than MOAT_PARSE_OUTPUT_MB allows")
        # A kill that was not ours is the system's, which had no memory left.
        kind = ParseOutOfMemory if child.returncode == -signal.SIGKILL else ParseCrashed
        raise kind(f"the parser crashed on it ({_how(child.returncode)})")

    def _most(self) -> int:
        return (self._settings.parse_output_mb << 20) * 12  # JSON takes up to twelve bytes per character

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
        """Kill the child with everything that it started, including pandoc and tesseract."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(child.pid, signal.SIGKILL)


def _whole(text: str) -> str:
    """Join surrogate pairs to characters; half a pair, which UTF-8 cannot hold, becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
