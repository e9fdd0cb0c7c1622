"""Text of few people that stands in a document of many waits for a person, however it came there."""

from collections.abc import Callable, Iterator
from zlib import crc32

import pytest

from moat.access.policy import Policy
from moat.checks import access, restricted
from moat.checks.audience import Audience
from moat.checks.candidate import Candidate
from moat.checks.restricted import Arrival, Restricted, Spread, Text
from moat.checks.widening import Opened
from moat.ids import chunk_id, document_id, text_hash
from moat.ledger import Ledger, documents, holds, loads, same_text
from moat.ledger.members import replace_members
from moat.ledger.same_text import Marked
from moat.maintenance import access_sync
from moat.records import Chunk, Listed, Prepared
from moat.runtime import Runtime
from moat.settings import Settings
from moat.source import AccessFiles, Columns, Groups, Limits, ObjectTags, Public, Source
from moat.stages.run import finish
from tests.company import ANN, HUGO, Company
from tests.odd import Odd

STAFF = [ANN, HUGO, *(f"user:p{n}@example.com" for n in range(10))]
GROUPS = {"group:staff": STAFF, "group:hr": STAFF[:3], "group:board": STAFF[3:6], "group:office": STAFF[:5]}
RANKS = ("deckhand", "crane driver", "shunter", "tally clerk", "pilot", "stoker", "lasher", "foreman")
FOOTER = (
    "This page belongs to the harbour of Tidewater and is kept by the office on the second floor, where paper copies "
    "lie beside the door. Whoever finds a mistake in it writes to the office, and whoever prints it throws the old "
    "print away. The office answers within three working days and never on a Sunday, whatever the weather."
)


def salaries(town: str) -> str:
    """A section: a line for each rank in a town."""
    return "\n".join(
        f"- {rank} in {town} earns {crc32((town + rank).encode())} and {n} weeks more in a good year."
        for n, rank in enumerate(RANKS)
    )


LIST = tuple(map(salaries, ("Gdynia", "Riga", "Turku", "Rostock")))
LIST_FILE = "# Salaries\n\n" + "\n\n".join(f"## Town {n}\n\n{section}" for n, section in enumerate(LIST))
BONUS = "The foreman of the night shift gets nine thousand in March."


def group(*names: str, deny: tuple[str, ...] = ()) -> Policy:
    return Policy.of([f"group:{name}" for name in names], [f"group:{name}" for name in deny])


HR, STAFFS, EVERYONE = group("hr"), group("staff"), Policy.of([], public=True)


