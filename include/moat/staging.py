"""Record batches as Parquet in a local folder or S3.

A file is written whole or not at all, with a checksum. A path inside staging is relative:
`handbook/17/chunk/0003.parquet`. The same task writes the same paths, so a retry replaces what a failed
try left.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from moat.errors import StagingError
from moat.foreign import said

T = TypeVar("T")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
ROWS, GROUP_BYTES = 2_000, 32 << 20  # a row group ends at whichever comes first


class Staging:
    """The staging area under one URI."""

    def __init__(self, uri: str, filesystem: pafs.FileSystem | None = None) -> None:
        if filesystem is None and "://" not in uri:
            uri = str(Path(uri).resolve())
            Path(uri).mkdir(mode=0o700, parents=True, exist_ok=True)
            filesystem = pafs.LocalFileSystem()  # a path is no URI: it may have spaces, # and %
        self.uri = uri.rstrip("/")
        if filesystem is None:
            filesystem, root = pafs.FileSystem.from_uri(self.uri)
        else:
            root = self.uri.removeprefix("s3://")
        self._fs, self._root = filesystem, root
        self._local = isinstance(filesystem, pafs.LocalFileSystem)

    def at(self, path: str) -> str:
        """Return the full URI of a path in staging."""
        return f"{self.uri}/{path}"

    def write(self, path: str, kind: type[T], records: Iterable[T]) -> int:
        """Write records of one kind, and return their number.

        An existing file is replaced once all records are written.
        """
        schema, n = schema_of(kind), 0
        with self._replacing(path) as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            for rows in _groups(records):
                columns = list(zip(*(_row(record) for record in rows), strict=True)) or [()] * len(schema)
                writer.write_table(
                    pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
                )
                n += len(rows)
        return n

    def read(self, path: str, kind: type[T]) -> Iterator[T]:
        """Stream the records at a path. Raises StagingError for a missing or damaged file."""
        with self._proved(path) as source:
            file = pq.ParquetFile(source)
            if file.schema_arrow.names != [f.name for f in fields(kind)]:  # type: ignore[arg-type]
                raise StagingError(f"{self.at(path)} holds {file.schema_arrow.names}, not {kind.__name__}")
            names = file.schema_arrow.names
            for batch in file.iter_batches(batch_size=ROWS):
                columns = [_values(column) for column in batch.columns]
                yield from (kind(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))

    def write_bytes(self, path: str, content: bytes) -> str:
        """Write plain bytes and return their URI."""
        with self._replacing(path) as sink:
            sink.write(content)
        return self.at(path)

    def read_bytes(self, path: str) -> bytes:
        """Read plain bytes. Raises StagingError for a missing or damaged file."""
        with self._proved(path) as source:
            return source.read()

    def copy(self, file: Path, path: str) -> None:
        """Write a local file to a path."""
        with file.open("rb") as source, self._replacing(path) as sink:
            shutil.copyfileobj(source, sink, 8 << 20)

    def copy_from(self, other: "Staging", path: str, to: str) -> None:
        """Copy a file of another area. Raises StagingError for a missing or damaged one."""
        with other._proved(path) as source, self._replacing(to) as sink:
            shutil.copyfileobj(source, sink, 8 << 20)

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """A copy of a file in a local folder, while the block runs. Raises StagingError for a missing or damaged file."""
        with self._proved(path) as source, tempfile.TemporaryDirectory() as folder:
            file = Path(folder, Path(path).name)
            with file.open("wb") as sink:
                shutil.copyfileobj(source, sink, 8 << 20)
            yield file

    def exists(self, path: str) -> bool:
        """Whether there is a file at a path."""
        with self._answering(path):
            return bool(self._fs.get_file_info(f"{self._root}/{path}").type == pafs.FileType.File)

    def whole(self, path: str) -> bool:
        """Whether there is a file at a path, with the checksum that it was written with."""
        try:
            with self._proved(path):
                return True
        except StagingError:
            return False

    def files(self, path: str) -> list[str]:
        """Sorted paths of all files below a folder, including checksums and drafts."""
        folder = f"{self._root}/{path}".rstrip("/")
        with self._answering(path):
            inside = self._fs.get_file_info(pafs.FileSelector(folder, recursive=True, allow_not_found=True))
        return sorted(f.path.removeprefix(f"{self._root}/") for f in inside if f.type == pafs.FileType.File)

    def column(self, path: str, name: str) -> Iterator[str]:
        """Stream one text column of a Parquet file, whatever its records.

        A file without the column gives nothing. Raises StagingError for a missing or damaged file.
        """
        with self._proved(path) as source:
            file = pq.ParquetFile(source)
            if name in file.schema_arrow.names:
                for batch in file.iter_batches(batch_size=ROWS, columns=[name]):
                    yield from (value for value in batch.column(0).to_pylist() if value is not None)

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder, if it exists."""
        with self._answering(path):
            info = self._fs.get_file_info(f"{self._root}/{path}")
            if info.type == pafs.FileType.Directory:
                if self._local:
                    self._fs.delete_dir(info.path)
                else:  # S3 has no folders, and deleting one fails midway: delete its objects
                    inside = self._fs.get_file_info(pafs.FileSelector(info.path, recursive=True))
                    for file in inside:
                        if file.type == pafs.FileType.File:
                            self._fs.delete_file(file.path)
            elif info.type == pafs.FileType.File:
                self._fs.delete_file(info.path)
                if self.exists(f"{path}.sha256"):
                    self._fs.delete_file(f"{info.path}.sha256")

    @contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        """Raise what a server of S3 answers, or that it does not, as StagingError; a disk's errors are named elsewhere."""
        try:
            yield
        except OSError as error:
            if self._local:
                raise
            raise StagingError(
                f"staging at {self.at(path)} did not answer: {said(error)}. Nothing is lost: the task goes on when it runs again"
            ) from None

    @contextmanager
    def _proved(self, path: str) -> Iterator[BinaryIO]:
        """Open a file whose checksum is right."""
        full = f"{self._root}/{path}"
        try:
            with self._fs.open_input_file(f"{full}.sha256") as source:
                expected = source.read().decode()
            if self._local:
                opened: Any = open(full, "rb")  # noqa: SIM115  closed below
            else:
                opened = tempfile.TemporaryFile()  # noqa: SIM115
                with self._fs.open_input_stream(full) as source:
                    shutil.copyfileobj(source, opened, 8 << 20)
        except OSError as error:
            raise StagingError(
                f"{self.at(path)} cannot be read: {said(error)}. Clear the task that writes it and run it again."
            ) from None
        with opened:
            opened.seek(0)
            found = hashlib.file_digest(opened, "sha256").hexdigest()
            if found != expected:
                raise StagingError(
                    f"{self.at(path)} is damaged: its SHA-256 is {found}, {expected} was written. "
                    "Clear the task that writes it and run it again."
                )
            opened.seek(0)
            yield opened

    @contextmanager
    def _replacing(self, path: str) -> Iterator[Any]:
        """Open a sink that replaces the file at its path once all is written."""
        full = f"{self._root}/{path}"
        if self._local:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            draft = f"{full}.{os.getpid()}.draft"
        else:
            descriptor, draft = tempfile.mkstemp(suffix=".draft")
            os.close(descriptor)
        try:
            try:
                with open(draft, "wb") as sink:
                    yield sink
                    sink.flush()
                    os.fsync(sink.fileno())
                if self._local:
                    self._put(draft, full)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                raise self._no_room(error, draft) from None
            if not self._local:  # S3 shows an object only when its upload is complete
                checksum = _checksum(draft)
                with self._answering(path):
                    with open(draft, "rb") as source, self._fs.open_output_stream(full) as target:
                        shutil.copyfileobj(source, target, 8 << 20)
                    with self._fs.open_output_stream(f"{full}.sha256") as target:
                        target.write(checksum)
        finally:
            for left in (draft, f"{draft}.sha256"):
                if os.path.exists(left):
                    os.remove(left)

    def _put(self, draft: str, full: str) -> None:
        """Put a draft in its place. Whenever this ends early, the file is either whole with its checksum or has none."""
        beside = f"{draft}.sha256"
        try:
            Path(beside).write_bytes(_checksum(draft))
            Path(f"{full}.sha256").unlink(missing_ok=True)
            os.replace(draft, full)
            os.replace(beside, f"{full}.sha256")
        except FileNotFoundError:
            raise StagingError(
                f"{full} cannot be written: its folder was removed meanwhile, as a load's is that has ended. "
                "Run the source again."
            ) from None

    def _no_room(self, error: OSError, draft: str) -> StagingError:
        """The error for a disk that took no more."""
        folder = os.path.dirname(draft)
        free, written = (
            shutil.disk_usage(folder).free / 1e6,
            os.path.getsize(draft) / 1e6 if os.path.exists(draft) else 0,
        )
        return StagingError(
            f"the disk of {folder} takes no more ({os.strerror(error.errno or 0)}): {free:,.1f} MB are free, and more than "
            f"{written:,.1f} MB are needed for one file. Nothing is lost: make room there or set MOAT_STAGING_URI to another disk, "
            "and the task goes on when it runs again"
        )


