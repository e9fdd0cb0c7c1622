"""Targets of links, and the values of a form's fields."""

import re
from typing import Any
from urllib.parse import unquote

from moat.parse.html_tree import epub_type
from moat.records import Block

MARKS = {"¶", "#", "§", "🔗", "↩", "↩︎", "↵", "⏎"}
ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
         (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
EXTERNAL = re.compile(r"(?:https?|ftp|mailto|tel):", re.IGNORECASE)


def is_external(target: str) -> bool:
    """Whether a link leads out of the document to somewhere a person can go."""
    return bool(EXTERNAL.match(target))


def is_mark(link: Any) -> bool:
    """Whether a link is a mark that leads to where it stands, or back from a footnote, and no text."""
    return "".join(link.itertext()).strip() in MARKS and "#" in (link.get("href") or "")


def one_of_targets(blocks: list[Block]) -> list[Block]:
    """Return the blocks of a document's parts with one block of link targets, at the end."""
    targets = dict.fromkeys(
        line for block in blocks if block.left_out == "link target" for line in block.text.split("\n")
    )
    others = [block for block in blocks if block.left_out != "link target"]
    return [*others, Block(kind="text", text="\n".join(targets), left_out="link target")] if targets else others


def is_note(link: Any) -> bool:
    """Whether a link is the number of a footnote, which must not run together with the word before it."""
    kind = f"{link.get('role') or ''} {epub_type(link)} {link.get('class') or ''}"
    if re.search(r"(?:^|\s)(?:doc-noteref|noteref|footnote-ref(?:erence)?)(?:\s|$)", kind):
        return True
    parent = link.getparent()
    numbers = any(e is not None and e.tag == "sup" for e in (parent, *link.iterchildren("*")))
    return numbers and "#" in (link.get("href") or "")


def says(text: str, target: str) -> bool:
    """Whether a link's text is its target already."""
    return _bare(text) == _bare(target)


def _bare(address: str) -> str:
    if address.lower().startswith("tel:") or re.fullmatch(r"[+\d\s()./-]{5,}", address):
        return re.sub(r"\D", "", address)
    address = unquote(address)
    bare = re.sub(r"^(?:https?://|ftp://|mailto:)(?:www\.)?|^www\.", "", address.strip().lower())
    return bare.partition("?")[0].rstrip("/") if "@" in bare else bare.rstrip("/")


def options_of(select: Any) -> tuple[list[str], list[str]]:
    """Return a list's chosen values and its others, as a page shows them."""
    options = [(o, " ".join("".join(o.itertext()).split()) or o.get("label") or "") for o in select.iter("option")]
    chosen = [text for option, text in options if option.get("selected") is not None]
    if not chosen and options and select.get("multiple") is None and not (select.get("size") or "1").strip("1"):
        chosen = [options[0][1]]
    others = [text for _, text in options if text]
    for text in chosen:
        if text in others:
            others.remove(text)
    return [text for text in chosen if text], others


def letters(number: int) -> str:
    """Write a number as a list with type "a" does: a to z, then aa."""
    found = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        found = chr(97 + rest) + found
    return found


def roman(number: int) -> str:
    """Write a number in small Roman numerals; in digits where there are none."""
    if not 0 < number < 4000:
        return str(number)
    found = ""
    for value, sign in ROMAN:
        times, number = divmod(number, value)
        found += sign * times
    return found


def numbered(number: int, style: str) -> str:
    """Write an item's number as `type` of its list says: 1, a, A, i or I."""
    match style:
        case "a" | "lower-alpha" | "lower-latin":
            return letters(number) or str(number)
        case "A" | "upper-alpha" | "upper-latin":
            return letters(number).upper() or str(number)
        case "i" | "lower-roman":
            return roman(number)
        case "I" | "upper-roman":
            return roman(number).upper()
    return str(number)


def whole(value: str | None, default: int, most: int = 1 << 16) -> int:
    """Return an attribute's whole number within bounds."""
    found = re.match(r"\s*(-?\d{1,9})", value or "")
    return max(-most, min(most, int(found[1]))) if found else default
