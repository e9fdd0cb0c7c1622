"""What a person is told about a load that waits: why it does, and what Release and Reject will do."""

from collections.abc import Sequence

from moat.checks import FAMILIES
from moat.ledger.checks import CheckResult
from moat.ledger.loads import Load

SHOWN = 5  # checks told in a form; its buttons have to be in view
LONGEST, TOLD = 160, 240  # characters of a reason in a title, and in the form
ORDER = {family.name: place for place, family in enumerate(FAMILIES)}


def title(load: Load, failed: Sequence[CheckResult]) -> str:
    """One line that says why a load waits: what its first failed check has seen, and how many more failed."""
    name = f"Load {load.id} of {load.source}"
    why = worst(failed)
    if not why:
        return f"{name} is held: {short(load.reason or 'see its report')}"
    more = f", and {len(why) - 1} more" if len(why) > 1 else ""
    return f"{name} is held: {short(in_words(why[0]))}{more}"


def worst(failed: Sequence[CheckResult]) -> list[CheckResult]:
    """The failed checks for which a load waits: fixed limits before learned bounds, in the order of the families."""
    holding = [r for r in failed if not r.passed and r.severity != "warn"]
    return sorted(holding, key=lambda r: (bool(r.measure), ORDER.get(r.family, len(ORDER))))


def in_words(result: CheckResult) -> str:
    """What a check has seen; a learned bound's numbers say nothing without its name."""
    return f"{result.name}: {result.seen}" if result.measure else result.seen


def short(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text on one line, cut between two words."""
    line = one_line(text)
    if len(line) <= longest:
        return line
    return line[:longest].rpartition(" ")[0].rstrip(",;:") + " …"


def one_line(text: str) -> str:
    """Flatten a value, so that it cannot break Markdown."""
    return " ".join(text.split()).replace("`", "'")


def form(load: Load, failed: Sequence[CheckResult], visible: int, hints: Sequence[str] = ()) -> str:
    """The text of the form that asks about a load, as Markdown: why it waits, and what each answer does.

    Args:
        load: The load that waits.
        failed: Its failed checks.
        visible: Number of the source's documents that are visible now.
        hints: Further lines, such as the likely cause.
    """
    why = worst(failed)
    lines = [f"- **{one_line(r.name)}**: {short(r.seen, TOLD)}. Allowed: {one_line(r.allowed)}.{_such(r)}" for r in why]
    more = [f"- and {len(why) - SHOWN} more: `moat load show {load.id}`"] if len(why) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more, "", *choices(load, visible), *(["", *hints] if hints else [])])


def choices(load: Load, visible: int) -> list[str]:
    """What Release and Reject will do to what people find, with numbers."""
    stays = f"the {visible:,} documents that are visible now stay" if visible else "the source stays empty"
    reject = (
        f"- **Reject** ends this load: nothing of it becomes visible, {stays}. The next run reads the source again."
    )
    if load.held_for == "budget":
        n = load.counts.get("new", 0) + load.counts.get("changed", 0)
        release = f"- **Release** embeds {_documents(n)} and goes on to the gate, which may hold the load again."
        return [release, reject]
    return [f"- **Release** {_done(load, visible)}.", reject]


def _done(load: Load, visible: int) -> str:
    """What a release does, such as `makes 3 new documents visible and removes 35: 28 of 60 will be visible`."""
    counts = load.counts
    new, gone, aside = counts.get("new", 0), counts.get("vanished", 0), counts.get("aside", 0)
    does = []
    if new:
        does.append(f"makes {_documents(new, 'new ')} visible")
    if counts.get("changed"):
        does.append(f"replaces {_documents(counts['changed'])} by a changed version")
    if counts.get("access"):
        does.append(f"changes who may read {_documents(counts['access'])}")
    if gone:
        does.append(f"removes {_documents(gone)} from every answer")
    left_out = aside + counts.get("unknown", 0)
    if left_out:
        does.append(f"leaves {_documents(left_out)} out, which cannot be read or whose readers are unknown")
    then = "" if aside else f": {visible + new - gone:,} documents will be visible, {visible:,} are now"
    return (", ".join(does) or "records that nothing changes") + then


def _such(result: CheckResult) -> str:
    """Two of the documents behind a failed check."""
    return f" Such as {', '.join(f'`{one_line(key)}`' for key in result.documents[:2])}." if result.documents else ""


def _documents(n: int, kind: str = "") -> str:
    return f"{n:,} {kind}document{'' if n == 1 else 's'}"
