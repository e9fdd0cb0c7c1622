"""Checks that access is known, and how many documents lose or gain readers."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from moat.access.policy import TOKEN, Policy
from moat.access.rules import Public
from moat.checks import restricted
from moat.checks.audience import UNREADABLE, Audience, policy_of
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.checks.widening import PUBLICLY, Opened, held, most_opened
from moat.ledger import access_sync
from moat.ledger.approvals import OPENED
from moat.ledger.checks import CheckResult, one_over
from moat.runtime import nobodys

LEAST_UNREAD = 3  # documents of a load, from which on it waits if nobody can read any of them
SHOWN = 5

MEASURES = (
    Measure(
        name="access.unknown",
        title="share of listed documents with unknown access",
        scale="share",
        least=0.05,
        side="high",
        of="access.listed",
    ),
    Measure(
        name="access.public",
        title="share of documents that are public",
        scale="share",
        least=0.05,
        side="high",
        of="access.documents",
    ),
    Measure(
        name="access.nobody",
        title="share of documents without readers",
        scale="share",
        least=0.05,
        side="high",
        of="access.documents",
    ),
    Measure(
        name="access.emptied",
        title="share of visible documents that lose all readers",
        scale="share",
        least=0.04,
        side="high",
        of="access.visible",
    ),
    Measure(
        name="access.readers",
        title="readers of a widely read document (90 %)",
        scale="count",
        least=0.5,
        side="high",
        of="access.documents",
    ),
    Measure(
        name="access.widest",
        title="readers of the widest document that is not public",
        scale="count",
        least=0.5,
        side="high",
        severity="warn",
    ),
)


@dataclass(slots=True, kw_only=True)
class AccessSeen:
    """Access found in one pass over a load's documents."""

    n: int = 0
    unknown: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    nobody: list[str] = field(default_factory=list)
    policies: dict[Policy, tuple[int, str]] = field(default_factory=dict)  # number of documents, and the key of one


