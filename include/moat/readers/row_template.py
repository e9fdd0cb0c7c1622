"""A row's text: a template in Markdown, filled with values that are data.

The template is its author's Markdown. A value is escaped, so that a parser of CommonMark gives back its
characters, unless the template says `{body|markdown}` or `{body|html}`.
"""

import re
import string
from collections.abc import Mapping
from itertools import pairwise

from moat.readers.row_layout import FENCE, Field, fields_of, laid_out
from moat.readers.row_values import shown

IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
HOWS = ("markdown", "html")
DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")  # lxml takes no text that says how it was encoded
NO_ENTITY = re.compile(r"[\x0b\x1c-\x1f\x85]")  # white space to Python only; no entity stands for it
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# One set of characters, because it is searched ten times faster; `_` between letters is none of Markdown's.
INLINE = re.compile(r"[\\`*\[\]|~#_](?<!(?<=[^\W_])_(?=[^\W_]))")
OPENING = re.compile(r"^([=>]|[-+:.)](?![0-9A-Za-z]))")
ORDINAL = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


def wrong(text: str) -> list[str]:
    """Return what a person must correct in a template; empty if it is valid."""
    try:
        found = list(fields_of(text))
    except ValueError as error:
        return [f"text: {error}; write {{{{ for a brace"]
    named = [field for field in found if field.name or field.how]
    strange = ["{" + field.name + "}" for field in named if not IDENTIFIER.match(field.name)]
    if strange:
        return [f"text: {', '.join(strange)} is not a column's name in braces"]
    if not named:
        return ["text: it holds no {column}, so every row would be the same document"]
    if odd := [field for field in named if field.conversion not in (None, "r", "s", "a")]:
        return [f"text: {{{odd[0].name}!{odd[0].conversion}}}: a conversion is r, s or a"]
    return [
        f"text: {{{field.name}|{field.how}}}: a value is {' or '.join(HOWS)}, or data without a word"
        for field in named
        if field.how and field.how not in HOWS
    ] + [f"text: the format of {{{f.name}}} holds a brace; write it without" for f in named if "{" in f.spec]


def columns(text: str) -> list[str]:
    """Columns that a template takes, in their order."""
    return [field.name for field in fields_of(text) if field.name]


def fill(text: str, values: Mapping[str, object]) -> str:
    """Fill a template with a row's values.

    Args:
        text: The template.
        values: Every column that it takes, as the database gave it.

    Returns:
        The Markdown of the row.

    Raises:
        ValueError: A format does not fit its value.
    """
    return "".join(field.before + _filled(field, values) for field in laid_out(text))


def _filled(field: Field, values: Mapping[str, object]) -> str:
    if not field.name:
        return ""
    try:
        value = string.Formatter().convert_field(shown(values[field.name]), field.conversion)
        text = format(value, field.spec)
    except TypeError as error:  # an array or JSON with a format
        raise ValueError(f"{{{field.name}}}: {error}") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if field.how == "markdown" or (field.how and field.where in ("span", "code")):
        return text.replace("\n", f"\n{field.indent}") if field.indent else text
    if field.how == "html":
        return _of_html(text, field)
    return _escaped(text, field)


def _escaped(text: str, field: Field) -> str:
    """Escape a value for where it stands."""
    match field.where:
        case "span" | "code":
            if "`" * FENCE in text or "~" * FENCE in text:
                raise ValueError(f"{{{field.name}}} stands in code, and its value holds {FENCE} backticks or tildes")
            if field.where == "span":
                text = " ".join(text.split("\n"))
                return text.replace("|", "\\|") if field.cell else text
            return text.strip("\n").replace("\n", f"\n{field.indent}")
        case "attribute":
            return re.sub(r"[^0-9A-Za-z\x80-\U0010ffff]", _entity, re.sub(r"[\x00-\x1f]", " ", text))
        case "address":
            return re.sub(r"[\x00-\x20<>]", lambda found: f"%{ord(found[0]):02X}", text)
        case "html":
            return "<br>".join(re.sub(r"[<>&]", _entity, line).strip() for line in text.strip().split("\n"))
        case "line":
            text = re.sub(r"\s*\n\s*", " ", text)
    inside = INLINE.sub(r"\\\g<0>", text.strip("\n")).replace("&", "&amp;").replace("<", "&lt;")
    if text.startswith("\n"):
        inside = f" {inside}"
    lines = [_line(line.rstrip()) for line in inside.split("\n")]
    if field.tight and text[-1:].isspace():
        lines[-1] += "&#32;"
    if field.ordinal and re.fullmatch(r"\d{1,9}", lines[-1]):
        lines[-1] = _first_as_entity(lines[-1])
    if field.joined and lines[0][:1].isalnum():
        lines[0] = _first_as_entity(lines[0])
    out = lines[0]
    for before, line in pairwise(lines):
        if line:  # two spaces at a line's end keep it a line
            out += f"  \n{field.indent}{line}" if before else f"\n{field.indent}{line}"
        elif before:
            out += f"\n{field.indent.rstrip()}"
    return out


def _line(text: str) -> str:
    """Escape how one line of running text begins, and its end, whatever stands before and behind it."""
    if text.endswith("!"):  # no image, if a bracket follows
        text = f"{text[:-1]}\\!"
    if text[:1].isspace() and not NO_ENTITY.match(text):  # neither an indented block nor the end of emphasis
        return _first_as_entity(text)
    return ORDINAL.sub(r"\1\\\2", OPENING.sub(r"\\\1", text))


def _first_as_entity(text: str) -> str:
    return f"&#{ord(text[0])};{text[1:]}"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _of_html(text: str, field: Field) -> str:
    """Turn a value of HTML into a block of its own, closed and without blank lines."""
    import lxml.html

    if field.where != "text":
        raise ValueError(
            f"{{{field.name}|html}} stands in a heading, a cell or other markup: give it its own paragraph"
        )
    text = DECLARATION.sub("", CONTROL.sub("", text))
    if not text.strip():
        return ""
    try:
        page = lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(huge_tree=True))
    except lxml.etree.ParserError:  # it holds nothing but a comment
        return ""
    body = page.find("body")
    if body is None:  # a page of frames
        return ""
    for style in reversed(page.findall("head/style")):  # they may hide something
        body.insert(0, style)
        style.tail, body.text = body.text, None
    body.tag = "div"
    block = re.sub(r"\n\s*\n", "\n", lxml.html.tostring(body, encoding="unicode", with_tail=False))
    opening = "" if field.first else f"\n{field.indent}"
    return opening + block.replace("\n", f"\n{field.indent}") + f"\n{field.indent.rstrip()}\n{field.indent}"
