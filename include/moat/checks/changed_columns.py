"""What happened to the columns of rows between their last version and this one."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moat.batching import grouped
from moat.checks.changed_form import value_of
from moat.checks.changed_numbers import factor_of, is_power_of_ten

FEWEST = 3  # rows that show a pattern
VALUES = 3  # different values that were exchanged among rows
ALIKE = 0.6  # of a column's changes that follow one pattern
PART_ALIKE = 0.2  # of them that have one factor or amount: the rows of one product, among others
MANY = 5  # different values that one took the place of; a status often moves from three to one
MOSTLY = 0.9  # of the rows that are as they once were: all of them set back to one value
RISE = 0.1  # by which prices rise or fall in a list, all at once: that is told
LONG_VALUE = 4  # letters and digits of a value that few rows have
DAYS = 28  # whole days by which people move dates

Values = Mapping[str, str]
Row = tuple[str, str, str]  # key, value before, value after
Found = tuple[str, str, Sequence[Row]]  # kind, the pattern in words, rows that follow it


def one_step(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether numbers or times all moved by one amount, as counters do: then many are what another one was."""
    pairs = list(pairs)
    values = [(value_of(was), value_of(now)) for was, now in pairs]
    steps = {b - a for a, b in values if a is not None and b is not None}
    if all(a is not None and b is not None for a, b in values):
        return len(steps) == 1
    times = [(_time(was), _time(now)) for was, now in pairs]
    if any(a is None or b is None or (a.tzinfo is None) != (b.tzinfo is None) for a, b in times):
        return False
    return len({b - a for a, b in times if a and b}) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """A pattern in the changes of one column.

    Args:
        column: Its name.
        kind: Name of a kind in `moat.checks.changes.KINDS`.
        says: The pattern, such as "× 1.19".
        keys: Keys of the rows that follow it.
        example: One value before and after.
    """

    column: str
    kind: str
    says: str
    keys: tuple[str, ...]
    example: tuple[str, str]
    is_small: bool = False  # as small as the rise of a price list


def values_of(metadata: Iterable[str]) -> dict[str, str]:
    """Metadata as a mapping; a name with several values keeps them in order."""
    found: dict[str, str] = {}
    for name, _, value in (one.partition("=") for one in metadata):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


class Columns:
    """Collects the values of changed rows, column by column."""

    def __init__(self) -> None:
        self._moved: dict[str, list[Row]] = defaultdict(list)
        self.n = 0

    def add(self, key: str, before: Values, after: Values) -> None:
        """Take one changed row."""
        self.n += 1
        for name in before.keys() | after.keys():
            was, now = before.get(name, ""), after.get(name, "")
            if was != now:
                self._moved[name].append((key, was, now))

    @property
    def moved(self) -> dict[str, int]:
        """Number of rows in which each column changed, the most first."""
        return dict(
            sorted(((name, len(rows)) for name, rows in self._moved.items()), key=lambda one: (-one[1], one[0]))
        )

    @property
    def replaced(self) -> dict[str, tuple[str, ...]]:
        """Keys of the rows in which each column had a value and has another, by column, the most first."""
        found = {name: tuple(key for key, was, _ in rows if was) for name, rows in self._moved.items()}
        return {name: keys for name, keys in sorted(found.items(), key=lambda one: (-len(one[1]), one[0])) if keys}

    def example(self, name: str) -> Row:
        """A row in which a column had a value and has another."""
        return next(row for row in self._moved[name] if row[1])

    def reset(self, keys: Sequence[str]) -> ColumnChange | None:
        """The column that nearly all of some rows have set to one value and no other column changed; None: there is none."""
        chosen, by = set(keys), defaultdict[str, list[tuple[str, Row]]](list)
        for name, rows in self._moved.items():
            for row in rows:
                if row[0] in chosen:
                    by[row[0]].append((name, row))
        ones = [changes[0] for changes in by.values() if len(changes) == 1]
        set_to = grouped(((name, row[2]), row) for name, row in ones)
        (name, _), some = max(set_to.items(), key=lambda one: len(one[1]), default=(("", ""), []))
        different = len({was for _, was, _ in some})
        if len(some) < max(FEWEST, MOSTLY * len(chosen)) or different < 2:
            return None
        keys = tuple(row[0] for row in some)
        return ColumnChange(column=name, kind="one value", says="set back in each", keys=keys, example=some[0][1:])

    def patterns(self) -> list[ColumnChange]:
        """Patterns that no row follows by itself, one for each column at most."""
        return [found for name, rows in sorted(self._moved.items()) if (found := _pattern(name, rows))]


def _pattern(name: str, rows: Sequence[Row]) -> ColumnChange | None:
    if len(rows) < FEWEST:
        return None
    for look, share in LOOKS:
        kind, says, some = look(rows)
        if len(some) >= max(FEWEST, share * len(rows)):
            keys = tuple(key for key, _, _ in some)
            small = kind == "column factor" and is_small(says.removeprefix("× "))
            return ColumnChange(column=name, kind=kind, says=says, keys=keys, example=some[0][1:], is_small=small)
    return None


def is_small(factor: str) -> bool:
    """Whether a factor is a rise or a fall as businesses decide on them."""
    return abs(float(factor) - 1) <= RISE


