"""The tools of harm to the second company: files and rows only, nothing of Moat."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb

from tests.proofs.trust.kind import Harms
from tests.proofs.trust.second.firm import Firm
from tests.proofs.trust.second.formats import Doc


class FirmHarms(Harms):
    """Kinds of harm to the second company."""

    def sets(
        self,
        name: str,
        change: str,
        says: str,
        right: str,
        of: Callable[[Firm], list[str]] | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """Enter a kind that sets columns of rows, as `UPDATE orders SET …` does."""
        self.enter(name, lambda firm, keys, _: update(firm, keys, change), says, right, of, whole=whole)

    def rewrites(
        self,
        name: str,
        change: Callable[[str], str],
        says: str,
        right: str,
        of: Callable[[Firm], list[str]] | None = None,
        *,
        tables: bool = True,
    ) -> None:
        """Enter a kind that changes each sentence, and each cell where `tables`."""
        self.enter(
            name,
            lambda firm, keys, _: put(firm, keys, lambda doc: words(doc, change, tables)),
            says,
            right,
            of,
        )

    def gives_next(self, name: str, column: str, says: str, right: str) -> None:
        """Enter a kind that gives each row the value that the next one has."""
        self.enter(name, lambda firm, keys, _: rotate(firm, keys, column), says, right)


def every(firm: Firm) -> list[str]:
    return sorted(firm.docs)


def kinds(*wanted: str) -> Callable[[Firm], list[str]]:
    return lambda firm: sorted(k for k, d in firm.docs.items() if d.kind in wanted)


def inside(folder: str) -> Callable[[Firm], list[str]]:
    return lambda firm: sorted(k for k in firm.docs if k.startswith(folder + "/"))


def with_tables(firm: Firm) -> list[str]:
    return sorted(k for k, d in firm.docs.items() if d.table and d.sections)


def with_text(firm: Firm) -> list[str]:
    return sorted(k for k, d in firm.docs.items() if d.sections)


def text_kinds(firm: Firm) -> list[str]:
    return [k for k in with_text(firm) if firm.docs[k].kind != "eml"]


def saying(pattern: str) -> Callable[[Firm], list[str]]:
    """Documents in whose text something is found."""
    return lambda firm: sorted(k for k, d in firm.docs.items() if re.search(pattern, " ".join(sentences(d))))


def sentences(doc: Doc) -> list[str]:
    return [line for _, lines in doc.sections for line in lines]


def put(firm: Firm, keys: Iterable[str], change: Callable[[Doc], Doc]) -> None:
    """Write documents again, as `change` makes them."""
    for key in keys:
        firm.save(change(firm.docs[key]))


def raw(firm: Firm, keys: Iterable[str], change: Callable[[bytes], bytes]) -> None:
    """Put other bytes into files."""
    for key in keys:
        file = firm.folder / key
        file.write_bytes(change(file.read_bytes()))


def words(doc: Doc, change: Callable[[str], str], tables: bool = True, headings: bool = False) -> Doc:
    """A document with each sentence changed, and each cell."""
    sections = tuple(
        (change(name) if headings else name, tuple(change(line) for line in lines)) for name, lines in doc.sections
    )
    cells = tuple(tuple(change(c) for c in row) for row in doc.table[1:]) if tables else doc.table[1:]
    return replace(doc, sections=sections, table=(*doc.table[:1], *cells))


def one_page(line: str) -> Callable[[Doc], Doc]:
    """What makes a page with one line of any document."""
    return lambda doc: replace(doc, sections=(("", (line,)),), table=())


def footed(foot: str) -> Callable[[Doc], Doc]:
    """What puts one line below any document."""
    return lambda doc: replace(doc, foot=foot)


def listed(doc: Doc, change: Callable[[list[str]], list[str]]) -> Doc:
    """A document with the list of sentences of each section changed; empty sections go."""
    made = ((name, tuple(change(list(lines)))) for name, lines in doc.sections)
    return replace(doc, sections=tuple((name, lines) for name, lines in made if lines))


@contextmanager
def orders(firm: Firm) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(firm.database)) as db:
        yield db


def ids(where: str = "true") -> Callable[[Firm], list[str]]:
    """Ids of the rows of which something holds."""

    def found(firm: Firm) -> list[str]:
        with orders(firm) as db:
            return [str(n) for (n,) in db.execute(f"SELECT id FROM orders WHERE {where} ORDER BY id").fetchall()]

    return found


def update(firm: Firm, keys: list[str], change: str) -> None:
    """`UPDATE orders SET …` on some rows."""
    with orders(firm) as db:
        db.execute(f"UPDATE orders SET {change} WHERE id IN (SELECT unnest(?))", [[int(k) for k in keys]])


def rotate(firm: Firm, keys: list[str], column: str) -> None:
    """Give each of some rows the value that the next one has."""
    with orders(firm) as db:
        found = db.execute(f"SELECT id, {column} FROM orders ORDER BY id").fetchall()
        chosen = [(n, v) for n, v in found if str(n) in set(keys)]
        moved = [v for _, v in chosen[1:]] + [chosen[0][1]]
        db.executemany(
            f"UPDATE orders SET {column} = ? WHERE id = ?", [[v, n] for (n, _), v in zip(chosen, moved, strict=True)]
        )
