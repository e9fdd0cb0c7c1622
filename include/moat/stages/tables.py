"""A table -> parts that fit the embedding model, each with its caption and header.

It is split between rows, in groups, so that a long table is never counted whole. A row that does not fit, or whose
header does not, is written as `name: value` lines, its key in every part.
"""

import re
from collections.abc import Sequence
from itertools import zip_longest

from moat.stages.fit import CELL_SEPARATORS, GROUP, ROW_SEPARATORS, Fit

RULE = re.compile(r"[\s\-–—_=*~+#.·•|:<>\\/\u2500-\u257f]*")  # draws lines, says nothing
CELL = re.compile(r"(?<!\\)\|")


def split_table(fit: Fit, table: str, caption: str, budget: int) -> list[str]:
    """Split a Markdown table into parts that fit."""
    above = f"{caption}\n\n" if caption else ""
    if fit.length(above + table) <= budget:
        return [above + table] if not RULE.fullmatch(table) else []
    header, _, rest = table.partition("\n")
    line, _, body = rest.partition("\n")
    if not (header.startswith("|") and RULE.fullmatch(line) and body):
        return [part for part in fit.split(above + table, ROW_SEPARATORS, budget, 0) if not RULE.fullmatch(part)]
    head, rows = f"{above}{header}\n{line}\n", body.split("\n")
    left = budget - fit.length(head)
    if above and left < budget // 2:
        return [caption, *split_table(fit, table, "", budget)]
    writer = _Rows(fit, _cells(header), budget)
    if left >= budget // 2:
        return _packed(fit, rows, head, left, writer)
    unnamed = _unnamed(writer.names, rows)
    first = fit.split(" | ".join(unnamed), ROW_SEPARATORS, budget, 0) if unnamed else []
    return [*first, *_packed(fit, rows, "", 0, writer)]


def _packed(fit: Fit, rows: Sequence[str], head: str, left: int, writer: "_Rows") -> list[str]:
    """Pack rows below the header; one that does not fit is written by itself. `left` is 0 where none fits."""
    parts, at, counted = list[str](), 0, 0
    while at < len(rows):
        if at >= counted:
            fit.tokens.forget()
            counted = at + GROUP
            fit.tokens.learn(rows[at:counted] if left else ())
        if not left or fit.length(rows[at]) > left:
            parts += writer.parts(_cells(rows[at]))
            at += 1
            continue
        end = fit.end(rows, at, left)
        parts.append(head + "\n".join(rows[at:end]))
        at = end
    return parts


def _unnamed(names: Sequence[str], rows: Sequence[str]) -> list[str]:
    """Names of a header too wide to repeat under which no row has a value."""
    named = {i for row in rows for i, cell in enumerate(_cells(row)) if cell}
    return [name for i, name in enumerate(names) if name and i not in named]


class _Rows:
    """Writes rows of one table as `name: value` lines."""

    def __init__(self, fit: Fit, names: Sequence[str], budget: int) -> None:
        self.names = names
        self._fit, self._budget = fit, budget
        self._long = set[str]()  # names too long to repeat, each written once

    def parts(self, cells: Sequence[str]) -> list[str]:
        """Parts of a row; every one begins with its key, the first value."""
        fit, budget = self._fit, self._budget
        fields = [
            (f"{name}: " if name else "", cell) for name, cell in zip_longest(self.names, cells, fillvalue="") if cell
        ]
        if not fields:
            return []
        key = f"{fields[0][0]}{fields[0][1]}\n"
        if fit.length(key) > budget // 3:
            key = ""
        left = budget - (fit.length(key) if key else 0)
        rest = fields[1:] if key else fields
        lines = [name + cell for name, cell in rest]
        parts, at, packed = list[str](), 0, False
        while at < len(lines):
            if fit.length(lines[at]) > left:
                parts += [key + part for part in self._field(*rest[at], left)]
                at, packed = at + 1, False
                continue
            end = fit.end(lines, at, left)
            parts.append(key + "\n".join(lines[at:end]))
            at, packed = end, True
        if not parts:
            return [key.rstrip("\n")]
        if packed:
            parts[-1] = parts[-1].rstrip("\n")
        return parts

    def _field(self, name: str, cell: str, left: int) -> list[str]:
        """Split a value that does not fit, its name before each part, or once where the name is too long."""
        fit = self._fit
        if fit.length(name) <= left // 3:
            return [
                name + part for part in fit.split(cell, CELL_SEPARATORS, left - fit.length(name) if name else left, 0)
            ]
        told = name in self._long
        self._long.add(name)
        return fit.split(cell if told else name + cell, CELL_SEPARATORS, left, 0)


def _cells(row: str) -> list[str]:
    """Cells of a row of a Markdown table, as they read."""
    cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(row.strip())]
    return cells[1 : -1 if row.rstrip().endswith("|") else None] if row.lstrip().startswith("|") else cells
