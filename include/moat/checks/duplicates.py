"""Checks for repeated text: equal chunks, equal documents and near duplicates.

Chunks are counted whoever may read them. Documents are compared only if somebody is known who may
read both: documents of one audience are never named beside those of another.
"""

import re
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from moat.access.policy import Policy
from moat.checks import versions
from moat.checks.audience import Audience, policy_of
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.checks.sample import Lowest
from moat.ledger.access import bodies
from moat.ledger.checks import CheckResult, one_over
from moat.ledger.documents import having
from moat.ledger.former_names import document_ids
from moat.records import Chunk

if TYPE_CHECKING:
    from datasketch import MinHash

FEWEST_DUPLICATES = 20  # a small load may repeat a letterhead
MOST_COMPARED = 20_000  # documents, and texts compared with the visible ones; larger loads are sampled
MOST_CANDIDATES = 50  # candidates per document
MOST_CHARACTERS = 4_000  # compared per document, from its beginning
NEAR = 0.7  # Jaccard of two documents' shingles
NEAR_RATIO = 0.5  # share of a load's documents or texts that warns before a bound is learned
PERMUTATIONS = 64
WORDS, CHARACTERS = 3, 8  # of a shingle; characters in a script without spaces
LONGEST_WORD = 20  # mean characters per word; more means a script without spaces
FEWEST_SHINGLES = 8  # in shorter texts anything is near

MEASURES = (
    Measure(
        name="duplicates.exact",
        title="share of chunks that repeat another's text",
        scale="share",
        least=0.05,
        side="high",
        of="duplicates.chunks",
    ),
    Measure(
        name="duplicates.equal",
        title="share of documents equal to another",
        scale="share",
        least=0.05,
        side="high",
        of="duplicates.documents",
    ),
    Measure(
        name="duplicates.near",
        title="share of documents nearly equal to another",
        scale="share",
        least=0.1,
        side="high",
        of="duplicates.documents",
    ),
    Measure(
        name="duplicates.again",
        title="share of texts that other visible documents have",
        scale="share",
        least=0.1,
        side="high",
        of="duplicates.texts",
    ),
)


@dataclass(slots=True)
class EqualDocuments:
    """Documents of one policy with equal text."""

    policy: Policy
    n: int
    keys: list[str]  # of a few
    mark: "MinHash | None"


@dataclass(slots=True, kw_only=True)
class Duplicates:
    """Texts found in one pass over a load."""

    n_chunks: int
    n_documents: int
    texts: Counter[bytes]
    groups: dict[bytes, dict[Policy, EqualDocuments]]  # by digest of the whole text; a sample
    sample: dict[str, tuple[str, Policy]]  # key and policy by text hash


@dataclass(slots=True)
class Matches:
    """Matches out of a total, and keys that may be named together."""

    found: int
    n: int
    keys: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return self.found / self.n if self.n else 0.0

    def within(self, limit: float) -> bool:
        return self.ratio <= limit or self.found < FEWEST_DUPLICATES


