"""The documentation says what the code does: settings, commands, paths, checks and links are compared with it.

`python -m tests.test_docs` writes the table of settings into docs/settings.md anew.
"""

import ast
import importlib
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic.fields import FieldInfo
from typer.main import get_command

from moat.checks import FAMILIES, arrived, changes
from moat.cli import app
from moat.dagfile import all_directories, sources_in
from moat.directories.directory import Directory, GroupsFile, GroupsQuery, Ldap, Scim
from moat.ledger.every_table import metadata
from moat.settings import PREFIX, PROJECT, Settings
from moat.source import (
    AccessFiles,
    Chunking,
    Columns,
    Golden,
    Groups,
    Limits,
    LocalFiles,
    ObjectTags,
    Public,
    Risks,
    S3Objects,
    Source,
    WarehouseRows,
)

DOCS = PROJECT / "docs"
ADRS = sorted((DOCS / "adr").glob("[0-9]*.md"))
PAGES = [*sorted(DOCS.rglob("*.md")), *(PROJECT / name for name in ("AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
LINKED = [*PAGES, PROJECT / "README.md"]
TABLE = ("<!-- settings: begin -->\n", "<!-- settings: end -->\n")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[\s/(])moat((?: +[^\s|;&#)]+)+)", re.MULTILINE)
OURS = re.compile(r"(?:include|dags|plugins|tests|docs)/[\w./-]*")


def pages(some: list[Path]) -> Any:
    return pytest.mark.parametrize("page", some, ids=lambda page: page.relative_to(PROJECT).as_posix())


def fenced(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of every fenced block."""
    return ((found[1], found[2]) for found in FENCE.finditer(text))


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", text)


# --- settings


def kind_of(field: FieldInfo) -> str:
    """What a setting takes, in words."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "folder"}
    name = field.annotation.__name__ if field.annotation else ""
    bounds = [
        f"{word} {value}"
        for rule in field.metadata
        for attribute, word in (("ge", "from"), ("gt", "above"), ("le", "to"))
        if (value := getattr(rule, attribute, None)) is not None
    ]
    pattern = next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), None)
    return " ".join([names.get(name, "secret"), *bounds, *([f"like `{pattern}`"] if pattern else [])])


def default_of(name: str, field: FieldInfo) -> str:
    """A setting's default as it would be written in a shell."""
    if name == "home":
        return ".moat"  # in the project's folder, wherever that is
    value = field.default.get_secret_value() if hasattr(field.default, "get_secret_value") else field.default
    return str(value).lower() if isinstance(value, bool) else str(value)


def row_of(name: str, field: FieldInfo) -> str:
    default = default_of(name, field)
    shown = f"`{default}`" if default else "empty"
    return f"| `{PREFIX}{name.upper()}` | {kind_of(field)} | {shown} | {field.description} |\n"


def settings_table() -> str:
    """Every setting under the headings of .env.example, as Markdown."""
    lines = list[str]()
    for line in (PROJECT / ".env.example").read_text("utf-8").splitlines():
        if line.startswith("# --- "):
            head = "| variable | takes | default | meaning |\n| --- | --- | --- | --- |\n"
            lines.append(f"\n### {line.removeprefix('# --- ')}\n\n{head}")
        elif line.startswith(f"# {PREFIX}"):
            name = line.removeprefix(f"# {PREFIX}").partition("=")[0].lower()
            lines.append(row_of(name, Settings.model_fields[name]))
    return "".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(TABLE[0])
    _, _, after = rest.partition(TABLE[1])
    return f"{before}{TABLE[0]}{settings_table()}{TABLE[1]}{after}"


def test_every_setting_stands_in_the_table_with_its_default_and_meaning() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert row_of(name, field) in page, f"{name}: run `python -m tests.test_docs`"
    assert page == with_table(page), "run `python -m tests.test_docs`"


@pages(PAGES)
def test_every_variable_that_is_named_is_a_setting(page: Path) -> None:
    named = set(re.findall(rf"(?<![A-Z_]){PREFIX}[A-Z0-9]+(?:_[A-Z0-9]+)*", page.read_text("utf-8")))
    assert named <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


# --- links, paths, commands


def anchors(page: Path) -> set[str]:
    """What `#…` can lead to in a page, as GitHub names it."""
    found = set[str]()
    for heading in HEADING.findall(prose(page.read_text("utf-8"))):
        words = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


@pages(LINKED)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: {file} is not there"
        assert not anchor or anchor in anchors(file), f"{target}: {file.name} has no such heading"


@pages(PAGES)
def test_every_path_of_ours_exists(page: Path) -> None:
    for path in filter(OURS.fullmatch, CODE.findall(prose(page.read_text("utf-8")))):
        assert (PROJECT / path).exists(), path


def commands() -> dict[tuple[str, ...], set[str]]:
    """Every command with the options that it takes; a group's own name takes none."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: Any, name: tuple[str, ...]) -> None:
        found[name] = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for inner in getattr(command, "commands", {}).values():
            walk(inner, (*name, inner.name))

    walk(get_command(app), ())
    return found


@pages(LINKED)
def test_every_moat_command_exists_with_its_options(page: Path) -> None:
    known, text = commands(), page.read_text("utf-8")
    code = [body for language, body in fenced(text) if language not in ("python", "mermaid", "yaml")]
    for words in COMMAND.findall("\n".join([*code, *CODE.findall(prose(text))])):
        name: tuple[str, ...] = ()
        given = words.split()
        while given and (*name, given[0]) in known:
            name = (*name, given.pop(0))
        inside = {n[len(name)] for n in known if len(n) > len(name) and n[: len(name)] == name}
        assert not inside or (not name and given[:1] == ["--help"]), f"moat{words}: there are {sorted(inside)}"
        assert {w.partition("=")[0] for w in given if w.startswith("--")} <= known[name], f"moat{words}"


@pages(LINKED)
def test_every_make_target_is_a_rule_of_the_makefile(page: Path) -> None:
    rules = set(re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    code = "\n".join([*(body for _, body in fenced(text)), *CODE.findall(prose(text))])
    assert set(re.findall(r"^make (\w+)", code, re.MULTILINE)) <= rules


def test_the_compose_file_is_told_as_it_is() -> None:
    page, example = (DOCS / "operations.md").read_text("utf-8"), (PROJECT / "compose.env.example").read_text("utf-8")
    section = page.partition("## Many machines\n")[2].partition("### Another deployment\n")[0]
    command = re.search(r"^# +(\(umask 077; .*\))$", example, re.MULTILINE)
    assert command is not None
    assert command[1] in section.splitlines()
    services = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))["services"]
    rows = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(services) <= set(CODE.findall(rows)), "a service whose credentials are not told"
    variables = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    named = {name.partition("=")[0] for name in CODE.findall(rows) if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}
    assert named <= variables


# --- declarations, checks, tables, decisions


@pytest.mark.parametrize("declaration", [Chunking, Limits, Risks, Golden, Source, Directory])
def test_every_option_with_a_plain_default_is_told_with_it(declaration: type) -> None:
    elsewhere = {Directory: "access.md", Risks: "risks.md"}
    page = (DOCS / elsewhere.get(declaration, "way.md")).read_text("utf-8")
    for field in fields(declaration):
        default = field.default
        plain = isinstance(default, int | float | str) and default != ""
        assert f"| `{field.name}` | {f'`{default}` |' if plain else ''}" in page, field.name


@pytest.mark.parametrize(
    "declaration",
    [
        *(LocalFiles, S3Objects, WarehouseRows),
        *(Groups, Public, Columns, ObjectTags, AccessFiles),
        *(GroupsFile, GroupsQuery, Ldap, Scim),
    ],
)
def test_every_option_of_readers_and_rules_is_told(declaration: type) -> None:
    page = (DOCS / ("way.md" if "open" in vars(declaration) else "access.md")).read_text("utf-8")
    assert f"`{declaration.__name__}`" in page
    for field in fields(declaration):
        assert f"`{field.name}`" in page, field.name


def checks() -> Iterator[tuple[str, str, str]]:
    """Name, family and severity of every check, as its code has them."""
    for file in (PROJECT / "include" / "moat" / "checks").glob("*.py"):
        if file.name in ("verdict.py", "baselines.py"):
            continue  # they judge what families left: that one left nothing, that a number is out of its bounds
        if file.name in ("changes.py", "arrived.py"):
            kinds = changes.KINDS if file.name == "changes.py" else arrived.KINDS
            yield from ((kind.title, "changes", "warn" if kind.only_told else "hold") for kind in kinds)
        if file.name == "kinds.py":
            continue  # it judges the kinds of both
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "CheckResult":
                given = {k.arg: k.value for k in call.keywords}
                name, family, severity = (
                    ast.unparse(given[word]).removeprefix("f").strip("'") for word in ("name", "family", "severity")
                )
                yield name.partition("{")[0], family, severity


def test_every_check_is_in_the_table_with_its_severity() -> None:
    page, found = (DOCS / "checks.md").read_text("utf-8"), list(checks())
    assert len(found) > 10
    for name, family, severity in found:
        row = re.compile(rf"^\| {family} \| {re.escape(name)}[^|]* \| {severity} \|", re.MULTILINE)
        assert row.search(page), f"{family}: {name} ({severity})"


def test_every_measure_is_in_the_table_with_what_a_departure_means() -> None:
    page = (DOCS / "checks.md").read_text("utf-8")
    sides = {"high": "rises", "low": "falls", "both": "moves"}
    titles = list[tuple[str, str]]()
    for family in FAMILIES:
        for m in getattr(importlib.import_module(family.module), "MEASURES", ()):
            row = rf"^\| {family.name} \| `{re.escape(m.name)}` \|[^|]*\| {m.severity}, where it {sides[m.side]} \|"
            assert re.search(row, page, re.MULTILINE), f"{family.name}: {m}"
            titles.append((m.title, m.name))
    assert len(titles) > 40
    assert len({title for title, _ in titles}) == len({name for _, name in titles}), "a title names one measure"


def test_every_table_of_the_ledger_is_told() -> None:
    page = (DOCS / "way.md").read_text("utf-8")
    assert not [name for name in metadata.tables if f"| `{name}` |" not in page]


def test_every_decision_is_in_the_index_and_has_its_four_parts() -> None:
    index = (DOCS / "adr" / "README.md").read_text("utf-8")
    assert [page.name[:4] for page in ADRS] == [f"{n:04}" for n in range(1, len(ADRS) + 1)]
    for page in ADRS:
        text = page.read_text("utf-8")
        assert f"({page.name})" in index
        assert text.startswith(f"# {page.name[:4]} ")
        assert HEADING.findall(text)[1:] == ["Context", "Decision", "Consequences", "Rejected"], page.name


# --- code in the pages


@pages(PAGES)
def test_every_python_block_can_be_read_and_every_dag_file_gives_its_sources(page: Path, tmp_path: Path) -> None:
    files = dict[str, Path]()
    for language, body in fenced(page.read_text("utf-8")):
        if language == "yaml" and body.startswith("# include/"):
            name = body.partition("\n")[0].removeprefix("# ")
            files[name] = tmp_path / Path(name).name
            files[name].write_text(body, "utf-8")
        if language == "python":
            ast.parse(body)
            for name, file in files.items():
                body = body.replace(f'"{name}"', repr(str(file)))
            if "ingest(" in body:
                file = tmp_path / "example.py"
                file.write_text(body, "utf-8")
                assert sources_in(file)
            if "sync_directories(\n" in body:
                (tmp_path / "people.py").write_text(body, "utf-8")
                assert all_directories(tmp_path).directories


@pytest.mark.filterwarnings("ignore")  # what importing Airflow warns of is not ours
def test_the_fourth_source_of_the_readme_is_a_dag_in_fifteen_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [body for language, body in fenced((PROJECT / "README.md").read_text("utf-8")) if language == "python"]
    example = next((body for body in blocks if "Source(" in body and "ingest(" in body), None)
    assert example is not None, "README.md shows no source"
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    assert {"airflow", "dag"} <= set(re.findall(r"\w+", example.lower())), "Airflow passes over a file without them"
    folder = tmp_path / "dags"
    folder.mkdir()
    file = folder / "fourth.py"
    file.write_text(example, "utf-8")
    declared = sources_in(file)

    from airflow.sdk import DAG

    monkeypatch.syspath_prepend(str(PROJECT / "dags"))
    import ingest

    made, real = list[DAG](), ingest.ingest
    monkeypatch.setattr(ingest, "ingest", lambda *given, **named: made.append(real(*given, **named)))
    runpy.run_path(str(file))
    assert [dag.dag_id for dag in made] == [source.name for source in declared]
    assert all({"read", "decide", "load", "promote"} <= set(dag.task_ids) for dag in made)
    assert not {dag.dag_id for dag in made} & {"handbook", "contracts", "tickets"}, "it is the fourth"


if __name__ == "__main__":
    page = DOCS / "settings.md"
    page.write_text(with_table(page.read_text("utf-8")), "utf-8")
    sys.exit(f"{page} is written")
