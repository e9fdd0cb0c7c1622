"""Separated values: which character separates them, their records, and the tables and texts that they make.

A separator is believed only if the file is written with it: a list of sentences with commas has one column.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise

from moat.parse.blocks import within_limit
from moat.parse.sheets_regions import NOTE, headless, is_number, one_line, sheet_table
from moat.records import Block

SEPARATORS = "\t;|,"
SAMPLE = 400  # records that tell the separator
MOST_CELL = 1 << 20  # characters of a quoted cell; a longer one is a quote that nothing closes
SETTING = re.compile(r"sep=([^\n])\n?", re.IGNORECASE)
MOST_WORDS = 1.5  # of a cell on average, where a space follows every separator and no column holds numbers
NONE = "\x00"  # a separator that stands in no text


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a file separates its values."""

    separator: str
    n_fields: int  # of most records


def separated_blocks(text: str, limit: int, separator: str = "") -> list[Block]:
    """Blocks of separated values; `separator` is what the file's name says. Raises ParseTooMuchText past `limit`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").removeprefix("\ufeff")
    blocks = list[Block]()
    if setting := SETTING.match(text):
        blocks.append(Block(kind="text", text=setting[0].strip("\n"), left_out="setting"))
        text, separator = text[setting.end() :], setting[1]
    how = _told(text, separator) if separator and separator in text else told(text)
    return [*blocks, *within_limit(_tables(_segments(text, how)), limit, "it")]


def told(text: str) -> Format:
    """Tell how a file separates its values; one that separates none has one column."""
    best, best_score = Format(separator=NONE, n_fields=1), (0.0, 0)
    for separator in SEPARATORS:
        found, score = _told(text, separator), _score(text, separator)
        if score > best_score:
            best, best_score = found, score
    return best


def records(text: str, how: Format) -> Iterator[list[str]]:
    """Records of a file. A quote that nothing closes stays a character, and does not swallow the records after it."""
    at, end, separator = 0, len(text), how.separator
    if '"' not in text:
        for line in io.StringIO(text):
            yield line.rstrip("\n").split(separator)
        return
    while at < end:
        stop = text.find("\n", at)
        stop = end if stop < 0 else stop
        line = text[at:stop]
        if '"' not in line:
            yield line.split(separator)
            at = stop + 1
        else:
            fields, at = _quoted(text, at, how)
            yield fields


def _quoted(text: str, at: int, how: Format) -> tuple[list[str], int]:
    """Fields of a record with quotes, and where the next one begins."""
    fields, end, pattern = list[str](), len(text), _field(how.separator)
    while True:
        found = pattern.match(text, at, min(end, at + MOST_CELL))
        if found and not _swallows(found[1], how):
            fields.append(found[1].replace('""', '"'))
            at = found.end()
        else:
            stop = min(i if (i := text.find(c, at)) >= 0 else end for c in (how.separator, "\n"))
            fields.append(text[at:stop])
            at = stop
        if at >= end or text[at] == "\n":
            return fields, at + 1
        at += 1


@lru_cache(64)
def _field(separator: str) -> re.Pattern[str]:
    return re.compile(rf'[ ]*"((?:[^"]|"")*+)"[ ]*(?=[\n{re.escape(separator)}]|\Z)')


def _swallows(cell: str, how: Format) -> bool:
    """Whether the lines in a quoted cell are records themselves, so that its first quote is a stray one."""
    lines = cell.split("\n")[1:-1]
    if how.n_fields < 2 or not lines:
        return False
    like = sum(_tight(line, how.separator) == how.n_fields - 1 for line in lines)
    return like == len(lines) if len(lines) > 1 or how.n_fields > 2 else False


def _tight(line: str, separator: str) -> int:
    """How many separators of a line have no space after them."""
    return line.count(separator) - line.count(f"{separator} ")


def _told(text: str, separator: str) -> Format:
    counts = Counter(n for n, _ in _sample(text, separator) if n > 1)
    most = max(counts.items(), key=lambda item: (item[1], item[0]))[0] if counts else 1
    return Format(separator=separator, n_fields=most)


def _sample(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The first records with how many fields each has, without empty ones and remarks."""
    found = islice(records(text[:MOST_CELL], Format(separator=separator, n_fields=1)), SAMPLE)
    return [(len(record), record) for record in found if any(map(str.strip, record)) and not record[0].startswith("# ")]


def _score(text: str, separator: str) -> tuple[float, int]:
    """How well a separator explains the first records: the share that have the usual number of fields; 0 if it does not."""
    sample = _sample(text, separator)
    total, at = len(sample), [i for i, (n, _) in enumerate(sample) if n > 1]
    if len(at) < max(1, 0.3 * total):
        return 0.0, 0
    sample = sample[at[0] : at[-1] + 1]  # titles stand above the values, and notes below them
    several = [record for n, record in sample if n > 1]
    if len(several) < 0.6 * len(sample):
        return 0.0, 0
    n_fields, n_usual = Counter(map(len, several)).most_common(1)[0]
    share = n_usual / len(sample)
    if separator in ",;" and not _written_by_machine(several, separator, share):
        return 0.0, 0
    if separator == "|" and share < 0.5:
        return 0.0, 0
    return share + len(several) / total, n_fields


