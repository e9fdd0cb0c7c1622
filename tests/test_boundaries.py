"""What the layout promises: who may import, catch, query and raise what, and what the repository never holds."""

import ast
import builtins
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from moat import errors
from moat.errors import DocumentError, FatalError, MoatError, RetriableError
from moat.settings import PROJECT

CODE = sorted(
    file
    for folder in ("include", "dags", "plugins")
    for file in (PROJECT / folder).rglob("*.py")
    if "versions" not in file.parts  # migrations are written by a tool and never again touched
)
MOST_LINES = 400
# Where anything at all may be raised, and nothing may pass. Each is one door, with what it does then.
BLANKET = {
    ("include/moat/dagfile.py", "_run"): "a DAG file is anybody's Python: its error is told with the file's name",
    ("include/moat/embedding/turns.py", "_pass"): "whatever the model raises belongs to the requests in that pass",
    ("include/moat/stages/gate.py", "check"): "a check that cannot look has seen nothing, so it blocks",
    (
        "include/moat/incidents/lifecycle.py",
        "_diagnosed",
    ): "who explains a fault may stumble over it: that it is there is told",
    (
        "include/moat/parse/formats.py",
        "part",
    ): "any library may raise anything: a part is declared as unreadable, the document around it is not lost",
    ("include/moat/parse/child.py", "answered"): "any library may raise anything: the document is told, not the run",
    ("include/moat/parse/document.py", "parse_document"): "any library may raise anything: the document is told",
    ("include/moat/threads.py", "run"): "a thread has no caller: it is raised in the one that waits",
    ("include/moat/incidents/notify.py", "tell"): "people are told beside the way: no load fails because mail does",
    ("include/moat/stages/run.py", "_told"): "whatever ends a run, its lease goes to the next one and people are told",
    ("include/moat/tracing.py", "span"): "whatever ends a stage ends its span, and goes on from there",
    (
        "include/moat/door/bounds.py",
        "_passed",
    ): "whatever fails in a request, its words may quote what was asked: only its kind is told",
    ("include/moat/search/guard.py", "kept"): "whatever fails on the way to an answer gives nothing",
    ("include/moat/search/guard.py", "_record"): "the ledger itself may be what failed: the answer stays nothing",
}
QUERIES = {
    "near_vector",
    "near_text",
    "near_object",
    "bm25",
    "hybrid",
    "fetch_objects",
    "fetch_objects_by_ids",
    "fetch_object_by_id",
    "near_image",
    "near_media",
    "iterator",
    "over_all",
    "graphql_raw_query",
    "generate",
}
FACES = {"include/retrieve.py", "include/moat/__init__.py"}  # what applications import, and hand on
LOOKS = {
    "include/moat/retrieve.py",
    "include/moat/search/finding.py",
    "include/moat/search/explain_document.py",
    "include/moat/search/explain_access.py",
    "include/moat/search/results.py",
    "include/moat/pages/document.py",
    "include/moat/pages/versions.py",
}  # the door, operators' words, and the page of those who may read every text


# Who may import whom: a unit only what stands in a row above its own. Stages are read by the command line and by
# DAGs, and by no library.
LAYERS = (
    (
        "answered",
        "asgi",
        "batching",
        "errors",
        "foreign",
        "ids",
        "links",
        "loopback",
        "shingles",
        "strict_yaml",
        "threads",
    ),
    ("filters", "tracing", "waiting"),
    ("listening",),
    ("records", "settings", "connections", "declarations", "metadata", "retry_after", "staging", "timeparse"),
    ("access", "embedding", "parse"),
    ("readers", "ledger"),
    ("source", "airflow_api"),
    ("runtime", "risks", "pricing", "sources_yaml"),
    ("provenance", "recipe", "checks", "directories", "index"),
    ("dagfile",),
    ("search", "incidents.triage"),
    ("incidents", "owners", "retrieve"),
    ("maintenance", "async_retrieve", "client"),
    ("stages", "monitoring"),
    ("door",),
    ("cli", "pages"),
    ("local", "testing", "command"),
)
# What importing a stage brings of the others: those that it calls.
CALLS: dict[str, set[str]] = {
    "budget": set(),
    "child": set(),
    "chunk": {"fit", "pieces", "tables"},
    "clean": set(),
    "compare": set(),
    "cut": {"chunk", "clean", "fit", "pieces", "tables", "words_kept"},
    "cutter": {"pieces"},
    "dry_run": {"compare", "cutter", "pieces"},
    "embed": set(),
    "fit": set(),
    "gate": {"rejected_before"},
    "lease": set(),
    "listed_again": set(),
    "load": set(),
    "pieces": set(),
    "prepare": {"cutter", "lease", "pieces"},
    "promote": set(),
    "read": {"compare", "stamps"},
    "rejected_before": set(),
    "run": {
        *("budget", "compare", "cutter", "embed", "gate", "lease", "load", "pieces", "prepare", "promote", "read"),
        *("rejected_before", "stamps"),
    },
    "stamps": set(),
    "tables": {"fit"},
    "words_kept": {"pieces"},
}


