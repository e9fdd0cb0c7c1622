"""Write a formula of MathML as one line of text."""

from typing import Any

PAIRS = {"mfrac": "/", "msup": "^", "msub": "_", "mover": "^", "munder": "_", "mroot": "√"}
SKIPPED = {"annotation", "annotation-xml", "mphantom", "none", "mprescripts"}
MOST_DEPTH = 60


def formula(math: Any) -> str:
    """Return a formula's signs in order, such as (a+b)/c^2; other notations of it are not in it."""
    return " ".join(_signs(math, 0).split())


def notes_of(math: Any) -> str:
    """Return the other notations of a formula, such as its TeX."""
    found = (" ".join("".join(note.itertext()).split()) for note in math.iter("annotation", "annotation-xml"))
    return " ".join(filter(None, found))


def _signs(element: Any, depth: int) -> str:
    if not isinstance(element.tag, str) or element.tag in SKIPPED:
        return ""
    if depth > MOST_DEPTH:
        return " ".join(map(str, element.itertext()))
    parts = [_signs(child, depth + 1) + (child.tail or "").strip() for child in element]
    own = str(element.text or "").strip()
    match element.tag:
        case "mfrac" | "msup" | "msub" | "mover" | "munder" if len(parts) == 2:
            return f"{_grouped(parts[0])}{PAIRS[element.tag]}{_grouped(parts[1])}"
        case "msubsup" | "munderover" if len(parts) == 3:
            return f"{_grouped(parts[0])}_{_grouped(parts[1])}^{_grouped(parts[2])}"
        case "msqrt":
            return f"√({''.join(parts)})"
        case "mroot" if len(parts) == 2:
            return f"{_grouped(parts[1])}√({parts[0]})"
        case "mtext" | "ms":
            return f" {element.text or ''} "
        case "mtr" | "mlabeledtr":
            return " ".join(parts) + "; "
        case "mfenced":
            opened, closed = str(element.get("open", "(")), str(element.get("close", ")"))
            return opened + (element.get("separators", ",").strip()[:1] or ",").join(parts) + closed
        case "mi" | "mn" | "mo":
            return own + "".join(parts)
    return own + "".join(parts)


def _grouped(part: str) -> str:
    part = part.strip()
    return part if len(part) < 2 or part.isalnum() else f"({part})"
