"""What a load costs is counted, and one over its budget waits before anything is embedded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from moat.checks.candidate import Candidate
from moat.cli.render import estimate
from moat.embedding.client import HttpEmbedder, Vectors
from moat.errors import FatalError, LoadInProgress, LoadRefused
from moat.ledger import Ledger, incidents, loads, spending
from moat.ledger.loads import Load
from moat.ledger.tables import embedding
from moat.pricing import Spending, cost, spending_line
from moat.runtime import Options, Runtime
from moat.settings import Settings
from moat.source import Limits, Source
from moat.stages.budget import judge
from moat.stages.dry_run import dry_run
from moat.stages.embed import embed
from moat.stages.run import RunResult, finish
from tests.company import ANN, Company, stored

STAGES = {"read", "prepare", "embed", "gate", "load", "promote"}


def limited(company: Company, **limits: Any) -> Source:
    return company.declared(limits=Limits(**{"max_vanished_ratio": 0.9, "max_failed_ratio": 1.0, **limits}))


def n_embedded(ledger: Ledger) -> int:
    """Texts that any model has embedded."""
    with ledger.read() as connection:
        return connection.execute(select(func.count()).select_from(embedding)).scalar_one()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that this test gave to the embedder, which other tests use as well."""
    texts: list[str] = []
    embedded = HttpEmbedder.embed

    def embed(self: HttpEmbedder, some: Sequence[str], *priority: Any) -> Vectors:
        texts.extend(some)
        return embedded(self, some, *priority)

    monkeypatch.setattr(HttpEmbedder, "embed", embed)
    return texts


def tokens_of(company: Company, load: Load) -> int:
    """Tokens of the distinct texts of a load."""
    chunks = Candidate(runtime=company.runtime, source=company.source, load=load).chunks()
    return sum({c.text_hash: c.n_tokens for c in chunks}.values())


def spent(company: Company, result: RunResult) -> Spending:
    return Spending.of_load(company.runtime.ledger, company.runtime.settings, result.load.id)


def test_a_load_counts_its_seconds_by_stage_and_the_tokens_that_the_model_was_given(company: Company) -> None:
    company.write("twin.md", (company.folder / "leave.md").read_text())
    first = company.run()
    assert first.load.state == "promoted"
    assert set(spent(company, first).seconds) == STAGES
    assert all(seconds > 0 for seconds in spent(company, first).seconds.values())
    assert spent(company, first).tokens == tokens_of(company, first.load) > 0
    again = company.run(full=True)
    assert spent(company, again).tokens == 0, "every text was embedded before"
    assert spent(company, company.run()).seconds.keys() == {"read"}


def test_a_load_over_its_budget_waits_and_nothing_is_embedded(company: Company, given: list[str]) -> None:
    source = limited(company, max_tokens=10)
    held = company.run(source)
    assert (held.load.state, held.load.held_for, held.verdict, held.passed) == ("held", "budget", None, False)
    wanted = tokens_of(company, held.load)
    assert held.load.reason == f"budget: {wanted} tokens for the model, allowed: 10"
    assert "embed" not in held.seconds
    for batch in range(held.load.counts["batches"]):
        with pytest.raises(LoadRefused, match=rf"load {held.load.id} of docs waits for a person.*`moat release"):
            embed(company.runtime, source, held.load.id, batch)
    with pytest.raises(LoadInProgress, match="waits for a person"):
        company.run(source)
    assert (n_embedded(company.runtime.ledger), given) == (0, []), "the model saw none of it"
    assert spent(company, held).tokens == 0
    report = company.runtime.staging.read_bytes(f"docs/{held.load.id}/budget/report.md").decode()
    assert "allowed: 10" in report
    assert "3 new" in report
    (told_of,) = incidents.of_load(company.runtime.ledger, held.load.id)
    assert (told_of.stage, told_of.severity, told_of.state) == ("embed", "hold", "open")
    assert told_of.detail["causes"][0]["name"] == "budget_exceeded"


def test_a_released_load_goes_on_and_is_not_asked_about_again(company: Company) -> None:
    source = limited(company, max_tokens=10)
    held = company.run(source)
    released = loads.release(company.runtime.ledger, held.load.id, "ann", "it is the first load")
    assert (released.state, released.budget_by, released.decided_by) == ("open", "ann", None)
    judge(company.runtime, source, held.load.id)
    assert company.runtime.load(held.load.id).state == "open"
    done = finish(company.runtime, source, held.load.id, "ann")
    assert (done.load.state, done.passed) == ("promoted", True)
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
    assert [one.state for one in incidents.of_load(company.runtime.ledger, held.load.id)] == ["resolved"]
    assert spent(company, done).tokens == tokens_of(company, done.load)


def test_what_a_person_lets_cost_more_the_gate_can_still_hold(company: Company) -> None:
    company.run()
    for name in ("trips.md", "people/pay.md"):
        company.remove(name)
    company.write("leave.md", "# Leave\n\nParental leave lasts thirty weeks.\n")
    source = limited(company, max_tokens=1, max_vanished_ratio=0.1)
    held = company.run(source)
    assert held.load.held_for == "budget"
    loads.release(company.runtime.ledger, held.load.id, "ann")
    again = finish(company.runtime, source, held.load.id, "ann")
    assert (again.load.state, again.load.held_for, again.load.budget_by) == ("held", "gate", "ann")
    assert "mass deletion" in (again.load.reason or "")
    released = loads.release(company.runtime.ledger, held.load.id, "bob")
    assert (released.budget_by, released.decided_by) == ("ann", "bob")
    assert finish(company.runtime, source, held.load.id, "bob").load.state == "promoted"


