"""The `moat` command, as a person types it, on real servers: what it prints, gives and refuses."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer.main
from sqlalchemy import func, select

from moat import command as entry
from moat.cli import app, main
from moat.ids import document_id
from moat.index.store import WeaviateStore
from moat.ledger import Ledger
from moat.ledger.feedback import Said as Feedback
from moat.ledger.feedback import give
from moat.ledger.tables import embedding
from moat.settings import PROJECT, Settings
from tests.company import ANN, HUGO, LEAVE, PAY, TRIPS, environment_of, remove_collection

DAG = """
from ingest import ingest
from include.source import AccessFiles, Limits, LocalFiles, Source

ingest(
    Source(
        name="docs",
        reader=LocalFiles(path={folder!r}),
        access=AccessFiles(),
        limits=Limits(max_failed_ratio=1.0, max_vanished_ratio=0.4),
    ),
    schedule="@daily",
)
"""
NOBODY = "user:nobody@example.com"


@dataclass(frozen=True)
class Place:
    """A project of its own: the code, one DAG file, documents, settings that lead to the real servers."""

    project: Path
    folder: Path
    env: dict[str, str]

    @property
    def dag(self) -> str:
        return str(self.project / "dags" / "docs.py")

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def started(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """The command in a process of its own, in this project."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MOAT_", "AIRFLOW_CONN_"))}
        return subprocess.Popen(
            # As the installed command: the package is on the path, the project and the working folder are not.
            [sys.executable, "-P", "-c", "import moat.cli; moat.cli.main()", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.project,
            env={**own, "PYTHONPATH": str(self.project / "include"), **self.env, **env},
        )

    def typed(self, *arguments: str, **env: str) -> "Said":
        """What the command says when it has ended."""
        done = self.started(*arguments, **env)
        out, err = done.communicate()
        return Said(done.returncode, out, err)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def opened(weaviate: Settings, embedder_port: int, tmp: Path) -> Place:
    """A project with three documents of two groups, its ledger made, its groups known."""
    project = tmp / "project"
    for folder in ("include", "plugins"):
        shutil.copytree(PROJECT / folder, project / folder)
    (project / "dags").mkdir()
    changed = {"home": tmp / "home", "embedder_port": embedder_port, "collection": f"T{uuid.uuid4().hex}"}
    env = environment_of(weaviate.model_copy(update=changed))
    place = Place(project, tmp / "docs", env)
    Path(place.dag).write_text(DAG.format(folder=str(place.folder)))
    place.write(".access.yaml", "allow: [group:everyone]")
    place.write("people/.access.yaml", "allow: [group:people]")
    for name, text in {"leave.md": LEAVE, "trips.md": TRIPS, "people/pay.md": PAY}.items():
        place.write(name, text)
    place.write("../groups.yaml", f"group:everyone: ['{ANN}', 'group:people']\ngroup:people: ['{HUGO}']\n")
    return place


def closed(place: Place, weaviate: Settings) -> None:
    settings = weaviate.model_copy(update={"collection": place.env["MOAT_COLLECTION"]})
    remove_collection(settings)


@pytest.fixture(scope="module")
def loaded(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A place whose documents are loaded, but one; some are named as if by markup; its tests only look."""
    place = opened(weaviate_server, embedder_server, tmp_path_factory.mktemp("cli"))
    place.write("bad [/draft].md", b"\x7fELF")
    place.write("leave.md", LEAVE + "\n## Codes [b]\n\nThe code of leave is [/L] :warning: twelve.\n")
    place.write("rail [b].md", "# Rail\n\nThe railway club meets on Mondays.\n")
    for arguments in (["migrate"], ["members", "load", str(place.folder / "../groups.yaml")], ["run", place.dag]):
        said = place.typed(*arguments)
        assert said.code == 0, said
    assert "docs load 1: promoted" in said.out
    ledger = Ledger(f"sqlite:///{place.env['MOAT_HOME']}/ledger.db", "default")
    give(ledger, ANN, document_id("default", "docs", "leave.md"), Feedback(str(uuid.uuid4()), "up"))
    ledger.close()
    yield place
    closed(place, weaviate_server)


@pytest.fixture
def fresh(weaviate_server: Settings, embedder_server: int, tmp_path: Path) -> Iterator[Place]:
    """A place that nothing was loaded from yet, for a test that changes it."""
    place = opened(weaviate_server, embedder_server, tmp_path)
    Ledger(f"sqlite:///{place.env['MOAT_HOME']}/ledger.db", "default").migrate()
    yield place
    closed(place, weaviate_server)


@pytest.fixture
def moat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """A function that gives a command in this process: the same entry, without the seconds of a new one."""

    def give(place: Place, *arguments: str, **env: str) -> Said:
        for name, value in {**place.env, **env}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["moat", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Said(end.value.code or 0, said.out, said.err)  # type: ignore[arg-type]

    yield give
    logging.getLogger("include.retrieve").setLevel(logging.NOTSET)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))
LOOKING: dict[tuple[str, ...], list[str]] = {
    ("run",): ["--dry-run", "DAG"],
    ("reconcile",): [],
    ("doctor",): [],
    ("migrate",): [],
    ("fingerprint",): [],
    ("search",): ["parental leave", "--as", ANN],
    ("count",): ["--as", ANN],
    ("explain",): ["docs", "leave.md"],
    ("loads",): ["docs"],
    ("health",): [],
    ("metrics",): [],
    ("feedback",): [],
    ("load", "show"): ["1"],
    ("members", "load"): ["GROUPS"],
    ("access", "state"): [],
    ("audit", "tail"): [],
    ("audit", "verify"): [],
    ("directory", "list"): [],
    ("source", "list"): [],
    ("quarantine", "list"): [],
    ("quarantine", "show"): ["docs", "bad [/draft].md"],
}
CHANGING = {  # in tests of their own
    ("release",),
    ("backup",),
    ("restore",),
    ("source", "new"),
    ("source", "rename"),
    ("resume",),
    ("reject",),
    ("rollback",),
    ("rebuild",),
    ("incidents",),
    ("incident", "show"),
    ("incident", "ack"),
    ("incident", "resolve"),
    ("event",),
    ("quarantine", "replay"),
    ("directory", "remove"),
    ("directory", "sync"),
    ("access", "sync"),
    ("access", "held"),
    ("access", "release"),
    ("access", "reject"),
    ("access", "revert"),
    ("access", "passes"),  # there is none where nothing was let in
    ("audit", "export"),
    ("audit", "anchor"),
    ("erase", "SOURCE"),
    ("erase", "list"),
    ("erase", "verify"),
    ("source", "retire"),
}
SERVING = {("embedder",), ("door",)}  # have nothing to print


def test_moat_is_this_entry() -> None:
    (script,) = entry_points(group="console_scripts", name="moat")
    assert script.load() is entry.main


def test_a_backup_comes_back_into_another_home(loaded: Place, moat: Any, tmp_path: Path) -> None:
    to = str(tmp_path / "copy")
    assert moat(loaded, "backup", to, "--json").json["rows"] > 10
    again = moat(loaded, "backup", to)
    assert (again.code, "name a new folder" in again.err) == (1, True)
    new = replace(loaded, env={**loaded.env, "MOAT_HOME": str(tmp_path / "new")})
    restored = moat(new, "restore", to)
    assert (restored.code, "every fingerprint is as it was" in restored.out) == (0, True), restored
    assert moat(new, "fingerprint", "--json").json == moat(loaded, "fingerprint", "--json").json
    assert "holds a ledger already" in moat(new, "restore", to).err


def test_every_command_speaks_json_and_has_a_sentence_of_help() -> None:
    assert set(COMMANDS) == {*LOOKING, *CHANGING, *SERVING}
    for path, command in COMMANDS.items():
        assert command.help, path
        assert path in SERVING or "--json" in {name for p in command.params for name in p.opts}, path


@pytest.mark.parametrize("path", LOOKING, ids=" ".join)
def test_what_a_looking_command_gives_as_json_is_json_and_nothing_else(
    path: tuple[str, ...], loaded: Place, moat: Any
) -> None:
    given = [{"DAG": loaded.dag, "GROUPS": str(loaded.folder / "../groups.yaml")}.get(a, a) for a in LOOKING[path]]
    said = moat(loaded, *path, *given, "--json")
    assert said.json
    plain = moat(loaded, *path, *given)
    assert plain.out.strip()
    with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
        _ = plain.json
    # The three sources of dags/ were never loaded here, so reconcile finds what it cannot read; and "docs" is none of
    # them, so health names it. Doctor knows no directory with their groups.
    assert said.code == plain.code == {"reconcile": 3, "health": 1, "doctor": 1}.get(path[0], 0)


def test_a_run_tells_its_stages_and_what_came_of_it(fresh: Place, moat: Any) -> None:
    said = moat(fresh, "run", fresh.dag)
    assert said.code == 0
    for word in ("read ", "parse → clean → chunk", "embed ", "gate ", "load ", "promote ", "docs load 1: promoted"):
        assert word in said.out
    again = moat(fresh, "run", fresh.dag, "--json")
    (result,) = again.json
    assert (result["load"]["state"], result["verdict"]) == ("unchanged", None)
    assert again.err == ""
    some = moat(fresh, "run", fresh.dag, "--full", "--only", "leave.md", "--only", "trips.md", "--limit", "1", "--json")
    (result,) = some.json
    assert (result["load"]["counts"]["changed"], result["load"]["counts"]["waiting"]) == (1, 1)
    assert result["load"]["run"].startswith("cli:")


def test_a_run_that_is_told_to_stop_gives_its_lease_up(fresh: Place, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    slow = f"""
import time, pathlib
class Slow(LocalFiles):
    def open(self, reading):
        pathlib.Path({str(begun)!r}).touch()
        time.sleep(600)
"""
    text = Path(fresh.dag).read_text()
    Path(fresh.dag).write_text(
        text.replace("reader=LocalFiles(", "reader=Slow(").replace("\ningest(\n", f"{slow}\ningest(\n")
    )
    running = fresh.started("run", fresh.dag)
    while not begun.exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.terminate()
    assert "stopped by SIGTERM" in running.communicate(timeout=60)[1]
    assert "stopped by SIGTERM" in fresh.typed("incident", "show", "1").out
    Path(fresh.dag).write_text(text)
    assert fresh.typed("run", fresh.dag).code == 0


def test_a_dry_run_writes_nothing(fresh: Place, moat: Any) -> None:
    def everything() -> dict[str, bytes]:
        home = Path(fresh.env["MOAT_HOME"])
        ledger = Ledger(f"sqlite:///{home}/ledger.db", "default")
        with ledger.engine.connect() as connection:  # what is in it; its write-ahead log may come and go
            rows = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
        ledger.close()
        files = {
            str(p): p.read_bytes()
            for p in home.rglob("*")
            if p.is_file() and not p.name.startswith(("ledger.db", "embedder."))
        }
        return {"ledger": rows.encode(), **files}

    before = everything()
    said = moat(fresh, "run", "--dry-run", fresh.dag)
    assert said.code == 0
    for word in ("dry run of docs: 3 listed, 3 new", "would read 3 documents: about 4 chunks", "nothing was written"):
        assert word in said.out
    assert moat(fresh, "run", "--dry-run", fresh.dag, "--json").json[0]["counts"]["new"] == 3
    assert everything() == before
    settings = Settings.load()
    index = WeaviateStore.open(settings, "operator")
    assert not index.exists()
    index.close()
    moat(fresh, "run", fresh.dag)
    assert everything() != before


def test_a_count_is_of_what_a_person_may_read(loaded: Place, moat: Any) -> None:
    ann, hugo = (moat(loaded, "count", "--as", who, "--by", "key", "--json").json for who in (ANN, HUGO))
    assert (set(hugo["shares"]) - set(ann["shares"]), hugo["all"]["documents"]) == (
        {"people/pay.md"},
        len(hugo["shares"]),
    )
    none = moat(loaded, "count", "--as", NOBODY)
    assert (none.code, none.out) == (1, "")
    assert "nobody knows" in none.err


def test_who_asks_is_said_once_and_a_token_comes_from_a_file(loaded: Place, moat: Any, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("eyJ0b2tlbg.e30.c2lnbmF0dXJl\n")
    for twice in ((), ("--as", ANN, "--token-file", str(file))):
        assert "Give either --as" in moat(loaded, "search", "leave", *twice).err
    refused = moat(loaded, "search", "leave", "--token-file", str(file))
    assert "set MOAT_JWT_ISSUER" in refused.err
    assert "eyJ0b2tlbg" not in refused.err + refused.out


def test_an_operator_is_told_which_rule_decides(loaded: Place, moat: Any) -> None:
    kept_out = moat(loaded, "explain", "docs", "people/pay.md", "--as", ANN).out
    assert f"{ANN}: does not read it: in none of group:people" in kept_out
    let_in = moat(loaded, "explain", "docs", "leave.md", "--as", HUGO)
    assert f"{HUGO}: reads it: {HUGO} → group:people → group:everyone" in let_in.out
    given = moat(loaded, "explain", "docs", "people/pay.md", "--as", HUGO, "--json").json
    assert given["why"]["layers"][0]["by"] == [[HUGO, "group:people"]]


def test_a_search_gives_each_person_what_they_may_read(loaded: Place, moat: Any) -> None:
    question = "What does a crane driver earn?"
    hugo = moat(loaded, "search", question, "--as", HUGO, "--limit", "1")
    assert hugo.code == 0
    assert "Pay" in hugo.out
    assert "docs: people/pay.md" in hugo.out
    assert "A crane driver earns four thousand a month." in hugo.out
    ann = moat(loaded, "search", question, "--as", ANN, "--limit", "50", "--json").json
    assert ann["refused"] is None
    assert {hit["document_key"] for hit in ann["hits"]} == {"leave.md", "trips.md", "rail [b].md"}
    none = moat(loaded, "search", question, "--as", ANN, "--filter", "key=people/pay.md")
    assert (none.code, none.out) == (0, f"nothing that {ANN} may read answers it\n")


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_search_takes_a_mode_and_filters(mode: str, loaded: Place, moat: Any) -> None:
    given = ("search", "train journeys", "--as", HUGO, "--mode", mode, "--filter", "key=trips.md", "--json")
    (hit,) = moat(loaded, *given, "--filter", "source=docs").json["hits"]
    assert (hit["source"], hit["document_key"], hit["heading_path"]) == ("docs", "trips.md", ["Trips"])
    both = moat(loaded, *given, "--filter", "key=people/pay.md").json["hits"]
    assert {h["document_key"] for h in both} == ({"trips.md"} if mode == "keyword" else {"trips.md", "people/pay.md"})
    assert len(moat(loaded, *given, "--filter", "modified>=2020-01-01").json["hits"]) == 1
    assert moat(loaded, *given, "--filter", "modified<2020-01-01").json["hits"] == []


def test_whom_nobody_knows_gets_nothing_and_is_told(loaded: Place, moat: Any) -> None:
    said = loaded.typed("search", "parental leave", "--as", NOBODY)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"nothing: AccessUnknown: nobody knows {NOBODY}: in no group and in no policy\n"
    given = moat(loaded, "search", "parental leave", "--as", NOBODY, "--json")
    assert (given.code, given.json["hits"]) == (1, [])
    assert NOBODY in given.json["refused"]


def test_what_a_document_says_is_printed_as_it_is(loaded: Place, moat: Any) -> None:
    """Brackets in a name, a heading or a text are no markup, and colons no emoji."""
    found = moat(loaded, "search", "code of leave", "--as", ANN, "--limit", "1").out
    assert "Leave › Codes [b]" in found
    assert "The code of leave is [/L] :warning: twelve." in found
    assert "docs: rail [b].md" in moat(loaded, "search", "railway club", "--as", ANN, "--limit", "1").out
    assert "bad [/draft].md" in moat(loaded, "quarantine", "list").out
    assert "bad [/draft].md" in moat(loaded, "quarantine", "show", "docs", "bad [/draft].md").out
    assert "docs: bad [/draft].md" in moat(loaded, "explain", "docs", "bad [/draft].md").out
    assert "Codes [b]" in moat(loaded, "explain", "docs", "leave.md").out
    assert "'no [/such].md'" in moat(loaded, "explain", "docs", "no [/such].md").err


def test_loads_and_a_load_are_shown(loaded: Place, moat: Any) -> None:
    (load,) = moat(loaded, "loads", "--json").json
    assert (load["id"], load["source"], load["state"]) == (1, "docs", "promoted")
    told = moat(loaded, "loads").out
    assert "docs" in told
    assert "5 new" in told
    assert moat(loaded, "loads", "docs", "--limit", "1", "--json").json == [load]
    shown = moat(loaded, "load", "show", "1")
    assert "load 1 of docs: promoted" in shown.out
    assert "access: " in shown.out
    given = moat(loaded, "load", "show", "1", "--json").json
    assert given["load"] == load
    assert {"volume", "parsing", "chunks", "access", "vectors"} <= {check["family"] for check in given["checks"]}
    assert all(f"{c['family']}: {c['name']}" in shown.out for c in given["checks"])


def test_the_story_of_a_document_is_told(loaded: Place, moat: Any) -> None:
    told = moat(loaded, "explain", "docs", "people/pay.md").out
    for word in ("docs: people/pay.md", "visible since load 1", "any of group:people", "load 1", "Pay"):
        assert word in told
    given = moat(loaded, "explain", "docs", "people/pay.md", "--json").json
    assert (given["key"], given["state"]) == ("people/pay.md", "visible since load 1")
    assert [c["heading"] for c in given["chunks"]] == ["Pay"]
    aside = moat(loaded, "explain", "docs", "bad [/draft].md").out
    assert "never visible: it rests in quarantine" in aside
    assert "ParseFailed" in aside


def test_quarantine_is_listed_shown_and_narrowed(loaded: Place, moat: Any) -> None:
    (aside,) = moat(loaded, "quarantine", "list", "--json").json
    assert (aside["key"], aside["stage"], aside["error"], aside["state"]) == (
        "bad [/draft].md",
        "parse",
        "ParseFailed",
        "set aside",
    )
    assert moat(loaded, "quarantine", "show", "docs", "bad [/draft].md", "--json").json == aside
    for narrowed in (["--source", "docs"], ["--stage", "parse"], ["--reason", "ParseFailed"], ["--resolved"]):
        assert moat(loaded, "quarantine", "list", *narrowed, "--json").json == [aside]
    for nothing in (["--stage", "read"], ["--reason", "TooLarge"], ["--until", "24h"], ["--since", "2999-01-01"]):
        assert moat(loaded, "quarantine", "list", *nothing, "--json").json == []
        assert moat(loaded, "quarantine", "list", *nothing).out == "nothing is in quarantine\n"


def test_doctor_finds_everything_well(loaded: Place, moat: Any) -> None:
    found = {f["what"]: f for f in moat(loaded, "doctor", "--json").json}
    sources = {
        name: f for name, f in found.items() if name.startswith("source ")
    }  # of dags/, whose groups are not here
    assert {name for name, f in found.items() if not f["ok"]} - set(sources) <= {"tesseract", "soffice"}
    assert set(sources) == {"source contracts", "source handbook", "source tickets"}
    assert {name for name, f in sources.items() if f["needed"]} == {"source handbook"}, "two were never set up"
    for what in ("ledger", "staging", "model", "embedder", "parser", "weaviate as reader", "collection"):
        assert found[what]["ok"]
    assert "newest load 1 of docs" in found["ledger"]["found"]


def test_doctor_names_what_is_wrong_and_still_looks_at_the_rest(loaded: Place, moat: Any) -> None:
    said = moat(loaded, "doctor", "--json", MOAT_WEAVIATE_READER_KEY="wrong-key", MOAT_MODEL_REVISION="another")
    assert said.code == 1
    assert "wrong-key" not in said.out
    told = {
        f["what"]: f["found"] for f in said.json if f["needed"] and not f["ok"] and not f["what"].startswith("source")
    }
    assert set(told) == {"embedder", "weaviate as reader"}
    assert "MOAT_MODEL_REVISION asks for another" in told["embedder"]
    assert "_READER_KEY" in told["weaviate as reader"]
    assert next(f for f in said.json if f["what"] == "weaviate as writer")["ok"]


def test_doctor_tells_a_collection_that_takes_no_objects(loaded: Place, moat: Any, weaviate_server: Settings) -> None:
    settings = weaviate_server.model_copy(update={"collection": loaded.env["MOAT_COLLECTION"]})
    operator = WeaviateStore.open(settings, "operator")
    collection = operator._client.collections.use(settings.collection_name)
    collection.config.update_shards(status="READONLY")
    try:
        found = {f["what"]: f for f in moat(loaded, "doctor", "--json").json}
    finally:
        collection.config.update_shards(status="READY")
        operator.close()
    assert not found["collection"]["ok"]
    assert "is READONLY" in found["collection"]["found"]


def test_doctor_tells_a_wrong_setting_as_a_finding(loaded: Place, moat: Any) -> None:
    said = moat(loaded, "doctor", MOAT_WEAVIATE_PROT="1")
    assert said.code == 1
    assert any(row.split()[:2] == ["WRONG", "settings"] for row in said.out.splitlines())
    assert "Did you mean MOAT_WEAVIATE_PORT?" in said.out


WRONG = {
    "load show 999": "LoadRefused: there is no load 999; `moat loads` lists them",
    "release 999": "LoadRefused: there is no load 999; `moat loads` lists them",
    "reject 999": "LoadRefused: there is no load 999; `moat loads` lists them",
    "rollback 999": "LoadRefused: there is no load 999; `moat loads` lists them",
    "reject 1": "LoadRefused: load 1 of docs is promoted: only",
    "explain docs nowhere.md": "FatalError: the ledger never saw 'nowhere.md' of docs",
    "explain nowhere leave.md": "FatalError: there is no source 'nowhere', neither in dags/ nor in the ledger; there are",
    "explain doc leave.md": "FatalError: there is no source 'doc', neither in dags/ nor in the ledger; did you mean 'docs'?",
    "loads doc": "FatalError: there is no source 'doc', neither in dags/ nor in the ledger; did you mean 'docs'?",
    "erase doc leave.md": "ErasureRefused: there is no source 'doc', neither in dags/ nor in the ledger; did you mean 'docs'?",
    "release 1": "LoadRefused: load 1 of docs is promoted already: nothing to release",
    "resume 1": "DeclarationError: no DAG file in dags/ declares source 'docs'",
    "quarantine list --source other": "AskedWrongly: no load of a source 'other' is in the ledger; there are docs",
    "quarantine replay --source other": "AskedWrongly: no load of a source 'other' is in the ledger; there are docs",
    "quarantine list --stage pars": "AskedWrongly: no document is set aside at a stage 'pars'; there are clean, parse, read",
    "quarantine list --reason ParseFaild": "AskedWrongly: no document is set aside for 'ParseFaild'; there are ",
    "quarantine replay docs leave.md": "AskedWrongly: 'leave.md' of docs is not in quarantine; `moat quarantine list`",
    "quarantine replay --since soon": "AskedWrongly: 'soon' is no moment: write a date such as 2026-07-05",
    "quarantine show docs leave.md": "FatalError: 'leave.md' of docs was never in quarantine",
    "run nowhere.py": "DeclarationError: nowhere.py cannot be read as a DAG file: FileNotFoundError",
    "run .": "DeclarationError: . cannot be read as a DAG file: ",
    "run Makefile": "DeclarationError: Makefile cannot be read as a DAG file: SyntaxError",
    "run --dry-run tests/test_ids.py": "DeclarationError: tests/test_ids.py declares no source: it must call ingest(",
    "members load nowhere.yaml": "FatalError: nowhere.yaml cannot be read",
    "members load pyproject.toml": "FatalError: pyproject.toml cannot be read",
    "members load include/samples/golden/handbook.yaml": "FatalError: include/samples/golden/handbook.yaml must map each",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_not_there_is_one_clear_line(
    line: str, loaded: Place, moat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    said = moat(loaded, *line.split())
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(WRONG[line])
    if not line.startswith("members load"):  # YAML tells where on lines of its own
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("question", "options", "words"),
    [
        (" ", [], "the question is empty"),
        ("leave", ["--mode", "fuzzy"], "mode='fuzzy': vector, keyword or hybrid"),
        ("leave", ["--limit", "5000"], "limit=5000: from 1 to 1000"),
    ],
)
def test_a_question_that_cannot_be_asked_gives_nothing(
    question: str, options: list[str], words: str, loaded: Place, moat: Any
) -> None:
    said = moat(loaded, "search", question, "--as", ANN, *options)
    assert (said.code, said.out) == (1, "")
    assert words in said.err


@pytest.mark.parametrize("line", ["loads", "run nowhere.py", "search leave --as user:a@b.c", "migrate", "reconcile"])
def test_a_misspelt_setting_is_one_line_with_the_nearest_right_name(line: str, loaded: Place, moat: Any) -> None:
    said = moat(loaded, *line.split(), MOAT_WEAVIATE_PROT="1")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "SettingsError: MOAT_WEAVIATE_PROT is not a setting. Did you mean MOAT_WEAVIATE_PORT? .env.example lists them all.\n"
    )


def test_an_error_in_a_process_of_its_own_shows_no_traceback(loaded: Place) -> None:
    said = loaded.typed("loads", MOAT_WEAVIATE_PROT="1")
    assert (said.code, said.out) == (1, "")
    assert said.err.count("\n") == 1
    assert said.err.startswith("SettingsError: MOAT_WEAVIATE_PROT is not a setting. Did you mean MOAT_WEAVIATE_PORT?")


def test_a_server_that_is_down_asks_to_try_again(fresh: Place, moat: Any) -> None:
    said = moat(fresh, "run", fresh.dag, MOAT_WEAVIATE_PORT="1", MOAT_WEAVIATE_GRPC_PORT="2")
    assert said.code == 75
    assert said.err.splitlines()[-1].startswith("IndexUnavailable: ")
    assert "127.0.0.1:1" in said.err
    assert moat(fresh, "loads", "--json").json[0]["state"] == "open"
    assert moat(fresh, "run", fresh.dag, MOAT_WEAVIATE_PORT=fresh.env["MOAT_WEAVIATE_PORT"]).code == 0


def test_a_ledger_that_was_never_made_says_how_to_make_it(loaded: Place, moat: Any, tmp_path: Path) -> None:
    elsewhere = replace(loaded, env={**loaded.env, "MOAT_HOME": str(tmp_path)})
    for line in (["loads"], ["run", loaded.dag], ["explain", "docs", "x"]):
        said = moat(elsewhere, *line)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("LedgerError: ")
        assert "run `moat migrate`" in said.err
    assert moat(elsewhere, "migrate").code == 0
    assert moat(elsewhere, "loads").out == (
        "no load yet: trigger a source in Airflow, or `moat run dags/handbook.py`\n"
    )


def test_a_held_load_is_told_and_goes_on_when_it_is_released(fresh: Place, moat: Any) -> None:
    moat(fresh, "run", fresh.dag)
    for name in ("leave.md", "trips.md"):
        (fresh.folder / name).unlink()
    held = moat(fresh, "run", fresh.dag)
    assert held.code == 3
    assert "docs load 2: held" in held.out
    assert "`moat release 2` goes on, `moat reject 2` ends it" in held.out
    unknown = moat(fresh, "release", "2")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no DAG file in dags/ declares source 'docs'" in unknown.err
    assert moat(fresh, "load", "show", "2", "--json").json["load"]["state"] == "held", "it waits still"
    released = fresh.typed("release", "2", "--because", "the [old] plant closed", "--json")
    assert released.code == 0, released
    assert (released.json["id"], released.json["state"]) == (2, "promoted")
    assert released.json["decided_by"].startswith("cli:")
    assert released.err == ""
    assert moat(fresh, "load", "show", "1", "--json").json["load"]["state"] == "promoted"
    again = fresh.typed("release", "2")
    assert (again.code, again.out) == (1, "")
    assert "load 2 of docs is promoted already: nothing to release" in again.err


def test_a_rejected_load_ends_and_a_rolled_back_one_gives_way(fresh: Place, moat: Any) -> None:
    def best() -> str:
        moat(fresh, "members", "load", str(fresh.folder / "../groups.yaml"))
        hits = moat(fresh, "search", "How long is parental leave?", "--as", ANN, "--limit", "1", "--json").json["hits"]
        return str(hits[0]["text"]) if hits else ""

    moat(fresh, "run", fresh.dag)
    fresh.write("leave.md", "# Leave\n\nParental leave is cancelled.\n")
    moat(fresh, "run", fresh.dag)
    assert best() == "Parental leave is cancelled."
    assert "followed by load 2" in moat(fresh, "rollback", "1").err
    asked = moat(fresh, "rollback", "2", "--because", "[/wrong] draft")
    assert (asked.code, asked.out) == (1, (
        "load 2 of docs, rolled back:\n  documents that have their earlier content again: 1 (leave.md)\n"
    ))  # fmt: skip
    assert "`moat rollback 2 --because '[/wrong] draft' --yes` does it without asking" in asked.err
    back = moat(fresh, "rollback", "2", "--because", "[/wrong] draft", "--json", "--yes")
    assert (back.code, back.json["state"], back.json["reason"]) == (0, "rolled back", "[/wrong] draft")
    assert best() == "Parental leave lasts twenty weeks."
    assert "load 2 of docs: rolled back, [/wrong] draft" in moat(fresh, "load", "show", "2").out
    again = moat(fresh, "rollback", "2").out
    assert "the next run would load it again, so pause the DAG docs" in again, "the same word twice"
    for name in ("leave.md", "trips.md"):
        (fresh.folder / name).unlink()
    assert moat(fresh, "run", fresh.dag).code == 3
    waits = moat(fresh, "run", fresh.dag)
    assert waits.code == 75
    assert "LoadInProgress: " in waits.err
    ended = moat(fresh, "reject", "3", "--json")
    assert (ended.code, ended.json["state"]) == (0, "rejected")
    assert "the 3 documents that were visible stay" in moat(fresh, "reject", "3").out
    assert best() == "Parental leave lasts twenty weeks."
    assert moat(fresh, "run", fresh.dag).code == 3, "the next run starts afresh"


def test_reconcile_agrees_reports_and_repairs_and_rebuild_writes_anew(fresh: Place, moat: Any) -> None:
    moat(fresh, "run", fresh.dag)
    index = WeaviateStore.open(Settings.load(), "writer")
    index.delete([next(o.id for o in index.every())])
    index.close()
    fresh.write("new.md", "# New\n\nNot loaded yet.\n")
    wrong = fresh.typed("reconcile")
    assert wrong.code == 3
    assert "1 new" in wrong.out
    repaired = fresh.typed("reconcile", "--repair")
    assert repaired.code == 0
    assert "repaired" in repaired.out
    (fresh.folder / "new.md").unlink()
    assert "nothing" in fresh.typed("reconcile").out
    agrees = fresh.typed("reconcile", "--json")
    (drift,) = agrees.json
    assert (agrees.code, drift["source"], drift["visible_documents"], drift["missing"]) == (0, "docs", 3, 0)
    # The index is rebuilt beside what stands there, and never without being asked to.
    refused = fresh.typed("rebuild", "--json")
    assert refused.code == 1
    assert "3 documents of 1 sources are written from the ledger" in refused.err
    assert "`moat rebuild --yes` does it without asking" in refused.err
    made = fresh.typed("rebuild", "--yes", "--json").json
    assert made["collection"].endswith("_Rebuilt1")
    assert made["chunks"] == made["written"] == drift["visible_chunks"]
    assert fresh.typed("reconcile").code == 0
    assert fresh.typed("rebuild", "--drop", "--json").json == {"removed": []}


def test_a_replayed_document_is_tried_again(fresh: Place, moat: Any) -> None:
    fresh.write("bad.md", b"\x7fELF")
    assert moat(fresh, "run", fresh.dag).code == 0
    assert moat(fresh, "run", fresh.dag, "--json").json[0]["load"]["counts"]["resting"] == 1
    for nothing in (["--stage", "read"], ["--until", "24h"], ["--since", "2999-01-01"]):
        assert moat(fresh, "quarantine", "replay", *nothing).out == "nothing in quarantine matches\n"
    given = ("quarantine", "replay", "--reason", "ParseFailed", "--since", "24h", "--json")
    assert moat(fresh, *given).json == {"marked": {"docs": ["bad.md"]}, "resting": {}}
    assert "docs" in moat(fresh, "quarantine", "replay").out
    moat(fresh, "run", fresh.dag)
    assert moat(fresh, "quarantine", "list", "--json").json[0]["attempts"] == 2
    moat(fresh, "run", "--only", "bad.md", fresh.dag)
    assert "until it is asked for" in moat(fresh, "quarantine", "list").out
    left = moat(fresh, "quarantine", "replay").out
    assert "docs: 1 rest, their bytes failed 3 times or more" in left
    assert "moat quarantine replay docs KEY" in left
    for asked in (["docs", "bad.md"], ["--key", "bad.md"], ["--again"]):
        assert moat(fresh, "quarantine", "replay", *asked, "--json").json["marked"] == {"docs": ["bad.md"]}


def limited(place: Place, limits: str) -> None:
    Path(place.dag).write_text(DAG.format(folder=str(place.folder)).replace("max_vanished_ratio=0.4", limits))


def n_embedded(place: Place) -> int:
    ledger = Ledger(f"sqlite:///{place.env['MOAT_HOME']}/ledger.db", "default")
    with ledger.read() as connection:
        n = connection.execute(select(func.count()).select_from(embedding)).scalar_one()
    ledger.close()
    return n


def test_a_load_over_its_budget_waits_and_its_release_goes_on_to_where_the_gate_holds_it(
    fresh: Place, moat: Any
) -> None:
    limited(fresh, "max_vanished_ratio=0.4, max_tokens=10, min_documents=4")
    held = moat(fresh, "run", fresh.dag, "--expected", "the first load")
    assert held.code == 3
    assert "held: budget: " in held.out
    assert "allowed: 10\n`moat release 1` goes on" in held.out
    assert "embed " not in held.out
    assert n_embedded(fresh) == 0
    waits = moat(fresh, "run", fresh.dag)
    assert (waits.code, "load 1 waits for a person (budget: " in waits.err) == (75, True)
    (load,) = moat(fresh, "loads", "--json").json
    assert (load["held_for"], load["options"]["expected"]) == ("budget", "the first load")

    again = fresh.typed("release", "1", "--because", "it is the first load")  # it looks for the source in this project
    assert again.code == 3
    assert "load 1 of docs was embedded and is held again, by the gate: " in again.out
    assert "`moat release 1` goes on" in again.out
    assert n_embedded(fresh) > 0
    done = fresh.typed("release", "1")
    assert done.code == 0
    assert done.out.endswith("load 1 of docs is promoted\n")
    shown = moat(fresh, "load", "show", "1", MOAT_COST_PER_MILLION_TOKENS="1000000", MOAT_CURRENCY="EUR").out
    assert " tokens, " in shown
    assert " EUR; " in shown


def test_a_budget_in_money_needs_a_price(fresh: Place, moat: Any) -> None:
    limited(fresh, "max_vanished_ratio=0.4, max_cost=0.01")
    refused = moat(fresh, "run", fresh.dag)
    assert (refused.code, refused.out) == (1, "")
    assert "Limits(max_cost=0.01) needs a price: set MOAT_COST_PER_MILLION_TOKENS" in refused.err
    assert "EUR" not in moat(fresh, "run", "--dry-run", fresh.dag).out
    told = moat(fresh, "run", "--dry-run", fresh.dag, MOAT_COST_PER_MILLION_TOKENS="1", MOAT_CURRENCY="EUR").out
    assert "0.00 EUR" in told
