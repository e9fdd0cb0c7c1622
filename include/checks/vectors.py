"""Whether the vectors are vectors, of these texts, by this model."""

from collections import defaultdict

import numpy as np

from include.checks.candidate import Candidate
from include.embed import embedder_of
from include.ledger.checks import CheckResult

CANARIES = 8  # texts that are embedded once more
ALIKE = 0.999  # cosine of a text's two vectors; batches differ in the last digits
LENGTH_TOLERANCE = 1e-3
FEWEST_IDENTICAL = 3


def run(candidate: Candidate) -> list[CheckResult]:
    """A vector of another size, with NaN, of another length than 1, or of another text blocks."""
    embedder = embedder_of(candidate.way.settings, candidate.way.connections)
    try:
        dimensions = embedder.info().dimensions
        n, wrong_size, not_finite, wrong_length = 0, list[str](), list[str](), list[str]()
        same: dict[bytes, set[str]] = defaultdict(set)
        canaries: dict[str, tuple[str, str, np.ndarray]] = {}
        for chunk, embedded in candidate.embedded():
            n += 1
            vector = np.frombuffer(embedded.vector, "<f4")
            same[embedded.vector].add(chunk.text_hash)
            if len(vector) != dimensions:
                wrong_size.append(chunk.key)
            elif not np.isfinite(vector).all():
                not_finite.append(chunk.key)
            elif abs(float(np.linalg.norm(vector)) - 1.0) > LENGTH_TOLERANCE:
                wrong_length.append(chunk.key)
            canaries[chunk.text_hash] = (chunk.key, chunk.embedded_text, vector)
            if len(canaries) > CANARIES:  # the lowest hashes: any texts, and the same in every try
                del canaries[max(canaries)]
        again = embedder.embed([text for _, text, _ in canaries.values()])
    finally:
        embedder.close()
    strangers = [
        key
        for (key, _, vector), made in zip(canaries.values(), again, strict=True)
        if len(vector) != len(made) or not float(vector @ made) >= ALIKE
    ]
    n_texts = sum(len(hashes) for hashes in same.values())
    identical = sum(len(hashes) for hashes in same.values() if len(hashes) > 1)
    limit = candidate.source.limits.max_identical_vectors_ratio
    ratio = identical / n_texts if n_texts else 0.0
    return [
        CheckResult(
            "dimensions",
            "vectors",
            "block",
            not wrong_size,
            f"{len(wrong_size):,} of {n:,} vectors have another size",
            f"{dimensions} each",
            tuple(dict.fromkeys(wrong_size))[:5],
        ),
        CheckResult(
            "finite",
            "vectors",
            "block",
            not not_finite,
            f"{len(not_finite):,} of {n:,} vectors hold NaN or infinity",
            "none",
            tuple(dict.fromkeys(not_finite))[:5],
        ),
        CheckResult(
            "length",
            "vectors",
            "block",
            not wrong_length,
            f"{len(wrong_length):,} of {n:,} vectors are not of length 1",
            f"1 ± {LENGTH_TOLERANCE}",
            tuple(dict.fromkeys(wrong_length))[:5],
        ),
        CheckResult(
            "identical",
            "vectors",
            "hold",
            ratio <= limit or identical < FEWEST_IDENTICAL,
            f"{identical:,} of {n_texts:,} texts share their vector with another text ({ratio:.1%})",
            f"at most {limit:.1%} (Limits.max_identical_vectors_ratio), or fewer than {FEWEST_IDENTICAL}",
        ),
        CheckResult(
            "canaries",
            "vectors",
            "block",
            not strangers,
            f"{len(strangers)} of {len(canaries)} texts embedded again give another vector",
            f"cosine at least {ALIKE}",
            tuple(strangers[:5]),
        ),
    ]
