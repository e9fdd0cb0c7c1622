"""A DAG file gives its sources to the command line without Airflow, or says in words why it cannot."""

import contextlib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from moat.dagfile import all_directories, declared, parsed_file, source_named, sources_in, written_elsewhere
from moat.errors import DeclarationError
from moat.ledger import Ledger
from moat.ledger.sources import owners
from moat.owners import claim, refuse_second, sources_of
from moat.settings import PROJECT
from moat.source import AccessFiles, LocalFiles, S3Objects, Source, WarehouseRows

HEAD = "from ingest import ingest\nfrom include.source import *\n"
DOCS = 'Source(name="docs", reader=LocalFiles(path="x"), access=AccessFiles())'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "docs.py"


def test_the_shipped_dag_files_give_their_sources() -> None:
    kinds = {name: type(source.reader) for name, source in declared().sources.items()}
    assert kinds == {"contracts": S3Objects, "handbook": LocalFiles, "tickets": WarehouseRows}
    assert sources_in(PROJECT / "dags" / "handbook.py") == [source_named("handbook")]


def test_it_is_the_source_that_the_file_declares(file: Path) -> None:
    file.write_text(f"{HEAD}ingest({DOCS}, schedule='@daily', deadline_hours=2)\n")
    assert sources_in(file) == [Source(name="docs", reader=LocalFiles(path="x"), access=AccessFiles())]


@pytest.mark.parametrize(
    "call",
    [
        f"ingest({DOCS})",
        f"ingest({DOCS}, '0 1 * * *')",
        f"ingest({DOCS}, '0 1 * * *', 2.5)",
        f"ingest(source={DOCS}, schedule=None)",
        f"dag = ingest({DOCS}, schedule='@daily')",
    ],
)
def test_ingest_may_be_called_in_every_way_that_airflow_takes(call: str, file: Path) -> None:
    file.write_text(f"{HEAD}{call}\n")
    assert [source.name for source in sources_in(file)] == ["docs"]


def test_a_file_may_declare_several_sources(file: Path) -> None:
    file.write_text(f"{HEAD}for name in ('a', 'b'):\n    ingest({DOCS})\n".replace('"docs"', "name"))
    assert [source.name for source in sources_in(file)] == ["a", "b"]


def test_no_airflow_is_imported_to_read_a_dag_file() -> None:
    code = (
        "import sys\nfrom moat.dagfile import declared\nassert len(declared().sources) == 3\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('airflow', 'ingest', 'torch', 'weaviate')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}ingest(\n", ["SyntaxError", "never closed"]),
        (f"{HEAD}import no_such_module\n", ["ModuleNotFoundError", "no_such_module"]),
        (f"{HEAD}ingest({DOCS}, schedule=nightly)\n", ["NameError", "nightly"]),
        (f"{HEAD}int('many')\n", ["ValueError", "many"]),
        (f"{HEAD}{{}}['team']\n", ["KeyError", "team"]),
        (f"{HEAD}1 / 0\n", ["ZeroDivisionError"]),
        ("\0", ["null bytes"]),
        ("# no DAG file\n", ["declares no source", "ingest(Source(...), schedule=...)"]),
    ],
)
def test_a_file_that_cannot_be_read_names_itself_and_the_reason(text: str, words: list[str], file: Path) -> None:
    file.write_text(text)
    with pytest.raises(DeclarationError) as error:
        sources_in(file)
    for word in [str(file), *words]:
        assert word in str(error.value)


def test_a_file_that_is_missing_names_itself(file: Path) -> None:
    with pytest.raises(DeclarationError, match=r"docs\.py cannot be read as a DAG file: FileNotFoundError"):
        sources_in(file)


def test_a_wrong_declaration_keeps_its_own_words(file: Path) -> None:
    file.write_text(f"{HEAD}ingest({DOCS.replace('access=', 'acess=')})\n")
    with pytest.raises(
        DeclarationError, match=r"^source 'docs': .*acess: Source has no such field. Did you mean access"
    ):
        sources_in(file)


