"""Golden questions: known answers, searched in the whole candidate before it is visible."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from moat import strict_yaml
from moat.access.policy import canonical
from moat.batching import windows
from moat.checks import moves
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.checks.moves import Moves
from moat.embedding.client import embedder_of
from moat.errors import AccessUnknown, FatalError
from moat.ledger import Ledger, measures, members, policies, projection
from moat.ledger.checks import CheckResult
from moat.settings import PROJECT
from moat.source import Golden, Source

WINDOW = 8_192  # vectors compared at a time
RESAMPLES = 2_000  # of the questions, for the interval
LOST = "golden.lost"  # measure: questions that do not find all of their documents
FIELDS = {"question", "documents", "asker", "never"}

MEASURES = (
    Measure(
        name="golden.recall",
        title="recall of the golden questions",
        scale="plain",
        least=0.1,
        side="low",
        of="golden.questions",
    ),
    Measure(
        name="golden.mrr",
        title="mean reciprocal rank of the golden questions",
        scale="plain",
        least=0.15,
        side="low",
        of="golden.questions",
    ),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A golden question with required keys, and forbidden ones for its asker."""

    question: str
    documents: tuple[str, ...]
    asker: str = ""  # canonical; empty: access is ignored
    never: tuple[str, ...] = ()


class VisibleVectors(NamedTuple):
    """Some chunks visible after this load: document keys, policy digests, and vectors as rows."""

    keys: list[str]
    policies: list[str | None]
    vectors: np.ndarray


def run(candidate: Candidate) -> list[CheckResult]:
    """Measure recall@k by brute force over all chunks visible after this load.

    No index is used. A question with an asker is answered from what they may read after this load. A
    document that a question forbids and that its asker could read blocks, wherever it moved. A key that moved
    is answered by the document that has its content.
    """
    golden = candidate.source.golden
    if golden is None:
        return []
    questions = questions_of(Path(PROJECT, golden.file))
    here = moves.found(candidate)
    went = moves.followed(candidate.runtime.ledger, candidate.source.name, keys_of(questions), here)
    never = [set(q.never).union(*(went.get(key, ()) for key in q.never)) for q in questions]
    embedder = embedder_of(candidate.runtime.settings, candidate.runtime.connections, candidate.runtime.progress)
    try:
        asked, model = embedder.embed([q.question for q in questions], "query"), embedder.info().key
    finally:
        embedder.close()
    open_to = {asker: _satisfied(candidate, asker) for asker in sorted({q.asker for q in questions if q.asker})}
    best: list[dict[str, float]] = [{} for _ in questions]
    leaked: list[set[str]] = [set() for _ in questions]
    there = set[str]()  # of the keys that moved, those at which there is another document now
    n = 0
    for held in _windows(candidate, model):
        n += len(held.keys)
        names, at = np.unique(held.keys, return_inverse=True)
        there |= went.keys() & set(names.tolist())
        may = {
            asker: np.array([policy in satisfied for policy in held.policies]) for asker, satisfied in open_to.items()
        }
        for i, (q, scores) in enumerate(zip(questions, asked @ held.vectors.T, strict=True)):
            if q.asker:
                scores = np.where(may[q.asker], scores, -2.0)
                leaked[i] |= never[i] & {held.keys[c] for c in np.flatnonzero(may[q.asker])} if q.never else set()
            _keep_best(best[i], names, at, scores, golden.k)
    ranked = [[key for key, _ in sorted(found.items(), key=lambda one: (-one[1], one[0]))] for found in best]
    answers = {key: went[key] if key in went.keys() - there else frozenset([key]) for key in keys_of(questions)}
    asked_of = [
        ([answers[key] for key in q.documents], found, q)
        for q, found in zip(questions, ranked, strict=True)
        if q.documents
    ]
    told = _moved(questions, went)
    return [
        *([_recall(candidate, golden, asked_of, n, told)] if asked_of else []),
        *([_kept(questions, leaked)] if any(q.never for q in questions) else []),
        *([_now_elsewhere(golden, here, keys_of(questions), told)] if told else []),
    ]


def keys_of(questions: Sequence[Question]) -> list[str]:
    """All keys that some questions name, each once."""
    return sorted({key for q in questions for key in (*q.documents, *q.never)})


def _moved(questions: Sequence[Question], went: Mapping[str, frozenset[str]]) -> str:
    """How many questions name keys that moved, and where to; "" where none does."""
    n = sum(not went.keys().isdisjoint((*q.documents, *q.never)) for q in questions)
    pairs = {old: ", ".join(sorted(new)) for old, new in went.items()}
    return f"{n:,} questions name keys that moved: {moves.in_words(pairs)}" if n else ""


