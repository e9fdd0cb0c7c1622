"""Metadata of documents: bounded, of values that can be filtered by, from sidecars, objects and front matter."""

import os
from pathlib import Path
from typing import Any

import pytest

from moat.access.rules import AccessFiles, Groups
from moat.connections import EnvironmentConnections
from moat.errors import DeclarationError
from moat.metadata import beside, metadata_in, metadata_of
from moat.parse.document import parse_document
from moat.parse.options import Parsing
from moat.readers.reader import Reading
from moat.records import Listed, Planned, RawDocument
from moat.source import LocalFiles, Source

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=False))  # fmt: skip


def test_what_can_be_filtered_by_is_taken_and_the_rest_is_named() -> None:
    found = metadata_in(
        "team: HR\nprice: 9.50\nwhole: 3.0\ndraft: yes\nsince: 2026-07-01\nat: 2026-07-01T10:00:00+02:00\ntags: [a, ' b ', a]\n"
        "empty:\nmany: {of: these}\nlong: " + "x" * 600 + "\n'a=b': 1\n7: seven\nlines: |\n  one\n  two\n"
    )
    assert found.pairs == (
        "team=HR",
        "price=9.5",
        "whole=3",
        "draft=true",
        "since=2026-07-01",
        "at=2026-07-01T08:00:00+00:00",
        "tags=a",
        "tags=b",
        "lines=one two",
    )
    assert found.left_out == ("'many'", "'long'", "'a=b'", "7")
    assert metadata_of({"a\nb": 1, "": 2, "inf": float("inf"), "huge": 10**400, "ok": "x\x00y"}).pairs == ("ok=x y",)
    assert len(metadata_of({f"n{i}": "v" for i in range(500)}).pairs) == 200
    for wrong in ("- a", "a: 1\na: 2", "a: [", "a: 2026-02-30", "x" * 70_000, BOMB):
        with pytest.raises(ValueError, match=r"."):
            metadata_in(wrong)
    assert metadata_in("").pairs == ()
    assert beside(("team=hr",), ("team=open", "tag=x")) == ("team=hr", "tag=x")


def test_front_matter_is_metadata_of_the_document() -> None:
    def parsed(text: str) -> tuple[str, tuple[str, ...], str]:
        made = parse_document(text.encode(), "x.md", Parsing(), 1 << 20)
        return made.title, made.metadata, made.blocks[0].text

    text = "---\ntitle: Pay\nteam: hr\ntags: [a, b]\n---\n# Head\n\nText.\n"
    assert parsed(text) == ("Pay", ("team=hr", "tags=a", "tags=b"), "title: Pay\nteam: hr\ntags: [a, b]")
    assert parsed("---\nteam: [\n---\n# Head\n\nText.\n")[1] == ()
    assert parsed(f"---\n{BOMB}---\n# Head\n\nText.\n")[1] == ()
    assert parsed("# Head\n\n---\nteam: hr\n---\n")[1] == ()


def opened(folder: Path, told: list[str], reader: LocalFiles, rule: Any) -> Reading:
    return Reading(
        source="docs",
        rule=rule,
        connections=EnvironmentConnections({}),
        project=folder,
        max_bytes=1 << 20,
        progress=told.append,
    )


def fetched(folder: Path, told: list[str], rule: Any = Groups(("staff",))) -> tuple[dict[str, Listed], dict[str, RawDocument]]:  # fmt: skip
    reader = LocalFiles(str(folder), sidecar=".meta.yaml")
    with reader.open(opened(folder, told, reader, rule)) as files:
        listed = {one.key: one for one in files.listing()}
        plan = [
            Planned(key=k, uri=o.uri, fingerprint=o.fingerprint, size=o.size, policy=o.policy, what="new", why="new", access_version=0, known_hash="")
            for k, o in listed.items() if o.policy
        ]  # fmt: skip
        raws = {raw.key: raw for raw in files.fetch(plan) if isinstance(raw, RawDocument)}
    return listed, raws


def test_a_sidecar_is_metadata_and_no_document_and_never_says_who_may_read(tmp_path: Path) -> None:
    for name, text in {
        "a.pdf": "a", "a.pdf.meta.yaml": "team: hr\nallow: ['group:everyone']\npublic: true\n", "b.txt": "b", "b.txt.meta.yaml": "team: [",
        "c.txt": "c", "lone.meta.yaml": "x: 1", "d.txt": "d", "d.txt.meta.yaml": "x: '" + "y" * 70_000 + "'", "e.txt": "e",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    (tmp_path / "e.txt.meta.yaml").symlink_to("/etc/hostname")
    told: list[str] = []
    listed, raws = fetched(tmp_path, told)
    assert set(listed) == set(raws) == {"a.pdf", "b.txt", "c.txt", "d.txt", "e.txt"}
    assert {key: raw.metadata for key, raw in raws.items() if raw.metadata} == {
        "a.pdf": ("team=hr", "allow=group:everyone", "public=true")
    }
    assert raws["a.pdf"].policy == raws["c.txt"].policy
    assert sorted(line.split(":")[1].strip() for line in told if "no metadata of it" in line) == [
        f"{name}.txt.meta.yaml" for name in "bde"
    ]
    (tmp_path / ".access.yaml").write_text("patterns: [{match: 'c*', allow: ['group:staff']}]")
    assert fetched(tmp_path, told, AccessFiles())[0]["a.pdf"].policy is None

    os.utime(tmp_path / "a.pdf", (1_750_000_000, 1_750_000_000))
    before, old = fetched(tmp_path, told)
    assert old["a.pdf"].modified == 1_750_000_000
    (tmp_path / "a.pdf.meta.yaml").write_text("team: operations\n")
    after, new = fetched(tmp_path, told)
    assert before["a.pdf"].fingerprint != after["a.pdf"].fingerprint
    assert old["a.pdf"].content_hash != new["a.pdf"].content_hash
    assert before["c.txt"] == after["c.txt"]


def test_what_is_declared_wrongly_is_refused() -> None:
    for ending in ("meta.yaml", "/x.yaml", ".meta", "*.yaml"):
        with pytest.raises(DeclarationError, match="sidecar"):
            Source(name="docs", reader=LocalFiles("/x", sidecar=ending), access=Groups(("staff",)))
    with pytest.raises(DeclarationError, match=r"link=.*\{key\} once.*such as https://wiki"):
        Source(name="docs", reader=LocalFiles("/x"), access=Groups(("staff",)), link="https://wiki.example.com/")
