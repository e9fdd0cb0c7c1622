"""Fields of a Word document, such as page numbers, links and contents pages."""

import re
from dataclasses import dataclass, field
from typing import Any

from moat.parse.story import Line
from moat.parse.word_package import attribute, child, local, on, value
from moat.parse.word_symbols import symbol

PAGES = {"PAGE", "NUMPAGES", "SECTIONPAGES"}
DELETED = {"del", "moveFrom"}
ARGUMENT = re.compile(r'"([^"]*)"|(\S+)')


@dataclass
class Field:
    """A field that is open: its instruction, and whether its result has begun."""

    begin: Any = None
    instruction: str = ""
    shown: bool = False
    text: list[str] = field(default_factory=list)  # of its result

    @property
    def name(self) -> str:
        """First word of the instruction, such as HYPERLINK."""
        return (self.instruction.split() or [""])[0].upper()

    def target(self) -> str:
        """Address that a HYPERLINK leads to; "" if it stays in the document."""
        words = [quoted or bare for quoted, bare in ARGUMENT.findall(self.instruction)[1:]]
        first = words[0] if words else ""
        return "" if first.startswith("\\") else first.replace("\\\\", "\\")


def balanced(root: Any) -> set[int]:
    """Places (ids) of the field characters that have their partner; an open field would swallow the text."""
    whole, open_ = set[int](), list[list[int]]()
    for at, element in enumerate(field_characters(root)):
        match attribute(element, "fldCharType"):
            case "begin":
                open_.append([at])
            case "separate" if open_:
                open_[-1].append(at)
            case "end" if open_:
                whole |= {*open_.pop(), at}
    return whole


def field_characters(root: Any) -> list[Any]:
    """All field characters that no tracked change has deleted."""
    found = (e for e in root.iter() if local(e.tag) == "fldChar")
    return [e for e in found if not any(local(above.tag) in DELETED for above in e.iterancestors())]


def without_result(ended: Field, line: Line, how: str) -> None:
    """Show what a field shows that has no result of its own: a form's box or choice, a symbol, an equation."""
    words = [quoted or bare for quoted, bare in ARGUMENT.findall(ended.instruction)]
    form = child(ended.begin, "ffData")
    if form is not None and ended.name == "FORMCHECKBOX":
        box = child(form, "checkBox")
        checked = on(box, "checked") if child(box, "checked") is not None else on(box, "default")
        line.add("☒" if checked else "☐", how)
    elif form is not None and ended.name == "FORMDROPDOWN":
        choices = [attribute(e, "val") for e in form.iter() if local(e.tag) == "listEntry"]
        chosen = value(form, "ddList", "result") or value(form, "ddList", "default") or "0"
        if chosen.isdigit() and int(chosen) < len(choices):
            line.add(choices[int(chosen)], how)
    elif ended.name == "SYMBOL" and len(words) > 1:
        code = int(words[1], 0) if re.fullmatch(r"\d{1,5}|0[xX][0-9A-Fa-f]{1,5}", words[1]) else 0
        font = words[words.index("\\f") + 1] if "\\f" in words[:-1] else ""
        line.add(symbol(code, font), how)
    elif ended.name == "EQ":
        line.add(re.sub(r"\\[a-z]+", " ", ended.instruction.strip()[2:]), how)
