"""Data: .json and .jsonl."""

import json
import re
from collections.abc import Iterator
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import blocks_of, unreadable
from moat.parse.encoding import decode
from moat.parse.job import Job, Parsed
from moat.records import Block

ELEMENT = {"type", "element_id", "text"}  # of unstructured's own JSON
SPACE = re.compile(r"[\s\x1e]*")  # RFC 7464 begins each value with a record separator


def parse_json(content: bytes, job: Job) -> Parsed:
    """Parse a JSON value, or several in one file. Each record of a list is a block."""
    text = decode(content).lstrip("\ufeff")
    try:
        value = _loaded(text)
    except json.JSONDecodeError as error:
        return Parsed(_several(text) or _lines_or_fail(text, error))
    if isinstance(value, list) and value and all(isinstance(v, _Members) and _names(v) >= ELEMENT for v in value):
        return Parsed(_elements(text))
    return Parsed(list(_blocks(value)))


def parse_jsonl(content: bytes, job: Job) -> Parsed:
    """Parse JSON lines. A line that is no JSON is left out and named."""
    text = decode(content).lstrip("\ufeff")
    blocks, failure = _lines(text)
    if failure is None:
        return Parsed(blocks)
    try:
        return Parsed(list(_blocks(_loaded(text))))  # one value that goes over several lines
    except json.JSONDecodeError:
        if all(block.left_out for block in blocks):
            raise ParseFailed(f"none of its lines is JSON; {failure}") from None
        return Parsed(blocks)


def _loaded(text: str) -> Any:
    """Load JSON with its numbers as they are written."""
    try:
        return _decoder().decode(text)
    except RecursionError as error:
        raise ParseFailed("its values are nested too deep") from error


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str, strict=False
    )


def _several(text: str) -> list[Block]:
    """Blocks of JSON values that follow each other; none if something else stands between."""
    decoder, blocks, at = _decoder(), list[Block](), 0
    try:
        while (at := SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches always
            value, at = decoder.raw_decode(text, at)
            if not isinstance(value, _Members | list):
                return []
            blocks += _blocks(value)
    except json.JSONDecodeError:
        return []
    except RecursionError as error:
        raise ParseFailed("its values are nested too deep") from error
    return blocks


def _lines_or_fail(text: str, error: json.JSONDecodeError) -> list[Block]:
    """Blocks of JSON lines in a file that does not say so. Raises ParseFailed if it is none."""
    first = next(filter(str.strip, text.split("\n")), "").strip()
    try:
        proved = first[:1] in "{[" and _loaded(first)
    except json.JSONDecodeError:
        proved = None
    if not proved:
        raise ParseFailed(f"it is no JSON: {error}") from error
    return _lines(text)[0]


def _lines(text: str) -> tuple[list[Block], str | None]:
    """Blocks of JSON lines, and the first line that is none with its reason."""
    blocks, failure = list[Block](), None
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold other line ends, such as U+2028
        line = line.strip(" \t\r\x1e")
        if not line:
            continue
        try:
            blocks.append(Block(kind="text", text="\n".join(_leaves(_loaded(line), ""))))
        except (json.JSONDecodeError, ParseFailed) as error:
            why = f"line {number}: {error.msg if isinstance(error, json.JSONDecodeError) else error}"
            failure = failure or why
            blocks.append(unreadable(f"{why}: {line}"))
    return [block for block in blocks if block.text], failure


class _Members(list[tuple[str, Any]]):
    """A JSON object with all its members, including repeated names."""


def _names(members: _Members) -> set[str]:
    return {name for name, _ in members}


def _blocks(value: Any) -> Iterator[Block]:
    """Yield each record of the outermost lists as a block, and what stands between them as others."""
    lines = list[str]()
    for path, part, is_record in _records(value):
        found = list(_leaves(part, path))
        if is_record:
            if lines:
                yield Block(kind="text", text="\n".join(lines))
            lines = []
            if found:
                yield Block(kind="text", text="\n".join(found))
        else:
            lines += found
    if lines:
        yield Block(kind="text", text="\n".join(lines))


def _records(value: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield (path, part, whether it is a record of a list) in order."""
    stack = [("", value)]
    while stack:
        path, part = stack.pop()
        if isinstance(part, _Members):
            stack += [(_under(path, name), inner) for name, inner in reversed(part)]
        elif isinstance(part, list) and any(isinstance(inner, list) for inner in part):
            yield from ((path, inner, isinstance(inner, list)) for inner in part)
        else:
            yield path, part, False


def _leaves(value: Any, path: str) -> Iterator[str]:
    """Flatten a JSON value to lines `path: value`."""
    stack = [(path, value)]
    while stack:
        path, part = stack.pop()
        if isinstance(part, _Members):
            stack += [(_under(path, name), inner) for name, inner in reversed(part)]
        elif isinstance(part, list):
            stack += [(path, inner) for inner in reversed(part)]
        elif part is not None and part != "":
            told = str(part).lower() if isinstance(part, bool) else str(part)
            yield f"{path}: {told}" if path else told


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _elements(text: str) -> list[Block]:
    from unstructured.staging.base import elements_from_json

    return blocks_of(elements_from_json(text=text), "html")
