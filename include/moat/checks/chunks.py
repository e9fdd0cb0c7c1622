"""Checks that the model reads every chunk in full."""

import math
import zlib
from collections import Counter
from collections.abc import Iterable

from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.embedding.model import folder_of, max_tokens_of
from moat.ids import text_hash
from moat.ledger.checks import CheckResult, over
from moat.records import Chunk

SAMPLE = 2_000  # documents searched for repeated lines
SHORTEST_LINE = 12  # characters; shorter lines repeat by chance
FEWEST_REPEATS, REPEATED_RATIO = 3, 0.1  # documents from which a repeated line counts as boilerplate

MEASURES = (
    Measure(name="chunks.each", title="chunks per document", scale="count", least=0.25, of="documents"),
    Measure(
        name="chunks.tokens.p10",
        title="tokens of a short chunk (10 %)",
        scale="count",
        least=0.5,
        side="both",
        severity="warn",
        of="documents",
    ),
    Measure(name="chunks.tokens.p50", title="tokens of a chunk (median)", scale="count", least=0.3, of="documents"),
    Measure(name="chunks.tokens.p90", title="tokens of a long chunk (90 %)", scale="count", least=0.3, of="documents"),
    Measure(name="chunks.density", title="characters per token", scale="plain", least=0.5, of="documents"),
    Measure(
        name="chunks.boilerplate",
        title="share of text that many documents repeat",
        scale="plain",
        least=0.1,
        side="high",
        of="documents",
    ),
    Measure(name="chunks.headings", title="share of chunks below a heading", scale="share", least=0.15, of="documents"),
    Measure(name="chunks.tables", title="share of chunks that are tables", scale="share", least=0.15, of="documents"),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """Block chunks that the model would truncate or whose hash is wrong."""
    most = max_tokens_of(folder_of(candidate.runtime.settings.model))
    n, long, empty, wrong = 0, list[str](), list[str](), list[str]()
    longest, like = 0, _Like(candidate.n_documents)
    for c in like.seen(candidate.chunks()):
        n += 1
        longest = max(longest, c.n_tokens)
        if c.n_tokens > most:
            long.append(c.key)
        if not c.text.strip():
            empty.append(c.key)
        if text_hash(c.embedded_text) != c.text_hash:
            wrong.append(c.key)
    like.tell(candidate)
    results = [
        CheckResult(
            name="tokens",
            family="chunks",
            severity="block",
            passed=not long,
            seen=f"{len(long):,} of {n:,} chunks are longer; the longest has {longest}",
            allowed=f"at most {most} tokens",
            documents=tuple(dict.fromkeys(long))[:5],
        ),
        CheckResult(
            name="empty chunks",
            family="chunks",
            severity="block",
            passed=not empty,
            seen=f"{len(empty):,} of {n:,} chunks are empty",
            allowed="none",
            documents=tuple(dict.fromkeys(empty))[:5],
        ),
        CheckResult(
            name="text hashes",
            family="chunks",
            severity="block",
            passed=not wrong,
            seen=f"{len(wrong):,} of {n:,} hashes are not of their text",
            allowed="none",
            documents=tuple(dict.fromkeys(wrong))[:5],
        ),
    ]
    return over(n, "chunks", results)


class _Like:
    """Statistics of chunks, counted while they are streamed."""

    def __init__(self, n_documents: int) -> None:
        self._every = max(1, -(-n_documents // SAMPLE))
        self._lengths = Counter[int]()  # by number of tokens, up to the model's limit
        self._n = self._characters = self._headings = self._tables = 0
        self._lines: dict[int, list[int]] = {}  # hash of a line: number of documents with it, its length
        self._document, self._own = "", set[int]()
        self._documents = self._sampled = 0
        self._logarithms, self._chunks = 0.0, 0

    def seen(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """Pass chunks through and count them; those of a document are adjacent."""
        for c in chunks:
            self._add(c)
            yield c
        self._next("")

    def _add(self, c: Chunk) -> None:
        if c.document_id != self._document:
            self._next(c.document_id)
        self._n += 1
        self._chunks += 1
        self._lengths[c.n_tokens] += 1
        self._characters += len(c.embedded_text)
        self._headings += bool(c.heading)
        self._tables += c.kind == "table"
        if zlib.crc32(c.document_id.encode()) % self._every == 0:
            for line in c.text.split("\n"):
                if len(line := line.strip()) >= SHORTEST_LINE and (known := hash(line)) not in self._own:
                    self._own.add(known)
                    self._lines.setdefault(known, [0, len(line)])[0] += 1

    def _next(self, document: str) -> None:
        if self._document:
            self._documents += 1
            self._sampled += bool(self._own)
            self._logarithms += math.log(self._chunks)
        self._document, self._own, self._chunks = document, set(), 0

    def tell(self, candidate: Candidate) -> None:
        if not self._n:
            return
        tokens = sum(length * n for length, n in self._lengths.items())
        candidate.measured.update(
            {
                "chunks.each": math.exp(self._logarithms / self._documents),
                "chunks.density": self._characters / max(tokens, 1),
                "chunks.headings": self._headings / self._n,
                "chunks.tables": self._tables / self._n,
                "chunks.boilerplate": self._boilerplate(),
                **{f"chunks.tokens.p{p}": self._quantile(p / 100) for p in (10, 50, 90)},
            }
        )

    def _quantile(self, q: float) -> float:
        at = 0
        for length in sorted(self._lengths):
            at += self._lengths[length]
            if at >= q * self._n:
                return float(length)
        return 0.0

    def _boilerplate(self) -> float:
        """Share of the sample's text in lines that occur in many of its documents."""
        least = max(FEWEST_REPEATS, REPEATED_RATIO * self._sampled)
        every = sum(n * length for n, length in self._lines.values())
        return sum(n * length for n, length in self._lines.values() if n >= least) / every if every else 0.0
