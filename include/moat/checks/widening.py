"""Which documents may be opened to more people at once, and which wait for a person.

What is usual for a source is relative: a thousand documents are little in a warehouse and all of a team's mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moat.access.policy import Policy
from moat.checks.audience import Audience
from moat.checks.golden import Promise
from moat.ledger.passes import LetIn
from moat.source import Limits

PUBLICLY = "becomes public"
FEW = 5  # documents that any source may open in one reading
FEW_READERS = 10  # to fewer readers a document may be opened, whatever the factor
MANY_PEOPLE = 10  # known people, from which half of them is a crowd


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A document that more people could read; `was` is None where it is masked."""

    key: str
    was: Policy | None
    now: Policy
    kept_back: str = ""  # why a person has to let it in, whatever the limits say


def most_opened(limits: Limits, n_documents: int) -> int:
    """Documents of a source that one reading may open: the smaller of an absolute number and a share."""
    return min(limits.max_widened_documents, max(FEW, int(limits.max_widened_ratio * n_documents)))


def why_held(audience: Audience, limits: Limits, one: Opened, promises: Sequence[Promise] = ()) -> str:
    """Why a single document waits, in words; "" where it may be opened.

    A document that was masked comes back without a question, unless it becomes public or a golden question keeps it
    from somebody who could read it.
    """
    if one.kept_back and audience.admits_more(one.was, one.now):
        return one.kept_back
    for promise in promises:
        if one.key in promise.never and one.now.allows(promise.principals):
            return f"could be read by {promise.asker}, from whom a golden question keeps it"
    if one.now.public and not (one.was and one.was.public):
        return PUBLICLY
    if one.was is None or one.was.public:
        return ""
    if gone := one.was.deny - one.now.deny:
        return f"no longer keeps out {', '.join(sorted(gone)[:3])}"
    return _far(audience, limits, one.was, one.now)


def why_far(audience: Audience, limits: Limits, was: Policy, now: Policy) -> str:
    """Why a text of one document is for too few to stand in another, in words; "" where it may.

    The same limits as for one document whose readers grow. Public counts as everyone who is known, so what more
    than half of them read may be public; and a deny counts where it kept out somebody whom the other lets in.
    """
    if was.public and not was.deny:
        return ""
    if gone := [who for who in was.deny - now.deny if audience.lets_in(now, who)]:
        return f"no longer keeps out {', '.join(sorted(gone)[:3])}"
    if now.public:
        return "" if was.public or audience.count(was) > audience.everyone / 2 > 0 else PUBLICLY
    return "" if was.public else _far(audience, limits, was, now)


def _far(audience: Audience, limits: Limits, was: Policy, now: Policy) -> str:
    """Why the readers of one policy are far more than those of the other, in words; "" where they are not."""
    before, after, everyone = audience.count(was), audience.count(now), audience.everyone
    if after >= FEW_READERS and after > limits.max_reader_factor * before:
        return f"goes from {before:,} to {after:,} readers"
    if everyone >= MANY_PEOPLE and after > everyone / 2 and after >= 2 * before:
        return f"goes from {before:,} to {after:,} readers, more than half of {everyone:,} people"
    return ""


def held(
    audience: Audience, limits: Limits, n_documents: int, opened: Sequence[Opened], promises: Sequence[Promise] = ()
) -> tuple[dict[str, str], list[str]]:
    """Keys that wait with the reason of each, and the reasons together, that of the public ones first.

    Args:
        audience: Counts the readers of policies.
        limits: The source's limits.
        n_documents: Number of documents that the source lists.
        opened: Documents that more people could read.
        promises: Who must never read what, by the source's golden questions.
    """
    why = {one.key: reason for one in opened if (reason := why_held(audience, limits, one, promises))}
    reasons = []
    n_public = sum(reason == PUBLICLY for reason in why.values())
    if n_public:
        reasons.append(f"{n_public:,} documents would become public")
    if n_far := len(why) - n_public:
        reasons.append(f"{n_far:,} documents would be opened too far at once, such as {_some(why)}")
    # What was masked comes back as it was: only the absolute number counts.
    most, n_wider = most_opened(limits, n_documents), sum(one.was is not None for one in opened)
    if n_wider > most or len(opened) > limits.max_widened_documents:
        n, may = (n_wider, most) if n_wider > most else (len(opened), limits.max_widened_documents)
        reasons.append(f"{n:,} documents would be read by more people, {may:,} of {n_documents:,} may at once")
        why |= {one.key: "one of many" for one in opened if one.key not in why}
    return why, reasons


def let_in(audience: Audience, found: Sequence[LetIn]) -> list[LetIn]:
    """Documents of a pass that stand open to somebody by it: not where their readers only became fewer."""
    return [one for one in found if one.standing == "open" and audience.admits_more(one.was, one.now)]


def gained(audience: Audience, opened: Sequence[LetIn]) -> frozenset[str]:
    """The known people who read any of these documents only since they were opened."""
    pairs = {(one.was, one.now) for one in opened}
    return frozenset[str]().union(*(audience.gains(was, now) for was, now in pairs))


def _some(why: dict[str, str]) -> str:
    key, reason = min((pair for pair in why.items() if pair[1] != PUBLICLY), default=("", ""))
    return f"{key}, which {reason}"