def test_a_rejected_load_ends_and_the_next_run_asks_anew(company: Company) -> None:
    source = limited(company, max_tokens=10)
    first = company.run(source)
    loads.reject(company.runtime.ledger, first.load.id, "ann", "too much")
    second = company.run(source)
    assert (second.load.state, second.load.held_for) == ("held", "budget")
    assert n_embedded(company.runtime.ledger) == 0


def test_only_texts_that_the_model_has_not_embedded_are_counted_each_once(company: Company) -> None:
    company.write("twin.md", (company.folder / "leave.md").read_text())
    first = company.run()
    exactly = tokens_of(company, first.load)
    assert exactly < sum(
        c.n_tokens for c in Candidate(runtime=company.runtime, source=company.source, load=first.load).chunks()
    )
    other = limited(company, max_tokens=1)
    assert company.run(other, full=True).load.state == "promoted", "all of it was embedded before"
    company.write("new.md", "# New\n\nThe crane is painted blue.\n")
    held = company.run(other)
    (new,) = Candidate(runtime=company.runtime, source=company.source, load=held.load).chunks()
    assert held.load.reason == f"budget: {new.n_tokens} tokens for the model, allowed: 1"


def test_a_budget_that_fits_asks_nobody(company: Company) -> None:
    fits = company.run(limited(company, max_tokens=100_000))
    assert (fits.load.state, fits.load.budget_by) == ("promoted", None)
    company.remove("trips.md")
    assert company.run(limited(company, max_tokens=1)).load.state == "promoted", "a run that only removes costs nothing"


def test_tries_that_failed_have_cost_too(company: Company) -> None:
    source = limited(company, max_tokens=10)
    number = company.run(source).load.id
    ahead = judge(company.runtime, source, number).tokens
    spending.spend(company.runtime.ledger, number, "embed", 0, seconds=36.0, tokens=500)
    assert judge(company.runtime, source, number).tokens == ahead + 500


def test_a_budget_in_money_is_held_by_the_price_of_tokens(company: Company) -> None:
    company.set(cost_per_million_tokens=2_000.0, currency="EUR")
    held = company.run(limited(company, max_cost=0.01))
    amount = tokens_of(company, held.load) * 0.002
    assert held.load.reason == f"budget: {amount:.2f} EUR, allowed: 0.01 EUR (at 2000 a million tokens)"
    loads.reject(company.runtime.ledger, held.load.id, "ann")
    assert company.run(limited(company, max_cost=amount + 0.001)).load.state == "promoted"


def test_a_budget_in_money_without_a_price_is_refused_before_anything_is_read(company: Company) -> None:
    with pytest.raises(FatalError, match=r"source docs: Limits\(max_cost=5\) needs a price: set MOAT_COST_PER_MILLION"):
        company.run(limited(company, max_cost=5.0))
    assert loads.recent(company.runtime.ledger) == []


def test_a_cost_is_tokens_by_their_price_and_hours_of_embedding_by_the_machines() -> None:
    priced = Settings.model_validate({"cost_per_million_tokens": 0.5, "cost_per_hour": 3.6, "currency": "CHF"})
    free = Settings.model_validate({})
    counted = {"read": (100.0, 0), "embed": (1_000.0, 4_000_000)}
    assert cost(priced, counted) == pytest.approx(2.0 + 1.0)
    assert cost(free, counted) == 0
    assert (
        spending_line(priced, Spending.of(priced, counted))
        == "4,000,000 tokens, 3.00 CHF; read 100.0 s, embed 1,000.0 s"
    )
    assert "0.00" not in spending_line(free, Spending.of(free, counted)), "no price is no cost of nothing"


def test_a_dry_run_tells_what_it_would_cost(company: Company) -> None:
    free = dry_run(company.runtime, company.source, Options())
    assert (free.cost, free.currency) == (0, "")
    assert "USD" not in estimate("docs", free)
    company.set(cost_per_million_tokens=1_000.0)
    dear = dry_run(company.runtime, company.source, Options())
    assert dear.cost == pytest.approx(dear.tokens / 1_000)
    assert f"{dear.cost:.2f} USD" in estimate("docs", dear)


def test_a_load_taken_up_again_embeds_only_what_is_left(runtime: Runtime, tmp_path: Path) -> None:
    company = Company(runtime, tmp_path / "docs")
    company.set(batch_mb=0.001)
    for name in ("a", "b", "c"):
        company.write(f"{name}.md", f"# {name}\n\n" + f"The {name} crane lifts forty tonnes at noon. " * 10)
    source = limited(company, max_tokens=10)
    held = company.run(source)
    assert held.load.counts["batches"] == 2
    loads.release(runtime.ledger, held.load.id, "ann")
    embed(runtime, source, held.load.id, 0)
    vectors = Path(runtime.settings.staging, "docs", str(held.load.id), "embed", "0000.parquet")
    before = vectors.stat().st_ino
    seen = []
    object.__setattr__(
        runtime, "progress", lambda line: seen.append((line, vectors.exists() and vectors.stat().st_ino))
    )
    assert finish(runtime, source, held.load.id, "ann").load.state == "promoted"
    assert {inode for line, inode in seen if "chunks have vectors" in line} == {before}
    index = company.index()
    assert len(stored(index)) == 7
    index.close()
