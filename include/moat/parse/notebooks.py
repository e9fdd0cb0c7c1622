"""Jupyter notebooks: Markdown cells, code cells and what they printed."""

import json
import re
from collections.abc import Iterator
from typing import Any

from moat.errors import ParseFailed
from moat.parse.encoding import decode
from moat.parse.html_links import one_of_targets
from moat.parse.job import Job, Parsed
from moat.parse.markup import html_blocks, markdown_blocks
from moat.records import Block

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours of a terminal
BINARY = re.compile(r"(?:image|audio|video)/(?!svg)|application/(?:pdf|vnd\.|javascript)")


def parse_notebook(content: bytes, job: Job) -> Parsed:
    """Parse a notebook of any version of nbformat. Raises ParseFailed if it is no JSON of a notebook."""
    try:
        notebook = json.loads(decode(content))
    except (ValueError, RecursionError) as error:
        raise ParseFailed(
            f"it is no notebook, since its JSON is damaged ({error}): save it again in Jupyter"
        ) from error
    if not isinstance(notebook, dict):
        raise ParseFailed("it is no notebook: its JSON holds no cells; save it again in Jupyter")
    sheets = notebook.get("worksheets") or [notebook]  # until version 3, cells stood in worksheets
    cells = [cell for sheet in _list(sheets) for cell in _list(_get(sheet, "cells")) if isinstance(cell, dict)]
    metadata = notebook.get("metadata")
    language = _language(metadata)
    blocks = [block for cell in cells for block in _cell(cell, language, job)]
    return Parsed(one_of_targets(blocks), _get(metadata, "title") if isinstance(_get(metadata, "title"), str) else None)


def _cell(cell: dict[str, Any], language: str, job: Job) -> Iterator[Block]:
    source = _text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            yield from markdown_blocks(source, job)
        case "heading":
            level = cell.get("level")
            yield Block(kind="heading", text=" ".join(source.split()), level=level if isinstance(level, int) else 1)
        case "code":
            if source.strip():
                yield Block(kind="code", text=_fenced(source, str(cell.get("language") or language)))
            for output in _list(cell.get("outputs")):
                if isinstance(output, dict):
                    yield from _output(output, job)
        case _:
            if source.strip():
                yield Block(kind="text", text=source.strip())


def _output(output: dict[str, Any], job: Job) -> Iterator[Block]:
    """What a cell printed or showed, in its form that reads best; of a picture, its text form."""
    if output.get("output_type") in ("error", "pyerr"):
        trace = _text(output.get("traceback"), "\n") or f"{output.get('ename')}: {output.get('evalue')}"
        yield from _printed(trace)
        return
    if (text := output.get("text")) and output.get("output_type") == "stream":
        yield from _printed(_text(text))
        return
    data = output.get("data") if isinstance(output.get("data"), dict) else output
    forms = {str(kind): _text(value) for kind, value in (data or {}).items() if isinstance(value, str | list)}
    plain = forms.get("text/plain", forms.get("text", "") if data is output else "")
    page = forms.get("text/html", forms.get("html", "") if data is output else "")
    if "<table" in page:
        yield from html_blocks(page, job)
        if plain.strip():
            yield Block(kind="text", text=plain.strip(), left_out="other version")
    elif "text/markdown" in forms:
        yield from markdown_blocks(forms["text/markdown"], job)
    elif plain.strip():
        yield from _printed(plain)
    elif page:
        yield from html_blocks(page, job)
    else:
        for kind, text in forms.items():
            if "/" in kind and not BINARY.match(kind) and text.strip():
                yield Block(kind="text", text=text.strip())


def _printed(text: str) -> Iterator[Block]:
    text = ESCAPE.sub("", text).strip("\n").rstrip()
    if text.strip():
        yield Block(kind="code", text=text)


def _fenced(source: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`{3,}", source)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{source.rstrip()}\n{fence}"


def _language(metadata: Any) -> str:
    name = _get(_get(metadata, "language_info"), "name") or _get(_get(metadata, "kernelspec"), "language")
    return name if isinstance(name, str) else ""


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any, between: str = "") -> str:
    """A text of a notebook, which is one string or a list of its lines."""
    return (
        between.join(part for part in value if isinstance(part, str)) if isinstance(value, list) else str(value or "")
    )