def _now_elsewhere(golden: Golden, here: Moves, keys: Sequence[str], told: str) -> CheckResult:
    """Tell in the load that moves them which keys of the golden file are old; later loads only repeat it."""
    moved = [key for key in keys if key in here.targets]
    return CheckResult(
        name="keys that moved",
        family="golden",
        severity="warn",
        passed=not moved,
        seen=told,
        allowed=f"none: update {golden.file}",
        documents=tuple(moved[:5]),
    )


def _keep_best(found: dict[str, float], names: np.ndarray, at: np.ndarray, scores: np.ndarray, k: int) -> None:
    """Merge a window's best documents into a question's top k."""
    of_document = np.full(len(names), -2.0, np.float32)
    np.maximum.at(of_document, at, np.nan_to_num(scores, nan=-2.0))  # a NaN score is no answer
    for i in np.argsort(-of_document)[:k]:
        if of_document[i] > -2.0:
            found[str(names[i])] = max(found.get(str(names[i]), -2.0), float(of_document[i]))
    for key in sorted(found, key=lambda key: (-found[key], key))[k:]:
        del found[key]


def _kept(questions: Sequence[Question], leaked: list[set[str]]) -> CheckResult:
    """Check that no asker could read a document that their question forbids."""
    told = [f"{q.asker}: {', '.join(sorted(of_it))}" for q, of_it in zip(questions, leaked, strict=True) if of_it]
    return CheckResult(
        name="never for its asker",
        family="golden",
        severity="block",
        passed=not told,
        seen=f"{sum(map(len, leaked)):,} documents could be read by an asker whom they are kept from"
        + (f"; {'; '.join(told[:3])}" if told else ""),
        allowed="none (never, in the golden file)",
        documents=tuple(dict.fromkeys(key for of_it in leaked for key in sorted(of_it)))[:5],
    )


def _recall(
    candidate: Candidate,
    golden: Golden,
    asked: Sequence[tuple[list[frozenset[str]], list[str], Question]],
    n: int,
    moved: str,
) -> CheckResult:
    """The result of recall@k; of each wanted document any of its keys answers."""
    recalls = [sum(not any_of.isdisjoint(found) for any_of in wanted) / len(wanted) for wanted, found, _ in asked]
    ranks = [
        next((1 / place for place, key in enumerate(found, 1) if any(key in any_of for any_of in wanted)), 0.0)
        for wanted, found, _ in asked
    ]
    recall, mrr = float(np.mean(recalls)), float(np.mean(ranks))
    (low, high), (mrr_low, mrr_high) = interval(recalls), interval(ranks)
    lost = [q for (_, _, q), r in zip(asked, recalls, strict=True) if r < 1]
    keys = tuple(key for q in lost for key in q.documents)[:5]
    candidate.measured.update(
        {"golden.recall": recall, "golden.mrr": mrr, "golden.questions": len(asked), LOST: len(lost)}
    )
    candidate.behind.update({"golden.recall": keys, "golden.mrr": keys})
    return CheckResult(
        name=f"recall@{golden.k}",
        family="golden",
        severity="hold",
        passed=recall >= golden.min_recall,
        seen=_found(len(lost), len(asked), _lost_before(candidate))
        + (f": {'; '.join(q.question for q in lost[:3])}" if lost else "")
        + (f"; {moved}; update the golden file" if moved else "")
        + f"; recall@{golden.k} {recall:.3f}, {low:.2f} to {high:.2f} in 95 of 100 resamples, MRR {mrr:.3f}, {mrr_low:.2f} to "
        f"{mrr_high:.2f}, over {n:,} chunks",
        allowed=f"recall of at least {golden.min_recall} (Golden.min_recall)",
        documents=keys,
    )


def _found(n_lost: int, n: int, before: float | None) -> str:
    """How many questions find their documents, in words; `before` is how many did not until now."""
    if not n_lost:
        return f"all {n} test questions find their documents"
    if before is None or before >= n_lost:
        return f"{n_lost} of {n} test questions do not find their documents"
    until_now = f", where {before:.0f} did not until now" if before else ""
    return f"{n_lost} of {n} test questions no longer find their documents{until_now}"


