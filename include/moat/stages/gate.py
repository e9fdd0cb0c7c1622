"""gate: check the whole staged load, then pass, hold or block it.

All checks run and all results are recorded; then the gate decides once.
"""

import importlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from moat.checks import FAMILIES, baselines, held
from moat.checks.candidate import Candidate
from moat.checks.held import one_line
from moat.checks.measures import Measure
from moat.checks.verdict import Verdict, verdict
from moat.errors import GateBlocked, MoatError, RetriableError
from moat.foreign import said
from moat.incidents.lifecycle import gate_judged
from moat.ledger import checks as results
from moat.ledger import documents, incidents, measures, older_versions, quarantine
from moat.ledger.checks import CheckResult
from moat.ledger.incidents import Incident
from moat.ledger.loads import Load, hold, note
from moat.ledger.measures import cut_short, excused
from moat.links import page
from moat.runtime import Runtime, path, timed
from moat.source import Source
from moat.stages.rejected_before import rejected_before

NOTHING = "not judged (there is nothing to check)"


@timed("gate")
def check(runtime: Runtime, source: Source, number: int, family: str) -> list[CheckResult]:
    """Run the checks of one family, and record their results and measures.

    A check that crashes counts as failed and blocks the load.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        family: Name of the family, one of `moat.checks.FAMILIES`.

    Returns:
        The recorded results; at least one.

    Raises:
        RetriableError: A system did not answer; the task may run again.
    """
    load = runtime.load(number)
    candidate = Candidate(runtime=runtime, source=source, load=load)
    try:
        module = importlib.import_module(next(f.module for f in FAMILIES if f.name == family))
        found = list(module.run(candidate))
        measures.keep(runtime.ledger, load, family, candidate.measured)
        if candidate.versions:
            older_versions.keep(runtime.ledger, load, candidate.versions)
        found += _learned(candidate, family, getattr(module, "MEASURES", ()))
    except RetriableError:
        raise
    except Exception as error:  # noqa: BLE001  a check that crashed has seen nothing, so it must not pass
        runtime.progress("".join(traceback.format_tb(error.__traceback__)) + said(error))
        found = [
            CheckResult(
                name=f"{family} crashed",
                family=family,
                severity="block",
                passed=False,
                seen=(f"{type(error).__name__}: {error}" if isinstance(error, MoatError) else said(error))[:500],
                allowed="a check that runs",
            )
        ]
    if not found:
        found = [
            CheckResult(
                name=family, family=family, severity="warn", passed=False, seen=NOTHING, allowed="", judged=False
            )
        ]
    results.keep(runtime.ledger, load, family, found)
    runtime.progress(table(found))
    return found


def _learned(candidate: Candidate, family: str, of: Sequence[Measure]) -> Iterator[CheckResult]:
    """Compare the family's measures with those of earlier loads.

    A run that left documents out is not compared, unless it still brings as many as a usual load.
    """
    load = candidate.load
    if not of:
        return
    past, n = measures.history(candidate.runtime.ledger, load), candidate.n_documents
    usual = [p.value for p in past.get("documents", ())]
    if cut_short(load.options, load.counts) and (not usual or n < max(1.0, median(usual))):
        return
    measured = {"documents": float(n), **candidate.measured}
    for r in baselines.judge(of, measured, past, load.opened_at, excused(load.options, load.counts)):
        name = f"{baselines.SUMMARY}, {family}" if r.name == baselines.SUMMARY else r.name
        r = replace(r, name=name, family=family, documents=candidate.behind.get(r.measure, ()))
        why = candidate.explained.get(r.measure)
        yield replace(r, severity="warn", seen=f"{r.seen}; {why}") if why else r


def refused(found: list[CheckResult]) -> list[str]:
    """Return the names of checks that judged and passed, so that a broken rule turns its task red.

    A check that only holds the load breaks nothing: a person decides at the task `decide`, which alone waits.

    Raises:
        GateBlocked: A check that blocks has failed; the message names each that failed.
    """
    broken = [r for r in found if r.failed and r.severity != "warn"]
    if any(r.severity == "block" for r in broken):
        raise GateBlocked("; ".join(f"{r.name} ({r.severity}): {r.seen}, allowed: {r.allowed}" for r in broken))
    return [r.name for r in found if r.judged and not r.failed]


