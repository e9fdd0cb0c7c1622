"""The whole way, in one process, on a real Weaviate with the real model."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moat.access.policy import access_token
from moat.errors import FatalError, LoadInProgress, NothingListed, SourceUnavailable
from moat.ledger import checks, documents, incidents, loads
from moat.ledger.quarantine import listing, replay
from moat.readers.reader import Reading
from moat.records import Listed
from moat.runtime import Options, Runtime
from moat.search.explain_document import explain
from moat.source import Chunking, Golden, Groups, Limits, LocalFiles
from moat.stages.dry_run import dry_run
from moat.stages.load import load
from moat.stages.read import read
from moat.stages.run import finish
from tests.company import ANN, HUGO, LEAVE, PAY, Company, keyed, stored


def test_two_people_get_two_answers(company: Company) -> None:
    result = company.run()
    assert result.load.state == "promoted"
    assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"
    assert "people/pay.md" not in company.keys("What does a crane driver earn?", ANN)
    hit = company.search("How long is parental leave?", ANN)[0]
    assert (hit.source, hit.document_key, hit.title, hit.heading_path) == ("docs", "leave.md", "Leave", ("Leave",))
    assert hit.uri.endswith("/docs/leave.md")
    assert hit.text == "Parental leave lasts twenty weeks."


def test_an_unchanged_source_is_neither_parsed_nor_embedded_nor_written_langchain_32612(company: Company) -> None:
    company.run()
    again = company.run()
    assert again.load.state == "unchanged"
    assert again.verdict is None
    counts = {name: n for name, n in again.load.counts.items() if n}
    assert counts == {"listed": 3, "unchanged": 3, "visible": 3, "sampled": 3}, (
        "all three are a sample of a small source"
    )
    assert not list(Path(company.runtime.settings.staging, "docs", str(again.load.id)).glob("*"))


def test_a_fingerprint_that_moved_with_equal_content_is_no_change(company: Company) -> None:
    company.run()
    company.write("leave.md", LEAVE)
    again = company.run()
    assert again.load.state == "unchanged"
    assert again.load.counts["touched"] == 1
    assert "touched" not in {k for k, n in company.run().load.counts.items() if n}


def test_only_what_changed_is_embedded_and_written(company: Company) -> None:
    company.run()
    company.write("leave.md", LEAVE.replace("nine", "ten") + "\n## New\n\nA new section.\n")
    counts = company.run().load.counts
    assert (counts["changed"], counts["unchanged"], counts["written"], counts["kept"]) == (1, 2, 2, 1)
    assert company.search("When do I call?", ANN)[0].text == "Call before ten in the morning."


def test_a_deleted_document_goes_llama_index_22706(company: Company) -> None:
    company.write("copy.md", LEAVE)  # equal content: its twin must not keep it alive, nor lose it
    company.run()
    company.remove("leave.md")
    counts = company.run().load.counts
    assert counts["vanished"] == 1
    assert "leave.md" not in company.keys("parental leave", ANN)
    assert company.keys("parental leave", ANN)[0] == "copy.md"


def test_a_change_of_access_alone_is_no_embedding(company: Company) -> None:
    company.run()
    company.write("people/.access.yaml", "allow: [group:everyone]")
    result = company.run()
    assert result.load.state == "promoted"
    assert (result.load.counts["access"], result.load.counts["patched"]) == (1, 1)
    assert result.load.counts.get("written", 0) == 0
    assert "embed" not in result.seconds
    assert company.keys("What does a crane driver earn?", ANN)[0] == "people/pay.md"


def test_access_that_can_no_longer_be_read_masks_at_once(company: Company) -> None:
    company.run()
    company.write("people/.access.yaml", "allow: [")
    result = company.run()
    assert company.keys("What does a crane driver earn?", HUGO)[:1] != ["people/pay.md"]
    assert [q.error for q in listing(company.runtime.ledger)] == ["AccessUnknown"]
    assert result.load.counts["unknown"] == 1
    company.write("people/.access.yaml", "allow: [group:people]")
    company.run()
    assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"


def test_a_document_for_which_no_rule_speaks_is_never_loaded(company: Company) -> None:
    (company.folder / ".access.yaml").unlink()
    result = company.run()
    assert result.load.counts["unknown"] == 2
    assert documents.count_visible(company.runtime.ledger, "docs") == 1
    assert {q.key for q in listing(company.runtime.ledger)} == {"leave.md", "trips.md"}


def test_a_listing_that_breaks_off_deletes_nothing(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.run()
    whole = company.source.reader.open

    class Broken:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def listing(self) -> Any:
            for i, one in enumerate(self.inner.listing()):
                if i == 1:
                    raise SourceUnavailable("source docs: the server hung up")
                yield one

    class Reader(LocalFiles):
        def open(self, reading: Reading) -> Any:
            from contextlib import contextmanager

            @contextmanager
            def opening() -> Any:
                with whole(reading) as inner:
                    yield Broken(inner)

            return opening()

    with pytest.raises(SourceUnavailable):
        company.run(company.declared(reader=Reader(path=str(company.folder))))
    assert documents.count_visible(company.runtime.ledger, "docs") == 3


def test_a_key_that_is_listed_twice_is_refused_before_anything_is_lost(company: Company) -> None:
    class Twice(LocalFiles):
        def open(self, reading: Reading) -> Any:
            from contextlib import contextmanager

            class Open:
                def listing(self) -> Any:
                    for _ in range(2):
                        yield Listed(
                            key="same",
                            uri="u",
                            fingerprint="f",
                            size=1,
                            policy='{"deny":[],"layers":[["group:everyone"]]}',
                        )

            @contextmanager
            def opening() -> Any:
                yield Open()

            return opening()

    with pytest.raises(FatalError, match=r"source docs: 1 keys are listed more than once, such as 'same'"):
        company.run(company.declared(reader=Twice(path="x")))


STAMP = "updated_at=2026-01-01T00:00:00"


class Frozen(LocalFiles):
    """A folder whose files all bear one stamp, whatever happens to them."""

    stamped = True

    def open(self, reading: Reading) -> Any:
        @contextmanager
        def opening() -> Any:
            with LocalFiles(path=self.path).open(reading) as inner:
                yield Stamped(inner)

        return opening()


class Stamped:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def listing(self) -> Any:
        return (replace(one, fingerprint=STAMP) for one in self.inner.listing())

    def fetch(self, wanted: Any) -> Any:
        return (replace(one, fingerprint=STAMP) for one in self.inner.fetch(wanted))


def test_a_stamp_that_tells_of_no_change_is_found_by_a_sample_and_everything_is_read(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moat.stages.stamps.FEWEST", 3)
    company.source = company.declared(reader=Frozen(path=str(company.folder)))
    held = company.run().load
    assert held.state == "held"
    (incident,) = incidents.listing(company.runtime.ledger, "docs")
    assert incident.detail["causes"][0]["name"] == "stamp_wrong"
    loads.release(company.runtime.ledger, held.id, "user:ann", "the table was filled in one go")
    finish(company.runtime, company.source, held.id, "user:ann")
    company.set(stamp_sample=0)
    company.write("leave.md", LEAVE.replace("twenty", "thirty"))
    assert company.run().load.state == "unchanged", "that is how a frozen source looks"

    company.set(stamp_sample=1)
    company.write("trips.md", "# Trips\n\nTake the boat.\n")
    runs = [company.run().load for _ in range(3)]
    found = next(load for load in runs if load.counts["unstamped"])
    wrong, looked = found.counts["unstamped"], found.counts["sampled"]
    assert (found.counts["changed"], found.counts["touched"]) == (3, 1)
    assert "thirty weeks" in company.search("How long is parental leave?", ANN)[0].text
    results = {r.name: r for r in checks.of_load(company.runtime.ledger, found.id)}
    values = results["stamp values"]
    assert values.seen == "all 3 documents have one and the same stamp"
    assert (values.severity, values.passed) == ("warn", False), "a person let it pass once"
    told = results["change stamp"]
    assert (told.severity, told.passed) == ("warn", False)
    assert f"{wrong} of {looked} documents have another content" in told.seen
    assert set(told.documents) <= {"leave.md", "trips.md"}
    assert company.run().load.counts["touched"] == 3, "the stamp is in doubt: everything is compared by its content"


def test_a_stamp_that_is_right_costs_a_sample_and_each_document_has_its_turn(company: Company) -> None:
    company.run()
    company.set(stamp_sample=1)
    seen = [company.run().load for _ in range(3)]
    assert {load.state for load in seen} == {"unchanged"}
    assert sum(load.counts["sampled"] for load in seen) == 3
    assert all(load.counts["unstamped"] == 0 for load in seen)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("a defect"), "ZeroDivisionError: a defect"),
        (SystemExit("stopped by SIGTERM"), "SystemExit: stopped by SIGTERM"),
        (KeyboardInterrupt(), None),  # the person who pressed Ctrl-C knows
    ],
)
def test_whatever_ends_a_run_gives_its_lease_up_and_is_told(
    error: BaseException, told: str | None, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr("moat.stages.run.embed", fails)
        with pytest.raises(type(error)):
            company.run()
    opened = incidents.listing(company.runtime.ledger, "docs")
    messages = [h.message for one in opened for h in incidents.happenings(company.runtime.ledger, one.id)]
    assert messages == ([told] if told else [])
    assert company.run().load.state == "promoted"
    assert incidents.listing(company.runtime.ledger, "docs") == []


def test_a_document_that_cannot_be_parsed_rests_and_its_older_content_stays(company: Company) -> None:
    company.run()
    company.write("leave.md", b"\x7fELF not a document")
    result = company.run()
    assert result.load.counts["aside"] == 1
    assert result.load.state == "promoted"
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
    (aside,) = listing(company.runtime.ledger)
    assert (aside.key, aside.stage, aside.error, aside.attempts) == ("leave.md", "parse", "ParseFailed", 1)
    assert aside.raw_uri is not None
    assert Path(aside.raw_uri).read_bytes() == b"\x7fELF not a document"
    resting = company.run().load.counts
    assert (resting["resting"], resting.get("changed", 0)) == (1, 0)
    assert "older" not in explain(company.runtime.ledger, "docs", "leave.md").state  # type: ignore[union-attr]
    assert "rests in quarantine" in explain(company.runtime.ledger, "docs", "leave.md").state  # type: ignore[union-attr]


def test_a_replayed_document_is_tried_again_and_resolved_when_it_loads(company: Company) -> None:
    company.write("bad.md", b"\x7fELF")
    company.run()
    assert replay(company.runtime.ledger, source="docs").marked == {"docs": ["bad.md"]}
    again = company.run(only=("bad.md",))
    assert again.load.counts["new"] == 1
    assert [q.attempts for q in listing(company.runtime.ledger)] == [2]
    company.write("bad.md", "# Good\n\nNow it is a text.\n")
    company.run()
    assert listing(company.runtime.ledger) == []
    assert company.keys("Now it is a text", ANN)[0] == "bad.md"


def test_only_these_keys_touches_nothing_else(company: Company) -> None:
    company.run()
    company.write("leave.md", LEAVE + "\nMore.\n")
    company.write("trips.md", "# Trips\n\nFly.\n")
    company.remove("people/pay.md")
    counts = company.run(only=("leave.md",)).load.counts
    assert (counts["changed"], counts.get("vanished", 0)) == (1, 0)
    assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"
    counts = company.run(only=("people/pay.md",)).load.counts
    assert counts["vanished"] == 1


def test_a_limit_leaves_the_rest_for_the_next_run(company: Company) -> None:
    first = company.run(limit=2).load.counts
    assert (first["new"], first["waiting"]) == (2, 1)
    assert company.run().load.counts["new"] == 1


def test_a_full_run_reads_all_again_and_writes_nothing_that_is_there(company: Company) -> None:
    company.run()
    counts = company.run(full=True).load.counts
    assert (counts["changed"], counts["written"], counts["kept"]) == (3, 0, 4)


def test_another_way_of_cutting_prepares_everything_again(company: Company) -> None:
    company.run()
    other = company.declared(chunking=Chunking(target_tokens=64))
    assert company.run(other).load.counts["changed"] == 3
    assert company.run(other).load.state == "unchanged"


def test_a_dry_run_tells_the_plan_and_its_cost_and_writes_nothing(company: Company) -> None:
    estimate = dry_run(company.runtime, company.source, Options())
    assert estimate.counts["new"] == 3
    assert (estimate.documents, estimate.sampled, estimate.chunks) == (3, 3, 4)
    assert estimate.tokens > 20
    assert estimate.seconds > 0
    assert loads.recent(company.runtime.ledger) == []
    assert not list(Path(company.runtime.settings.staging).glob("*"))
    company.run()
    assert dry_run(company.runtime, company.source, Options()).documents == 0


def test_a_held_load_waits_and_goes_on_when_it_is_released(company: Company) -> None:
    company.run()
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    cautious = company.declared()
    object.__setattr__(cautious, "limits", type(cautious.limits)())
    held = company.run(cautious)
    assert held.load.state == "held"
    assert held.verdict is not None
    assert "mass deletion" in held.verdict.reason
    assert company.keys("parental leave", ANN)[0] == "leave.md", "nothing of it is visible"
    with pytest.raises(LoadInProgress, match="waits for a person"):
        company.run(cautious)
    from moat.stages.run import finish

    loads.release(company.runtime.ledger, held.load.id, "ann")
    assert finish(company.runtime, cautious, held.load.id, "ann").load.state == "promoted"
    assert company.keys("parental leave", ANN) == []


def test_a_first_listing_of_nothing_is_an_error_with_what_was_read(company: Company) -> None:
    company.source = company.declared(reader=LocalFiles(path=str(company.folder), patterns=("*.mdx",)))
    assert "nothing is listed by LocalFiles(" in dry_run(company.runtime, company.source, Options()).warnings[0]
    with pytest.raises(NothingListed, match=r"source docs lists no document.*patterns=\('\*\.mdx',\)"):
        company.run()
    assert [load.state for load in loads.recent(company.runtime.ledger)] == ["open"]
    (opened,) = incidents.listing(company.runtime.ledger, "docs")
    assert (opened.severity, opened.detail["causes"][0]["name"]) == ("block", "empty_listing")
    company.source = company.declared()
    assert company.run().load.state == "promoted", "once the pattern is right, the next run takes the load over"


def test_an_empty_listing_holds_llama_index_22639(company: Company) -> None:
    company.run()
    for name in ("leave.md", "trips.md", "people/pay.md"):
        company.remove(name)
    held = company.run()
    assert held.load.state == "held"
    assert company.keys("parental leave", ANN)[0] == "leave.md"


def test_rollback_restores_what_was_visible_and_the_next_run_offers_it_again(company: Company) -> None:
    company.run()
    company.write("leave.md", "# Leave\n\nParental leave is cancelled.\n")
    company.remove("trips.md")
    second = company.run()
    assert company.search("parental leave", ANN)[0].text == "Parental leave is cancelled."
    loads.rollback(company.runtime.ledger, second.load.id, "ann")
    assert company.search("How long is parental leave?", ANN)[0].text == "Parental leave lasts twenty weeks."
    assert "trips.md" in company.keys("train journeys", ANN)
    third = company.run()
    assert (third.load.counts["changed"], third.load.counts["vanished"]) == (1, 1)
    assert company.search("parental leave", ANN)[0].text == "Parental leave is cancelled."


def test_what_was_replaced_is_removed_when_the_next_load_is_promoted(company: Company) -> None:
    company.run()
    index = company.index()
    for i in range(3):
        company.write("leave.md", f"# Leave\n\nVersion {i}.\n")
        company.run()
        versions = sorted(hit.text for hit in company.search("Version", ANN, limit=50) if "Version" in hit.text)
        assert versions == [f"Version {i}."]
        assert len(stored(index)) <= 2 + 1 + 2
    index.close()
    staged = {p.name for p in Path(company.runtime.settings.staging, "docs").iterdir()}
    assert len(staged) <= 2


def test_the_same_input_gives_the_same_state_whatever_the_batches(
    runtime: Runtime, tmp_path: Path, make_runtime: Any, served: Any
) -> None:
    states = []
    for n, batch_mb in enumerate((2.0, 0.001)):
        settings = served.model_copy(
            update={"home": tmp_path / f"h{n}", "batch_mb": batch_mb, "collection": f"{served.collection}x{n}"}
        )
        company = Company(make_runtime(settings), tmp_path / "docs")
        keyed(company.runtime)
        for i in range(12):
            company.write(
                f"more/{i:02}.md", f"# Note {i}\n\n" + " ".join(f"Line {j} of note {i}." for j in range(i * 7 + 1))
            )
        result = company.run()
        assert result.load.state == "promoted", result.load
        index = company.index()
        states.append(stored(index))
        index.close()
        assert result.load.counts["batches"] == (1 if n == 0 else result.load.counts["batches"])
        if n:
            assert result.load.counts["batches"] > 2
    assert states[0] == states[1]
    assert len(states[0]) > 15


def test_a_batch_is_never_one_document_and_never_more_than_allowed(company: Company) -> None:
    for i in range(41):
        company.write(f"n{i}.md", f"# {i}\n\n" + "x y z " * (50_000 if i % 10 == 0 else 5))
    runtime = company.runtime
    small = Runtime(
        settings=runtime.settings.model_copy(update={"batch_mb": 0.01, "max_batches": 6}),
        ledger=runtime.ledger,
        staging=runtime.staging,
        connections=runtime.connections,
        progress=runtime.progress,
    )
    found = read(small, company.source, "run", Options())
    assert 1 < len(found.batches) <= 6
    assert all(batch.n_documents >= 2 for batch in found.batches)
    assert sum(batch.n_documents for batch in found.batches) == 44


def test_the_story_of_a_document_is_told(company: Company) -> None:
    company.run()
    story = explain(company.runtime.ledger, "docs", "people/pay.md")
    assert story is not None
    assert story.state == "visible since load 1"
    assert "any of group:people" in story.access
    assert [c["heading"] for c in story.chunks] == ["Pay"]
    company.remove("people/pay.md")
    company.run()
    assert "load 2 retired it" in explain(company.runtime.ledger, "docs", "people/pay.md").state  # type: ignore[union-attr]
    assert explain(company.runtime.ledger, "docs", "never") is None


def test_a_source_of_which_no_access_is_known_waits_for_a_person(company: Company) -> None:
    for file in (".access.yaml", "people/.access.yaml"):
        (company.folder / file).unlink()
    held = company.run().load
    assert held.state == "held"
    assert "access of all 3 listed documents is unknown: nobody would see one of them" in (held.reason or "")
    (incident,) = incidents.listing(company.runtime.ledger, "docs")
    assert [cause["name"] for cause in incident.detail["causes"]][:1] == ["access_lost"]
    loads.reject(company.runtime.ledger, held.id, "user:ann", "wrote the access file")
    company.write(".access.yaml", "allow: [group:everyone]")
    assert company.run().load.state == "promoted"
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"


def test_a_source_readable_by_a_group_needs_no_file_beside_it(company: Company) -> None:
    company.run(company.declared(name="plain", access=Groups(allow=("people",))))
    assert {hit.source for hit in company.search("crane driver", HUGO)} == {"plain"}
    assert company.keys("crane driver", ANN) == []
    assert PAY.split("\n")[0] == "# Pay"


def test_access_that_is_corrected_loads_what_waited_for_it_without_a_replay(company: Company) -> None:
    (company.folder / ".access.yaml").write_text("allow: everyone")
    assert company.run().load.counts["unknown"] == 2
    assert company.run().load.state == "unchanged"
    company.write(".access.yaml", "allow: [group:everyone]")
    assert company.run().load.counts["new"] == 2
    assert company.keys("parental leave", ANN)[0] == "leave.md"
    assert listing(company.runtime.ledger) == []


def test_a_masked_document_that_is_known_again_leaves_quarantine(company: Company) -> None:
    company.run()
    company.write("people/.access.yaml", "allow: [")
    company.run()
    company.write("people/.access.yaml", "allow: [group:people]")
    company.run()
    assert listing(company.runtime.ledger) == []
    story = explain(company.runtime.ledger, "docs", "people/pay.md")
    assert story is not None
    assert story.quarantined is None


def test_what_left_its_source_leaves_quarantine_and_its_bytes_go(company: Company) -> None:
    company.write("broken.pdf", b"%PDF-1.7 not really")
    company.run()
    kept = Path(company.runtime.settings.staging, "docs", "quarantine")
    assert len(list(kept.glob("*"))) == 2  # bytes and their checksum
    company.remove("broken.pdf")
    company.write("new.md", "# New\n\nNew.\n")
    company.run()
    assert listing(company.runtime.ledger) == []
    assert list(kept.glob("*")) == []


def test_documents_that_were_set_aside_are_counted(company: Company) -> None:
    company.write("broken.pdf", b"%PDF-1.7 not really")
    assert company.run().load.counts["aside"] == 1


def test_an_access_file_that_is_lost_masks_at_once_and_waits_for_a_person(company: Company) -> None:
    company.run()
    company.source = company.declared(limits=Limits(max_failed_ratio=1.0))
    (company.folder / ".access.yaml").unlink()
    result = company.run()
    assert result.load.state == "held"
    assert "access of 2 of 3 visible documents became unknown (67%)" in (result.load.reason or "")
    assert company.search("parental leave", ANN) == []


def until_the_load(company: Company) -> int:
    """A load of what changed that stands in the index and is not promoted."""
    number = company.to_the_load()
    load(company.runtime, company.source, number)
    return number


def test_a_kept_chunk_stays_in_front_of_people_while_its_document_changes(company: Company) -> None:
    company.run()
    before = company.index()
    was = stored(before)
    company.write("leave.md", LEAVE + "\n## New\n\nA new section.\n")
    company.write(".access.yaml", "allow: [group:everyone, user:guest@example.com]")
    number = until_the_load(company)
    assert company.search("How long is parental leave?", ANN)[0].text == "Parental leave lasts twenty weeks."
    loads.reject(company.runtime.ledger, number, "test")
    assert company.search("How long is parental leave?", ANN)[0].text == "Parental leave lasts twenty weeks."
    assert company.search("How long is parental leave?", "user:guest@example.com") == []
    company.run()
    assert company.keys("How long is parental leave?", "user:guest@example.com")[0] == "leave.md"
    assert set(was) < set(stored(before))
    before.close()


def test_an_access_that_narrowed_reaches_the_index_though_its_load_was_rejected(company: Company) -> None:
    company.run()
    company.write(".access.yaml", f"allow: [{HUGO}]")
    first = read(company.runtime, company.source, "test", Options())
    assert company.search("parental leave", ANN) == []  # from the moment it was read
    loads.reject(company.runtime.ledger, first.load, "test")
    again = company.run()
    assert (again.load.state, again.load.counts["access"]) == ("promoted", 2)
    index = company.index()
    assert {allow for _, allow in stored(index).values()} == {
        (access_token("default", HUGO),),
        (access_token("default", "group:people"),),
    }
    index.close()


def test_a_read_that_was_killed_and_tried_again_still_brings_a_narrower_access_to_the_index(company: Company) -> None:
    company.run()
    company.write(".access.yaml", f"allow: [{HUGO}]")
    first = read(company.runtime, company.source, "test", Options())
    again = read(company.runtime, company.source, "test", Options())
    assert again == first
    assert again.counts["access"] == 2


def test_a_document_whose_fingerprint_and_access_moved_and_whose_content_did_not_is_patched(company: Company) -> None:
    company.run()
    company.write("people/pay.md", PAY)
    company.write("people/.access.yaml", "allow: [group:everyone]")
    counts = company.run().load.counts
    assert (counts["touched"], counts["access"], counts["patched"], counts.get("written", 0)) == (1, 1, 1, 0)
    assert company.keys("What does a crane driver earn?", ANN)[0] == "people/pay.md"


def test_golden_questions_hold_nothing_when_a_load_only_removes(company: Company, tmp_path: Path) -> None:
    (tmp_path / "golden.yaml").write_text("- question: How long is parental leave?\n  documents: [leave.md]\n")
    company.source = company.declared(golden=Golden(file=str(tmp_path / "golden.yaml"), k=1, min_recall=1.0))
    company.run()
    company.remove("trips.md")
    assert company.run().load.state == "promoted"


def test_a_text_that_a_rollback_brings_back_gets_the_access_of_today_with_the_next_run(company: Company) -> None:
    company.run()
    company.write("people/pay.md", PAY.replace("four", "five"))
    company.write("people/.access.yaml", "allow: [group:everyone]")
    number = company.run().load.id
    assert company.search("What does a crane driver earn?", ANN)[0].text.endswith("five thousand a month.")
    company.write("people/pay.md", PAY)
    loads.rollback(company.runtime.ledger, number, "test")
    counts = company.run().load.counts
    assert (counts["access"], counts.get("written", 0)) == (1, 0)
    assert company.search("What does a crane driver earn?", ANN)[0].text.endswith("four thousand a month.")


def test_bytes_in_quarantine_are_known_until_they_go(company: Company) -> None:
    company.write("broken.pdf", b"%PDF-1.7 not really")
    company.run()
    company.write(".access.yaml", "allow: nobody in particular")
    company.run()
    assert {entry.error for entry in listing(company.runtime.ledger)} == {"AccessUnknown"}
    company.remove("broken.pdf")
    company.write(".access.yaml", "allow: [group:everyone]")
    company.run()
    assert not list(Path(company.runtime.settings.staging, "docs", "quarantine").glob("*"))
