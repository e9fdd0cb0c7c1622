"""Retrieval quality through the whole way: SciFact, searched as an application would, beside brute force."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moat.embedding.client import embedder_of
from moat.ledger import projection
from moat.ledger.members import replace_members
from moat.retrieve import Retriever
from moat.runtime import Options, Runtime
from moat.source import Limits, LocalFiles, Public, Source
from moat.stages.run import run

TOP = 10
NEAR = 0.01
READER = "user:reader@example.com"


def ndcg(ranked: list[str], relevant: set[str]) -> float:
    """nDCG@10 of documents, each counted once, where every relevant one is worth the same."""
    gain = sum(1 / math.log2(i + 2) for i, key in enumerate(ranked[:TOP]) if key in relevant)
    return gain / sum(1 / math.log2(i + 2) for i in range(min(TOP, len(relevant))))


def recall(ranked: list[str], relevant: set[str]) -> float:
    """Share of the relevant documents that are among the first ten."""
    return len(relevant & set(ranked[:TOP])) / len(relevant)


def scifact(corpus: Path, folder: Path) -> Source:
    """Titles and abstracts as text files, cut as a source is by default."""
    for line in corpus.read_text().splitlines():
        body = json.loads(line)
        (folder / f"{body['_id']}.txt").write_text(f"{body['title']}\n\n{body['text']}\n")
    return Source(
        name="scifact",
        reader=LocalFiles(path=str(folder)),
        access=Public(),
        limits=Limits(max_duplicate_ratio=1.0),
    )


def ranked_by_brute_force(runtime: Runtime, questions: dict[str, str]) -> dict[str, list[str]]:
    """Documents by their best chunk, over every vector that the ledger has as visible."""
    embedder = embedder_of(runtime.settings, runtime.connections)
    pairs = list(projection.visible_vectors(runtime.ledger, "scifact", embedder.info().key))
    keys = np.array([pair.key.removesuffix(".txt") for pair in pairs])
    vectors = np.frombuffer(b"".join(pair.vector for pair in pairs), "<f4").reshape(len(pairs), -1)
    asked = embedder.embed(list(questions.values()), "query")
    embedder.close()
    best = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, : 5 * TOP]
    return {q: list(dict.fromkeys(keys[row].tolist()))[:TOP] for q, row in zip(questions, best, strict=True)}


def test_search_finds_what_brute_force_finds(
    runtime: Runtime, shared: Path, tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    full = pytestconfig.getoption("--full")
    folder, kind = (shared / "scifact", "_train") if full else (shared / "scifact_mini", "")
    replace_members(runtime.ledger, "test", {"group:readers": [READER]}, "test")
    (tmp_path / "corpus").mkdir()
    result = run(runtime, scifact(folder / "corpus.jsonl", tmp_path / "corpus"), Options(), "test")
    assert result.load.state == "promoted", result.load.reason

    lines = (folder / f"queries{kind}.jsonl").read_text().splitlines()
    relevant: dict[str, set[str]] = {}
    for line in (folder / f"qrels{kind}.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            relevant.setdefault(query, set()).add(document)
    questions = {q["_id"]: q["text"] for q in map(json.loads, lines) if q["_id"] in relevant}
    assert len(questions) >= 100

    brute = ranked_by_brute_force(runtime, questions)
    chunks: dict[str, dict[str, list[str]]] = {"vector": {}, "hybrid": {}, "keyword": {}}
    documents: dict[str, dict[str, list[str]]] = {mode: {} for mode in chunks}
    with Retriever.from_settings(runtime.settings, runtime.connections) as retriever:
        for mode in chunks:
            for query, text in questions.items():
                for found, grouped in ((chunks, None), (documents, "document")):
                    hits = retriever.search(text, READER, limit=TOP, mode=mode, group_by=grouped)  # type: ignore[arg-type]
                    keys = [hit.document_key.removesuffix(".txt") for hit in hits]
                    assert grouped is None or len(keys) == len(set(keys)) == TOP, f"{mode}, question {query}: {keys}"
                    found[mode][query] = list(dict.fromkeys(keys))

    def mean(ranked: dict[str, list[str]], score: Callable[[list[str], set[str]], float] = ndcg) -> float:
        return float(np.mean([score(ranked[q], relevant[q]) for q in questions]))

    reference = json.loads((folder / f"reference{kind}.json").read_text())["ndcg10"]
    scores = {mode: mean(ranked) for mode, ranked in chunks.items()}
    with capsys.disabled():
        print(f"\nnDCG@{TOP} and recall@{TOP} over {len(questions)} queries, ten chunks | ten documents (group_by):")
        for mode in chunks:
            told = (f"{mean(by[mode]):.4f} {mean(by[mode], recall):.4f}" for by in (chunks, documents))
            print(f"{mode:<8} {' | '.join(told)}")
        print(f"brute force {mean(brute):.4f}, reference {reference:.4f}")
    for mode in chunks:
        assert mean(documents[mode], recall) >= mean(chunks[mode], recall), "grouping may not lose documents"
        assert mean(documents[mode]) >= scores[mode]
    assert abs(scores["vector"] - mean(brute)) <= NEAR
    assert scores["vector"] >= reference - NEAR
    assert scores["hybrid"] >= reference - NEAR
