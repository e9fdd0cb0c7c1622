"""What a company came to, beside the aims, as a page of bench."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.proofs.trust.harness import Night
from tests.proofs.trust.kind import Harm
from tests.proofs.trust.nights import Honest, Outcome

NIGHTS_PER_FALSE_HOLD, HELD_OF_HONEST, KINDS = 180, 4, 200
COLUMNS = ("whole", "all", "a tenth", "three")


def page(
    nights: Sequence[Night],
    found: Sequence[Outcome],
    honest: Sequence[Honest],
    harms: Sequence[Harm],
    unseen: Mapping[str, str],
    opening: Sequence[str],
    ran_on: str,
) -> str:
    """The page as Markdown.

    Args:
        nights: Clean nights.
        found: What became of each kind in each size that was run.
        honest: What became of the honest changes.
        harms: All kinds, in their order.
        unseen: Reasons by kind of what cannot be seen.
        opening: Title and what was measured, as lines of Markdown.
        ran_on: Machine, packages and date.
    """
    days, right = len({n.day for n in nights}), {h.name: h.right for h in harms}
    stops, warnings = [n for n in nights if n.stopped], [n for n in nights if n.outcome == "warned"]
    seen = [o for o in found if o.verdict != "silent" and o.causes]
    first = sum(o.causes[0] in right[o.kind] for o in seen)
    three = sum(bool(set(o.causes[:3]) & right[o.kind]) for o in seen)
    ran = {o.kind for o in found}
    held = [h for h in honest if h.night.stopped]
    lines = [
        *opening,
        "",
        ran_on,
        "",
        "| promise | aim | measured |",
        "|---|---|---|",
        f"| clean nights held or blocked, of {len(nights)} over {days} days | at most 1 in {NIGHTS_PER_FALSE_HOLD} | {len(stops)} |",
        f"| clean nights with a warning | | {len(warnings)} |",
        f"| honest changes held, of {len(honest)} | at most 1 in {HELD_OF_HONEST} | {len(held)} |",
        f"| held honest changes that one release lets through | all | {sum(h.released for h in held)} of {len(held)} |",
        f"| kinds of harm that ran | {KINDS} in all companies | {len(ran)} of {len(harms)} |",
    ]
    for size in COLUMNS:
        of = [o for o in found if o.size == size]
        counts = Counter(o.verdict for o in of)
        told = ", ".join(f"{n} {v}" for v, n in sorted(counts.items(), key=lambda one: -one[1]))
        lines.append(f"| {size}: {len(of)} | | {told} |")
    lines += _severe(found, harms)
    lines += [
        f"| cause right, first of those named, of {len(seen)} | | {first / max(1, len(seen)):.0%} |",
        f"| cause right, among three | | {three / max(1, len(seen)):.0%} |",
        "",
        "Stopped: held, blocked, or the access waits for a person. Told: a warning, and promoted. Live: access sync let documents",
        "in within minutes, as its limits allow. Silent: nothing was said. A number after it is that of the nights.",
        "",
        "## Kinds",
        "",
        f"| kind | what happens | {' | '.join(COLUMNS)} | first cause, in the largest size |",
        f"|---|---|{'---|' * len(COLUMNS)}---|",
    ]
    by = {(o.kind, o.size): o for o in found}
    for harm in harms:
        cells = [by.get((harm.name, size)) for size in COLUMNS]
        if largest := next((o for o in cells if o), None):
            cause = largest.causes[0] if largest.causes else "–"
            mark = "" if cause == "–" or cause in harm.right else " (not the right one)"
            lines.append(f"| {harm.name} | {harm.says} | {' | '.join(map(_cell, cells))} | {cause}{mark} |")
    lines += ["", "## Silent", ""]
    for o in found:
        if o.verdict == "silent":
            why = unseen.get(
                o.kind,
                "too few for chance to be out of the question, or nothing that they have in common"
                if o.size in ("three", "a tenth")
                else "",
            )
            lines.append(f"- {o.kind}, {o.size} ({o.hit}){': ' + why if why else ''}")
    lines += [
        "",
        "## Honest changes",
        "",
        "| change | verdict | by | first cause | released in one step | flagged on the next day |",
        "|---|---|---|---|---|---|",
    ]
    for h in honest:
        checks = "; ".join(name for name, _, _ in h.night.failed) or h.night.error or "–"
        cause = h.causes[0] if h.causes else "–"
        lines.append(
            f"| {h.kind} | {h.night.outcome} | {checks} | {cause} | {'yes' if h.released else 'no'} | {'; '.join(h.later) or 'none'} |"
        )
    lines += ["", "## Clean nights that were flagged", ""]
    lines += [f"- day {n.day}, {n.source}, {n.outcome}: {_checks(n)}" for n in nights if n.flagged] or ["None."]
    return "\n".join(lines) + "\n"


def _severe(found: Sequence[Outcome], harms: Sequence[Harm]) -> list[str]:
    """What became of the severe kinds by size, where a company marks which they are."""
    severe = {h.name for h in harms if h.weight == "severe"}
    if len(severe) == len(harms):
        return []
    lines = []
    for size in COLUMNS:
        if of := [o for o in found if o.size == size and o.kind in severe]:
            stopped, told = (
                sum(o.verdict == "stopped" for o in of),
                sum(o.verdict not in ("live", "silent") for o in of),
            )
            live = sum(o.live > 0 and o.verdict != "stopped" for o in of)
            lines += [
                f"| severe, {size}: {len(of)}, stopped | at least 90% | {stopped} ({stopped / len(of):.0%}) |",
                f"| severe, {size}: stopped or told | at least 98% | {told} ({told / len(of):.0%}) |",
                f"| severe, {size}: live by access sync | 0 | {live} |",
            ]
    return lines


def _checks(night: Night) -> str:
    return ("; ".join(f"{name}: {seen}" for name, _, seen in night.failed) or night.error)[:300]


def _cell(o: Outcome | None) -> str:
    if o is None:
        return ""
    live = f" ({o.live} live)" if o.live and o.verdict != "silent" else ""
    return f"{o.verdict}{live}{f' {o.nights}' if o.nights > 1 else ''}"
