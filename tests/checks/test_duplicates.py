"""What comes too often is found: equal chunks, equal and nearly equal documents, and only beside what the same people read."""

import pytest

from moat.access.policy import Policy
from moat.checks import duplicates
from moat.checks.audience import Audience, policy_of
from moat.checks.candidate import Candidate
from moat.ids import text_hash
from moat.ledger import Ledger
from moat.ledger.checks import CheckResult
from moat.ledger.members import people_of_groups, replace_members
from moat.records import Chunk
from moat.runtime import path
from moat.source import Limits
from moat.stages.gate import check
from tests.company import ANN, HUGO, Company

TICKET = (
    "# Ticket {n}\n\nDear colleagues, the crane at berth {n} stands still since this morning and waits for a spare part "
    "from the works in Turku. Please tell the shift that loading goes on with the other crane until the part is there, "
    "and write every hour of waiting into the log of the terminal, as the customer pays for it by the hour.\n"
)
WORDS = [
    "anchor",
    "buoy",
    "capstan",
    "davit",
    "ensign",
    "fender",
    "gangway",
    "hawser",
    "jetty",
    "keel",
    "ladle",
    "mooring",
    "oilskin",
    "pier",
    "quay",
    "rudder",
]


def judged(company: Company, number: int) -> tuple[dict[str, CheckResult], Candidate]:
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    return {r.name: r for r in duplicates.run(candidate)}, candidate


def different(n: int) -> str:
    """A text of its own for every number: no two share a run of three words."""
    return f"# Note {n}\n\n" + " ".join(f"{WORDS[(n * 7 + i * i) % 16]}{n}x{i}" for i in range(40)) + "\n"


def test_documents_that_have_little_in_common_pass(company: Company) -> None:
    for n in range(25):
        company.write(f"notes/{n}.md", different(n))
    found, candidate = judged(company, company.to_the_gate())
    assert [r for r in found.values() if r.failed] == []
    assert {m.name: candidate.measured[m.name] for m in duplicates.MEASURES} == {
        m.name: 0.0 for m in duplicates.MEASURES
    }
    assert {m.of: candidate.measured[m.of] for m in duplicates.MEASURES} == {
        "duplicates.chunks": candidate.measured["duplicates.texts"],
        "duplicates.documents": 28,
        "duplicates.texts": candidate.measured["duplicates.texts"],
    }


def test_a_letterhead_in_every_chunk_holds_and_names_documents_of_one_circle(company: Company) -> None:
    number = company.to_the_gate()
    file = path("docs", number, "chunk", "0000.parquet")
    same = [
        Chunk(
            **{**{f: getattr(c, f) for f in Chunk.__slots__}, "text": "x", "heading": "", "text_hash": text_hash("x")}
        )
        for c in list(company.runtime.staging.read(file, Chunk)) * 10
    ]
    company.runtime.staging.write(file, Chunk, same)
    found, _ = judged(company, number)
    assert (found["exact duplicates"].severity, found["exact duplicates"].passed) == ("hold", False)
    assert found["exact duplicates"].seen == "39 of 40 chunks repeat another's text (98%)"
    # group:people is in group:everyone, so somebody may read all three.
    assert set(found["exact duplicates"].documents) == {"leave.md", "people/pay.md", "trips.md"}


def test_a_batch_that_came_twice_under_other_names_holds(company: Company) -> None:
    for n in range(12):
        company.write(f"mail/{n}.md", different(n))
        company.write(f"mail/{n} (1).md", different(n))
    found, candidate = judged(company, company.to_the_gate())
    equal = found["equal documents"]
    assert (equal.passed, equal.severity) == (False, "hold")
    assert equal.seen == "24 of 27 documents are equal to another one (89%)"
    assert len(equal.documents) == 5
    assert candidate.measured["duplicates.equal"] == pytest.approx(24 / 27)
    assert candidate.measured["duplicates.near"] == 0


def test_one_template_sent_many_times_is_near_and_not_equal(company: Company) -> None:
    for n in range(30):
        company.write(f"tickets/{n}.md", TICKET.format(n=n))
    number = company.to_the_gate()
    found, candidate = judged(company, number)
    near = found["near duplicates"]
    assert (near.passed, near.severity) == (False, "warn")
    assert near.seen == "30 of 33 documents are nearly equal to another one (91%)"
    assert near.documents[0].startswith("tickets/")
    assert found["equal documents"].passed
    assert candidate.behind["duplicates.near"] == near.documents
    assert not {r.name: r for r in check(company.runtime, company.source, number, "duplicates")}[
        "near duplicates"
    ].passed


def test_what_has_no_reader_in_common_is_compared_with_nothing(company: Company) -> None:
    replace_members(company.runtime.ledger, "two", {"group:north": [ANN], "group:south": [HUGO]}, "test")
    for circle in ("north", "south"):
        company.write(f"{circle}/.access.yaml", f"allow: [group:{circle}]")
        for n in range(12):
            company.write(f"{circle}/{n}.md", different(n))
            company.write(f"{circle}/t{n}.md", TICKET.format(n=n) if circle == "north" else TICKET.format(n=n + 50))
    found, candidate = judged(company, company.to_the_gate())
    assert found["equal documents"].seen.startswith("0 of 51")
    circles = {key.partition("/")[0] for key in found["near duplicates"].documents}
    assert len(circles) == 1, "tickets are near within a circle, and the circles are not told beside each other"
    assert candidate.measured["duplicates.near"] == pytest.approx(24 / 51)