class Shelf:
    """A ledger with promoted documents, without servers."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def load(
        self, policy: Policy, texts: dict[str, tuple[str, ...]], gone: tuple[str, ...] = (), source: str = "docs"
    ) -> None:
        """Promote documents of one policy, by key, and let others go."""
        load = loads.open_load(self.ledger, source, f"run {texts} {gone}", {}, 3_600)
        made = [self._made(source, key, policy, chunks) for key, chunks in texts.items()]
        documents.stage(self.ledger, load, "recipe", [p for p, _ in made], [c for _, of_it in made for c in of_it])
        documents.retire(self.ledger, load, gone)
        loads.staged(self.ledger, load)
        loads.promote(self.ledger, load, "test")

    def found(self, policy: Policy, *text: str, key: str = "new", source: str = "docs") -> list[Spread]:
        """What is found in a document that a load brings."""
        finder = Restricted(self.ledger, Audience(self.ledger), Limits())
        if policy not in finder.may_hold([policy]):
            return []
        arrival = Arrival(id=document_id("default", source, key), key=key, policy=policy, text=Text.of(text))
        return list(finder.find([arrival]))

    def keys(self, policy: Policy, *text: str, key: str = "new") -> list[str]:
        return [spread.origin.key for spread in self.found(policy, *text, key=key)]

    def _made(self, source: str, key: str, policy: Policy, texts: tuple[str, ...]) -> tuple[Prepared, list[Chunk]]:
        of = document_id("default", source, key)
        chunks = [
            Chunk(id=chunk_id(of, text, n), document_id=of, key=key, text=text, heading=f"{key} {n}", kind="text",
                  page=None, position=n, n_tokens=9, text_hash=text_hash(f"{key} {n} {text}"))
            for n, text in enumerate(texts)
        ]  # fmt: skip
        return Prepared(
            id=of, key=key, uri=key, title=key, media_type="text/markdown", fingerprint=f"{texts}",
            content_hash=text_hash(f"{texts}"), policy=policy.text(), access_version=0, metadata=(), n_pages=0,
            n_characters=9, n_chunks=len(texts),
        ), chunks  # fmt: skip


@pytest.fixture
def shelf(ledger: Ledger) -> Shelf:
    """Twelve people, of whom three may read the list of salaries and all of them a page."""
    replace_members(ledger, "harbour", GROUPS, "test")
    made = Shelf(ledger)
    made.load(HR, {"list": LIST})
    made.load(STAFFS, {"page": ("Parental leave lasts twenty weeks, and the form for it lies beside the door.",)})
    return made


@pytest.mark.parametrize(
    "text",
    [
        LIST,
        LIST[1:3],
        (" ".join(" ".join(LIST[1:]).split()).replace("- ", ""),),
        (*map(salaries, ("Oslo", "Bergen", "Malmö", "Narvik", "Visby", "Kiel")), *LIST[2:]),
        (LIST[3][40:] + LIST[2], LIST[1].replace("good", "very good")),
    ],
    ids=["a copy", "half of it", "cut elsewhere", "half of it in a long document", "with small changes"],
)
def test_much_of_a_restricted_text_in_a_document_of_many_is_found(shelf: Shelf, text: tuple[str, ...]) -> None:
    (found,) = shelf.found(STAFFS, *text)
    assert found.origin.key == "list"
    assert found.most >= 0.5
    assert shelf.keys(STAFFS, *text, key="page") == ["list"], "pasted into a document that they read already"


def test_little_of_it_is_not(shelf: Shelf) -> None:
    assert shelf.keys(STAFFS, LIST[0], *map(salaries, ("Oslo", "Bergen", "Malmö"))) == []
    shelf.load(
        HR, {"note": ("The crane stands still since this morning.", "It waits for a part from Turku until noon.")}
    )
    assert shelf.keys(STAFFS, "The crane stands still since this morning.", "Ask the office.") == []


def test_the_fixed_words_of_a_form_are_no_text_of_anybody(shelf: Shelf) -> None:
    form = (
        "Name of the member of staff: {0}. Day of entry: {0} of May. Town of the berth: {0}. Number of the badge: {0}."
    )
    shelf.load(HR, {"form": tuple(form.format(f"{n}") for n in range(6))})
    assert shelf.keys(STAFFS, *(form.format(f"{n}") for n in range(10, 16))) == []
    assert shelf.keys(STAFFS, *(form.format(f"{n}") for n in range(3, 9))) == ["form"]


def test_a_document_of_one_chunk_is_enough(shelf: Shelf) -> None:
    shelf.load(HR, {"bonus": (BONUS,)})
    assert shelf.keys(STAFFS, BONUS) == ["bonus"]
    assert shelf.keys(STAFFS, "The foreman of the night") == [], "too few words say nothing"


@pytest.mark.parametrize(
    ("was", "now", "n"),
    [
        (HR, HR, 0),
        (HR, group("hr", "office"), 0),
        (HR, group("board"), 0),
        (HR, EVERYONE, 1),
        (STAFFS, EVERYONE, 0),
        (EVERYONE, STAFFS, 0),
        (group("staff", deny=("board",)), STAFFS, 1),
        (group("hr", deny=("board",)), group("office"), 1),
        (group("hr", deny=("board",)), group("hr"), 0),
        (Policy((frozenset(),)), STAFFS, 1),
    ],
)
def test_what_counts_is_how_many_more_people_may_read_it(ledger: Ledger, was: Policy, now: Policy, n: int) -> None:
    replace_members(ledger, "harbour", GROUPS, "test")
    shelf = Shelf(ledger)
    shelf.load(was, {"list": LIST})
    assert len(shelf.found(now, *LIST)) == n


def test_a_document_of_another_source_and_one_that_went_are_known(shelf: Shelf) -> None:
    shelf.load(HR, {"bonus": (BONUS,)}, source="payroll")
    (found,) = shelf.found(STAFFS, BONUS)
    assert (found.origin.source, found.origin.key) == ("payroll", "bonus")
    shelf.load(HR, {}, gone=("list",))
    (found,) = shelf.found(STAFFS, *LIST)
    said = restricted.in_words(Audience(shelf.ledger), "docs", found)
    assert said.endswith("of list (3 readers, gone before)"), "the ledger keeps what the last load let go"
    (found,) = shelf.found(STAFFS, BONUS)
    said = restricted.in_words(Audience(shelf.ledger), "docs", found)
    assert (
        said == "new (everyone in the company, 12 readers) has 100% of the text of bonus of source payroll (3 readers)"
    )


def test_the_other_tenants_documents_are_nobodys_business(shelf: Shelf) -> None:
    other = Shelf(Ledger(shelf.ledger.url, "other"))
    assert same_text.marked(other.ledger, [m for c in Text.of(LIST).chunks for m in c.runs]) == []
    assert other.keys(STAFFS, *LIST) == []


def test_a_footer_that_many_documents_share_is_not_told_and_versions_of_one_text_are(shelf: Shelf) -> None:
    for n in range(6):
        shelf.load(HR, {f"case{n}": (salaries(f"Town{n}"), salaries(f"Village{n}"), FOOTER)})
    assert shelf.keys(STAFFS, FOOTER) == []
    for n in range(6):
        shelf.load(HR, {f"list{n}": (*LIST, f"As of the first of the month {n}, by the office of the harbour.")})
    assert len(shelf.found(STAFFS, *LIST)) == 1


def test_what_the_wider_circle_reads_already_is_not_told(shelf: Shelf) -> None:
    shelf.load(HR, {"rules": (FOOTER,)})
    assert shelf.keys(STAFFS, FOOTER) == ["rules"]
    shelf.load(STAFFS, {"about": ("What this page is about, and for whom it was made.", FOOTER)})
    assert shelf.keys(STAFFS, FOOTER) == []
    shelf.load(HR, {}, gone=("about",))
    assert shelf.keys(STAFFS, FOOTER) == ["rules"], "what nobody sees any more, nobody reads"


def test_a_masked_document_that_comes_back_with_text_of_few_is_found(shelf: Shelf) -> None:
    shelf.load(HR, {"copy": LIST})
    finder = Restricted(shelf.ledger, Audience(shelf.ledger), Limits())
    back = [Opened(key="copy", was=None, now=STAFFS), Opened(key="page", was=None, now=STAFFS)]
    assert [spread.arrival.key for spread in finder.coming_back("docs", back)] == ["copy"]
    assert finder.coming_back("docs", [Opened(key="copy", was=None, now=HR)]) == []


def test_access_sync_asks_about_a_masked_document_that_comes_back_with_text_of_few(
    settings: Settings, make_runtime: Callable[[Settings], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, listed = make_runtime(settings), dict[str, Policy | None]()
    monkeypatch.setattr(access_sync, "to_index", lambda *_: 0)  # nothing of these is in an index
    replace_members(runtime.ledger, "harbour", GROUPS, "test")
    shelf, texts = Shelf(runtime.ledger), {"list": LIST, "copy": LIST, "page": (FOOTER,)}
    for key, chunks in texts.items():
        shelf.load(STAFFS if key == "page" else HR, {key: chunks})

    def listing() -> Iterator[Listed]:
        for key, policy in listed.items():
            said = policy.text() if policy else None
            yield Listed(key=key, uri=key, fingerprint=f"{texts[key]}", size=1, policy=said, reason="no file")

    source = Source(name="docs", reader=Odd(listing), access=Groups(allow=("staff",)))
    listed |= {"list": HR, "copy": None, "page": None}
    assert access_sync.sync_access(runtime, source, "test").masked == 2
    listed |= {"copy": STAFFS, "page": STAFFS}
    synced = access_sync.sync_access(runtime, source, "test")
    assert (synced.widened, synced.held) == (1, 1)
    assert synced.hold is not None
    assert holds.get(runtime.ledger, synced.hold).reason == (
        "source docs: 1 documents would come back with text that is for far fewer people, such as "
        "copy (everyone in the company, 12 readers) has 100% of the text of list (3 readers)"
    )
    listed |= {"copy": HR}
    assert access_sync.sync_access(runtime, source, "test").widened == 1


def test_where_nobody_could_read_more_the_ledger_is_not_searched(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()

    def seen(ledger: Ledger, marks: list[int]) -> list[Marked]:
        asked.extend(marks)
        return []

    monkeypatch.setattr(same_text, "marked", seen)
    assert shelf.found(HR, *LIST) == []
    assert asked == []
    assert shelf.found(STAFFS, *LIST) == []
    assert 0 < len(asked) <= restricted.ASKED * len(LIST)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (AccessFiles(), "the nearest .access.yaml above a/b.md, or move it back"),
        (Columns(allow="team"), "column team of row a/b.md"),
        (ObjectTags(allow="readers"), "tag readers of a/b.md"),
        (Groups(allow=("staff",)), "access= of source docs, or take a/b.md out of it"),
        (Public(), "access= of source docs, or take a/b.md out of it"),
    ],
)
def test_it_is_said_what_to_correct(rule: AccessFiles, says: str) -> None:
    assert restricted.decides(rule, "docs", "a/b.md") == says


def test_a_list_that_is_moved_waits_and_once_released_nobody_is_asked_again(company: Company) -> None:
    replace_members(company.runtime.ledger, "harbour", GROUPS, "test")
    company.source = company.declared(limits=Limits(max_vanished_ratio=1.0))
    company.write(".access.yaml", "allow: [group:staff]")
    company.write("people/.access.yaml", "allow: [group:hr]")
    company.write("people/salaries/list.md", LIST_FILE)
    assert company.run().load.state == "promoted"
    company.remove("people/salaries/list.md")
    company.write("people/2026/list.md", LIST_FILE)
    assert company.run().load.state == "promoted", "the same people read it"

    company.remove("people/2026/list.md")
    company.write("all/list.md", LIST_FILE)
    number = company.run().load.id
    held = company.runtime.load(number)
    assert held.state == "held"
    candidate = Candidate(runtime=company.runtime, source=company.source, load=held)
    (found,) = (r for r in access.run(candidate) if r.failed)
    assert (found.name, found.severity, found.documents) == ("restricted text", "hold", ("all/list.md",))
    assert found.seen == (
        "all/list.md (everyone in the company, 12 readers) has 100% of the text of people/2026/list.md "
        "(3 readers, gone with this load)"
    )
    assert found.allowed == (
        "none. If it is not for them, correct the nearest .access.yaml above all/list.md, or move it back, then "
        f'moat reject {number} --because "not for them"; if it is, moat release {number} --because "for them too"'
    )
    loads.release(company.runtime.ledger, number, "user:ann", "for all of us")
    assert finish(company.runtime, company.source, number, "user:ann").load.state == "promoted"
    company.write("all/list.md", LIST_FILE.replace("earns", "gets"))
    company.write("all/again.md", LIST_FILE)
    assert company.run().load.state == "promoted"
    assert company.run(full=True).load.state == "promoted"
