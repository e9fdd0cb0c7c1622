"""Whether it is known of every chunk who may read it, and whether too many lose their readers or gain new ones."""

from dataclasses import dataclass, field

import numpy as np

from moat.access.policy import PUBLIC, TOKEN, Policy
from moat.access.rules import Public
from moat.checks.audience import UNREADABLE, Readers, policy_of
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger import access_sync
from moat.ledger.checks import CheckResult
from moat.runtime import nobodys

MEASURES = (
    Measure(
        "access.unknown", "share of listed documents with unknown access", "share", 0.05, "high", of="access.listed"
    ),
    Measure("access.public", "share of documents that are public", "share", 0.05, "high", of="access.documents"),
    Measure("access.nobody", "share of documents that are nobody's", "share", 0.05, "high", of="access.documents"),
    Measure(
        "access.emptied", "share of visible documents that lose all readers", "share", 0.04, "high", of="access.visible"
    ),
    Measure("access.readers", "readers of a widely read document (90 %)", "count", 0.5, "high", of="access.documents"),
    Measure("access.widest", "readers of the widest document that is not public", "count", 0.5, "high", "warn"),
)


@dataclass(slots=True)
class Looked:
    """What one pass over a load's documents leaves."""

    n: int = 0
    unknown: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    nobody: list[str] = field(default_factory=list)
    policies: dict[Policy, tuple[int, str]] = field(default_factory=dict)  # how many documents, and one's key


def run(candidate: Candidate) -> list[CheckResult]:
    """One document without a readable policy blocks the load. Nobody is an answer, unknown is none.

    Documents whose access became unknown are masked already; that so many are lost waits for a person, and so does
    a source of which nothing is visible and no access is known: its rule was forgotten, or is written for others. So
    does the first public document of a source, whose rule does not say that all of it is.
    """
    looked = _looked(candidate)
    masked = [p.key for p in candidate.plan() if p.what == "access" and p.why == "unknown"]
    visible, limit = candidate.load.counts.get("visible", 0), candidate.source.limits.max_vanished_ratio
    ratio = len(masked) / visible if visible else 0.0
    lost = (
        f"access of {len(masked):,} of {visible:,} visible documents became unknown ({ratio:.0%}): nobody sees them now"
    )
    if nobodys(candidate.load.counts):
        listed = candidate.load.counts["listed"]
        ratio, lost = 1.0, f"access of all {listed:,} listed documents is unknown: nobody would see one of them"
    widened, n_public = access_sync.widening(candidate.way.ledger, candidate.load)
    most = candidate.source.limits.max_widened_documents
    newly = _newly_public(candidate, looked)
    left = _left(candidate)
    _measure(candidate, looked, masked)
    if visible:
        candidate.measured["access.visible"], candidate.measured["access.emptied"] = visible, len(left) / visible
        candidate.behind["access.emptied"] = tuple(left[:5])
    return [
        CheckResult(
            "access widened",
            "access",
            "hold",
            len(widened) <= most and not n_public,
            f"{len(widened):,} visible documents would be read by more people, {n_public:,} of them become public",
            f"{most:,} (Limits.max_widened_documents), none public",
            tuple(widened[:5]),
        ),
        CheckResult(
            "newly public",
            "access",
            "hold",
            not newly,
            f"{len(newly):,} documents are public, and no document of the source was until now",
            "none, but in a first load or by the rule Public",
            tuple(newly[:5]),
        ),
        CheckResult(
            "access lost",
            "access",
            "hold",
            ratio <= limit,
            lost,
            f"at most {limit:.0%} (Limits.max_vanished_ratio)",
            tuple(masked[:5]),
        ),
        CheckResult(
            "nobody left",
            "access",
            "hold",
            len(left) <= limit * visible,
            f"{len(left):,} of {visible:,} visible documents are let to nobody, or to groups that nobody is in",
            f"at most {limit:.0%} (Limits.max_vanished_ratio)",
            tuple(left[:5]),
        ),
        CheckResult(
            "access known",
            "access",
            "block",
            not looked.unknown,
            f"access of {looked.n - len(looked.unknown):,} of {looked.n:,} documents is known; "
            f"{len(looked.public):,} are public, {len(looked.nobody):,} are nobody's",
            "100 %",
            tuple(looked.unknown[:5]),
        ),
    ]


def _left(candidate: Candidate) -> list[str]:
    """Keys of documents whose content stays and whose new access lets nobody in, as far as groups are known."""
    moved = [p for p in candidate.plan() if p.what == "access" and p.policy]
    readers, empty = Readers(candidate.way.ledger), dict[str, bool]()
    for p in moved:
        if p.policy and p.policy not in empty:
            empty[p.policy] = readers.none(policy_of(p.policy))
    return [p.key for p in moved if p.policy and empty[p.policy]]


def _looked(candidate: Candidate) -> Looked:
    looked, tenant = Looked(), candidate.way.settings.tenant
    read = dict[str, tuple[Policy, bool]]()  # policy, and whether it gives tokens alone, by its text
    for p in candidate.prepared():
        looked.n += 1
        if p.policy not in read:
            policy = policy_of(p.policy)
            read[p.policy] = policy, policy is not UNREADABLE and all(map(TOKEN.match, policy.tokens(tenant)))
        policy, known = read[p.policy]
        if not known:
            looked.unknown.append(p.key)
        if policy is UNREADABLE:
            continue
        times, key = looked.policies.get(policy, (0, p.key))
        looked.policies[policy] = times + 1, key
        if policy.nobody:
            looked.nobody.append(p.key)
        elif public(policy):
            looked.public.append(p.key)
    return looked


def public(policy: Policy) -> bool:
    """Whether it lets in everyone who is known, but for those whom it denies."""
    return any(PUBLIC in layer for layer in policy.layers)


def _newly_public(candidate: Candidate, looked: Looked) -> list[str]:
    """The public documents of a load, where its source is known and never had one."""
    if not looked.public or isinstance(candidate.source.access, Public):
        return []
    known, had_public = access_sync.promoted_before(candidate.way.ledger, candidate.source.name)
    return looked.public if known and not had_public else []


def _measure(candidate: Candidate, looked: Looked, masked: list[str]) -> None:
    """Leave in the candidate how widely its documents may be read."""
    counts, measured, behind = candidate.load.counts, candidate.measured, candidate.behind
    measured["access.listed"], measured["access.documents"] = counts.get("listed", 0), looked.n
    if counts.get("listed", 0):
        measured["access.unknown"] = counts.get("unknown", 0) / counts["listed"]
        behind["access.unknown"] = tuple(masked[:5])
    if not looked.n:
        return
    measured["access.public"], behind["access.public"] = len(looked.public) / looked.n, tuple(looked.public[:5])
    measured["access.nobody"], behind["access.nobody"] = len(looked.nobody) / looked.n, tuple(looked.nobody[:5])
    readers = Readers(candidate.way.ledger)
    widths = sorted(
        (readers.count(policy), times, key) for policy, (times, key) in looked.policies.items() if not public(policy)
    )
    if widths:
        each = np.repeat([width for width, _, _ in widths], [times for _, times, _ in widths])
        measured["access.readers"], measured["access.widest"] = float(np.quantile(each, 0.9)), float(each[-1])
        behind["access.readers"] = behind["access.widest"] = tuple(key for _, _, key in widths[:-6:-1])
