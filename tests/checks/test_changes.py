"""Every changed document is compared with its last version, and what happened to many of them is told."""

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moat.checks import arrived, changes, kinds
from moat.checks.chance import at_least
from moat.checks.changed_columns import Columns
from moat.checks.changed_numbers import factor_of
from moat.checks.changed_text import Text, TextChange, text_change
from moat.checks.changes import KINDS, Compared
from moat.ledger import checks as results
from moat.ledger.checks import CheckResult
from moat.ledger.projection import VisiblePart
from moat.runtime import Options, Runtime
from moat.settings import Settings
from moat.stages.gate import check
from moat.stages.prepare import prepare
from moat.stages.read import read
from tests.company import Company, collection_of_its_own, open_runtime

N = 12
WORDS = [
    "crane",
    "pier",
    "quay",
    "rope",
    "anchor",
    "cargo",
    "deck",
    "hatch",
    "ballast",
    "mooring",
    "winch",
    "pilot",
    "tug",
    "berth",
    "dock",
    "lock",
    "gate",
    "buoy",
]


def sentences(n: int, count: int = 8) -> list[str]:
    """Sentences of a document's own, with no numbers."""
    dice = random.Random(n)
    return [
        f"The {dice.choice(WORDS)} of the {dice.choice(WORDS)} holds the {dice.choice(WORDS)} and the {dice.choice(WORDS)}."
        for _ in range(count)
    ]


def page(n: int, foot: str = "Issued by Acme Harbour.") -> str:
    body = "\n\n".join(sentences(n))
    table = f"| part | load |\n| --- | --- |\n| winch | {n + 3}.50 |\n| hatch | {n + 7}.25 |\n| rope | {n + 11}.75 |"
    return f"# Page of {WORDS[n]}\n\n{body}\n\n{table}\n\n{foot}\n"


def promoted(runtime: Runtime, folder: Path) -> Company:
    company = Company(runtime, folder)
    for n in range(N):
        company.write(f"{n}.md", page(n))
    assert company.run().load.state == "promoted"
    return company


@pytest.fixture(scope="module")
def base(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    """The promoted company that the tests below have copies of."""
    folder = tmp_path_factory.mktemp("base")
    with collection_of_its_own(weaviate_server, embedder_server, folder / "home") as settings:
        runtime = open_runtime(settings)
        made = promoted(runtime, folder / "docs")
        runtime.ledger.scrub()  # its file is all of it
        yield made
        runtime.close()


@pytest.fixture
def company(base: Company, tmp_path: Path, make_runtime: Callable[..., Runtime]) -> Iterator[Company]:
    """The promoted company on a copy of its ledger, for a next load that is judged and not promoted."""
    files = {file: file.read_bytes() for file in base.folder.rglob("*") if file.is_file()}
    shutil.copytree(base.runtime.settings.home, tmp_path / "home")
    made = copy.copy(base)
    made.runtime = make_runtime(base.runtime.settings.model_copy(update={"home": tmp_path / "home"}))
    yield made
    for file in base.folder.rglob("*"):
        if file.is_file() and file not in files:
            file.unlink()
    for file, content in files.items():
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)


@pytest.fixture
def own_company(runtime: Runtime, tmp_path: Path) -> Company:
    """A promoted company with a collection of its own, for loads that are promoted."""
    return promoted(runtime, tmp_path / "docs")


def judged(company: Company, expected: str = "") -> dict[str, CheckResult]:
    """What the gate's family says of the next load, by the name of the check; failed ones and the summary."""
    found = read(company.runtime, company.source, "test", Options(expected=expected))
    for batch in found.batches:
        prepare(company.runtime, company.source, found.load, batch.number)
    return {r.name: r for r in check(company.runtime, company.source, found.load, "changes")}


def failed(company: Company) -> dict[str, str]:
    return {name: r.severity for name, r in judged(company).items() if r.failed}