def run(candidate: Candidate) -> list[CheckResult]:
    """Check access. One document without a readable policy blocks; an empty policy is known access.

    Documents whose access became unknown are already masked; losing too many of them waits for a
    person. So does a source with nothing visible and no known access, whose rule was forgotten or does
    not fit; and the first public document of a source whose rule does not make all of it public.
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
    opened = [Opened(key=k, was=w, now=n) for k, w, n in access_sync.widening(candidate.runtime.ledger, candidate.load)]
    limits, n_listed = candidate.source.limits, candidate.load.counts.get("listed", 0)
    audience = Audience(candidate.runtime.ledger)
    waiting, reasons = held(audience, limits, n_listed, opened)
    n_public = sum(reason == PUBLICLY for reason in waiting.values())
    newly = _newly_public(candidate, looked)
    left = _left(candidate, audience)
    restricted_text, n_spread = restricted.run(candidate, audience, list(looked.policies), opened)
    candidate.measured[OPENED] = n_public + len(newly) + n_spread  # a second person may have to agree to these
    _measure(candidate, audience, looked, masked)
    if visible:
        candidate.measured["access.visible"], candidate.measured["access.emptied"] = visible, len(left) / visible
        candidate.behind["access.emptied"] = tuple(left[:SHOWN])
    results = [
        CheckResult(
            name="access widened",
            family="access",
            severity="hold",
            passed=not waiting,
            seen="; ".join(
                [
                    f"{len(opened):,} visible documents would be read by more people, {n_public:,} of them become public",
                    *reasons[bool(n_public) :],  # the first of them tells of the public ones again
                ]
            ),
            allowed=f"{most_opened(limits, n_listed):,} (Limits.max_widened_documents and max_widened_ratio), none public or far",
            documents=tuple(sorted(waiting)[:SHOWN]),
        ),
        CheckResult(
            name="newly public",
            family="access",
            severity="hold",
            passed=not newly,
            seen=f"{len(newly):,} documents are public, and no document of the source was until now",
            allowed="none, but in a first load or by the rule Public",
            documents=tuple(newly[:SHOWN]),
        ),
        restricted_text,
        CheckResult(
            name="access lost",
            family="access",
            severity="hold",
            passed=ratio <= limit,
            seen=lost,
            allowed=f"at most {limit:.0%} (Limits.max_vanished_ratio)",
            documents=tuple(masked[:SHOWN]),
        ),
        CheckResult(
            name="nobody left",
            family="access",
            severity="hold",
            passed=len(left) <= limit * visible,
            seen=f"{len(left):,} of {visible:,} visible documents would have no readers, or only empty groups",
            allowed=f"at most {limit:.0%} (Limits.max_vanished_ratio)",
            documents=tuple(left[:SHOWN]),
        ),
        *_nobody_reads(candidate, audience, looked),
        CheckResult(
            name="access known",
            family="access",
            severity="block",
            passed=not looked.unknown,
            seen=f"access of {looked.n - len(looked.unknown):,} of {looked.n:,} documents is known; "
            f"{len(looked.public):,} are public, {len(looked.nobody):,} have no readers",
            allowed="100 %",
            documents=tuple(looked.unknown[:SHOWN]),
        ),
    ]
    of_visible = ("access widened", "access lost", "nobody left")
    return [
        one_over(visible, "visible documents", r) if r.name in of_visible else one_over(looked.n, "documents", r)
        for r in results
    ]


def _nobody_reads(candidate: Candidate, audience: Audience, looked: AccessSeen) -> list[CheckResult]:
    """Hold a load of which nobody can read anything: a misspelt group lets nobody in, and looks like a good load."""
    empty = {policy: found for policy, found in looked.policies.items() if audience.none(policy)}
    n, unknown = sum(times for times, _ in empty.values()), Counter[str]()
    for policy, (times, _) in empty.items():
        unknown.update(dict.fromkeys(audience.unknown_groups(policy), times))
    named = [f"{group}{audience.like(group)}" for group, _ in unknown.most_common(SHOWN)]
    some = LEAST_UNREAD if candidate.load.counts.get("visible", 0) else 1
    documents = tuple(key for _, key in empty.values())[:SHOWN]
    return [
        CheckResult(
            name="nobody reads",
            family="access",
            severity="hold",
            passed=not n == looked.n >= some,  # that some documents are for nobody may be meant
            seen=f"{n:,} of {looked.n:,} documents are for nobody who is known",
            allowed="not all",
            documents=documents,
        ),
        CheckResult(
            name="unknown groups",
            family="access",
            severity="warn",
            passed=not named,
            seen=f"no directory has a member of {', '.join(named)}: nobody reads what only they may"
            if named
            else "none",
            allowed="none, where any directory has groups",
            documents=documents if named else (),
        ),
    ]


def _left(candidate: Candidate, audience: Audience) -> list[str]:
    """Keys of unchanged documents whose new access has no known readers."""
    moved = [p for p in candidate.plan() if p.what == "access" and p.policy]
    empty = dict[str, bool]()
    for p in moved:
        if p.policy and p.policy not in empty:
            empty[p.policy] = audience.none(policy_of(p.policy))
    return [p.key for p in moved if p.policy and empty[p.policy]]


def _looked(candidate: Candidate) -> AccessSeen:
    looked, tenant = AccessSeen(), candidate.runtime.settings.tenant
    read = dict[str, tuple[Policy, bool]]()  # policy and whether it only has access tokens, by its text
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
        elif policy.public:
            looked.public.append(p.key)
    return looked


def _newly_public(candidate: Candidate, looked: AccessSeen) -> list[str]:
    """Public documents of a load whose source is known and never had one."""
    if not looked.public or isinstance(candidate.source.access, Public):
        return []
    known, had_public = access_sync.promoted_before(candidate.runtime.ledger, candidate.source.name)
    return looked.public if known and not had_public else []


def _measure(candidate: Candidate, audience: Audience, looked: AccessSeen, masked: list[str]) -> None:
    """Record how widely the candidate's documents may be read."""
    counts, measured, behind = candidate.load.counts, candidate.measured, candidate.behind
    measured["access.listed"], measured["access.documents"] = counts.get("listed", 0), looked.n
    if counts.get("listed", 0):
        measured["access.unknown"] = counts.get("unknown", 0) / counts["listed"]
        behind["access.unknown"] = tuple(masked[:SHOWN])
    if not looked.n:
        return
    measured["access.public"], behind["access.public"] = len(looked.public) / looked.n, tuple(looked.public[:SHOWN])
    measured["access.nobody"], behind["access.nobody"] = len(looked.nobody) / looked.n, tuple(looked.nobody[:SHOWN])
    widths = sorted(
        (audience.count(policy), times, key) for policy, (times, key) in looked.policies.items() if not policy.public
    )
    if widths:
        each = np.repeat([width for width, _, _ in widths], [times for _, times, _ in widths])
        measured["access.readers"], measured["access.widest"] = float(np.quantile(each, 0.9)), float(each[-1])
        behind["access.readers"] = behind["access.widest"] = tuple(key for _, _, key in widths[:-6:-1])
