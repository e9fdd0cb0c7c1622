"""Each policy is followed to the end: on the real way, with everything looked through for what was to be taken out."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from moat.checks import content
from moat.checks.candidate import Candidate
from moat.errors import RiskFound
from moat.ledger import checks as results
from moat.ledger import documents
from moat.ledger.every_table import metadata
from moat.ledger.quarantine import listing
from moat.records import Block, Document, Prepared
from moat.risks.judge import FAMILIES, families
from moat.runtime import Runtime
from moat.source import RiskAction, Risks
from moat.stages.cut import clean_and_judge
from moat.stages.gate import check
from moat.stages.run import finish
from tests.company import ANN, Company
from tests.risks import made

SECRET = made.secrets(Random(7))
KEY, TOKEN = SECRET["AWS_KEY"], SECRET["GITHUB_TOKEN"]
PEM = made.private_key(Random(7))
ORDER = made.INJECTIONS["INSTRUCTION_OVERRIDE"][0]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def company(served: object, make_runtime: object, lines: list[str], tmp_path: Path) -> Company:
    return Company(make_runtime(served, lines), tmp_path / "docs")  # type: ignore[operator]


def everything(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """All that the ledger's tables and the staged files of the way hold, as text; quarantined bytes are left out."""
    with runtime.ledger.read() as connection:
        for name, table in metadata.tables.items():
            yield from ((name, str(tuple(row))) for row in connection.execute(table.select()))
    for file in Path(runtime.settings.staging).rglob("*"):
        parts = file.relative_to(runtime.settings.staging).parts
        if file.is_file() and "quarantine" not in parts and "read" not in parts:  # read holds what the source has
            if file.suffix == ".parquet":
                import pyarrow.parquet as parquet

                yield file.name, str(parquet.read_table(file).to_pylist())
            else:
                yield file.name, file.read_bytes().decode("utf-8", "replace")


def indexed(company: Company) -> list[str]:
    """Every object of the index with all its properties."""
    index = company.index()
    found = [str(o.properties) for o in index._collection.iterator()]
    index.close()
    return found


def test_what_is_redacted_stands_nowhere_behind_the_parser(company: Company, lines: list[str]) -> None:
    text = f"# Interface {KEY}\n\nThe key is {KEY}, the token {TOKEN}.\n\n## For {TOKEN}\n\n{PEM}\n\nThen call the harbour."
    company.write("interface.md", text)
    company.write("page.html", f"<html><body><h1>Quay</h1><p>Boats.</p><p hidden>{TOKEN}</p></body></html>")
    result = company.run()
    assert result.load.state == "promoted", result.load.reason
    values = (KEY, TOKEN, *(line for line in PEM.split("\n") if len(line) > 20 and "KEY" not in line))
    told = [*everything(company.runtime), *(("progress", line) for line in lines)]
    told += [("index", text) for text in indexed(company)]
    assert len(told) > 50
    assert [where for where, what in told if any(value in what for value in values)] == []
    assert any("[redacted: AWS_KEY]" in what for where, what in told if where == "index")
    titles = [hit.title for hit in company.search("Then call the harbour.", ANN)]
    assert "Interface [redacted: AWS_KEY]" in titles
    seen = {r.name: r.seen for r in results.of_load(company.runtime.ledger, result.load.id) if r.family == "content"}
    assert "in 2 of 5 documents" in seen["secrets in documents"]
    assert "PRIVATE_KEY 1" in seen["secrets in documents"]
    assert "GITHUB_TOKEN 3" in seen["secrets in documents"], "the one in a hidden paragraph among them"


@pytest.mark.parametrize("family", FAMILIES)
def test_hold_waits_for_a_person_and_goes_on_whole(company: Company, family: str) -> None:
    company.write("odd.html", f"<p>Write to zoe@gmail.com. {KEY}. {ORDER}</p><p hidden>Nobody sees this.</p>")
    policy = Risks(**(dict.fromkeys(FAMILIES, "allow") | {family: "hold"}))  # type: ignore[arg-type]
    source = company.declared(risks=policy)
    result = company.run(source)
    assert result.load.state == "held"
    assert result.verdict is not None
    failed = [r for r in result.verdict.failed if r.family == "content"]
    assert [(r.name, r.severity, r.documents) for r in failed] == [
        (f"{content.TITLES[family]} in documents", "hold", ("odd.html",))
    ]
    assert not any(value in failed[0].seen for value in ("zoe@", KEY, "previous", "Nobody"))
    from moat.ledger import loads

    loads.release(company.runtime.ledger, result.load.id, "test", "it is ours")
    finish(company.runtime, source, result.load.id, "test")
    assert any(ORDER in text for text in indexed(company))


def test_quarantine_sets_the_document_aside_and_tells_kinds_only(company: Company, lines: list[str]) -> None:
    company.write("odd.md", f"# Keys\n\nWrite to zoe@gmail.com, with {KEY}.\n")
    source = company.declared(risks=Risks(personal="quarantine", secrets="quarantine"))
    result = company.run(source)
    assert result.load.state == "promoted"
    (aside,) = listing(company.runtime.ledger)
    assert (aside.key, aside.stage, aside.error) == ("odd.md", "clean", "RiskFound")
    assert "personal:EMAIL_ADDRESS (1)" in aside.reason
    assert "secrets:AWS_KEY (1)" in aside.reason
    assert aside.raw_uri
    told = [*everything(company.runtime), *(("progress", line) for line in lines)]
    assert [where for where, what in told if KEY in what or "zoe@" in what] == []
    assert documents.count_visible(company.runtime.ledger, "docs") == 3


