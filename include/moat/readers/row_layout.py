"""Where the fields of a row's template stand, so that each value is escaped for its place."""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

FENCE = 24  # backticks around code that holds values; a value with as many is refused
MARK = "moatvalue{}x7f3"  # stands for a field while the template is parsed; letters and digits are never markup
MARKED = re.compile(r"moatvalue(\d+)x7f3")
FENCED = re.compile(r"^(.*?)(`{3,}|~{3,})")  # the line that opens a fence, and the one that ends it, if it is ended
FENCE_ALONE = re.compile(r"^([\s>]*)(`{3,}|~{3,})(?=\s*$)")

# Where a value stands: in running text, in text of one line (a heading, a cell, emphasis), in text of raw HTML, in
# an attribute or a link's address, in <https://…>, in a code span, in a code block.
Where = Literal["text", "line", "html", "attribute", "address", "span", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a template and the text before it."""

    before: str
    name: str  # of the column; empty for the end of the template
    spec: str = ""
    conversion: str | None = None
    how: str = ""  # markdown, html, or empty for data
    where: Where = "text"
    indent: str = ""  # that keeps a line inside its list or quotation
    first: bool = False  # on its line
    ordinal: bool = False  # a dot or parenthesis follows, with which a number would begin a list
    joined: bool = False  # an ampersand precedes, with which letters could name a character
    tight: bool = False  # no white space follows, so that of the value parts words
    cell: bool = False  # of a table


def fields_of(text: str) -> Iterator[Field]:
    """Yield the fields of a template, the last without a name. Raises ValueError for a wrong brace."""
    for before, name, spec, conversion in string.Formatter().parse(text):
        if name is None:
            yield Field(before=before, name="")
        else:
            column, _, how = name.partition("|")
            # A field without a name, as in {}, is wrong; it must not pass for the template's end.
            yield Field(before=before, name=column or "?", spec=spec or "", conversion=conversion, how=how)


@lru_cache(256)
def laid_out(text: str) -> tuple[Field, ...]:
    """Find where each field stands, and make room for values in code."""
    fields = list(fields_of(text))
    marked = "".join(f.before + (MARK.format(i) if f.name else "") for i, f in enumerate(fields))
    found = _places(marked)
    # `<{mail}>` would take a value such as Ann for a tag.
    opened = [i for i, at in found.items() if at.where == "attribute" and f"<{MARK.format(i)}" in marked]
    for i in opened:
        marked = marked.replace(f"<{MARK.format(i)}", f"&lt;{MARK.format(i)}")
    found = _places(marked) if opened else found
    marked = _widened(marked, found)
    done = []
    parts = MARKED.split(marked)
    for before, number, after in zip(parts[0::2], parts[1::2], parts[2::2], strict=False):
        last = int(number) == len(parts) // 2 - 1
        at = found.get(int(number), _Place(where="attribute"))
        if at.where in ("text", "line", "attribute") and (len(before) - len(before.rstrip("\\"))) % 2:
            before += "\\"  # a backslash of the template is one, whatever the value begins with
        begins, first = _beginning(marked, MARK.format(number))
        done.append(
            replace(
                fields[int(number)],
                before=before,
                where=at.where,
                cell=at.cell,
                indent=re.sub(r"[^>\s]", " ", begins) if at.nested or at.where == "code" else "",
                first=first,
                tight=not (after[:1].isspace() or (last and not after)),
                ordinal=after.startswith((".", ")")),
                joined=bool(re.search(r"&#?\w*$", before)),
            )
        )
    return (*done, Field(before=parts[-1], name=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the parser found a field."""

    where: Where
    nested: bool = False  # in a list or quotation
    cell: bool = False
    lines: tuple[int, int] = (0, 0)  # of a fenced block
    ticks: int = 0  # backticks around a span


def _places(marked: str) -> dict[int, _Place]:
    """Parse a template with marks for its fields, and find each."""
    from markdown_it import MarkdownIt

    found: dict[int, _Place] = {}
    nested, cell = 0, False
    where: Where = "text"
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(marked):
        if token.type in ("list_item_open", "blockquote_open"):
            nested += 1
        elif token.type in ("list_item_close", "blockquote_close"):
            nested -= 1
        elif token.type in ("heading_open", "th_open", "td_open"):
            where, cell = "line", token.type != "heading_open"
        elif token.type in ("heading_close", "th_close", "td_close"):
            where, cell = "text", False
        elif token.type in ("fence", "code_block"):
            lines = (token.map[0], token.map[1]) if token.type == "fence" and token.map else (0, 0)
            _put(found, token.content, _Place(where="code", nested=nested > 0, lines=lines))
            _put(found, token.info, _Place(where="attribute"))
        elif token.type == "html_block":
            _put_html(found, token.content, nested > 0)
        elif token.type == "inline":
            _put_inline(found, token.children or [], _Place(where=where, nested=nested > 0, cell=cell))
    return found


def _put_inline(found: dict[int, _Place], tokens: list[Any], at: _Place) -> None:
    deep, auto = 0, False
    for token in tokens:
        for value in token.attrs.values():
            _put(found, str(value), replace(at, where="address" if token.info == "auto" else "attribute"))
        if token.type == "html_inline":
            _put(found, token.content, replace(at, where="attribute"))
        elif token.type == "code_inline":
            _put(found, token.content, replace(at, where="span", ticks=len(token.markup)))
        elif token.type == "text":
            _put(found, token.content, replace(at, where="address" if auto else "line" if deep else at.where))
        elif token.type == "image":
            _put_inline(found, token.children or [], replace(at, where="line"))
        deep += token.nesting
        auto = (token.info == "auto" and token.type == "link_open") or (auto and token.type != "link_close")


def _put_html(found: dict[int, _Place], content: str, nested: bool) -> None:
    for tag, text in re.findall(r"(<[^>]*>?)|([^<]+)", content):
        _put(found, tag, _Place(where="attribute", nested=nested))
        _put(found, text, _Place(where="html", nested=nested))


def _put(found: dict[int, _Place], content: str, at: _Place) -> None:
    for number in MARKED.findall(content):
        found.setdefault(int(number), at)


def _widened(marked: str, found: Mapping[int, _Place]) -> str:
    """Widen the fences and backticks of code with values, so that no value ends it."""
    lines = marked.split("\n")
    for first, end in {at.lines for at in found.values() if at.lines[1]}:
        for number, fence in ((first, FENCED), (end - 1, FENCE_ALONE)):
            lines[number] = fence.sub(lambda run: run[1] + run[2][0] * FENCE, lines[number], count=1)
    marked = "\n".join(lines)
    spans = {number: at.ticks for number, at in found.items() if at.where == "span"}
    while spans:
        number, ticks = spans.popitem()
        runs = [run for run in re.finditer(r"`+", marked) if len(run[0]) == ticks]
        here = marked.index(MARK.format(number))
        left, right = (
            max(run.end() for run in runs if run.end() <= here),
            min(r.start() for r in runs if r.start() > here),
        )
        inside = marked[left:right]
        marked = f"{marked[: left - ticks]}{'`' * FENCE} {inside} {'`' * FENCE}{marked[right + ticks :]}"
        for same in map(int, MARKED.findall(inside)):
            spans.pop(same, None)
    return marked


def _beginning(marked: str, mark: str) -> tuple[str, bool]:
    """Marks of lists and quotations that begin a field's line, and whether nothing else precedes it."""
    line = marked[: marked.index(mark)].rpartition("\n")[2]
    begins = re.match(r"[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])(?:[ \t]+|$))*", line)
    found = begins[0] if begins else ""
    return found, found == line
