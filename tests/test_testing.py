"""What users test their own parts with: the contract of a rule, the dry run of pytest, waiting for a slow server."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from moat.access.access_files import Beside
from moat.access.policy import Access, Policy
from moat.access.rules import AccessFiles, Columns, Facts, Groups, Needs, ObjectTags, Public
from moat.declarations import declared
from moat.errors import DeclarationError, DirectoryUnavailable, SourceUnavailable
from moat.records import Listed
from moat.retry_after import answered, wait_s
from moat.settings import PROJECT
from moat.source import Source
from moat.testing.rule import Judged, RuleContract
from tests.odd import Odd

ANN = Policy.of(["user:ann"])


@pytest.mark.parametrize(
    "judged",
    [
        Judged(rule=Groups(("staff",)), known=Facts("a.md"), policy=Policy.of(["group:staff"])),
        Judged(rule=Public(), known=Facts("a.md"), policy=Policy.of((), public=True)),
        Judged(rule=Columns("who", kind="user"), known=Facts("a", {"who": "ann"}), policy=ANN),
        Judged(rule=ObjectTags("who"), known=Facts("a", tags={"who": "user:ann"}), policy=ANN),
        Judged(rule=AccessFiles(), known=Facts("a.md"), policy=ANN, files={".access.yaml": "allow: [user:ann]"}),
    ],
    ids=lambda judged: type(judged.rule).__name__,
)
class TestShipped(RuleContract):
    pass


@declared
class Guessing:
    """A rule that lets everybody in where it knows nobody."""

    needs: ClassVar[Needs] = "columns"

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        return lambda facts: Access(Policy.of([f"user:{facts.columns['who'] or 'all'}"]))

    def wrong(self) -> list[str]:
        return []


def test_a_rule_that_guesses_breaks_the_contract() -> None:
    judged = Judged(rule=Guessing(), known=Facts("a", {"who": "ann"}), policy=ANN)
    with pytest.raises(AssertionError, match="let in any of user:all"):
        RuleContract().test_a_fact_that_is_missing_makes_access_unknown_with_a_reason_and_never_wider(judged)


@declared
class Pages(Odd):
    """A reader that says which columns it has."""

    offers: ClassVar[frozenset[Needs]] = frozenset({"columns"})
    gives: ClassVar[frozenset[str]] = frozenset({"owner", "team"})


def test_a_rule_that_names_a_fact_which_the_reader_does_not_give_is_refused_when_it_is_declared() -> None:
    def listing() -> Iterator[Listed]:
        yield from ()

    assert Source(name="wiki", reader=Pages(listing), access=Columns("team", deny="owner"))
    with pytest.raises(
        DeclarationError, match=r"source 'wiki'.*reads 'teams', which Pages does not give; did you mean 'team'\?"
    ):
        Source(name="wiki", reader=Pages(listing), access=Columns("teams"))
    with pytest.raises(DeclarationError, match="reads 'x', which Pages does not give; it gives owner, team"):
        Source(name="wiki", reader=Pages(listing), access=Columns("team", deny="x"))


def answers(*given: tuple[int, str]) -> Callable[[], Any]:
    left = iter(given)

    def ask() -> Any:
        status, retry_after = next(left)
        return SimpleNamespace(status_code=status, headers={"retry-after": retry_after} if retry_after else {})

    return ask


def test_a_server_that_asks_to_slow_down_is_waited_for_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)
    assert answered(answers((429, "7"), (503, ""), (404, "")), "source wiki: /pages").status_code == 404
    assert slept == [7.0, 2.0]
    with pytest.raises(SourceUnavailable, match="source wiki: /pages answered 429, 2 times"):
        answered(answers((429, "0"), (429, "0")), "source wiki: /pages", tries=2)
    with pytest.raises(DirectoryUnavailable):
        answered(answers((500, "")), "directory okta", tries=1, error=DirectoryUnavailable)
    assert [wait_s(said, 3) for said in ("9999", "-5", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", None)] == [
        *(60.0, 0.0, 4.0, 4.0, 0.0, 4.0)
    ]


USERS = """
def test_docs(moat_dry_run):
    found = moat_dry_run("docs.py", groups={"group:staff": ["user:ann@example.com"]})["docs"]
    assert (found.documents, found.set_aside, found.warnings) == (1, 0, ())
    assert found.chunks == 1
"""


def test_a_users_own_tests_make_a_dry_run_without_any_server(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.md").write_text("# Leave\n\nParental leave lasts twenty weeks.\n")
    (tmp_path / "docs.py").write_text(
        "from ingest import ingest\nfrom moat import Groups, LocalFiles, Source\n"
        f"ingest(Source(name='docs', reader=LocalFiles({str(tmp_path / 'folder')!r}), access=Groups(('staff',))))\n"
    )
    (tmp_path / "test_docs.py").write_text(USERS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "test_docs.py",
    ]
    env = {"PYTHONPATH": f"{PROJECT / 'include'}:{PROJECT}", "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    assert "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