def test_nobodys_documents_are_no_twins(company: Company) -> None:
    company.write("none/.access.yaml", "allow: []")
    for n in range(24):
        company.write(f"none/{n}.md", different(1))
    found, _ = judged(company, company.to_the_gate())
    assert found["equal documents"].seen.startswith("0 of 27")
    assert not found["exact duplicates"].passed, "chunks are counted whoever reads them"
    assert len(found["exact duplicates"].documents) == 1, "one alone is named beside none"


def test_what_visible_documents_have_already_is_told_and_a_folder_that_moved_is_not(company: Company) -> None:
    company.source = company.declared(limits=Limits(max_vanished_ratio=1.0))
    for n in range(24):
        company.write(f"old/{n}.md", different(n))
    company.run()
    for n in range(24):
        company.write(f"copy/{n}.md", different(n))
    found, candidate = judged(company, company.to_the_gate())
    assert (found["there already"].passed, found["there already"].severity) == (False, "warn")
    assert found["there already"].seen.endswith(" texts stand in other visible documents already (100%)")
    assert candidate.measured["duplicates.again"] == 1.0
    for n in range(24):
        company.remove(f"old/{n}.md")
    found, candidate = judged(company, company.to_the_gate())
    assert found["there already"].seen.startswith("0 of ")


def test_a_large_load_is_judged_by_a_sample_that_is_told(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(60):
        company.write(f"notes/{n}.md", different(n // 2))
    number = company.to_the_gate()
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 20)
    found, candidate = judged(company, number)
    assert ", a sample of 31.7%)" in found["equal documents"].seen
    n = int(found["equal documents"].seen.split(" ")[2])
    assert 0 < n < 63
    # Equal documents come into the sample together, so that the share stays what it is.
    assert candidate.measured["duplicates.equal"] >= (n - 3) / n
    assert judged(company, number)[1].measured == candidate.measured


def test_the_same_documents_in_another_order_measure_the_same(company: Company) -> None:
    for n in range(30):
        company.write(f"tickets/{n}.md", TICKET.format(n=n // 3))
    number = company.to_the_gate()
    before = judged(company, number)[1].measured
    for stage, kind in (("chunk", Chunk),):
        file = path("docs", number, stage, "0000.parquet")
        rows = list(company.runtime.staging.read(file, kind))
        company.runtime.staging.write(file, kind, reversed(rows))
    assert judged(company, number)[1].measured == before


def test_shingles_are_of_words_and_of_characters_where_there_are_no_spaces() -> None:
    assert len(duplicates.shingles_of("one two three four five")) == 3
    assert duplicates.shingles_of("One, two: THREE") == duplicates.shingles_of("one two three")
    assert duplicates.shingles_of("one two") == []
    chinese = "码头上的起重机今天早上停止工作等待来自工厂的备件请告诉值班人员继续装卸"
    assert len(duplicates.shingles_of(chinese)) == len(chinese) - 7
    assert duplicates.marked([]) is None


@pytest.fixture
def readers(ledger: Ledger) -> Audience:
    groups = {
        "group:everyone": ["group:hr", "user:sam", "group:hr"],
        "group:hr": ["user:ann", "user:bob"],
        "group:legal": ["user:ann"],
        "group:round": ["group:trip", "user:eve"],
        "group:trip": ["group:round"],
    }
    replace_members(ledger, "test", groups, "test")
    return Audience(ledger)


HR, LEGAL, ALL = (Policy.of([f"group:{name}"]) for name in ("hr", "legal", "everyone"))
PUBLIC, NOBODY = Policy.of([], public=True), Policy.of([])


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (HR, HR, True),
        (HR, LEGAL, False),  # ann is in both, and nothing names her
        (HR, ALL, True),  # whoever is in hr is in everyone
        (PUBLIC, HR, True),
        (PUBLIC, PUBLIC, True),
        (NOBODY, NOBODY, False),
        (NOBODY, PUBLIC, False),
        (Policy.of(["user:ann"]), LEGAL, True),
        (Policy.of(["user:ann"]), Policy.of(["group:hr"], deny=["user:ann"]), False),
        (Policy.of(["group:everyone"], deny=["group:hr"]), HR, False),
        (HR.both(LEGAL), Policy.of(["user:ann"]), True),
        (HR.both(LEGAL), Policy.of(["user:bob"]), False),
    ],
)
def test_somebody_in_common_is_known_by_name_or_by_group(
    readers: Audience, one: Policy, other: Policy, common: bool
) -> None:
    assert readers.in_common(one, other) is common
    assert readers.in_common(other, one) is common


def test_only_what_somebody_may_read_together_is_told_together(readers: Audience) -> None:
    assert readers.together([("a", HR), ("b", LEGAL), ("c", ALL), ("d", NOBODY), ("a", HR)]) == ("a", "c")
    assert readers.together([(str(n), HR) for n in range(9)]) == ("0", "1", "2", "3", "4")


def test_readers_are_people_and_a_directory_too_large_counts_groups(
    readers: Audience, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [readers.count(p) for p in (HR, LEGAL, ALL, NOBODY)] == [2, 1, 3, 0]
    assert readers.count(HR.both(LEGAL)) == 1
    assert readers.count(Policy.of(["group:hr", "user:eve"], deny=["user:bob"])) == 2
    assert people_of_groups(ledger, 8) is not None
    assert people_of_groups(ledger, 3) is None
    assert (people_of_groups(ledger, 8) or {})["group:trip"] == {"user:eve"}
    monkeypatch.setattr("moat.checks.audience.MOST_MEMBERSHIPS", 3)
    assert Audience(ledger).count(Policy.of(["group:hr", "user:eve"])) == 2


def test_a_policy_that_cannot_be_read_lets_nobody_in() -> None:
    assert policy_of("{}").nobody
    assert policy_of(HR.text()) == HR
