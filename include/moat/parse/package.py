"""Parts and relationships of an Office Open XML package, read part by part."""

import io
import posixpath
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from urllib.parse import unquote

from moat.errors import ParseFailed

DAMAGED = (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError, EOFError, ValueError)


class Relation(NamedTuple):
    """A relationship of a part: what kind it is of, and its target."""

    kind: str  # last word of its type, such as "chart"
    target: str  # name of a part, or an address outside of the package
    external: bool


class Package:
    """An office document's container. Names of parts are found without regard to case, as the format says."""

    def __init__(self, content: bytes) -> None:
        """Open a package. Raises ParseFailed if it is no zip archive."""
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except DAMAGED as error:
            raise ParseFailed(f"its container is damaged: {error}; save it again and replay") from error
        self._names = {_plain(name).lower(): name for name in self._archive.namelist()}
        self._relations = dict[str, dict[str, Relation]]()

    def names(self, pattern: str) -> list[str]:
        """Names of the parts that match, by the numbers in them."""
        found = [_plain(name) for name in self._names.values() if re.search(pattern, _plain(name))]
        return sorted(found, key=lambda name: ([int(n) for n in re.findall(r"\d+", name)], name))

    def has(self, name: str) -> bool:
        """Whether a part of this name is there."""
        return name.lower() in self._names

    def read(self, name: str) -> bytes:
        """Bytes of a part. Raises ParseFailed if it is missing or damaged."""
        try:
            return self._archive.read(self._names[name.lower()])
        except DAMAGED as error:
            raise ParseFailed(f"its part {name} is missing or damaged: {error}") from error

    def open(self, name: str) -> IO[bytes]:
        """Open a part to be read as a stream. Raises ParseFailed if it is missing."""
        try:
            return self._archive.open(self._names[name.lower()])
        except DAMAGED as error:
            raise ParseFailed(f"its part {name} is missing or damaged: {error}") from error

    def root(self, name: str) -> Any:
        """Root of an XML part, whose damage is passed over. Raises ParseFailed if nothing of it can be read."""
        root = xml_root(self.read(name))
        if root is None:
            raise ParseFailed(f"its part {name} is no XML")
        return root

    def relations(self, name: str) -> dict[str, Relation]:
        """Relationships of a part by their ids; none if they cannot be read."""
        if name not in self._relations:
            self._relations[name] = dict(self._read_relations(name))
        return self._relations[name]

    def related(self, name: str, kind: str) -> list[str]:
        """Names of the parts that a part is related to in this way."""
        return [r.target for r in self.relations(name).values() if r.kind.lower() == kind.lower() and not r.external]

    def _read_relations(self, name: str) -> Iterator[tuple[str, Relation]]:
        folder, _, file = name.rpartition("/")
        try:
            root = self.root(f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels")
        except ParseFailed:
            return
        for element in root.iter("{*}Relationship"):
            target = element.get("Target") or ""
            external = element.get("TargetMode") == "External"
            if not external:
                target = _plain(posixpath.normpath(posixpath.join("/" + folder, unquote(target))))
            yield element.get("Id") or "", Relation((element.get("Type") or "").rpartition("/")[2], target, external)


def xml_root(part: bytes) -> Any:
    """Root of an XML part; None if nothing of it can be read. Entities are not expanded."""
    from lxml import etree

    try:
        return etree.fromstring(
            part,
            etree.XMLParser(
                resolve_entities=False,
                no_network=True,
                huge_tree=False,
                recover=True,
                remove_comments=True,
                remove_pis=True,
            ),
        )
    except etree.XMLSyntaxError:
        return None


def local(element: Any) -> str:
    """Name of an element without its namespace: strict and transitional documents differ in it alone."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """Value of an attribute without regard to its namespace, such as the `id` of a relationship; "" if none."""
    for key, value in element.attrib.items():
        if key.startswith("{") and key.rpartition("}")[2] == name:
            return str(value)
    return ""


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/")


def unwrapped(content: bytes, name: str) -> tuple[bytes, str]:
    """Take a file out of the OLE container in which an old program embedded it; others come back as they are."""
    import olefile

    if not olefile.isOleFile(content):
        return content, name
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as ole:
            if ole.exists("Package"):
                return ole.openstream("Package").read(), name
            if ole.exists("\x01Ole10Native"):
                return _native(ole.openstream("\x01Ole10Native").read(), name)
    except (OSError, ValueError, IndexError, struct.error):
        pass  # who parses it says what is wrong
    return content, name


def _native(stream: bytes, name: str) -> tuple[bytes, str]:
    """The file in a stream of the packager: a label, two paths, then its bytes with their length."""
    label, _, rest = stream[6:].partition(b"\0")
    _, _, rest = rest.partition(b"\0")
    (size,) = struct.unpack_from("<I", rest, 4)
    rest = rest[8 + size :]
    (size,) = struct.unpack_from("<I", rest)
    return rest[4 : 4 + size], label.decode("utf-8", "replace") or name