def rewrite(company: Company, change: Callable[[str], str], numbers: range = range(6)) -> None:
    for n in numbers:
        company.write(f"{n}.md", change(page(n)))


def without_table(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.startswith("|"))


@pytest.mark.parametrize(
    ("change", "check_name"),
    [
        (lambda text: without_table(text), "tables lost"),
        (lambda text: "".join(c for c in text if not c.isdigit()), "digits lost"),
        (lambda text: text.replace(".50", "").replace(".25", "").replace(".75", ""), "decimals lost"),
        (lambda text: text.replace("Acme", "Umbrella"), "one name for another"),
        (lambda text: text[: len(text) // 2].rpartition(".")[0] + ".\n", "ends lost"),
        (lambda text: text.replace("holds", "does not hold", 1).replace("not hold", "not", 1), "negations changed"),
        (lambda text: "\n\n".join(line for n, line in enumerate(text.split("\n\n")) if n % 3 != 1), "sentences lost"),
        (lambda text: text.replace("| winch |", "| #REF! |"), "broken references"),
        (lambda text: text.replace("Issued by Acme Harbour.", "Issued by John Doe, john@example.com."), "test data"),
        (lambda text: "# Sign in\n\nPlease sign in to go on. This page is for members only.\n", "one short page"),
    ],
)  # fmt: skip
def test_what_happened_to_six_of_six_changed_documents_holds_the_load(
    company: Company, change: Callable[[str], str], check_name: str
) -> None:
    rewrite(company, change)
    found = judged(company)
    assert check_name in found, found
    assert (found[check_name].severity, found[check_name].passed) == ("hold", False)
    assert found[check_name].seen.startswith("6 of 6 changed documents ")
    assert set(found[check_name].documents) <= {f"{n}.md" for n in range(6)}


def test_numbers_by_one_factor_are_told_with_it_and_an_example(company: Company) -> None:
    def double(text: str) -> str:
        for n in range(30):
            for end, twice in ((".50", 1), (".25", 0.5), (".75", 1.5)):
                text = text.replace(f" {n}{end} ", f" <{2 * n + twice:.2f}> ")
        return text.replace("<", "").replace(">", "")

    rewrite(company, double)
    found = judged(company)
    assert "each × 2 (3.50 → 7.00)" in found["numbers multiplied"].seen


def test_honest_edits_hold_nothing_and_are_told_in_one_line(company: Company) -> None:
    for n in range(6):
        company.write(f"{n}.md", page(n) + f"\nA remark about the {WORDS[n]}, added by the harbour master.\n")
    company.write("6.md", page(6).replace("holds", "carries", 1))
    found = judged(company)
    assert not any(result.failed for result in found.values())
    assert found["what changed"].seen == (
        "7 changed documents compared with their last version; nothing out of the ordinary"
    )


LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore."
ODD = " ".join("".join(random.Random(n).choices("bcdfghjklmnpqrstvwxzaei", k=8)) for n in range(60))


@pytest.mark.parametrize(
    ("text", "check_name"),
    [
        ("{n}.pdf is available online only. Open the drive to download it.", "new placeholders"),
        (f"Chapter {{n}}. {LOREM}", "new test data"),
        (f"Chapter {{n}}. {ODD}", "letters that are no words"),
    ],
)
def test_new_documents_that_are_none_hold_the_load(company: Company, text: str, check_name: str) -> None:
    for n in range(3):
        company.write(f"new/{n}.md", f"# Part {n}\n\n{text.format(n=n)}\n")
    found = judged(company)
    assert [name for name, result in found.items() if result.failed] == [check_name]
    assert found[check_name].severity == "hold"
    assert found[check_name].seen.startswith("3 of 3 new documents ")
    assert set(found[check_name].documents) == {f"new/{n}.md" for n in range(3)}


@pytest.mark.parametrize(
    "text",
    [
        "Zugriff verweigert? Die Rechtschreibprüfung und der Angstschweiß der Sprachschüler. " * 4,
        "Todo el mundo llega a las nueve. Todo está bien.",
        "The rhythm and the strengths of Mstislav, Krzysztof and the Schwartzkopfs fill the harbour every day. " * 4,
        "NSUserDefaults kCFStringEncodingUTF8 strncpy xmlhttprequest of the manual. " * 2,
        "John Doe v. Harbour Board: the judge held that the berth was free and that the pilot was right to leave it.",
    ],
    ids=["German", "Spanish", "names", "code", "a name in a case"],
)
def test_new_documents_of_people_are_nothing(text: str) -> None:
    assert arrived.kind_of(text) == ""


def test_pages_that_people_wrote_about_one_trouble_are_no_placeholders(company: Company) -> None:
    for n, text in enumerate(("Session expired while I wrote my order, twice today.", "My card: access denied at gate four.",
                              "Could you look? The portal says 404 not found since noon.")):  # fmt: skip
        company.write(f"new/{n}.md", f"# Ticket {n}\n\n{text}\n")
    assert failed(company) == {}


def test_one_text_that_breaks_off_in_a_word_is_enough(company: Company) -> None:
    text = page(2)
    at = text.rindex("winch") + 3
    company.write("2.md", text[:at])
    assert failed(company) == {"texts broken off": "hold"}


@pytest.mark.parametrize(
    ("foot", "told"),
    [
        (
            "Property of Silverbirch Animal Health Ltd, Dublin.",
            {"another company in many": "hold", "one line in many": "warn"},
        ),
        ("Copied for the people of Acme Harbour Ltd, Dublin.", {"one line in many": "warn"}),
    ],
)
def test_a_foot_that_names_a_company_which_no_document_named_holds(
    company: Company, foot: str, told: dict[str, str]
) -> None:
    rewrite(company, lambda text: f"{text}\n{foot}\n", range(4))
    assert failed(company) == told


def test_one_document_that_is_none_any_more_is_enough(company: Company) -> None:
    company.write("2.md", "# Page of quay\n\nConversion failed. Ask the service desk to convert it again.\n")
    found = judged(company)["placeholders"]
    assert found.severity == "hold"
    assert found.seen.endswith("1 of them beyond chance, such as 2.md")


def test_a_rise_of_a_price_list_is_told_and_a_tax_on_it_holds() -> None:
    def severity(factor: float) -> str:
        compared = Compared()
        for n in range(12):
            prices = [10.0 + 3 * n + i for i in range(4)]
            was, now = (
                Text.of([VisiblePart("text", "", " ".join(f"costs {price * by:.2f}" for price in prices))])
                for by in (1, factor)
            )
            compared.texts[str(n)] = text_change(was, now)
        found = kinds.judged(next(k for k in KINDS if k.name == "factor"), compared.seen()["factor"], 12, {})
        assert found is not None
        return found.severity

    assert (severity(1.05), severity(1.19), severity(0.5)) == ("warn", "hold", "hold")


def test_one_text_that_another_document_had_is_enough(company: Company) -> None:
    company.write("2.md", page(3))
    company.write("3.md", page(3) + "\nAnd a line of its own.\n")
    assert failed(company) == {"texts of other documents": "hold"}


def test_one_cut_end_among_honest_edits_is_none_of_a_pattern(company: Company) -> None:
    company.write("2.md", page(2)[: len(page(2)) // 2].rpartition(".")[0] + ".\n")
    for n in range(3, 8):
        company.write(f"{n}.md", page(n) + "\nA remark.\n")
    assert failed(company) == {}


def test_a_language_that_only_the_new_lines_have_is_seen(company: Company) -> None:
    german = "Der Kran am Kai hebt die Ladung über die Reling und setzt sie auf dem Wagen ab. "

    def half(text: str) -> str:
        lines = text.split("\n\n")
        return "\n\n".join(german if n % 2 and line.startswith("The") else line for n, line in enumerate(lines))

    rewrite(company, half, range(4))
    found = judged(company)
    assert found["another language"].severity == "hold"
    assert "en → de" in found["another language"].seen


def test_what_is_done_to_each_nights_two_documents_is_seen_over_the_nights(own_company: Company) -> None:
    """A converter that spoils only what is new or changed spoils two documents of a night."""
    for night in range(5):
        for n in (2 * night, 2 * night + 1):
            own_company.write(f"{n}.md", without_table(page(n)))
        state = own_company.run().load
        if state.state == "held":
            assert "of the last 7 loads and this one lost all their tables" in (state.reason or "")
            assert night >= 1
            return
    pytest.fail("five nights of lost tables were promoted")


def test_an_expected_change_only_warns(company: Company) -> None:
    rewrite(company, without_table)
    found = judged(company, expected="a new template")
    assert found["tables lost"].severity == "warn"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("It lasts 85 days.", "It lasts 49 days.")], ""),
        ([("It lasts 85 days.", "It lasts 49 days."), ("It costs 20 euros.", "It costs 30 euros.")], ""),
        (
            [("It lasts 40 days.", "It lasts 80 days."), ("It costs 20 euros.", "It costs 40 euros.")],
            "each × 2 (40 → 80)",
        ),
        ([("It lasts 40 days and costs 20.", "It lasts 80 days and costs 40.")], "each × 2 (40 → 80)"),
    ],
    ids=["one number", "two numbers", "one factor in two documents", "one factor of two numbers"],
)
def test_a_number_that_was_corrected_is_no_factor(changes: list[tuple[str, str]], told: str) -> None:
    """Each correction has a factor of its own; nights of them are not one factor."""
    compared = Compared()
    for n, (was, now) in enumerate(changes):
        compared.texts[str(n)] = text_change(
            Text.of([VisiblePart("text", "", was)]), Text.of([VisiblePart("text", "", now)])
        )
    found = compared.seen().get("factor")
    assert (found.says if found else "") == told