def run(candidate: Candidate) -> list[CheckResult]:
    """Hold too many equal chunks or documents; warn about near duplicates and older versions."""
    audience, limit = Audience(candidate.runtime.ledger), candidate.source.limits.max_duplicate_ratio
    rate = min(1.0, MOST_COMPARED / max(1, candidate.load.counts.get("fetched", 0)))
    seen = _seen(candidate, rate)
    exact = Matches(seen.n_chunks - len(seen.texts), seen.n_chunks)
    exact.keys = () if exact.within(limit) else _common(candidate, audience, seen)
    equal, near, again = _equal(audience, seen), _near(audience, seen), _again(candidate, audience, seen)
    for name, n in (("chunks", exact.n), ("documents", equal.n), ("texts", again.n)):
        candidate.measured[f"duplicates.{name}"] = n
    for name, what in (("exact", exact), ("equal", equal), ("near", near), ("again", again)):
        if what.n:
            candidate.measured[f"duplicates.{name}"] = what.ratio
            candidate.behind[f"duplicates.{name}"] = what.keys
    sampled = "" if rate == 1.0 else f", a sample of {rate:.1%}"
    few = f"or fewer than {FEWEST_DUPLICATES}"
    results = [
        CheckResult(
            name="exact duplicates",
            family="duplicates",
            severity="hold",
            passed=exact.within(limit),
            seen=f"{exact.found:,} of {exact.n:,} chunks repeat another's text ({exact.ratio:.0%})",
            allowed=f"at most {limit:.0%} (Limits.max_duplicate_ratio), {few}",
            documents=exact.keys,
        ),
        CheckResult(
            name="equal documents",
            family="duplicates",
            severity="hold",
            passed=equal.within(limit),
            seen=f"{equal.found:,} of {equal.n:,} documents are equal to another one ({equal.ratio:.0%}{sampled})",
            allowed=f"at most {limit:.0%} (Limits.max_duplicate_ratio), {few}",
            documents=equal.keys,
        ),
        CheckResult(
            name="near duplicates",
            family="duplicates",
            severity="warn",
            passed=near.within(NEAR_RATIO),
            seen=f"{near.found:,} of {near.n:,} documents are nearly equal to another one ({near.ratio:.0%}{sampled})",
            allowed=f"at most {NEAR_RATIO:.0%}, {few}",
            documents=near.keys,
        ),
        CheckResult(
            name="there already",
            family="duplicates",
            severity="warn",
            passed=again.within(NEAR_RATIO),
            seen=f"{again.found:,} of {again.n:,} texts stand in other visible documents already ({again.ratio:.0%})",
            allowed=f"at most {NEAR_RATIO:.0%}, {few}",
            documents=again.keys,
        ),
    ]
    n_of = ((exact.n, "chunks"), (equal.n, "documents"), (near.n, "documents"), (again.n, "texts"))
    judged = [one_over(*of, result) for of, result in zip(n_of, results, strict=True)]
    return [*judged, one_over(exact.n, "chunks", versions.run(candidate, audience))]


def _seen(candidate: Candidate, rate: float) -> Duplicates:
    """Collect texts in one pass; large loads are sampled by text digest."""
    seen = Duplicates(n_chunks=0, n_documents=0, texts=Counter(), groups=defaultdict(dict), sample={})
    texts, policies = Lowest[tuple[str, Policy]](MOST_COMPARED), dict[str, Policy]()
    for prepared, chunks in candidate.whole():
        hashes = [bytes.fromhex(c.text_hash)[:16] for c in chunks]
        seen.n_chunks += len(chunks)
        seen.texts.update(hashes)
        if prepared.policy not in policies:
            policies[prepared.policy] = policy_of(prepared.policy)
        policy = policies[prepared.policy]
        for c in chunks:
            texts.add(c.text_hash, (c.key, policy))
        digest = blake2b(b"".join(hashes), digest_size=16).digest()
        if int.from_bytes(digest[:8], "big") >= rate * 2.0**64:
            continue
        seen.n_documents += 1
        group = seen.groups[digest].get(policy)
        if group is None:
            group = seen.groups[digest][policy] = EqualDocuments(policy, 0, [], marked(chunks))
        group.n += 1
        if len(group.keys) < 5:
            group.keys.append(prepared.key)
    seen.sample = texts.values()
    return seen


def _common(candidate: Candidate, audience: Audience, seen: Duplicates) -> tuple[str, ...]:
    """Documents with the most repeated texts."""
    common = {h for h, times in seen.texts.most_common(3) if times > 1}
    return audience.together(
        (prepared.key, policy_of(prepared.policy))
        for prepared, chunks in candidate.whole()
        if any(bytes.fromhex(c.text_hash)[:16] in common for c in chunks)
    )


def _equal(audience: Audience, seen: Duplicates) -> Matches:
    """Documents that somebody may read under two keys."""
    found, told = 0, list[tuple[str, Policy]]()
    for of_policy in seen.groups.values():
        some = list(of_policy.values())[:MOST_CANDIDATES]
        for group in of_policy.values():
            others = (other for other in some if other is not group and audience.in_common(group.policy, other.policy))
            if not group.policy.nobody and (group.n > 1 or next(others, None)):
                found += group.n
                told += [(key, group.policy) for key in group.keys]
    return Matches(found, seen.n_documents, audience.together(told))