def name(file: Path) -> str:
    return file.relative_to(PROJECT).as_posix()


def module_of(file: str) -> str:
    """The dotted name by which a file is imported."""
    whole = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return whole.removeprefix("include.") if whole.startswith("include.moat") else whole


@cache
def trees(under: str = "") -> list[tuple[str, ast.Module]]:
    return [(name(file), ast.parse(file.read_text("utf-8"))) for file in CODE if name(file).startswith(under)]


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What a module imports, wherever in it: (module, name), with "" for a module as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def importers(module: str, of: str = "") -> set[str]:
    """Files that import a module, or one name of it, or something inside it."""
    whole, _, last = module.rpartition(".")
    return {
        file
        for file, tree in trees()
        for found, what in imports(tree)
        if (found == module or found.startswith(f"{module}.") or (found, what) == (whole, last)) and of in ("", what)
    }


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no git checkout")
    files = [PROJECT / file for file in done.stdout.split("\0") if file]
    return [file for file in files if file.is_file()]


def test_the_code_is_where_these_tests_look() -> None:
    assert len(CODE) > 70
    assert {"include/moat/index/store.py", "dags/ingest.py", "plugins/moat_tasks.py"} <= {name(file) for file in CODE}
    assert importers("weaviate.exceptions") == {"include/moat/index/errors.py"}
    assert "include/moat/search/finding.py" in importers("moat.ledger.second_look", "second_look")


def unit(file: str) -> str:
    """The room that a file stands in: its folder, or its own name where it stands in none."""
    parts = file.removeprefix("include/moat/").removesuffix(".py").split("/")
    return ".".join(parts[:2]) if parts[:2] == ["incidents", "triage"] else parts[0]


def test_no_import_climbs() -> None:
    """So there is no cycle of files or folders, whether an import stands at the top, in a function or under TYPE_CHECKING."""
    floor = {one: n for n, row in enumerate(LAYERS) for one in row}
    files = {file: tree for file, tree in trees("include/moat/") if file != "include/moat/__init__.py"}
    assert {unit(file) for file in files} == set(floor)
    climbing = []
    for file, tree in files.items():
        for module, what in imports(tree):
            if not module.startswith("moat"):
                continue
            place = module.replace(".", "/")
            other = unit(
                f"include/{place}/{what}.py"
                if (PROJECT / f"include/{place}/{what}.py").exists()
                else f"include/{place}.py"
            )
            if other != unit(file) and floor[other] >= floor[unit(file)]:
                climbing.append(f"{file} imports {module}.{what}")
    assert climbing == []


def brought(module: str) -> set[str]:
    """Modules of ours that importing one brings: what stands at its top, and at theirs."""
    files = {module_of(file): tree for file, tree in trees("include/moat/")}
    found, todo = set[str](), [module]
    while todo:
        one = todo.pop()
        if one in found or one not in files:
            continue
        found.add(one)
        for node in files[one].body:
            if isinstance(node, ast.ImportFrom) and node.module:
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("stage", CALLS)
def test_a_stage_brings_no_other_stage_but_those_that_it_calls(stage: str) -> None:
    others = {m.rpartition(".")[2] for m in brought(f"moat.stages.{stage}") if m.startswith("moat.stages.")}
    assert others == {stage, *CALLS[stage]}