@pytest.mark.parametrize("between", ["\n", " "], ids=["line by line", "within a paragraph"])
def test_every_second_sentence_in_another_language_is_seen(between: str) -> None:
    english = (
        "The loading ramp is closed until the repair is done.",
        "Ask the harbour office for another place before you arrive.",
        "Drivers wait in the northern yard and keep the radio on.",
        "The fee of the second day is paid by whoever ordered the ramp.",
    )
    german = (
        english[0],
        "Vor der Ankunft ist ein anderer Platz beim Hafenamt zu erfragen.",
        english[2],
        "Die Gebühr des zweiten Tages zahlt, wer die Rampe bestellt hat.",
    )
    was, now = (Text.of([VisiblePart("text", "", between.join(lines))]) for lines in (english, german))
    change = text_change(was, now)
    assert "language" in change.kinds
    assert change.language == ("en", "de")


def test_a_cell_that_changed_is_no_text_in_another_language() -> None:
    rows = [
        "Calmoquin | Gent | 12 | 3.50 | Klára",
        "Ferrobine | Nîmes | 40 | 9.10 | Beatriz",
        "Mitexol | Évora | 7 | 2.25 | Jarl",
    ]
    prose = "The labeller is rinsed before lunch and the filter is checked by whoever works the shift."
    was, now = (
        Text.of([VisiblePart("text", "", prose), VisiblePart("text", "", "\n".join(f"{row} | {end}" for row in rows))])
        for end in ("1.00", "#REF!")
    )
    assert "language" not in text_change(was, now).kinds


