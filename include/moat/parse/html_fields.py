"""Fields of a form and pictures: what a page shows of them stands in attributes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moat.parse.html_lines import BREAK
from moat.parse.html_links import options_of

if TYPE_CHECKING:
    from moat.parse.html_walk import Frame, Walk

UNTYPED = {"hidden", "password", "file"}  # whose value no page shows
BUTTONS = {"submit", "reset", "button"}
CHOICES = {"checkbox", "radio"}

Meaning = tuple["Frame", bool]


def _picture(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    _put(walk, frame, f"{BREAK}{element.get('alt') or ''}{BREAK}")
    if element.get("href"):
        walk.targets.setdefault(element.get("href"))
    return frame, True


def _label(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    walk.in_label += 1
    return frame, False


def _input(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    kind = (element.get("type") or "text").lower()
    value = element.get("value") or ""
    if kind == "image":
        return _picture(walk, element, frame)
    if kind in CHOICES:
        _put(walk, frame, " [x] " if element.get("checked") is not None else " [ ] ")
    elif kind in BUTTONS:
        _put(walk, frame, f" {value} ")
    elif kind not in UNTYPED:
        _value(walk, element, frame, value)
    return frame, True


def _textarea(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    _value(walk, element, frame, "".join(element.itertext()).strip())
    return frame, True


def _select(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    chosen, others = options_of(element)
    value = ", ".join(chosen)
    if others:
        value = f"{value} ({' / '.join(others)})" if value else " / ".join(others)
    _value(walk, element, frame, value)
    return frame, True


def _options(walk: "Walk", element: Any, frame: "Frame") -> Meaning:
    chosen, others = options_of(element)
    _put(walk, frame, f" {' / '.join(chosen + others)} ")
    return frame, True


def _put(walk: "Walk", frame: "Frame", text: str) -> None:
    walk.frames.append(frame)
    walk.text(text)
    walk.frames.pop()


def _value(walk: "Walk", element: Any, frame: "Frame", value: str) -> None:
    """Put a field's value after its label."""
    if not value.strip():
        return
    if frame.look.how or frame.aside:
        _put(walk, frame, value)
        return
    lines, line = walk.lines, walk.lines.line
    if line:
        labelled = walk.in_label or walk.after_label
        lines.add_close(": " if labelled and line[-1] not in ":?=" else " ")
    else:
        label = walk.page.labels.get(element.get("id") or "", element.get("aria-label") or "")
        last = lines.blocks[-1] if lines.blocks else None
        if label and last and last.kind == "text" and not last.hidden and last.text == label:
            lines.blocks.pop()
        if label:
            lines.add(f"{label} " if label[-1] in ":?=" else f"{label}: ")
    lines.add(f"{value} ")


FIELDS: dict[str, Callable[["Walk", Any, "Frame"], Meaning]] = {
    "img": _picture,
    "area": _picture,
    "label": _label,
    "input": _input,
    "textarea": _textarea,
    "select": _select,
    "datalist": _options,
}
