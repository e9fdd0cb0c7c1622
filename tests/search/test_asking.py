"""What an application gets: codes, names, pages of one view, documents, links; and never what the asker may not read."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import update

from moat.access.rules import Groups
from moat.async_retrieve import AsyncRetriever
from moat.embedding.client import embedder_of
from moat.errors import AskedWrongly
from moat.filters import Range
from moat.index.store import Query, WeaviateStore
from moat.ledger import Ledger
from moat.ledger.members import replace_members
from moat.ledger.tables import revision
from moat.retrieve import Bearer, Hit, Retriever
from moat.search.refusals import CODES, OF_ERRORS, Code
from moat.settings import PROJECT, Settings
from moat.source import LocalFiles
from tests.company import ANN, HUGO, Company, collection_of_its_own, open_runtime

ASKED = "What does the crane of the harbour cost?"
WIKI = "https://wiki.example.com/{key}"
LONG = " ".join(f"What the crane of the harbour costs is {n} euros." for n in range(12))
TEXT = "# Crane {n}\n\nThe crane of the harbour costs {n} euros.\n\n## Fees\n\nA crane of the harbour has a fee of {n} euros.\n"


@pytest.fixture(scope="module")
def company(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    """Twelve documents of everyone's, four of the people team's, and a source that only these may read."""
    folder = tmp_path_factory.mktemp("company")
    with collection_of_its_own(weaviate_server, embedder_server, folder / "home") as settings:
        made = Company(open_runtime(settings), folder / "docs")
        made.source = made.declared(link=WIKI)
        for n in range(12):
            made.write(f"cranes/{n:02} a.md", TEXT.format(n=n))
        made.write("cranes/00 a.md", "\n\n".join(f"## Year {y}\n\n{LONG}" for y in range(2020, 2026)))
        for n in range(4):
            made.write(f"people/{n:02}.md", TEXT.format(n=100 + n))
        made.run()
        (folder / "payroll").mkdir()
        (folder / "payroll" / "pay.md").write_text("# Payroll\n\nEverybody is paid on the last day.\n")
        made.run(replace(made.source, name="payroll", reader=LocalFiles(str(folder / "payroll")), access=Groups(("people",))))  # fmt: skip
        yield made
        made.runtime.close()


@pytest.fixture
def door(company: Company) -> Iterator[Retriever]:
    with Retriever.from_settings(company.runtime.settings, company.runtime.connections) as made:
        yield made


def test_a_name_that_is_not_known_is_an_error_in_the_same_words_as_one_that_others_read(door: Retriever) -> None:
    def told(asker: str, filters: dict[str, Any]) -> list[str]:
        said = []
        for ask in (lambda: door.search(ASKED, asker, filters=filters), lambda: door.count(asker, filters)):
            with pytest.raises(AskedWrongly) as raised:
                ask()
            said.append(str(raised.value))
        return said

    assert all("did you mean 'docs'?" in one for one in told(ANN, {"source": "dosc"}))
    assert all("did you mean 'payroll'?" in one for one in told(HUGO, {"source": ["docs", "payrol"]}))
    for name in ("payroll", "nowhere"):
        words = told(ANN, {"source": name})
        assert [one.replace(repr(name), "it") for one in words] == [
            "filters['source']=it: the asker can read nothing of such a source"
        ] * 2
    assert all("did you mean 'language'?" in one for one in told(ANN, {"langauge": "en"}))
    with pytest.raises(AskedWrongly, match="neither source"):
        door.aggregate(ANN, "team")
    with pytest.raises(AskedWrongly, match="from 1 to 200"):
        door.page(ASKED, ANN, limit=201)
    assert door.search(ASKED, ANN, filters={"source": "docs", "key": "not there"}).refused is None
    assert door.search(ASKED, "user:stranger@example.com", filters={"source": "dosc"}).code == "unknown_asker"


def test_a_refusal_has_a_code_that_is_documented(door: Retriever, company: Company) -> None:
    assert (
        door.search(ASKED, None).code
        == door.count("user:x@y").code
        == door.aggregate("x", "key").code
        == "unknown_asker"
    )
    assert door.get([], Bearer("x")).code == "token_refused"
    assert door.page(ASKED, ANN, cursor="x").code == "cursor_refused"
    assert (door.search(ASKED, ANN).code, door.count(ANN).code) == (None, None)
    hasty = company.runtime.settings.model_copy(update={"search_timeout_s": 0.000_001})
    parts = Ledger.open(hasty), WeaviateStore.open(company.runtime.settings, "reader")
    with Retriever(hasty, *parts, embedder_of(hasty, company.runtime.connections)) as late:
        assert late.search(ASKED, ANN).code == "timeout"
    assert {code for _, code in OF_ERRORS} | {"failed"} == set(CODES) == set(get_args(Code))
    told = Path(PROJECT, "docs", "access.md").read_text("utf-8")
    assert [code for code in CODES if f"| `{code}` |" not in told] == []


def test_pages_are_of_one_view(door: Retriever) -> None:
    whole = door.page(ASKED, ANN, limit=200)
    assert (whole.cursor, whole.changed) == (None, False)
    page, paged, n = door.page(ASKED, ANN, limit=4), list[Hit](), 0
    while True:
        paged, n = paged + page, n + 1
        assert not page.changed
        if page.cursor is None:
            break
        page = door.page(ASKED, ANN, limit=4, cursor=page.cursor)
    assert [hit.chunk_id for hit in paged] == [hit.chunk_id for hit in whole]
    assert (n, len(paged)) == (-(-len(whole) // 4), len({hit.chunk_id for hit in paged}))
    cursor = door.page(ASKED, ANN, limit=4).cursor
    for other in (
        {"asker": HUGO},
        {"question": "What else?"},
        {"mode": "keyword"},
        {"filters": {"source": "docs"}},
        {"group_by": "document"},
    ):
        answer = door.page(**{"question": ASKED, "asker": ANN, "cursor": cursor, **other})  # type: ignore[arg-type]
        assert (list(answer), answer.code, answer.cursor) == ([], "cursor_refused", None), other
    with pytest.raises(AskedWrongly, match="cursor"):
        door.page(ASKED, ANN, cursor=7)  # type: ignore[arg-type]


def test_ten_documents_instead_of_ten_chunks(door: Retriever) -> None:
    chunks = door.search(ASKED, ANN, limit=14, mode="vector")
    documents = door.search(ASKED, ANN, limit=14, mode="vector", group_by="document")
    assert (
        len({hit.document_key for hit in chunks}) < 14 == len({hit.document_key for hit in documents}) == len(documents)
    )
    assert documents[0].chunk_id == chunks[0].chunk_id
    assert {hit.document_key for hit in chunks} < {hit.document_key for hit in documents}
    assert len(door.search(ASKED, ANN, limit=100, group_by="document")) == 14
    assert len(door.search(ASKED, HUGO, limit=100, group_by="document")) == 20
    first = door.page(ASKED, ANN, limit=8, group_by="document")
    rest = door.page(ASKED, ANN, limit=8, group_by="document", cursor=first.cursor)
    assert len({hit.document_key for hit in [*first, *rest]}) == 14


def test_a_hit_tells_when_what_and_where(door: Retriever, company: Company) -> None:
    (hit,) = door.search(ASKED, ANN, limit=1, filters={"key": "cranes/07 a.md"})
    assert hit.link == "https://wiki.example.com/cranes/07%20a.md"
    assert hit.media_type == "text/markdown"
    stamp = (company.folder / hit.document_key).stat().st_mtime
    assert hit.modified
    assert abs(hit.modified.timestamp() - stamp) < 1e-3
    assert {hit.text[a:b].lower() for a, b in hit.highlights} >= {"crane", "harbour"}
    assert hit == next(h for h in {hit})
    assert door.get([hit.chunk_id], ANN)[0].highlights == ()


def test_filters_of_the_ledger_narrow_a_search(door: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC)
    assert {h.source for h in door.search(ASKED, ANN, filters={"modified": Range(at_least=today - timedelta(days=2))})} == {"docs"}  # fmt: skip
    assert door.search(ASKED, ANN, filters={"modified": Range(below=date(2020, 1, 1))}) == []
    assert door.search(ASKED, ANN, filters={"media_type": "application/pdf"}) == []
    both = {"language": "en", "key": ["cranes/03 a.md", "people/01.md"]}
    assert {h.document_key for h in door.search(ASKED, ANN, filters=both)} == {"cranes/03 a.md"}
    assert {h.document_key for h in door.search(ASKED, HUGO, filters=both)} == set(both["key"])
    monkeypatch.setattr("moat.search.finding.MOST_NAMED", 1)  # so that the second look alone chooses
    assert {h.document_key for h in door.search(ASKED, ANN, filters=both)} == {"cranes/03 a.md"}
    assert len(door.search(ASKED, HUGO, limit=100, filters={"media_type": "text/markdown"}, group_by="document")) == 20


def test_the_same_by_await(company: Company) -> None:
    async def asked() -> None:
        async with await AsyncRetriever.from_settings(company.runtime.settings, company.runtime.connections) as door:
            many = [door.search(ASKED, asker, limit=3) for asker in (ANN, HUGO, "user:stranger@example.com")]
            ann, hugo, stranger = await asyncio.gather(*many)
            assert (len(ann), len(hugo), stranger.code) == (3, 3, "unknown_asker")
            first = await door.page(ASKED, ANN, limit=2)
            assert len(await door.page(ASKED, ANN, limit=2, cursor=first.cursor)) == 2
            assert [h.chunk_id for h in await door.get([ann[0].chunk_id], ANN)] == [ann[0].chunk_id]
            assert (await door.count(ANN)).documents == 14
            assert (await door.aggregate(ANN, "source"))["docs"].documents == 14
            with pytest.raises(AskedWrongly):
                await door.search("", ANN)

    asyncio.run(asked())


def test_a_tampered_index_does_not_get_around_a_filter(door: Retriever) -> None:
    class Careless:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def search(self, query: Query) -> list[tuple[str, float]]:
            return list(self.inner.search(replace(query, filters={})))

    door._finder._store = Careless(door._store)  # type: ignore[assignment]
    for filters in ({"key": "cranes/03 a.md"}, {"modified": Range(below=date(2020, 1, 1))}, {"kind": "table"}):
        wanted = {"cranes/03 a.md"} if "key" in filters else set()
        assert {h.document_key for h in door.search(ASKED, ANN, limit=100, filters=filters)} == wanted, filters  # type: ignore[arg-type]


def test_a_page_after_a_promotion_keeps_its_view_and_shows_nothing_that_was_taken_away(
    runtime: Any, tmp_path: Path
) -> None:
    company = Company(runtime, tmp_path / "docs")
    for n in range(6):
        company.write(f"people/{n}.md", TEXT.format(n=n))
    company.run()
    with Retriever.from_settings(runtime.settings, runtime.connections) as door:
        first = door.page(ASKED, HUGO, limit=2, group_by="document")
        there = {hit.document_key for hit in first}
        gone = sorted({f"people/{n}.md" for n in range(6)} - there)[0]
        company.remove(gone)
        company.write("people/new.md", TEXT.format(n=77))
        assert company.run().load.state == "promoted"
        rest = door.page(ASKED, HUGO, limit=100, group_by="document", cursor=first.cursor)
        keys = {hit.document_key for hit in rest}
        assert rest.changed
        assert rest.cursor is None
        assert not keys & {gone, "people/new.md"}
        assert len([k for k in keys if k.startswith("people/")]) == 6 + 1 - len(there) - 1
        assert "people/new.md" in {hit.document_key for hit in door.page(ASKED, HUGO, limit=100)}

        replace_members(runtime.ledger, "test", {"group:everyone": [ANN, HUGO], "group:people": ["user:x@y.z"]}, "test")
        after = door.page(ASKED, HUGO, limit=100, group_by="document", cursor=first.cursor)
        assert after.changed
        assert not [hit for hit in after if hit.document_key.startswith("people/")]


def test_a_ledger_of_before_answers_and_its_next_run_fills_what_is_new(runtime: Any, tmp_path: Path) -> None:
    company = Company(runtime, tmp_path / "docs")
    company.run()
    before = {"modified_at": None, "language": None, "recipe": "older"}
    with runtime.ledger.write() as connection:
        connection.execute(update(revision).values(before))
    with Retriever.from_settings(runtime.settings, runtime.connections) as door:
        (hit,) = door.search("parental leave", ANN, limit=1)
        assert (hit.modified, hit.link) == (None, None)
        assert door.count(ANN, {"modified": Range(above=date(2000, 1, 1))}).documents == 0
        assert company.run().load.state == "promoted"
        assert door.count(ANN, {"modified": Range(above=date(2000, 1, 1))}).documents == 2
