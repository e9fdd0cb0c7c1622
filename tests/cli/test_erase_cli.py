"""`moat audit` and `moat erase` as a person types them: what they print, give and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from moat.errors import DeclarationError
from moat.source import Groups, LocalFiles, Source
from tests.cli.test_cli import Place, fresh, moat  # noqa: F401
from tests.company import HUGO, PAY


@pytest.fixture
def loaded(fresh: Place, moat: Any) -> Place:  # noqa: F811
    moat(fresh, "members", "load", str(fresh.folder / "../groups.yaml"))
    assert moat(fresh, "run", fresh.dag).code == 0
    return fresh


def test_the_audit_is_shown_proved_and_exported(loaded: Place, moat: Any, tmp_path: Path) -> None:  # noqa: F811
    proved = moat(loaded, "audit", "verify", "--json").json
    assert moat(loaded, "audit", "verify", "--head", proved["head"]).out.startswith(f"{proved['rows']} rows hold")
    assert "promote" in moat(loaded, "audit", "tail").out
    assert [row["action"] for row in moat(loaded, "audit", "tail", "--action", "members", "--json").json] == ["members"]
    assert "no row" in moat(loaded, "audit", "tail", "--actor", "user:nobody").out
    file = tmp_path / "audit.jsonl"
    assert moat(loaded, "audit", "export", str(file), "--json").json["head"] == proved["head"]
    assert len(file.read_text("utf-8").splitlines()) == proved["rows"]
    lines = moat(loaded, "audit", "export", "-").out.splitlines()
    assert json.loads(lines[-1])["hash"] == proved["head"]
    assert moat(loaded, "audit", "export", "-", "--since", "2999-01-01").out == ""
    wrong = moat(loaded, "audit", "verify", "--head", "f" * 64)
    assert (wrong.code, wrong.err.startswith("AuditBroken: hash ffff")) == (1, True)


def test_a_document_is_erased_and_its_receipt_looked_at_by_number_and_by_file(
    loaded: Place,
    moat: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    file = tmp_path / "receipt.json"
    erased = moat(loaded, "erase", "docs", "people/pay.md", "--because", "asked for", "--receipt", str(file))
    assert (erased.code, "erasure 1: 1 documents of docs are gone" in erased.out) == (0, True)
    assert "erased at" in moat(loaded, "explain", "docs", "people/pay.md").out
    for given in ("1", str(file)):
        assert "erasure 1 holds: nothing of 1 documents" in moat(loaded, "erase", "verify", given).out
    assert moat(loaded, "erase", "verify", "1", "--json").json == {"receipt": 1, "holds": True, "found": []}
    assert [r["keys"] for r in moat(loaded, "erase", "list", "--json").json] == [["people/pay.md"]]
    assert "asked for" in moat(loaded, "erase", "list").out
    loaded.write("people/pay.md", PAY + "\nMore.\n")
    assert moat(loaded, "run", loaded.dag).code == 0
    assert moat(loaded, "erase", "verify", "1").code == 0
    changed = {**json.loads(file.read_text("utf-8")), "because": "nothing"}
    file.write_text(json.dumps(changed), "utf-8")
    said = moat(loaded, "erase", "verify", str(file))
    assert (said.code, "this is not the receipt that was given" in said.out) == (1, True)


def test_one_persons_documents_are_listed_first_and_erased_when_it_is_said_again(
    loaded: Place,
    moat: Any,  # noqa: F811
) -> None:
    loaded.write("hugo/.access.yaml", f"allow: ['{HUGO}']")
    loaded.write("hugo/note.md", "# Note\n\nHugo keeps bees.\n")
    moat(loaded, "run", loaded.dag)
    asked = moat(loaded, "erase", "--principal", HUGO, "docs")
    assert (asked.code, "hugo/note.md" in asked.err, "--yes" in asked.err) == (1, True, True)
    assert "visible since" in moat(loaded, "explain", "docs", "hugo/note.md").out
    assert moat(loaded, "erase", "docs", "--principal", HUGO, "--yes", "--json").json["keys"] == ["hugo/note.md"]
    assert "no document that only" in moat(loaded, "erase", "docs", "--principal", HUGO, "--yes").err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["docs"], "name the documents by their keys, or by --principal"),
        (["docs", "nowhere.md"], "--even-unknown"),
        (["verify", "7"], "there is no erasure 7"),
        (["verify", "nothing.json"], "no receipt that can be read"),
    ],
)
def test_what_cannot_be_erased_is_one_clear_line(given: list[str], said: str, fresh: Place, moat: Any) -> None:  # noqa: F811
    found = moat(fresh, "erase", *given)
    assert (found.code, said in found.err) == (1, True), found


def test_a_key_may_be_tombstoned_before_anything_was_loaded(fresh: Place, moat: Any) -> None:  # noqa: F811
    assert moat(fresh, "erase", "docs", "people/pay.md", "--even-unknown").code == 0
    moat(fresh, "run", fresh.dag)
    assert moat(fresh, "erase", "verify", "1").code == 0
    assert "erased at" in moat(fresh, "explain", "docs", "people/pay.md").out


@pytest.mark.parametrize("name", ["verify", "list"])
def test_no_source_is_called_as_a_command_of_erase_is(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"`moat erase {name}` is a command"):
        Source(name=name, reader=LocalFiles(path="x"), access=Groups(allow=("everyone",)))