@pytest.mark.parametrize("text", [f"{HEAD}ingest({DOCS})\n", f"{HEAD}ingest(\n", f"{HEAD}import no_such_module\n"])
@pytest.mark.parametrize("there", [None, object()])
def test_the_stand_in_leaves_no_trace(
    text: str, there: object | None, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there is None:
        monkeypatch.delitem(sys.modules, "ingest", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "ingest", there)
    file.write_text(text)
    with contextlib.suppress(DeclarationError):
        sources_in(file)
    assert sys.modules.get("ingest") is there


def test_only_files_that_import_what_moat_gives_are_executed(tmp_path: Path) -> None:
    (tmp_path / "ingest.py").write_text("def ingest(source): raise RuntimeError('it is not a DAG file')\n")
    (tmp_path / "sweep.py").write_text("raise RuntimeError('a maintenance DAG is not run to find sources')\n")
    (tmp_path / "etl.py").write_text(
        "import sys\nfrom etl.ingest import ingest as load\n# ingest(Source(\n"
        "def ingest(path): ...\ndef sync_directories(path): ...\ningest(1)\nsync_directories(2)\nsys.exit('was run')\n"
    )
    (tmp_path / "odd.py").write_bytes(b"ingest(\xff\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "docs.py").write_text(f"{HEAD}ingest({DOCS})\n")
    (tmp_path / "legal").mkdir()
    (tmp_path / "legal" / "docs.py").write_text(f"{HEAD}ingest({DOCS})\n")
    assert (list(declared(tmp_path).sources), declared(tmp_path).broken) == (["docs"], {})
    assert (all_directories(tmp_path).directories, all_directories(tmp_path).broken) == ({}, {})


def test_a_file_that_ends_python_takes_no_other_source_down(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{HEAD}import sys\nsys.exit('no')\n")
    (tmp_path / "b.py").write_text(f"{HEAD}ingest({DOCS})\n")
    found = declared(tmp_path)
    assert (list(found.sources), list(found.broken)) == (["docs"], ["a.py"])


def test_helpers_beside_the_file_import_as_in_airflow_each_time_anew(tmp_path: Path) -> None:
    (tmp_path / "nightly.py").write_text(
        "from ingest import ingest\nfrom include.source import Source\n"
        "def nightly(source): return ingest(source, schedule='@daily')\n"
    )
    (tmp_path / "docs.py").write_text(f"from nightly import nightly\nfrom include.source import *\nnightly({DOCS})\n")
    more = DOCS.replace("docs", "more")
    (tmp_path / "more.py").write_text(f"from nightly import nightly\nfrom include.source import *\nnightly({more})\n")
    path = list(sys.path)
    found = declared(tmp_path)
    assert (sorted(found.sources), found.broken) == (["docs", "more"], {})
    assert [source.name for source in sources_in(tmp_path / "more.py")] == ["more"]
    assert (sys.path, "nightly" in sys.modules) == (path, False)


def test_an_unknown_source_is_told_which_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"declares source 'hand_book'; there are contracts, handbook, tickets"):
        source_named("hand_book")


def test_a_broken_file_takes_no_other_source_down(tmp_path: Path) -> None:
    (tmp_path / "docs.py").write_text(f"{HEAD}ingest({DOCS})\n")
    (tmp_path / "later.py").write_text(f"{HEAD}ingest({DOCS}, schedule=nightly)\n")
    found = declared(tmp_path)
    assert list(found.sources) == ["docs"]
    assert list(found.broken) == ["later.py"]
    assert source_named("docs", tmp_path) == found.sources["docs"]
    with pytest.raises(DeclarationError, match=r"there are docs. later.py is broken: .*NameError"):
        source_named("later", tmp_path)
    assert "nightly" in str(found.broken["later.py"])


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(f"{HEAD}ingest({DOCS})\n")
    found = declared(tmp_path)
    assert list(found.broken) == ["b.py"]
    assert "b.py and a.py both declare source 'docs'" in str(found.broken["b.py"])
    found = declared(tmp_path, {"docs": "b.py"})
    assert list(found.sources) == ["docs"]
    assert "a.py and b.py both declare source 'docs'" in str(found.broken["a.py"])


def test_the_folder_is_read_once_for_all_sources_of_a_file_and_again_for_the_next_execution(tmp_path: Path) -> None:
    file, other = tmp_path / "many.py", tmp_path / "legal.py"
    other.write_text(f"{HEAD}ingest({DOCS})\n")
    file.write_text("from moat.dagfile import parsed_file\nfound = [parsed_file(folder) for _ in range(3)]\n")
    first = runpy.run_path(str(file), {"folder": tmp_path})["found"]
    assert (first[0].file, first[0].elsewhere) == (file, {"docs": ["legal.py"]})
    assert all(one is first[0] for one in first)
    other.write_text(f"{HEAD}ingest({DOCS.replace('docs', 'more')})\n")
    assert runpy.run_path(str(file), {"folder": tmp_path})["found"][0].elsewhere == {"more": ["legal.py"]}
    assert parsed_file(tmp_path) is None


def test_a_source_belongs_to_the_file_that_ran_it_until_that_one_declares_it_no_more(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "contracts.py", tmp_path / "legal" / "contracts.py"
    second.parent.mkdir()
    for file in (first, second):
        file.write_text(f"{HEAD}ingest({DOCS})\n")
    claim(ledger, "docs", second, tmp_path, only_look=True)
    assert owners(ledger) == {}
    for _ in range(2):
        claim(ledger, "docs", second, tmp_path)
    assert owners(ledger) == {"docs": "legal/contracts.py"}
    with pytest.raises(DeclarationError, match=r"^contracts.py and legal/contracts.py both declare source 'docs'"):
        claim(ledger, "docs", first, tmp_path)

    # While Airflow parses the files: the owner stays, the other one is an import error.
    monkeypatch.setattr(Ledger, "open", lambda settings: ledger)
    assert written_elsewhere(second, tmp_path) == {"docs": ["contracts.py"]}
    refuse_second("docs", "legal/contracts.py", ["contracts.py"])
    with pytest.raises(DeclarationError, match="both declare source 'docs'"):
        refuse_second("docs", "contracts.py", ["legal/contracts.py"])

    second.write_text(f"{HEAD}ingest({DOCS}\n")
    with pytest.raises(DeclarationError, match="both declare"):
        claim(ledger, "docs", first, tmp_path)
    second.write_text(f"{HEAD}ingest({DOCS.replace('docs', 'other')})\n")
    claim(ledger, "docs", first, tmp_path)
    assert owners(ledger) == {"docs": "contracts.py"}
    assert list(sources_of(ledger, tmp_path).broken) == []