def test_every_stage_is_here() -> None:
    assert set(CALLS) == {file.stem for file in (PROJECT / "include/moat/stages").glob("*.py")} - {"__init__"}


def test_include_knows_no_airflow() -> None:
    for module in ("airflow", "moat_tasks", "moat_connections", "dags", "plugins", "ingest"):
        assert {file for file in importers(module) if file.startswith("include/")} == set(), module


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    lengths = {name(file): len(file.read_text("utf-8").splitlines()) for file in CODE}
    assert {file: n for file, n in lengths.items() if n > MOST_LINES} == {}


def test_every_plugin_is_named_as_ours() -> None:
    assert [file.name for file in (PROJECT / "plugins").glob("*.py") if not file.name.startswith("moat_")] == []


def test_there_is_one_door_to_weaviate() -> None:
    assert importers("weaviate") == {
        f"include/moat/index/{name}.py" for name in ("collections", "connected", "errors", "filters", "store")
    }
    asking = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in QUERIES
    }
    assert asking == {"include/moat/index/store.py"}
    assert "near_vector" in (PROJECT / "include" / "moat" / "index" / "store.py").read_text("utf-8")


@pytest.mark.parametrize("where", ["include", "dags", "plugins"])
def test_no_query_is_written_as_text_or_sent_by_hand(where: str) -> None:
    """GraphQL and REST are ways to Weaviate too: no such query, and no such address, stands in any string."""
    by_hand = re.compile(
        r"\{\s*(?:Get|Aggregate|Explore)\s*\{|/v1/(?:graphql|objects|batch|schema)|nearVector|nearText|grpc\.(?:insecure|secure)_channel"
    )
    found = [
        (file, node.value[:80])
        for file, tree in trees(where)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and by_hand.search(node.value)
    ]
    assert found == []
    assert importers("grpc") <= {"include/moat/index/connected.py", "include/moat/index/errors.py"}


def test_aggregates_are_the_ledgers() -> None:
    """Weaviate's own count and aggregate know no second look: nobody is answered by them, they are compared only."""
    asking = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "aggregate"
    }
    assert asking == {"include/moat/index/store.py"}
    counting = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "count"
        and ast.unparse(node.value).rpartition(".")[2].lstrip("_") in ("index", "store")
    }
    assert counting == {"include/moat/maintenance/in_step.py"}


def test_searches_have_no_way_around_retrieve() -> None:
    """A search needs a Query, a hit the second look: both stand in `finding`, which only the retriever uses.

    The retriever alone opens a store with the reader's key. Counts come by the same two, and what a filter's name means.
    Besides only the operators' `why` looks, to end with the same word.
    """
    finding, names = "include/moat/search/finding.py", "include/moat/search/names.py"
    assert importers("moat.index.store", "Query") == {
        finding,
        "include/moat/index/filters.py",
    }  # which writes its filter
    assert importers("moat.search.finding", "Finder") == {"include/moat/retrieve.py"}
    assert importers("moat.ledger.second_look", "look_by_id") == {"include/moat/retrieve.py"}
    assert importers("moat.ledger.second_look", "look_by_document") == {"include/moat/retrieve.py"}
    assert importers("moat.ledger.second_look", "second_look") == {
        finding,
        "include/moat/search/explain_access.py",
    }
    assert importers("moat.ledger.second_look", "visible_chunks_query") == {"include/moat/ledger/counting.py"}
    assert importers("moat.ledger.second_look", "VisibleChunk") == {finding, "include/moat/search/results.py"}
    assert importers("moat.ledger.second_look", "masked") == {
        finding,
        "include/moat/pages/versions.py",
        "include/moat/search/explain_document.py",
    }
    assert importers("moat.ledger.second_look") <= LOOKS | {"include/moat/ledger/counting.py"}
    assert importers("moat.ledger.counting") == {"include/moat/retrieve.py", finding, names}
    why = {"include/moat/cli/documents.py", "include/moat/door/desk.py", "include/moat/pages/asking.py"}
    assert importers("moat.search.explain_access") == why
    awaiting = "include/moat/async_retrieve.py"  # the same, in threads
    assert importers("moat.search.results") == {"include/moat/retrieve.py"}
    assert importers("moat.search.guard") == {"include/moat/retrieve.py", awaiting}
    commands = {
        "include/moat/cli/documents.py",
        "include/moat/door/serve.py",
        "include/moat/local/__main__.py",
        "include/moat/pages/asking.py",
    }
    assert importers("moat.retrieve") - FACES == {awaiting, *commands}
    keys = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "open"
        for argument in node.args
        if isinstance(argument, ast.Constant) and argument.value == "reader"
    }
    assert keys == {"include/moat/retrieve.py"}


