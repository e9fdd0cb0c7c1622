"""Questions with known answers, asked of the whole candidate before anyone else can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from include.checks.candidate import Candidate
from include.embed import embedder_of
from include.errors import FatalError
from include.ledger import projection
from include.ledger.checks import CheckResult
from include.settings import PROJECT

WINDOW = 8_192  # vectors compared at a time


def run(candidate: Candidate) -> list[CheckResult]:
    """Recall@k by brute force over all that would be visible: no index, so nothing but the content is judged."""
    golden = candidate.source.golden
    if golden is None:
        return []
    questions = questions_of(Path(PROJECT, golden.file))
    embedder = embedder_of(candidate.way.settings, candidate.way.connections)
    try:
        asked, model = embedder.embed([q["question"] for q in questions], "query"), embedder.info().key
    finally:
        embedder.close()
    best: list[dict[str, float]] = [{} for _ in questions]
    n = 0
    for keys, vectors in _windows(candidate, model):
        n += len(keys)
        names, at = np.unique(keys, return_inverse=True)
        for found, scores in zip(best, asked @ vectors.T, strict=True):
            of_document = np.full(len(names), -2.0, np.float32)
            np.maximum.at(of_document, at, scores)
            for i in np.argsort(-of_document)[: golden.k]:
                found[str(names[i])] = max(found.get(str(names[i]), -2.0), float(of_document[i]))
            for key in sorted(found, key=lambda key: (-found[key], key))[golden.k :]:
                del found[key]
    recalls = [
        len(set(q["documents"]) & set(found)) / len(set(q["documents"]))
        for q, found in zip(questions, best, strict=True)
    ]
    recall = float(np.mean(recalls)) if recalls else 1.0
    missed = [q["question"] for q, r in zip(questions, recalls, strict=True) if r < 1]
    return [
        CheckResult(
            f"recall@{golden.k}",
            "golden",
            "hold",
            recall >= golden.min_recall,
            f"{recall:.3f} over {len(questions)} questions and {n:,} chunks"
            + (f"; missed: {'; '.join(missed[:3])}" if missed else ""),
            f"at least {golden.min_recall} (Golden.min_recall)",
            tuple(key for q, r in zip(questions, recalls, strict=True) if r < 1 for key in q["documents"])[:5],
        ),
    ]


def questions_of(file: Path) -> list[dict[str, Any]]:
    """The questions of a golden file. Raises FatalError that says what each must have."""
    try:
        body = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FatalError(f"golden questions {file} cannot be read: {error}") from error
    if not isinstance(body, list) or not all(
        isinstance(q, dict) and q.get("question") and isinstance(q.get("documents"), list) and q["documents"]
        for q in body
    ):
        raise FatalError(
            f"golden questions {file} must be a list of {{question: …, documents: [keys]}}, none of them empty"
        )
    return body


def _windows(candidate: Candidate, model: str) -> Iterator[tuple[list[str], np.ndarray]]:
    """Document keys and vectors of all chunks that would be visible after this load."""
    replaced = {p.key for p in candidate.prepared()} | {p.key for p in candidate.plan() if p.what == "vanished"}

    def pairs() -> Iterator[tuple[str, bytes]]:
        for chunk, embedded in candidate.embedded():
            yield chunk.key, embedded.vector
        for key, vector in projection.visible_vectors(candidate.way.ledger, candidate.source.name, model):
            if key not in replaced:
                yield key, vector

    keys, vectors = list[str](), list[bytes]()
    for key, vector in pairs():
        keys.append(key)
        vectors.append(vector)
        if len(keys) == WINDOW:
            yield keys, np.frombuffer(b"".join(vectors), "<f4").reshape(len(keys), -1)
            keys, vectors = [], []
    if keys:
        yield keys, np.frombuffer(b"".join(vectors), "<f4").reshape(len(keys), -1)