def _checksum(file: str) -> bytes:
    """SHA-256 of a file, in hex."""
    with open(file, "rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest().encode()


def schema_of(kind: type) -> pa.Schema:
    """The Arrow schema of a record type."""
    hints = typing.get_type_hints(kind)
    return pa.schema([_field(f.name, hints[f.name]) for f in fields(kind)])


_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), bytes: pa.binary()}


def _field(name: str, hint: Any) -> pa.Field:
    if isinstance(hint, types.UnionType):
        inner = next(a for a in typing.get_args(hint) if a is not types.NoneType)
        return pa.field(name, _field(name, inner).type, nullable=True)
    if typing.get_origin(hint) is tuple:
        return pa.field(name, pa.list_(pa.string()), nullable=False)
    if typing.get_origin(hint) is typing.Literal:
        return pa.field(name, pa.string(), nullable=False)
    return pa.field(name, _ARROW[hint], nullable=False)


def _row(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, f.name) for f in fields(record))


def _values(column: pa.Array) -> list[Any]:
    values = column.to_pylist()
    return [tuple(v) for v in values] if pa.types.is_list(column.type) else values


def _groups(records: Iterable[T]) -> Iterator[list[T]]:
    """Group records so that a row group fits into memory."""
    group: list[T] = []
    size = 0
    for record in records:
        group.append(record)
        size += sum(len(v) for v in _row(record) if isinstance(v, (bytes, str)))
        if len(group) >= ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