def decide(runtime: Runtime, source: Source, number: int) -> Verdict:
    """Decide on a checked load, hold it if a check asks for a person, and stage the report.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.

    Returns:
        The verdict: pass, hold or block, with every result.
    """
    load, found = runtime.load(number), verdict(runtime, number)
    n_aside = quarantine.count(runtime.ledger, load)
    if n_aside:
        note(runtime.ledger, load, {"aside": n_aside})
    before = rejected_before(runtime, load) if found.outcome == "hold" else ""
    if found.outcome == "hold" and not load.decided_by:
        hold(runtime.ledger, load, f"{found.reason}; {before}" if before else found.reason)
    runtime.progress(f"{source.name} load {number}: {found.outcome}" + (f": {found.reason}" if found.reason else ""))
    judged = runtime.load(number)
    incident = gate_judged(runtime, source, judged, found)
    runtime.staging.write_bytes(report_path(judged), report(judged, found, incident, before).encode())
    return found


def question(runtime: Runtime, load: Load, found: Verdict) -> tuple[str, str]:
    """The title and the text of the form that asks a person about a held load."""
    hints = list[str]()
    if before := rejected_before(runtime, load):
        hints.append(f"**Rejected before:** {one_line(before)}.")
    for incident in incidents.of_load(runtime.ledger, load.id)[:1]:
        likely = [one_line(str(cause["title"])) for cause in incident.detail.get("causes", ())[:2]]
        said = f"**Likely:** {'; or: '.join(likely)}. " if likely else ""
        shown = page("", "incident", incident=incident.id)
        hints.append(
            f"{said}What shows it, and what mends it: [incident {incident.id}]({shown}), or `moat incident show {incident.id}`."
        )
    shown = page("", "load", load=load.id)
    hints.append(
        f"Every check, number and document: [load {load.id}]({shown}), or `moat load show {load.id}` and the log of this task."
    )
    visible = documents.count_visible(runtime.ledger, load.source)
    return held.title(load, found.failed), held.form(load, found.failed, visible, hints)


def report_path(load: Load) -> str:
    """Path of a load's report in staging."""
    return path(load.source, load.id, "gate", "report.md")


def table(found: tuple[CheckResult, ...] | list[CheckResult]) -> str:
    """Format results as a table for a log."""
    rows = [("", "check", "seen", "allowed")]
    rows += [(r.state, f"{r.family}: {r.name}", r.seen, r.allowed) for r in found]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def report(load: Load, found: Verdict, incident: Incident | None, before: str = "") -> str:
    """Format the verdict as Markdown for a narrow panel, failed checks first."""
    lines = [f"**Load {load.id} of {load.source}: {found.outcome}.** {_counted(load)}", ""]
    if why := excused(load.options, load.counts):
        by = f", by {load.run}" if load.options.get("expected") else ""
        lines += [f"Expected change{by}: {one_line(why)}. Learned bounds only warn.", ""]
    if before:
        lines += [f"**Rejected before:** {one_line(before)}.", ""]
    if incident is not None:
        likely = [one_line(str(cause["title"])) for cause in incident.detail.get("causes", ())[:3]]
        lines += [
            f"**Likely:** {'; or: '.join(likely)}. Why, and what mends it: `moat incident show {incident.id}`.",
            "",
        ]
    if found.failed:
        lines += ["### What failed", ""]
        for r in found.failed:
            lines.append(
                f"- **{r.severity}: {one_line(r.name)}** ({r.family}). {one_line(r.seen)}. Allowed: {one_line(r.allowed)}."
            )
            if r.documents:
                lines.append(f"  Such as {', '.join(f'`{one_line(key)}`' for key in r.documents)}")
        lines.append("")
    passed, idle = [r for r in found.results if r.passed], [r for r in found.results if not r.judged]
    lines += [f"### What passed: {len(passed)} of {len(found.results) - len(idle)} that judged something", ""]
    lines += _by_family(passed)
    if idle:
        lines += ["", f"### Not judged: {len(idle)}", "", *_by_family(idle, why=True)]
    return "\n".join(lines)


def _by_family(results: Sequence[CheckResult], why: bool = False) -> Iterator[str]:
    """Names of results as one item per family, with what each of them says if `why`."""
    for family in dict.fromkeys(r.family for r in results):
        of = [(r, one_line(r.name.removesuffix(f", {family}"))) for r in results if r.family == family]
        yield f"- {family}: {', '.join(f'{name}: {one_line(r.seen)}' if why else name for r, name in of)}"


COUNTS = {  # labels of the counts, in the order of the report
    "listed": "listed",
    "new": "new",
    "changed": "changed",
    "touched": "touched and the same",
    "access": "moved in access only",
    "vanished": "gone",
    "unknown": "whose access is unknown",
    "aside": "set aside",
    "waiting": "left for the next run",
    "visible": "visible until now",
}


def _counted(load: Load) -> str:
    """Summarize the document counts of a load."""
    told = [f"{n:,} {words}" for name, words in COUNTS.items() if (n := load.counts.get(name, 0))]
    return f"Documents: {', '.join(told) or 'none'}."