def _lost_before(candidate: Candidate) -> float | None:
    """How many questions did not find their documents in the load before; None where none is known."""
    past = measures.history(candidate.runtime.ledger, candidate.load).get(LOST)
    return past[-1].value if past else None


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap confidence interval of the mean."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values)[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def questions_of(file: Path) -> list[Question]:
    """Read a golden file. Raises FatalError for an invalid question."""
    try:
        body = strict_yaml.load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FatalError(f"golden questions {file} cannot be read: {error}") from error
    if not isinstance(body, list) or not body:
        raise FatalError(f"golden questions {file} must be a list of {{question: …, documents: [keys]}}, not empty")
    return [_question(one, f"golden questions {file}, number {number}") for number, one in enumerate(body, 1)]


def _question(one: Any, where: str) -> Question:
    if not isinstance(one, dict) or not isinstance(one.get("question"), str) or not one["question"].strip():
        raise FatalError(f"{where}: it must be {{question: …, documents: [keys]}}, and has no question")
    if more := sorted(map(str, set(one) - FIELDS)):
        raise FatalError(f"{where}: {', '.join(more)} is unknown; a question has {', '.join(sorted(FIELDS))}")
    documents, never, asker = one.get("documents", []), one.get("never", []), one.get("asker", "")
    for name, keys in (("documents", documents), ("never", never)):
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            raise FatalError(f"{where}: {name} must be a list of documents' keys, as texts")
    if not documents and not never:
        raise FatalError(f"{where}: documents names none that must answer, nor never one that must not")
    if not isinstance(asker, str) or (never and not asker):
        raise FatalError(f"{where}: asker must be a principal such as user:ann@example.com, and never needs one")
    if both := sorted(set(documents) & set(never)):
        raise FatalError(f"{where}: {', '.join(both)} must answer and must not")
    try:
        return Question(one["question"], tuple(documents), canonical(asker) if asker else "", tuple(never))
    except AccessUnknown as error:
        raise FatalError(f"{where}: asker: {error}") from error


class Promise(NamedTuple):
    """Somebody from whom golden questions keep documents, with all that they stand for now."""

    asker: str
    principals: frozenset[str]
    never: frozenset[str]  # keys


def promises_of(ledger: Ledger, source: Source) -> list[Promise]:
    """Who must never read what, by the golden questions of a source, wherever it moved.

    Raises FatalError for a file that is wrong.
    """
    never: dict[str, set[str]] = {}
    for q in never_of(ledger, source):
        never.setdefault(q.asker, set()).update(q.never)
    with ledger.read() as connection:
        return [
            Promise(
                asker, members.principals_of(connection, ledger.tenant, asker) or frozenset([asker]), frozenset(keys)
            )
            for asker, keys in sorted(never.items())
        ]


def never_of(ledger: Ledger, source: Source) -> list[Question]:
    """The questions of a source that keep documents from their asker, with the keys that these moved to.

    Raises FatalError for a file that is wrong.
    """
    questions = questions_of(Path(PROJECT, source.golden.file)) if source.golden else []
    keeping = [q for q in questions if q.never]
    went = moves.followed(ledger, source.name, keys_of(keeping)) if keeping else {}
    return [
        replace(q, never=tuple(sorted(set(q.never).union(*(went.get(key, ()) for key in q.never))))) for q in keeping
    ]


def _satisfied(candidate: Candidate, asker: str) -> frozenset[str]:
    """Digests of the policies that an asker satisfies, as in a search."""
    ledger = candidate.runtime.ledger
    with ledger.read() as connection:
        known = members.principals_of(connection, ledger.tenant, asker)
        return frozenset(policies.satisfied(connection, ledger.tenant, known) if known else ())


def _windows(candidate: Candidate, model: str) -> Iterator[VisibleVectors]:
    """All chunks visible after this load, with the access that applies then."""
    ledger, name = candidate.runtime.ledger, candidate.source.name
    id_of = {p.key: p.id for p in candidate.prepared()}
    policy_of = {i: a.policy for i, a in projection.allowed(ledger, list(id_of.values())).items()}
    replaced = set(id_of) | {p.key for p in candidate.plan() if p.what == "vanished"}

    def rows() -> Iterator[tuple[str, str | None, bytes]]:
        for chunk, embedded in candidate.embedded():
            yield chunk.key, policy_of.get(chunk.document_id), embedded.vector
        for seen in projection.visible_vectors(ledger, name, model):
            if seen.key not in replaced:
                yield seen

    for window in windows(rows(), WINDOW):
        keys, digests, vectors = zip(*window, strict=True)
        yield VisibleVectors(list(keys), list(digests), np.frombuffer(b"".join(vectors), "<f4").reshape(len(keys), -1))