def test_nothing_is_quoted_of_a_document_with_personal_data() -> None:
    compared = Compared()
    for n in range(3):
        before = Text.of([VisiblePart("text", "", f"The salary of grade {WORDS[n]} is 1000 each month.")])
        after = Text.of([VisiblePart("text", "", f"The salary of grade {WORDS[n]} is 2000 each month.")])
        compared.texts[str(n)] = text_change(before, after)
    assert "(1000 → 2000)" in compared.seen()["factor"].says
    compared.personal = {"0", "1", "2"}
    assert compared.seen()["factor"].says == "each × 2"


@pytest.mark.parametrize(
    ("rows", "kind", "says"),
    [
        ([("10.00", "11.90"), ("20.00", "23.80"), ("30.00", "35.70")], "column factor", "× 1.19"),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")], "exchanged", "the same values, exchanged among the rows"),
        ([("a long text", "a lon"), ("b other one", "b oth"), ("c and more", "c and")], "column cut", "cut at 5 characters"),
        ([("1.50", "1,50"), ("2.75", "2,75"), ("3.25", "3,25")], "format", "the same values, written in another way"),
        ([("18.40", "1840"), ("23.75", "2375"), ("9.60", "960")], "column factor", "× 100"),
        ([("a", ""), ("b", ""), ("c", "")], "emptied", "empty"),
        ([("10", "1010"), ("25", "1025"), ("31", "1031")], "column shift", "+1000 in each"),
        (
            [(f"2026-01-0{n}T10:00:00", f"2026-01-0{n}T12:00:00") for n in (1, 2, 3)], "column shift", "+2 h in each"
        ),
        ([(f"2024-03-0{n}", f"2020-03-0{n}") for n in (1, 2, 3)], "column shift", "-1461 days in each"),
        ([("25", "25.0"), ("30", "30.0"), ("40", "40.0")], "format", "the same values, written in another way"),
        (
            [("42.10", "18.40"), ("18.40", "23.75"), ("23.75", "42.10"), ("9.60", "9.90")],
            "permuted",
            "the values of some rows at others of them",
        ),
        ([("42.17", "42"), ("18.40", "18"), ("23.75", "24")], "decimals", "numbers without their decimals"),
        ([("25", "2500"), ("25", "2500"), ("25", "2500")], "column factor", "× 100"),
        ([("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-04"), ("2026-03-04", "2026-04-04")], "column shift", "+31 days in each"),
        ([("ann", "x"), ("bob", "x"), ("eve", "x"), ("kim", "x"), ("lee", "x")], "one value", "one value for many"),
    ],
)  # fmt: skip
def test_a_pattern_of_a_column_is_found_among_the_rows_that_changed(
    rows: list[tuple[str, str]], kind: str, says: str
) -> None:
    columns = Columns()
    for n, (was, now) in enumerate(rows):
        columns.add(str(n), {"price": was, "name": "x"}, {"price": now, "name": "x"})
    (found,) = columns.patterns()
    assert (found.column, found.kind, found.says) == ("price", kind, says)
    assert columns.moved == {"price": len(rows)}