def _written_by_machine(several: list[list[str]], separator: str, share: float) -> bool:
    """Whether commas or semicolons separate values, and do not belong to sentences or numbers."""
    loose = tight = numeric = 0
    for record in several:
        for left, right in pairwise(record):
            if right[:1] == " " and right.strip():
                loose += 1
            elif separator == "," and left[-1:].isdigit() and right[:1].isdigit():
                numeric += 1
            else:
                tight += 1
    if tight > loose + numeric:
        return True
    if numeric > loose:  # 1,5 in each line may be one number or two; a head that has both tells
        head = several[0]
        return share >= 0.9 and (tight > 0 or not any(map(is_number, head)) or len(head) > 2)
    if share < 0.9 or len(several) < 3:
        return False
    columns = [column[1:] for column in zip(*(r for r in several if len(r) == len(several[0])), strict=True)]
    if any(column and sum(is_number(cell.strip()) for cell in column) >= 0.6 * len(column) for column in columns):
        return True
    words = sum(len(cell.split()) for record in several for cell in record) / sum(map(len, several))
    return len(several[0]) > 2 and words <= MOST_WORDS


def _segments(text: str, how: Format) -> list[list[list[str]]]:
    """Records as runs without an empty record between them. One empty line after each record separates nothing."""
    segments = list[list[list[str]]]([[]])
    for record in records(text, how):
        if len(record) != how.n_fields or record[0][:1] == "#":
            record = _joined(record, how)
        cells = [" ".join(cell.split()) for cell in record] if len(record) > 1 else [one_line(_whole(record[0]))]
        if any(cells):
            while cells and not cells[-1] and len(cells) > how.n_fields:
                cells.pop()
            segments[-1].append(cells)
        elif segments[-1]:
            segments.append([])
    segments = [segment for segment in segments if segment]
    tables = [segment for segment in segments if _n_filled(segment[0]) > 1]
    if len(tables) > 2 and sum(len(segment) == 1 for segment in tables) > 0.8 * len(tables):
        return [[record for segment in segments for record in segment]]
    return segments


def _joined(record: list[str], how: Format) -> list[str]:
    """A record whose commas in sentences, titles and remarks do not separate values."""
    if len(record) == 1 or how.separator not in ",;":
        return record  # those of the usual length come here only if they begin with #
    loose = sum(cell.startswith(" ") for cell in record[1:])
    if loose == len(record) - 1 or (record[0].startswith("#") and len(record) != how.n_fields):
        return [how.separator.join(record)]
    if len(record) - loose == how.n_fields and loose:
        joined = [record[0]]
        for cell in record[1:]:
            if cell.startswith(" "):
                joined[-1] += how.separator + cell
            else:
                joined.append(cell)
        return joined
    return record


def _whole(cell: str) -> str:
    """A line that is quoted as a whole, without its quotes."""
    return (
        cell[1:-1].replace('""', '"')
        if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1]
        else cell
    )


def _tables(segments: list[list[list[str]]]) -> Iterator[Block]:
    above = list[list[str]]()
    for segment in segments:
        first, last = _extent(segment)
        if above and first == 0 and _continues(above, segment):
            above += segment
            continue
        yield from _table(above)
        yield from _lines(segment[:first])
        above = segment[first:last]
        if segment[last:]:
            yield from _table(above)
            yield from _lines(segment[last:])
            above = []
    yield from _table(above)


def _extent(segment: list[list[str]]) -> tuple[int, int]:
    """Where the table of a segment begins, after its titles and remarks, and where it ends, before its notes."""
    first, last = 0, len(segment)
    if all(_n_filled(record) < 2 for record in segment):
        return last, last
    while (_n_filled(segment[first]) < 2 and segment[first][0]) or _is_remark(segment[first]):
        first += 1
        if first == last:
            return last, last
    while last - first > 2 and _n_filled(segment[last - 1]) < 2 and _is_note(segment[last - 1][0]):
        last -= 1
    return first, last


def _n_filled(record: list[str]) -> int:
    return sum(map(bool, record))


def _is_remark(record: list[str]) -> bool:
    return len(record) == 1 and record[0].startswith("#")


def _is_note(text: str) -> bool:
    return text.startswith("#") or text.endswith(".") or bool(NOTE.match(text))


def _continues(above: list[list[str]], below: list[list[str]]) -> bool:
    """Whether records after an empty line go on with the table above: as wide, with numbers where it has them."""
    head, first = above[0], below[0]
    if len(above) < 2 or len(head) != len(first):
        return False
    numeric = [i for i in range(len(head)) if any(i < len(r) and is_number(r[i]) for r in above[1:])]
    return any(is_number(first[i]) and not is_number(head[i]) for i in numeric)


def _table(rows: list[list[str]]) -> Iterator[Block]:
    if not rows:
        return
    if len(rows) == 1 or max(map(len, rows)) < 2:
        yield from _lines(rows)
        return
    width = max(map(len, rows))
    while width > 2 and not any(row[width - 1] for row in rows if len(row) >= width):
        width -= 1
    rows = [_escaped(row[:width]) for row in rows]
    yield Block(kind="table", text=sheet_table([[""], *rows] if headless(rows) else rows))


def _escaped(row: list[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in row] if "|" in "".join(row) else row


def _lines(rows: list[list[str]]) -> Iterator[Block]:
    """Records of one value, or a single record, as lines of text."""
    if rows:
        yield Block(kind="text", text="\n".join(" | ".join(filter(None, row)) for row in rows))