def _permuted(rows: Sequence[Row]) -> Found:
    """Values that went from row to row: each came from another of these rows and went to another one.

    Others of the column may have changed as well. Short values, such as small numbers, meet by chance.
    """
    left = [row for row in rows if min(_n_bare(row[1]), _n_bare(row[2])) >= LONG_VALUE]
    while left:
        before, after = Counter(was for _, was, _ in left), Counter(now for _, _, now in left)
        closed = [row for row in left if before[row[2]] and after[row[1]]]
        if len(closed) == len(left):
            break
        left = closed
    different = len({was for _, was, _ in left})
    rare = different >= max(VALUES, MOSTLY * len(left))  # a state that many rows have is not one row's own
    return (
        "permuted",
        "the values of some rows at others of them",
        left if rare and not one_step(row[1:] for row in left) else (),
    )


def _n_bare(text: str) -> int:
    return sum(c.isalnum() for c in text)


def _exchanged(rows: Sequence[Row]) -> Found:
    """The same values under other keys."""
    before, after = Counter(was for _, was, _ in rows), Counter(now for _, _, now in rows)
    back = (before & after).total()
    if len(before) >= VALUES and back >= max(FEWEST + 1, 0.9 * len(rows)) and not one_step(row[1:] for row in rows):
        return "exchanged", "the same values, exchanged among the rows", rows
    return "exchanged", "", ()


def _emptied(rows: Sequence[Row]) -> Found:
    return "emptied", "empty", [row for row in rows if row[1] and not row[2]]


def _written_otherwise(rows: Sequence[Row]) -> Found:
    """The same letters and digits in another case or with other signs; of numbers, the same number."""

    def bare(text: str) -> str:
        return "".join(sorted(c for c in text.casefold() if c.isalnum()))

    def same(was: str, now: str) -> bool:
        numbers = value_of(was), value_of(now)
        if None not in numbers:
            return numbers[0] == numbers[1]
        return bare(was) == bare(now)

    return "format", "the same values, written in another way", [row for row in rows if row[2] and same(*row[1:])]


def _cut(rows: Sequence[Row]) -> Found:
    cut = [row for row in rows if row[2] and len(row[2]) < len(row[1]) and row[1].startswith(row[2])]
    lengths = Counter(len(now) for _, _, now in cut)
    length, n = lengths.most_common(1)[0] if lengths else (0, 0)
    some = [row for row in cut if len(row[2]) == length] if n >= FEWEST else ()
    return "column cut", f"cut at {length:,} characters", some


def _alike(rows: Sequence[Row], of: Callable[[str, str], str]) -> tuple[str, list[Row]]:
    """The most rows of which something is the same, by their values before and after, and what that is."""
    by = grouped((common, row) for row in rows if (common := of(row[1], row[2])))
    return max(by.items(), key=lambda one: len(one[1]), default=("", []))


def _multiplied(rows: Sequence[Row]) -> Found:
    """One factor for many rows, to three digits."""
    factor, some = _alike(rows, lambda was, now: "" if (of := factor_of(was, now)) == "1" else of)
    # Small numbers are multiples of one another by chance, and one value in place of another is no multiplication.
    different = {row[1] for row in some if sum(c.isdigit() for c in row[1]) > 1}
    enough = len(different) >= (1 if factor and is_power_of_ten(factor) else FEWEST)
    return "column factor", f"× {factor}", some if enough else ()


def _rounded(rows: Sequence[Row]) -> Found:
    """Numbers that lost their decimals."""

    def lost(was: str, now: str) -> bool:
        a, b = value_of(was), value_of(now)
        return a is not None and b is not None and a != b and b == int(b) and abs(a - b) < 1

    some = [row for row in rows if lost(row[1], row[2])]
    return "decimals", "numbers without their decimals", some if len({row[1] for row in some}) >= FEWEST else ()


def _moved_by(rows: Sequence[Row]) -> Found:
    """One amount for many numbers, or one span for many times. Counters that go up by one are none."""
    amount, some = _alike(rows, _difference)
    return "column shift", f"{amount} in each", some if len({was for _, was, _ in some}) >= FEWEST else ()


def _difference(was: str, now: str) -> str:
    """What was added to a number or a time, in words; "" for what people do every day."""
    a, b = value_of(was), value_of(now)
    if a is not None and b is not None:
        return f"{b - a:+}" if abs(b - a) > 1 else ""
    before, after = _time(was), _time(now)
    if before is None or after is None or (before.tzinfo is None) != (after.tzinfo is None):
        return ""
    span = after - before
    if span % timedelta(days=1) == timedelta() and abs(span) < timedelta(days=DAYS):
        return ""
    return (
        f"{span / timedelta(hours=1):+g} h" if abs(span) < timedelta(days=2) else f"{span / timedelta(days=1):+g} days"
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _one_value(rows: Sequence[Row]) -> Found:
    """One value in the place of many different ones."""
    _, some = _alike(rows, lambda _, now: now)
    different = len({was for _, was, _ in some})
    return "one value", "one value for many", some if different >= max(MANY, ALIKE * len(some)) else ()


LOOKS: tuple[tuple[Callable[[Sequence[Row]], Found], float], ...] = (  # with the share of changes that show it
    (_permuted, 0.0),
    (_exchanged, ALIKE),
    (_emptied, ALIKE),
    (_written_otherwise, ALIKE),
    (_cut, ALIKE),
    (_one_value, ALIKE),
    (_rounded, ALIKE),
    (_multiplied, PART_ALIKE),
    (_moved_by, PART_ALIKE),
)
