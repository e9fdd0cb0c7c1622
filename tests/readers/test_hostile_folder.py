"""A folder in which somebody may write who may not read all of the source: links, pipes, swaps, odd access files."""

import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from moat.access.policy import Access, Policy
from moat.access.rules import AccessFiles, AccessRule, Facts, Groups
from moat.connections import EnvironmentConnections
from moat.errors import SourceUnavailable
from moat.readers.local_files import LocalFiles
from moat.readers.reader import Fetched, Gone, Reading
from moat.records import Listed, RawDocument, SetAside
from moat.settings import PROJECT
from moat.testing.reader import planned

STAFF, HR = Policy.of(["group:staff"]).text(), Policy.of(["group:hr"]).text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The root is the staff's, `hr/` is HR's; a secret stands outside."""
    made = tmp_path / "source"
    for name, text in {
        "source/.access.yaml": "allow: [group:staff]",
        "source/a.md": "of the staff",
        "source/hr/.access.yaml": "allow: [group:hr]",
        "source/hr/pay.md": "of HR",
        "source/.private/key.md": "in a dot folder",
        "outside/secret.md": "outside",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return made


def reading_of(rule: AccessRule | None = None, told: list[str] | None = None) -> Reading:
    return Reading(
        source="s",
        rule=rule or AccessFiles(),
        connections=EnvironmentConnections(),
        project=PROJECT,
        max_bytes=1 << 20,
        progress=(told if told is not None else []).append,
    )


def listed(folder: Path, **declared: object) -> dict[str, Listed]:
    with LocalFiles(path=str(folder), **declared).open(reading_of()) as reader:  # type: ignore[arg-type]
        return {one.key: one for one in reader.listing()}


def loaded(folder: Path, **declared: object) -> dict[str, bytes]:
    """Every text that comes through, with all that is listed asked for."""
    with LocalFiles(path=str(folder), **declared).open(reading_of()) as reader:  # type: ignore[arg-type]
        known = [one for one in reader.listing() if one.policy]
        return {got.key: got.content for got in reader.fetch(map(planned, known)) if isinstance(got, RawDocument)}


LINKS: dict[str, Callable[[Path], Path | str]] = {
    "to what others may not read": lambda folder: folder / "hr" / "pay.md",
    "relative": lambda folder: "hr/pay.md",
    "into a dot folder": lambda folder: folder / ".private" / "key.md",
    "to an access file": lambda folder: folder / "hr" / ".access.yaml",
    "out of the source": lambda folder: folder.parent / "outside" / "secret.md",
    "out of it and back": lambda folder: f"../{folder.name}/hr/pay.md",
    "to the worker's environment": lambda folder: "/proc/self/environ",
    "to a device": lambda folder: "/dev/zero",
    "to itself": lambda folder: "link.md",
    "to nothing": lambda folder: "nothing.md",
    "to a folder": lambda folder: folder / "hr",
    "to the source itself": lambda folder: folder,
}


@pytest.mark.parametrize("to", LINKS.values(), ids=LINKS)
def test_a_link_is_set_aside_with_the_reason_and_nothing_is_read_by_way_of_it(
    folder: Path, to: Callable[[Path], Path | str]
) -> None:
    (folder / "link.md").symlink_to(to(folder))
    found = listed(folder)
    assert found["link.md"].policy is None
    assert "link" in found["link.md"].reason
    assert loaded(folder) == {"a.md": b"of the staff", "hr/pay.md": b"of HR"}


def test_a_link_to_a_folder_is_declared_though_no_pattern_names_it(folder: Path) -> None:
    (folder / "archive").symlink_to(folder / "hr")
    (folder / "elsewhere").symlink_to(folder.parent / "outside")
    (folder / "left").symlink_to(folder / "hr")
    (folder / "picture.png").symlink_to(folder / "a.md")
    found = listed(folder, patterns=("*.md", "!left/"))
    assert set(found) == {"a.md", "hr/pay.md", "archive", "elsewhere"}
    assert "link to a folder" in found["archive"].reason
    assert "leads out" in found["elsewhere"].reason


def test_a_link_inside_is_for_those_who_may_read_in_both_places(folder: Path) -> None:
    (folder / "link.md").symlink_to("hr/pay.md")
    (folder / "hr" / "up.md").symlink_to("../a.md")
    found = listed(folder, links="inside")
    both = Policy.of(["group:staff"]).both(Policy.of(["group:hr"])).text()
    assert found["link.md"].policy == found["hr/up.md"].policy == both
    texts = loaded(folder, links="inside")
    assert (texts["link.md"], texts["hr/up.md"]) == (b"of HR", b"of the staff")


@pytest.mark.parametrize("to", [v for k, v in LINKS.items() if k not in ("to what others may not read", "relative")])
def test_a_link_inside_leads_to_nothing_that_the_source_leaves_out(
    folder: Path, to: Callable[[Path], Path | str]
) -> None:
    (folder / "link.md").symlink_to(to(folder))
    found = listed(folder, links="inside")
    assert found["link.md"].policy is None
    assert "link.md" not in loaded(folder, links="inside")


def test_a_link_inside_to_a_draft_or_to_what_programs_leave_is_set_aside(folder: Path) -> None:
    for name in ("Drafts/x.md", "__MACOSX/y.md"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("x")
        (folder / f"{name[0]}.md").symlink_to(folder / name)
    found = listed(folder, links="inside", patterns=("*.md", "!drafts/"))
    assert found["D.md"].policy is None
    assert found["_.md"].policy is None


def test_a_link_inside_through_a_folder_that_nobody_speaks_for_is_unknown(folder: Path) -> None:
    (folder / "hr" / ".access.yaml").write_text("allow: [")
    (folder / "link.md").symlink_to("hr/pay.md")
    assert listed(folder, links="inside")["link.md"].policy is None


def special(kind: str, path: Path) -> None:
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's path may have 108 characters
            made.bind(path.name)
            os.chdir(here)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to({"a link to a device": "/dev/zero", "a link to itself": path.name}.get(kind, "other.yaml"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
def test_what_is_no_file_is_set_aside_and_never_waited_for(folder: Path, kind: str) -> None:
    special(kind, folder / "odd.md")
    found = listed(folder)
    assert found["odd.md"].policy is None
    assert kind in found["odd.md"].reason
    assert set(loaded(folder)) == {"a.md", "hr/pay.md"}


ODD: dict[str, bytes | str] = {
    "no YAML": b"allow: [",
    "a day that is none": b"allow: [group:staff]\nreviewed: 2026-02-30",
    "a day as a key": b"allow: [group:staff]\n2026-02-30: x",
    "deep": b"[" * 50_000,
    "deep in lines": b"".join(b" " * n + b"-\n" for n in range(500)),
    "a long number": b"allow: [" + b"1" * 5_000 + b"]",
    "a long number in hex": b"allow: [0x" + b"f" * 5_000 + b"]",
    "a long number as a key": b"0x" + b"f" * 900 + b": x",
    "nested aliases": b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
    "merged aliases": b"a0: &a0 {k: v}\n"
    + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
    "too long": b"allow: [group:staff] #" + b"x" * (1 << 20),
    "no UTF-8": b"allow: [group:staff] # caf\xe9",
    "many patterns": b"allow: [group:staff]\npatterns:\n" + b"- {match: x, allow: [group:a]}\n" * 1_001,
    "a pipe": "",
    "a socket": "",
    "a folder": "",
    "a link to a device": "",
    "a link to itself": "",
    "a link to another": "",
}  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("odd", ODD)
def test_whatever_is_wrong_with_one_access_file_is_unknown_below_it_and_nowhere_else(folder: Path, odd: str) -> None:
    (folder / "hr" / ".access.yaml").unlink()
    (folder / "hr" / "other.yaml").write_text("allow: [group:staff]")
    content = ODD[odd]
    if isinstance(content, bytes):
        (folder / "hr" / ".access.yaml").write_bytes(content)
    else:
        special(odd, folder / "hr" / ".access.yaml")
    (folder / "hr" / "deep").mkdir()
    (folder / "hr" / "deep" / "b.md").write_text("b")
    found = listed(folder, patterns=("*.md",))
    assert found["a.md"].policy == STAFF
    for key in ("hr/pay.md", "hr/deep/b.md"):
        assert found[key].policy is None
        assert found[key].reason.startswith("hr/.access.yaml cannot be read: ")
        assert len(found[key].reason) <= 300


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_access_file_that_may_not_be_read_is_unknown_below_it(folder: Path) -> None:
    (folder / "hr" / ".access.yaml").chmod(0)
    found = listed(folder)
    assert found["a.md"].policy == STAFF
    assert found["hr/pay.md"].policy is None
    assert "Permission denied" in found["hr/pay.md"].reason


@pytest.mark.parametrize(
    "name",
    [".access.yml", "access.yaml", "access.yml", ".Access.yaml", ".ACCESS.YAML", ".access.yaml.txt", ".access", ".acess.yaml",
     ".accses.yaml", ".accesss.yaml", "_access.yaml", ".access.yaml ", "..access.yaml", ".\uff41ccess.yaml", ".access.json"],
)  # fmt: skip
@pytest.mark.parametrize("beside", [True, False])
def test_a_name_that_is_nearly_right_makes_its_folder_unknown_and_is_told(
    folder: Path, name: str, beside: bool
) -> None:
    right = folder / "hr" / ".access.yaml"
    if not beside:
        right.unlink()
    (folder / "hr" / name).write_text("allow: [group:legal]")
    told = list[str]()
    with LocalFiles(path=str(folder)).open(reading_of(told=told)) as reader:
        found = {one.key: one for one in reader.listing()}
    assert found["a.md"].policy == STAFF
    assert found["hr/pay.md"].policy is None
    assert repr(name) in found["hr/pay.md"].reason
    assert "'.access.yaml'" in found["hr/pay.md"].reason
    assert len([line for line in told if repr(name) in line]) == 1


@pytest.mark.parametrize(
    "name",
    ["access.md", "Access.docx", "accessibility.md", ".access.yaml.bak", ".access.yaml~", "._.access.yaml", ".assets.yaml",
     "process.yaml", ".gitignore", "readers.yaml", "excess.yaml"],
)  # fmt: skip
def test_a_document_or_a_copy_of_an_editor_is_no_access_file(folder: Path, name: str) -> None:
    (folder / "hr" / name).write_text("x")
    assert listed(folder)["hr/pay.md"].policy == HR


def test_patterns_that_match_nothing_are_told_once(folder: Path) -> None:
    (folder / ".access.yaml").write_text(
        "allow: [group:staff]\npatterns:\n- {match: 'a.*', allow: [group:a]}\n- {match: 'incidents-*', allow: [group:b]}"
    )
    for n in range(20):
        (folder / f"b{n}.md").write_text("x")
    told = list[str]()
    with LocalFiles(path=str(folder), patterns=("*.md", "!draft/")).open(reading_of(told=told)) as reader:
        list(reader.listing())
    rule, own = (next(line for line in told if word in line) for word in ("incidents-*", "!draft/"))
    assert len(told) == 2
    assert rule == "s: 1 patterns of access files decided for no document: 'incidents-*' in .access.yaml"
    assert own.startswith("s: nothing matches '!draft/' of the reader's patterns")


def test_case_and_composition_of_a_name_make_no_difference_to_patterns(folder: Path) -> None:
    rule = "allow: [group:staff]\npatterns:\n- {match: 'incident-*', allow: [group:hr]}\n- {match: 'résumé*', allow: [group:hr]}"
    (folder / ".access.yaml").write_text(rule)
    names = [
        "Incident-1.md",
        "INCIDENT-2.MD",
        unicodedata.normalize("NFD", "résumé.md"),
        unicodedata.normalize("NFC", "RÉSUMÉ 2.md"),
    ]
    for name in (*names, "other.md", "Drafts/Incident-3.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    found = listed(folder, patterns=("*.md", "!drafts/"))
    assert {name: found[name].policy for name in names} == dict.fromkeys(names, HR)
    assert found["other.md"].policy == STAFF
    assert "Drafts/Incident-3.md" not in found


class During(Groups):
    """A rule for the staff, that does something whenever it judges."""

    needs = "nothing"  # type: ignore[assignment]
    then: Callable[[], None] = staticmethod(lambda: None)

    def judge(self, beside: Callable[[str], str | None]) -> Callable[[Facts], Access]:
        found = super().judge(beside)

        def judged(facts: Facts) -> Access:
            type(self).then()
            return found(facts)

        return judged


def swapped(folder: Path, swap: Callable[[], None], links: str = "aside") -> dict[str, Fetched]:
    """What is fetched where something is swapped after the listing."""
    with LocalFiles(path=str(folder), links=links).open(reading_of()) as reader:  # type: ignore[arg-type]
        known = [one for one in reader.listing() if one.policy]
        swap()
        return {got.key: got for got in reader.fetch(map(planned, known))}


@pytest.mark.parametrize("to", ["/proc/self/environ", "/etc/passwd", "../outside/secret.md", "hr/pay.md", "/dev/zero"])
@pytest.mark.parametrize("links", ["aside", "inside"])
def test_a_file_that_becomes_a_link_after_the_listing_is_not_read_with_the_old_access(
    folder: Path, to: str, links: str
) -> None:
    def swap() -> None:
        (folder / "a.md").unlink()
        (folder / "a.md").symlink_to(to)

    got = swapped(folder, swap, links)["a.md"]
    if links == "inside" and to == "hr/pay.md":
        assert isinstance(got, RawDocument)
        assert Policy.from_text(got.policy) == Policy.of(["group:staff"]).both(Policy.of(["group:hr"]))
    else:
        assert isinstance(got, SetAside)
        assert got.error == "AccessUnknown"


@pytest.mark.parametrize("name", ["a.md", ".access.yaml"])
def test_a_file_that_is_swapped_for_a_link_in_the_last_moment_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Between the look at what it is, and the opening."""
    real = os.open
    (folder / "other").write_text("allow: [group:everyone]")

    def swapping(path: str, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == name and not (folder / name).is_symlink():
            (folder / name).unlink()
            (folder / name).symlink_to("other")
        return real(path, flags, *args, dir_fd=dir_fd)

    got = swapped(folder, lambda: monkeypatch.setattr(os, "open", swapping))["a.md"]
    assert isinstance(got, SetAside)
    assert got.error == "AccessUnknown"
    assert f"{name} is a link" in got.reason


def test_a_folder_that_becomes_a_link_after_the_listing_is_not_entered(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "secret.md").write_text("harmless")

    def swap() -> None:
        (folder / "sub").rename(folder / ".sub")
        (folder / "sub").symlink_to(folder.parent / "outside")

    got = swapped(folder, swap)["sub/secret.md"]
    assert isinstance(got, SetAside)
    assert "sub is a link" in got.reason


@pytest.mark.timeout(60)
def test_a_file_that_becomes_a_pipe_or_a_folder_or_goes_is_never_waited_for(folder: Path) -> None:
    for name in ("pipe.md", "folder.md", "gone.md", "under/gone.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")

    def swap() -> None:
        for name in ("pipe.md", "folder.md", "gone.md", "under/gone.md"):
            (folder / name).unlink()
        os.mkfifo(folder / "pipe.md")
        (folder / "folder.md").mkdir()
        (folder / "under").rmdir()
        (folder / "under").write_text("a file now")

    got = swapped(folder, swap)
    assert isinstance(got["pipe.md"], SetAside)
    assert isinstance(got["folder.md"], SetAside)
    assert isinstance(got["gone.md"], Gone)
    assert isinstance(got["under/gone.md"], Gone)
    assert isinstance(got["a.md"], RawDocument)


def test_a_folder_that_is_swapped_while_it_is_listed_is_told_as_a_link(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.md").write_text("x")
    with LocalFiles(path=str(folder)).open(reading_of()) as reader:
        listing = reader.listing()
        first = next(listing)
        (folder / "sub").rename(folder / ".sub")
        (folder / "sub").symlink_to(folder.parent / "outside")
        found = {one.key: one for one in (first, *listing)}
    assert set(found) == {"a.md", "hr/pay.md", "sub"}
    assert found["sub"].policy is None


def test_the_root_is_the_folder_that_was_opened_wherever_its_path_leads_later(folder: Path) -> None:
    def swap() -> None:
        folder.rename(folder.parent / "moved")
        folder.symlink_to(folder.parent / "outside")

    got = swapped(folder, swap)["a.md"]
    assert isinstance(got, RawDocument)
    assert got.content == b"of the staff"


def test_what_changes_each_time_it_is_read_is_set_aside_and_the_others_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = iter(range(1_000))
    (folder / "log.md").write_text("x")
    monkeypatch.setattr(During, "then", staticmethod(lambda: (folder / "log.md").write_text("x" * next(n)) and None))
    with LocalFiles(path=str(folder)).open(reading_of(During(allow=("staff",)))) as reader:
        known = list(reader.listing())
        got = {one.key: one for one in reader.fetch(map(planned, known))}
    log = got["log.md"]
    assert isinstance(log, SetAside)
    assert "changed 3 times" in log.reason
    assert isinstance(got["a.md"], RawDocument)


def test_a_share_that_stops_answering_masks_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    real = os.open

    def failing(path: str, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == ".access.yaml":
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path, flags, *args, dir_fd=dir_fd)

    with LocalFiles(path=str(folder)).open(reading_of()) as reader:
        monkeypatch.setattr(os, "open", failing)
        with pytest.raises(SourceUnavailable, match="Stale file handle"):
            list(reader.listing())
