"""What stands on a PDF's page beside its text: form values, notes, links, attached files."""

import ctypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from moat.parse.job import Job
from moat.parse.pdf_layout import Line
from moat.parse.pdf_segments import Segment
from moat.parse.pdf_words import Word
from moat.records import Block

MOST = 20_000  # annotations of a page
NEAR = 250.0  # points between a field and its label
MOST_FILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An annotation with its text."""

    kind: str  # note, free, link, file
    text: str
    box: tuple[float, float, float, float]  # left, bottom, right, top
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A form field's value at its place."""

    name: str
    text: str
    check: bool
    box: tuple[float, float, float, float]


def annotations(page: Any, form: Any) -> tuple[list[Note], list[Value]]:
    """Read the notes and the form values of a page."""
    import pypdfium2.raw as raw

    notes, values = list[Note](), list[Value]()
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MOST)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            rect = raw.FS_RECTF()
            if not raw.FPDFAnnot_GetRect(annotation, rect):
                rect = raw.FS_RECTF(0, page.get_height(), 0, page.get_height())
            box = (
                min(rect.left, rect.right),
                min(rect.bottom, rect.top),
                max(rect.left, rect.right),
                max(rect.bottom, rect.top),
            )
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET:
                if form and (value := _value(annotation, form, box)):
                    values.append(value)
            elif kind == raw.FPDF_ANNOT_LINK:
                if uri := _uri(page, annotation):
                    notes.append(Note(kind="link", text=uri, box=box))
            elif kind != raw.FPDF_ANNOT_POPUP:
                text = _string(partial(raw.FPDFAnnot_GetStringValue, annotation, b"Contents"))
                file = _attached(annotation) if kind == raw.FPDF_ANNOT_FILEATTACHMENT else None
                if file:
                    notes.append(Note(kind="file", text=file[0], box=box, content=file[1]))
                if text.strip():
                    free = kind == raw.FPDF_ANNOT_FREETEXT
                    notes.append(Note(kind="free" if free else "note", text=text.strip(), box=box))
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return notes, values


def _string(read: Callable[[Any, int], int]) -> str:
    length = read(None, 0)
    if length <= 2:
        return ""
    buffer = ctypes.create_string_buffer(length)
    read(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), length)
    return buffer.raw[: length - 2].decode("utf-16-le", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _uri(page: Any, annotation: Any) -> str:
    import pypdfium2.raw as raw

    link = raw.FPDFAnnot_GetLink(annotation)
    action = raw.FPDFLink_GetAction(link) if link else None
    if not action or raw.FPDFAction_GetType(action) != raw.PDFACTION_URI:
        return ""
    length = raw.FPDFAction_GetURIPath(page.pdf, action, None, 0)
    buffer = ctypes.create_string_buffer(max(1, length))
    raw.FPDFAction_GetURIPath(page.pdf, action, buffer, length)
    return buffer.value.decode("utf-8", "replace").strip()


def _value(annotation: Any, form: Any, box: tuple[float, float, float, float]) -> Value | None:
    import pypdfium2.raw as raw

    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    checks = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
    if kind not in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX, *checks):
        return None  # a button, whose caption is text, or a signature
    name = _string(lambda b, n: raw.FPDFAnnot_GetFormFieldAlternateName(form, annotation, b, n)) or _string(
        lambda b, n: raw.FPDFAnnot_GetFormFieldName(form, annotation, b, n)
    )
    if kind in checks:
        return Value(name=name, text="☑" if raw.FPDFAnnot_IsChecked(form, annotation) else "☐", check=True, box=box)
    text = " ".join(_string(lambda b, n: raw.FPDFAnnot_GetFormFieldValue(form, annotation, b, n)).split())
    return Value(name=name, text=text, check=False, box=box) if text else None


def _attached(annotation: Any) -> tuple[str, bytes] | None:
    import pypdfium2.raw as raw

    file = raw.FPDFAnnot_GetFileAttachment(annotation)
    return _file(file) if file else None


def _file(file: Any) -> tuple[str, bytes]:
    import pypdfium2.raw as raw

    name = _string(lambda b, n: raw.FPDFAttachment_GetName(file, b, n))
    length = ctypes.c_ulong()
    raw.FPDFAttachment_GetFile(file, None, 0, length)
    buffer = ctypes.create_string_buffer(max(1, length.value))
    raw.FPDFAttachment_GetFile(file, buffer, length.value, length)
    return name or "attached file", buffer.raw[: length.value]