def test_what_was_loaded_is_prepared_again_when_the_policy_moves(company: Company) -> None:
    company.write("odd.md", "# Mail\n\nWrite to zoe@gmail.com about the crane.\n")
    assert company.run().load.state == "promoted"
    assert company.run().load.state == "unchanged"
    again = company.run(company.declared(risks=Risks(personal="redact")))
    assert again.load.counts["changed"] == 4
    assert company.search("crane mail", ANN)[0].text == "Write to [redacted: EMAIL_ADDRESS] about the crane."


def test_hidden_characters_that_give_orders_hold_a_load(company: Company) -> None:
    tags = "".join(chr(0xE0000 + ord(c)) for c in ORDER)
    company.write("odd.md", f"# Quay\n\nBoats moor here.{tags}\n")
    result = company.run()
    assert result.load.state == "held"
    seen = {r.name: r for r in results.of_load(company.runtime.ledger, result.load.id)}
    assert not seen["injection in documents"].passed
    assert "tags 1" in seen["hidden text in documents"].seen


def test_shares_are_measured_of_every_load_with_documents(company: Company) -> None:
    for i in range(20):
        company.write(
            f"notes/{i}.md", f"# Note {i}\n\nPier {i} is open." + (" Write to zoe@gmail.com." if i < 5 else "")
        )
    number = company.to_the_gate()
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    content.run(candidate)
    assert candidate.measured["content.personal"] == pytest.approx(5 / 23)
    assert candidate.measured["content.secrets"] == 0
    assert set(candidate.behind["content.personal"]) == {f"notes/{i}.md" for i in range(5)}
    assert {m.name for m in content.MEASURES} == set(candidate.measured)
    assert not any(r.failed for r in check(company.runtime, company.source, number, "content"))


def test_language_and_replaced_characters_are_noted(company: Company) -> None:
    german = "Der Hafen ist heute geschlossen, weil der Sturm die Kräne beschädigt hat und niemand arbeiten kann."
    company.write("hafen.md", f"# Hafen\n\n{german} \ufffd\ufffd\n")
    number = company.to_the_gate()
    noted = {
        p.key: p
        for p in Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number)).prepared()
    }
    assert (noted["hafen.md"].language, noted["hafen.md"].n_replaced) == ("de", 2)
    assert noted["trips.md"].n_replaced == 0
    assert isinstance(noted["trips.md"], Prepared)


def document(*texts: str, title: str = "Title", hidden: str = "") -> Document:
    blocks = [Block(kind="text", text=text) for text in texts]
    return Document(
        key="k",
        uri="u",
        title=title,
        media_type="text/plain",
        blocks=(*blocks, *([Block(kind="text", text=hidden, hidden="css")] if hidden else [])),
    )


@pytest.mark.parametrize("answer", [a for a in get_args(RiskAction) if a != "quarantine"])
def test_everything_is_counted_whatever_the_policy(answer: RiskAction) -> None:
    policy = Risks(answer, answer, answer, answer)
    text = f"Write to zoe@gmail.com. {KEY}"
    judged = clean_and_judge(
        document(text, ORDER, title=text, hidden=f"{TOKEN} zoe@gmail.com"), (f"mail={text}",), policy
    )[0]
    counts = families(judged.risks)
    assert counts["personal"] == {"EMAIL_ADDRESS": 2}
    assert counts["secrets"] == {"AWS_KEY": 1, "GITHUB_TOKEN": 1}
    assert counts["hidden"] == {"css": 1}
    assert counts["injection"]["INSTRUCTION_OVERRIDE"] >= 1
    told = f"{judged.document} {judged.metadata}"
    assert (KEY in told, "zoe@" in told, TOKEN in told, "previous" in told) == ((answer != "redact"),) * 4


def test_a_key_over_several_blocks_is_one_and_goes_whole() -> None:
    lines = PEM.split("\n")
    judged = clean_and_judge(document("Before.", *lines, "After it comes prose."), (), Risks())[0]
    assert [b.text for b in judged.document.blocks] == ["Before.", "[redacted: PRIVATE_KEY]", "After it comes prose."]
    assert judged.risks == ("secrets:PRIVATE_KEY=1",)


def test_an_order_is_taken_out_with_the_line_or_cell_that_it_stands_in() -> None:
    policy = Risks(injection="redact")
    table = f"| Name | Note |\n| --- | --- |\n| Ann | {ORDER} |"
    judged = clean_and_judge(document(f"One line.\nNow: {ORDER} And more.\nLast line."), (), policy)[0]
    assert judged.document.blocks[0].text == "One line.\n[redacted: INSTRUCTION_OVERRIDE]\nLast line."
    cells = (
        clean_and_judge(
            Document(key="k", uri="u", title="", media_type="text/plain", blocks=(Block(kind="table", text=table),)),
            (),
            policy,
        )[0]
        .document.blocks[0]
        .text
    )
    assert cells.split("\n")[2] == "| Ann | [redacted: INSTRUCTION_OVERRIDE] |"


def test_a_password_that_a_sentence_tells_goes_and_is_told_by_kind_only() -> None:
    said = "The password of the label printer's admin is Harbour-77!, and the lamp is green."
    document = Document(
        key="a.txt", uri="", title="Printer", media_type="text/plain", blocks=(Block(kind="text", text=said),)
    )
    judged = clean_and_judge(document, (), Risks())[0]
    assert judged.document.blocks[0].text.startswith(
        "The password of the label printer's admin is [redacted: PASSWORD]"
    )
    assert judged.risks == ("secrets:PASSWORD=1",)
    with pytest.raises(RiskFound) as refused:
        clean_and_judge(document, (), Risks(secrets="quarantine"))
    assert "secrets:PASSWORD (1)" in str(refused.value)
    assert "Harbour" not in str(refused.value)
