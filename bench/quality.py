"""Measure what search finds: sets of questions, three modes, and the weights beside the default.

    .venv/bin/python bench/quality.py ../shared/data [--sets spans,posts,mail,scifact,filings] [--vectors FILE]

Each set is parsed, cleaned, cut, embedded and written to a Weaviate of its own, and asked through `WeaviateStore`.
Prints the table of `bench/QUALITY.md`. `--vectors` keeps vectors between runs. It is not part of the tests: it
needs data that is not shipped, and minutes to an hour.
"""

import argparse
import json
import math
import pickle
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moat.access.policy import access_token
from moat.embedding.client import InProcessEmbedder
from moat.embedding.model import TokenCounter
from moat.errors import DocumentError
from moat.ids import document_id, text_hash
from moat.index.fusion import POOL, fuse, vector_weight
from moat.index.store import Query, WeaviateStore
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import WeaviateKeys, free_ports
from moat.parse.sandbox import Sandbox
from moat.records import Chunk, IndexObject, RawDocument
from moat.settings import Settings
from moat.source import Chunking, Risks
from moat.stages.chunk import Chunker
from moat.stages.cut import clean_and_judge

WEIGHTS = (0.1, 0.3, 0.5, 0.7)  # of the vector search, for every question alike
Hits = list[tuple[str, float]]
ALLOW = Risks(personal="allow", secrets="allow", hidden="allow", injection="allow")
LONGEST = 8_000  # bytes of a mail, as in tests/proofs/data/test_mail.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, and how good the hits are that it gets, from 0 to 1."""

    kind: str
    text: str
    score: Callable[[Sequence[Chunk]], float]
    readers: frozenset[str] = frozenset({"all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Documents by key with who may read them, and questions."""

    documents: list[tuple[str, bytes]]
    questions: list[Question]
    readers: dict[str, frozenset[str]]


def rows(file: Path) -> Iterator[dict[str, object]]:
    yield from map(json.loads, file.read_text("utf-8").splitlines())


def found_in(keys: set[str], top: int) -> Callable[[Sequence[Chunk]], float]:
    """Share of the documents that stand in the first hits."""
    return lambda hits: len({c.key for c in hits[:top]} & keys) / len(keys)


def ndcg(keys: set[str]) -> Callable[[Sequence[Chunk]], float]:
    """nDCG@10 of documents by their best chunk, of ten chunks."""

    def score(hits: Sequence[Chunk]) -> float:
        ranked = list(dict.fromkeys(c.key for c in hits[:10]))
        gain = sum(1 / math.log2(i + 2) for i, key in enumerate(ranked) if key in keys)
        return gain / sum(1 / math.log2(i + 2) for i in range(min(10, len(keys))))

    return score


def covered(key: str, spans: list[str]) -> Callable[[Sequence[Chunk]], float]:
    """Share of the words of gold spans that five chunks hold, in runs of three."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = "".join(c if c.isalnum() else " " for c in text).split()
        return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}

    def score(hits: Sequence[Chunk]) -> float:
        shown = set().union(*(runs(c.text) for c in hits[:5] if c.key == key))
        wanted = set().union(*(runs(span) for span in spans))
        return len(wanted & shown) / len(wanted)

    return score


def spans(data: Path) -> Set:
    folder = data / "chunk_spans"
    asked = [
        Question(
            kind=f"spans {row['corpus']}",
            text=str(row["question"]),
            score=covered(f"{row['corpus']}.md", [span["text"] for span in row["spans"]]),  # type: ignore[attr-defined]
        )
        for row in rows(folder / "questions.jsonl")
    ]
    return Set(documents=[(f.name, f.read_bytes()) for f in sorted(folder.glob("*.md"))], questions=asked, readers={})


def posts(data: Path) -> Set:
    """Rows of Stack Overflow, asked for by 20 words of their body and by their number."""
    some = [row for row in rows(data / "warehouse" / "so_airflow_v1.jsonl") if len(str(row["body"])) < 2_500]
    documents = [
        (f"{row['uuid']}.md", f"# {row['title']}\n\nPost {row['id']} by {row['owner']}\n\n{row['body']}".encode())
        for row in some
    ]
    chosen, asked = random.Random(3), list[Question]()
    forms = ("Which post is {}?", "post {}", "What does the author of post {} ask?", "{}")
    for i, row in enumerate(chosen.sample(some, 100)):
        words = str(row["body"]).split()
        at = chosen.randrange(max(1, len(words) - 20))
        right = found_in({f"{row['uuid']}.md"}, 10)
        asked.append(Question(kind="posts, 20 words", text=" ".join(words[at : at + 20]), score=right))
        asked.append(Question(kind="posts, number", text=forms[i % 4].format(row["id"]), score=right))
    return Set(documents=documents, questions=asked, readers={})


def mail(data: Path) -> Set:
    folder = data / "enron_acl"
    known = list(rows(folder / "acl.jsonl"))
    asked = [
        Question(
            kind="mail",
            text=str(row["text"]),
            score=found_in({f"{key}.eml" for key in row["must_find"]}, 10),  # type: ignore[attr-defined]
            readers=frozenset({str(row["as_user"]).lower()}),
        )
        for row in rows(folder / "acl_queries.jsonl")
        if row.get("must_find")
    ]
    return Set(
        documents=[(f"{r['doc_id']}.eml", (folder / str(r["path"])).read_bytes()[:LONGEST]) for r in known],
        questions=asked,
        readers={f"{r['doc_id']}.eml": frozenset(map(str.lower, r["readers"])) for r in known},  # type: ignore[call-overload]
    )


def scifact(data: Path) -> Set:
    folder = data / "scifact_mini"
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            relevant.setdefault(query, set()).add(f"{document}.txt")
    return Set(
        documents=[
            (f"{r['_id']}.txt", f"{r['title']}\n\n{r['text']}\n".encode()) for r in rows(folder / "corpus.jsonl")
        ],
        questions=[
            Question(kind="SciFact, 1,000 documents", text=str(r["text"]), score=ndcg(relevant[str(r["_id"])]))
            for r in rows(folder / "queries.jsonl")
            if r["_id"] in relevant
        ],
        readers={},
    )


def filings(data: Path) -> Set:
    folder = data / "sec10q"
    return Set(
        documents=[(f.name, f.read_bytes()) for f in sorted((folder / "docs").iterdir())],
        questions=[
            Question(kind="10-Q, documents", text=str(r["question"]), score=found_in(set(r["docs"]), 10))  # type: ignore[call-overload]
            for r in rows(folder / "questions.jsonl")
        ],
        readers={},
    )


SETS = {"spans": spans, "posts": posts, "mail": mail, "scifact": scifact, "filings": filings}


class Vectors:
    """Vectors of texts, kept in a file by the hash of the text."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self._embedder, self._file = InProcessEmbedder(settings), file
        self._kept: dict[str, np.ndarray] = pickle.loads(file.read_bytes()) if file and file.exists() else {}

    def of(self, texts: Sequence[str]) -> list[np.ndarray]:
        new = sorted({text for text in texts if text_hash(text) not in self._kept}, key=len)
        for at in range(0, len(new), 512):
            some = new[at : at + 512]
            self._kept.update(zip(map(text_hash, some), self._embedder.embed(some), strict=True))
        if new and self._file:
            self._file.write_bytes(pickle.dumps(self._kept))
        return [self._kept[text_hash(text)] for text in texts]


def cut(given: Set, settings: Settings) -> list[tuple[str, Chunk]]:
    """(title, chunk) of every document that parses."""
    made, chunker = list[tuple[str, Chunk]](), Chunker(TokenCounter.of(settings.model), Chunking())
    with Sandbox(settings) as sandbox:
        for key, content in given.documents:
            raw = RawDocument(
                key=key, uri=f"file:///{key}", name=key, fingerprint="", content=content, content_hash="", policy="", access_version=1
            )  # fmt: skip
            try:
                document = clean_and_judge(sandbox.parse(raw), (), ALLOW)[0].document
            except DocumentError as error:
                print(f"{key} is left out: {error}")
                continue
            made += [(document.title, c) for c in chunker.chunk(document, document_id("default", "quality", key))]
    return made


def written(store: WeaviateStore, given: Set, chunks: list[tuple[str, Chunk]], vectors: list[np.ndarray]) -> None:
    store.write(
        [
            IndexObject(
                id=c.id,
                source="quality",
                document=c.document_id,
                key=c.key,
                load=1,
                kind=c.kind,
                title=title,
                heading=c.heading,
                text=c.text,
                metadata=(),
                vector=np.asarray(vector, "<f4").tobytes(),
                allow=tuple(access_token("default", f"user:{r}") for r in given.readers.get(c.key, frozenset({"all"}))),
            )
            for (title, c), vector in zip(chunks, vectors, strict=True)
        ]
    )


def measure(store: WeaviateStore, given: Set, chunks: list[tuple[str, Chunk]], vectors: Vectors) -> None:
    """Print a line for each kind of question."""
    by_id = {c.id: c for _, c in chunks}
    asked = vectors.of([q.text for q in given.questions])
    scores: dict[str, dict[str, list[float]]] = {}
    for question, vector in zip(given.questions, asked, strict=True):

        def hits(mode: str, limit: int, question: Question = question, vector: np.ndarray = vector) -> Hits:
            return store.search(
                Query(
                    mode=mode,  # type: ignore[arg-type]
                    text=question.text,
                    vector=vector,
                    hidden_loads=(),
                    filters={},
                    limit=limit,
                    tokens=[access_token("default", f"user:{r}") for r in question.readers],
                )
            )

        by_vector, by_words = hits("vector", POOL), hits("keyword", POOL)
        lists = {"vector": by_vector, "keyword": by_words, "hybrid": hits("hybrid", 20)}
        lists |= {f"{w:g}": fuse(by_vector, by_words, w, 20) for w in WEIGHTS}
        assert lists["hybrid"] == fuse(by_vector, by_words, vector_weight(question.text), 20)
        for name, found in lists.items():
            score = question.score([by_id[identity] for identity, _ in found])
            scores.setdefault(question.kind, {}).setdefault(name, []).append(score)
    for kind, by_name in scores.items():
        mean = {name: float(np.mean(values)) for name, values in by_name.items()}
        fixed = {name: mean[name] for name in (f"{w:g}" for w in WEIGHTS)}
        best, worst = max(fixed, key=lambda n: fixed[n]), min(fixed, key=lambda n: fixed[n])
        print(
            f"| {kind} | {len(by_name['hybrid'])} | {mean['vector']:.3f} | {mean['keyword']:.3f} | **{mean['hybrid']:.3f}** | "
            f"{fixed[best]:.3f} ({best}) | {fixed[worst]:.3f} ({worst}) |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--vectors", type=Path)
    given = parser.parse_args()
    binary = program(WEAVIATE, Path(__file__).parents[1] / ".moat" / "bin", print)
    port, grpc_port = free_ports(2)
    keys = WeaviateKeys.new()
    with tempfile.TemporaryDirectory() as folder:
        server = servers.weaviate(binary, Path(folder) / "weaviate", port, grpc_port, keys)
        settings = Settings.model_validate(
            {"home": Path(folder), "weaviate_port": port, "weaviate_grpc_port": grpc_port, "parse_timeout_s": 600.0}
            | {"weaviate_operator_key": keys.operator, "weaviate_writer_key": keys.writer, "weaviate_reader_key": keys.reader}
        )  # fmt: skip
        vectors = Vectors(settings, given.vectors)
        with servers.running(server):
            print(
                "| set | questions | vector | keyword | hybrid | best fixed weight | worst |\n|---|---|---|---|---|---|---|"
            )
            for name in given.sets.split(","):
                some = SETS[name](given.data)
                chunks = cut(some, settings)
                store = WeaviateStore.open(settings.model_copy(update={"collection": f"Quality{name}"}), "operator")
                store.ensure("quality")
                written(store, some, chunks, vectors.of([c.embedded_text for _, c in chunks]))
                measure(store, some, chunks, vectors)
                store.close()


if __name__ == "__main__":
    main()
