"""Checks that vectors are valid and come from one model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from moat.checks import geometry
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.checks.sample import Lowest
from moat.embedding.client import Embedder, embedder_of
from moat.ledger import embeddings, loads, projection
from moat.ledger.checks import CheckResult, one_over, over

CANARIES = 32  # texts of a load that are embedded again
FEWEST_OF_BATCH = 2  # of them per batch
PAST_CANARIES = 8  # visible texts embedded again
ALIKE = 0.999  # cosine of a text's two vectors; batches differ in the last digits only
LENGTH_TOLERANCE = 1e-3
FEWEST_IDENTICAL = 3
SAMPLE = 2_000  # texts measured
PAST_DOCUMENTS, PAST_TEXTS = 500, 4  # visible documents, and texts of each, to compare with
LOOKED_BACK = 500  # loads searched for the newest promoted one
FEWEST = 20  # fewest texts for a mean
FEWEST_TOLD_APART, MOST_TOLD_APART = 50, 1_000  # fewest texts per class of the classifier
FEWEST_NEIGHBOURS = 100  # fewest texts for hubness

MEASURES = (
    Measure(name="vectors.norm", title="length of a vector (median)", scale="plain", least=0.001),
    Measure(
        name="vectors.norm_mad", title="spread of the vectors' lengths (MAD)", scale="plain", least=0.001, side="high"
    ),
    Measure(
        name="vectors.identical",
        title="share of texts with another's vector",
        scale="share",
        least=0.01,
        side="high",
        of="vectors.texts",
    ),
    Measure(name="vectors.cosine", title="mean cosine of two texts", scale="plain", least=0.1, of="vectors.sampled"),
    Measure(
        name="vectors.shift",
        title="shift of the centroid from the visible ones",
        scale="plain",
        least=0.15,
        side="high",
        of="vectors.sampled",
    ),
    Measure(
        name="vectors.auc",
        title="AUC of new against visible texts",
        scale="plain",
        least=0.1,
        side="high",
        of="vectors.sampled",
    ),
    Measure(
        name="vectors.hubness",
        title="hubness (skewness of 10-occurrence)",
        scale="plain",
        least=2.0,
        side="high",
        severity="warn",
        of="vectors.sampled",
    ),
)


@dataclass(frozen=True, slots=True)
class Canary:
    """A text and its stored vector."""

    key: str
    text: str
    vector: np.ndarray


@dataclass(frozen=True, slots=True)
class Again:
    """Keys of canaries whose text now gives another vector, by the kind of fault."""

    strange: list[str]
    swapped: list[str]  # it equals another canary's vector
    alike: list[str]  # another canary's text gives the same one


@dataclass(slots=True, kw_only=True)
class VectorsSeen:
    """Vectors found in one pass over a load."""

    n: int = 0
    wrong_size: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    wrong_length: list[str] = field(default_factory=list)
    n_texts: int = 0
    identical: dict[bytes, dict[bytes, str]] = field(default_factory=dict)  # key by text, per shared vector
    sample: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)  # key and sound vector by text hash
    canaries: list[Canary] = field(default_factory=list)


def run(candidate: Candidate) -> list[CheckResult]:
    """Block vectors of wrong size or length, with NaN, or of another text.

    A model that changed under the same name blocks too. A load by another model than the visible
    vectors' holds.
    """
    if not candidate.batches:
        return []
    embedder = embedder_of(candidate.runtime.settings, candidate.runtime.connections, candidate.runtime.progress)
    try:
        now, dimensions = embedder.info().key, embedder.info().dimensions
        looked = _looked(candidate, dimensions)
        past = _past(candidate, now)
        of_load = embedded_again(embedder, looked.canaries)
        of_past = _canaries(candidate, past)
        visible = embedded_again(embedder, of_past)
    finally:
        embedder.close()
    made_by = candidate.load.model or now
    as_made = _as_made(candidate, looked, made_by)
    wrong = (of_load.strange, visible.strange, looked.not_finite, looked.wrong_size, looked.wrong_length)
    if any(wrong):  # texts are embedded once: delete wrong vectors so that the next load does not reuse them
        embeddings.forget(candidate.runtime.ledger, made_by, (chunk.text_hash for chunk in candidate.chunks()))
    _measure(candidate, looked, past)
    again = [
        CheckResult(
            name="canaries",
            family="vectors",
            severity="block",
            passed=not of_load.strange,
            seen=f"{len(of_load.strange)} of {len(looked.canaries)} texts embedded again give another vector",
            allowed=f"cosine at least {ALIKE}",
            documents=tuple(dict.fromkeys(of_load.strange))[:5],
        ),
        CheckResult(
            name="drift of the embedder",
            family="vectors",
            severity="block",
            passed=not visible.strange and made_by == now,
            seen=f"{len(visible.strange)} of {len(of_past)} visible texts embedded again give another vector"
            + ("" if made_by == now else f"; the load was embedded by {made_by}, the embedder serves {now}"),
            allowed=f"cosine at least {ALIKE}, by one model",
            documents=tuple(dict.fromkeys(visible.strange))[:5],
        ),
        CheckResult(
            name="order of the embedder",
            family="vectors",
            severity="block",
            passed=not of_load.swapped and not visible.swapped,
            seen=f"{len(of_load.swapped) + len(visible.swapped)} of {len(looked.canaries) + len(of_past)} texts embedded again give the "
            "vector that another one had",
            allowed="each text its own",
            documents=tuple(dict.fromkeys([*of_load.swapped, *visible.swapped]))[:5],
        ),
    ]
    n, n_past = len(looked.canaries), len(of_past)
    return [
        *_sound(candidate, looked, dimensions, [*of_load.alike, *visible.alike]),
        as_made,
        one_over(n, "texts embedded again", again[0]),
        one_over(n_past, "visible texts embedded again", again[1]),
        *over(n + n_past, "texts embedded again", again[2:]),
        _one_model(candidate, made_by),
    ]


def embedded_again(embedder: Embedder, canaries: Sequence[Canary]) -> Again:
    """Embed the canaries' texts again and compare."""
    again = embedder.embed([canary.text for canary in canaries])
    found = [
        (canary, made)
        for canary, made in zip(canaries, again, strict=True)
        if len(canary.vector) != len(made) or not float(canary.vector @ made) >= ALIKE
    ]
    alike = [canary.key for canary, made in found if sum(np.array_equal(made, one) for one in again) > 1 and made.any()]
    swapped = [
        canary.key
        for canary, made in found
        if canary.key not in alike  # one vector for many texts is a different fault
        and any(
            other.text != canary.text and len(other.vector) == len(made) and float(other.vector @ made) >= ALIKE
            for other in canaries
        )
    ]
    return Again([canary.key for canary, _ in found], swapped, alike)


