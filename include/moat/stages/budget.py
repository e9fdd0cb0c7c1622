"""budget: hold a load that would exceed its source's budget, before anything is embedded."""

from moat.batching import windows
from moat.checks.candidate import Candidate
from moat.checks.held import choices
from moat.checks.verdict import Verdict
from moat.embedding.client import embedder_of
from moat.incidents.lifecycle import gate_judged
from moat.ledger import documents, embeddings, loads, spending
from moat.ledger.checks import CheckResult
from moat.ledger.loads import Load
from moat.pricing import EMBED, Spending, money, priced
from moat.runtime import Runtime, path, timed
from moat.settings import Settings
from moat.source import Source

BUDGET = "budget"


@timed("budget")
def judge(runtime: Runtime, source: Source, number: int) -> Spending:
    """Hold a load that would cost more than its source allows; nothing is embedded for it.

    A load that a person released is not held for its budget again.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.

    Returns:
        Cost of the load once it is embedded. Only texts that this model has not embedded are counted.

    Raises:
        FatalError: A budget in money has no price of tokens.
    """
    load = runtime.load(number)
    priced(runtime.settings, source)
    spent = spending.of_load(runtime.ledger, number)
    seconds, given = spent.get(EMBED, (0.0, 0))
    ahead = Spending.of(runtime.settings, {**spent, EMBED: (seconds, given + _to_embed(runtime, source, load))})
    found = Verdict("hold", over(runtime.settings, source, ahead))
    if found.results and not load.budget_by:
        loads.hold(runtime.ledger, load, found.reason, held_for="budget")
        visible = documents.count_visible(runtime.ledger, source.name)
        told_of = report(runtime.load(number), found.reason, visible)
        runtime.staging.write_bytes(path(source.name, number, "budget", "report.md"), told_of.encode())
        gate_judged(runtime, source, runtime.load(number), found)
    judged = found.reason or "within its budget"
    runtime.progress(f"{source.name} load {number}: {ahead.tokens:,} tokens for the model; {judged}")
    return ahead


def over(settings: Settings, source: Source, ahead: Spending) -> tuple[CheckResult, ...]:
    """Compare a cost with the budget; one failed check per exceeded limit."""
    found, limits = list[tuple[str, str]](), source.limits
    if limits.max_tokens is not None and ahead.tokens > limits.max_tokens:
        found.append((f"{ahead.tokens:,} tokens for the model", f"{limits.max_tokens:,}"))
    if limits.max_cost is not None and ahead.cost > limits.max_cost:
        price = f"at {settings.cost_per_million_tokens:g} a million tokens"
        found.append((money(settings, ahead.cost), f"{money(settings, limits.max_cost)} ({price})"))
    # Not a check of the gate, whose results decide on the load: the budget is decided before, by itself.
    return tuple(
        CheckResult(name=BUDGET, family=BUDGET, severity="hold", passed=False, seen=seen, allowed=allowed)
        for seen, allowed in found
    )


def report(load: Load, reason: str, visible: int) -> str:
    """Report for the person who decides, as Markdown for a narrow panel."""
    counts = ", ".join(f"{load.counts[n]:,} {n}" for n in ("new", "changed") if load.counts.get(n))
    return "\n".join(
        [
            f"**Load {load.id} of {load.source} would cost more than its budget.**",
            "",
            *(f"- {one.removeprefix('budget: ')}" for one in reason.split("; ")),
            f"- documents: {counts or 'none'}",
            "",
            "Nothing of it was sent to the model.",
            "",
            *choices(load, visible),
        ]
    )


def _to_embed(runtime: Runtime, source: Source, load: Load) -> int:
    """Tokens of the load's texts that its model has not embedded, each text once."""
    embedder = embedder_of(runtime.settings, runtime.connections, runtime.progress)
    try:
        model = embedder.info().key
    finally:
        embedder.close()
    tokens, seen = 0, set[bytes]()
    for window in windows(Candidate(runtime=runtime, source=source, load=load).chunks(), 2_000):
        new = {c.text_hash: c.n_tokens for c in window if bytes.fromhex(c.text_hash)[:16] not in seen}
        seen.update(bytes.fromhex(text_hash)[:16] for text_hash in new)
        there = embeddings.there(runtime.ledger, model, new)
        tokens += sum(n for text_hash, n in new.items() if text_hash not in there)
        loads.renew(runtime.ledger, load, runtime.lease_s)
    return tokens
