"""Files in a folder: the reader's contract, and what only files do."""

import os
from pathlib import Path

import pytest

from moat.access.rules import AccessFiles, AccessRule, Groups
from moat.connections import EnvironmentConnections
from moat.errors import SourceUnavailable
from moat.readers.local_files import LocalFiles
from moat.readers.reader import LONGEST_KEY, Reading
from moat.settings import PROJECT
from moat.testing.reader import ReaderContract, System


class TestLocalFiles(ReaderContract):
    @pytest.fixture
    def system(self, tmp_path: Path) -> System:
        def put(name: str, text: str) -> None:
            (tmp_path / f"{name}.md").write_text(text)

        def break_listing() -> None:
            tmp_path.rename(tmp_path.with_suffix(".gone"))

        return System(
            reader=LocalFiles(path=str(tmp_path)),
            connections=EnvironmentConnections(),
            put=put,
            remove=lambda name: (tmp_path / f"{name}.md").unlink(),
            break_listing=break_listing,
            key_of=lambda name: f"{name}.md",
        )


def listed(
    folder: Path, patterns: tuple[str, ...] = ("*",), rule: AccessRule | None = None
) -> dict[str, tuple[str | None, str]]:
    reading = Reading(
        source="s",
        rule=rule or Groups(allow=("all",)),
        connections=EnvironmentConnections(),
        project=PROJECT,
        max_bytes=1 << 20,
    )
    with LocalFiles(path=str(folder), patterns=patterns).open(reading) as reader:
        return {one.key: (one.policy, one.reason) for one in reader.listing()}


def test_patterns_are_those_of_gitignore(tmp_path: Path) -> None:
    for name in ("a.md", "b.pdf", "sub/c.md", "sub/deep/d.md", "draft/e.md", ".hidden.md", "sub/.git/f.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert set(listed(tmp_path)) == {"a.md", "b.pdf", "sub/c.md", "sub/deep/d.md", "draft/e.md"}
    assert set(listed(tmp_path, ("*.md", "!draft/"))) == {"a.md", "sub/c.md", "sub/deep/d.md"}
    assert set(listed(tmp_path, ("/sub/*.md",))) == {"sub/c.md"}


def test_what_programs_leave_beside_documents_is_left_out_and_named(tmp_path: Path) -> None:
    beside = (
        "~$plan.docx", "~WRL0001.tmp", "sub/desktop.ini", "sub/Thumbs.db", "_SUCCESS", "_started_123", "notes.txt~",
        "lost+found/x.md", "sub/__MACOSX/y.md", "$RECYCLE.BIN/z.md", "plan.pdf:Zone.Identifier", "#recycle/r.md",
    )  # fmt: skip
    kept = (
        "plan.docx",
        "desktop.ini.md",
        "_SUCCESS.md",
        "sub/thumbs.md",
        "$5.md",
        "#1.md",
        "Success",
        "~10 percent.md",
    )
    for name in (*beside, *kept, ".DS_Store", "sub/.DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    told = list[str]()
    reading = Reading(
        source="s",
        rule=Groups(allow=("all",)),
        connections=EnvironmentConnections(),
        project=PROJECT,
        max_bytes=1 << 20,
        progress=told.append,
    )
    with LocalFiles(path=str(tmp_path)).open(reading) as reader:
        assert {one.key for one in reader.listing()} == set(kept)
    (line,) = told
    assert line.startswith(f"s: {len(beside)} left out, ")
    assert "'lost+found/'" in line
    with LocalFiles(path=str(tmp_path), leave_out=("*~",)).open(reading) as reader:
        assert {one.key for one in reader.listing()} == {*kept, *beside} - {"notes.txt~"}
    with LocalFiles(path=str(tmp_path), leave_out=()).open(reading) as reader:
        assert len(list(reader.listing())) == len(kept) + len(beside)
    assert len(told) == 2, "nothing was left out, so nothing is said"


def test_a_link_that_leads_out_of_the_folder_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.md").write_text("x")
    (tmp_path / "in" / "link.md").symlink_to(tmp_path / "secret.md")
    policy, reason = listed(tmp_path / "in")["link.md"]
    assert policy is None
    assert "leads out" in reason


def test_a_folder_that_is_not_there_is_unavailable_and_never_empty(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="is it mounted"):
        listed(tmp_path / "share")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_ends_the_listing(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(SourceUnavailable, match="closed"):
        listed(tmp_path)


def test_a_name_that_is_no_utf8_is_set_aside_and_the_others_listed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    (tmp_path / "new\nline.md").write_text("x")
    found = listed(tmp_path)
    assert found["a.md"][0]
    bad = [key for key, (policy, _) in found.items() if policy is None]
    assert len(bad) == 2
    assert all(key.encode() for key in bad)


def test_a_key_too_long_for_an_index_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(6):
        folder = folder / ("d" * 200)
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("x")
    ((key, (policy, reason)),) = listed(tmp_path).items()
    assert len(key) == LONGEST_KEY
    assert policy is None
    assert "characters" in reason


def test_equal_bytes_at_two_paths_keep_their_own_readers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.txt").write_text("same")
        (tmp_path / name / ".access.yaml").write_text(f"allow: [group:{name}]")
    found = listed(tmp_path, rule=AccessFiles())
    assert found["a/report.txt"][0] != found["b/report.txt"][0]


def test_a_non_text_access_file_makes_its_folder_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / ".access.yaml").write_bytes(b"\xff\xfe\x00allow")
    policy, reason = listed(tmp_path, rule=AccessFiles())["a.md"]
    assert policy is None
    assert "cannot be read" in reason