def _looked(candidate: Candidate, dimensions: int) -> VectorsSeen:
    looked, sample = VectorsSeen(), Lowest[tuple[str, np.ndarray]](SAMPLE)
    first, pairs = dict[bytes, tuple[bytes, str]](), set[bytes]()
    of_batch = max(FEWEST_OF_BATCH, -(-CANARIES // len(candidate.batches)))
    for batch in candidate.batches:
        canaries = Lowest[Canary](of_batch)  # the lowest hashes: a random sample, the same in every try
        for chunk, embedded in candidate.embedded_of(batch):
            looked.n += 1
            vector = np.frombuffer(embedded.vector, "<f4")
            canaries.add(chunk.text_hash, Canary(chunk.key, chunk.embedded_text, vector))
            if len(vector) != dimensions:
                looked.wrong_size.append(chunk.key)
            elif not np.isfinite(vector).all():
                looked.not_finite.append(chunk.key)
            elif abs(float(np.linalg.norm(vector)) - 1.0) > LENGTH_TOLERANCE:
                looked.wrong_length.append(chunk.key)
            else:
                sample.add(chunk.text_hash, (chunk.key, vector))
            text, of_vector = bytes.fromhex(chunk.text_hash)[:16], blake2b(embedded.vector, digest_size=16).digest()
            pair = blake2b(text + of_vector, digest_size=16).digest()
            if pair in pairs:
                continue
            pairs.add(pair)
            was = first.setdefault(of_vector, (text, chunk.key))
            if was[0] != text:
                looked.identical.setdefault(of_vector, dict([was]))[text] = chunk.key
        looked.canaries += canaries.values().values()
    looked.n_texts, looked.sample = len(pairs), sample.values()
    return looked


def _past(candidate: Candidate, model: str) -> dict[str, tuple[str, np.ndarray]]:
    """Sampled visible texts of this model: key and vector by text hash."""
    ledger = candidate.runtime.ledger
    visible = projection.visible_sample(ledger, candidate.source.name, PAST_DOCUMENTS, PAST_TEXTS)
    key_of = {p.text_hash: p.key for p in visible}
    made = embeddings.vectors(ledger, model, key_of)
    return {h: (key_of[h], np.frombuffer(vector, "<f4")) for h, vector in made.items()}


def _canaries(candidate: Candidate, past: Mapping[str, tuple[str, np.ndarray]]) -> list[Canary]:
    """A few visible texts, different in every load."""
    number = str(candidate.load.id).encode()
    some = sorted(past, key=lambda h: blake2b(number + h.encode(), digest_size=8).digest())[:PAST_CANARIES]
    texts = projection.embedded_texts(candidate.runtime.ledger, candidate.source.name, some)
    return [Canary(past[h][0], texts[h], past[h][1]) for h in some if h in texts]


def _sound(candidate: Candidate, looked: VectorsSeen, dimensions: int, alike: Sequence[str]) -> list[CheckResult]:
    identical = sum(map(len, looked.identical.values()))
    limit = candidate.source.limits.max_identical_vectors_ratio
    ratio = identical / looked.n_texts if looked.n_texts else 0.0
    shared = max(looked.identical.values(), key=len, default={})
    results = [
        CheckResult(
            name="dimensions",
            family="vectors",
            severity="block",
            passed=not looked.wrong_size,
            seen=f"{len(looked.wrong_size):,} of {looked.n:,} vectors have another size",
            allowed=f"{dimensions} each",
            documents=tuple(dict.fromkeys(looked.wrong_size))[:5],
        ),
        CheckResult(
            name="finite",
            family="vectors",
            severity="block",
            passed=not looked.not_finite,
            seen=f"{len(looked.not_finite):,} of {looked.n:,} vectors hold NaN or infinity",
            allowed="none",
            documents=tuple(dict.fromkeys(looked.not_finite))[:5],
        ),
        CheckResult(
            name="length",
            family="vectors",
            severity="block",
            passed=not looked.wrong_length,
            seen=f"{len(looked.wrong_length):,} of {looked.n:,} vectors are not of length 1",
            allowed=f"1 ± {LENGTH_TOLERANCE}",
            documents=tuple(dict.fromkeys(looked.wrong_length))[:5],
        ),
        CheckResult(
            name="identical",
            family="vectors",
            severity="hold",
            passed=(ratio <= limit or identical < FEWEST_IDENTICAL) and len(alike) < FEWEST_IDENTICAL,
            seen=f"{identical:,} of {looked.n_texts:,} texts share their vector with another text ({ratio:.1%})"
            + (f", and {len(alike):,} do when they are embedded again" if alike else ""),
            allowed=f"at most {limit:.1%} (Limits.max_identical_vectors_ratio), or fewer than {FEWEST_IDENTICAL}",
            documents=tuple(dict.fromkeys(shared.values()))[:1],
        ),
    ]
    return over(looked.n, "vectors", results)


def _as_made(candidate: Candidate, looked: VectorsSeen, model: str) -> CheckResult:
    """Check that staged vectors equal those that the embedder gave, which the ledger stores."""
    kept = embeddings.vectors(candidate.runtime.ledger, model, looked.sample)
    other = [
        key
        for h, (key, vector) in looked.sample.items()
        if h in kept and not float(vector @ np.frombuffer(kept[h], "<f4")) >= ALIKE
    ]
    result = CheckResult(
        name="as embedded",
        family="vectors",
        severity="block",
        passed=not other,
        seen=f"{len(other):,} of {len(kept):,} vectors are not what the embedder gave for their texts",
        allowed=f"cosine at least {ALIKE}",
        documents=tuple(dict.fromkeys(other))[:5],
    )
    return one_over(len(kept), "vectors that the ledger keeps", result)


def _one_model(candidate: Candidate, now: str) -> CheckResult:
    """Check for one model: a load by another one must replace everything visible."""
    name = candidate.source.name
    promoted = (one for one in loads.recent(candidate.runtime.ledger, name, LOOKED_BACK) if one.state == "promoted")
    before = next((one.model for one in promoted if one.model), None)
    left = 0
    if before and before != now:
        brought = {p.key for p in candidate.prepared()}
        gone = sum(p.what == "vanished" or (p.what == "changed" and p.key in brought) for p in candidate.plan())
        left = candidate.load.counts.get("visible", 0) - gone
    return CheckResult(
        name="one model",
        family="vectors",
        severity="hold",
        passed=not left,
        seen=f"model changed from {before} to {now}: search mixes two spaces until {left:,} visible documents are embedded again"
        if left
        else f"embedded by {now}",
        allowed="one model for all visible documents of the source",
    )


def _measure(candidate: Candidate, looked: VectorsSeen, past: Mapping[str, tuple[str, np.ndarray]]) -> None:
    """Record measures of the sample of sound vectors, where it has enough of them."""
    measured = candidate.measured
    measured["vectors.texts"], measured["vectors.sampled"] = looked.n_texts, len(looked.sample)
    if looked.n_texts:
        measured["vectors.identical"] = sum(map(len, looked.identical.values())) / looked.n_texts
    if len(looked.sample) < FEWEST:
        return
    vectors = np.stack([vector for _, vector in looked.sample.values()])
    norms = np.linalg.norm(vectors, axis=1)
    measured["vectors.norm"] = float(np.median(norms))
    measured["vectors.norm_mad"] = float(np.median(np.abs(norms - np.median(norms))))
    measured["vectors.cosine"] = geometry.pairwise_cosine(vectors)
    if len(vectors) >= FEWEST_NEIGHBOURS:
        measured["vectors.hubness"] = geometry.hubness(vectors)
    # Unchanged texts are on both sides and say nothing.
    others = [vector for h, (_, vector) in past.items() if h not in looked.sample and len(vector) == vectors.shape[1]]
    if len(others) < FEWEST:
        return
    visible = np.stack(others)
    measured["vectors.shift"] = geometry.centroid_shift(vectors, visible)
    centre = visible.mean(axis=0)
    far = sorted(looked.sample.values(), key=lambda one: float(one[1] @ centre))
    candidate.behind["vectors.shift"] = candidate.behind["vectors.auc"] = tuple(dict.fromkeys(key for key, _ in far))[
        :5
    ]
    if min(len(vectors), len(visible)) >= FEWEST_TOLD_APART:
        some = MOST_TOLD_APART
        measured["vectors.auc"] = geometry.separability(vectors[:some], visible[:some])
