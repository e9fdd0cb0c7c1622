"""The parts of a Word document and how they refer to each other."""

import io
import posixpath
import zipfile
import zlib
from functools import cache
from typing import Any, NamedTuple

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.records import Block

DEEPEST = 100  # elements in elements; deeper text is taken flat


class Target(NamedTuple):
    """What a relationship of a part leads to."""

    type: str  # last word of the relationship's type, such as "footnotes"
    name: str  # name of a part, or an address outside
    external: bool


@cache
def local(tag: Any) -> str:
    """Name of a tag without its namespace; "" for a comment's."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """Value of an attribute in whatever namespace; "" if it is missing."""
    if element is not None:
        for key, value in element.attrib.items():
            if key == name or key.rpartition("}")[2] == name:
                return str(value)
    return ""


def child(element: Any, *path: str) -> Any:
    """First child by name in whatever namespace, along a path; None if it is missing."""
    for name in path:
        element = next((c for c in element if local(c.tag) == name), None) if element is not None else None
    return element


def value(element: Any, *path: str) -> str:
    """The attribute `val` of a child along a path."""
    return attribute(child(element, *path), "val")


def on(element: Any, *path: str) -> bool:
    """Whether a property that is on or off is there and on."""
    found = child(element, *path)
    return found is not None and attribute(found, "val").lower() not in {"0", "false", "off", "none"}


def tree_of(content: bytes, recover: bool = False) -> Any:
    """Parse XML without entities and without the network; None if nothing can be recovered."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, recover=recover)
    return etree.fromstring(content, parser)


class Package:
    """Parts of a container, read when they are asked for. What is damaged is told in `lost`."""

    def __init__(self, content: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        self.names = {name.lstrip("/"): name for name in self._archive.namelist()}
        self.lost: list[Block] = []

    def read(self, name: str) -> bytes | None:
        """Bytes of a part; None, and told, if it is missing or damaged."""
        try:
            return self._archive.read(self.names[name])
        except KeyError:
            self.lose(name, "it is missing")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            self.lose(name, f"it is damaged: {error}")
        return None

    def tree(self, name: str) -> Any:
        """Root element of a part; None, and told, if it is missing or damaged."""
        from lxml import etree

        content = self.read(name)
        if content is None:
            return None
        try:
            return tree_of(content)
        except etree.XMLSyntaxError as error:
            self.lose(name, f"its XML is damaged, so text may be missing: {error}")
        try:
            return tree_of(content, recover=True)
        except etree.XMLSyntaxError:
            return None

    def lose(self, name: str, why: str) -> None:
        """Tell that a part of the document cannot be read."""
        self.lost.append(unreadable(f"{name}: {why}"))

    def targets(self, part: str) -> dict[str, Target]:
        """What the part refers to, by relationship id; "" stands for the package itself."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        root = self.tree(rels) if rels in self.names else None
        found = dict[str, Target]()
        for each in root if root is not None else ():
            target, outside = each.get("Target") or "", each.get("TargetMode") == "External"
            if not outside:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[each.get("Id") or ""] = Target((each.get("Type") or "").rpartition("/")[2], target, outside)
        return found

    def main(self) -> str:
        """Name of the part that holds the text. Raises ParseFailed if there is none."""
        named = (t.name for t in self.targets("").values() if t.type == "officeDocument")
        for name in (*named, "word/document.xml"):
            if name in self.names:
                return name
        raise ParseFailed("its part word/document.xml is missing: it is damaged")
