"""Whether changed documents are still the documents that they were: an edit keeps most of a text, a mix-up little."""

from moat.checks.candidate import Candidate
from moat.checks.duplicates import FEWEST_SHINGLES, shingles_of
from moat.checks.sample import Lowest
from moat.ids import document_id
from moat.ledger import projection

MOST_COMPARED = 500  # changed documents; of more a sample
KEPT = 0.5  # of the shorter text's shingles; a swapped body between the same headings keeps up to four tenths
SHOWN = 5  # keys of documents that stand behind a result


def measure(candidate: Candidate) -> None:
    """Leave in the candidate the share of changed documents that keep less than half of their visible text.

    Measured where documents changed by themselves, not where another recipe prepared them again; texts of
    fewer shingles than tell anything are left out.
    """
    ledger, name = candidate.runtime.ledger, candidate.source.name
    changed = Lowest[str](MOST_COMPARED)
    for p in candidate.plan():
        if p.edited:
            identity = document_id(ledger.tenant, name, p.key)
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
    """Of each text by itself: where a chunk ends may have moved."""
    return {shingle for text in texts for shingle in shingles_of(text)}