def test_the_text_of_a_chunk_leaves_the_ledger_in_two_places_only() -> None:
    """The second look, for people; the projection, which the index is written from. SELECT of the whole table: nowhere."""

    def column(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "text"
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "c"
            and isinstance(node.value.value, ast.Name)
        )

    def whole(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "select"
            and any(isinstance(a, ast.Name) and a.id == "chunk" for a in node.args)
        )

    assert {file for file, tree in trees() if any(map(column, ast.walk(tree)))} == {
        "include/moat/ledger/second_look.py",
        "include/moat/ledger/projection.py",
    }
    assert {file for file, tree in trees() if any(map(whole, ast.walk(tree)))} == set()
    raw = {file for file, tree in trees() if by_hand(tree)}
    assert raw == {"include/moat/ledger/__init__.py"}, "SQL by hand could read anything; there it begins transactions"


def by_hand(tree: ast.AST) -> bool:
    return any((module, what) == ("sqlalchemy", "text") for module, what in imports(tree)) or any(
        isinstance(node, ast.Attribute) and node.attr == "exec_driver_sql" for node in ast.walk(tree)
    )


def test_what_the_projection_gives_goes_to_the_index_and_not_to_people() -> None:
    asking = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "visible_objects"
    }
    assert asking == {"include/moat/maintenance/reconcile.py", "include/moat/maintenance/fingerprint.py"}  # it hashes


def test_the_texts_of_the_canaries_go_to_the_embedder_and_nowhere_else() -> None:
    asking = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "embedded_texts"
    }
    assert asking == {"include/moat/checks/vectors.py"}


def test_only_the_known_places_catch_everything() -> None:
    def blankets(tree: ast.AST, inside: str = "") -> Iterator[str]:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.ExceptHandler):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                if any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in kinds):
                    yield inside
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "suppress":
                yield from (inside for a in node.args if getattr(a, "id", "") in ("Exception", "BaseException"))
            own = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from blankets(node, node.name if own else inside)  # type: ignore[attr-defined]

    found = [(file, function) for file, tree in trees() for function in blankets(tree)]
    assert sorted(found) == sorted(BLANKET), "a new one needs its reason here; one that went takes its own along"


def test_the_tree_of_errors_is_the_tree_in_its_docstring() -> None:
    told: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^( +)([A-Z]\w+)\b", line):
            indent, kind = len(found[1]), found[2]
            above = [(i, k) for i, k in above if i < indent]
            told[kind] = above[-1][1] if above else "Exception"
            above.append((indent, kind))
    kinds = {k: v for k, v in vars(errors).items() if isinstance(v, type)}
    assert told == {kind: made.__bases__[0].__name__ for kind, made in kinds.items()}
    assert all(made.__doc__ for made in kinds.values())


def test_a_record_of_five_fields_or_more_is_made_by_name() -> None:
    """Two values that change places are no error of a type; a declaration of a DAG file is checked by its own."""
    by_place = []
    for file, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            made = [d for d in node.decorator_list if "dataclass" in ast.unparse(d)]
            fields = [
                s
                for s in node.body
                if isinstance(s, ast.AnnAssign) and not re.search("ClassVar|init=False", ast.unparse(s))
            ]
            if made and len(fields) >= 5 and "kw_only=True" not in ast.unparse(made[0]):
                by_place.append(f"{file}: {node.name}")
    assert by_place == []


ANY_NUMBER = {
    "select",
    "Table",
    "digest",
    "joined",
    "where",
    "visible_chunks_query",
    "_queries",
}  # take one after the other


