"""Leak sweep: a whole organisation on a real index, as many askers as it has kinds, against the oracle."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from moat.settings import Settings
from tests.proofs.access import oracle
from tests.proofs.access.harness import place, settle
from tests.proofs.access.organisation import EVERYONE, NOBODY, PUBLIC, TWIN, Organisation, organisation
from tests.proofs.access.sweep import MODES, Tally, sweep

SEED = 4
FEWEST_ASKERS = 250


@pytest.fixture(scope="module")
def org() -> Organisation:
    return organisation(SEED)


@pytest.fixture(scope="module")
def settled(
    weaviate_server: Settings, org: Organisation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, list[str]]]:
    with place(weaviate_server, tmp_path_factory.mktemp("sweep")) as settings:
        yield settings, settle(settings, org)


def test_the_oracle_is_short_and_shares_no_code_with_moat() -> None:
    text = Path(oracle.__file__).read_text("utf-8")
    assert len(text.splitlines()) <= 80
    tree = ast.parse(text)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {"collections", "functools", "typing", "unicodedata"}


def test_the_organisation_has_everything_that_goes_wrong_elsewhere(org: Organisation) -> None:
    groups = {g: m for one in org.directories.values() for g, m in one.items()}
    live = [p for p in org.papers if p.state == "live"]
    rules = [p.rule for p in live if p.rule]
    assert (len(org.people), len(groups), len({(p.source, p.key) for p in org.papers})) == (2_000, 500, 5_000)
    assert _depth(groups) >= 6
    assert any(group in members for group, members in groups.items())  # a group in itself, the smallest circle
    assert any(not members for members in groups.values())
    assert {d for d, one in org.directories.items() if f"group:{d}/{TWIN}" in one} == {"okta", "ad"}
    assert max(len(one_of) for rule in rules for one_of in rule.all_of) > 256
    assert {1, 2, 3} <= {len(rule.all_of) for rule in rules}
    assert {"user", "group"} <= {p.partition(":")[0] for rule in rules for p in rule.none_of}
    assert PUBLIC in rules
    assert NOBODY in rules
    assert any(EVERYONE in rule.all_of[0] and rule.none_of for rule in rules)
    assert sum(p.rule is None for p in live) > 50
    assert sum(p.before is not None for p in live) > 100  # the index is behind the ledger
    assert Counter(p.state for p in org.papers).keys() == {
        "live",
        "replaced",
        "staged",
        "withdrawn",
        "masked",
        "erased",
    }
    first = org.askers[:FEWEST_ASKERS]
    assert sum(len(a) > 1 for a in first) >= 20  # services
    assert sum(org.oracle.stands_for(*a) is None for a in first) >= 3
    assert sum(0 < len(org.readable(a)) < 2_500 for a in first) >= 200


def _depth(groups: Mapping[str, Sequence[str]]) -> int:
    """How many groups deep somebody can be, counted without going in circles."""

    def below(group: str, above: frozenset[str]) -> int:
        inside = [m for m in groups[group] if m in groups and m not in above]
        return 1 + max((below(m, above | {m}) for m in inside), default=0) if len(above) < 12 else 1

    return max(below(group, frozenset([group])) for group in [g for g in groups if len(groups[g]) < 40][:80])


def test_no_asker_sees_what_they_may_not_nor_misses_what_they_may(
    settled: tuple[Settings, list[str]],
    org: Organisation,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wanted = request.config.getoption("--sweep")
    n_rounds = max(2, min(8, wanted // 2_500), -(-wanted // (len(org.askers) * len(MODES))))
    n_askers = min(len(org.askers), max(FEWEST_ASKERS, -(-wanted // (n_rounds * len(MODES)))))
    tally, seconds, told = Tally(), 0.0, 0.0
    for tally, seconds in sweep(*settled[:1], SEED, settled[1], n_askers, n_rounds):
        if seconds - told > 30:
            told = seconds
            with capfd.disabled():
                print(f"\n{_line(tally, seconds)}", end="", flush=True)
    with capfd.disabled():
        print(f"\nsweep: {n_askers:,} askers, {_line(tally, seconds)}; by mode {dict(tally.checks)}")
    assert tally.checks.total() >= wanted
    assert tally.shown > tally.checks.total()  # it is not that nobody sees anything
    assert tally.leaks[:5] == []
    assert tally.denials[:5] == []


def _line(tally: Tally, seconds: float) -> str:
    """What was found so far. With no leak in N checks, the rate is below 3/N with 95 % confidence."""
    n = tally.checks.total()
    bound = f", below {3 / n:.1e} of answers with 95 % confidence" if n and not tally.leaks else ""
    return (
        f"{n:,} checks ({tally.decisions:,} decisions, {tally.shown:,} documents shown) in {seconds:,.0f} s: "
        f"{len(tally.leaks)} leaks{bound}, {len(tally.denials)} wrongful denials"
    )
