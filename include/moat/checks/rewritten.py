"""Detects mixed-up documents: an edit keeps most of a text, a mix-up keeps little."""

from moat.checks.candidate import Candidate
from moat.checks.duplicates import FEWEST_SHINGLES, shingles_of
from moat.checks.sample import Lowest
from moat.ids import document_id
from moat.ledger import projection
from moat.ledger.former_names import first_name

MOST_COMPARED = 500  # changed documents; more are sampled
KEPT = 0.5  # of the shorter text's shingles; a swapped body under the same headings keeps up to 40 %
SHOWN = 5  # keys of documents behind a result


def measure(candidate: Candidate) -> None:
    """Record the share of changed documents that keep less than half of their visible text.

    Counts documents that changed themselves, not those prepared again by another recipe. Texts with too
    few shingles are left out.
    """
    ledger, name = candidate.runtime.ledger, candidate.source.name
    changed, first = Lowest[str](MOST_COMPARED), first_name(ledger, name)
    for p in candidate.plan():
        if p.edited:
            identity = document_id(ledger.tenant, first, p.key)
            changed.add(identity, p.key)
    sample = changed.values()
    before = {id_: _shingles(texts) for id_, texts in projection.visible_texts(ledger, name, list(sample)).items()}
    compared, rewritten = 0, list[str]()
    for prepared, chunks in candidate.whole() if before else ():
        was = before.get(prepared.id, set())
        now = _shingles([c.text for c in chunks]) if was else set()
        if min(len(was), len(now)) < FEWEST_SHINGLES:
            continue
        compared += 1
        if len(was & now) < KEPT * min(len(was), len(now)):
            rewritten.append(prepared.key)
    if compared:
        candidate.measured["volume.compared"] = compared
        candidate.measured["volume.rewritten"] = len(rewritten) / compared
        candidate.behind["volume.rewritten"] = tuple(rewritten[:SHOWN])


def _shingles(texts: list[str]) -> set[int]:
    """Shingles of each text separately, because chunk boundaries may have moved."""
    return {shingle for text in texts for shingle in shingles_of(text)}
