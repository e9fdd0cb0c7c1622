"""Retrieval quality through the whole way: SciFact, searched as an application would, beside brute force."""

import json
import math
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
    found: dict[str, dict[str, list[str]]] = {"vector": {}, "hybrid": {}, "keyword": {}}
    with Retriever.from_settings(runtime.settings, runtime.connections) as door:
        for mode, ranked in found.items():
            for query, text in questions.items():
                hits = door.search(text, READER, limit=TOP, mode=mode)  # type: ignore[arg-type]
                ranked[query] = list(dict.fromkeys(hit.document_key.removesuffix(".txt") for hit in hits))

    def mean(ranked: dict[str, list[str]]) -> float:
        return float(np.mean([ndcg(ranked[q], relevant[q]) for q in questions]))

    reference = json.loads((folder / f"reference{kind}.json").read_text())["ndcg10"]
    scores = {mode: mean(ranked) for mode, ranked in found.items()}
    with capsys.disabled():
        told = ", ".join(f"{mode} {score:.5f}" for mode, score in scores.items())
        print(
            f"\nnDCG@{TOP} over {len(questions)} queries: {told}; brute force {mean(brute):.5f}, reference {reference:.5f}"
        )
    assert abs(scores["vector"] - mean(brute)) <= NEAR
    assert scores["vector"] >= reference - NEAR
    assert scores["hybrid"] >= reference - NEAR
