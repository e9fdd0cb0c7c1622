"""An older version beside the newer is told, with both keys and some numbers, and other pairs are not."""

import pytest

from moat.access.policy import Policy
from moat.checks import versions
from moat.checks.audience import Audience
from moat.checks.candidate import Candidate
from moat.ledger import Ledger
from moat.ledger.checks import CheckResult
from tests.company import Company

PRICES = (
    "# Prices {year}\n\nThe quay charges these prices from January {year} on, for every ship that calls at the harbour.\n\n"
    "A berth costs {berth} euros a day, a crane {crane} euros an hour, and water {water} euros for each cubic metre.\n"
)


def prices(year: int, berth: str, crane: str, water: str) -> str:
    return PRICES.format(year=year, berth=berth, crane=crane, water=water)


OLD, NEW = prices(2025, "410", "95.50", "4.20"), prices(2026, "455", "99.00", "4.60")


def told(company: Company) -> CheckResult:
    """What the check says of a load of all that is new."""
    number = company.to_the_gate()
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    return versions.run(candidate, Audience(company.runtime.ledger))


def test_last_years_prices_beside_this_years_are_told_with_three_numbers(company: Company) -> None:
    company.write("prices-2026.md", NEW)
    company.write("prices-2025.md", OLD)
    found = told(company)
    assert (found.passed, found.severity, found.family) == (False, "warn", "duplicates")
    assert found.seen == (
        "documents beside a newer version of themselves with other numbers: 1; prices-2025.md is older than prices-2026.md "
        "(410 → 455, 95.50 → 99.00, 4.20 → 4.60)"
    )
    assert found.documents == ("prices-2025.md", "prices-2026.md")


def test_the_older_may_be_visible_already_and_be_known_by_its_title(company: Company) -> None:
    company.write("archive/tariff.md", OLD)
    company.write("archive/.access.yaml", "allow: [group:everyone]")
    company.write("board/.access.yaml", "allow: [group:board]")
    company.write("board/between.md", NEW)  # of others, and between the two by age and key
    assert company.run().load.state == "promoted"
    company.write("current.md", NEW)
    found = told(company)
    assert found.documents == ("archive/tariff.md", "current.md")
    assert "410 → 455" in found.seen


def test_one_that_the_load_removes_or_that_nobody_reads_beside_the_other_is_not_told(company: Company) -> None:
    company.write("prices-2025.md", OLD)
    company.write("board/.access.yaml", "allow: [group:board]")
    company.write("board/prices-2024.md", prices(2024, "390", "90.00", "4.00"))
    assert company.run().load.state == "promoted"
    company.remove("prices-2025.md")
    company.write("prices-2026.md", NEW)
    assert told(company).passed


def test_no_number_is_quoted_beside_personal_data_of_either(company: Company) -> None:
    company.write("prices-2025.md", OLD + "\nAsk +49 30 9018 2211 today.\n")
    assert company.run().load.state == "promoted"
    company.write(
        "prices-2026.md", NEW + "\nAsk the porter of quay today.\n"
    )  # as many words: numbers pair by their place
    found = told(company)
    assert found.documents == ("prices-2025.md", "prices-2026.md")
    assert found.seen.endswith("prices-2025.md is older than prices-2026.md")


def test_other_pairs_and_a_series_are_no_versions(company: Company) -> None:
    company.write("prices-2026.md", NEW)
    company.write("prices-2025.md", NEW.replace("2026", "2025"))  # nothing but the year differs
    company.write("minutes-2026.md", NEW.replace("Prices 2026", "Board"))
    company.write("minutes-2025.md", "# May\n\nThe board met in May and spoke of nothing but 14 gulls on the quay.\n")
    company.write("invoice-1001.md", OLD.replace("Prices 2025", "Invoice"))  # numbers that are no years
    company.write("invoice-1002.md", NEW.replace("Prices 2026", "Invoice"))
    for year in range(2010, 2023):
        company.write(
            f"rates-{year}.md", prices(year, str(300 + year % 100), "80.00", "3.00").replace("Prices", "Rates")
        )
    found = told(company)
    assert found.passed, found.seen


@pytest.mark.parametrize(
    ("older", "newer"),
    [("list v2.md", "list v10.md"), ("2024/list.md", "2025/list.md"), ("list_rev.3.md", "list_rev.4.md"), ("A 2.1 v1.9", "A 2.1 v1.10")],
)  # fmt: skip
def test_years_and_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    (one, low), (other, high) = versions.name_without_marks(older), versions.name_without_marks(newer)
    assert one == other
    assert low < high


def test_a_newer_one_without_a_year_in_its_name_is_told_where_that_is_safe(company: Company) -> None:
    old, new = prices(2020, "410", "95.50", "4.20"), prices(2021, "455", "99.00", "4.60")
    company.write("terms-2020.md", old.replace("Prices 2020", "Terms"))
    company.write("terms.md", new.replace("Prices 2021", "Terms"))
    company.write("2020/rates.md", old.replace("Prices 2020", "Rates").replace("charges", "takes"))
    company.write("rates.md", new.replace("Prices 2021", "Rates").replace("charges", "takes"))
    # A year that is not over, a version, a text that speaks of a time before: which is newer, no name says.
    company.write("fees-2999.md", old.replace("Prices 2020", "Fees").replace("charges", "asks"))
    company.write("fees.md", new.replace("Prices 2021", "Fees").replace("charges", "asks"))
    company.write("dues v2.md", old.replace("Prices 2020", "Dues").replace("charges", "wants"))
    company.write("dues.md", new.replace("Prices 2021", "Dues").replace("charges", "wants"))
    company.write("tolls-2021.md", new.replace("Prices 2021", "Tolls").replace("charges", "needs"))
    company.write("tolls.md", old.replace("Prices 2020", "Tolls").replace("charges", "needs"))
    found = told(company)
    assert found.seen.startswith("documents beside a newer version of themselves with other numbers: 2;"), found.seen
    assert set(found.documents) == {"2020/rates.md", "rates.md", "terms-2020.md", "terms.md"}
    assert "terms-2020.md is older than terms.md (410 → 455" in found.seen


def test_dates_say_which_is_newer_whatever_the_name(ledger: Ledger) -> None:
    ages = {"terms-2020.md": "2021-05-01", "terms.md": "2019-01-01"}
    names = [
        versions.Named(
            id=key, key=key, policy=Policy((frozenset(["group:everyone"]),)), names=versions.names_of(key, "", frozenset({"terms.md"})), date=date, content="", loaded=True, told=False
        )
        for key, date in ages.items()
    ]  # fmt: skip
    found = versions.pairs_of({"without terms.md": names}, 2026, Audience(ledger))
    assert [(p.older.key, p.newer.key) for p in found] == [("terms.md", "terms-2020.md")]