def test_numbers_that_were_rounded_have_no_factor_but_a_small_rise_of_all_has() -> None:
    def seen(factors: list[str]) -> dict[str, str]:
        compared = Compared()
        for n, factor in enumerate(factors):
            compared.texts[str(n)] = TextChange(
                kinds=frozenset(), n_before=9, n_after=9, numbers=(("27.6", "28"),), factor=factor
            )
        return {name: one.says for name, one in compared.seen().items()}

    rounded = [f"{1 + n % 5 / 100:.3g}" for n in range(20)]
    assert "factor" not in seen(rounded)
    assert seen(["1.02"] * 14 + ["1.03"] * 4)["factor"].startswith("each × 1.02")
    assert seen(["1.19"] * 4 + ["1.03"] * 3)["factor"].startswith("each × 1.19")


def test_what_people_do_every_day_is_no_pattern() -> None:
    columns = Columns()
    for n in range(20):
        before = {
            "status": ("new", "open", "late")[n % 3],
            "n": f"{n}",
            "version": f"{n}",
            "due": f"2026-01-{n + 1:02}",
        }
        columns.add(
            str(n),
            before,
            {"status": "closed", "n": f"{n + n % 7}", "version": f"{n + 1}", "due": f"2026-01-{n + 8:02}"},
        )
    assert columns.patterns() == []