def attached_files(document: Any, notes: list[Note], job: Job) -> Iterator[Block]:
    """Parse the files attached to a document or to its pages, each under a heading with its name."""
    import pypdfium2.raw as raw

    seen = set[tuple[str, bytes]]()
    for index in range(min(raw.FPDFDoc_GetAttachmentCount(document), MOST_FILES)):
        if file := raw.FPDFDoc_GetAttachment(document, index):
            seen.add(_file(file))
    seen |= {(note.text, note.content) for note in notes if note.kind == "file"}
    for name, content in sorted(seen):
        yield Block(kind="heading", text=name, level=1)
        for block in job.part(content, name):
            yield replace(block, page=None, level=min(block.level + 1, 6) if block.kind == "heading" else block.level)


def with_links(words: list[Word], notes: list[Note]) -> None:
    """Put the target of each link after its text, unless the text says it already."""
    for note in notes:
        if note.kind != "link":
            continue
        left, bottom, right, top = note.box
        inside = [
            w
            for w in words
            if left <= (w.x0 + w.x1) / 2 <= right and bottom <= (w.y0 + w.y1) / 2 <= top and not w.angle
        ]
        shown = "".join(w.text for w in inside)
        bare = re.sub(r"^(?:https?://|mailto:)(?:www\\.)?|/$", "", note.text)
        if inside and bare not in shown and shown.strip(".,;") not in note.text:
            inside[-1].text += f" ({note.text})"


def with_values(segments: list[Segment], values: list[Value]) -> list[Segment]:
    """Put each form value beside its label, as "label: value"."""
    taken = dict[int, list[Value]]()
    rest = list[Segment]()
    for value in values:
        label = _label(segments, values, value)
        if label is None:
            name = value.name.strip()
            rest.append(_segment(value, f"{name}: {value.text}" if name else value.text))
        else:
            taken.setdefault(id(label), []).append(value)
    for segment in segments:
        mine = sorted(taken.get(id(segment), []), key=lambda v: v.box[0])
        if mine:
            text = segment.text.rstrip(" .…_:").rstrip()
            segment.text = f"{text}: {' '.join(v.text for v in mine)}"
            segment.apart = True
            segment.x1 = max(segment.x1, *(v.box[2] for v in mine)) if not mine[0].check else segment.x1
    return segments + rest


def _label(segments: list[Segment], values: list[Value], value: Value) -> Segment | None:
    """The text that a person reads as a field's name: right of a check mark, else left of it, else above."""
    left, bottom, right, top = value.box
    middle = (bottom + top) / 2
    beside = [s for s in segments if s.angle == 0 and s.y0 - 3 <= middle <= s.y1 + 3]

    def free(a: float, b: float) -> bool:
        return not any(
            v is not value and v.box[1] <= middle <= v.box[3] and a <= (v.box[0] + v.box[2]) / 2 <= b for v in values
        )

    after = [s for s in beside if s.x0 >= right - 3 and s.x0 - right < 2.5 * s.size and free(right, s.x0)]
    before = [s for s in beside if s.x1 <= left + 3 and left - s.x1 < NEAR and free(s.x1, left)]
    nearest_before = max(before, key=lambda s: s.x1, default=None)
    if value.check:
        nearest = min(after, key=lambda s: s.x0, default=None)
        colon = nearest_before is not None and nearest_before.text.rstrip().endswith((":", "?"))
        near = nearest_before is not None and left - nearest_before.x1 < 2.5 * nearest_before.size
        if nearest is not None and not (colon and near):
            return nearest
    if nearest_before is not None:
        return nearest_before
    above = [
        s for s in segments if s.angle == 0 and 0 <= s.y0 - top + 4 < 2.5 * s.size and s.x0 < right and s.x1 > left
    ]
    return min(above, key=lambda s: s.y0, default=None)


def _segment(value: Value, text: str) -> Segment:
    left, bottom, right, top = value.box
    size = min(12.0, max(6.0, (top - bottom) * 0.7))
    return Segment(
        text=text,
        x0=left,
        y0=bottom,
        x1=max(right, left + 1),
        y1=top,
        base=bottom + 0.25 * (top - bottom),
        size=size,
        apart=True,
    )


def place(lines: list[Line], blocks: list[tuple[Block, tuple[float, float, float, float]]]) -> list[Block]:
    """Put blocks after the lines nearest to their places; return those of a page without lines."""
    if not lines:
        return [block for block, _ in blocks]
    for block, (left, bottom, right, top) in sorted(blocks, key=lambda b: -b[1][3]):
        x, y = (left + right) / 2, (bottom + top) / 2

        def away(line: Line, x: float = x, y: float = y) -> tuple[float, float]:
            return max(line.y0 - y, y - line.y1, 0.0), max(line.x0 - x, x - line.x1, 0.0)

        min(lines, key=away).after.append(block)
    return []
