"""Access that changes between the listing and the fetch: a text comes with what its rule says when it is read."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from moat.access.policy import Policy
from moat.access.rules import AccessFiles, AccessRule, Groups, ObjectTags
from moat.connections import EnvironmentConnections
from moat.readers.local_files import LocalFiles
from moat.readers.reader import Fetched, Gone, Reader, Reading
from moat.readers.s3_objects import S3Objects
from moat.records import RawDocument, SetAside
from moat.settings import PROJECT
from moat.testing.reader import planned
from tests.company import ANN, HUGO, Company

WIDE, NARROW = Policy.of(["group:staff"]).text(), Policy.of(["group:hr"]).text()


@pytest.fixture
def connections(s3_server: str) -> EnvironmentConnections:
    uri = '{"conn_type": "aws", "login": "moat", "password": "moat-secret", "extra": {"endpoint_url": "%s"}}'
    return EnvironmentConnections({"AIRFLOW_CONN_S3": uri % s3_server})


def fetched(
    reader: Reader,
    rule: AccessRule,
    between: Callable[[], object],
    connections: EnvironmentConnections | None = None,
) -> dict[str, Fetched]:
    """What is fetched of all that is listed with known access, after something happened between the two."""
    reading = Reading(
        source="s",
        rule=rule,
        connections=connections or EnvironmentConnections(),
        project=PROJECT,
        max_bytes=1 << 20,
    )
    with reader.open(reading) as opened:
        known = [one for one in opened.listing() if one.policy]
        between()
        return {got.key: got for got in opened.fetch(map(planned, known))}


def policy_of(got: Fetched) -> str | None:
    return got.policy if isinstance(got, RawDocument) else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".access.yaml").write_text("allow: [group:staff]")
    for name in ("a.md", "sub/b.md"):
        (tmp_path / name).write_text("old")
    return tmp_path


def test_a_file_comes_with_the_access_of_its_fetch(folder: Path) -> None:
    def between() -> None:
        (folder / "sub" / ".access.yaml").write_text("allow: [group:hr]")
        (folder / "sub" / "b.md").write_text("new, for HR only")

    got = fetched(LocalFiles(path=str(folder)), AccessFiles(), between)
    assert (policy_of(got["a.md"]), policy_of(got["sub/b.md"])) == (WIDE, NARROW)


@pytest.mark.parametrize("name", [".access.yaml", ".access.yml"])
def test_a_file_whose_access_became_unknown_is_set_aside_at_the_fetch(folder: Path, name: str) -> None:
    got = fetched(LocalFiles(path=str(folder)), AccessFiles(), lambda: (folder / "sub" / name).write_text("allow: ["))
    aside = got["sub/b.md"]
    assert isinstance(aside, SetAside)
    assert (aside.error, aside.stage) == ("AccessUnknown", "read")
    assert name in aside.reason
    assert policy_of(got["a.md"]) == WIDE


def test_a_file_that_is_replaced_while_it_is_judged_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text was HR's; before its access is read, a text for the staff takes its place, with a wider access file."""
    (folder / ".access.yaml").write_text("allow: [group:hr]")
    (folder / "a.md").write_text("for HR only")
    real, todo = os.open, [1]

    def replacing(path: str, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == ".access.yaml" and todo and armed:
            todo.pop()
            (folder / "new").write_text("for the staff")
            (folder / "new").rename(folder / "a.md")
            (folder / ".access.yaml").write_text("allow: [group:staff]")
        return real(path, flags, *args, dir_fd=dir_fd)

    armed = False

    def between() -> None:
        nonlocal armed
        armed = True
        monkeypatch.setattr(os, "open", replacing)

    got = fetched(LocalFiles(path=str(folder)), AccessFiles(), between)["a.md"]
    assert isinstance(got, RawDocument)
    assert (got.content, got.policy) == (b"for the staff", WIDE)


def test_an_access_file_that_may_not_be_read_is_unknown_and_the_rest_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub" / ".access.yaml").write_text("allow: [group:hr]")
    inode, real = (folder / "sub").stat().st_ino, os.open

    def refusing(path: str, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == ".access.yaml" and dir_fd is not None and os.fstat(dir_fd).st_ino == inode:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *args, dir_fd=dir_fd)

    got = fetched(LocalFiles(path=str(folder)), AccessFiles(), lambda: monkeypatch.setattr(os, "open", refusing))
    assert isinstance(got["sub/b.md"], SetAside)
    assert "Permission denied" in got["sub/b.md"].reason
    assert policy_of(got["a.md"]) == WIDE


def test_an_object_comes_with_the_access_object_of_its_fetch(
    s3: Any, bucket: str, connections: EnvironmentConnections
) -> None:
    s3.put_object(Bucket=bucket, Key=".access.yaml", Body=b"allow: [group:staff]")
    for key in ("a.md", "sub/b.md", "odd/c.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"old")

    def between() -> None:
        s3.put_object(Bucket=bucket, Key="sub/.access.yaml", Body=b"allow: [group:hr]")
        s3.put_object(Bucket=bucket, Key="sub/b.md", Body=b"new, for HR only")
        s3.put_object(Bucket=bucket, Key="odd/.Access.yaml", Body=b"allow: [group:hr]")

    got = fetched(S3Objects(conn_id="s3", bucket=bucket), AccessFiles(), between, connections)
    assert (policy_of(got["a.md"]), policy_of(got["sub/b.md"])) == (WIDE, NARROW)
    aside = got["odd/c.md"]
    assert isinstance(aside, SetAside)
    assert "'.Access.yaml'" in aside.reason


def test_an_object_comes_with_the_tags_of_its_fetch(s3: Any, bucket: str, connections: EnvironmentConnections) -> None:
    for key in ("a.md", "b.md", "c.md", "d.md"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"old", Tagging=urlencode({"readers": "staff"}))

    def between() -> None:
        s3.put_object(Bucket=bucket, Key="b.md", Body=b"for HR only", Tagging=urlencode({"readers": "hr"}))
        s3.put_object_tagging(Bucket=bucket, Key="c.md", Tagging={"TagSet": []})
        s3.delete_object(Bucket=bucket, Key="d.md")

    got = fetched(S3Objects(conn_id="s3", bucket=bucket), ObjectTags(allow="readers"), between, connections)
    assert (policy_of(got["a.md"]), policy_of(got["b.md"])) == (WIDE, NARROW)
    aside = got["c.md"]
    assert isinstance(aside, SetAside)
    assert aside.error == "AccessUnknown"
    assert isinstance(got["d.md"], Gone)


def test_an_object_that_is_replaced_before_its_tags_are_read_is_read_again(
    s3: Any, bucket: str, connections: EnvironmentConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag belongs to a version: HR's text must not come with the tags of the staff's text that took its place."""
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"for HR only", Tagging=urlencode({"readers": "hr"}))
    real, todo = S3Objects.open, [1]

    reading = Reading(
        source="s", rule=ObjectTags(allow="readers"), connections=connections, project=PROJECT, max_bytes=1 << 20
    )
    with real(S3Objects(conn_id="s3", bucket=bucket), reading) as opened:
        (one,) = opened.listing()
        tags = opened._tags

        def replaced(key: str) -> Any:
            if todo:
                todo.pop()
                s3.put_object(Bucket=bucket, Key=key, Body=b"for the staff", Tagging=urlencode({"readers": "staff"}))
            return tags(key)

        monkeypatch.setattr(opened, "_tags", replaced)
        (got,) = opened.fetch([planned(one)])
    assert isinstance(got, RawDocument)
    assert (got.content, got.policy) == (b"for the staff", WIDE)


def test_a_text_that_became_narrower_between_listing_and_fetch_is_shown_to_nobody_else(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run()
    assert company.keys("train", ANN)[0] == "trips.md"
    company.write("trips.md", "# Trips\n\nThe board flies to Lisbon by train of thought.\n")
    company.write("leave.md", "# Leave\n\nParental leave lasts thirty weeks.\n")
    within(company, monkeypatch, lambda: company.write(".access.yaml", "allow: [group:people]"))
    result = company.run()
    assert result.passed
    assert company.keys("train", ANN) == company.keys("leave", ANN) == []
    assert company.keys("Lisbon", HUGO)[0] == "trips.md"


def test_what_people_see_is_masked_at_once_if_its_access_is_unknown_at_the_fetch(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run()
    company.write("trips.md", "# Trips\n\nThe board flies to Lisbon by train of thought.\n")
    seen: list[list[str]] = []

    def then() -> None:
        company.write(".access.yaml", "allow: [")

    within(company, monkeypatch, then)
    number = company.to_the_gate()
    seen.append(company.keys("train", ANN))
    assert seen == [[key for key in seen[0] if key != "trips.md"]], f"load {number} has not been promoted yet"


def within(company: Company, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Do something between the listing and the fetch of the company's folder."""
    from moat.readers import local_files

    fetch, todo = local_files._OpenFolder.fetch, [1]

    def fetching(self: Any, wanted: Any) -> Any:
        if todo:
            todo.pop()
            then()
        return fetch(self, wanted)

    monkeypatch.setattr(local_files._OpenFolder, "fetch", fetching)


def test_a_rule_that_needs_nothing_asks_nothing_more_of_a_bucket(
    s3: Any, bucket: str, connections: EnvironmentConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=bucket, Key="a.md", Body=b"old")
    reading = Reading(
        source="s", rule=Groups(allow=("staff",)), connections=connections, project=PROJECT, max_bytes=1 << 20
    )
    with S3Objects(conn_id="s3", bucket=bucket).open(reading) as opened:
        (one,) = opened.listing()
        s3.put_object(Bucket=bucket, Key="a.md", Body=b"new")
        asked = list[str]()
        opened._s3.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
        (got,) = opened.fetch([planned(one)])
    assert isinstance(got, RawDocument)
    assert got.content == b"new"
    assert asked == ["GetObject", "HeadObject", "GetObject"], "the second, because it was overwritten"