@pytest.mark.parametrize(
    ("was", "now", "factor"),
    [("1,000.50", "2001", "2"), ("1.000,50", "2001", "2"), ("3", "3000", "1e+03"), ("0", "3", ""), ("2026-01-02", "1", "")],
)  # fmt: skip
def test_a_factor_reads_numbers_as_people_write_them(was: str, now: str, factor: str) -> None:
    assert factor_of(was, now) == factor


def test_chance_is_the_tail_of_the_binomial_distribution() -> None:
    assert at_least(3, 3, 0.01) == pytest.approx(1e-6)
    assert at_least(1, 10, 0.1) == pytest.approx(1 - 0.9**10)
    assert at_least(0, 5, 0.3) == pytest.approx(1.0)


def test_every_kind_has_a_cause_that_looks_for_it() -> None:
    from moat.incidents.triage.compared import COMPARED
    from moat.incidents.triage.evidence import Evidence, Fault

    for kind in KINDS:
        fault = Fault(kind="check", stage="gate", subject=kind.title, severity="hold", error="", message="seen")
        evidence = Evidence(source="s", faults=(fault,))
        assert any(signature.look(evidence).score > 0 for signature in COMPARED), kind.title


def test_cells_with_errors_are_the_cause_of_lost_decimals() -> None:
    from moat.incidents.triage.evidence import Evidence, Fault
    from moat.incidents.triage.rank import ranked

    faults = tuple(
        Fault(kind="check", stage="gate", subject=title, severity="hold", error="", message="seen")
        for title in ("decimals lost", "broken references", "tables lost")
    )
    assert ranked(Evidence(source="s", faults=faults))[0].name == "broken_references"


def test_a_load_without_changed_documents_is_not_judged(company: Company) -> None:
    company.write("new.md", page(1))
    assert judged(company)["what changed"].seen == "not judged (0 changed documents)"


def test_results_are_kept_with_the_load(company: Company) -> None:
    rewrite(company, without_table)
    number = company.run().load.id
    kept = {r.name: r for r in results.of_load(company.runtime.ledger, number)}
    assert not kept["tables lost"].passed


def test_more_documents_than_are_compared_are_sampled(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_COMPARED", 4)
    rewrite(company, without_table, range(N))
    assert judged(company)["tables lost"].seen.startswith("4 of 4 changed documents")


def test_a_folder_that_is_no_longer_exported_is_told_while_the_others_go_on(runtime: Runtime, tmp_path: Path) -> None:
    company = Company(runtime, tmp_path / "docs")
    for night in range(22):
        for folder in ("plans", "notes"):
            if folder == "notes" or night < 18:
                company.write(f"{folder}/a.md", f"# {folder}\n\nNight {WORDS[night % 18]} and {WORDS[night // 2]}.\n")
        result = company.run()
        assert result.load.state == "promoted", result.load.reason
        found = {r.name: r for r in results.of_load(runtime.ledger, result.load.id)}["folders that stopped"]
        if not found.passed:
            assert night > 18
            assert found.severity == "warn"
            assert "plans/ for 4 loads in which others moved" in found.seen
            return
    pytest.fail("four nights of silence were not told")


def test_an_older_state_that_comes_back_is_known_also_after_its_text_was_removed(own_company: Company) -> None:
    """A backup over the live folder: contents that the documents had, some nights ago."""
    for night in range(3):
        for n in range(4):
            own_company.write(f"{n}.md", page(n) + f"\nA remark of the {WORDS[night]} night by the {WORDS[n]}.\n")
        assert own_company.run().load.state == "promoted"
    rewrite(own_company, lambda text: text, range(4))
    found = judged(own_company)
    assert found["older versions again"].seen.startswith("4 of 4 changed documents went back to a content")
    assert found["older versions again"].severity == "hold"


def test_one_document_may_go_back(own_company: Company) -> None:
    own_company.write("0.md", page(0) + "\nA remark.\n")
    assert own_company.run().load.state == "promoted"
    own_company.write("0.md", page(0))
    assert failed(own_company) == {}