def _near(audience: Audience, seen: Duplicates) -> Matches:
    """Near duplicates that are not equal, by MinHash and LSH."""
    from datasketch import MinHashLSH  # takes a second to import; a load without documents does without

    groups = [
        (digest, group, group.mark)
        for digest, of_policy in sorted(seen.groups.items())
        for group in sorted(of_policy.values(), key=lambda group: group.policy.text())
        if group.mark is not None and not group.policy.nobody
    ]
    lsh = MinHashLSH(threshold=NEAR, num_perm=PERMUTATIONS)
    twins, told = set[int](), list[tuple[str, Policy]]()
    for at, (digest, group, mark) in enumerate(groups):
        candidates, near = sorted(lsh.query(mark)), list[int]()
        for other in candidates[:MOST_CANDIDATES]:
            its_digest, of_it, its_mark = groups[other]
            if (
                its_digest != digest
                and audience.in_common(group.policy, of_it.policy)
                and mark.jaccard(its_mark) >= NEAR
            ):
                near.append(other)
        if near:
            twins |= {at, *near}
            told += [(one.keys[0], one.policy) for one in (group, groups[near[0]][1])]
        # One document represents all near ones with the same audience, so that many copies of a template stay cheap.
        represented = any(groups[other][1].policy == group.policy for other in near)
        if not represented and len(candidates) < MOST_CANDIDATES:
            lsh.insert(at, mark)
    return Matches(sum(groups[at][1].n for at in twins), seen.n_documents, audience.together(told))


def _again(candidate: Candidate, audience: Audience, seen: Duplicates) -> Matches:
    """Texts that visible documents with a common audience already have."""
    ledger, name = candidate.runtime.ledger, candidate.source.name
    there = having(ledger, name, seen.sample)
    wanted = {identity for row in there for identity in (row.one, row.other)}
    if wanted:  # documents that this load replaces or removes, as when a folder moves, are no duplicates
        wanted -= {p.id for p in candidate.prepared() if p.id in wanted}
        gone = document_ids(ledger, name, (p.key for p in candidate.plan() if p.what == "vanished"))
        wanted -= {identity for identity in gone if identity in wanted}
    with ledger.read() as connection:
        policies = bodies(connection, {row.policy for row in there})
    again = {
        row.text_hash
        for row in there
        if (row.one in wanted or row.other in wanted)
        and audience.in_common(seen.sample[row.text_hash][1], policies[row.policy])
    }
    keys = ((key, policy) for h, (key, policy) in seen.sample.items() if h in again)
    return Matches(len(again), len(seen.sample), audience.together(keys))


def marked(chunks: list[Chunk]) -> "MinHash | None":
    """The MinHash of a document's shingles; None if it has too few."""
    from datasketch import MinHash

    shingles = shingles_of("\n".join(c.text for c in chunks[: MOST_CHARACTERS // 100])[:MOST_CHARACTERS])
    if len(shingles) < FEWEST_SHINGLES:
        return None
    made = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
    made.update_batch(shingles)
    return made


def shingles_of(text: str) -> list[int]:
    """Distinct shingles of a text as 32-bit hashes: words, or characters without spaces."""
    parts, size = re.findall(r"\w+", text.lower()), WORDS
    if parts and sum(map(len, parts)) > LONGEST_WORD * len(parts):
        parts, size = list("".join(parts)), CHARACTERS
    if len(parts) < size:
        return []
    of_part = np.fromiter((zlib.crc32(part.encode()) for part in parts), np.uint64, len(parts))
    runs = np.zeros(len(parts) - size + 1, np.uint64)
    for i in range(size):
        runs = (runs * np.uint64(1_000_003) + of_part[i : i + len(runs)]) & np.uint64(0xFFFFFFFF)
    return [int(run) for run in np.unique(runs)]
