"""A command that a message, an incident or a page gives works as pasted: it is parsed by the command line itself."""

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from moat.cli import app
from moat.dagfile import sources_in
from moat.incidents.triage.commands import commands, dag_file
from moat.incidents.triage.rank import SIGNATURES
from moat.incidents.triage.signature import OWN
from moat.ledger.loads import Load
from moat.settings import PROJECT
from moat.source import OWN_DAGS

UsageError: Any = typer.BadParameter.__bases__[0]
GIVEN = re.compile(r"`(moat(?: [^`\n]+)?)`")
LINE = re.compile(r"^moat [^\n]+", re.MULTILINE)
PLACE = re.compile(r"%s|[A-Z]+|\[ID\]|…|[A-Z]+\.\.\.")  # what a reader puts a value of their own for
COMMAND = get_command(app)
ONE = "1"  # a number, and a name as well


def wrong(line: str, whole: bool = True) -> str:
    """What the command line says against a command; empty if nothing. In prose arguments may be missing."""
    command, words = COMMAND, shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        inner: dict[str, Any] = command.commands
        if words and words[0] in inner and words[0] != "SOURCE":
            command = inner[words.pop(0)]
        elif words and not words[0].startswith("-") and "SOURCE" in inner:  # `moat erase SOURCE KEY`
            command = inner["SOURCE"]
        else:
            return f"{words[0]} is no command" if words else "" if not whole else "no command"
    try:
        command.make_context("moat", [ONE if PLACE.fullmatch(word) else word for word in words])
    except UsageError as error:
        said = str(error.format_message())
        return "" if not whole and re.search("Missing argument|requires an argument", said) else said
    return ""


def strings(file: Path) -> Iterator[tuple[str, bool]]:
    """Every text of a file, each value in it replaced by 1, and whether it is no docstring."""
    inside, docs = set[ast.AST](), set[ast.AST]()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Expr):
            docs.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ONE for part in node.values), True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield re.sub(r"{\w+}", ONE, node.value), node not in docs


def test_every_command_that_the_code_gives_is_one_that_it_takes() -> None:
    files = [file for folder in ("include", "plugins", "dags") for file in (PROJECT / folder).rglob("*.py")]
    found = [(file, *one) for file in files if "moat " in file.read_text("utf-8") for one in strings(file)]
    given = [(file, line, False) for file, text, _ in found for line in GIVEN.findall(text)]
    whole = re.compile(r"moat (?!context|embedder)[a-z]+ \S[^\n]*")  # these two begin names that are derived
    given += [(file, text, True) for file, text, plain in found if plain and whole.fullmatch(text)]
    assert len(given) > 60
    assert not [f"{file.relative_to(PROJECT)}: {line}: {why}" for file, line, w in given if (why := wrong(line, w))]


def test_every_command_of_the_pages_is_one_that_it_takes() -> None:
    for page in [*sorted((PROJECT / "docs").rglob("*.md")), PROJECT / "README.md"]:
        text = page.read_text("utf-8")
        blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))
        given = [(line, True) for line in LINE.findall(blocks)]
        given += [(line, False) for line in GIVEN.findall(text)]
        bad = [f"{line}: {why}" for line, whole in given if (why := wrong(line, whole))]
        assert not bad, (page.name, bad)


def load_in(state: str, **counts: int) -> Load:
    none: dict[str, Any] = dict.fromkeys(field.name for field in fields(Load))
    made = {
        "id": 7,
        "source": "handbook",
        "state": state,
        "counts": counts,
        "options": {},
        "opened_at": datetime.now(UTC),
    }
    return Load(**{**none, **made})


@pytest.mark.parametrize("source", ["handbook", "sync_directory", "nowhere"])
def test_every_step_that_mends_a_cause_works_as_pasted(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[commands.__module__], "dag_file", cache(dag_file))
    loads = [load_in(s, batches=1) for s in ("open", "held", "staged", "promoted", "rejected")] + [
        load_in("open"),
        None,
    ]
    given = dict[str, str]()
    for name in {signature.name for signature in SIGNATURES}:
        for load in loads:
            for severity in ("warn", "hold", "block"):
                mine = replace(load, source=source) if load else None
                for line in commands(source, mine, name, severity=severity, error="ParseFailed"):
                    given[line] = name
    assert any(line.startswith("moat ") for line in given)
    for line, name in given.items():
        assert line.startswith(("moat ", "# ")), (name, line)
        if line.startswith("moat "):
            assert not wrong(line), (name, line, wrong(line))
            words = shlex.split(line, comments=True)
            assert words[1] != "run" or source in {one.name for one in sources_in(PROJECT / words[2])}, (name, line)
            assert source == "handbook" or words[1] not in ("run", "resume"), "no file declares it"
            assert source != "sync_directory" or source not in words, "it is a DAG, and no source"
    if source == "handbook":
        assert {"run", "resume", "release", "reject", "rollback"} <= {
            shlex.split(li)[1] for li in given if li[0] == "m"
        }


def test_a_file_is_named_by_whom_the_source_belongs_to(tmp_path: Path) -> None:
    assert set(OWN) == set(OWN_DAGS)
    assert not [line for line in OWN.values() if wrong(line)]
    (tmp_path / "made.py").write_text("from ingest import ingest\nfor name in NAMES: ingest(source(name))\n")
    assert dag_file("made_3", folder=tmp_path) == ""
    assert dag_file("made_3", "made.py", tmp_path) == f"{tmp_path.name}/made.py"
    assert dag_file("made_3", "gone.py", tmp_path) == ""


def test_every_argument_and_option_has_a_sentence_of_help_that_is_shown_whole() -> None:
    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        yield name, command
        for inner, one in getattr(command, "commands", {}).items():
            yield from walk(one, f"{name} {inner}")

    for name, command in walk(get_command(app), "moat"):
        for one in command.params:
            assert len((getattr(one, "help", "") or "").split()) > 1 or one.name == "help", (name, one.name)
        for text in (command.help or "", *(getattr(one, "help", "") or "" for one in command.params)):
            assert not re.search(r"(?<!\\)\[[a-z/]", text), f"{name}: brackets that are read as markup: {text}"
