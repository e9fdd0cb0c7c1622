"""Formulas in MathML as text."""

from typing import Any

from moat.parse.word_maths import grouped
from moat.parse.word_package import DEEPEST, local


def mathml_text(element: Any, depth: int = 0) -> str:
    """Write a formula in one line, such as "(a+b)/2"; annotations are a second form of it."""
    name = local(element.tag)
    if name in ("annotation", "annotation-xml") or not name:
        return ""
    if depth > DEEPEST:
        return "".join(element.itertext())
    inside = [mathml_text(each, depth + 1) for each in element if local(each.tag)]
    match name, inside:
        case "mfrac", [above, below]:
            return f"{grouped(above)}/{grouped(below)}"
        case "msup" | "mover", [base, above]:
            return f"{base}^{grouped(above)}"
        case "msub" | "munder", [base, below]:
            return f"{base}_{grouped(below)}"
        case "msubsup" | "munderover", [base, below, above]:
            return f"{base}_{grouped(below)}^{grouped(above)} "
        case "msqrt", _:
            return f"√({''.join(inside)})"
        case "mroot", [base, degree]:
            return f"√[{degree}]({base})"
        case "mtable", _:
            return f"[{'; '.join(inside)}]"
        case "mtr", _:
            return ", ".join(inside)
        case "mtext", _:
            return f" {element.text or ''} "
    return (element.text or "").strip() + "".join(inside)
