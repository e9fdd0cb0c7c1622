"""Formulas of Office documents (OMML) as text."""

from typing import Any

from moat.parse.word_package import DEEPEST, child, local, value


def formula_text(element: Any, depth: int = 0) -> str:
    """Write a formula in one line, such as "(a+b)/2" or "x_1^2"."""
    if depth > DEEPEST:
        return "".join(e.text or "" for e in element.iter() if local(e.tag) == "t")

    def part(name: str) -> str:
        found = child(element, name)
        return formula_text(found, depth + 1) if found is not None else ""

    match local(element.tag):
        case "t":
            return element.text or ""
        case "f":
            return f"{grouped(part('num'))}/{grouped(part('den'))}"
        case "sSup":
            return f"{grouped(part('e'))}^{grouped(part('sup'))}"
        case "sSub":
            return f"{grouped(part('e'))}_{grouped(part('sub'))}"
        case "sSubSup":
            return f"{grouped(part('e'))}_{grouped(part('sub'))}^{grouped(part('sup'))}"
        case "sPre":
            return f"_{grouped(part('sub'))}^{grouped(part('sup'))} {part('e')}"
        case "nary":
            below, above = part("sub"), part("sup")
            bounds = (f"_{grouped(below)}" if below else "") + (f"^{grouped(above)}" if above else "")
            return f"{value(element, 'naryPr', 'chr') or '∫'}{bounds} {part('e')}"
        case "rad":
            return f"√[{part('deg')}]({part('e')})" if part("deg") else f"√({part('e')})"
        case "d":
            return _fenced(element, depth)
        case "func":
            return f"{part('fName')} {_fenced_once(part('e'))}"
        case "limLow" | "limUpp":
            return f"{part('e')}_{grouped(part('lim'))}"
        case "m":
            rows = [[formula_text(e, depth + 1) for e in row if local(e.tag) == "e"] for row in _named(element, "mr")]
            return "[" + "; ".join(", ".join(row) for row in rows) + "]"
        case "eqArr":
            return "; ".join(formula_text(e, depth + 1) for e in _named(element, "e"))
        case "oMathPara":
            return "\n".join(formula_text(e, depth + 1) for e in _named(element, "oMath"))
        case "del" | "moveFrom" | "instrText" | "delText":
            return ""
    return "".join(formula_text(e, depth + 1) for e in element)


def _named(element: Any, name: str) -> list[Any]:
    return [e for e in element if local(e.tag) == name]


def _fenced(element: Any, depth: int) -> str:
    about = child(element, "dPr")

    def sign(name: str, usual: str) -> str:
        return usual if child(about, name) is None else value(about, name)

    inside = sign("sepChr", "|").join(formula_text(e, depth + 1) for e in _named(element, "e"))
    return f"{sign('begChr', '(')}{inside}{sign('endChr', ')')}"


def grouped(text: str) -> str:
    """Put brackets round what is more than a number, a word or a bracket."""
    text = text.strip()
    return text if text.isalnum() or (text[:1] == "(" and text.find(")") == len(text) - 1) else f"({text})"


def _fenced_once(text: str) -> str:
    return text if text.startswith("(") else f"({text})"