def test_no_call_has_six_values_by_place() -> None:
    called = [
        f"{file}:{node.lineno}: {ast.unparse(node)[:80]}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and len(node.args) >= 6
        and getattr(node.func, "id", getattr(node.func, "attr", "")) not in ANY_NUMBER
    ]
    assert called == []


def test_errors_of_ours_stand_in_one_file() -> None:
    """Another file may have one of its own only for its own flow: with an underscore, and caught where it is raised."""
    roots = {*vars(errors), "BaseException", "Exception", *(n for n in dir(builtins) if n.endswith("Error"))}
    elsewhere = {
        node.name: file
        for file, tree in trees("include")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and file != "include/moat/errors.py"
        if any(getattr(base, "id", getattr(base, "attr", "")) in roots for base in node.bases)
    }
    assert elsewhere == {}


def test_every_error_has_its_way_on_in_airflow() -> None:
    from airflow.sdk import RetryAction
    from moat_tasks import RETRY

    wanted = {FatalError: RetryAction.FAIL, RetriableError: RetryAction.RETRY}
    kinds = [made for made in vars(errors).values() if isinstance(made, type) and made is not MoatError]
    for kind in kinds:
        decided = RETRY.evaluate(kind("x"), 1, 3).action
        # One document's error never ends a task: the stage that streams it sets it aside.
        root = next((root for root in (*wanted, DocumentError) if issubclass(kind, root)), None)
        assert root is not None, kind
        assert decided is wanted.get(root, RetryAction.DEFAULT), kind
    assert len(kinds) > 15
    assert RETRY.evaluate(ValueError("a defect of ours"), 1, 3).action is RetryAction.DEFAULT


def test_every_query_is_a_sources_and_every_source_has_its_query() -> None:
    from moat.dagfile import all_directories
    from moat.dagfile import declared as of_files

    files = {file.name for file in (PROJECT / "dags" / "sql").iterdir()}
    declared = [*of_files().sources.values(), *all_directories().directories.values()]
    assert files == {one.reader.sql for one in declared if hasattr(one.reader, "sql")}  # type: ignore[attr-defined]
    assert files


def test_every_golden_file_is_there_and_asked_for() -> None:
    from moat.checks.golden import questions_of
    from moat.dagfile import declared

    asked = {PROJECT / s.golden.file for s in declared().sources.values() if s.golden is not None}
    assert asked == set((PROJECT / "include" / "samples" / "golden").iterdir())
    assert all(questions_of(file) for file in asked)


# Written so that none of them is found in this file.
NEVER = {
    "a path of one machine": r"(?<![\w.])/(?:[w]ork|[f]arm|[U]sers)/",
    "a package index": r"[p]ypi\.|[p]ythonhosted|[a]rtifactory|[d]evpi|index-url[= ]https?:|INDEX_URL[=:] *\S*https?:",
    "a module proxy": r"[p]roxy\.golang|GO[P]ROXY *=|GOSUM[D]B *=",
    "a mirror of models": r"HF_[E]NDPOINT *=",
    "a note for later": r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b",
    "a key": r"-----BEGIN (?:RSA |EC |OPENSSH )?[P]RIVATE KEY|\b[A]KIA[0-9A-Z]{16}\b|\b[g]h[pousr]_[A-Za-z0-9]{36}\b",
}


@pytest.mark.parametrize("what", NEVER)
def test_the_repository_never_holds(what: str) -> None:
    pattern = re.compile(NEVER[what])
    found = [
        f"{name(file)}:{n}: {line.strip()[:120]}"
        for file in tracked()
        for n, line in enumerate(file.read_bytes().decode("utf-8", "ignore").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "cd /" + "work/main"),
        ("a package index", "https://" + "py" + "pi.org/simple"),
        ("a package index", "--extra-index" + "-url=https://x/simple"),
        ("a module proxy", "https://" + "proxy." + "golang.org"),
        ("a mirror of models", "export HF_" + "ENDPOINT=https://x"),
        ("a note for later", "# TO" + "DO: mend"),
        ("a key", "-----BEGIN " + "PRIVATE KEY-----"),
    ],
)
def test_these_patterns_find_what_they_are_for(what: str, line: str) -> None:
    assert re.search(NEVER[what], line)
