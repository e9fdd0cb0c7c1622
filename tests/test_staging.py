"""Record batches are written whole or not at all, and a damaged one is noticed."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as fs
import pytest

from moat.errors import StagingError
from moat.records import Batch, Chunk, Embedded, Planned, Prepared, RawDocument, SetAside
from moat.staging import Staging

RAW = [
    RawDocument(
        key=f"k{i}",
        uri="u",
        name="n",
        fingerprint="f",
        content=b"abc%d" % i * 10,
        content_hash="h",
        policy="p",
        access_version=1,
        title=None,
        metadata=("a=b",),
    )
    for i in range(50)
]
EACH = [
    RAW[0],
    Planned(
        key="k", uri="u", fingerprint="f", size=3, policy=None, what="new", why="new", access_version=0, known_hash=""
    ),
    Prepared(
        id="i",
        key="k",
        uri="u",
        title="t",
        media_type="m",
        fingerprint="f",
        content_hash="h",
        policy="p",
        access_version=1,
        metadata=("a=b", "c=d"),
        n_pages=2,
        n_characters=3,
        n_chunks=4,
    ),
    Chunk(
        id="i",
        document_id="d",
        key="k",
        text="text",
        heading="h",
        kind="text",
        page=None,
        position=0,
        n_tokens=5,
        text_hash="x",
    ),
    Embedded("i", "h", b"\0\1"),
    SetAside(key="k", uri="u", stage="parse", error="E", reason="r", fingerprint="f", raw_uri=None),
    Batch(1, 2, 3),
]


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(str(tmp_path))


@pytest.mark.parametrize("record", EACH, ids=lambda r: type(r).__name__)
def test_every_record_comes_back_as_it_was(staging: Staging, record: object) -> None:
    assert staging.write("a/b.parquet", type(record), [record, record]) == 2
    assert list(staging.read("a/b.parquet", type(record))) == [record, record]


def test_no_records_are_a_file_too(staging: Staging) -> None:
    assert staging.write("none.parquet", Chunk, []) == 0
    assert list(staging.read("none.parquet", Chunk)) == []


def test_any_changed_byte_is_noticed(staging: Staging, tmp_path: Path) -> None:
    staging.write("r.parquet", RawDocument, RAW)
    good = (tmp_path / "r.parquet").read_bytes()
    for at in range(0, len(good), 7):
        (tmp_path / "r.parquet").write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        with pytest.raises(StagingError, match=r"damaged.*run it again"):
            list(staging.read("r.parquet", RawDocument))


def test_a_missing_file_says_what_to_do(staging: Staging) -> None:
    with pytest.raises(StagingError, match="Clear the task that writes it"):
        list(staging.read("nope.parquet", RawDocument))


def test_a_writer_that_dies_half_way_leaves_what_was_there(staging: Staging, tmp_path: Path) -> None:
    staging.write("r.parquet", RawDocument, RAW[:3])

    def dying() -> Iterator[RawDocument]:
        yield RAW[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        staging.write("r.parquet", RawDocument, dying())
    assert list(staging.read("r.parquet", RawDocument)) == RAW[:3]
    assert not list(tmp_path.glob("*.draft"))


def test_a_disk_that_takes_no_more_is_named_with_what_is_free_and_needed(staging: Staging, tmp_path: Path) -> None:
    def until_it_is_full() -> Iterator[RawDocument]:
        yield from RAW
        raise OSError(errno.ENOSPC, "as the kernel has it")

    with pytest.raises(StagingError) as error:
        staging.write("a/b.parquet", RawDocument, until_it_is_full())
    for words in (str(tmp_path / "a"), "No space left on device", "MB are free", "Nothing is lost"):
        assert words in str(error.value)
    assert staging.files("a") == [], "no draft takes the room that is left"
    with pytest.raises(PermissionError), staging._replacing("a/c"):
        raise PermissionError(errno.EACCES, "of a source, which says so itself")


def test_a_file_of_another_record_is_refused(staging: Staging) -> None:
    staging.write("r.parquet", RawDocument, RAW[:1])
    with pytest.raises(StagingError, match="not Chunk"):
        list(staging.read("r.parquet", Chunk))


def test_bytes_and_folders_can_be_removed(staging: Staging, tmp_path: Path) -> None:
    assert staging.write_bytes("q/raw", b"x") == f"{tmp_path}/q/raw"
    assert staging.read_bytes("q/raw") == b"x"
    staging.remove("q")
    staging.remove("q")
    assert not staging.exists("q/raw")
    with pytest.raises(StagingError):
        staging.read_bytes("q/raw")


def test_the_same_works_on_s3(s3_server: str, s3: Any) -> None:
    from pyarrow.fs import S3FileSystem

    s3.create_bucket(Bucket="staging")
    filesystem = S3FileSystem(
        access_key="moat",
        secret_key="moat-secret",
        region="us-east-1",
        endpoint_override=s3_server.removeprefix("http://"),
        scheme="http",
    )
    staging = Staging("s3://staging/moat", filesystem)
    assert staging.write("s/1/chunk/0000.parquet", RawDocument, RAW) == 50
    assert list(staging.read("s/1/chunk/0000.parquet", RawDocument)) == RAW
    s3.put_object(Bucket="staging", Key="moat/s/1/chunk/0000.parquet", Body=b"other")
    with pytest.raises(StagingError, match="damaged"):
        list(staging.read("s/1/chunk/0000.parquet", RawDocument))
    staging.remove("s/1")
    with pytest.raises(StagingError, match="cannot be read"):
        list(staging.read("s/1/chunk/0000.parquet", RawDocument))


@pytest.mark.parametrize("where", ["local", "s3"])
def test_files_are_listed_with_those_in_folders_inside_and_one_column_is_read(
    where: str, staging: Staging, request: pytest.FixtureRequest
) -> None:
    if where == "s3":
        endpoint = request.getfixturevalue("s3_server").removeprefix("http://")
        s3 = fs.S3FileSystem(
            access_key="moat",
            secret_key="moat-secret",
            endpoint_override=endpoint,
            scheme="http",
            allow_bucket_creation=True,
        )
        s3.create_dir("files")
        staging = Staging("s3://files/staging", s3)
    assert staging.files("docs") == []
    staging.write("docs/7/chunk/0000.parquet", Chunk, [EACH[3]])
    staging.write_bytes("docs/quarantine/x", b"bytes")
    staging.write_bytes("docs2/other", b"bytes")
    listed = ["docs/7/chunk/0000.parquet", "docs/7/chunk/0000.parquet.sha256", "docs/quarantine/x"]
    assert staging.files("docs") == [*listed, "docs/quarantine/x.sha256"]
    assert list(staging.column(listed[0], "key")) == ["k"]
    assert list(staging.column(listed[0], "no such column")) == []
    with pytest.raises(StagingError):
        list(staging.column("docs/nothing.parquet", "key"))
    staging.remove("docs/7")
    assert staging.files("docs/7") == []


@pytest.mark.parametrize("name", ["a folder", "50% #1", "größe"])
def test_a_folder_may_be_named_as_people_name_folders(name: str, tmp_path: Path) -> None:
    staging = Staging(str(tmp_path / name))
    assert staging.write("s/1/read/0000.parquet", RawDocument, RAW) == len(RAW)
    assert list(staging.read("s/1/read/0000.parquet", RawDocument)) == RAW
    kept = staging.write_bytes("s/quarantine/x", b"bytes")
    assert Path(kept).read_bytes() == b"bytes"
    assert kept == str(tmp_path / name / "s/quarantine/x")


@pytest.mark.parametrize("dies_at", [0, 1])
def test_a_writer_killed_while_it_replaces_a_file_leaves_none_that_is_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    staging, calls = Staging(str(tmp_path)), iter(range(9))
    staging.write_bytes("a/b", b"old")
    assert staging.whole("a/b")
    really = os.replace

    def dying(here: str, there: str) -> None:
        if next(calls) == dies_at:
            raise SystemExit("killed")
        really(here, there)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(SystemExit):
            staging.write_bytes("a/b", b"new")
    assert not staging.whole("a/b")
    staging.write_bytes("a/b", b"new")
    assert staging.whole("a/b")
    assert staging.read_bytes("a/b") == b"new"


def test_a_disk_that_is_full_when_the_checksum_is_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "as the kernel has it")

    staging = Staging(str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StagingError, match="takes no more"):
        staging.write_bytes("a/b", b"new")
    assert staging.files("") == []


def test_a_folder_that_is_removed_while_a_file_is_written_is_named(tmp_path: Path) -> None:
    staging = Staging(str(tmp_path))

    def records() -> Iterator[RawDocument]:
        yield RAW[0]
        staging.remove("docs/7")

    with pytest.raises(StagingError, match=r"docs/7/read/0\.parquet cannot be written: its folder was removed"):
        staging.write("docs/7/read/0.parquet", RawDocument, records())


def test_a_server_of_staging_that_does_not_answer_only_needs_time() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it never listens
        port = nobody.getsockname()[1]
        far = fs.S3FileSystem(
            access_key="a", secret_key="b", region="r", scheme="http", endpoint_override=f"127.0.0.1:{port}",
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1), connect_timeout=2.0, request_timeout=2.0,
        )  # fmt: skip
        staging = Staging("s3://bucket/staging", far)
        for ask in (
            lambda: staging.exists("docs/1"),
            lambda: staging.files("docs"),
            lambda: staging.remove("docs/1"),
            lambda: staging.write_bytes("docs/1", b"x"),
            lambda: staging.read_bytes("docs/1"),
        ):
            with pytest.raises(StagingError, match="bucket/staging/docs"):
                ask()
