"""Vectors by the text that they are of and the model that made them: a text is embedded once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select

from include.ledger import Ledger, add, windows
from include.ledger.tables import embedding


def vectors(ledger: Ledger, model: str, hashes: Iterable[str]) -> dict[str, bytes]:
    """The vectors that the ledger has of these texts, by text hash; little-endian float32."""
    found: dict[str, bytes] = {}
    with ledger.read() as connection:
        for window in windows(dict.fromkeys(hashes)):
            query = select(embedding.c.text_hash, embedding.c.vector).where(
                embedding.c.model == model, embedding.c.text_hash.in_(window)
            )
            found.update((row.text_hash, row.vector) for row in connection.execute(query))
    return found


def keep(ledger: Ledger, model: str, made: Mapping[str, bytes]) -> None:
    """Write vectors by text hash; one that stands already stays as it is."""
    with ledger.write() as connection:
        for window in windows(made):
            add(connection, embedding, [{"model": model, "text_hash": h, "vector": made[h]} for h in window])
